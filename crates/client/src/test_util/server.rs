//! A server on a real loopback socket that answers as a test says, and tells what it was asked.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// A server that a test scripts. It ends when it is dropped.
pub struct ScriptedServer {
    address: SocketAddr,
    script: Arc<Script>,
    _tasks: JoinSet<()>,
}

/// What a test wants to be answered.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    ending: Ending,
    held: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    /// The connection breaks off after the body, which claims to be longer.
    Cut,
    /// Nothing comes any more after the body, and nothing ends.
    Stalled,
}

/// A request as the server got it.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub target: String,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

struct Script {
    next: Mutex<HashMap<String, VecDeque<Answer>>>,
    always: Mutex<HashMap<String, Answer>>,
    received: Mutex<Vec<Received>>,
    arrived: watch::Sender<usize>,
    /// Answers that are held wait here.
    released: Semaphore,
    granted: Mutex<Option<u64>>,
}

/// The path that tokens are asked for at.
const TOKEN_PATH: &str = "/v1/auth/token";

impl Answer {
    /// A status and a body of JSON.
    #[must_use]
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, "application/json", body.into())
    }

    /// A status and a body of any content type. A status that is none becomes 500.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let answer = Self { status, headers: HeaderMap::new(), body: body.into(), ending: Ending::Whole, held: false };
        answer.field(header::CONTENT_TYPE.as_str(), content_type)
    }

    /// The guide's answer that grants a token.
    #[must_use]
    pub fn token(token: &str, expires_in: u64) -> Self {
        let members = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{expires_in}}}"#);
        Self::json(200, format!(r#"{{"data":{members}}}"#))
    }

    /// The guide's refusal, with the challenge that goes with a 401.
    #[must_use]
    pub fn refusal(status: u16, code: &str) -> Self {
        let body = format!(r#"{{"error":{{"code":"{code}","message":"No","details":"Do something else"}}}}"#);
        let answer = Self::json(status, body);
        match (status, code) {
            (401, "missing_token") => answer.field("www-authenticate", r#"Bearer realm="fuuffy""#),
            (401, _) => answer.field(
                "www-authenticate",
                &format!(r#"Bearer realm="fuuffy", error="{code}", error_description="No""#),
            ),
            _ => answer,
        }
    }

    /// With one more header field; one that cannot be is left out.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse::<header::HeaderName>(), value.parse()) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Without a header field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// The connection breaks off in the middle of the body.
    #[must_use]
    pub fn cut(self) -> Self {
        Self { ending: Ending::Cut, ..self }
    }

    /// The body never ends.
    #[must_use]
    pub fn stalled(self) -> Self {
        Self { ending: Ending::Stalled, ..self }
    }

    /// It is sent when [`ScriptedServer::release`] lets it go.
    #[must_use]
    pub fn held(self) -> Self {
        Self { held: true, ..self }
    }
}

impl ScriptedServer {
    /// A server on a free port of loopback. It answers 404 until it is told better.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let script = Arc::new(Script::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&script)));
        Self { address, script, _tasks: tasks }
    }

    /// The base URL of its API.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the next requests for a path, in turn.
    pub fn then(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.script.next.lock().entry(path.to_owned()).or_default().extend(answers);
    }

    /// Answers all requests for a path that nothing else was said of, with 200 and JSON.
    pub fn answer(&self, path: &str, json: &str) {
        self.always(path, Answer::json(200, json));
    }

    /// Answers all requests for a path that nothing else was said of.
    pub fn always(&self, path: &str, answer: Answer) {
        self.script.always.lock().insert(path.to_owned(), answer);
    }

    /// Answers the next token requests, in turn.
    pub fn then_tokens(&self, answers: impl IntoIterator<Item = Answer>) {
        self.then(TOKEN_PATH, answers);
    }

    /// Grants all token requests that nothing else was said of: `sk-…` and the request's number.
    pub fn grant_tokens(&self, expires_in: u64) {
        *self.script.granted.lock() = Some(expires_in);
    }

    /// Lets one held answer go.
    pub fn release(&self) {
        self.script.released.add_permits(1);
    }

    /// The requests for a path so far.
    #[must_use]
    pub fn received(&self, path: &str) -> Vec<Received> {
        let is_meant = |received: &&Received| received.target.split('?').next() == Some(path);
        self.script.received.lock().iter().filter(is_meant).cloned().collect()
    }

    /// The token requests so far.
    #[must_use]
    pub fn token_requests(&self) -> usize {
        self.received(TOKEN_PATH).len()
    }

    /// Waits until so many token requests have come.
    pub async fn until_token_requests(&self, count: usize) {
        self.until(TOKEN_PATH, count).await;
    }

    /// Waits until so many requests for a path have come.
    pub async fn until(&self, path: &str, count: usize) {
        let mut arrived = self.script.arrived.subscribe();
        while self.received(path).len() < count {
            if arrived.changed().await.is_err() {
                return;
            }
        }
    }
}

impl fmt::Debug for ScriptedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedServer").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn serve(listener: TcpListener, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let script = Arc::clone(&script);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&script), request));
            // A connection that was cut on purpose ends with an error.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(script: Arc<Script>, request: Request<Incoming>) -> Result<Response<ScriptedBody>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let answer = {
        let mut received = script.received.lock();
        received.push(Received { method: parts.method, target, headers: parts.headers, body });
        let number = received.iter().filter(|received| received.target == TOKEN_PATH).count();
        script.find(&path, number)
    };
    script.arrived.send_modify(|count| *count += 1);
    if answer.held
        && let Ok(permit) = script.released.acquire().await
    {
        permit.forget();
    }
    let mut response = Response::new(ScriptedBody { bytes: Some(answer.body.clone()), ending: answer.ending });
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if answer.ending == Ending::Cut {
        response.headers_mut().insert(header::CONTENT_LENGTH, (answer.body.len() + 1).into());
    }
    Ok(response)
}

impl Script {
    fn new() -> Self {
        Self {
            next: Mutex::default(),
            always: Mutex::default(),
            received: Mutex::default(),
            arrived: watch::Sender::default(),
            released: Semaphore::new(0),
            granted: Mutex::default(),
        }
    }

    fn find(&self, path: &str, number: usize) -> Answer {
        if let Some(answer) = self.next.lock().get_mut(path).and_then(VecDeque::pop_front) {
            return answer;
        }
        if let Some(answer) = self.always.lock().get(path) {
            return answer.clone();
        }
        match *self.granted.lock() {
            Some(expires_in) if path == TOKEN_PATH => Answer::token(&format!("sk-{number:032x}"), expires_in),
            _ => Answer::refusal(404, "not_found"),
        }
    }
}

struct ScriptedBody {
    bytes: Option<Bytes>,
    ending: Ending,
}

impl HttpBody for ScriptedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        use std::task::Poll;

        if let Some(bytes) = self.bytes.take().filter(|bytes| !bytes.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match self.ending {
            Ending::Whole => Poll::Ready(None),
            Ending::Cut => Poll::Ready(Some(Err(std::io::Error::other("cut short on purpose")))),
            Ending::Stalled => Poll::Pending,
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match (&self.bytes, self.ending) {
            (Some(bytes), Ending::Whole) => http_body::SizeHint::with_exact(bytes.len() as u64),
            _ => http_body::SizeHint::default(),
        }
    }
}
