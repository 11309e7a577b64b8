//! The HTTP client that the libraries in Rust are given, for they bring none of their own.

use http::{Request, Response};

use super::{Client, DEEDS, Secured, Told};
use crate::app::Registered;

/// Whoever calls the gateway.
pub(super) struct Caller {
    client: reqwest::Client,
    issuer: String,
}

impl Caller {
    pub(super) fn new(gateway: &Secured) -> Self {
        let authority = reqwest::Certificate::from_pem(&std::fs::read(gateway.authority()).unwrap()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy();
        let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, issuer: gateway.issuer.clone() }
    }

    /// Sends a request as the libraries want it.
    pub(super) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, reqwest::Error> {
        let response = self.client.execute(request.try_into()?).await?;
        let mut built = Response::builder().status(response.status());
        built.headers_mut().unwrap().clone_from(response.headers());
        Ok(built.body(response.bytes().await?.to_vec()).unwrap())
    }

    /// What the API answers a token with.
    pub(super) async fn call(&self, token: &str) -> u16 {
        self.client.get(format!("{}/v1/orders", self.issuer)).bearer_auth(token).send().await.unwrap().status().as_u16()
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn url(&self, endpoint: &str) -> String {
        format!("{}/oauth/{endpoint}", self.issuer)
    }
}

/// Does all deeds, which end the test where one fails, and answers what came of each.
pub(super) fn run(gateway: &Secured, client: &Client, deeds: impl AsyncFnOnce(Caller, &Registered)) -> Told {
    let Client::Secret(client) = client else {
        panic!("no library in Rust signs assertions");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(deeds(Caller::new(gateway), client));
    DEEDS.map(|_| "ok".to_owned())
}
