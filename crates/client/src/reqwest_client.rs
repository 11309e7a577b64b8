//! reqwest as the HTTP client beneath: TLS by rustls, HTTP/1.1 and HTTP/2, a pool of connections.

mod broken;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use reqwest::Url;
use tokio::time::{Sleep, sleep};

use crate::body::BodyError;
use crate::http_client::{HttpClient, TransportError};
use crate::{BaseUrl, Body, BoxFuture, Error, TlsFault};

/// The longest wait for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest pause between two pieces of an answer's body.
const READ: Duration = Duration::from_secs(60);

/// An HTTP client by reqwest.
#[derive(Debug, Clone)]
pub struct ReqwestClient {
    client: reqwest::Client,
    /// Whether there was an answer, so that a connection may have been kept.
    has_served: Arc<AtomicBool>,
    origin: Option<Arc<Origin>>,
}

/// Where nearly all requests go. Parsing a whole URL each time would cost more than all else that is done here.
#[derive(Debug)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
    url: Url,
}

impl ReqwestClient {
    /// A client for one base URL: never follows a redirect, speaks TLS alone where the URL is `https://`,
    /// and goes through no proxy to loopback. 10 seconds to connect, 60 without a byte.
    ///
    /// The authorities that it trusts are this machine's. On Linux and the BSDs the variable `SSL_CERT_FILE`
    /// names a file (PEM) with others in their stead, and `SSL_CERT_DIR` folders, as OpenSSL knows them:
    /// so a private authority is trusted by one program alone. macOS and Windows have stores of their own.
    ///
    /// # Errors
    /// The machine's TLS certificates could not be read.
    pub fn new(base_url: &BaseUrl) -> Result<Self, Error> {
        Self::by(base_url, |builder| builder)
    }

    /// The same, and it shows a certificate to whoever asks for one.
    ///
    /// # Errors
    /// The machine's TLS certificates could not be read.
    #[cfg(feature = "client-certificate")]
    pub fn showing(base_url: &BaseUrl, certificate: &crate::ClientCertificate) -> Result<Self, Error> {
        let identity = reqwest::Identity::from_pem(certificate.reveal_pem().as_bytes())
            .map_err(|_| Error::credentials("the client's certificate is none that reqwest can show"))?;
        Self::by(base_url, |builder| builder.identity(identity))
    }

    fn by(
        base_url: &BaseUrl,
        more: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, Error> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .https_only(base_url.is_https())
            .connect_timeout(CONNECT)
            .user_agent(concat!("fuuffy-client/", env!("CARGO_PKG_VERSION")));
        // In clear there is nobody to trust, so the machine need not have any authorities.
        let builder = if base_url.is_https() { builder } else { builder.no_proxy().tls_certs_only([]) };
        let client = more(builder).build().map_err(|error| {
            let advice = "are ca-certificates installed, and is SSL_CERT_FILE, if it is set, a file of them?";
            Error::configuration(format!("no HTTP client: {}; {advice}", root_of(&error)))
        })?;
        Ok(Self { origin: Origin::of(base_url).map(Arc::new), ..Self::from(client) })
    }

    /// What became of a request, in the words of this crate.
    fn outcome(&self, sent: reqwest::Result<reqwest::Response>) -> Result<Response<Body>, TransportError> {
        let response = sent.map_err(|error| {
            let error = error.without_url();
            // In TLS 1.3 the server judges the client's certificate once the client is connected (RFC 8446 §4.4.2.4).
            let is_of_handshake = |fault: &TlsFault| error.is_connect() || *fault == TlsFault::ClientCertificate;
            match TlsFault::beneath(&error).filter(is_of_handshake) {
                Some(fault) => TransportError::tls(fault, error),
                None if error.is_connect() => TransportError::connect(error),
                // reqwest does not tell which connection it was; it is known that there can be an old one.
                None if self.has_served.load(Ordering::Relaxed) && broken::is_closed(&error) => {
                    TransportError::stale(error)
                }
                None => TransportError::exchange(error),
            }
        })?;
        self.has_served.store(true, Ordering::Relaxed);
        let watched = |body| Body::streaming(Watched { body, timer: None });
        Ok(http::Response::<reqwest::Body>::from(response).map(watched))
    }

    fn request(&self, request: Request<Body>) -> Result<reqwest::Request, TransportError> {
        let (parts, body) = request.into_parts();
        let known = self.origin.as_ref().and_then(|origin| origin.join(&parts.uri));
        let url = match known {
            Some(url) => url,
            None => Url::parse(&parts.uri.to_string()).map_err(TransportError::connect)?,
        };
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(to_reqwest(body));
        Ok(request)
    }
}

impl Origin {
    fn of(base_url: &BaseUrl) -> Option<Self> {
        let parts = base_url.at("/").ok()?.into_parts();
        let (scheme, authority) = parts.scheme.zip(parts.authority)?;
        Some(Self { scheme, authority, url: Url::parse(&base_url.to_string()).ok()? })
    }

    /// The URL of a target at this origin; `None` where it is elsewhere.
    fn join(&self, uri: &Uri) -> Option<Url> {
        if uri.scheme() != Some(&self.scheme) || uri.authority() != Some(&self.authority) {
            return None;
        }
        let mut url = self.url.clone();
        url.set_path(uri.path());
        url.set_query(uri.query());
        Some(url)
    }
}

/// A body that breaks off where nothing comes for [`READ`]. What is there already costs no timer.
struct Watched {
    body: reqwest::Body,
    /// There only while a piece is awaited.
    timer: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.timer.get_or_insert_with(|| Box::pin(sleep(READ))).as_mut().poll(cx));
        Poll::Ready(Some(Err(format!("nothing came for {} s", READ.as_secs()).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl From<reqwest::Client> for ReqwestClient {
    /// A client of one's own making. It should follow no redirects.
    fn from(client: reqwest::Client) -> Self {
        Self { client, has_served: Arc::default(), origin: None }
    }
}

impl HttpClient for ReqwestClient {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let sending = match self.request(request) {
            Ok(request) => self.client.execute(request),
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        // Mapped, for a block that awaits it would hold it twice.
        Box::pin(sending.map(|sent| self.outcome(sent)))
    }
}

/// What is beneath an error, which says more than the error itself.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

fn to_reqwest(body: Body) -> reqwest::Body {
    match body.into_whole() {
        Ok(bytes) => reqwest::Body::from(bytes),
        Err(body) => reqwest::Body::wrap(body),
    }
}
