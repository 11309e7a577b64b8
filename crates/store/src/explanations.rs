//! Why requests were refused: kept for a week, in bounded space, in a file of its own that nothing else rests on.
//!
//! A thread of its own writes; whoever records waits for nothing. What does not fit its queue is dropped and
//! counted. Each client has room for so many refusals, and so have all callers whom nobody knows together; where all
//! the room is taken, whoever has most loses the oldest. So no flood pushes out what others want to know. A row is
//! about 500 bytes, and all of them ([`MOST`]) some 150 MB.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::Duration;

use fuuffy_domain::{EnvironmentName, Refused, RequestId, Timestamp};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::StoreError;

mod file;
mod rooms;

use rooms::{Most, Rooms};

/// Refusals that wait to be written at most.
const WAITING: usize = 4096;
/// Refusals in one transaction at most.
const BATCH: usize = 512;
/// For so long others are waited for that go into the same transaction: it costs more than a row.
const GATHERING: Duration = Duration::from_millis(50);
/// How long a refusal is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Refusals that are kept of one client, or of all callers whom nobody knows; and in all.
const MOST: Most = Most { each: 10_000, all: 300_000 };

/// The refusals of one environment.
pub struct Explanations {
    queue: SyncSender<Command>,
    path: PathBuf,
    dropped: Arc<AtomicU64>,
}

enum Command {
    Record(Box<Refused>),
    /// Answered when all that was recorded before is written.
    Flush(oneshot::Sender<()>),
    /// Answered when the file is closed, too.
    Close(oneshot::Sender<()>),
}

impl Explanations {
    /// Opens the file at `path`, or makes one. One that is damaged is put aside. Where there is none to write to, for
    /// want of room, rights or anything else, nothing is kept until the next start, and the server goes on without.
    ///
    /// The thread that writes begins by `give_way`: a flood of refusals is a lot to write down, and must not hold up those who
    /// refuse.
    #[must_use]
    pub fn open(path: PathBuf, environment: EnvironmentName, give_way: fn()) -> Self {
        let (queue, received) = mpsc::sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        let begun = file::open_or_replace(&path).map_err(|error| error.to_string()).and_then(|connection| {
            let thread = std::thread::Builder::new().name(format!("explain-{environment}"));
            let work = move || {
                give_way();
                write(connection, &received, &counted);
            };
            thread.spawn(work).map_err(|error| error.to_string())
        });
        if let Err(error) = begun {
            tracing::error!(%environment, file = %path.display(), error, "Reasons of refusals are not kept until the next start, for their file cannot be opened; requests are served as before");
        }
        Self { queue, path, dropped }
    }

    /// Keeps a refusal, if there is room for it to wait.
    pub fn record(&self, refused: Refused) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Command::Record(Box::new(refused)))
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many refusals could not be kept.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all that was recorded is written.
    pub async fn flush(&self) {
        self.wait_for(Command::Flush).await;
    }

    /// Writes what was recorded and lets go of the file. What is recorded later is dropped.
    pub async fn close(&self) {
        self.wait_for(Command::Close).await;
    }

    async fn wait_for(&self, command: fn(oneshot::Sender<()>) -> Command) {
        let (done, answer) = oneshot::channel();
        let queue = self.queue.clone();
        // A queue that is full makes this wait, which is no matter for a worker.
        let sent = tokio::task::spawn_blocking(move || queue.send(command(done)));
        if matches!(sent.await, Ok(Ok(()))) {
            let _ = answer.await;
        }
    }

    /// The refusal of a request, if it is kept and no older than a week.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn find(&self, request: RequestId, now: Timestamp) -> Result<Option<Refused>, StoreError> {
        self.flush().await;
        let path = self.path.clone();
        let found = tokio::task::spawn_blocking(move || file::find(&path, request)).await;
        // Old ones leave with the next refusal that is kept, which may be a long time coming.
        Ok(found.unwrap_or(Err(StoreError::Closed))?.filter(|refused| now.since(refused.at) <= KEPT))
    }
}

fn write(mut connection: Connection, received: &mpsc::Receiver<Command>, dropped: &AtomicU64) {
    let mut rooms = Rooms::count(&connection).unwrap_or_default();
    // Told once, and not with each batch of a flood.
    let mut is_failing = false;
    while let Ok(first) = received.recv() {
        let (mut refusals, mut waiting, mut closing, mut next) = (Vec::new(), Vec::new(), None, Some(first));
        while let Some(command) = next {
            match command {
                Command::Record(refused) => refusals.push(*refused),
                Command::Flush(answer) => waiting.push(answer),
                Command::Close(answer) => closing = Some(answer),
            }
            let is_awaited = closing.is_some() || !waiting.is_empty();
            next = match is_full(&refusals) {
                true => None,
                false if is_awaited => received.try_recv().ok(),
                false => received.recv_timeout(GATHERING).ok(),
            };
        }
        match keep(&mut connection, &refusals, &mut rooms, MOST) {
            Ok(()) => is_failing &= refusals.is_empty(),
            Err(error) => {
                dropped.fetch_add(refusals.len() as u64, Ordering::Relaxed);
                // What was counted is undone with the transaction.
                rooms = Rooms::count(&connection).unwrap_or_default();
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%error, "Reasons of refusals cannot be kept for now; requests are served as before");
                }
            }
        }
        for answer in waiting {
            let _ = answer.send(());
        }
        if let Some(answer) = closing {
            drop(connection);
            let _ = answer.send(());
            return;
        }
    }
}

/// Whether there are as many as one transaction has, or the first of them has waited for long enough.
fn is_full(refusals: &[Refused]) -> bool {
    let ends = refusals.first().zip(refusals.last());
    refusals.len() >= BATCH || ends.is_some_and(|(first, last)| last.at.since(first.at) >= GATHERING)
}

fn keep(connection: &mut Connection, refusals: &[Refused], rooms: &mut Rooms, most: Most) -> rusqlite::Result<()> {
    let Some(newest) = refusals.iter().map(|refused| refused.at).max() else {
        return Ok(());
    };
    let transaction = connection.transaction()?;
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    rooms.clear_old(&transaction, Timestamp::from_unix_millis(newest.unix_millis().saturating_sub(kept)))?;
    for refused in refusals {
        if file::insert(&transaction, refused)? {
            rooms.take(&transaction, &refused.client, most)?;
        }
    }
    transaction.commit()
}

#[cfg(test)]
mod tests;
