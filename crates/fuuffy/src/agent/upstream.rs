//! Connections to a gateway on this machine, in clear: a plain pool over hyper's own connection, which is
//! what a proxy can spend least on. Over TLS the client's own HTTP client is used.

mod answer;
mod request_body;
mod watch;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_client::{BaseUrl, Body, BoxFuture, HttpClient, TransportError};
use http::header::{self, HeaderValue};
use http::{Request, Response, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use answer::AnswerBody;
use request_body::RequestBody;
use watch::Watch;

/// Idle connections that are kept.
const MAX_IDLE: usize = 256;
/// How long a connection waits for its next request; shorter than most servers wait for one.
const IDLE: Duration = Duration::from_secs(15);
/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection that was given back may take to be ready again.
const SETTLE: Duration = Duration::from_millis(50);
/// The same as other HTTP clients beneath have, for large bodies.
const BUFFER: usize = 64 * 1024;

/// The gateway, and the connections to it.
pub(super) struct Upstream {
    host: String,
    port: u16,
    authority: HeaderValue,
    /// The longest wait for the head of an answer.
    timeout: Duration,
    idle: Arc<Idle>,
}

/// Connections that wait for a request; the one that was used last comes last.
#[derive(Default)]
struct Idle(Mutex<VecDeque<Waiting>>);

struct Waiting {
    connection: Connection,
    since: Instant,
}

struct Connection {
    sender: http1::SendRequest<RequestBody>,
    watch: Watch,
    was_used: bool,
}

/// A connection on loan for one request. Dropped, it is closed.
struct Lease {
    connection: Connection,
    idle: Arc<Idle>,
}

impl Upstream {
    /// For a base URL in clear; `None` where it is encrypted.
    pub(super) fn at(base_url: &BaseUrl, timeout: Duration) -> Option<Self> {
        if base_url.is_https() {
            return None;
        }
        let (host, port) = (base_url.host().to_owned(), base_url.port());
        let authority = HeaderValue::from_str(base_url.authority().as_str()).ok()?;
        Some(Self { host, port, authority, timeout, idle: Arc::default() })
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let (mut parts, body) = request.into_parts();
        // HTTP/1.1 to a server names the path alone (RFC 9112 §3.2.1).
        parts.uri = parts.uri.into_parts().path_and_query.map(Uri::from).unwrap_or_default();
        parts.headers.insert(header::HOST, self.authority.clone());
        let (body, moves) = RequestBody::new(body);
        let mut request = Request::from_parts(parts, body);
        loop {
            let mut lease = self.lease().await?;
            let answer = pin!(lease.connection.sender.try_send_request(request));
            let Some(sent) = lease.connection.watch.within(self.timeout, &moves, answer).await else {
                let limit = self.timeout.as_secs_f64();
                return Err(TransportError::timed_out(format!("no answer within {limit} s")));
            };
            let mut failed = match sent {
                Ok(response) => return Ok(response.map(|body| AnswerBody::body(body, lease))),
                Err(failed) => failed,
            };
            match (failed.take_message(), lease.connection.was_used) {
                // It was closed before anything was sent; there is another, or a new one.
                (Some(unsent), true) => request = unsent,
                (Some(_), false) => return Err(TransportError::connect(failed.into_error())),
                (None, true) if is_closed(failed.error()) => return Err(TransportError::stale(failed.into_error())),
                (None, _) => return Err(TransportError::exchange(failed.into_error())),
            }
        }
    }

    async fn lease(&self) -> Result<Lease, TransportError> {
        let connection = match self.reuse().await {
            Some(connection) => connection,
            // Boxed, for its size is paid by every request and its use by few.
            None => Box::pin(self.connect()).await?,
        };
        Ok(Lease { connection, idle: Arc::clone(&self.idle) })
    }

    async fn reuse(&self) -> Option<Connection> {
        loop {
            let Waiting { mut connection, since } = self.idle.0.lock().pop_back()?;
            if since.elapsed() >= IDLE || connection.sender.is_closed() {
                continue;
            }
            // A server may answer before it has read the request whole; nobody else waits for that.
            let sender = &mut connection.sender;
            if sender.is_ready() || matches!(timeout(SETTLE, sender.ready()).await, Ok(Ok(()))) {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<Connection, TransportError> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(CONNECT, connecting).await;
        let late = |_| TransportError::connect(format!("no connection within {} s", CONNECT.as_secs()));
        let stream = stream.map_err(late)?.map_err(TransportError::connect)?;
        // Failing to set this costs speed, not correctness.
        let _ = stream.set_nodelay(true);
        let mut builder = http1::Builder::new();
        builder.writev(false).max_buf_size(BUFFER);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(TransportError::connect)?;
        // The task ends with the connection, which ends when its sender is dropped.
        tokio::spawn(connection);
        Ok(Connection { sender, watch: Watch::default(), was_used: false })
    }
}

/// Whether the server closed before it answered, by whatever the two ends' systems make of that; not what it
/// said wrongly, nor what the caller's body met.
fn is_closed(error: &hyper::Error) -> bool {
    !error.is_parse() && !error.is_user()
}

impl HttpClient for Upstream {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(self.exchange(request))
    }
}

impl Lease {
    /// The answer was read whole: the connection may serve again.
    fn give_back(self) {
        let Self { mut connection, idle } = self;
        if connection.sender.is_closed() {
            return;
        }
        connection.was_used = true;
        let (mut idle, since) = (idle.0.lock(), Instant::now());
        while idle.front().is_some_and(|oldest| idle.len() >= MAX_IDLE || since - oldest.since >= IDLE) {
            idle.pop_front();
        }
        idle.push_back(Waiting { connection, since });
    }
}
