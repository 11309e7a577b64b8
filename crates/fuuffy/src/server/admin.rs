//! What operators reach: health, metrics and, by token, the deeds on the admin listener; the deeds on a Unix
//! socket that only the server's own user can open. Neither is on the path of any caller of the API.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use axum::{Extension, Router};
use fuuffy_admin::{Caller, Stranger};
use fuuffy_domain::{Actor, Timestamp};
use fuuffy_store::Store;
use http_body_util::BodyExt as _;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::service::HSTS;
use super::tls::{Accepted, Tls};
use super::{Environments, farewell, metrics, told_to_stop};

/// Connections of operators at a time, on each of the two listeners.
const MAX_CONNECTIONS: usize = 256;
/// How long an operator's program may take with what it says first.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection without a request is closed after so long, or twice that.
const IDLE: Duration = Duration::from_secs(30);

/// Whether the server takes requests.
#[derive(Debug, Default)]
pub(super) struct Readiness(AtomicBool);

impl Readiness {
    pub(super) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }
}

#[derive(Clone)]
struct Observed {
    environments: Environments,
    ready: Arc<Readiness>,
    started: Timestamp,
}

/// `/livez`, `/readyz` and `/metrics`.
pub(super) fn observe(environments: Environments, ready: Arc<Readiness>, started: Timestamp) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .with_state(Observed { environments, ready, started })
}

/// Ready means: takes requests, has every certificate, and every store can write. A store that cannot still validates tokens; one whose
/// disk is full still revokes.
async fn readyz(State(observed): State<Observed>) -> impl IntoResponse {
    if !observed.ready.0.load(Ordering::Acquire) {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    }
    if let Some(words) = observed.environments.certificates().find_map(|certificate| certificate.missing()) {
        return (StatusCode::SERVICE_UNAVAILABLE, words);
    }
    match observed.environments.iter().find(|environment| !environment.store.is_writable()) {
        Some(environment) if environment.store.is_full() => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the disk of the store of {} is full; make room, and it goes on by itself\n", environment.name),
        ),
        Some(environment) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the store of {} cannot write; restart the server\n", environment.name),
        ),
        None => (StatusCode::OK, "ready\n".to_owned()),
    }
}

async fn show_metrics(State(observed): State<Observed>, headers: HeaderMap) -> impl IntoResponse {
    let format = metrics::Format::asked_for(&headers);
    match metrics::text(&observed.environments, observed.started, format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What is behind the operators' listener, and how they come in.
pub(super) struct Door {
    router: Router,
    lock: Option<Lock>,
}

/// TLS, and who gives ids to those who are told to speak it.
#[derive(Clone)]
struct Lock {
    tls: Tls,
    environments: Environments,
}

impl Door {
    /// For a router, within TLS where that is to be spoken.
    pub(super) fn new(router: Router, tls: Option<Tls>, environments: Environments) -> Self {
        let Some(tls) = tls else {
            return Self { router, lock: None };
        };
        let router = router.layer(map_response(async |mut response: Response| {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
            response
        }));
        Self { router, lock: Some(Lock { tls, environments }) }
    }
}

/// Serves operators on a TCP address until stopped. Answers what was bound.
pub(super) async fn listen(
    tasks: &mut JoinSet<()>,
    address: SocketAddr,
    Door { router, lock }: Door,
    stopped: watch::Receiver<bool>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let known = move |_: &TcpStream, peer: SocketAddr| {
        router.clone().layer(Extension(Stranger { from: peer.ip().to_canonical() }))
    };
    let enter = move |stream, router, stopped| enter(stream, lock.clone(), router, stopped);
    tasks.spawn(accept(listener, known, enter, stopped));
    Ok(bound)
}

/// Serves a router on a Unix socket of mode 0600 until stopped. The data directory's lock is held, so a
/// socket that is there already belongs to nobody.
pub(super) fn listen_unix(
    tasks: &mut JoinSet<()>,
    path: &Path,
    router: Router,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // It gets its name when its mode is right.
    let unnamed = path.with_extension("new");
    let _ = std::fs::remove_dir_all(&unnamed);
    let private = DirBuilder::new().mode(0o700).create(&unnamed).map(|()| unnamed.join("s"))?;
    let listener = UnixListener::bind(&private)?;
    std::fs::set_permissions(&private, Permissions::from_mode(0o600))?;
    std::fs::rename(&private, path)?;
    std::fs::remove_dir(&unnamed)?;
    // Whoever can open the socket may do everything; the audit log says which user it was.
    let known = move |stream: &UnixStream, _| match stream.peer_cred() {
        Ok(peer) => router.clone().layer(Extension(Caller { actor: Actor::Socket { uid: peer.uid() }, from: None })),
        Err(_) => router.clone(),
    };
    tasks.spawn(accept(listener, known, serve, stopped));
    Ok(())
}

async fn accept<L: Listener, S: Future<Output = ()> + Send + 'static>(
    mut listener: L,
    router: impl Fn(&L::Io, L::Addr) -> Router,
    serve: impl Fn(L::Io, Router, watch::Receiver<bool>) -> S,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        // Whoever comes while there are so many waits to be accepted.
        let has_room = connections.len() < MAX_CONNECTIONS;
        tokio::select! {
            (stream, peer) = listener.accept(), if has_room => {
                let router = router(&stream, peer);
                connections.spawn(serve(stream, router, stopped.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = told_to_stop(&mut stopped) => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Serves a connection, within TLS where that is spoken.
async fn enter(stream: TcpStream, lock: Option<Lock>, router: Router, stopped: watch::Receiver<bool>) {
    let Some(Lock { tls, environments }) = lock else {
        return serve(stream, router, stopped).await;
    };
    match tls.accept(stream, PATIENCE).await {
        Accepted::Session(session, _) => serve(*session, router, stopped).await,
        Accepted::Clear(stream) => {
            if let Some(id) = environments.new_request_id() {
                farewell::say_that_it_is_clear(stream, id).await;
            }
        }
        Accepted::Nothing => {}
    }
}

/// What a connection is used for: its requests that are under way, and how many there have been.
#[derive(Default)]
struct Busy {
    begun: AtomicU64,
    /// As many as there had been when it was looked at last.
    seen: AtomicU64,
}

impl Busy {
    /// A request that is under way until what this returns is dropped.
    fn ask(self: &Arc<Self>) -> Arc<Self> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Arc::clone(self)
    }

    /// Whether nothing is under way, and nothing has begun since this was asked last. The service and the connection hold it,
    /// too.
    fn is_idle(self: &Arc<Self>) -> bool {
        let begun = self.begun.load(Ordering::Relaxed);
        self.seen.swap(begun, Ordering::Relaxed) == begun && Arc::strong_count(self) <= 2
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PATIENCE)
        .keep_alive_timeout(PATIENCE)
        .max_header_list_size(16 * 1024)
        .max_concurrent_streams(32);
    let (busy, router) = (Arc::new(Busy::default()), TowerToHyperService::new(router));
    let counted = Arc::clone(&busy);
    let service = service_fn(move |request| {
        let (asked, answer) = (counted.ask(), router.call(request));
        async move {
            // Under way until the last of the answer is taken.
            answer.await.map(|answer| {
                answer.map(|body| {
                    body.map_frame(move |frame| {
                        let _under_way = &asked;
                        frame
                    })
                })
            })
        }
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = told_to_stop(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                break connection.await;
            }
            // Whoever says nothing, in whichever protocol, is in the way of those who do.
            () = tokio::time::sleep(IDLE) => {
                if busy.is_idle() {
                    return;
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "An operator's connection ended early");
    }
}
