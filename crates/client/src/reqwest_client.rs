//! reqwest as the HTTP client beneath: TLS by rustls, HTTP/1.1 and HTTP/2, a pool of connections.

use std::time::Duration;

use http::{Request, Response};

use crate::http_client::{HttpClient, TransportError};
use crate::{BaseUrl, Body, BoxFuture, Error};

/// The longest wait for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest pause between two reads of a response.
const READ: Duration = Duration::from_secs(60);

/// An HTTP client by reqwest.
#[derive(Debug, Clone)]
pub struct ReqwestClient(reqwest::Client);

impl ReqwestClient {
    /// A client for one base URL: never follows a redirect, speaks TLS alone where the URL is `https://`,
    /// and goes through no proxy to loopback. 10 seconds to connect, 60 without a byte.
    ///
    /// # Errors
    /// The machine's TLS certificates could not be read.
    pub fn new(base_url: &BaseUrl) -> Result<Self, Error> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .https_only(base_url.is_https())
            .connect_timeout(CONNECT)
            .read_timeout(READ)
            .user_agent(concat!("fuuffy-client/", env!("CARGO_PKG_VERSION")));
        let builder = if base_url.is_https() { builder } else { builder.no_proxy() };
        let client = builder.build().map_err(|error| Error::configuration(format!("no HTTP client: {error}")))?;
        Ok(Self(client))
    }
}

impl From<reqwest::Client> for ReqwestClient {
    /// A client of one's own making. It should follow no redirects.
    fn from(client: reqwest::Client) -> Self {
        Self(client)
    }
}

impl HttpClient for ReqwestClient {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            let request = request.map(to_reqwest).try_into().map_err(TransportError::connect)?;
            let response = self.0.execute(request).await.map_err(|error| {
                let error = error.without_url();
                if error.is_connect() { TransportError::connect(error) } else { TransportError::exchange(error) }
            })?;
            Ok(http::Response::<reqwest::Body>::from(response).map(Body::streaming))
        })
    }
}

fn to_reqwest(body: Body) -> reqwest::Body {
    match body.into_whole() {
        Ok(bytes) => reqwest::Body::from(bytes),
        Err(body) => reqwest::Body::wrap(body),
    }
}
