//! A running server: environments, listeners, threads, and how they start, reload and stop.

mod access_log;
mod acme;
mod admin;
mod alerts;
mod busy;
mod certificate;
mod certificates;
mod connection;
mod environment;
mod farewell;
mod framing;
mod guard;
mod keys;
mod leaks;
mod letter;
mod listener;
mod looked;
mod metrics;
mod mutual_tls;
#[cfg(not(feature = "otlp"))]
#[path = "no_otlp.rs"]
mod otlp;
#[cfg(feature = "otlp")]
mod otlp;
mod own;
mod private_file;
mod published;
mod reports;
mod request_line;
mod rsa_keys;
mod service;
mod silences;
mod smtp;
mod system;
mod tls;
mod trails;
mod transport;
mod unusual;
mod webhook;
mod well_known;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::{Extension, Router};
use fuuffy_admin::Caller;
use fuuffy_domain::{Actor, Clock as _, Entropy, RequestId, TimeSource};
use fuuffy_store::embedded::{DirectoryLock, checkpoints_path};
use fuuffy_store::{Store, audit_key, pepper};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Config;
use acme::{Acme, Plain};
use certificate::Certificate;
use keys::KeyFile;
use listener::Bound;
use tls::Tls;

pub use acme::PlainRequest;
pub use environment::Environment;
pub(crate) use environment::store_path;
pub use framing::{Framing, HeadLimits, Progress};
pub use looked::Names;
pub(crate) use published::may_be_at;
pub use request_line::RequestLine;
pub use system::{SystemEntropy, SystemTime};

/// The audit key file in a data directory.
pub(crate) const AUDIT_KEY: &str = "audit.key";

/// What a server gets from outside, so that a test can own it.
#[derive(Clone)]
pub struct Sources {
    /// Time.
    pub time: Arc<dyn TimeSource>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Who knows the addresses of the names in the configuration.
    pub names: Names,
    /// Where the key file is, if not in the data directory.
    pub pepper_file: Option<PathBuf>,
    /// Where the audit key file is, if not in the data directory.
    pub audit_key_file: Option<PathBuf>,
    /// What stands between the product and a store that was opened: nothing, but in a measurement.
    pub store: fn(Arc<dyn Store>) -> Arc<dyn Store>,
}

impl Sources {
    /// The machine's own.
    #[must_use]
    pub fn system() -> Self {
        Self {
            time: Arc::new(SystemTime),
            entropy: Arc::new(SystemEntropy),
            names: Arc::new(system::addresses),
            pepper_file: crate::settings::pepper_file(),
            audit_key_file: crate::settings::audit_key_file(),
            store: |store| store,
        }
    }

    /// Where the audit key file of a configuration is.
    pub(crate) fn audit_key_file(&self, config: &Config) -> PathBuf {
        self.audit_key_file.clone().unwrap_or_else(|| config.data_dir.join(AUDIT_KEY))
    }

    /// Where the key file of a configuration is.
    pub(crate) fn pepper_file(&self, config: &Config) -> PathBuf {
        self.pepper_file.clone().unwrap_or_else(|| config.data_dir.join("pepper.key"))
    }
}

/// What was bound: the ready line.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// The testing environment's listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub testing: Option<SocketAddr>,
    /// The production environment's listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<SocketAddr>,
    /// The admin listener.
    pub admin: SocketAddr,
    /// Where an authority comes by plain HTTP, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme: Option<SocketAddr>,
}

/// Both environments, each whole or absent. There is no map of them.
#[derive(Clone)]
pub struct Environments {
    /// The testing environment.
    pub testing: Option<Arc<Environment>>,
    /// The production environment.
    pub production: Option<Arc<Environment>>,
    /// What the operators' listener shows, if it speaks TLS.
    certificate: Option<Arc<Certificate>>,
    /// Who gives certificates, if anybody does.
    acme: Option<Arc<Acme>>,
    keys: Arc<KeyFile>,
}

impl Environments {
    /// Opens the data directory and whatever in it the configuration names.
    ///
    /// # Errors
    /// Another process holds the directory, or a file is not what it should be.
    pub fn open(config: &Config, sources: &Sources) -> anyhow::Result<(Self, DirectoryLock)> {
        let lock = DirectoryLock::acquire(&config.data_dir)?;
        let file = sources.pepper_file(config);
        let exist = [&config.environments.testing, &config.environments.production]
            .into_iter()
            .flatten()
            .any(|environment| store_path(config, environment.name).exists());
        let keys = pepper::load_or_create(&file, exist, &*sources.entropy)?;
        let audit_file = sources.audit_key_file(config);
        let signed_before = [&config.environments.testing, &config.environments.production]
            .into_iter()
            .flatten()
            .any(|environment| checkpoints_path(&store_path(config, environment.name)).exists());
        let audit_keys = audit_key::load_or_create(&audit_file, signed_before, &*sources.entropy)?;
        let open = |settings: &Option<crate::config::EnvironmentConfig>| {
            settings
                .as_ref()
                .map(|settings| Environment::open(config, settings, sources, (&keys, &audit_keys)).map(Arc::new))
                .transpose()
        };
        let (testing, production) = (open(&config.environments.testing)?, open(&config.environments.production)?);
        let keys = Arc::new(KeyFile::new((file, audit_file), config, Arc::clone(&sources.entropy)));
        Ok((Self { testing, production, certificate: None, acme: None, keys }, lock))
    }

    /// Those that there are.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Environment>> {
        [&self.testing, &self.production].into_iter().flatten()
    }

    /// Opens what a server needs and a command does not: certificates, and what writes down requests.
    async fn open_for_callers(&mut self, config: &Config, sources: &Sources) -> anyhow::Result<()> {
        self.acme = Acme::open(config, sources)?;
        for environment in [&mut self.testing, &mut self.production].into_iter().flatten() {
            let environment = Arc::get_mut(environment).context("the environment is shared already")?;
            environment.open_certificate(self.acme.as_deref()).await?;
            environment.open_authorities()?;
            environment.settings.check_published()?;
            environment.write_down_requests(config.otlp.as_ref())?;
        }
        Ok(())
    }

    /// The certificates that are shown, on whichever listener.
    fn certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.iter().filter_map(|environment| environment.certificate.as_ref()).chain(&self.certificate)
    }

    /// An id for what comes to no environment; `None` where there is no randomness.
    fn new_request_id(&self) -> Option<RequestId> {
        let environment = self.iter().next()?;
        let mut random = [0; 10];
        self.keys.entropy.fill(&mut random).ok()?;
        Some(RequestId::generate(environment.clock.now(), random))
    }

    /// What the server does by itself once a minute.
    pub async fn each_minute(&self) {
        for environment in self.iter() {
            environment.each_minute().await;
        }
        if let Some(certificate) = &self.certificate {
            // Operators of either environment come by that listener.
            let environments: Vec<&Environment> = self.iter().map(|environment| &**environment).collect();
            environment::remind_of_certificate(certificate, &environments).await;
        }
    }

    /// The JSON API of the operators' deeds.
    pub(crate) fn admin_router(&self) -> Router {
        let shown =
            |environment: &Option<Arc<Environment>>| environment.as_ref().map(|environment| environment.for_admin());
        fuuffy_admin::router(shown(&self.testing), shown(&self.production))
            .merge(keys::router(self.clone()))
            .merge(certificates::router(self.clone()))
    }

    /// The same for somebody who may do everything.
    pub fn admin_router_for(&self, actor: Actor) -> Router {
        self.admin_router().layer(Extension(Caller { actor, from: None }))
    }

    /// Finishes what is under way in the stores and closes their files.
    pub async fn close(&self) {
        for environment in self.iter() {
            environment.write_refusals_down().await;
            environment.close_usage().await;
            if let Some(trails) = &environment.trails {
                trails.close().await;
            }
            environment.explanations.close().await;
            environment.alerts.outbox.close().await;
            if let Err(error) = environment.store.close().await {
                tracing::error!(environment = %environment.name, %error, "The store did not close cleanly");
            }
        }
    }
}

/// Starts who orders certificates, and the listener that the authority comes to by plain HTTP, if it does; answers where
/// that is.
async fn order_certificates(
    control: &mut JoinSet<()>,
    acme: &Arc<Acme>,
    environments: &Environments,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<Option<SocketAddr>> {
    let mut address = None;
    if let Some(listen) = acme.listen() {
        let plain = Plain::bind(listen).await.with_context(|| format!("acme.listen: cannot bind {listen}"))?;
        address = Some(plain.address);
        control.spawn(plain.serve(acme.challenges(), environments.clone(), stopped.clone()));
    }
    let (acme, stopped) = (Arc::clone(acme), stopped.clone());
    let ordered: Vec<Arc<Environment>> = environments.iter().map(Arc::clone).collect();
    control.spawn(async move { acme.run(&ordered, stopped).await });
    Ok(address)
}

/// Resolves when the server is to stop.
pub(crate) async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// A server that serves.
pub struct Server {
    addresses: Addresses,
    environments: Environments,
    shutdown: watch::Sender<bool>,
    workers: Vec<std::thread::JoinHandle<()>>,
    control: JoinSet<()>,
    ready: Arc<admin::Readiness>,
    socket: PathBuf,
    /// As it was at the start.
    config: Config,
    _lock: DirectoryLock,
}

impl Server {
    /// Opens the stores, binds everything, and serves.
    ///
    /// # Errors
    /// Whatever cannot be opened or bound, by name. Nothing stays behind then.
    pub async fn start(config: Config, sources: Sources) -> anyhow::Result<Self> {
        let (mut environments, lock) = Environments::open(&config, &sources)?;
        environments.open_for_callers(&config, &sources).await?;
        environments.open_rsa().await?;
        let (shutdown, stopped) = watch::channel(false);
        let mut bound: Vec<Bound> = Vec::new();
        let mut addresses = Addresses { testing: None, production: None, admin: config.admin.listen, acme: None };
        for (environment, place) in
            [(&environments.testing, &mut addresses.testing), (&environments.production, &mut addresses.production)]
        {
            let Some(environment) = environment else {
                continue;
            };
            let listen = environment.settings.listen;
            // Which of those on one port is meant, the name in the handshake says.
            if let Some(shared) = bound.iter_mut().find(|bound| listen.port() != 0 && bound.listeners.address == listen)
            {
                *place = Some(listen);
                shared.environments.push(Arc::clone(environment));
                continue;
            }
            let listeners = listener::bind(listen, config.workers)
                .with_context(|| format!("environments.{}.listen: cannot bind {listen}", environment.name))?;
            *place = Some(listeners.address);
            bound.push(Bound { environments: vec![Arc::clone(environment)], listeners });
        }
        let now = environments.iter().next().map_or(sources.time.wall(), |environment| environment.clock.now());
        let certificate = config.admin.tls.as_ref().map(|files| Certificate::open("admin.tls".to_owned(), files, now));
        let certificate = certificate.transpose()?.map(Arc::new);
        let environments = Environments { certificate: certificate.clone(), ..environments };
        let mut control = JoinSet::new();
        let ready = Arc::new(admin::Readiness::default());
        let socket = config.data_dir.join("admin.sock");
        let router = admin::observe(environments.clone(), Arc::clone(&ready), sources.time.wall())
            .merge(environments.admin_router());
        let tls = certificate.map(|certificate| Tls::new(vec![(None, certificate)], None, false)).transpose()?;
        let door = admin::Door::new(router, tls, environments.clone());
        addresses.admin = admin::listen(&mut control, config.admin.listen, door, stopped.clone())
            .await
            .with_context(|| format!("admin.listen: cannot bind {}", config.admin.listen))?;
        admin::listen_unix(&mut control, &socket, environments.admin_router(), stopped.clone())
            .with_context(|| format!("cannot bind the operators' socket {}", socket.display()))?;
        if let Some(acme) = &environments.acme {
            addresses.acme = order_certificates(&mut control, acme, &environments, &stopped).await?;
        }
        let challenges = environments.acme.as_ref().map(|acme| acme.challenges());
        let workers = listener::spawn_workers(config.workers, bound, &sources, challenges, &stopped)
            .context("cannot start a thread")?;
        for environment in environments.iter() {
            let (alerts, stopped) = (Arc::clone(&environment.alerts), stopped.clone());
            control.spawn(async move { alerts.deliver(stopped).await });
        }
        let housekeeping = environments.clone();
        control.spawn(environment::keep_house(housekeeping, stopped));
        ready.set(true);
        Ok(Self { addresses, environments, shutdown, workers, control, ready, socket, config, _lock: lock })
    }

    /// What was bound.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The environments that are served.
    #[must_use]
    pub const fn environments(&self) -> &Environments {
        &self.environments
    }

    /// The JSON API of the operators' deeds, for somebody in this process.
    pub fn admin_router_for(&self, actor: Actor) -> Router {
        self.environments.admin_router_for(actor)
    }

    /// Opens anew the files that requests are written to, for whoever has moved them away.
    pub fn reopen_logs(&self) {
        for trails in self.environments.iter().filter_map(|environment| environment.trails.as_ref()) {
            trails.reopen();
        }
    }

    /// Puts the routes, plans and upstreams of another configuration in force, in all environments or,
    /// if any of them cannot take it, in none.
    ///
    /// # Errors
    /// What changed that a reload cannot change, or what makes no snapshot. The old one stays in force.
    pub fn reload(&self, config: &Config) -> anyhow::Result<()> {
        let mut prepared = Vec::new();
        for environment in self.environments.iter() {
            prepared.push((environment, environment.prepare_reload(config)?));
        }
        for (environment, new) in prepared {
            environment.reload(new);
            environment.reload_authorities();
        }
        if let Some(now) = self.environments.iter().next().map(|environment| environment.clock.now()) {
            self.environments.certificates().for_each(|certificate| certificate.reload(now));
        }
        if let Some(acme) = &self.environments.acme {
            acme.hurry();
        }
        let waits = self.config.waiting(config);
        if !waits.is_empty() {
            tracing::warn!(
                changed = waits.join(", "),
                "Only routes, plans, upstreams and the files of certificates are reloaded; what else was changed waits for a restart"
            );
        }
        Ok(())
    }

    /// Drains: takes nothing new, finishes what is in flight or what the grace period lets finish, and
    /// closes the stores.
    pub async fn shutdown(mut self) {
        self.ready.set(false);
        let _ = self.shutdown.send(true);
        let workers = std::mem::take(&mut self.workers);
        let drained = tokio::task::spawn_blocking(move || {
            for worker in workers {
                if worker.join().is_err() {
                    tracing::error!("A worker thread panicked");
                }
            }
        });
        // Workers end by themselves at the end of the grace period.
        let _ = drained.await;
        let control = async { while self.control.join_next().await.is_some() {} };
        if tokio::time::timeout(self.config.shutdown_grace, control).await.is_err() {
            tracing::warn!("Some operators' connections were cut off");
        }
        self.environments.close().await;
        let _ = std::fs::remove_file(&self.socket);
    }
}
