//! The crate oauth2, as https://docs.rs/oauth2 shows it, by an HTTP client of the caller's own.

use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, ClientId, ClientSecret, IntrospectionUrl, RevocationUrl, StandardRevocableToken,
    TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};

use super::rust_caller::Caller;
use super::ways::{BASIC, Way};
use crate::app::Registered;

pub(super) async fn deeds(caller: Caller, registered: &Registered, way: Way) {
    let client = BasicClient::new(ClientId::new(registered.id.clone()))
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
    let lost = StandardRevocableToken::AccessToken(token.clone());
    client.revoke_token(lost).unwrap().request_async(&http).await.unwrap();
    assert_eq!(caller.call(token.secret()).await, 401);
}
