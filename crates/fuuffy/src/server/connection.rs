//! One caller's connection, from accept to close.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{Clock, Entropy, Reason, Refused, RequestContext, RequestId};
use fuuffy_gateway::{CallerFields, Exchange, Pools};
use fuuffy_issuer::Leak;
use fuuffy_protocol::{Refusal, RequestFault};
use http::header::{HeaderMap, HeaderName};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::busy::Shared;
use super::farewell;
use super::framing::{Framing, HeadLimits};
use super::guard::{Guarded, Patience};
use super::leaks;
use super::listener::Door;
use super::mutual_tls::CertificateSource;
use super::request_line::RequestLine;
use super::service;
use super::tls::Accepted;
use super::transport::Transport;
use super::{Environment, told_to_stop};
use crate::config::{ConnectionLimits, TlsMode};

/// What whoever speaks plain HTTP to a port that speaks TLS is told.
const IN_CLEAR_REFUSED: Refusal = Refusal::InvalidRequest(RequestFault::PlainHttp);
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// So much of what came in clear is searched for what leaked by that, in bytes.
const IN_CLEAR: usize = 16 * 1024;
/// How long that is waited for.
const HEARING: Duration = Duration::from_secs(2);
/// How long a connection stays with hyper after a request, at most.
const NAP: Duration = Duration::from_millis(100);

/// One environment's part of a worker thread.
pub(super) struct Worker {
    pub(super) environment: Arc<Environment>,
    pub(super) pools: Pools,
    ids: Mutex<Ids>,
    entropy: Arc<dyn Entropy>,
    server: auto::Builder<TokioExecutor>,
}

/// Random bytes of the system's generator for request ids, many at a time. Tokens and secrets never
/// come from here.
struct Ids {
    bytes: [u8; 640],
    used: usize,
}

impl Worker {
    pub(super) fn new(environment: Arc<Environment>, entropy: Arc<dyn Entropy>) -> Self {
        let limits = &environment.settings.limits;
        let mut server = auto::Builder::new(TokioExecutor::new());
        // The guard keeps time for HTTP/1; hyper's own limits stand behind it.
        let head = (limits.max_uri + limits.max_header_bytes + 8192).max(16 * 1024);
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .writev(false)
            .max_buf_size(head)
            .max_headers(limits.max_headers.max(1));
        server
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
            .max_concurrent_streams(256);
        let ids = Mutex::new(Ids { bytes: [0; 640], used: 640 });
        Self { environment, pools: Pools::default(), ids, entropy, server }
    }

    pub(super) fn grace(&self) -> Duration {
        self.environment.grace
    }

    /// Random bytes for an id.
    pub(super) fn random<const N: usize>(&self) -> [u8; N] {
        let mut random = [0; N];
        let mut ids = self.ids.lock();
        if ids.used + N > ids.bytes.len() {
            // An id without randomness is still unique enough to find a request by.
            ids.used = 0;
            let Ids { bytes, .. } = &mut *ids;
            let _ = self.entropy.fill(bytes);
        }
        let used = ids.used;
        random.copy_from_slice(&ids.bytes[used..used + N]);
        ids.used += N;
        random
    }

    /// The context of a request that begins now.
    pub(super) fn context(&self, peer: IpAddr) -> RequestContext {
        let now = self.environment.clock.now();
        RequestContext { id: RequestId::generate(now, self.random()), peer, now }
    }
}

/// What all requests of one connection share.
pub(super) struct Caller {
    pub(super) worker: Arc<Worker>,
    pub(super) peer: SocketAddr,
    pub(super) fields: CallerFields,
    pub(super) shared: Arc<Shared>,
    /// Whether it came by HTTPS.
    pub(super) is_secure: bool,
    pub(super) certificates: CertificateSource,
}

/// What is known of a connection before its first request.
#[derive(Clone, Copy)]
struct Origin<'a> {
    peer: SocketAddr,
    scheme: &'static str,
    certificates: &'a CertificateSource,
}

/// Serves one connection until either side ends it. hyper has it only while there is something to do.
pub(super) async fn serve(door: &Door, stream: TcpStream, peer: SocketAddr, mut stopped: watch::Receiver<bool>) {
    // On a listener for both families an IPv4 caller comes in IPv6's clothes.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    // Failing to set this costs speed, not correctness.
    let _ = stream.set_nodelay(true);
    let (worker, mut stream, is_new) = match &door.tls {
        None => (door.worker(0), Transport::Clear(stream), true),
        Some(tls) => {
            let worker = door.worker(0);
            let accepted = tokio::select! {
                accepted = tls.accept(stream, worker.environment.settings.limits.header_timeout) => accepted,
                () = told_to_stop(&mut stopped) => return,
            };
            match accepted {
                // A request may have come with the end of the handshake.
                Accepted::Session(session, meant) => (door.worker(meant), Transport::Tls(session), false),
                Accepted::Clear(stream) => return refuse_clear(door, stream, peer).await,
                Accepted::Nothing => return,
            }
        }
    };
    let _open = worker.environment.open_connection();
    let scheme = match &worker.environment.settings.tls {
        TlsMode::Loopback => "http",
        TlsMode::Own(_) | TlsMode::Acme { .. } => "https",
        TlsMode::Terminated { trusted_proxies } if trusted_proxies.iter().any(|net| net.contains(&peer.ip())) => {
            "https"
        }
        TlsMode::Terminated { .. } => {
            tracing::warn!(%peer, "A connection from an address that is not among trusted_proxies was closed");
            return;
        }
    };
    let certificates = CertificateSource::of(&worker.environment, &stream);
    let origin = Origin { peer, scheme, certificates: &certificates };
    let limits = &worker.environment.settings.limits;
    let (mut patience, mut is_idle) = (limits.header_timeout, is_new);
    while !is_idle || has_bytes(stream.socket(), patience, &mut stopped).await {
        let awake = Box::pin(serve_awake(worker, stream, origin, &mut stopped));
        let Some(idle) = awake.await else {
            return;
        };
        (stream, is_idle) = (idle, true);
        patience = limits.idle_timeout.saturating_sub(nap(limits));
    }
}

/// Refuses whoever speaks plain HTTP to a port that speaks TLS, and notes it.
async fn refuse_clear(door: &Door, mut stream: TcpStream, peer: SocketAddr) {
    let worker = door.worker(0);
    let context = worker.context(peer.ip());
    // Whoever listens has it as soon as we do, so it is taken away before anything is said.
    let mut heard = Zeroizing::new(Vec::new());
    let _ = timeout(HEARING, hear(&mut stream, &mut heard)).await;
    // Which environment was meant is not known.
    for other in door.workers().iter().skip(1) {
        if let Some(leak) = other.environment.look_into(&context, leaks::find_in_clear(&heard)).await {
            explain_clear(&other.environment, (&context, &heard), Some(leak));
        }
    }
    refuse_heard(&worker.environment, (&context, &heard), stream).await;
}

/// Refuses a request that came in clear, notes it, and looks into what leaked by that.
pub(super) async fn refuse_heard(
    environment: &Environment,
    (context, heard): (&RequestContext, &[u8]),
    stream: TcpStream,
) {
    environment.gateway.refusals().note(&IN_CLEAR_REFUSED);
    let leak = environment.look_into(context, leaks::find_in_clear(heard)).await;
    explain_clear(environment, (context, heard), leak);
    farewell::say_that_it_is_clear(stream, context.id).await;
}

fn explain_clear(environment: &Environment, (context, heard): (&RequestContext, &[u8]), leak: Option<Leak>) {
    let RequestLine { method, path } = RequestLine::read(heard);
    let (client, reason) = match leak {
        Some(Leak { client, secret, .. }) => (Some(client.id.clone()), Reason::LeakedInClear { secret_id: secret }),
        None => (None, Reason::Told),
    };
    let refused = Refused::new(context, (&method, &path), &IN_CLEAR_REFUSED, reason);
    environment.explanations.record(Refused { client, ..refused });
}

/// Reads a request as far as it comes: to the end of its head, and of a short body where it says how long that is.
pub(super) async fn hear(stream: &mut TcpStream, heard: &mut Vec<u8>) -> std::io::Result<()> {
    while heard.len() < IN_CLEAR && !leaks::is_whole(heard) {
        if stream.read_buf(heard).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Waits for a caller's next byte; false where it does not come, or the server stops.
async fn has_bytes(stream: &TcpStream, patience: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    let mut next = [0];
    tokio::select! {
        peeked = timeout(patience, stream.peek(&mut next)) => matches!(peeked, Ok(Ok(1))),
        () = told_to_stop(stopped) => false,
    }
}

/// How long a connection stays with hyper after a request.
fn nap(limits: &ConnectionLimits) -> Duration {
    NAP.min(limits.idle_timeout / 2)
}

/// Serves requests until the connection ends, or is idle: then it comes back.
async fn serve_awake(
    worker: &Arc<Worker>,
    stream: Transport,
    Origin { peer, scheme, certificates }: Origin<'_>,
    stopped: &mut watch::Receiver<bool>,
) -> Option<Transport> {
    let shared = Arc::new(Shared::default());
    let io = guard(worker, stream, (peer, scheme), &shared);
    let fields = CallerFields::new(peer.ip(), scheme);
    let caller = Arc::new(Caller {
        worker: Arc::clone(worker),
        peer,
        fields,
        shared: Arc::clone(&shared),
        is_secure: scheme == "https",
        certificates: certificates.clone(),
    });
    let service = service_fn(move |request| service::answer(Arc::clone(&caller), request));
    {
        let connection = worker.server.serve_connection_with_upgrades(TokioIo::new(io), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = told_to_stop(stopped) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "A connection ended early");
        }
    }
    if let Some(tunnel) = shared.take_tunnel() {
        tunnel.carry(worker.environment.settings.limits.idle_timeout).await;
        return None;
    }
    shared.take_idle()
}

impl Caller {
    /// Whether a trusted proxy says that a request came to it in clear. The last word is its own.
    pub(super) fn came_in_clear(&self, headers: &HeaderMap) -> bool {
        if !matches!(self.worker.environment.settings.tls, TlsMode::Terminated { .. }) {
            return false;
        }
        let last = headers.get_all(FORWARDED_PROTO).iter().next_back().and_then(|field| field.to_str().ok());
        last.and_then(|field| field.rsplit(',').next()).is_some_and(|word| word.trim().eq_ignore_ascii_case("http"))
    }

    /// The address that a trusted proxy speaks for: the last in `X-Forwarded-For` that is no trusted
    /// proxy's itself. What stands before it may have been made up.
    pub(super) fn proxied_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let TlsMode::Terminated { trusted_proxies } = &self.worker.environment.settings.tls else {
            return None;
        };
        let fields = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut addresses = fields.flat_map(|field| field.to_str().unwrap_or_default().rsplit(','));
        addresses.find_map(|text| match text.trim().parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) if trusted_proxies.iter().any(|net| net.contains(&address)) => None,
            known => Some(known.ok()),
        })?
    }
}

fn guard(
    worker: &Arc<Worker>,
    stream: Transport,
    (peer, scheme): (SocketAddr, &'static str),
    shared: &Arc<Shared>,
) -> Guarded {
    let limits = &worker.environment.settings.limits;
    let framing =
        Framing::new(HeadLimits { uri: limits.max_uri, bytes: limits.max_header_bytes, fields: limits.max_headers });
    let patience = Patience {
        header: limits.header_timeout,
        nap: nap(limits),
        idle: limits.idle_timeout.max(limits.body_timeout),
        write: limits.body_timeout,
    };
    let worker = Arc::clone(worker);
    let answer = Box::new(move |refusal, line: RequestLine| {
        let (environment, context) = (&worker.environment, worker.context(peer.ip()));
        environment.gateway.refusals().note(&refusal);
        let asked = (line.method.as_str(), line.path.as_str());
        environment.explanations.record(Refused::new(&context, asked, &refusal, Reason::Told));
        if let Some(trails) = &environment.trails {
            let (status, code) = (Some(refusal.status().as_u16()), Some(refusal.code()));
            trails.note(Exchange { status, code, ..Exchange::new(&context, asked.0, asked.1) });
        }
        farewell::answer(context.id, &refusal, (line.shape(), scheme))
    });
    Guarded::new(stream, framing, Arc::clone(shared), patience, answer)
}
