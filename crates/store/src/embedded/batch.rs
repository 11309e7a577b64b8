//! One transaction's worth of deeds: what they write, and what memory gets when it is on disk.

pub(in crate::embedded) mod certificates;
mod client_keys;
mod clients;
mod credentials;
mod identities;
mod secrets;
mod tokens;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fuuffy_domain::{
    AuditKeys, Checkpoint, Client, ClientSlot, EnvironmentName, KeyId, LastUse, ScopeSet, SecretDigest, SecretId,
    Timestamp, TokenDigest,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use self::credentials::CredentialUses;
use super::Memory;
use super::audit::AuditHead;
use crate::{Answered, IndexedToken, Once, StoreError};

/// Different sets of scopes that tokens may have at a time, between two starts.
const MAX_SCOPE_SETS: usize = 16_384;

/// Why a deed of a batch was not done.
pub(super) enum Fault {
    /// It may not be; nothing of it was written.
    Refused(StoreError),
    /// Writing failed: the whole batch fails with it.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// What a batch goes on from.
pub(super) struct Standing<'a> {
    pub(super) environment: EnvironmentName,
    pub(super) keys: &'a AuditKeys,
    pub(super) closed_keys: &'a mut Vec<KeyId>,
    pub(super) audit: AuditHead,
    pub(super) next_seq: &'a mut i64,
    pub(super) scopes: &'a mut HashMap<Arc<ScopeSet>, i64>,
}

/// How a secret was used within a batch.
struct Use {
    count: u64,
    last: LastUse,
    /// The secret under a newer key.
    rekeyed: Option<SecretDigest>,
}

/// A transaction under way.
pub(super) struct Batch<'a> {
    pub(super) connection: &'a Connection,
    memory: &'a Memory,
    pub(super) standing: Standing<'a>,
    /// Clients as they are within this transaction.
    changed: HashMap<ClientSlot, Arc<Client>>,
    new_clients: u32,
    uses: HashMap<(ClientSlot, SecretId), Use>,
    credential_uses: CredentialUses,
    tokens: Vec<IndexedToken>,
    issued_at: Vec<Timestamp>,
    revoked: Vec<TokenDigest>,
    pub(super) checkpoints: Vec<Checkpoint>,
    /// What signs from here on, if that is something else.
    pub(super) new_keys: Option<AuditKeys>,
    /// Whether as many old records left the audit log as may at once.
    pub(super) removed_a_piece: bool,
}

/// What a transaction changed, for memory.
pub(super) struct Changes {
    clients: Vec<Arc<Client>>,
    tokens: Vec<IndexedToken>,
    /// When each of the tokens was issued, in their order.
    issued_at: Vec<Timestamp>,
    revoked: Vec<TokenDigest>,
    /// Where the chain stands after it.
    pub(super) audit: AuditHead,
    /// Checkpoints that were made in it.
    pub(super) checkpoints: Vec<Checkpoint>,
    /// What signs after it, if that is something else.
    pub(super) new_keys: Option<AuditKeys>,
    pub(super) removed_a_piece: bool,
}

impl<'a> Batch<'a> {
    pub(super) fn new(connection: &'a Connection, memory: &'a Memory, standing: Standing<'a>) -> Self {
        Self {
            connection,
            memory,
            standing,
            changed: HashMap::new(),
            new_clients: 0,
            uses: HashMap::new(),
            credential_uses: CredentialUses::new(),
            tokens: Vec::new(),
            issued_at: Vec::new(),
            revoked: Vec::new(),
            checkpoints: Vec::new(),
            new_keys: None,
            removed_a_piece: false,
        }
    }

    /// What signs the audit log.
    pub(super) fn audit_keys(&self) -> &AuditKeys {
        self.new_keys.as_ref().unwrap_or(self.standing.keys)
    }

    /// What was answered before under a key.
    pub(super) fn answered(&self, key: &[u8; 32]) -> rusqlite::Result<Option<Answered>> {
        let mut statement = self.connection.prepare_cached("SELECT request, sealed FROM answers WHERE key = ?1")?;
        let found = statement.query_row([key], |row| Ok(Answered { request: row.get(0)?, sealed: row.get(1)? }));
        found.optional()
    }

    pub(super) fn keep_answer(&self, once: &Once, at: Timestamp) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT INTO answers (key, request, sealed, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![once.key, once.answer.request, once.answer.sealed, at.unix_millis()])?;
        Ok(())
    }

    /// Forgets revocations of tokens that expired by one time, and answers that were given by another.
    pub(super) fn forget(&self, expired_by: i64, answered_by: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM revoked_tokens WHERE expires_at <= ?1")?.execute([expired_by])?;
        self.connection.prepare_cached("DELETE FROM answers WHERE at <= ?1")?.execute([answered_by])?;
        Ok(())
    }

    fn get(&self, slot: ClientSlot) -> Option<Arc<Client>> {
        self.changed.get(&slot).cloned().or_else(|| self.memory.directory.get(slot))
    }

    /// Writes what was summed up over the batch. Memory gets the result after the commit.
    pub(super) fn finish(mut self) -> rusqlite::Result<Changes> {
        let slots = self.uses.keys().map(|(slot, _)| *slot);
        let slots: HashSet<ClientSlot> = slots.chain(self.credential_uses.keys().map(|(slot, _)| *slot)).collect();
        for slot in slots {
            if let Some(client) = self.get(slot) {
                let changed = self.with_uses(&client);
                self.keep(changed);
            }
        }
        for ((slot, id), Use { count, last, rekeyed }) in std::mem::take(&mut self.uses) {
            self.connection
                .prepare_cached(
                    "UPDATE secrets SET use_count = use_count + ?2, last_used_at = ?3, last_used_from = ?4, last_used_by = ?5
                     WHERE secret_id = ?1",
                )?
                .execute(params![
                    id.as_str(),
                    i64::try_from(count).unwrap_or(i64::MAX),
                    last.at.unix_millis(),
                    last.from.map(|from| from.to_string()),
                    last.agent,
                ])?;
            if rekeyed.is_some() {
                self.rekey(slot, &id)?;
            }
        }
        self.write_credential_uses()?;
        let mut clients: Vec<Arc<Client>> = std::mem::take(&mut self.changed).into_values().collect();
        clients.sort_by_key(|client| client.slot);
        let Self { tokens, issued_at, revoked, checkpoints, new_keys, removed_a_piece, standing, .. } = self;
        let audit = standing.audit;
        Ok(Changes { clients, tokens, issued_at, revoked, audit, checkpoints, new_keys, removed_a_piece })
    }

    fn keep(&mut self, client: Client) -> Arc<Client> {
        let client = Arc::new(client);
        self.changed.insert(client.slot, Arc::clone(&client));
        client
    }
}

impl Changes {
    /// When each new token was issued and will expire, in the order of their rows.
    pub(super) fn lives(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.issued_at.iter().copied().zip(self.tokens.iter().map(|token| token.expires_at))
    }

    /// Whose each new token is, in the order of their rows.
    pub(super) fn owners(&self) -> impl Iterator<Item = ClientSlot> {
        self.tokens.iter().map(|token| token.client)
    }

    /// Clients first: a token must never be found before the state of its client that it was issued in.
    /// Answers the checkpoints, which have a place of their own.
    pub(super) fn publish(self, memory: &Memory) -> Vec<Checkpoint> {
        for client in self.clients {
            memory.directory.put(client);
        }
        for token in &self.tokens {
            memory.tokens.insert(token);
        }
        for digest in &self.revoked {
            memory.tokens.revoke(digest);
        }
        self.checkpoints
    }
}
