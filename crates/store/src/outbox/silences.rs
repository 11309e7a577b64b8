//! What operators said is known, and is not to be told for a while. It is in the file of the alerts that it keeps back.

use fuuffy_domain::{AlertKind, ClientId, Silence, SilenceId, Timestamp};
use rusqlite::{Row, params};

use super::OutboxError;
use super::file::{File, number};

/// Silences at a time.
pub const MOST: usize = 1000;

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS silences (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        client TEXT,
        kind TEXT,
        at INTEGER NOT NULL,
        until INTEGER NOT NULL,
        by TEXT NOT NULL,
        why TEXT NOT NULL,
        times INTEGER NOT NULL,
        last_at INTEGER
    ) STRICT;
";

/// A silence to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSilence {
    /// By which it can be ended.
    pub id: SilenceId,
    /// Whose alerts; none for everybody's.
    pub client: Option<ClientId>,
    /// Which alerts, and until when.
    pub silence: Silence,
    /// Who, as the audit log says it: JSON.
    pub by: String,
    /// Why, in that one's words.
    pub why: String,
}

/// A silence that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSilence {
    /// As it was made.
    pub made: NewSilence,
    /// When.
    pub at: Timestamp,
    /// How many alerts it kept back.
    pub times: u64,
    /// When the last of them was.
    pub last_at: Option<Timestamp>,
}

impl File {
    pub(super) fn silence(&mut self, new: &NewSilence, now: Timestamp) -> Result<(), OutboxError> {
        let NewSilence { id, client, silence: Silence { kind, until }, by, why } = new;
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM silences WHERE until <= ?1", [now.unix_millis()])?;
        if number(&transaction, "SELECT count(*) FROM silences")? >= MOST {
            return Err(OutboxError::TooManySilences);
        }
        let (client, kind) = (client.as_ref().map(ClientId::as_str), kind.map(AlertKind::name));
        transaction.execute(
            "INSERT INTO silences (id, client, kind, at, until, by, why, times) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
            params![id.as_str(), client, kind, now.unix_millis(), until.unix_millis(), by, why],
        )?;
        Ok(transaction.commit()?)
    }

    pub(super) fn silences(&mut self, now: Timestamp) -> Result<Vec<KeptSilence>, OutboxError> {
        let all = "SELECT id, client, kind, at, until, by, why, times, last_at FROM silences WHERE until > ?1
            ORDER BY number";
        let mut all = self.connection.prepare_cached(all)?;
        let all = all.query_map([now.unix_millis()], kept)?;
        Ok(all.collect::<Result<_, _>>()?)
    }

    pub(super) fn unsilence(&mut self, id: &SilenceId) -> Result<bool, OutboxError> {
        Ok(self.connection.execute("DELETE FROM silences WHERE id = ?1", [id.as_str()])? == 1)
    }

    pub(super) fn count_silenced(&mut self, id: &SilenceId, now: Timestamp) -> Result<(), OutboxError> {
        let count = "UPDATE silences SET times = times + 1, last_at = ?2 WHERE id = ?1";
        self.connection.prepare_cached(count)?.execute(params![id.as_str(), now.unix_millis()])?;
        Ok(())
    }
}

fn kept(row: &Row<'_>) -> rusqlite::Result<KeptSilence> {
    let unlike = |column, fault: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, fault)
    };
    let id = SilenceId::parse(&row.get::<_, String>(0)?).map_err(|fault| unlike(0, fault.into()))?;
    let client = row.get::<_, Option<String>>(1)?;
    let client = client.map(|id| ClientId::parse(&id)).transpose().map_err(|fault| unlike(1, fault.into()))?;
    // What another version called otherwise must not become a silence of everything.
    let kind = row.get::<_, Option<String>>(2)?;
    let kind = kind.map(|name| AlertKind::named(&name).ok_or(name)).transpose();
    let kind = kind.map_err(|name| unlike(2, format!("no alert is called {name}").into()))?;
    let until = Timestamp::from_unix_millis(row.get(4)?);
    let made = NewSilence { id, client, silence: Silence { kind, until }, by: row.get(5)?, why: row.get(6)? };
    let last_at = row.get::<_, Option<i64>>(8)?.map(Timestamp::from_unix_millis);
    Ok(KeptSilence {
        made,
        at: Timestamp::from_unix_millis(row.get(3)?),
        times: row.get::<_, i64>(7)?.unsigned_abs(),
        last_at,
    })
}
