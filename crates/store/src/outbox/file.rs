//! The file of the outbox: alerts in the order in which they came, and the names of those that were told.

use std::path::Path;

use fuuffy_domain::{MessageId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use tokio::sync::watch;

use super::{
    Alert, AlertState, Failed, KEPT, LARGEST, Most, NewAlert, OutboxError, PATIENCE, Standing, backoff, silences,
};
use crate::side_file::{SideFile, Unopened};
use crate::{Part, PartOf};

/// An alert waits where `next_at` is there, and is dead where `died_at` is.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS alerts (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        at INTEGER NOT NULL,
        since INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        next_at INTEGER,
        died_at INTEGER,
        error TEXT,
        CHECK ((next_at IS NULL) <> (died_at IS NULL))
    ) STRICT;
    CREATE INDEX IF NOT EXISTS alerts_waiting ON alerts (next_at, number) WHERE next_at IS NOT NULL;
    CREATE INDEX IF NOT EXISTS alerts_dead ON alerts (died_at, number) WHERE died_at IS NOT NULL;
    CREATE TABLE IF NOT EXISTS told (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS told_at ON told (at);
";

const COLUMNS: &str = "id, kind, body, at, attempts, next_at, error";
/// The longest reason that is kept, in characters.
const LONGEST_ERROR: usize = 300;

/// The file, open.
pub(super) struct File {
    pub(super) connection: Connection,
    most: Most,
    standing: watch::Sender<Standing>,
}

impl File {
    pub(super) fn open(path: &Path, most: Most, standing: watch::Sender<Standing>) -> Result<Self, Unopened> {
        let file = SideFile { path, what: "The alerts that waited", schema: SCHEMA, synchronous: "FULL" };
        let file = Self { connection: file.open_or_replace()?, most, standing };
        file.connection.execute_batch(silences::SCHEMA)?;
        file.tell_standing();
        Ok(file)
    }

    pub(super) fn enqueue(&mut self, alert: &NewAlert, now: Timestamp) -> Result<bool, OutboxError> {
        if alert.body.len() > LARGEST {
            return Err(OutboxError::TooLarge);
        }
        let NewAlert { id, name, kind, body } = alert;
        let most = self.most;
        let transaction = self.connection.transaction()?;
        clear_old(&transaction, now)?;
        if knows(&transaction, name)? {
            return Ok(false);
        }
        let all = number(&transaction, "SELECT count(*) FROM alerts")?;
        let excess = (all + 1).saturating_sub(most.all);
        if clear_oldest_dead(&transaction, excess)? < excess {
            return Err(OutboxError::Full);
        }
        transaction
            .prepare_cached(
                "INSERT INTO alerts (id, name, kind, body, at, since, attempts, next_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, ?5)",
            )?
            .execute(params![id.as_str(), name, kind, body, now.unix_millis()])?;
        transaction.commit()?;
        Ok(true)
    }

    pub(super) fn knows(&mut self, name: &str) -> Result<bool, OutboxError> {
        Ok(knows(&self.connection, name)?)
    }

    pub(super) fn due(&mut self, now: Timestamp, limit: usize) -> Result<Vec<Alert>, OutboxError> {
        let due = format!("SELECT {COLUMNS} FROM alerts WHERE next_at <= ?1 ORDER BY next_at, number LIMIT ?2");
        let mut due = self.connection.prepare_cached(&due)?;
        let due = due.query_map(params![now.unix_millis(), whole(limit)], alert)?;
        Ok(due.collect::<Result<_, _>>()?)
    }

    pub(super) fn delivered(&mut self, id: &MessageId, now: Timestamp) -> Result<(), OutboxError> {
        let most = self.most;
        let transaction = self.connection.transaction()?;
        let name = "DELETE FROM alerts WHERE id = ?1 RETURNING name";
        let name: Option<String> =
            transaction.prepare_cached(name)?.query_row([id.as_str()], |row| row.get(0)).optional()?;
        if let Some(name) = name {
            let told = "INSERT OR REPLACE INTO told (name, at) VALUES (?1, ?2)";
            transaction.prepare_cached(told)?.execute(params![name, now.unix_millis()])?;
            let all = number(&transaction, "SELECT count(*) FROM told")?;
            let excess = "DELETE FROM told WHERE name IN (SELECT name FROM told ORDER BY at LIMIT ?1)";
            transaction.prepare_cached(excess)?.execute([whole(all.saturating_sub(most.told))])?;
        }
        Ok(transaction.commit()?)
    }

    pub(super) fn failed(
        &mut self,
        id: &MessageId,
        why: &str,
        now: Timestamp,
        chance: u64,
    ) -> Result<Failed, OutboxError> {
        let most = self.most;
        let why: String = why.chars().take(LONGEST_ERROR).collect();
        let transaction = self.connection.transaction()?;
        let tried = "SELECT attempts + 1, since FROM alerts WHERE id = ?1 AND next_at IS NOT NULL";
        let tried = transaction.query_row(tried, [id.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((attempts, since)) = tried else {
            return Ok(Failed::Gone);
        };
        let next = backoff::next(attempts, Timestamp::from_unix_millis(since), now, chance);
        let died_at = next.is_none().then_some(now.unix_millis());
        transaction
            .prepare_cached("UPDATE alerts SET attempts = ?2, next_at = ?3, died_at = ?4, error = ?5 WHERE id = ?1")?
            .execute(params![id.as_str(), attempts, next.map(Timestamp::unix_millis), died_at, why])?;
        let dead = count(&transaction, "died_at")?;
        clear_oldest_dead(&transaction, dead.saturating_sub(most.dead))?;
        transaction.commit()?;
        Ok(next.map_or(Failed::Dead, Failed::Again))
    }

    pub(super) fn list(
        &mut self,
        state: Option<AlertState>,
        PartOf { skip, take }: PartOf,
        now: Timestamp,
    ) -> Result<Part<Alert>, OutboxError> {
        self.tidy(now)?;
        let which = match state {
            None => "TRUE",
            Some(AlertState::Waiting) => "next_at IS NOT NULL",
            Some(AlertState::Dead) => "died_at IS NOT NULL",
        };
        // Both by one transaction, so that they tell of the same moment.
        let transaction = self.connection.transaction()?;
        let total = number(&transaction, &format!("SELECT count(*) FROM alerts WHERE {which}"))?;
        let part = format!("SELECT {COLUMNS} FROM alerts WHERE {which} ORDER BY number LIMIT ?1 OFFSET ?2");
        let mut part = transaction.prepare(&part)?;
        let items = part.query_map(params![whole(take), whole(skip)], alert)?.collect::<Result<_, _>>()?;
        Ok(Part { items, total })
    }

    pub(super) fn count(&mut self, which: Option<&MessageId>) -> Result<usize, OutboxError> {
        let Some(id) = which else {
            return Ok(count(&self.connection, "died_at")?);
        };
        let mut known = self.connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM alerts WHERE id = ?1)")?;
        let is_known: bool = known.query_row([id.as_str()], |row| row.get(0))?;
        Ok(usize::from(is_known))
    }

    pub(super) fn redeliver(&mut self, which: Option<&MessageId>, now: Timestamp) -> Result<usize, OutboxError> {
        let anew = "UPDATE alerts SET since = ?1, attempts = 0, next_at = ?1, died_at = NULL WHERE";
        let now = now.unix_millis();
        let count = match which {
            Some(id) => self.connection.execute(&format!("{anew} id = ?2"), params![now, id.as_str()])?,
            None => self.connection.execute(&format!("{anew} died_at IS NOT NULL"), [now])?,
        };
        Ok(count)
    }

    pub(super) fn tidy(&mut self, now: Timestamp) -> Result<(), OutboxError> {
        clear_old(&self.connection, now)?;
        // Nothing waits for longer than a day, unless the clock was wrong when it was queued.
        let far = "UPDATE alerts SET since = ?1, next_at = ?1 WHERE next_at > ?2";
        let latest = now.after(PATIENCE).unix_millis();
        self.connection.prepare_cached(far)?.execute([now.unix_millis(), latest])?;
        Ok(())
    }

    /// Tells how it stands. Where that cannot be read, the last word stays.
    pub(super) fn tell_standing(&self) {
        let read = || -> rusqlite::Result<Standing> {
            let first = "SELECT min(next_at), min(since) FROM alerts WHERE next_at IS NOT NULL";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
            let (next, oldest) = self.connection.prepare_cached(first)?.query_row([], read)?;
            Ok(Standing {
                waiting: count(&self.connection, "next_at")?,
                dead: count(&self.connection, "died_at")?,
                oldest: oldest.map(Timestamp::from_unix_millis),
                next_due: next.map(Timestamp::from_unix_millis),
            })
        };
        if let Ok(standing) = read() {
            self.standing.send_replace(standing);
        }
    }
}

/// Whether an alert of this name is there, or was told.
fn knows(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let known = "SELECT EXISTS (SELECT 1 FROM told WHERE name = ?1) OR EXISTS (SELECT 1 FROM alerts WHERE name = ?1)";
    connection.prepare_cached(known)?.query_row([name], |row| row.get(0))
}

/// What is too old leaves.
fn clear_old(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM silences WHERE until <= ?1")?.execute([now.unix_millis()])?;
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let before = now.unix_millis().saturating_sub(kept);
    connection.prepare_cached("DELETE FROM alerts WHERE died_at < ?1")?.execute([before])?;
    connection.prepare_cached("DELETE FROM told WHERE at < ?1")?.execute([before])?;
    Ok(())
}

/// So many dead letters leave, those first that died first. Answers how many did.
fn clear_oldest_dead(transaction: &Transaction<'_>, excess: usize) -> rusqlite::Result<usize> {
    let oldest = "DELETE FROM alerts WHERE number IN
        (SELECT number FROM alerts WHERE died_at IS NOT NULL ORDER BY died_at, number LIMIT ?1)";
    if excess == 0 { Ok(0) } else { transaction.prepare_cached(oldest)?.execute([whole(excess)]) }
}

/// How many alerts have a time of this name.
fn count(connection: &Connection, time: &str) -> rusqlite::Result<usize> {
    number(connection, &format!("SELECT count(*) FROM alerts WHERE {time} IS NOT NULL"))
}

pub(super) fn number(connection: &Connection, asked: &str) -> rusqlite::Result<usize> {
    let number: i64 = connection.prepare_cached(asked)?.query_row([], |row| row.get(0))?;
    Ok(usize::try_from(number).unwrap_or(0))
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn alert(row: &Row<'_>) -> rusqlite::Result<Alert> {
    let next_at: Option<i64> = row.get(5)?;
    let id: String = row.get(0)?;
    let unlike = |fault| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(fault));
    Ok(Alert {
        id: MessageId::parse(&id).map_err(unlike)?,
        kind: row.get(1)?,
        body: row.get(2)?,
        state: if next_at.is_some() { AlertState::Waiting } else { AlertState::Dead },
        at: Timestamp::from_unix_millis(row.get(3)?),
        attempts: row.get(4)?,
        next_at: next_at.map(Timestamp::from_unix_millis),
        error: row.get(6)?,
    })
}
