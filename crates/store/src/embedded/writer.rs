//! The one thread that writes: it puts everything that waits into one transaction, and answers when
//! that is on disk. Once a write or a sync has failed, it writes nothing any more. A full disk is another thing:
//! SQLite has undone the transaction and nothing is unknown, so it goes on with what takes access away, and with
//! everything when there is room again.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fuuffy_domain::{AuditKeys, EnvironmentName, KeyId, ScopeSet, Timestamp};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::oneshot;

use super::audit::{AuditHead, Retention};
use super::batch::{Batch, Changes, Standing};
use super::checkpoints::CheckpointFile;
use super::handover::Signing;
use super::job::{Chore, Job, Urgency};
use super::load::Loaded;
use super::reserve::Reserve;
use super::state::StateFile;
use super::{Memory, load};
use crate::StoreError;

/// Deeds in one transaction at most.
const BATCH: usize = 1024;
/// Expired rows removed in one transaction at most, so that no deed waits long for it.
const SWEEP: usize = 5000;
/// How often what is kept for a while is cleaned out.
const CLEAN: Duration = Duration::from_secs(60);
/// How long the answer to a creation is kept for its key.
const ANSWERED: Duration = Duration::from_secs(24 * 3600);
/// So long after the end of an assertion no request that began before it is still under way.
const UNDER_WAY: Duration = Duration::from_secs(60);
/// How long an expired token is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// What the writer is asked.
pub(super) enum Command {
    Job(Box<dyn Job>),
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
    keys: AuditKeys,
    /// What is to sign the audit log instead, once it says so.
    due_keys: Option<AuditKeys>,
    /// Keys that nothing new is kept under.
    closed_keys: Vec<KeyId>,
    audit: AuditHead,
    retention: Option<Retention>,
    checkpoints: CheckpointFile,
    reserve: Reserve,
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

/// What the writer has beside the database.
pub(super) struct Beside {
    pub(super) state: StateFile,
    pub(super) checkpoints: CheckpointFile,
    pub(super) reserve: Reserve,
}

/// SQLite's code where the index of its write-ahead log cannot grow: nothing was written by then.
const NO_ROOM_FOR_INDEX: i32 = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

impl Writer {
    pub(super) fn new(
        connection: Connection,
        memory: Arc<Memory>,
        beside: Beside,
        loaded: Loaded,
        (signing, retention, now): (Signing, Option<Duration>, Timestamp),
    ) -> Self {
        let Signing { keys, due: due_keys } = signing;
        let Beside { state, checkpoints, reserve } = beside;
        let Loaded { next_seq, swept, scopes, marks, audit, .. } = loaded;
        let (environment, retention) = (keys.environment(), retention.map(Retention::new));
        let cleaned_at = Timestamp::from_unix_millis(0);
        let closed_keys = Vec::new();
        Self {
            connection,
            memory,
            state,
            environment,
            keys,
            due_keys,
            closed_keys,
            audit,
            retention,
            checkpoints,
            reserve,
            next_seq,
            swept,
            now,
            cleaned_at,
            scopes,
            marks,
        }
    }

    pub(super) fn spawn(self) -> io::Result<mpsc::Sender<Command>> {
        let (commands, received) = mpsc::channel();
        let name = format!("store-{}", self.environment);
        std::thread::Builder::new().name(name).spawn(move || self.run(&received))?;
        Ok(commands)
    }

    fn run(mut self, commands: &mpsc::Receiver<Command>) {
        let _told = TellsOfPanic(Arc::clone(&self.memory));
        if let Some(handover) = self.due_handover() {
            self.write(vec![handover], None);
        }
        // What came before and had no room in a transaction; no more than may wait.
        let mut waiting = VecDeque::<Box<dyn Job>>::new();
        let mut closing = None;
        loop {
            let (mut jobs, mut ticked, mut has_yielded) = (Vec::new(), false, false);
            let mut next = match waiting.is_empty() {
                true => match commands.recv() {
                    Ok(first) => Some(first),
                    Err(mpsc::RecvError) => return,
                },
                false if closing.is_none() => commands.try_recv().ok(),
                false => None,
            };
            while let Some(command) = next {
                match command {
                    Command::Job(job) if job.urgency() == Urgency::Revocation => jobs.push(job),
                    Command::Job(job) => waiting.push_back(job),
                    Command::Tick(now) => (self.now, ticked) = (now, true),
                    Command::Close(answer) => closing = Some(answer),
                }
                next = if closing.is_none() { commands.try_recv().ok() } else { None };
                // Whoever asks for tokens and shares this core may have more for the same sync; what takes access away
                // waits for nobody.
                if next.is_none() && !has_yielded && closing.is_none() && jobs.is_empty() && !waiting.is_empty() {
                    has_yielded = true;
                    std::thread::yield_now();
                    next = commands.try_recv().ok();
                }
            }
            let room = BATCH.saturating_sub(jobs.len()).min(waiting.len());
            jobs.extend(waiting.drain(..room));
            if ticked {
                self.tick(&mut jobs);
            }
            // Rows leave faster than they come, however fast that is.
            let room = if ticked { SWEEP } else { 2 * jobs.len() };
            let sweep = self.rows_to_sweep(room);
            if !jobs.is_empty() || sweep.is_some() {
                self.write(jobs, sweep);
            }
            if let Some(answer) = closing.take_if(|_| waiting.is_empty()) {
                let closed = self.close();
                // The files are let go of before anybody hears that they are.
                drop(self);
                // Nobody may wait for the answer any more.
                let _ = answer.send(closed);
                return;
            }
        }
    }

    fn tick(&mut self, jobs: &mut Vec<Box<dyn Job>>) {
        self.memory.tokens.expire(self.now);
        if !self.is_writable() {
            return;
        }
        if let Err(error) = self.state.note(self.now) {
            tracing::warn!(%error, "The time could not be noted; a clock set back while the server is down may go unnoticed");
        }
        if self.is_full() && !self.has_room_again() {
            return;
        }
        self.checkpoints.write();
        let now = self.now;
        jobs.extend(self.due_handover());
        if now.since(self.cleaned_at) >= CLEAN {
            self.cleaned_at = now;
            jobs.push(forget(now));
        }
        if let Some((by, rule)) = self.retention.as_mut().and_then(|retention| retention.is_due(now)) {
            jobs.push(Box::new(Chore(move |batch: &mut Batch<'_>| batch.remove_old(now, by, &rule))));
        }
        if self.audit.is_due(now) {
            jobs.push(Box::new(Chore(move |batch: &mut Batch<'_>| batch.sign(now).map(drop))));
        }
    }

    /// What the key that signed last has yet to do. It signs on until that is done, however full the disk is.
    fn due_handover(&self) -> Option<Box<dyn Job>> {
        let (now, mut keys) = (self.now, Some(self.due_keys.clone()?));
        Some(Box::new(Chore(move |batch: &mut Batch<'_>| match keys.take() {
            Some(keys) => batch.make_up_handover(now, keys),
            None => Ok(()),
        })))
    }

    fn has_room_again(&self) -> bool {
        if !self.reserve.finds_room() {
            return false;
        }
        self.memory.is_full.store(false, Ordering::Release);
        tracing::info!(environment = %self.environment, "There is room on the disk again; all deeds are done again");
        true
    }

    /// One transaction. Nobody is told anything before it is on disk, and nobody is told a lie if it is not.
    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>, sweep: Option<Sweep>) {
        if !self.is_writable() {
            // Their callers learn it from the dropped answers.
            return;
        }
        let answer = match self.is_full() {
            true => Err(StoreError::Full),
            false => self.transact(&mut jobs, sweep),
        };
        if !matches!(answer, Err(StoreError::Full)) {
            jobs.into_iter().for_each(|job| job.answer(answer.clone()));
            return;
        }
        let (revocations, others): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| job.urgency() == Urgency::Revocation);
        others.into_iter().for_each(|job| job.answer(Err(StoreError::Full)));
        if !revocations.is_empty() {
            self.write_to_reserve(revocations);
        }
    }

    /// What takes access away is written even on a full disk: into the room that was kept for it.
    fn write_to_reserve(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let mut answer = self.transact(&mut jobs, None);
        if matches!(answer, Err(StoreError::Full)) && self.reserve.give_back() {
            tracing::warn!(environment = %self.environment, "The reserved space was given back for a revocation");
            answer = self.transact(&mut jobs, None);
        }
        jobs.into_iter().for_each(|job| job.answer(answer.clone()));
        // What is moved to the database leaves its place in the write-ahead log to the next revocation.
        if answer.is_ok() {
            let moved = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            if let Err(error) = moved.or_else(|error| if is_for_room(&error) { Ok(()) } else { Err(error) }) {
                self.fail(&error);
            }
        }
    }

    /// Does the deeds in one transaction, and publishes what they changed.
    fn transact(&mut self, jobs: &mut [Box<dyn Job>], sweep: Option<Sweep>) -> Result<(), StoreError> {
        let first_seq = self.next_seq;
        match self.try_transact(jobs, sweep) {
            Ok(changes) => {
                self.checkpoints.push(changes.publish(&self.memory));
                if !self.is_full() {
                    self.checkpoints.write();
                }
                Ok(())
            }
            Err(error) if is_for_room(&error) && self.connection.is_autocommit() => self.run_full(first_seq, &error),
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// SQLite undid the transaction, so all is as it was before it.
    fn run_full(&mut self, first_seq: i64, error: &rusqlite::Error) -> Result<(), StoreError> {
        self.next_seq = first_seq;
        self.scopes = load::scopes(&self.connection).map_err(|error| self.fail(&error))?;
        if !self.memory.is_full.swap(true, Ordering::AcqRel) {
            tracing::error!(environment = %self.environment, %error, "The disk is full: only revocations are written, and tokens are still validated; it goes on by itself when there is room");
        }
        Err(StoreError::Full)
    }

    fn try_transact(&mut self, jobs: &mut [Box<dyn Job>], sweep: Option<Sweep>) -> rusqlite::Result<Changes> {
        let first_seq = self.next_seq;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let standing = Standing {
            environment: self.environment,
            keys: &self.keys,
            closed_keys: &mut self.closed_keys,
            audit: self.audit,
            next_seq: &mut self.next_seq,
            scopes: &mut self.scopes,
        };
        let mut batch = Batch::new(&transaction, &self.memory, standing);
        for job in jobs {
            job.run(&mut batch)?;
        }
        let mut changes = batch.finish()?;
        if let Some(sweep) = sweep {
            transaction.prepare_cached("DELETE FROM tokens WHERE seq <= ?1")?.execute([sweep.up_to])?;
        }
        transaction.commit()?;
        self.audit = changes.audit;
        if let Some(keys) = changes.new_keys.take() {
            if self.due_keys.take().is_some() {
                tracing::info!(environment = %self.environment, key = keys.current().0.0, "The audit log goes on under the current audit key, which it was not handed on to before");
            }
            self.keys = keys;
        }
        if let Some(retention) = self.retention.as_mut().filter(|_| changes.removed_a_piece) {
            retention.look_again();
        }
        for (seq, (issued_at, expires_at)) in (first_seq..).zip(changes.lives()) {
            Mark::note(&mut self.marks, seq, issued_at.unix_millis(), expires_at.unix_millis());
        }
        self.memory.chains.append((first_seq..).zip(changes.owners()));
        if let Some(sweep) = sweep {
            self.memory.chains.forget(sweep.up_to);
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
        if self.audit.has_news() {
            let now = self.now;
            let sign: Box<dyn Job> = Box::new(Chore(move |batch: &mut Batch<'_>| batch.sign(now).map(drop)));
            match self.transact(&mut [sign], None) {
                Ok(()) => self.checkpoints.write(),
                // There is no room for it; the next run signs what is there.
                Err(StoreError::Full) => {}
                Err(error) => return Err(error),
            }
        }
        let checkpoint = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let noted = self.state.write("clean");
        checkpoint.map_err(|error| StoreError::Unwritable(error.to_string()))?;
        noted.map_err(|error| StoreError::Unwritable(error.to_string()))
    }

    fn is_writable(&self) -> bool {
        self.memory.is_writable.load(Ordering::Acquire)
    }

    fn is_full(&self) -> bool {
        self.memory.is_full.load(Ordering::Acquire)
    }
}

/// Whether a write failed for want of room, and for nothing else. A sync that fails for it is another thing.
fn is_for_room(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|error| error.extended_code == NO_ROOM_FOR_INDEX)
}

/// Forgets revocations of tokens that are no longer remembered, old answers, and assertions that nobody can use any more.
fn forget(now: Timestamp) -> Box<dyn Job> {
    Box::new(Chore(move |batch: &mut Batch<'_>| {
        let before = |age: Duration| now.unix_millis() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        batch.forget_assertions(Timestamp::from_unix_millis(before(UNDER_WAY)))?;
        batch.forget(before(REMEMBERED), before(ANSWERED))
    }))
}
