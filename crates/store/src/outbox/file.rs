//! The file of the outbox: alerts in the order in which they came, and the names of those that were told.

use std::path::Path;

use fuuffy_domain::{MessageId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use tokio::sync::watch;

use super::{
    Alert, AlertState, Channel, Delivery, Failed, KEPT, LARGEST, Most, NewAlert, OutboxError, PATIENCE, Standing,
    Standings, Which, backoff, silences,
};
use crate::side_file::{SideFile, Unopened};
use crate::{Part, PartOf};

/// An alert waits where `next_at` is there, and is dead where `died_at` is.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS deliveries (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        channel TEXT NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        at INTEGER NOT NULL,
        since INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        next_at INTEGER,
        died_at INTEGER,
        error TEXT,
        UNIQUE (id, channel),
        UNIQUE (name, channel),
        CHECK ((next_at IS NULL) <> (died_at IS NULL))
    ) STRICT;
    CREATE INDEX IF NOT EXISTS deliveries_waiting ON deliveries (channel, next_at, number) WHERE next_at IS NOT NULL;
    CREATE INDEX IF NOT EXISTS deliveries_dead ON deliveries (channel, died_at, number) WHERE died_at IS NOT NULL;
    CREATE TABLE IF NOT EXISTS delivered (
        name TEXT NOT NULL,
        channel TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (name, channel)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS delivered_at ON delivered (at);
";

/// What files had while the webhook was the one channel.
const OF_ONE_CHANNEL: &str = "
    INSERT OR IGNORE INTO deliveries (id, channel, name, kind, body, at, since, attempts, next_at, died_at, error)
        SELECT id, 'webhook', name, kind, body, at, since, attempts, next_at, died_at, error FROM alerts ORDER BY number;
    INSERT OR IGNORE INTO delivered (name, channel, at) SELECT name, 'webhook', at FROM told;
    DROP TABLE alerts;
    DROP TABLE told;
";

const COLUMNS: &str = "id, kind, body, at, attempts, next_at, error, channel";
/// The longest reason that is kept, in characters.
const LONGEST_ERROR: usize = 300;

/// The file, open.
pub(super) struct File {
    pub(super) connection: Connection,
    most: Most,
    standing: watch::Sender<Standings>,
}

impl File {
    pub(super) fn open(path: &Path, most: Most, standing: watch::Sender<Standings>) -> Result<Self, Unopened> {
        let file = SideFile { path, what: "The alerts that waited", schema: SCHEMA, synchronous: "FULL" };
        let mut file = Self { connection: file.open_or_replace()?, most, standing };
        file.connection.execute_batch(silences::SCHEMA)?;
        file.take_over()?;
        file.tell_standing();
        Ok(file)
    }

    /// Takes over what a file of one channel has, all of it or nothing.
    fn take_over(&mut self) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let before = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('alerts', 'told')";
        if number(&transaction, before)? == 2 {
            transaction.execute_batch(OF_ONE_CHANNEL)?;
        }
        transaction.commit()
    }

    /// A channel that has no room keeps no other one back.
    pub(super) fn enqueue(
        &mut self,
        alert: &NewAlert,
        channels: &[Channel],
        now: Timestamp,
    ) -> Result<bool, OutboxError> {
        if alert.body.len() > LARGEST {
            return Err(OutboxError::TooLarge);
        }
        let NewAlert { id, name, kind, body } = alert;
        let most = self.most;
        let transaction = self.connection.transaction()?;
        clear_old(&transaction, now)?;
        let (mut is_new, mut is_full) = (false, false);
        for channel in channels.iter().copied() {
            if knows(&transaction, name, Some(channel))? {
                continue;
            }
            let all = number_of(&transaction, "SELECT count(*) FROM deliveries WHERE channel = ?1", channel)?;
            let excess = (all + 1).saturating_sub(most.all);
            if clear_oldest_dead(&transaction, channel, excess)? < excess {
                is_full = true;
                continue;
            }
            transaction
                .prepare_cached(
                    "INSERT INTO deliveries (id, channel, name, kind, body, at, since, attempts, next_at)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 0, ?6)",
                )?
                .execute(params![id.as_str(), channel.as_str(), name, kind, body, now.unix_millis()])?;
            is_new = true;
        }
        transaction.commit()?;
        if is_full { Err(OutboxError::Full) } else { Ok(is_new) }
    }

    pub(super) fn knows(&mut self, name: &str) -> Result<bool, OutboxError> {
        Ok(knows(&self.connection, name, None)?)
    }

    pub(super) fn due(&mut self, channel: Channel, now: Timestamp, limit: usize) -> Result<Vec<Alert>, OutboxError> {
        let due = format!(
            "SELECT {COLUMNS} FROM deliveries WHERE channel = ?1 AND next_at <= ?2 ORDER BY next_at, number LIMIT ?3"
        );
        let mut due = self.connection.prepare_cached(&due)?;
        let due = due.query_map(params![channel.as_str(), now.unix_millis(), whole(limit)], alert)?;
        Ok(due.collect::<Result<_, _>>()?)
    }

    pub(super) fn delivered(&mut self, Delivery { id, channel }: &Delivery, now: Timestamp) -> Result<(), OutboxError> {
        let most = self.most;
        let transaction = self.connection.transaction()?;
        let name = "DELETE FROM deliveries WHERE id = ?1 AND channel = ?2 RETURNING name";
        let delivery = params![id.as_str(), channel.as_str()];
        let name: Option<String> =
            transaction.prepare_cached(name)?.query_row(delivery, |row| row.get(0)).optional()?;
        if let Some(name) = name {
            let told = "INSERT OR REPLACE INTO delivered (name, channel, at) VALUES (?1, ?2, ?3)";
            transaction.prepare_cached(told)?.execute(params![name, channel.as_str(), now.unix_millis()])?;
            let all = number_of(&transaction, "SELECT count(*) FROM delivered WHERE channel = ?1", *channel)?;
            let excess = "DELETE FROM delivered WHERE channel = ?1 AND name IN
                (SELECT name FROM delivered WHERE channel = ?1 ORDER BY at LIMIT ?2)";
            let excess_of = params![channel.as_str(), whole(all.saturating_sub(most.told))];
            transaction.prepare_cached(excess)?.execute(excess_of)?;
        }
        Ok(transaction.commit()?)
    }

    pub(super) fn failed(
        &mut self,
        Delivery { id, channel }: &Delivery,
        why: &str,
        now: Timestamp,
        chance: u64,
    ) -> Result<Failed, OutboxError> {
        let most = self.most;
        let why: String = why.chars().take(LONGEST_ERROR).collect();
        let transaction = self.connection.transaction()?;
        let tried = "SELECT attempts + 1, since FROM deliveries WHERE id = ?1 AND channel = ?2 AND next_at IS NOT NULL";
        let delivery = params![id.as_str(), channel.as_str()];
        let tried = transaction.query_row(tried, delivery, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((attempts, since)) = tried else {
            return Ok(Failed::Gone);
        };
        let next = backoff::next(attempts, Timestamp::from_unix_millis(since), now, chance);
        let died_at = next.is_none().then_some(now.unix_millis());
        let next_at = next.map(Timestamp::unix_millis);
        transaction
            .prepare_cached(
                "UPDATE deliveries SET attempts = ?3, next_at = ?4, died_at = ?5, error = ?6
                     WHERE id = ?1 AND channel = ?2",
            )?
            .execute(params![id.as_str(), channel.as_str(), attempts, next_at, died_at, why])?;
        let dead = count(&transaction, *channel, "died_at")?;
        clear_oldest_dead(&transaction, *channel, dead.saturating_sub(most.dead))?;
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
        let total = number(&transaction, &format!("SELECT count(*) FROM deliveries WHERE {which}"))?;
        let part = format!("SELECT {COLUMNS} FROM deliveries WHERE {which} ORDER BY number LIMIT ?1 OFFSET ?2");
        let mut part = transaction.prepare(&part)?;
        let items = part.query_map(params![whole(take), whole(skip)], alert)?.collect::<Result<_, _>>()?;
        Ok(Part { items, total })
    }

    pub(super) fn count(&mut self, which: &Which) -> Result<usize, OutboxError> {
        let count = format!("SELECT count(*) FROM deliveries WHERE {MEANT}");
        let count: i64 = self.connection.prepare_cached(&count)?.query_row(which.parameters(), |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    pub(super) fn redeliver(&mut self, which: &Which, now: Timestamp) -> Result<usize, OutboxError> {
        let anew = format!(
            "UPDATE deliveries SET since = {now}, attempts = 0, next_at = {now}, died_at = NULL WHERE {MEANT}",
            now = now.unix_millis()
        );
        Ok(self.connection.execute(&anew, which.parameters())?)
    }

    pub(super) fn tidy(&mut self, now: Timestamp) -> Result<(), OutboxError> {
        clear_old(&self.connection, now)?;
        // Nothing waits for longer than a day, unless the clock was wrong when it was queued.
        let far = "UPDATE deliveries SET since = ?1, next_at = ?1 WHERE next_at > ?2";
        let latest = now.after(PATIENCE).unix_millis();
        self.connection.prepare_cached(far)?.execute([now.unix_millis(), latest])?;
        Ok(())
    }

    /// Tells how it stands. Where that cannot be read, the last word stays.
    pub(super) fn tell_standing(&self) {
        let read = |channel: Channel| -> rusqlite::Result<Standing> {
            let first = "SELECT min(next_at), min(since) FROM deliveries WHERE channel = ?1 AND next_at IS NOT NULL";
            let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
            let (next, oldest) = self.connection.prepare_cached(first)?.query_row([channel.as_str()], read)?;
            Ok(Standing {
                waiting: count(&self.connection, channel, "next_at")?,
                dead: count(&self.connection, channel, "died_at")?,
                oldest: oldest.map(Timestamp::from_unix_millis),
                next_due: next.map(Timestamp::from_unix_millis),
            })
        };
        if let (Ok(webhook), Ok(email)) = (read(Channel::Webhook), read(Channel::Email)) {
            self.standing.send_replace(Standings { webhook, email });
        }
    }
}

/// Which deliveries an operator means: those of an alert, or else every dead letter; of a channel, if one is named.
const MEANT: &str = "iif(?1 IS NULL, died_at IS NOT NULL, id = ?1) AND (?2 IS NULL OR channel = ?2)";

impl Which {
    fn parameters(&self) -> (Option<&str>, Option<&str>) {
        (self.id.as_ref().map(MessageId::as_str), self.channel.map(Channel::as_str))
    }
}

/// Whether an alert of this name is there, or was told, on a channel or any.
fn knows(connection: &Connection, name: &str, channel: Option<Channel>) -> rusqlite::Result<bool> {
    let known = "SELECT
        EXISTS (SELECT 1 FROM delivered WHERE name = ?1 AND (?2 IS NULL OR channel = ?2)) OR
        EXISTS (SELECT 1 FROM deliveries WHERE name = ?1 AND (?2 IS NULL OR channel = ?2))";
    connection.prepare_cached(known)?.query_row(params![name, channel.map(Channel::as_str)], |row| row.get(0))
}

/// What is too old leaves.
fn clear_old(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM silences WHERE until <= ?1")?.execute([now.unix_millis()])?;
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let before = now.unix_millis().saturating_sub(kept);
    connection.prepare_cached("DELETE FROM deliveries WHERE died_at < ?1")?.execute([before])?;
    connection.prepare_cached("DELETE FROM delivered WHERE at < ?1")?.execute([before])?;
    Ok(())
}

/// So many dead letters of a channel leave, those first that died first. Answers how many did.
fn clear_oldest_dead(transaction: &Transaction<'_>, channel: Channel, excess: usize) -> rusqlite::Result<usize> {
    if excess == 0 {
        return Ok(0);
    }
    let oldest = "DELETE FROM deliveries WHERE number IN (SELECT number FROM deliveries
        WHERE channel = ?1 AND died_at IS NOT NULL ORDER BY died_at, number LIMIT ?2)";
    transaction.prepare_cached(oldest)?.execute(params![channel.as_str(), whole(excess)])
}

/// How many alerts of a channel have a time of this name.
fn count(connection: &Connection, channel: Channel, time: &str) -> rusqlite::Result<usize> {
    let count = format!("SELECT count(*) FROM deliveries WHERE channel = ?1 AND {time} IS NOT NULL");
    number_of(connection, &count, channel)
}

fn number_of(connection: &Connection, asked: &str, channel: Channel) -> rusqlite::Result<usize> {
    let number: i64 = connection.prepare_cached(asked)?.query_row([channel.as_str()], |row| row.get(0))?;
    Ok(usize::try_from(number).unwrap_or(0))
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
    let (id, channel): (String, String) = (row.get(0)?, row.get(7)?);
    let unlike = |fault| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(fault));
    Ok(Alert {
        id: MessageId::parse(&id).map_err(unlike)?,
        channel: if channel == Channel::Email.as_str() { Channel::Email } else { Channel::Webhook },
        kind: row.get(1)?,
        body: row.get(2)?,
        state: if next_at.is_some() { AlertState::Waiting } else { AlertState::Dead },
        at: Timestamp::from_unix_millis(row.get(3)?),
        attempts: row.get(4)?,
        next_at: next_at.map(Timestamp::from_unix_millis),
        error: row.get(6)?,
    })
}
