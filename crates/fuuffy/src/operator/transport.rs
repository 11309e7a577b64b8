//! The ways to the operators' deeds: through the running server's socket, or, where none runs, by opening the
//! data directory; or over the network, with a token. All end at the same API.

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use fuuffy_client::{BaseUrl, Environment, HttpClient as _, ReqwestClient, Token, TransportError};
use fuuffy_domain::{Actor, EnvironmentName, RequestId};
use fuuffy_store::embedded::DirectoryLock;
use http::response::Parts;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tower::ServiceExt as _;

use crate::config::Config;
use crate::integrator;
use crate::server::{Environments, Sources};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A way to the operators' API.
pub(super) enum Transport {
    /// The running server's socket.
    Socket(std::path::PathBuf),
    /// No server runs; the data directory is held instead.
    Offline { environments: Environments, router: Router, _lock: DirectoryLock },
    /// The admin listener.
    Network { url: BaseUrl, http: ReqwestClient, token: Token },
}

/// An answer of the API.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    /// The state that a change must name, where there is one.
    pub(super) etag: Option<String>,
}

/// On which conditions a call is done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct On<'a> {
    /// Why, for the audit log.
    pub(super) why: Option<&'a str>,
    /// The state that what is changed must still be in.
    pub(super) seen: Option<&'a str>,
    /// The key of a creation that is to be done once.
    pub(super) once: Option<&'a str>,
}

impl Transport {
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        let socket = config.data_dir.join("admin.sock");
        if UnixStream::connect(&socket).await.is_ok() {
            return Ok(Self::Socket(socket));
        }
        let (environments, lock) = Environments::open(config, &Sources::system())?;
        let router = environments.admin_router_for(Actor::Local { uid: rustix::process::getuid().as_raw() });
        Ok(Self::Offline { environments, router, _lock: lock })
    }

    /// To the admin listener at `url`, with a token got as integrators get theirs.
    pub(super) async fn network(url: BaseUrl, environment: EnvironmentName) -> anyhow::Result<Self> {
        let environment = match environment {
            EnvironmentName::Testing => Environment::Testing,
            EnvironmentName::Production => Environment::Production,
        };
        let token = integrator::token_in(environment).await?;
        Ok(Self::Network { http: ReqwestClient::new(&url)?, url, token })
    }

    /// One call. Where the connection breaks off before its answer, a creation is asked for once more under the same
    /// key, and so done once.
    pub(super) async fn call(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
        on: On<'_>,
    ) -> anyhow::Result<Answer> {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let mut request = Request::builder().method(method).uri(target).header(header::HOST, "fuuffy");
        if let Some(why) = on.why {
            request = request.header("fuuffy-why", HeaderValue::from_bytes(why.as_bytes())?);
        }
        if let Some(seen) = on.seen {
            request = request.header(header::IF_MATCH, seen);
        }
        if let Some(key) = on.once {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let request = request.body(body)?;
        let mut exchange = self.exchange(request.clone()).await;
        if exchange.as_ref().is_err_and(|error| on.once.is_some() && may_have_come(error)) {
            let unknown = "asked twice; whether it was done is not known, so look before asking again";
            exchange = self.exchange(request).await.context(unknown);
        }
        let (head, body) = exchange?;
        let body = serde_json::from_slice(&body).context("the answer is not JSON")?;
        let etag = head.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Answer { status: head.status, body, etag })
    }

    async fn exchange(&self, mut request: Request<String>) -> anyhow::Result<(Parts, Bytes)> {
        match self {
            Self::Socket(path) => {
                let exchange = through_socket(path, request.map(Full::from)).await;
                exchange.with_context(|| format!("the server at {} did not answer", path.display()))
            }
            Self::Offline { router, .. } => {
                let (head, body) = router.clone().oneshot(request.map(Body::from)).await?.into_parts();
                Ok((head, axum::body::to_bytes(body, MAX_ANSWER).await?))
            }
            Self::Network { url, http, token } => {
                // What is typed is meant whatever the state, unless that was looked at.
                request.headers_mut().entry(header::IF_MATCH).or_insert(HeaderValue::from_static("*"));
                let exchange = over_network(http, url, token, request).await;
                exchange.with_context(|| format!("{url} did not answer"))
            }
        }
    }

    pub(super) async fn close(self) {
        if let Self::Offline { environments, .. } = self {
            environments.close().await;
        }
    }
}

/// A key for a creation that nobody guesses: a UUID, as a request's id is.
pub(super) fn fresh_key() -> anyhow::Result<String> {
    let Sources { time, entropy, .. } = Sources::system();
    let mut random = [0; 10];
    entropy.fill(&mut random)?;
    Ok(RequestId::generate(time.wall(), random).to_string())
}

/// Whether a request may have reached the server, though there was no answer.
fn may_have_come(error: &anyhow::Error) -> bool {
    error.downcast_ref::<TransportError>().is_none_or(|error| !error.is_connect() && error.tls_fault().is_none())
}

async fn over_network(
    http: &ReqwestClient,
    url: &BaseUrl,
    token: &Token,
    request: Request<String>,
) -> anyhow::Result<(Parts, Bytes)> {
    let (mut head, body) = request.into_parts();
    head.uri = url.join(head.uri.path_and_query().map_or("/", |target| target.as_str()))?;
    head.headers.remove(header::HOST);
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.reveal()))?;
    bearer.set_sensitive(true);
    head.headers.insert(header::AUTHORIZATION, bearer);
    let (head, body) = http.send(Request::from_parts(head, body.into())).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok((head, body.to_bytes()))
}

async fn through_socket(path: &std::path::Path, request: Request<Full<Bytes>>) -> anyhow::Result<(Parts, Bytes)> {
    let stream = UnixStream::connect(path).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        drop(sender);
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(anyhow::Error::from_boxed)?;
        anyhow::Ok((head, body.to_bytes()))
    };
    let (answer, _) = tokio::join!(exchange, connection);
    answer
}
