//! Where callers come in: loopback, a Unix socket that its owner alone can open, or both. Every connection
//! is bounded in number, head and time, and owned here until it ends.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Agent;
use super::door::Door;
use super::forward;
use crate::server::told_to_stop;

/// Connections at once; others wait in the backlog.
const CONNECTIONS: usize = 1024;
/// From a connection's start, or its last answer, to the end of the next head.
const HEADER: Duration = Duration::from_secs(30);
/// The most bytes of one head, and of what is read ahead of a body.
const BUFFER: usize = 64 * 1024;
/// The most fields of one head.
const FIELDS: usize = 100;
/// The longest that a stop waits for what is in flight.
const GRACE: Duration = Duration::from_secs(30);

/// The most bytes of a socket's path that the system takes (unix(7)).
const LONGEST_PATH: usize = 107;

/// What the agent listens on.
pub(super) struct Listeners {
    tcp: Option<(TcpListener, SocketAddr)>,
    unix: Option<(UnixListener, Socket)>,
}

/// A socket's name on disk, and which file that was when it got it.
struct Socket {
    path: PathBuf,
    file: (u64, u64),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listeners {
    /// Binds an address, a socket, or both.
    pub(super) async fn bind(address: Option<SocketAddr>, socket: Option<&Path>) -> anyhow::Result<Self> {
        let tcp = match address {
            Some(address) => {
                let listener = TcpListener::bind(address).await.with_context(|| {
                    format!("cannot listen on {address}; if an agent runs there already, give another by --listen")
                })?;
                let bound = listener.local_addr()?;
                Some((listener, bound))
            }
            None => None,
        };
        let unix = match socket {
            Some(path) => Some(bind_unix(path)?),
            None => None,
        };
        Ok(Self { tcp, unix })
    }

    /// What was bound, as the ready line says it.
    pub(super) fn places(&self) -> Value {
        let mut places = json!({});
        if let Some((_, address)) = &self.tcp {
            places["agent"] = address.to_string().into();
        }
        if let Some((_, socket)) = &self.unix {
            places["unix"] = socket.path.display().to_string().into();
        }
        places
    }

    /// Serves until `stop` ends, and then lets what is in flight finish.
    pub(super) async fn serve(self, agent: Arc<Agent>, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let mut doors = JoinSet::new();
        if let Some((listener, address)) = self.tcp {
            let door = Door::Port(address.port());
            doors.spawn(accept(Arc::clone(&agent), door, Listener::Tcp(listener), Arc::clone(&room), stopped.clone()));
        }
        let socket = self.unix.map(|(listener, socket)| {
            doors.spawn(accept(agent, Door::Socket, Listener::Unix(listener), room, stopped));
            socket
        });
        stop.await;
        if let Some(socket) = socket {
            // While it is listened on, its number is no other file's.
            socket.remove();
        }
        let _ = stopping.send(true);
        let drained = async { while doors.join_next().await.is_some() {} };
        if timeout(GRACE, drained).await.is_err() {
            tracing::warn!("The grace period is over; connections were cut off");
        }
    }
}

impl Socket {
    /// Removes the name, unless another agent has taken it by now.
    fn remove(self) {
        if file(&self.path).is_ok_and(|file| file == self.file) {
            // Gone is what it is to be.
            let _ = std::fs::remove_file(self.path);
        }
    }
}

/// Which file a name leads to.
fn file(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A socket that is never there with another mode than 0600: it gets its name when it is ready. One that a
/// dead agent left behind is replaced.
fn bind_unix(path: &Path) -> anyhow::Result<(UnixListener, Socket)> {
    let place = path.display();
    if path.as_os_str().len() > LONGEST_PATH {
        bail!("{place} is longer than {LONGEST_PATH} bytes, and no program can connect to it; give a shorter path");
    }
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => bail!("{place} is there already and is no socket"),
        Ok(_) if StdUnixStream::connect(path).is_ok() => bail!("another program listens on {place}"),
        _ => {}
    }
    let failed = || format!("cannot listen on {place}");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let private = tempfile::Builder::new().prefix(".").rand_bytes(4).tempdir_in(folder).with_context(failed)?;
    let unnamed = private.path().join("s");
    let listener = UnixListener::bind(&unnamed).with_context(failed)?;
    std::fs::set_permissions(&unnamed, Permissions::from_mode(0o600)).with_context(failed)?;
    let socket = Socket { path: path.to_path_buf(), file: file(&unnamed).with_context(failed)? };
    std::fs::rename(&unnamed, path).with_context(failed)?;
    Ok((listener, socket))
}

impl Listener {
    async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(listener) => Stream::Tcp(listener.accept().await?.0),
            Self::Unix(listener) => Stream::Unix(listener.accept().await?.0),
        })
    }
}

async fn accept(
    agent: Arc<Agent>,
    door: Door,
    listener: Listener,
    room: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            () = told_to_stop(&mut stopped) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = told_to_stop(&mut stopped) => break,
        };
        let (agent, stopped) = (Arc::clone(&agent), stopped.clone());
        match accepted {
            Ok(Stream::Tcp(stream)) => {
                // Failing to set this costs speed, not correctness.
                let _ = stream.set_nodelay(true);
                connections.spawn(async move {
                    serve(agent, door, stream, stopped).await;
                    drop(permit);
                });
            }
            Ok(Stream::Unix(stream)) => {
                connections.spawn(async move {
                    serve(agent, door, stream, stopped).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors, usually: connections that end will free some.
                tracing::warn!(%error, "A connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(
    agent: Arc<Agent>,
    door: Door,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    mut stopped: watch::Receiver<bool>,
) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER);
    server.max_buf_size(BUFFER).max_headers(FIELDS).writev(false);
    let service = service_fn(move |request| forward::answer(Arc::clone(&agent), door, request));
    let connection = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told_to_stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A caller's connection ended early");
    }
}
