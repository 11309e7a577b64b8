//! The trail of a request: what it was, kept until its last byte has moved, for whoever writes lines or spans of
//! requests. Nobody has one where nobody asked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fuuffy_domain::{ClientId, Mover, RequestContext, SpanId, TraceId};
use http::HeaderMap;
use http::header;
use parking_lot::Mutex;
use tokio::time::Instant;

/// So much of a method, a path and a program's name is kept, in bytes.
const LONGEST: (usize, usize, usize) = (16, 256, 128);

/// A request and its answer, when both are over.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Which request, from where, and when it came.
    pub context: RequestContext,
    /// Its method.
    pub method: String,
    /// Its path, without the query, and without what looks like a token or a secret.
    pub path: String,
    /// What the caller says that it is.
    pub agent: Option<String>,
    /// Where it is in a trace, if it is in one.
    pub traced: Option<Traced>,
    /// Whose it was, where that was proven.
    pub client: Option<ClientId>,
    /// The route that it matched, by its prefix.
    pub route: Option<String>,
    /// The status of the answer; none where the caller went before there was one.
    pub status: Option<u16>,
    /// The code of the refusal, where it was refused.
    pub code: Option<&'static str>,
    /// The upstream's part: when it was asked, and when the head of its answer was there, from the request on.
    pub upstream: Option<(Duration, Duration)>,
    /// From the request to the head of the answer.
    pub until_head: Option<Duration>,
    /// From the request to the last byte.
    pub took: Duration,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Whether the answer broke off before its end.
    pub broke_off: bool,
}

/// Where a request is in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traced {
    /// The trace.
    pub trace: TraceId,
    /// The span of whoever asked.
    pub parent: Option<SpanId>,
    /// Our own spans, where they are recorded.
    pub spans: Option<Spans>,
}

/// The spans of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spans {
    /// From the caller's request to the last byte of its answer.
    pub server: SpanId,
    /// The part that the upstream has in it.
    pub client: SpanId,
}

/// Who gets each exchange once it is over. It must not wait for anything.
pub type OnEnd = Arc<dyn Fn(Exchange) + Send + Sync>;

/// An exchange under way. Whatever of it still moves holds its trail, and with the last of them it is over.
pub struct Trail {
    began: Instant,
    known: Mutex<Option<Exchange>>,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    on_end: OnEnd,
}

impl Exchange {
    /// A request of which no more is known than this.
    #[must_use]
    pub fn new(context: &RequestContext, method: &str, path: &str) -> Self {
        Self {
            context: *context,
            method: fuuffy_domain::shown(method, LONGEST.0),
            path: fuuffy_domain::shown(path, LONGEST.1),
            agent: None,
            traced: None,
            client: None,
            route: None,
            status: None,
            code: None,
            upstream: None,
            until_head: None,
            took: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
            broke_off: false,
        }
    }

    /// Notes what the caller says that it is.
    #[must_use]
    pub fn by(mut self, headers: &HeaderMap) -> Self {
        let agent = headers.get(header::USER_AGENT).map(|field| String::from_utf8_lossy(field.as_bytes()));
        self.agent = agent.map(|agent| fuuffy_domain::shown(&agent, LONGEST.2));
        self
    }
}

impl Trail {
    /// The trail of a request that begins now.
    #[must_use]
    pub fn new(exchange: Exchange, on_end: &OnEnd) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            known: Mutex::new(Some(exchange)),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            on_end: Arc::clone(on_end),
        })
    }

    fn note(&self, change: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = &mut *self.known.lock() {
            change(exchange);
        }
    }

    /// Notes whose request it is.
    pub fn used_by(&self, client: &ClientId) {
        self.note(|exchange| exchange.client = Some(client.clone()));
    }

    /// Notes which route it matched.
    pub(crate) fn matched(&self, route: &str) {
        self.note(|exchange| exchange.route = Some(route.to_owned()));
    }

    /// Notes what the upstream's part was.
    pub(crate) fn forwarded(&self, asked: Instant, answered: Instant) {
        let part = (asked.duration_since(self.began), answered.duration_since(self.began));
        self.note(|exchange| exchange.upstream = Some(part));
    }

    /// Notes the head of the answer.
    pub fn answered(&self, status: u16, code: Option<&'static str>) {
        let until_head = self.began.elapsed();
        self.note(|exchange| {
            exchange.status = Some(status);
            exchange.code = code;
            exchange.until_head = Some(until_head);
        });
    }

    /// Notes that the answer did not reach its end.
    pub fn broke_off(&self) {
        self.note(|exchange| exchange.broke_off = exchange.method != "HEAD");
    }

    /// Bytes came from the caller.
    pub fn moved_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes went to the caller.
    pub fn moved_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").finish_non_exhaustive()
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if let Some(mut exchange) = self.known.get_mut().take() {
            exchange.took = self.began.elapsed();
            exchange.bytes_in = *self.bytes_in.get_mut();
            exchange.bytes_out = *self.bytes_out.get_mut();
            (self.on_end)(exchange);
        }
    }
}

/// Counts the bytes of one exchange as they move, for its client's usage and for its trail.
#[derive(Debug, Clone)]
pub(crate) struct Movement {
    mover: Mover,
    trail: Option<Arc<Trail>>,
}

impl Movement {
    pub(crate) fn new(mover: Mover, trail: Option<&Arc<Trail>>) -> Self {
        Self { mover, trail: trail.cloned() }
    }

    pub(crate) fn to_api(&self, bytes: u64) {
        self.mover.to_api(bytes);
        if let Some(trail) = &self.trail {
            trail.moved_in(bytes);
        }
    }

    pub(crate) fn to_client(&self, bytes: u64) {
        self.mover.to_client(bytes);
        if let Some(trail) = &self.trail {
            trail.moved_out(bytes);
        }
    }
}
