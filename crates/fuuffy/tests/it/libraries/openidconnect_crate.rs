//! The crate openidconnect, as https://docs.rs/openidconnect shows it, but without what is OpenID Connect's: a client that
//! acts for itself gets no ID token, and so needs no keys to check one by.

use openidconnect::core::{CoreClient, CoreJsonWebKeySet, CoreRevocableToken};
use openidconnect::{
    AuthType, ClientId, ClientSecret, IntrospectionUrl, IssuerUrl, OAuth2TokenResponse as _, RevocationUrl,
    TokenIntrospectionResponse as _, TokenUrl,
};

use super::rust_caller::Caller;
use super::ways::{BASIC, Way};
use crate::app::Registered;

pub(super) async fn deeds(caller: Caller, registered: &Registered, way: Way) {
    let issuer = IssuerUrl::new(caller.issuer().to_owned()).unwrap();
    let client = CoreClient::new(ClientId::new(registered.id.clone()), issuer, CoreJsonWebKeySet::new(vec![]))
        .set_client_secret(ClientSecret::new(registered.secret.clone()))
        .set_auth_type(if way == BASIC { AuthType::BasicAuth } else { AuthType::RequestBody })
        .set_token_uri(TokenUrl::new(caller.url("token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(caller.url("introspect")).unwrap())
        .set_revocation_url(RevocationUrl::new(caller.url("revoke")).unwrap());
    let http = |request| caller.send(request);

    let granted = client.exchange_client_credentials().request_async(&http).await.unwrap();
    let token = granted.access_token();
    assert_eq!(caller.call(token.secret()).await, 200);
    assert!(client.introspect(token).request_async(&http).await.unwrap().active());
    let lost = CoreRevocableToken::AccessToken(token.clone());
    client.revoke_token(lost).unwrap().request_async(&http).await.unwrap();
    assert_eq!(caller.call(token.secret()).await, 401);
}
