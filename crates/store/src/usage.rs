//! What clients used: by client, route and minute, hour and day, for thirteen months, in a file of its own.
//!
//! A thread of its own writes. What was counted in a second is one row of a journal; once a minute, and before it is
//! read, the journal is folded into the tables, in one transaction. So a second costs one small write however many
//! clients call, nothing is counted twice, and a kill loses what was not handed over yet.

mod book;
mod read;
mod tables;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};

use fuuffy_domain::{ClientSlot, Counted, EnvironmentName, Minute, Tally, Timestamp, Usage};
use tokio::sync::oneshot;

use crate::StoreError;
use crate::side_file::SideFile;

use book::Book;
pub use read::{BusyRow, Grouping, Step, UsageQuery, UsageRow};

/// The usage of one environment.
pub struct UsageBook {
    queue: Sender<Command>,
    path: PathBuf,
    lost: Arc<AtomicU64>,
    /// Where it is counted.
    tallies: Vec<Arc<Tally>>,
}

enum Command {
    /// Answered when it is in the file, or stays in mind for want of room.
    Add(Vec<Counted>, Timestamp, oneshot::Sender<()>),
    /// Answered when the tables have all of it.
    Fold(Timestamp, oneshot::Sender<()>),
    /// Keeps what is known of clients. Answered when it is in the file, or cannot be.
    Know(Vec<(ClientSlot, Vec<u8>)>, oneshot::Sender<()>),
    /// Answered when the file is closed, too.
    Close(Timestamp, oneshot::Sender<()>),
}

impl UsageBook {
    /// Opens the file at `path`, or makes one, for what `tallies` count. One that is damaged is put aside. Where there is none to write to,
    /// nothing is kept until the next start, and the server goes on without.
    #[must_use]
    pub fn open(path: PathBuf, environment: EnvironmentName, tallies: Vec<Arc<Tally>>) -> Self {
        let (queue, received) = mpsc::channel();
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let (what, schema) = ("The counts of usage", tables::TABLES);
        let file = SideFile { path: &path, what, schema, synchronous: "NORMAL" };
        let opened = file.open_or_replace().map_err(|error| error.to_string());
        let begun = opened.and_then(|connection| Book::open(connection, counted).map_err(|error| error.to_string()));
        let begun = begun.and_then(|book| {
            let thread = std::thread::Builder::new().name(format!("usage-{environment}"));
            thread.spawn(move || run(book, &received)).map_err(|error| error.to_string())
        });
        if let Err(error) = begun {
            tracing::error!(%environment, file = %path.display(), error, "Usage is not kept until the next start, for its file cannot be opened; requests are served as before");
        }
        Self { queue, path, lost, tallies }
    }

    /// Keeps what was counted since the last time. It is in the file when this returns, or in mind until there is room.
    pub async fn keep(&self, now: Timestamp) {
        self.add(self.tallies.iter().flat_map(|tally| tally.take(now)).collect(), now).await;
    }

    async fn add(&self, counted: Vec<Counted>, now: Timestamp) {
        let requests: u64 = counted.iter().map(|counted| counted.usage.requests).sum();
        if !self.done(|done| Command::Add(counted, now, done)).await {
            self.lost.fetch_add(requests, Ordering::Relaxed);
        }
    }

    /// Keeps the last of it, and lets go of the file.
    pub async fn close(&self, now: Timestamp) {
        self.keep(now).await;
        self.done(|done| Command::Close(now, done)).await;
    }

    /// Keeps what is known of clients from their usage, in whatever form.
    pub async fn know(&self, known: Vec<(ClientSlot, Vec<u8>)>) {
        self.done(|done| Command::Know(known, done)).await;
    }

    /// What is known of clients.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn known(&self) -> Result<Vec<(ClientSlot, Vec<u8>)>, StoreError> {
        read::known(&self.path)
    }

    /// Requests whose usage could not be kept.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// What was used, all of it up to now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn read(&self, query: UsageQuery, now: Timestamp) -> Result<Vec<UsageRow>, StoreError> {
        self.keep(now).await;
        self.done(|done| Command::Fold(now, done)).await;
        let path = self.path.clone();
        let rows = tokio::task::spawn_blocking(move || read::read(&path, &query)).await;
        rows.unwrap_or(Err(StoreError::Closed))
    }

    /// Takes what each client used in each minute of some time, in order, all of it up to now. Of many clients no more is
    /// in memory than what `take` makes of them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn each_client<T: Default + Send + 'static>(
        &self,
        time: Range<Timestamp>,
        now: Timestamp,
        take: impl Fn(&mut T, Minute, ClientSlot, &Usage) + Send + 'static,
    ) -> Result<T, StoreError> {
        self.keep(now).await;
        self.done(|done| Command::Fold(now, done)).await;
        let path = self.path.clone();
        let all = tokio::task::spawn_blocking(move || {
            let mut made = T::default();
            read::each_client(&path, &time, |minute, client, usage| take(&mut made, minute, client, usage))?;
            Ok(made)
        });
        all.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What clients asked for of some routes, and how long they were busy, all of it up to now.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn busy(
        &self,
        query: UsageQuery,
        routes: &'static [&'static str],
        now: Timestamp,
    ) -> Result<Vec<BusyRow>, StoreError> {
        self.keep(now).await;
        self.done(|done| Command::Fold(now, done)).await;
        let path = self.path.clone();
        let rows = tokio::task::spawn_blocking(move || read::busy(&path, &query, routes)).await;
        rows.unwrap_or(Err(StoreError::Closed))
    }

    async fn done(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) -> bool {
        let (done, answer) = oneshot::channel();
        self.queue.send(command(done)).is_ok() && answer.await.is_ok()
    }
}

fn run(mut book: Book, received: &mpsc::Receiver<Command>) {
    while let Ok(command) = received.recv() {
        let done = match command {
            Command::Add(counted, now, done) => {
                book.add(counted);
                book.write();
                book.fold_if_due(now);
                done
            }
            Command::Fold(now, done) => {
                book.fold(now);
                done
            }
            Command::Know(known, done) => {
                book.know(&known);
                done
            }
            Command::Close(now, done) => {
                book.fold(now);
                drop(book);
                let _ = done.send(());
                return;
            }
        };
        // Whoever waited may have gone.
        let _ = done.send(());
    }
}
