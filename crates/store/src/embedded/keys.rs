//! What a key is still needed for, and how it is closed before it goes: a key that is out of the file opens
//! nothing any more. And how the audit log is given other keys.

use std::collections::BTreeMap;

use fuuffy_domain::{AuditKeys, Cause, KeyId, Timestamp};
use rusqlite::Connection;

use super::EmbeddedStore;
use crate::Deed;

/// How many clients are named of those that need a key.
const NAMED: usize = 5;
/// How long an expired token is remembered, in milliseconds.
const REMEMBERED: i64 = 3_600_000;

/// What is kept under a key, in one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyNeeds {
    /// Secrets that work.
    pub secrets: u64,
    /// Tokens that are accepted.
    pub tokens: u64,
    /// Tokens that expired or were revoked within the hour, and are still told so.
    pub expired_tokens: u64,
    /// Some of the clients whose secrets those are, by their ids.
    pub clients: Vec<String>,
}

impl KeyNeeds {
    /// Whether the key can go without anybody noticing.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.secrets == 0 && self.tokens == 0 && self.expired_tokens == 0
    }
}

impl EmbeddedStore {
    /// What is kept under each key. Reads all tokens that are kept, beside the writer.
    pub fn key_needs(&self, now: Timestamp) -> Deed<BTreeMap<KeyId, KeyNeeds>> {
        self.reader.read(move |connection| read(connection, now))
    }

    /// From the answer on nothing new is kept under a key. What was computed with it a moment ago is refused.
    pub fn close_key(&self, key: KeyId) -> Deed<()> {
        self.submit(move |batch| {
            batch.close_key(key);
            Ok(())
        })
    }

    /// From the answer on checkpoints are signed with other keys, the first of which the log names. All of them must be
    /// in the key file already: what they sign must never be without them.
    pub fn rotate_audit_key(&self, cause: Cause, keys: AuditKeys) -> Deed<()> {
        let mut keys = Some(keys);
        self.submit(move |batch| match keys.take() {
            Some(keys) => Ok(batch.rotate_audit_key(&cause, keys)?),
            None => Ok(()),
        })
    }

    /// Takes back [`EmbeddedStore::close_key`].
    pub fn reopen_key(&self, key: KeyId) -> Deed<()> {
        self.submit(move |batch| {
            batch.reopen_key(key);
            Ok(())
        })
    }
}

fn read(connection: &Connection, now: Timestamp) -> rusqlite::Result<BTreeMap<KeyId, KeyNeeds>> {
    let mut needs: BTreeMap<KeyId, KeyNeeds> = BTreeMap::new();
    let now = now.unix_millis();
    let mut statement = connection.prepare(
        "SELECT secrets.key, clients.client_id FROM secrets JOIN clients ON clients.slot = secrets.client
         WHERE secrets.retired_at IS NULL AND (secrets.expires_at IS NULL OR secrets.expires_at > ?1)
         ORDER BY secrets.client",
    )?;
    let mut rows = statement.query([now])?;
    while let Some(row) = rows.next()? {
        let needed = needs.entry(KeyId(row.get(0)?)).or_default();
        needed.secrets += 1;
        if needed.clients.len() < NAMED {
            needed.clients.push(row.get(1)?);
        }
    }
    let mut statement = connection.prepare(
        "SELECT tokens.key,
                count(*) FILTER (WHERE tokens.expires_at > ?1 AND clients.slot IS NOT NULL),
                count(*) FILTER (WHERE tokens.expires_at <= ?1 OR clients.slot IS NULL)
         FROM tokens LEFT JOIN clients ON clients.slot = tokens.client AND clients.generation = tokens.generation
         WHERE tokens.expires_at > ?2 GROUP BY tokens.key",
    )?;
    let mut rows = statement.query([now, now - REMEMBERED])?;
    while let Some(row) = rows.next()? {
        let needed = needs.entry(KeyId(row.get(0)?)).or_default();
        needed.tokens = row.get::<_, i64>(1)?.unsigned_abs();
        needed.expired_tokens = row.get::<_, i64>(2)?.unsigned_abs();
    }
    Ok(needs)
}

#[cfg(test)]
mod tests;
