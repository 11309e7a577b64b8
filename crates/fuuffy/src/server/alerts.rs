//! Alerts of one environment: into the outbox, and from there to each channel, one at a time on each, for a day at most.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use fuuffy_admin::{Tested, Untold};
use fuuffy_domain::{Clock as _, Entropy, EnvironmentName, MessageId, NoEntropy, Timestamp};
use fuuffy_store::{Alert, Channel, Delivery, Failed, NewAlert, Outbox, OutboxError};
use serde::Serialize;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::environment::EnvironmentClock;
use super::looked::Names;
use super::smtp::Mailer;
use super::told_to_stop;
use super::webhook::Webhook;
use crate::config::EnvironmentConfig;

/// How often it is looked whether an alert is due; new ones are seen at once.
const LOOK: Duration = Duration::from_secs(1);
/// The pause where the outbox cannot be written: what became of an attempt is not known then, and it is made again.
const PAUSE: Duration = Duration::from_secs(60);
/// How long an operator waits for the outcome of a test.
const PATIENCE: Duration = Duration::from_secs(45);

/// What tells operators of what happens.
pub struct Alerts {
    environment: EnvironmentName,
    /// What waits.
    pub outbox: Arc<Outbox>,
    webhook: Option<Line>,
    email: Option<Line>,
    clock: Arc<EnvironmentClock>,
    entropy: Arc<dyn Entropy>,
}

/// A channel that the configuration has.
struct Line {
    channel: Channel,
    way: Way,
    /// Held by whoever delivers.
    delivering: Mutex<()>,
    outcomes: Outcomes,
}

/// How a channel is used.
enum Way {
    Post(Box<Webhook>),
    Mail(Box<Mailer>),
}

impl Line {
    fn new(channel: Channel, way: Way) -> Self {
        Self { channel, way, delivering: Mutex::new(()), outcomes: Outcomes::default() }
    }

    /// One at a time, whatever is at the other end.
    async fn send(&self, body: &str, clock: &EnvironmentClock) -> anyhow::Result<()> {
        let _only = self.delivering.lock().await;
        match &self.way {
            Way::Post(webhook) => webhook.post(body, clock.now()).await,
            Way::Mail(mailer) => mailer.send(body, clock.now()).await,
        }
    }
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
        settings: &EnvironmentConfig,
        names: &Names,
        clock: Arc<EnvironmentClock>,
        entropy: Arc<dyn Entropy>,
    ) -> anyhow::Result<Self> {
        let webhook = settings.reminders.as_ref().map(|config| Webhook::open(config, names)).transpose();
        let webhook = webhook.with_context(|| format!("environments.{environment}.reminders"))?;
        let webhook = webhook.map(|webhook| Line::new(Channel::Webhook, Way::Post(Box::new(webhook))));
        let email = settings.email.as_ref().map(|config| Mailer::open(config, names)).transpose();
        let email = email.with_context(|| format!("environments.{environment}.email"))?;
        let email = email.map(|mailer| Line::new(Channel::Email, Way::Mail(Box::new(mailer))));
        let outbox = Arc::new(Outbox::open(path, environment));
        Ok(Self { environment, outbox, webhook, email, clock, entropy })
    }

    /// The channels that the configuration has.
    fn lines(&self) -> impl Iterator<Item = &Line> {
        [&self.webhook, &self.email].into_iter().flatten()
    }

    /// Sends an alert, once for each name on each channel: it is on disk when this returns. Where there is no channel,
    /// nobody is told.
    pub(super) async fn tell(&self, kind: &str, name: String, data: impl Serialize) -> anyhow::Result<()> {
        let channels: Vec<Channel> = self.lines().map(|line| line.channel).collect();
        if channels.is_empty() {
            return Ok(());
        }
        let (id, now) = (self.new_id()?, self.clock.now());
        let body = self.message(&id, kind, data)?;
        self.outbox.enqueue(NewAlert { id, name, kind: kind.to_owned(), body }, channels, now).await?;
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

    /// Sends a test on each channel, past all that waits, and tells what became of it.
    async fn test(&self) -> Result<Tested, Untold> {
        if self.lines().next().is_none() {
            return Err(Untold::NoChannel);
        }
        let made = self.new_id().map_err(anyhow::Error::from).and_then(|id| {
            let body = self.message(&id, "test", serde_json::Map::new())?;
            Ok((id, body))
        });
        let (id, body) = made.map_err(|error| Untold::Refused(format!("{error:#}")))?;
        let sent = async |line: &Option<Line>| {
            let line = line.as_ref()?;
            let outcome = match timeout(PATIENCE, line.send(&body, &self.clock)).await {
                Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
                Err(_) => Err("other alerts are being delivered, and it is not its turn yet".to_owned()),
            };
            Some((line.channel, outcome))
        };
        let (webhook, email) = tokio::join!(sent(&self.webhook), sent(&self.email));
        Ok(Tested { id, outcomes: [webhook, email].into_iter().flatten().collect() })
    }

    /// Delivers whatever is due, until stopped. An attempt that is under way is finished, which is a matter of seconds.
    pub(super) async fn deliver(&self, stopped: watch::Receiver<bool>) {
        tokio::join!(
            self.deliver_by(Channel::Webhook, self.webhook.as_ref(), stopped.clone()),
            self.deliver_by(Channel::Email, self.email.as_ref(), stopped),
        );
    }

    async fn deliver_by(&self, channel: Channel, line: Option<&Line>, mut stopped: watch::Receiver<bool>) {
        let mut standing = self.outbox.standing();
        let Some(line) = line else {
            let waiting = standing.borrow().of(channel).waiting;
            if waiting > 0 {
                tracing::warn!(environment = %self.environment, channel = channel.as_str(), waiting, "Alerts wait, and the configuration names nobody to tell");
            }
            return;
        };
        while !*stopped.borrow() {
            let due = standing.borrow_and_update().of(channel).next_due;
            if due.is_some_and(|due| due <= self.clock.now()) {
                let Err(error) = self.deliver_next(line).await else {
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

    async fn deliver_next(&self, line: &Line) -> Result<(), OutboxError> {
        let channel = line.channel;
        let Some(Alert { id, kind, body, .. }) = self.outbox.due(channel, self.clock.now(), 1).await?.pop() else {
            return Ok(());
        };
        let delivery = Delivery { id: id.clone(), channel };
        let sent = line.send(&body, &self.clock).await;
        let (now, channel) = (self.clock.now(), channel.as_str());
        let Err(error) = sent else {
            self.outbox.delivered(delivery, now).await?;
            line.outcomes.delivered.fetch_add(1, Ordering::Relaxed);
            tracing::info!(environment = %self.environment, message_id = %id, channel, kind, "An alert was delivered");
            return Ok(());
        };
        let (mut chance, error) = ([0; 8], format!("{error:#}"));
        // Without chance the wait is merely the same for all.
        let _ = self.entropy.fill(&mut chance);
        match self.outbox.failed(delivery, error.clone(), now, u64::from_le_bytes(chance)).await? {
            Failed::Again(next) => {
                line.outcomes.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(environment = %self.environment, message_id = %id, channel, kind, error, %next, "An alert could not be delivered; it is tried again");
            }
            Failed::Dead => {
                line.outcomes.dead.fetch_add(1, Ordering::Relaxed);
                tracing::error!(environment = %self.environment, message_id = %id, channel, kind, error, "An alert could not be delivered for a day; send it once more with fuuffy alerts redeliver");
            }
            Failed::Gone => {}
        }
        Ok(())
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

    /// How many attempts there were, by channel and by what became of them: none on a channel that is not configured.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (Channel, &'static str, u64)> {
        let lines = Channel::ALL.map(|channel| (channel, self.lines().find(|line| line.channel == channel)));
        lines.into_iter().flat_map(|(channel, line)| {
            let count =
                |of: fn(&Outcomes) -> &AtomicU64| line.map_or(0, |line| of(&line.outcomes).load(Ordering::Relaxed));
            [
                (channel, "delivered", count(|it| &it.delivered)),
                (channel, "failed", count(|it| &it.failed)),
                (channel, "dead", count(|it| &it.dead)),
            ]
        })
    }
}
