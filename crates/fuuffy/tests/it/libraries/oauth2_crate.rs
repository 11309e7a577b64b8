//! The crate oauth2, as https://docs.rs/oauth2 shows it, by an HTTP client of the caller's own.

use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, ClientId, ClientSecret, HttpRequest, IntrospectionUrl, RevocationUrl, StandardRevocableToken,
    TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};

use super::{BASIC, DEEDS, Secured};
use crate::app::Registered;

/// Does all deeds, and answers what came of each.
pub(super) fn run(gateway: &Secured, client: &Registered, method: &str) -> [String; DEEDS.len()] {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(deeds(gateway, client, method));
    DEEDS.map(|_| "ok".to_owned())
}

async fn deeds(gateway: &Secured, registered: &Registered, method: &str) {
    let authority = reqwest::Certificate::from_pem(&std::fs::read(gateway.authority()).unwrap()).unwrap();
    let caller = reqwest::Client::builder().tls_certs_only([authority]).no_proxy();
    let caller = caller.redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let http = |request: HttpRequest| {
        let caller = caller.clone();
        async move {
            let response = caller.execute(request.try_into()?).await?;
            let mut built = http::Response::builder().status(response.status());
            built.headers_mut().unwrap().clone_from(response.headers());
            Ok::<_, reqwest::Error>(built.body(response.bytes().await?.to_vec()).unwrap())
        }
    };
    let url = |path: &str| format!("{}/oauth/{path}", gateway.issuer);
    let client = BasicClient::new(ClientId::new(registered.id.clone()))
        .set_client_secret(ClientSecret::new(registered.secret.clone()))
        .set_auth_type(if method == BASIC { AuthType::BasicAuth } else { AuthType::RequestBody })
        .set_token_uri(TokenUrl::new(url("token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(url("introspect")).unwrap())
        .set_revocation_url(RevocationUrl::new(url("revoke")).unwrap());

    let granted = client.exchange_client_credentials().request_async(&http).await.unwrap();
    let token = granted.access_token();
    let orders = caller.get(format!("{}/v1/orders", gateway.issuer)).bearer_auth(token.secret());
    let (call, again) = (orders.try_clone().unwrap(), orders);
    assert_eq!(call.send().await.unwrap().status(), 200);
    assert!(client.introspect(token).request_async(&http).await.unwrap().active());
    let lost = StandardRevocableToken::AccessToken(token.clone());
    client.revoke_token(lost).unwrap().request_async(&http).await.unwrap();
    assert_eq!(again.send().await.unwrap().status(), 401);
}
