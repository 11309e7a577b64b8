//! One environment, whole: everything that belongs to it hangs from this value, and nothing in it
//! leads to the other one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use fuuffy_admin::{Configured, Refusals, Reminder};
use fuuffy_domain::{
    Actor, AuditEvent, AuditKeys, Cause, Clock as _, Entropy, EnvironmentName, Keyring, PathKey, Plan, PlanName,
    Proofs, RequestId, Stage, SteadyClock, Tally, TimeSource, Timestamp,
};
use fuuffy_gateway::{Gateway, RouteSettings, Snapshot};
use fuuffy_issuer::{Issuer, PublishedKeys};
use fuuffy_protocol::{Identifiers, Metadata};
use fuuffy_store::embedded::{AuditOptions, EmbeddedStore, OpenOptions, PreviousRun};
use fuuffy_store::pepper::MasterKeys;
use fuuffy_store::{Explanations, KeyShelf, Store, UsageBook};
use tokio::sync::watch;

use super::acme::Acme;
use super::alerts::Alerts;
use super::certificate::Certificate;
use super::leaks::{LeakCounts, LeaksTold};
use super::published;
use super::reports::Reports;
use super::silences::Silences;
use super::system::give_way;
use super::trails::Trails;
use super::unusual::Watch;
use super::well_known;
use super::{Environments, Sources, told_to_stop};
use crate::config::{self, Config, EnvironmentConfig, MutualTlsConfig, OtlpConfig, TlsMode};

/// The clock that an environment lives by.
pub(super) type EnvironmentClock = SteadyClock<Arc<dyn TimeSource>>;

/// An environment that is open.
pub struct Environment {
    /// Which.
    pub name: EnvironmentName,
    /// What it is for; the one thing in which testing has more than production.
    pub stage: Arc<Stage>,
    /// What was configured; a reload changes only what hangs from the gateway.
    pub settings: EnvironmentConfig,
    /// Its token service.
    pub issuer: Issuer,
    /// Its gateway.
    pub gateway: Gateway,
    /// Its store.
    pub store: Arc<EmbeddedStore>,
    /// Why its requests were refused.
    pub explanations: Arc<Explanations>,
    /// What its clients used.
    pub usage: Arc<UsageBook>,
    /// What its operators are told.
    pub alerts: Arc<Alerts>,
    /// What its listener shows, if that speaks TLS.
    pub(super) certificate: Option<Arc<Certificate>>,
    /// What it tells of itself.
    pub(super) metadata: ArcSwap<Metadata>,
    /// Its clock.
    pub clock: Arc<EnvironmentClock>,
    /// How long a shutdown waits for what is in flight.
    pub grace: Duration,
    pub(super) watch: Watch,
    pub(super) trails: Option<Trails>,
    pub(super) leaks_told: LeaksTold,
    pub(super) leak_counts: LeakCounts,
    pub(super) reports: Option<Reports>,
    connections: Arc<()>,
    kept_at: AtomicI64,
    pub(super) silenced: ArcSwap<Silences>,
    keyring: Arc<Keyring>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Held by whoever changes what is kept of an authority for certificates.
    pub(super) acme_turn: tokio::sync::Mutex<()>,
    plans: Arc<ArcSwap<BTreeMap<PlanName, Plan>>>,
    configured: Arc<ArcSwap<Configured>>,
    refusals: Arc<Refusals>,
}

/// Reminders in one minute at most.
const REMINDERS_AT_ONCE: usize = 100;

/// Where an environment's database is.
pub(crate) fn store_path(config: &Config, name: EnvironmentName) -> PathBuf {
    config.data_dir.join(format!("{name}.sqlite3"))
}

impl Environment {
    pub(super) fn open(
        config: &Config,
        settings: &EnvironmentConfig,
        sources: &Sources,
        (keys, audit_keys): (&MasterKeys, &MasterKeys),
    ) -> anyhow::Result<Self> {
        let name = settings.name;
        let keyring = Arc::new(Keyring::derive(name, keys)?);
        let wall = sources.time.wall();
        let path = store_path(config, name);
        let (store, report) = EmbeddedStore::open(OpenOptions {
            path: path.clone(),
            environment: name,
            longest_lifetime: settings.token_lifetime,
            audit: AuditOptions { keys: AuditKeys::derive(name, audit_keys)?, retention: settings.audit.retention },
            now: wall,
        })?;
        tell_previous_run(name, &report.previous, &path);
        let newest = store.newest_record();
        if let Some(behind) = newest.filter(|newest| *newest > wall) {
            tracing::warn!(environment = %name, newest_record = %behind, "This machine's clock is behind the newest record; time goes on from there");
        }
        let clock = Arc::new(SteadyClock::start(Arc::clone(&sources.time), newest));
        let opened = clock.now();
        tracing::info!(environment = %name, clients = report.clients, tokens = report.tokens, "The store is open");
        let store = Arc::new(store);
        let explanations = Arc::new(Explanations::open(path.with_extension("explain.sqlite3"), name, give_way));
        let as_store = (sources.store)(Arc::<EmbeddedStore>::clone(&store));
        let entropy = Arc::clone(&sources.entropy);
        let stage = Arc::new(Stage::of(name));
        let mut path_key = [0; 16];
        entropy.fill(&mut path_key)?;
        let tally = Arc::new(Tally::new(PathKey(path_key)));
        let proofs = Proofs::new(&settings.base_url, Arc::clone(&keyring), settings.dpop_nonces, opened);
        let proofs = Arc::new(proofs);
        let mut issuer = Issuer::new(
            Arc::clone(&stage),
            Arc::clone(&as_store),
            Arc::clone(&proofs),
            Arc::clone(&entropy),
            Arc::<EnvironmentClock>::clone(&clock),
            Arc::clone(&explanations),
            Identifiers::of(&settings.base_url),
        );
        issuer.token_lifetime = settings.token_lifetime;
        issuer.token_bytes = settings.token_bytes;
        issuer.token_format = settings.token_format;
        issuer.token_signing = settings.token_signing_alg;
        issuer.answer_signing = settings.introspection_signing_alg;
        issuer.token_limits = settings.token_limits.clone();
        issuer.leak_grades = settings.leaks;
        issuer.retire_unused_after = settings.retire_unused_after;
        issuer.tally = Arc::clone(&tally);
        let shelf = Arc::new(KeyShelf::open(&config.data_dir, name)?);
        issuer.platforms = published::platforms(&settings.identity_issuers, &sources.names, &shelf);
        let fetch = published::over_https(&settings.published, &sources.names);
        issuer.published = Arc::new(PublishedKeys::new(fetch, shelf));
        let outbox = (name, path.with_extension("outbox.sqlite3"));
        let alerts = Alerts::open(outbox, settings, &sources.names, Arc::clone(&clock), Arc::clone(&entropy))?;
        let snapshot = snapshot(settings, &config.plans)?;
        let seen = Arc::clone(&explanations);
        let gateway =
            Gateway::new(Arc::clone(&stage), as_store, proofs, seen, snapshot).counting_in(Arc::clone(&tally));
        let reports = settings.report_keys.as_deref().map(Reports::open).transpose();
        let reports = reports.with_context(|| format!("environments.{name}.leaks.report_keys"))?;
        let usage = Arc::new(UsageBook::open(path.with_extension("usage.sqlite3"), name, vec![tally]));
        let plans = Arc::new(ArcSwap::from_pointee(config.plans.clone()));
        let metadata = well_known::metadata(settings, settings.routes.iter().map(|route| &route.route));
        Ok(Self {
            name,
            stage,
            settings: settings.clone(),
            issuer,
            gateway,
            store,
            explanations,
            usage,
            alerts: Arc::new(alerts),
            certificate: None,
            metadata: ArcSwap::from_pointee(metadata),
            clock,
            grace: config.shutdown_grace,
            keyring,
            entropy,
            acme_turn: tokio::sync::Mutex::default(),
            plans,
            configured: Arc::new(ArcSwap::from_pointee(configured(settings, &config.plans))),
            refusals: Arc::default(),
            watch: Watch::default(),
            trails: None,
            leaks_told: LeaksTold::default(),
            leak_counts: LeakCounts::default(),
            reports,
            connections: Arc::default(),
            kept_at: AtomicI64::new(opened.unix_millis()),
            silenced: ArcSwap::default(),
        })
    }

    /// Reads the certificate that its listener is to show, if it is to. Commands need none.
    pub(super) async fn open_certificate(&mut self, acme: Option<&Acme>) -> anyhow::Result<()> {
        let certificate = match &self.settings.tls {
            TlsMode::Own(files) => {
                let place = format!("environments.{}.tls", self.name);
                Some(Certificate::open(place, files, self.clock.now())?)
            }
            TlsMode::Acme { .. } => acme.context("there is no [acme]")?.certificate(self).await?,
            TlsMode::Loopback | TlsMode::Terminated { .. } => None,
        };
        self.certificate = certificate.map(Arc::new);
        Ok(())
    }

    /// What the operators' deeds need of this environment, and no more.
    pub(super) fn for_admin(&self) -> fuuffy_admin::Environment {
        let (plans, configured) = (Arc::clone(&self.plans), Arc::clone(&self.configured));
        let (keys, clock) = (Arc::clone(&self.issuer.published), Arc::clone(&self.clock));
        let may_reach = self.settings.published.may_reach();
        fuuffy_admin::Environment {
            name: self.name,
            store: Arc::<EmbeddedStore>::clone(&self.store),
            explanations: Arc::clone(&self.explanations),
            usage: Arc::clone(&self.usage),
            outbox: Arc::clone(&self.alerts.outbox),
            test_alert: self.alerts.tester(),
            keyring: Arc::clone(&self.keyring),
            plans: Arc::new(move |plan: &PlanName| plans.load().contains_key(plan)),
            mutual_tls: MutualTlsConfig::extent(self.settings.mutual_tls.as_ref()),
            issuers: self.issuer.platforms.iter().map(|platform| platform.trusted.clone()).collect(),
            may_publish_at: Arc::new(move |url| published::may_be_at(url, may_reach)),
            keys_of: Arc::new(move |url| {
                let (keys, now) = (Arc::clone(&keys), clock.now());
                Box::pin(async move { keys.shown(&url, now).await })
            }),
            longest_lifetime: self.settings.token_lifetime,
            quiet: self.settings.retire_unused_after,
            clock: Arc::<EnvironmentClock>::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            configured: Arc::new(move || Configured::clone(&configured.load())),
            refusals: Arc::clone(&self.refusals),
        }
    }

    /// What the server does by itself once a minute for one environment: secrets that are to go do, where nobody uses them, and
    /// operators are reminded of those that expire; refusals are written down.
    pub async fn each_minute(&self) {
        let environment = self.for_admin();
        self.write_refusals_down().await;
        if let Some(trails) = &self.trails {
            trails.each_minute(self.name);
        }
        fuuffy_admin::retire_unused(&environment).await;
        self.issuer.refresh_keys().await;
        self.look_for_the_unusual().await;
        self.alerts.tidy().await;
        if let Some(reports) = &self.reports {
            reports.refresh(self.clock.now()).await;
        }
        if let Some(certificate) = &self.certificate {
            remind_of_certificate(certificate, &[self]).await;
        }
        for reminder in fuuffy_admin::due_reminders(&environment).iter().take(REMINDERS_AT_ONCE) {
            if let Err(error) = self.remind(&environment, reminder).await {
                tracing::warn!(environment = %self.name, error = format!("{error:#}"), "Nobody could be reminded of a secret's end; it is tried again in a minute");
                return;
            }
        }
    }

    /// Opens what writes down its requests. Only a server does: a command on the same directory serves nobody.
    pub(super) fn write_down_requests(&mut self, otlp: Option<&OtlpConfig>) -> anyhow::Result<()> {
        self.trails = Trails::open(&self.settings, otlp).with_context(|| format!("environments.{}", self.name))?;
        Ok(())
    }

    /// Counts a caller's connection as open, until what this returns is dropped.
    pub(super) fn open_connection(&self) -> Arc<()> {
        Arc::clone(&self.connections)
    }

    /// How many connections of callers are open.
    pub(super) fn connections(&self) -> usize {
        Arc::strong_count(&self.connections) - 1
    }

    /// Keeps what clients used since the last time.
    async fn keep_usage(&self) {
        let now = self.clock.now();
        self.usage.keep(now).await;
        self.kept_at.store(now.unix_millis(), Ordering::Relaxed);
    }

    /// How long ago usage was kept last.
    pub(super) fn usage_lag(&self, now: Timestamp) -> Duration {
        now.since(Timestamp::from_unix_millis(self.kept_at.load(Ordering::Relaxed)))
    }

    /// Keeps the last of what clients used, and lets go of its file.
    pub(super) async fn close_usage(&self) {
        self.keep_what_is_usual().await;
        self.usage.close(self.clock.now()).await;
    }

    /// How often callers were refused, by class, since the last time: into the audit log, so that a flood of
    /// refusals is a few records a minute.
    pub(super) async fn write_refusals_down(&self) {
        let counted = [("token endpoint", self.issuer.refusals()), ("API", self.gateway.refusals())];
        for (asked, refusals) in counted {
            for (code, times) in refusals.take() {
                if let Err(error) = self.note_refusals(code, asked, times).await {
                    tracing::warn!(environment = %self.name, code, times, %error, "Refusals could not be written to the audit log; they are counted on");
                    refusals.put_back(code, times);
                }
            }
        }
    }

    /// A reminder is noted once it is in the outbox, so that it is told at least once.
    async fn remind(&self, environment: &fuuffy_admin::Environment, reminder: &Reminder) -> anyhow::Result<()> {
        self.alerts.tell("secret.expires", reminder.name(), reminder).await?;
        fuuffy_admin::reminded(environment, reminder).await?;
        let Reminder { client_id, client_name, secret_id, expires_at, .. } = reminder;
        tracing::warn!(environment = %self.name, %client_id, client_name, %secret_id, %expires_at, "A secret expires soon; add another, and give it to whoever uses this one");
        Ok(())
    }

    async fn note_refusals(&self, code: &str, asked: &str, times: u64) -> anyhow::Result<()> {
        let cause = self.cause(Actor::Server, None)?;
        let event = AuditEvent::Refused { code: code.to_owned(), asked: asked.to_owned(), times };
        Ok(self.store.note(cause, event).await?)
    }

    /// The keys of its digests.
    pub(super) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// What an audit record says of a deed that the server does for somebody.
    pub(crate) fn cause(&self, actor: Actor, why: Option<String>) -> anyhow::Result<Cause> {
        let (at, mut random) = (self.clock.now(), [0; 10]);
        self.entropy.fill(&mut random)?;
        Ok(Cause { actor, from: None, request: RequestId::generate(at, random), at, why })
    }

    /// The snapshot of a new configuration: as it was, but for routes and plans.
    pub(super) fn prepare_reload(&self, config: &Config) -> anyhow::Result<(Snapshot, Configured)> {
        let new = match self.name {
            EnvironmentName::Testing => &config.environments.testing,
            EnvironmentName::Production => &config.environments.production,
        };
        let Some(new) = new else {
            bail!("environments.{}: an environment can only be removed by a restart", self.name);
        };
        let new = EnvironmentConfig { routes: new.routes.clone(), ..self.settings.clone() };
        Ok((snapshot(&new, &config.plans)?, configured(&new, &config.plans)))
    }

    /// Puts a prepared snapshot in force, with what it was made of.
    pub(super) fn reload(&self, (snapshot, configured): (Snapshot, Configured)) {
        self.plans.store(Arc::new(configured.plans.clone()));
        let routes = configured.routes.iter().map(|(route, _)| route);
        self.metadata.store(Arc::new(well_known::metadata(&self.settings, routes)));
        self.configured.store(Arc::new(configured));
        self.gateway.reload(snapshot);
    }
}

/// What operators are shown of a configuration.
fn configured(settings: &EnvironmentConfig, plans: &BTreeMap<PlanName, Plan>) -> Configured {
    let routes = settings.routes.iter().map(|route| {
        let upstreams = route.upstreams.iter().map(|upstream| format!("http://{}", upstream.authority)).collect();
        (route.route.clone(), upstreams)
    });
    Configured { routes: routes.collect(), plans: plans.clone() }
}

fn snapshot(settings: &EnvironmentConfig, plans: &BTreeMap<PlanName, Plan>) -> anyhow::Result<Snapshot> {
    let route = |route: &config::RouteConfig| RouteSettings {
        route: route.route.clone(),
        upstreams: route.upstreams.clone(),
        protocol: route.protocol,
        connect_timeout: route.connect_timeout,
        response_timeout: route.response_timeout,
        idle_timeout: route.idle_timeout,
        body_timeout: settings.limits.body_timeout,
        websocket: route.websocket,
        cost: route.cost,
        max_body: route.max_body,
        in_flight: route.in_flight,
        adapts: route.adapts,
    };
    Snapshot::new(settings.routes.iter().map(route).collect(), plans.clone())
        .with_context(|| format!("environments.{}", settings.name))
}

/// Tells that a certificate ends soon, if it does, by the alerts of those whose callers see it.
pub(super) async fn remind_of_certificate(certificate: &Certificate, environments: &[&Environment]) {
    let due = environments.first().and_then(|environment| certificate.due_reminder(environment.clock.now()));
    let Some((days, shown)) = due else {
        return;
    };
    let (listener, fingerprint, ends_at) = (&certificate.place, &shown.fingerprint, shown.ends_at);
    let (source, advice) = match certificate.ordering() {
        Some(_) => ("acme", "see by fuuffy certs status why no other is got"),
        None => ("files", "put a new one in its place"),
    };
    let data = serde_json::json!({"listener": listener, "fingerprint": fingerprint, "expires_at": ends_at, "days": days, "source": source});
    for environment in environments {
        let name = format!("certificate {listener} {fingerprint} {days}");
        if let Err(error) = environment.alerts.tell("certificate.expires", name, &data).await {
            tracing::warn!(environment = %environment.name, listener, error = format!("{error:#}"), "Nobody could be reminded of a certificate's end; it is tried again in a minute");
            return;
        }
    }
    certificate.reminded(days, fingerprint);
    tracing::warn!(listener, fingerprint, %ends_at, "The certificate ends soon; {advice}");
}

fn tell_previous_run(name: EnvironmentName, previous: &PreviousRun, path: &std::path::Path) {
    match previous {
        PreviousRun::New => tracing::info!(environment = %name, file = %path.display(), "A new store was made"),
        PreviousRun::Clean => {}
        PreviousRun::Unclean => {
            tracing::warn!(environment = %name, "The last run did not end cleanly; the store was checked, and everything acknowledged is there");
        }
        PreviousRun::Failed(reason) => {
            tracing::warn!(environment = %name, reason, "The last run stopped writing; the store was checked, and everything acknowledged is there");
        }
    }
}

/// Once a second: lets the stores drop what has expired, and notes whom operators' deeds were refused. Once a
/// minute: looks for secrets that are to go. The seconds go on while a minute's work waits for others' servers.
pub(super) async fn keep_house(environments: Environments, stopped: watch::Receiver<bool>) {
    let by_seconds = async |mut stopped: watch::Receiver<bool>| {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                _ = seconds.tick() => each_second(&environments).await,
                () = told_to_stop(&mut stopped) => return,
            }
        }
    };
    let by_minutes = async |mut stopped: watch::Receiver<bool>| {
        let minute = Duration::from_secs(60);
        let mut minutes = tokio::time::interval_at(tokio::time::Instant::now() + minute, minute);
        loop {
            tokio::select! {
                _ = minutes.tick() => environments.each_minute().await,
                () = told_to_stop(&mut stopped) => return,
            }
        }
    };
    tokio::join!(by_seconds(stopped.clone()), by_minutes(stopped));
}

async fn each_second(environments: &Environments) {
    if let Some(now) = environments.iter().next().map(|environment| environment.clock.now()) {
        environments.certificates().for_each(|certificate| certificate.look(now));
    }
    for environment in environments.iter() {
        environment.store.tick(environment.clock.now());
        environment.keep_usage().await;
        fuuffy_admin::note_refusals(&environment.for_admin()).await;
    }
}
