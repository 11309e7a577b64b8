//! The client's token, gates and retries as a `tower::Layer`, for programs that have an HTTP service of
//! their own.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower::{Layer, Service, ServiceExt as _};

use crate::body::BodyError;
use crate::http_client::TransportError;
use crate::session::Session;
use crate::{BaseUrl, Body, BoxFuture, Error};

/// Gives requests a token, refreshes it, and repeats what may be repeated. Requests to another origin than
/// the client's are refused, so that a token never leaves for elsewhere.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = fuuffy_client::test_util::ScriptedServer::start().await;
/// # server.grant_tokens(3600);
/// # server.answer("/v1/orders", r#"{"data":[]}"#);
/// # let client = fuuffy_client::Client::builder().base_url(server.base_url()).credentials("id", "secret").build()?;
/// # let url = format!("{}/orders", client.base_url());
/// # let http = fuuffy_client::ReqwestClient::new(client.base_url())?;
/// # let service = tower::service_fn(move |request| { let http = http.clone(); async move { fuuffy_client::HttpClient::send(&http, request).await } });
/// use fuuffy_client::Body;
/// use tower::{ServiceBuilder, ServiceExt as _};
///
/// let service = ServiceBuilder::new().layer(client.layer()).service(service);
/// let response = service.oneshot(http::Request::get(url).body(Body::empty())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenLayer {
    session: Arc<Session>,
    base_url: BaseUrl,
}

/// A service beneath a [`TokenLayer`].
#[derive(Debug, Clone)]
pub struct TokenService<S> {
    inner: S,
    layer: TokenLayer,
}

impl TokenLayer {
    pub(crate) fn new(session: Arc<Session>, base_url: BaseUrl) -> Self {
        Self { session, base_url }
    }
}

impl<S> Layer<S> for TokenLayer {
    type Service = TokenService<S>;

    fn layer(&self, inner: S) -> TokenService<S> {
        TokenService { inner, layer: self.clone() }
    }
}

impl<S, B> Service<Request<Body>> for TokenService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BodyError>,
    B: HttpBody<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BodyError>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // The service beneath is waited for at each attempt.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (inner, TokenLayer { session, base_url }) = (self.inner.clone(), self.layer.clone());
        Box::pin(async move {
            let uri = request.uri();
            let is_ours = uri.scheme_str() == Some(if base_url.is_https() { "https" } else { "http" })
                && uri.authority() == Some(base_url.authority());
            if !is_ours {
                let why = format!("the token is for {base_url} alone; send other requests without this layer");
                return Err(Error::configuration(why));
            }
            let send = |request| {
                let inner = inner.clone();
                async move {
                    let sent = inner.oneshot(request).await;
                    sent.map(|response| response.map(Body::streaming)).map_err(TransportError::exchange)
                }
            };
            let (parts, body) = request.into_parts();
            session.call(&parts, body, send).await
        })
    }
}

impl std::fmt::Debug for TokenLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenLayer").field("base_url", &self.base_url.to_string()).finish_non_exhaustive()
    }
}
