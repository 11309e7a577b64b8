//! Listening sockets and worker threads: one single-threaded runtime a core, each with a socket of its
//! own for each environment, between which the kernel spreads connections (`SO_REUSEPORT`).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::acme::Challenges;
use super::connection::{self, Worker};
use super::tls::Tls;
use super::{Environment, Sources, told_to_stop};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// The sockets of one environment, one a worker.
pub(super) struct Listeners {
    pub(super) address: SocketAddr,
    sockets: Vec<TcpListener>,
}

/// Those who are served on one address, and its sockets.
pub(super) struct Bound {
    /// One, unless names tell them apart.
    pub(super) environments: Vec<Arc<Environment>>,
    pub(super) listeners: Listeners,
}

/// One worker's part of a listener.
pub(super) struct Door {
    /// Those who may be meant; the first, unless a name says otherwise.
    workers: Vec<Arc<Worker>>,
    pub(super) tls: Option<Tls>,
}

impl Door {
    /// Whoever is meant.
    pub(super) fn worker(&self, number: usize) -> &Arc<Worker> {
        self.workers.get(number).unwrap_or(&self.workers[0])
    }

    /// All who may be meant.
    pub(super) fn workers(&self) -> &[Arc<Worker>] {
        &self.workers
    }
}

impl Bound {
    /// How TLS is spoken here, if all who are served here have certificates.
    fn tls(&self, challenges: Option<&Arc<Challenges>>) -> anyhow::Result<Option<Tls>> {
        let certificate = |environment: &Arc<Environment>| {
            Some((environment.settings.hosts.clone(), Arc::clone(environment.certificate.as_ref()?)))
        };
        let certificates: Option<Vec<_>> = self.environments.iter().map(certificate).collect();
        let asks = self.environments.iter().any(|environment| environment.settings.mutual_tls.is_some());
        certificates.map(|certificates| Tls::new(certificates, challenges.cloned(), asks)).transpose()
    }
}

/// Binds one socket for each worker to the same address.
pub(super) fn bind(address: SocketAddr, workers: usize) -> io::Result<Listeners> {
    if address.port() != 0 {
        // A socket that does not share finds out whether somebody else listens there.
        drop(socket(address, false)?);
    }
    let first = socket(address, true)?;
    let address = first.local_addr()?;
    let others = (1..workers).map(|_| socket(address, true));
    let sockets = std::iter::once(Ok(first)).chain(others).collect::<io::Result<Vec<_>>>()?;
    Ok(Listeners { address, sockets })
}

fn socket(address: SocketAddr, share: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Starts the workers. Each ends when told to stop and its connections have ended or the grace is over.
pub(super) fn spawn_workers(
    workers: usize,
    mut bound: Vec<Bound>,
    sources: &Sources,
    challenges: Option<Arc<Challenges>>,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let tls = bound.iter().map(|bound| bound.tls(challenges.as_ref())).collect::<anyhow::Result<Vec<_>>>()?;
    let mut threads = Vec::with_capacity(workers);
    for number in 0..workers {
        let mut mine = Vec::new();
        for (Bound { environments, listeners }, tls) in bound.iter_mut().zip(&tls) {
            if let Some(socket) = listeners.sockets.pop() {
                let worker = |environment| Arc::new(Worker::new(Arc::clone(environment), Arc::clone(&sources.entropy)));
                mine.push((Door { workers: environments.iter().map(worker).collect(), tls: tls.clone() }, socket));
            }
        }
        let stopped = stopped.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        threads.push(thread.spawn(move || runtime.block_on(work(mine, workers, stopped)))?);
    }
    Ok(threads)
}

async fn work(listeners: Vec<(Door, TcpListener)>, workers: usize, stopped: watch::Receiver<bool>) {
    let mut serving = JoinSet::new();
    for (door, socket) in listeners {
        match tokio::net::TcpListener::from_std(socket) {
            Ok(listener) => {
                serving.spawn(accept(Arc::new(door), listener, workers, stopped.clone()));
            }
            Err(error) => tracing::error!(%error, "A listening socket could not be used"),
        }
    }
    while serving.join_next().await.is_some() {}
}

/// Accepts until told to stop, then waits for the connections; every one of them is owned here.
async fn accept(
    door: Arc<Door>,
    listener: tokio::net::TcpListener,
    workers: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let connections = door.workers.iter().map(|worker| worker.environment.settings.limits.connections).sum::<usize>();
    let room = Arc::new(Semaphore::new((connections / workers).max(1)));
    let mut connections = JoinSet::new();
    // It ends with this set, whose connections are waited for.
    let mut beats = JoinSet::new();
    for worker in &door.workers {
        let worker = Arc::clone(worker);
        beats.spawn(async move { worker.pools.keep_time().await });
    }
    loop {
        // Callers beyond the limit wait in the backlog.
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            () = told_to_stop(&mut stopped) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = told_to_stop(&mut stopped) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (door, stopped) = (Arc::clone(&door), stopped.clone());
                connections.spawn(async move {
                    connection::serve(&door, stream, peer, stopped).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of descriptors, usually: connections that end will free some.
                tracing::warn!(%error, "A connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let grace = door.worker(0).grace();
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, drained).await.is_err() {
        tracing::warn!(environment = %door.worker(0).environment.name, "The grace period is over; connections were cut off");
    }
}
