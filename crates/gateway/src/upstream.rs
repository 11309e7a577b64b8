//! Connections to upstreams: one set of pools a thread, so that nothing is shared and nothing waits.
//!
//! A request goes to the upstream with the fewest requests under way, among those not known to be
//! down. One that refuses connections or goes silent is left alone for a while.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Poll, ready};
use std::time::Duration;

use futures_util::future::Either;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::body::{BodyFate, CallerBody};
use crate::snapshot::{RouteSettings, Snapshot, Upstream, UpstreamProtocol};

/// Failures in a row after which an upstream is left alone, and for how long.
const FAILURES: usize = 3;
const REST: Duration = Duration::from_secs(5);
/// How often it is looked whether a thread is late.
const BEAT: Duration = Duration::from_millis(50);
/// Idle connections kept to one upstream by one thread.
const MAX_IDLE: usize = 256;
/// How long a connection that was given back may take to be ready again.
const SETTLE: Duration = Duration::from_millis(50);

/// One thread's pools for one environment. A reload gives new ones; connections in use end by themselves.
#[derive(Default)]
pub struct Pools {
    of: Mutex<Option<(usize, Arc<RoutePools>)>>,
    /// Microseconds by which the thread is late with all that it does.
    late: AtomicU64,
}

/// The pools of all routes of one snapshot.
pub(crate) struct RoutePools(Vec<RoutePool>);

struct RoutePool {
    pools: Vec<Arc<Pool>>,
    /// Where the next choice begins, so that equals take turns.
    turn: AtomicUsize,
}

impl Pools {
    /// The pools that belong to a snapshot, made on first use.
    pub(crate) fn of(&self, snapshot: &Arc<Snapshot>) -> Arc<RoutePools> {
        let key = Arc::as_ptr(snapshot) as usize;
        let mut current = self.of.lock();
        if let Some((known, pools)) = &*current
            && *known == key
        {
            return Arc::clone(pools);
        }
        let pools = Arc::new(RoutePools::new(snapshot));
        *current = Some((key, Arc::clone(&pools)));
        pools
    }
}

impl Pools {
    /// By how much the thread is late with all that it does.
    pub(crate) fn late(&self) -> Duration {
        Duration::from_micros(self.late.load(Ordering::Relaxed))
    }

    /// Finds out, for as long as it is polled by the thread, by how much the thread is late: as late as with this. A
    /// request whose answer is there already waits as long.
    pub async fn keep_time(&self) {
        loop {
            let due = Instant::now() + BEAT;
            sleep_until(due).await;
            let late = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.late.store(late.max(self.late.load(Ordering::Relaxed) / 2), Ordering::Relaxed);
        }
    }
}

impl RoutePools {
    fn new(snapshot: &Arc<Snapshot>) -> Self {
        let of_route = |settings: &RouteSettings| {
            let pool = |upstream: &Upstream| Arc::new(Pool::new(&upstream.authority, settings, snapshot));
            RoutePool { pools: settings.upstreams.iter().map(pool).collect(), turn: AtomicUsize::new(0) }
        };
        Self(snapshot.routes.iter().map(of_route).collect())
    }

    /// The least loaded healthy upstream of a route, other than `not`; any other if all are down.
    pub(crate) fn choose(&self, route: usize, not: Option<&Arc<Pool>>) -> Option<Arc<Pool>> {
        let RoutePool { pools, turn } = self.0.get(route)?;
        if let ([only], None) = (&pools[..], not) {
            return Some(Arc::clone(only));
        }
        let now = Instant::now();
        let (before, after) = pools.split_at(turn.fetch_add(1, Ordering::Relaxed) % pools.len());
        let others = || after.iter().chain(before).filter(|pool| not.is_none_or(|not| !Arc::ptr_eq(pool, not)));
        let load = |pool: &&Arc<Pool>| pool.in_flight.load(Ordering::Relaxed);
        others().filter(|pool| pool.is_up(now)).min_by_key(load).or_else(|| others().min_by_key(load)).cloned()
    }
}

/// One thread's connections to one upstream.
pub(crate) struct Pool {
    pub(crate) authority: String,
    pub(crate) host: HeaderValue,
    pub(crate) protocol: UpstreamProtocol,
    connect_timeout: Duration,
    idle_timeout: Duration,
    in_flight: AtomicUsize,
    health: Mutex<Health>,
    idle: Mutex<IdleConnections>,
    shared: Mutex<Option<http2::SendRequest<CallerBody>>>,
    /// Keeps the snapshot's address from being reused while pools are keyed by it.
    _snapshot: Arc<Snapshot>,
}

#[derive(Default)]
struct Health {
    failures: usize,
    down_until: Option<Instant>,
}

/// No connection could be had: the request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectFailure {
    Refused,
    TimedOut,
}

/// How sending went: the head of the answer, or what failed.
pub(crate) type Sent = Result<Response<Incoming>, TrySendError<Request<CallerBody>>>;

impl Pool {
    fn new(authority: &str, settings: &RouteSettings, snapshot: &Arc<Snapshot>) -> Self {
        Self {
            authority: authority.to_owned(),
            host: HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static("invalid")),
            protocol: settings.protocol,
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
            in_flight: AtomicUsize::new(0),
            health: Mutex::default(),
            idle: Mutex::default(),
            shared: Mutex::default(),
            _snapshot: Arc::clone(snapshot),
        }
    }

    fn is_up(&self, now: Instant) -> bool {
        self.health.lock().down_until.is_none_or(|until| now >= until)
    }

    pub(crate) fn note_success(&self) {
        let mut health = self.health.lock();
        if health.failures > 0 {
            *health = Health::default();
        }
    }

    pub(crate) fn note_failure(&self) {
        let mut health = self.health.lock();
        health.failures += 1;
        if health.failures >= FAILURES {
            health.down_until = Some(Instant::now() + REST);
        }
    }

    /// A connection to send one request by: an idle one that still lives, or a new one. The request counts
    /// as the upstream's load from here on.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, ConnectFailure> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let mut lease = Lease { pool: Arc::clone(self), connection: None, watch: Watch::default() };
        lease.connection = Some(match self.protocol {
            UpstreamProtocol::Http1 => match self.reuse().await {
                Some((sender, watch)) => {
                    lease.watch = watch;
                    Connection::Http1 { sender, reused: true }
                }
                // Boxed, for its size is paid by every request and its use by few.
                None => Connection::Http1 { sender: Box::pin(self.connect_http1()).await?, reused: false },
            },
            UpstreamProtocol::Http2 => Connection::Http2(Box::pin(self.share_http2()).await?),
        });
        Ok(lease)
    }

    async fn reuse(&self) -> Option<(http1::SendRequest<CallerBody>, Watch)> {
        loop {
            let Idle { mut sender, since, watch } = self.idle.lock().connections.pop_back()?;
            if since.elapsed() >= self.idle_timeout || sender.is_closed() {
                continue;
            }
            // An upstream may answer before it has read the request whole; nobody else waits for that.
            if sender.is_ready() || matches!(timeout(SETTLE, sender.ready()).await, Ok(Ok(()))) {
                return Some((sender, watch));
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, ConnectFailure> {
        let stream = match timeout(self.connect_timeout, TcpStream::connect(&self.authority)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return Err(ConnectFailure::Refused),
            Err(_) => return Err(ConnectFailure::TimedOut),
        };
        // Failing to set this costs speed, not correctness.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    async fn connect_http1(&self) -> Result<http1::SendRequest<CallerBody>, ConnectFailure> {
        let io = TokioIo::new(self.connect().await?);
        let mut builder = http1::Builder::new();
        builder.writev(false).max_buf_size(64 * 1024);
        let (sender, connection) = builder.handshake(io).await.map_err(|_| ConnectFailure::Refused)?;
        // The task ends with the connection, which ends when its sender is dropped.
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }

    async fn share_http2(&self) -> Result<http2::SendRequest<CallerBody>, ConnectFailure> {
        let known = self.shared.lock().clone().filter(|sender| !sender.is_closed());
        if let Some(sender) = known {
            return Ok(sender);
        }
        let io = TokioIo::new(self.connect().await?);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20)).adaptive_window(true);
        let (sender, connection) = builder.handshake(io).await.map_err(|_| ConnectFailure::Refused)?;
        tokio::spawn(connection);
        *self.shared.lock() = Some(sender.clone());
        Ok(sender)
    }
}

/// Connections that wait for a request; the one that was used last comes last.
#[derive(Default)]
struct IdleConnections {
    connections: VecDeque<Idle>,
    /// Whether a task closes those that wait for too long.
    is_kept: bool,
}

/// Closes connections that wait for too long, until there are none.
async fn keep(pool: Weak<Pool>, idle_timeout: Duration) {
    loop {
        sleep(idle_timeout).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let (mut idle, now) = (pool.idle.lock(), Instant::now());
        while idle.connections.front().is_some_and(|oldest| now - oldest.since >= idle_timeout) {
            idle.connections.pop_front();
        }
        if idle.connections.is_empty() {
            idle.is_kept = false;
            return;
        }
    }
}

/// A connection that waits for a request.
struct Idle {
    sender: http1::SendRequest<CallerBody>,
    since: Instant,
    watch: Watch,
}

/// A connection on loan for one request.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    connection: Option<Connection>,
    watch: Watch,
}

/// Limits waits for answers. The timer stays with its connection and is moved only when it fires, since
/// setting one costs more than most answers take.
#[derive(Default)]
pub(crate) struct Watch(Option<Pin<Box<Sleep>>>);

/// Nothing came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimedOut;

impl Watch {
    /// Waits for an answer, for so long after the request's body moved last.
    pub(crate) async fn within<F: Future>(
        &mut self,
        limit: Duration,
        body: &BodyFate,
        mut answer: Pin<&mut F>,
    ) -> Result<F::Output, TimedOut> {
        let (mut since, mut moved) = (Instant::now(), body.moved());
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Ok(answer));
            }
            let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(since + limit)));
            if timer.is_elapsed() || timer.deadline() > since + limit {
                timer.as_mut().reset(since + limit);
            }
            loop {
                ready!(timer.as_mut().poll(cx));
                let (now, moves) = (Instant::now(), body.moved());
                if std::mem::replace(&mut moved, moves) != moves {
                    since = now;
                }
                if now >= since + limit {
                    return Poll::Ready(Err(TimedOut));
                }
                timer.as_mut().reset(since + limit);
            }
        })
        .await
    }
}

enum Connection {
    Http1 { sender: http1::SendRequest<CallerBody>, reused: bool },
    Http2(http2::SendRequest<CallerBody>),
}

impl Lease {
    /// Whether another request went by this connection before: only then can the upstream have closed it
    /// while this one was on its way.
    pub(crate) fn is_reused(&self) -> bool {
        matches!(self.connection, Some(Connection::Http1 { reused: true, .. } | Connection::Http2(_)))
    }

    /// What limits the wait for its answer.
    pub(crate) fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Begins to send a request. `None`: there is no connection, or no more.
    pub(crate) fn send(&mut self, request: Request<CallerBody>) -> Option<impl Future<Output = Sent> + use<>> {
        Some(match self.connection.as_mut()? {
            Connection::Http1 { sender, .. } => Either::Left(sender.try_send_request(request)),
            Connection::Http2(sender) => Either::Right(Box::pin(sender.try_send_request(request))),
        })
    }

    /// The answer was read whole: the connection may serve again.
    pub(crate) fn give_back(mut self) {
        if let Some(Connection::Http1 { sender, .. }) = self.connection.take() {
            let mut idle = self.pool.idle.lock();
            if idle.connections.len() >= MAX_IDLE || sender.is_closed() {
                return;
            }
            let watch = std::mem::take(&mut self.watch);
            idle.connections.push_back(Idle { sender, since: Instant::now(), watch });
            if !std::mem::replace(&mut idle.is_kept, true) {
                tokio::spawn(keep(Arc::downgrade(&self.pool), self.pool.idle_timeout));
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
