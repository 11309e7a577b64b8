//! Certificates by ACME (RFC 8555): ordered one at a time, kept, renewed in time. What fails is loud, and what is shown
//! stays until there is better.

mod challenges;
mod http;
mod order;
mod ordering;
mod plain;
mod schedule;
mod shelf;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use fuuffy_domain::{Clock as _, Entropy, Timestamp, to_hex};
use fuuffy_store::embedded::AcmeItem;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use self::http::Http;
use super::certificate::{Certificate, Shown};
use super::{Environment, Sources, told_to_stop};
use crate::config::{AcmeConfig, ChallengeKind, Config, STAGING, TlsMode};
use order::Authority;
use shelf::Shelf;

pub(super) use challenges::{ACME_TLS, Challenges};
pub(super) use ordering::Ordering;
pub(super) use plain::Plain;
pub use plain::PlainRequest;

/// How often it is looked whether anything is due.
const LOOK: Duration = Duration::from_secs(1);
/// The longest that one order takes.
const PATIENCE: Duration = Duration::from_secs(600);
/// So many characters of what an authority says are kept.
const LONGEST_WORDS: usize = 1000;

/// An authority, and what is ordered from it.
pub(super) struct Acme {
    config: AcmeConfig,
    http: Http,
    /// What the authority is called where things of it are kept.
    name: String,
    challenges: Arc<Challenges>,
    entropy: Arc<dyn Entropy>,
    hurry: Notify,
}

impl Acme {
    /// The authority of a configuration, if it has one.
    ///
    /// # Errors
    /// Its files cannot be used.
    pub(super) fn open(config: &Config, sources: &Sources) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(acme) = &config.acme else {
            return Ok(None);
        };
        let http = Http::open(acme, Arc::clone(&sources.time))?;
        if acme.directory == STAGING {
            tracing::warn!(
                directory = STAGING,
                "Certificates come from an authority for trials, whom no caller trusts; once one has come, name the real one by acme.directory"
            );
        }
        Ok(Some(Arc::new(Self {
            config: acme.clone(),
            http,
            name: to_hex(&Sha256::digest(&acme.directory)[..8]),
            challenges: Arc::default(),
            entropy: Arc::clone(&sources.entropy),
            hurry: Notify::new(),
        })))
    }

    pub(super) fn challenges(&self) -> Arc<Challenges> {
        Arc::clone(&self.challenges)
    }

    /// Where the authority comes by plain HTTP, if it does.
    pub(super) const fn listen(&self) -> Option<std::net::SocketAddr> {
        match self.config.challenge {
            ChallengeKind::TlsAlpn01 => None,
            ChallengeKind::Http01 { listen } => Some(listen),
        }
    }

    /// An environment's certificate, as it was kept; `None` where the environment gets none by ACME.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn certificate(&self, environment: &Environment) -> anyhow::Result<Option<Certificate>> {
        let TlsMode::Acme { names } = &environment.settings.tls else {
            return Ok(None);
        };
        let place = format!("environments.{}.tls", environment.name);
        let shelf = self.shelf(environment);
        if let Err(error) = environment.seal_acme_items_anew().await {
            // What sealed them is still there. A full disk, say, stops no server.
            shelf.tell("What is kept of the authority for certificates could not be sealed by the new key; that is done at the next start, or before a key is retired", &error);
        }
        let kept = shelf.read(AcmeItem::Certificate).await?;
        let shown = kept.and_then(|pem| match read(&pem) {
            Ok(shown) => Some(shown),
            Err(error) => {
                tracing::warn!(
                    place,
                    error = format!("{error:#}"),
                    "The certificate that was kept is of no use; another one is ordered"
                );
                None
            }
        });
        let progress = shelf.read(AcmeItem::Progress).await?;
        let progress = progress.as_ref().map(|text| text.as_str());
        let ordering = Ordering::new(names.clone(), self.config.challenge.name(), progress);
        Ok(Some(Certificate::ordered(place, ordering, shown)))
    }

    fn shelf<'a>(&'a self, environment: &'a Environment) -> Shelf<'a> {
        Shelf { authority: &self.name, environment }
    }

    /// What failed is tried at once: an operator has done something about it.
    pub(super) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Orders what is due, one after the other, until told to stop.
    pub(super) async fn run(&self, environments: &[Arc<Environment>], mut stopped: watch::Receiver<bool>) {
        let ordered = || environments.iter().filter_map(|it| Some((&**it, it.certificate.as_ref()?)));
        let shelves = ordered().filter(|(_, certificate)| certificate.ordering().is_some());
        let shelves: Vec<Shelf<'_>> = shelves.map(|(environment, _)| self.shelf(environment)).collect();
        loop {
            for (environment, certificate) in ordered() {
                let Some(ordering) = certificate.ordering() else {
                    continue;
                };
                if keep_what_was_got(self.shelf(environment), ordering).await.is_err() {
                    // It was said when it was got.
                    continue;
                }
                if ordering.next_at(certificate.shown().as_deref()) > environment.clock.now() {
                    continue;
                }
                tokio::select! {
                    () = self.attempt((environment, &shelves), certificate, ordering) => {}
                    () = told_to_stop(&mut stopped) => return,
                }
            }
            tokio::select! {
                () = told_to_stop(&mut stopped) => return,
                () = self.hurry.notified() => {
                    ordered().filter_map(|(_, certificate)| certificate.ordering()).for_each(Ordering::hurry);
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// One order, and what becomes of it.
    async fn attempt(
        &self,
        (environment, shelves): (&Environment, &[Shelf<'_>]),
        certificate: &Certificate,
        ordering: &Ordering,
    ) {
        let authority = Authority { config: &self.config, http: &self.http, shelves, challenges: &self.challenges };
        let shelf = self.shelf(environment);
        self.http.take_wait();
        let got = async {
            let pem = authority.order(&ordering.names).await?;
            let shown = judge(read(&pem)?, &ordering.names, environment.clock.now())?;
            anyhow::Ok((pem, shown))
        };
        let got =
            timeout(PATIENCE, got).await.unwrap_or_else(|_| Err(anyhow::anyhow!("it took longer than ten minutes")));
        self.challenges.clear();
        let now = environment.clock.now();
        match got {
            Ok((pem, shown)) => {
                ordering.got(now, pem);
                certificate.show(shown);
                if let Err(error) = keep_what_was_got(shelf, ordering).await {
                    shelf.tell(
                        "The new certificate is shown, but could not be kept; that is tried until it can",
                        &error,
                    );
                }
            }
            Err(error) => {
                self.tell_of_failure(environment, certificate, (ordering, &error), now).await;
                if let Err(error) = shelf.keep(&[(AcmeItem::Progress, &ordering.to_json())]).await {
                    shelf.tell("How ordering goes could not be kept", &error);
                }
            }
        }
    }

    async fn tell_of_failure(
        &self,
        environment: &Environment,
        certificate: &Certificate,
        (ordering, error): (&Ordering, &anyhow::Error),
        now: Timestamp,
    ) {
        let words = format!("{error:#}").replace(char::is_control, " ");
        let words: String = words.chars().take(LONGEST_WORDS).collect();
        let mut chance = [0];
        // Without chance the wait is merely the same for all.
        let _ = self.entropy.fill(&mut chance);
        let (failures, next_at) = ordering.failed(words.clone(), now, (self.http.take_wait(), chance[0]));
        let ends_at = certificate.shown().map(|shown| shown.ends_at);
        let place = &certificate.place;
        let ends = ends_at.map(tracing::field::display);
        tracing::error!(place, error = words, failures, %next_at, ends_at = ends, "No certificate was got; it is tried again");
        let data = json!({
            "listener": place,
            "hosts": ordering.names,
            "error": words,
            "failures": failures,
            "next_attempt_at": next_at,
            "expires_at": ends_at,
        });
        // Once a day, as long as it lasts.
        let name = format!("certificate order {place} {}", now.unix_seconds().div_euclid(86_400));
        if let Err(error) = environment.alerts.tell("certificate.order_failed", name, data).await {
            tracing::warn!(environment = %environment.name, error = format!("{error:#}"), "Nobody could be told that no certificate was got");
        }
    }
}

/// Keeps the certificate that was got last together with how ordering goes, where that was not done yet.
async fn keep_what_was_got(shelf: Shelf<'_>, ordering: &Ordering) -> anyhow::Result<()> {
    let Some(pem) = ordering.unkept() else {
        return Ok(());
    };
    shelf.keep(&[(AcmeItem::Certificate, &pem), (AcmeItem::Progress, &ordering.to_json())]).await?;
    ordering.kept();
    Ok(())
}

/// A key, and behind it the chain of its certificate.
fn read(pem: &str) -> anyhow::Result<Shown> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).context("there is no key")?;
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    Shown::new(chain.context("the certificates cannot be read")?, key)
}

/// What an authority gave is believed once it was looked at.
fn judge(shown: Shown, names: &[String], now: Timestamp) -> anyhow::Result<Shown> {
    let missing = names.iter().find(|name| !shown.names.contains(name));
    ensure!(missing.is_none(), "the authority's certificate is not for {}", missing.map_or("", |name| name));
    ensure!(shown.ends_at > now, "the authority's certificate was over on {}", shown.ends_at);
    Ok(shown)
}
