//! Alerts of one environment: into the outbox, and from there to the webhook, one at a time, each for a day at most.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use fuuffy_admin::Untold;
use fuuffy_domain::{Clock as _, Entropy, EnvironmentName, MessageId, NoEntropy, Timestamp};
use fuuffy_store::{Alert, Failed, NewAlert, Outbox, OutboxError};
use serde::Serialize;
use tokio::sync::{Mutex, watch};

use super::environment::EnvironmentClock;
use super::told_to_stop;
use super::webhook::{Names, Webhook};
use crate::config::WebhookConfig;

/// How often it is looked whether an alert is due; new ones are seen at once.
const LOOK: Duration = Duration::from_secs(1);
/// The pause where the outbox cannot be written: what became of an attempt is not known then, and it is made again.
const PAUSE: Duration = Duration::from_secs(60);
/// How long an operator waits for the outcome of a test.
const PATIENCE: Duration = Duration::from_secs(30);

/// What tells operators of what happens.
pub struct Alerts {
    environment: EnvironmentName,
    /// What waits.
    pub outbox: Arc<Outbox>,
    webhook: Option<Webhook>,
    clock: Arc<EnvironmentClock>,
    entropy: Arc<dyn Entropy>,
    /// Held by whoever delivers.
    delivering: Mutex<()>,
    outcomes: Outcomes,
}

/// What became of attempts.
#[derive(Debug, Default)]
struct Outcomes {
    delivered: AtomicU64,
    failed: AtomicU64,
    dead: AtomicU64,
}

/// A message as it is sent.
#[derive(Serialize)]
struct Message<'a, T> {
    id: &'a MessageId,
    #[serde(rename = "type")]
    kind: &'a str,
    environment: EnvironmentName,
    sent_at: Timestamp,
    data: T,
}

impl Alerts {
    pub(super) fn open(
        (environment, path): (EnvironmentName, PathBuf),
        config: Option<&WebhookConfig>,
        names: &Names,
        clock: Arc<EnvironmentClock>,
        entropy: Arc<dyn Entropy>,
    ) -> anyhow::Result<Self> {
        let webhook = config.map(|config| Webhook::open(config, names)).transpose();
        let webhook = webhook.with_context(|| format!("environments.{environment}.reminders"))?;
        let outbox = Arc::new(Outbox::open(path, environment));
        let (delivering, outcomes) = (Mutex::new(()), Outcomes::default());
        Ok(Self { environment, outbox, webhook, clock, entropy, delivering, outcomes })
    }

    /// Sends an alert, once for each name: it is on disk when this returns. Where there is no webhook, nobody is told.
    pub(super) async fn tell(&self, kind: &str, name: String, data: impl Serialize) -> anyhow::Result<()> {
        if self.webhook.is_none() {
            return Ok(());
        }
        let (id, now) = (self.new_id()?, self.clock.now());
        let body = self.message(&id, kind, data)?;
        self.outbox.enqueue(NewAlert { id, name, kind: kind.to_owned(), body }, now).await?;
        Ok(())
    }

    /// What sends a test for operators.
    pub(super) fn tester(self: &Arc<Self>) -> fuuffy_admin::TestAlert {
        let alerts = Arc::clone(self);
        Arc::new(move || {
            let alerts = Arc::clone(&alerts);
            Box::pin(async move { alerts.test().await })
        })
    }

    /// Lets go of what is too old. Whoever delivers looks again then.
    pub(super) async fn tidy(&self) {
        if let Err(error) = self.outbox.tidy(self.clock.now()).await {
            tracing::debug!(environment = %self.environment, %error, "The outbox could not be tidied");
        }
    }

    /// Sends a test, past all that waits, and tells what became of it.
    async fn test(&self) -> Result<MessageId, Untold> {
        let webhook = self.webhook.as_ref().ok_or(Untold::NoWebhook)?;
        let send = async {
            let id = self.new_id()?;
            self.post(webhook, &self.message(&id, "test", serde_json::Map::new())?).await?;
            anyhow::Ok(id)
        };
        match tokio::time::timeout(PATIENCE, send).await {
            Ok(outcome) => outcome.map_err(|error| Untold::Refused(format!("{error:#}"))),
            Err(_) => Err(Untold::Refused("other alerts are being delivered, and it is not its turn yet".to_owned())),
        }
    }

    /// Delivers whatever is due, until stopped. An attempt that is under way is finished, which is a matter of seconds.
    pub(super) async fn deliver(&self, mut stopped: watch::Receiver<bool>) {
        let Some(webhook) = &self.webhook else {
            let waiting = self.outbox.standing().borrow().waiting;
            if waiting > 0 {
                tracing::warn!(environment = %self.environment, waiting, "Alerts wait, and the configuration names nobody to tell");
            }
            return;
        };
        let mut standing = self.outbox.standing();
        while !*stopped.borrow() {
            let due = standing.borrow_and_update().next_due;
            if due.is_some_and(|due| due <= self.clock.now()) {
                let Err(error) = self.deliver_next(webhook).await else {
                    continue;
                };
                tracing::error!(environment = %self.environment, %error, "The outbox cannot be used for now; alerts wait");
                tokio::select! {
                    () = told_to_stop(&mut stopped) => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
            tokio::select! {
                () = told_to_stop(&mut stopped) => return,
                changed = standing.changed() => if changed.is_err() {
                    // The outbox is closed.
                    return;
                },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn deliver_next(&self, webhook: &Webhook) -> Result<(), OutboxError> {
        let Some(Alert { id, kind, body, .. }) = self.outbox.due(self.clock.now(), 1).await?.pop() else {
            return Ok(());
        };
        let sent = self.post(webhook, &body).await;
        let now = self.clock.now();
        let Err(error) = sent else {
            self.outbox.delivered(id.clone(), now).await?;
            self.outcomes.delivered.fetch_add(1, Ordering::Relaxed);
            tracing::info!(environment = %self.environment, message_id = %id, kind, "An alert was delivered");
            return Ok(());
        };
        let (mut chance, error) = ([0; 8], format!("{error:#}"));
        // Without chance the wait is merely the same for all.
        let _ = self.entropy.fill(&mut chance);
        match self.outbox.failed(id.clone(), error.clone(), now, u64::from_le_bytes(chance)).await? {
            Failed::Again(next) => {
                self.outcomes.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(environment = %self.environment, message_id = %id, kind, error, %next, "An alert could not be delivered; it is tried again");
            }
            Failed::Dead => {
                self.outcomes.dead.fetch_add(1, Ordering::Relaxed);
                tracing::error!(environment = %self.environment, message_id = %id, kind, error, "An alert could not be delivered for a day; send it once more with fuuffy alerts redeliver");
            }
            Failed::Gone => {}
        }
        Ok(())
    }

    async fn post(&self, webhook: &Webhook, body: &str) -> anyhow::Result<()> {
        let _only = self.delivering.lock().await;
        webhook.post(body, self.clock.now()).await
    }

    fn message(&self, id: &MessageId, kind: &str, data: impl Serialize) -> serde_json::Result<String> {
        let message = Message { id, kind, environment: self.environment, sent_at: self.clock.now(), data };
        serde_json::to_string(&message)
    }

    fn new_id(&self) -> Result<MessageId, NoEntropy> {
        let mut random = [0; 12];
        self.entropy.fill(&mut random)?;
        Ok(MessageId::from_random(random))
    }

    /// How many attempts there were, by what became of them.
    pub(super) fn outcomes(&self) -> [(&'static str, u64); 3] {
        let Outcomes { delivered, failed, dead } = &self.outcomes;
        [("delivered", delivered), ("failed", failed), ("dead", dead)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}
