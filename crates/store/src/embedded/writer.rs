//! The one thread that writes: it puts everything that waits into one transaction, and answers when
//! that is on disk. Once a write or a sync has failed, it writes nothing any more.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fuuffy_domain::{EnvironmentName, KeyId, ScopeSet, Timestamp};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::Memory;
use super::batch::{AuditHead, Batch, Changes, Standing};
use super::load::Loaded;
use super::state::StateFile;
use crate::StoreError;

/// Deeds in one transaction at most.
const BATCH: usize = 1024;
/// Expired rows removed in one transaction at most, so that no deed waits long for it.
const SWEEP: usize = 5000;
/// How often what is kept for a while is cleaned out.
const CLEAN: Duration = Duration::from_secs(60);
/// How long the answer to a creation is kept for its key.
const ANSWERED: Duration = Duration::from_secs(24 * 3600);
/// How long an expired token is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Tells a caller how its deed ended.
pub(super) type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A deed: writes, and leaves behind how to tell its caller.
pub(super) type Job = Box<dyn FnOnce(&mut Batch<'_>) -> rusqlite::Result<Finish> + Send>;

/// What the writer is asked.
pub(super) enum Command {
    Job(Job),
    Tick(Timestamp),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// The tokens of about a minute: what to delete them by, and when they may all go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    minute: i64,
    last_seq: i64,
    expires_at: i64,
}

impl Mark {
    pub(super) fn note(marks: &mut VecDeque<Self>, seq: i64, issued_at: i64, expires_at: i64) {
        let minute = issued_at.div_euclid(60_000);
        match marks.back_mut() {
            Some(mark) if mark.minute == minute => {
                mark.last_seq = seq;
                mark.expires_at = mark.expires_at.max(expires_at);
            }
            _ => marks.push_back(Self { minute, last_seq: seq, expires_at }),
        }
    }
}

/// A range of expired rows to remove: those up to a number, which may be a mark's last.
#[derive(Debug, Clone, Copy)]
struct Sweep {
    up_to: i64,
    ends_mark: bool,
}

pub(super) struct Writer {
    connection: Connection,
    memory: Arc<Memory>,
    state: StateFile,
    environment: EnvironmentName,
    key: KeyId,
    audit: AuditHead,
    next_seq: i64,
    /// The last row that was removed.
    swept: i64,
    /// The time of the last tick.
    now: Timestamp,
    /// When what is kept for a while was last cleaned out.
    cleaned_at: Timestamp,
    scopes: HashMap<Arc<ScopeSet>, i64>,
    marks: VecDeque<Mark>,
}

/// A writer that panics writes nothing any more, and everybody must know.
struct TellsOfPanic(Arc<Memory>);

impl Drop for TellsOfPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.is_writable.store(false, Ordering::Release);
        }
    }
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        memory: Arc<Memory>,
        state: StateFile,
        loaded: Loaded,
        (environment, key): (EnvironmentName, KeyId),
    ) -> Self {
        let Loaded { next_seq, swept, scopes, marks, audit, .. } = loaded;
        let (now, cleaned_at) = (Timestamp::from_unix_millis(0), Timestamp::from_unix_millis(0));
        Self { connection, memory, state, environment, key, audit, next_seq, swept, now, cleaned_at, scopes, marks }
    }

    pub(super) fn spawn(self) -> io::Result<mpsc::Sender<Command>> {
        let (commands, received) = mpsc::channel();
        let name = format!("store-{}", self.environment);
        std::thread::Builder::new().name(name).spawn(move || self.run(&received))?;
        Ok(commands)
    }

    fn run(mut self, commands: &mpsc::Receiver<Command>) {
        let _told = TellsOfPanic(Arc::clone(&self.memory));
        while let Ok(first) = commands.recv() {
            let (mut jobs, mut ticked, mut closing) = (Vec::new(), false, None);
            let mut next = Some(first);
            while let Some(command) = next {
                match command {
                    Command::Job(job) => jobs.push(job),
                    Command::Tick(now) => (self.now, ticked) = (now, true),
                    Command::Close(answer) => closing = Some(answer),
                }
                let has_room = closing.is_none() && jobs.len() < BATCH;
                next = if has_room { commands.try_recv().ok() } else { None };
            }
            if ticked {
                self.tick();
            }
            // Rows leave faster than they come, however fast that is.
            let room = if ticked { SWEEP } else { 2 * jobs.len() };
            let sweep = self.rows_to_sweep(room);
            let cleans = ticked && self.now.since(self.cleaned_at) >= CLEAN;
            if cleans {
                self.cleaned_at = self.now;
                jobs.push(forget(self.now));
            }
            if !jobs.is_empty() || sweep.is_some() {
                self.write(jobs, sweep);
            }
            if let Some(answer) = closing {
                // Nobody may wait for the answer any more.
                let _ = answer.send(self.close());
                return;
            }
        }
    }

    fn tick(&mut self) {
        self.memory.tokens.expire(self.now);
        if self.is_writable()
            && let Err(error) = self.state.note(self.now)
        {
            tracing::warn!(%error, "The time could not be noted; a clock set back while the server is down may go unnoticed");
        }
    }

    /// One transaction. Nobody is told anything before it is on disk, and nobody is told a lie if it is not.
    fn write(&mut self, jobs: Vec<Job>, sweep: Option<Sweep>) {
        if !self.is_writable() {
            // Their callers learn it from the dropped answers.
            return;
        }
        let mut finishes = Vec::with_capacity(jobs.len());
        let answer = match self.transact(jobs, sweep, &mut finishes) {
            Ok(changes) => {
                changes.publish(&self.memory);
                Ok(())
            }
            Err(error) => Err(self.fail(&error)),
        };
        for finish in finishes {
            finish(answer.clone());
        }
    }

    fn transact(
        &mut self,
        jobs: Vec<Job>,
        sweep: Option<Sweep>,
        finishes: &mut Vec<Finish>,
    ) -> rusqlite::Result<Changes> {
        let first_seq = self.next_seq;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let standing = Standing {
            environment: self.environment,
            key: self.key,
            audit: self.audit,
            next_seq: &mut self.next_seq,
            scopes: &mut self.scopes,
        };
        let mut batch = Batch::new(&transaction, &self.memory, standing);
        for job in jobs {
            finishes.push(job(&mut batch)?);
        }
        let changes = batch.finish()?;
        if let Some(sweep) = sweep {
            transaction.prepare_cached("DELETE FROM tokens WHERE seq <= ?1")?.execute([sweep.up_to])?;
        }
        transaction.commit()?;
        self.audit = changes.audit;
        for (seq, (issued_at, expires_at)) in (first_seq..).zip(changes.lives()) {
            Mark::note(&mut self.marks, seq, issued_at.unix_millis(), expires_at.unix_millis());
        }
        if let Some(sweep) = sweep {
            self.swept = sweep.up_to;
            if sweep.ends_mark {
                self.marks.pop_front();
            }
        }
        Ok(changes)
    }

    /// The oldest rows whose tokens all expired more than an hour ago, at most `room` of them.
    fn rows_to_sweep(&self, room: usize) -> Option<Sweep> {
        let mark = self.marks.front()?;
        let remembered = i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
        if mark.expires_at.saturating_add(remembered) > self.now.unix_millis() {
            return None;
        }
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        let up_to = mark.last_seq.min(self.swept.saturating_add(room));
        Some(Sweep { up_to, ends_mark: up_to == mark.last_seq })
    }

    /// After a failed write or sync nobody knows what is on disk until the file is opened anew.
    fn fail(&self, error: &rusqlite::Error) -> StoreError {
        self.memory.is_writable.store(false, Ordering::Release);
        let reason = error.to_string();
        tracing::error!(
            reason,
            "The store cannot write any more; tokens are still validated; restart the server when the disk is mended"
        );
        if let Err(error) = self.state.write(&format!("failed: {reason}")) {
            tracing::error!(%error, "The reason could not be written down either");
        }
        StoreError::Unwritable(reason)
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if !self.is_writable() {
            return Err(StoreError::Unwritable("an earlier write failed".to_owned()));
        }
        let checkpoint = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let noted = self.state.write("clean");
        checkpoint.map_err(|error| StoreError::Unwritable(error.to_string()))?;
        noted.map_err(|error| StoreError::Unwritable(error.to_string()))
    }

    fn is_writable(&self) -> bool {
        self.memory.is_writable.load(Ordering::Acquire)
    }
}

/// Forgets revocations of tokens that are no longer remembered, and old answers.
fn forget(now: Timestamp) -> Job {
    Box::new(move |batch| {
        let before = |age: Duration| now.unix_millis() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        batch.forget(before(REMEMBERED), before(ANSWERED))?;
        Ok(Box::new(|_| ()))
    })
}
