//! The one writer of a usage file.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fuuffy_domain::{ClientSlot, Counted, Minute, Timestamp, Usage};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::tables::{ALL, Step};

/// Seconds that are in mind and not in the journal, at most, where there is no room.
const UNWRITTEN: usize = 60;
/// What is in mind and not in the tables, at most. With more, minutes are taken together to hours.
const PENDING: usize = 200_000;
/// Rows of minutes at most.
const MINUTES: i64 = 2_000_000;
/// Rows of minutes that leave at once beyond those.
const PIECE: i64 = 100_000;

/// By minute, client and route, as bytes: a tenth of what usage takes otherwise, and there may be a row of each client.
type Pending = HashMap<(Minute, ClientSlot, Arc<str>), Box<[u8]>>;
/// Of all clients together: by number of the step and route.
type Sums = HashMap<(i64, i64), Usage>;

pub(super) struct Book {
    connection: Connection,
    lost: Arc<AtomicU64>,
    /// What is in the journal or still to be written there, and not in the tables.
    pending: Pending,
    /// The rows of the journal that could not be written so far.
    unwritten: Vec<(i64, Vec<u8>)>,
    next_number: i64,
    /// How often the journal was folded.
    folds: i64,
    routes: HashMap<Arc<str>, i64>,
    folded_in: Option<Minute>,
    cleaned_in: Option<i64>,
    /// Told once, and not each second.
    is_failing: bool,
}

impl Book {
    /// Takes up what an earlier run left in the journal.
    pub(super) fn open(connection: Connection, lost: Arc<AtomicU64>) -> rusqlite::Result<Self> {
        // Whoever holds the file is not waited for: there is another try in a second.
        connection.busy_timeout(Duration::ZERO)?;
        let next_number =
            connection.query_row("SELECT coalesce(max(number), 0) + 1 FROM journal", [], |row| row.get(0))?;
        let folds = connection.query_row("SELECT done FROM folds", [], |row| row.get(0))?;
        let mut pending = Pending::new();
        {
            let mut statement = connection.prepare("SELECT counted FROM journal ORDER BY number")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let counted: Vec<u8> = row.get(0)?;
                let Some(counted) = decode(&counted) else {
                    tracing::error!("A second of usage is not what was written, and is left out");
                    continue;
                };
                counted.into_iter().for_each(|counted| add(&mut pending, counted));
            }
        }
        Ok(Self {
            connection,
            lost,
            pending,
            unwritten: Vec::new(),
            next_number,
            folds,
            routes: HashMap::new(),
            folded_in: None,
            cleaned_in: None,
            is_failing: false,
        })
    }

    /// Takes up what was counted.
    pub(super) fn add(&mut self, counted: Vec<Counted>) {
        if counted.is_empty() {
            return;
        }
        self.unwritten.push((self.next_number, encode(&counted)));
        self.next_number += 1;
        counted.into_iter().for_each(|counted| add(&mut self.pending, counted));
        if self.unwritten.len() > UNWRITTEN {
            // It stays in mind, and a kill would lose it now.
            self.unwritten.remove(0);
        }
        if self.pending.len() > PENDING {
            self.take_together();
        }
    }

    /// Writes the journal. A row that is there already, though nobody knew, is not written again.
    pub(super) fn write(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        let write = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            for (number, counted) in &self.unwritten {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO journal (number, counted) VALUES (?1, ?2)")?
                    .execute(params![number, counted])?;
            }
            transaction.commit()
        };
        match write() {
            Ok(()) => {
                self.unwritten.clear();
                self.is_failing = false;
            }
            Err(error) => self.tell(&error),
        }
    }

    /// Folds the journal into the tables with each new minute.
    pub(super) fn fold_if_due(&mut self, now: Timestamp) {
        if self.folded_in != Some(Minute::of(now)) {
            self.fold(now);
        }
    }

    /// Folds the journal into the tables.
    pub(super) fn fold(&mut self, now: Timestamp) {
        self.folded_in = Some(Minute::of(now));
        if self.pending.is_empty() {
            return;
        }
        match self.try_fold(now) {
            Ok(()) => {}
            // The commit may have been done all the same.
            Err(_) if self.folds_done() == Some(self.folds + 1) => {}
            Err(error) => {
                // Routes that were new are undone with the rest, and another may get their number.
                self.routes.clear();
                return self.tell(&error);
            }
        }
        self.folds += 1;
        // With its room: it was made for a minute of all clients.
        self.pending = Pending::new();
        self.unwritten.clear();
        self.is_failing = false;
    }

    /// Keeps what is known of clients. What cannot be kept now will be known better the next time.
    pub(super) fn know(&mut self, known: &[(ClientSlot, Vec<u8>)]) {
        let keep = || -> rusqlite::Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            for (client, bytes) in known {
                transaction
                    .prepare_cached("REPLACE INTO known (client, bytes) VALUES (?1, ?2)")?
                    .execute(params![client.0, bytes])?;
            }
            transaction.commit()
        };
        if let Err(error) = keep() {
            self.tell(&error);
        }
    }

    fn try_fold(&mut self, now: Timestamp) -> rusqlite::Result<()> {
        let hour = Step::Hour.of(Minute::of(now));
        let transaction = self.connection.unchecked_transaction()?;
        for step in Step::ALL {
            let mut all = Sums::new();
            for ((minute, client, route), bytes) in &self.pending {
                let (number, usage) = (step.of(*minute), read(bytes));
                let route = route_id(&transaction, &mut self.routes, route)?;
                all.entry((number, route)).or_default().add(&usage);
                add_to_row(&transaction, step, (number, i64::from(client.0), route), &usage)?;
            }
            for ((number, route), usage) in &all {
                add_to_row(&transaction, step, (*number, ALL, *route), usage)?;
            }
        }
        transaction.execute("DELETE FROM journal", [])?;
        transaction.execute("UPDATE folds SET done = ?1", [self.folds + 1])?;
        if self.cleaned_in != Some(hour) {
            forget(&transaction, now)?;
        }
        transaction.commit()?;
        self.cleaned_in = Some(hour);
        Ok(())
    }

    fn folds_done(&self) -> Option<i64> {
        self.connection.query_row("SELECT done FROM folds", [], |row| row.get(0)).ok()
    }

    /// There is no room on the disk for a long time: minutes are taken together, and what is too much even then is lost.
    fn take_together(&mut self) {
        let mut hours = Pending::new();
        for ((minute, client, route), bytes) in self.pending.drain() {
            let (minute, usage) = (Minute(Step::Hour.of(minute) * 60), read(&bytes));
            if hours.len() < PENDING {
                add(&mut hours, Counted { client, minute, route, usage });
            } else {
                self.lost.fetch_add(usage.requests, Ordering::Relaxed);
            }
        }
        self.pending = hours;
    }

    fn tell(&mut self, error: &rusqlite::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(%error, "Usage cannot be written for now; it is kept in mind, and requests are served as before");
        }
    }
}

fn add(pending: &mut Pending, Counted { client, minute, route, usage }: Counted) {
    let bytes = pending.entry((minute, client, route)).or_default();
    let mut sum = read(bytes);
    sum.add(&usage);
    *bytes = sum.to_bytes().into_boxed_slice();
}

/// What is pending; nothing before there is any.
fn read(bytes: &[u8]) -> Usage {
    Usage::from_bytes(bytes).unwrap_or_default()
}

fn route_id(
    transaction: &Transaction<'_>,
    known: &mut HashMap<Arc<str>, i64>,
    route: &Arc<str>,
) -> rusqlite::Result<i64> {
    if let Some(id) = known.get(route) {
        return Ok(*id);
    }
    transaction.prepare_cached("INSERT OR IGNORE INTO routes (prefix) VALUES (?1)")?.execute([&**route])?;
    let id = transaction
        .prepare_cached("SELECT id FROM routes WHERE prefix = ?1")?
        .query_row([&**route], |row| row.get(0))?;
    known.insert(Arc::clone(route), id);
    Ok(id)
}

fn add_to_row(
    transaction: &Transaction<'_>,
    step: Step,
    (at, client, route): (i64, i64, i64),
    usage: &Usage,
) -> rusqlite::Result<()> {
    let table = step.table();
    let mut find = transaction
        .prepare_cached(&format!("SELECT usage FROM {table} WHERE at = ?1 AND client = ?2 AND route = ?3"))?;
    let mut put = transaction
        .prepare_cached(&format!("REPLACE INTO {table} (at, client, route, usage) VALUES (?1, ?2, ?3, ?4)"))?;
    let before: Option<Vec<u8>> = find.query_row([at, client, route], |row| row.get(0)).optional()?;
    let mut sum = before.and_then(|bytes| Usage::from_bytes(&bytes)).unwrap_or_default();
    sum.add(usage);
    put.execute(params![at, client, route, sum.to_bytes()])?;
    Ok(())
}

/// Old rows leave.
fn forget(transaction: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()> {
    for step in Step::ALL {
        let kept = i64::try_from(step.kept().as_millis()).unwrap_or(i64::MAX);
        let first = Step::of(step, Minute::of(Timestamp::from_unix_millis(now.unix_millis().saturating_sub(kept))));
        transaction.execute(&format!("DELETE FROM {} WHERE at < ?1", step.table()), [first])?;
    }
    let rows: i64 = transaction.query_row("SELECT count(*) FROM minutes", [], |row| row.get(0))?;
    if rows > MINUTES {
        // Whole minutes, the oldest first; the hours have them.
        transaction.execute(
            "DELETE FROM minutes WHERE at <= (SELECT at FROM minutes ORDER BY at LIMIT 1 OFFSET ?1)",
            [rows - MINUTES + PIECE],
        )?;
    }
    Ok(())
}

/// A second's counts as one row: client, minute, route and usage of each, with their lengths.
fn encode(counted: &[Counted]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(counted.len() * 48);
    for Counted { client, minute, route, usage } in counted {
        bytes.extend_from_slice(&client.0.to_le_bytes());
        bytes.extend_from_slice(&minute.0.to_le_bytes());
        for part in [route.as_bytes(), &usage.to_bytes()] {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Option<Vec<Counted>> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (taken, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*taken)
    }
    fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_le_bytes(take(bytes)?)).ok()?;
        let (part, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        Some(part)
    }
    let mut counted = Vec::new();
    while !bytes.is_empty() {
        let client = ClientSlot(u32::from_le_bytes(take(&mut bytes)?));
        let minute = Minute(i64::from_le_bytes(take(&mut bytes)?));
        let route = std::str::from_utf8(part(&mut bytes)?).ok()?.into();
        let usage = Usage::from_bytes(part(&mut bytes)?)?;
        counted.push(Counted { client, minute, route, usage });
    }
    Some(counted)
}
