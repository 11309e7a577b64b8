//! Alerts on their way out: on disk before they count as told, and kept until somebody took them, for a day at most.
//! What nobody took is a dead letter, which an operator can send once more.
//!
//! A file of its own, with a thread of its own: the store waits for no alert. Knows nothing of how one is delivered.

use std::path::PathBuf;
use std::time::Duration;

use fuuffy_domain::{EnvironmentName, MessageId, SilenceId, Timestamp};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Part, PartOf};

mod backoff;
mod file;
mod silences;

use file::File;
pub use silences::{KeptSilence, MOST as MOST_SILENCES, NewSilence};

/// Deeds that wait for the thread at most; whoever comes beyond waits.
const QUEUE: usize = 64;
/// How long an alert is tried.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How long a dead letter is kept, and that an alert was told.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// The largest body, in bytes.
const LARGEST: usize = 16 * 1024;
/// What there is room for, for each channel.
const MOST: Most = Most { all: 100_000, dead: 10_000, told: 100_000 };

/// What there is room for.
#[derive(Debug, Clone, Copy)]
struct Most {
    /// Alerts that wait and dead letters together.
    all: usize,
    /// Dead letters.
    dead: usize,
    /// Names of alerts that were told.
    told: usize,
}

/// A way on which alerts go out. One that is down keeps no other back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A signed POST.
    Webhook,
    /// A letter.
    Email,
}

impl Channel {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Webhook, Self::Email];

    /// Its name for programs, which never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }
}

/// An alert on its way by one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which alert.
    pub id: MessageId,
    /// On which way.
    pub channel: Channel,
}

/// What is to be sent once more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Which {
    /// This alert, or else every dead letter.
    pub id: Option<MessageId>,
    /// By this channel alone.
    pub channel: Option<Channel>,
}

/// An alert to send.
#[derive(Debug, Clone)]
pub struct NewAlert {
    /// By which whoever takes it knows it again.
    pub id: MessageId,
    /// What it tells of: of one name there is one alert.
    pub name: String,
    /// What kind of thing it tells.
    pub kind: String,
    /// What is sent, the same in each attempt.
    pub body: String,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    /// It will be tried, or tried again.
    Waiting,
    /// Nobody took it for a day.
    Dead,
}

/// An alert that nobody has taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// By which whoever takes it knows it again.
    pub id: MessageId,
    /// By which channel it is to go.
    pub channel: Channel,
    /// What kind of thing it tells.
    pub kind: String,
    /// What is sent.
    pub body: String,
    /// Where it stands.
    pub state: AlertState,
    /// Since when it is there.
    pub at: Timestamp,
    /// How often it was tried since then, or since it was sent once more.
    pub attempts: u32,
    /// When it is tried next, if it is.
    pub next_at: Option<Timestamp>,
    /// Why it was not taken the last time.
    pub error: Option<String>,
}

/// What becomes of an alert that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It is tried again then.
    Again(Timestamp),
    /// It is a dead letter.
    Dead,
    /// It is gone already.
    Gone,
}

/// How each channel stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standings {
    webhook: Standing,
    email: Standing,
}

impl Standings {
    /// How a channel stands.
    #[must_use]
    pub const fn of(&self, channel: Channel) -> Standing {
        match channel {
            Channel::Webhook => self.webhook,
            Channel::Email => self.email,
        }
    }
}

/// How many alerts there are, and when the next one is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Those that will be tried.
    pub waiting: usize,
    /// Dead letters.
    pub dead: usize,
    /// Since when the oldest of those that wait is there.
    pub oldest: Option<Timestamp>,
    /// When the first of those that wait is due.
    pub next_due: Option<Timestamp>,
}

/// Why the outbox did not do what it was asked.
#[derive(Debug, Error)]
pub enum OutboxError {
    /// So many alerts wait that there is no room for another.
    #[error("the outbox is full; deliver or wait for what is in it first")]
    Full,
    /// Its body is over 16 KiB.
    #[error("an alert has at most {LARGEST} bytes")]
    TooLarge,
    /// There are as many silences as there may be.
    #[error("there are {} silences already; end one first", MOST_SILENCES)]
    TooManySilences,
    /// Its file cannot be written or read for now.
    #[error("the outbox cannot be used ({0})")]
    Unusable(String),
    /// It could not be opened, or was closed.
    #[error("the outbox is closed")]
    Closed,
}

impl From<rusqlite::Error> for OutboxError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// The outbox of one environment.
pub struct Outbox {
    queue: mpsc::Sender<Command>,
    standing: watch::Receiver<Standings>,
}

type Deed = Box<dyn FnOnce(&mut File) + Send>;

enum Command {
    Do(Deed),
    /// Answered when the file is closed.
    Close(oneshot::Sender<()>),
}

impl Outbox {
    /// Opens the file at `path`, or makes one. One that is damaged is put aside. Where there is none to write to, no
    /// alert can be sent until the next start, and the server goes on without.
    #[must_use]
    pub fn open(path: PathBuf, environment: EnvironmentName) -> Self {
        let (queue, received) = mpsc::channel(QUEUE);
        let (told, standing) = watch::channel(Standings::default());
        let begun = File::open(&path, MOST, told).map_err(|error| error.to_string()).and_then(|file| {
            let thread = std::thread::Builder::new().name(format!("outbox-{environment}"));
            thread.spawn(move || work(file, received)).map_err(|error| error.to_string())
        });
        if let Err(error) = begun {
            tracing::error!(%environment, file = %path.display(), error, "Alerts are not sent until the next start, for their outbox cannot be opened; requests are served as before");
        }
        Self { queue, standing }
    }

    /// Keeps an alert until it is told on each of the channels: on disk when this returns. False: there is or was one
    /// of that name on all of them.
    ///
    /// # Errors
    /// A channel has no room for it, which keeps no other one back, or it could not be written.
    pub async fn enqueue(&self, alert: NewAlert, channels: Vec<Channel>, now: Timestamp) -> Result<bool, OutboxError> {
        self.ask(move |file| file.enqueue(&alert, &channels, now)).await
    }

    /// Those that are due on a channel, in the order in which they became so.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn due(&self, channel: Channel, now: Timestamp, limit: usize) -> Result<Vec<Alert>, OutboxError> {
        self.ask(move |file| file.due(channel, now, limit)).await
    }

    /// Somebody took it.
    ///
    /// # Errors
    /// That could not be written: it stays due.
    pub async fn delivered(&self, delivery: Delivery, now: Timestamp) -> Result<(), OutboxError> {
        self.ask(move |file| file.delivered(&delivery, now)).await
    }

    /// Nobody took it, and why; `chance` is what the jitter of the next attempt comes from.
    ///
    /// # Errors
    /// That could not be written: it stays due.
    pub async fn failed(
        &self,
        delivery: Delivery,
        why: String,
        now: Timestamp,
        chance: u64,
    ) -> Result<Failed, OutboxError> {
        self.ask(move |file| file.failed(&delivery, &why, now, chance)).await
    }

    /// A part of what is there, the oldest first; of one state, or all.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn list(
        &self,
        state: Option<AlertState>,
        part: PartOf,
        now: Timestamp,
    ) -> Result<Part<Alert>, OutboxError> {
        self.ask(move |file| file.list(state, part, now)).await
    }

    /// How many deliveries [`Self::redeliver`] would find.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn count(&self, which: Which) -> Result<usize, OutboxError> {
        self.ask(move |file| file.count(&which)).await
    }

    /// Makes deliveries due now, for another day. Answers how many there were.
    ///
    /// # Errors
    /// That could not be written.
    pub async fn redeliver(&self, which: Which, now: Timestamp) -> Result<usize, OutboxError> {
        self.ask(move |file| file.redeliver(&which, now)).await
    }

    /// Whether an alert of this name waits, or was told within a month.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn knows(&self, name: String) -> Result<bool, OutboxError> {
        self.ask(move |file| file.knows(&name)).await
    }

    /// Keeps a silence: on disk when this returns.
    ///
    /// # Errors
    /// There are too many, or it could not be written.
    pub async fn silence(&self, new: NewSilence, now: Timestamp) -> Result<(), OutboxError> {
        self.ask(move |file| file.silence(&new, now)).await
    }

    /// The silences that hold, the oldest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn silences(&self, now: Timestamp) -> Result<Vec<KeptSilence>, OutboxError> {
        self.ask(move |file| file.silences(now)).await
    }

    /// Ends a silence. Answers whether it was there.
    ///
    /// # Errors
    /// That could not be written.
    pub async fn unsilence(&self, id: SilenceId) -> Result<bool, OutboxError> {
        self.ask(move |file| file.unsilence(&id)).await
    }

    /// Counts an alert that a silence kept back.
    ///
    /// # Errors
    /// That could not be written.
    pub async fn count_silenced(&self, id: SilenceId, now: Timestamp) -> Result<(), OutboxError> {
        self.ask(move |file| file.count_silenced(&id, now)).await
    }

    /// Lets go of what is too old, and tells the standing anew.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn tidy(&self, now: Timestamp) -> Result<(), OutboxError> {
        self.ask(move |file| file.tidy(now)).await
    }

    /// How it stands, and that it changed.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standings> {
        self.standing.clone()
    }

    /// Finishes what was asked and lets go of the file.
    pub async fn close(&self) {
        let (done, answer) = oneshot::channel();
        if self.queue.send(Command::Close(done)).await.is_ok() {
            let _ = answer.await;
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        deed: impl FnOnce(&mut File) -> Result<T, OutboxError> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let (done, answer) = oneshot::channel();
        let deed: Deed = Box::new(move |file| {
            let outcome = deed(file);
            // Whoever hears the outcome finds the standing true already.
            file.tell_standing();
            let _ = done.send(outcome);
        });
        self.queue.send(Command::Do(deed)).await.map_err(|_| OutboxError::Closed)?;
        answer.await.unwrap_or(Err(OutboxError::Closed))
    }
}

fn work(mut file: File, mut received: mpsc::Receiver<Command>) {
    while let Some(command) = received.blocking_recv() {
        match command {
            Command::Do(deed) => deed(&mut file),
            Command::Close(done) => {
                drop(file);
                let _ = done.send(());
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
