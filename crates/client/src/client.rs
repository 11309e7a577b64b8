//! The client: what a program holds, clones and calls the API with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response};

use crate::builder::ClientBuilder;
use crate::clock::{BoxFuture, within};
use crate::credentials::Variables;
use crate::http_client::{HttpClient, TransportError};
use crate::own_endpoint::OwnEndpoint;
use crate::request::RequestBuilder;
use crate::rotation::Rotator;
use crate::session::Session;
use crate::token_source::TokenSource;
use crate::{BaseUrl, Body, Environment, Error, Rotation, TokenLayer};

/// A client of one environment. Cheap to clone; clones share the token, the gates and the connections.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = fuuffy_client::test_util::ScriptedServer::start().await;
/// # server.grant_tokens(3600);
/// # server.answer("/v1/orders", r#"{"data":[{"id":"ord_1"}],"pagination":{"total":1,"page":1,"per_page":20,"total_pages":1}}"#);
/// # let url = server.base_url();
/// use fuuffy_client::Client;
///
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: String,
/// }
///
/// let client = Client::builder().base_url(url).credentials("my-id", "my-secret").build()?;
/// let orders: Vec<Order> = client.get("/orders").data().await?;
/// assert_eq!(orders[0].id, "ord_1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    base_url: BaseUrl,
    environment: Environment,
    session: Arc<Session>,
    own: Arc<OwnEndpoint>,
    rotator: Arc<Rotator>,
    http: Arc<dyn HttpClient>,
    timeout: Duration,
}

impl Client {
    /// Sets a client up.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// A client by the integrator's environment variables; [`Variables`] names them.
    ///
    /// # Errors
    /// Which variable is missing or wrong, and what to set.
    pub fn from_env() -> Result<Self, Error> {
        Self::builder_from(&Variables::of_process())?.build()
    }

    /// A client by variables, to set more up.
    ///
    /// # Errors
    /// Which variable is missing or wrong, and what to set.
    pub fn builder_from(variables: &Variables<'_>) -> Result<ClientBuilder, Error> {
        ClientBuilder::from_variables(variables)
    }

    pub(crate) fn assemble(
        (base_url, environment): (BaseUrl, Environment),
        session: Session,
        (own, rotator): (Arc<OwnEndpoint>, Arc<Rotator>),
        http: Arc<dyn HttpClient>,
        timeout: Duration,
    ) -> Self {
        let session = Arc::new(session);
        Self { inner: Arc::new(Inner { base_url, environment, session, own, rotator, http, timeout }) }
    }

    /// Which environment.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.inner.environment
    }

    /// Where the API is.
    #[must_use]
    pub fn base_url(&self) -> &BaseUrl {
        &self.inner.base_url
    }

    /// The token, for whatever else needs it.
    #[must_use]
    pub fn tokens(&self) -> &TokenSource {
        &self.inner.session.tokens
    }

    /// Replaces the client's secret where it is kept, if it is older than `older_than`, or at once without that. What
    /// an earlier run left undone is finished in any case. Whatever happens, and if this is dropped half-way, the
    /// secret that is kept works. The old one goes when nobody uses it, a thief neither: one that leaked is to be retired
    /// by whoever runs the gateway (`fuuffy secrets retire`).
    ///
    /// # Errors
    /// The client may not (`unauthorized_client`), has three secrets already (`too_many_secrets`), keeps its secret
    /// where no program can write ([`ErrorKind::Unwritable`](crate::ErrorKind::Unwritable)), or how far it came.
    pub async fn rotate(&self, older_than: Option<Duration>) -> Result<Rotation, Error> {
        // Boxed, for it is long and seldom.
        Box::pin(self.inner.rotator.rotate(older_than)).await
    }

    /// Why a request of this client's own was refused, as the server explains it: `what_happened` and `what_to_do` in
    /// words, and more. `None` where nothing is kept of it, which is so after seven days. Asked by the secret, since a
    /// client that is suspended gets no token.
    ///
    /// # Errors
    /// The secret does not do, or there was no answer.
    pub async fn explanation(&self, request_id: &str) -> Result<Option<serde_json::Value>, Error> {
        Box::pin(self.inner.own.explanation(request_id)).await
    }

    /// A layer that gives requests of any other HTTP service this client's token, gates and retries.
    #[must_use]
    pub fn layer(&self) -> TokenLayer {
        TokenLayer::new(Arc::clone(&self.inner.session), self.inner.base_url.clone())
    }

    /// A GET of a path below the base URL.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A POST.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// A PUT.
    pub fn put(&self, path: &str) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    /// A PATCH.
    pub fn patch(&self, path: &str) -> RequestBuilder {
        self.request(Method::PATCH, path)
    }

    /// A DELETE.
    pub fn delete(&self, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// A request of any method.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, path)
    }

    /// Sends a request to this client's own origin, with a token; what it says of the origin is replaced.
    /// A refusal is a response. For requests that were made elsewhere, as by a proxy.
    ///
    /// # Errors
    /// There is no token or no response, or the server asked for too much patience.
    pub async fn execute(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let target = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = self.inner.base_url.at(target)?;
        let (parts, body) = request.into_parts();
        self.inner.session.call(&parts, body, |request| self.send(request)).await
    }

    /// Asks this client's own origin for JSON, unless the request says otherwise.
    pub(crate) fn ask(&self, parts: &Parts, body: Body) -> impl Future<Output = Result<Response<Body>, Error>> {
        self.inner.session.call(parts, body, |mut request| {
            request.headers_mut().entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
            self.send(request)
        })
    }

    /// Sends a request as it is. Its answer is due in time.
    fn send(&self, request: Request<Body>) -> impl Future<Output = Result<Response<Body>, TransportError>> {
        let Inner { http, session, timeout, .. } = &*self.inner;
        let (sent, limit) = match request.body().is_whole() {
            true => (http.send(request), *timeout),
            false => (self.send_streaming(request), Duration::MAX),
        };
        let sent = within(&*session.clock, limit, sent);
        async move { sent.await.unwrap_or_else(|| Err(self.late())) }
    }

    /// The same for a body that streams: with each piece of it the time begins anew.
    fn send_streaming(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let Inner { http, session, timeout, .. } = &*self.inner;
        let (parts, body) = request.into_parts();
        let (body, moves) = body.watched();
        let mut sent = http.send(Request::from_parts(parts, body));
        Box::pin(async move {
            loop {
                let before = moves.count();
                match within(&*session.clock, *timeout, &mut sent).await {
                    Some(outcome) => return outcome,
                    None if moves.count() == before => return Err(self.late()),
                    None => {}
                }
            }
        })
    }

    fn late(&self) -> TransportError {
        TransportError::timed_out(format!("no answer within {} s", self.inner.timeout.as_secs_f64()))
    }

    /// Ends a wait for a whole answer to `what`.
    pub(crate) async fn within<T>(
        &self,
        what: impl FnOnce() -> String,
        read: impl Future<Output = Result<T, Error>> + Unpin,
    ) -> Result<T, Error> {
        let (limit, place) = (self.inner.timeout, self.inner.base_url.authority());
        let outcome = within(&*self.inner.session.clock, limit, read).await;
        outcome.unwrap_or_else(|| Err(Error::timeout(&what(), place.as_str(), limit)))
    }

    pub(crate) fn wall(&self) -> std::time::SystemTime {
        self.inner.session.clock.wall()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Client");
        let shown = shown.field("environment", &self.inner.environment);
        shown.field("base_url", &self.inner.base_url.to_string()).finish_non_exhaustive()
    }
}
