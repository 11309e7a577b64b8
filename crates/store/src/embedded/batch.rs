//! One transaction's worth of deeds: what they write, and what memory gets when it is on disk.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fuuffy_domain::{
    AuditEvent, AuditKeys, Cause, Checkpoint, Client, ClientChange, ClientId, ClientSlot, ClientStatus,
    EnvironmentName, KeyId, LastUse, Lifetime, Revision, ScopeSet, Secret, SecretDigest, SecretId, Timestamp,
    TokenDigest, TokenEntry,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::audit::AuditHead;
use super::{Memory, lifecycle};
use crate::{
    Answered, IndexedToken, ListedToken, NewClient, NewSecret, NewToken, Once, SecretChange, StoreError, TokenName,
};

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
    tokens: Vec<IndexedToken>,
    issued_at: Vec<Timestamp>,
    revoked: Vec<TokenDigest>,
    pub(super) checkpoints: Vec<Checkpoint>,
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
            tokens: Vec::new(),
            issued_at: Vec::new(),
            revoked: Vec::new(),
            checkpoints: Vec::new(),
            removed_a_piece: false,
        }
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

    /// The client with this id as of the last deed, this transaction's included.
    pub(super) fn find(&self, id: &ClientId) -> Option<Arc<Client>> {
        let pending = self.changed.values().find(|client| client.id == *id).cloned();
        pending.or_else(|| self.memory.directory.find(id)).filter(|client| client.status != ClientStatus::Deleted)
    }

    /// Whether there is, or ever was, a client with this id.
    pub(super) fn is_taken(&self, id: &ClientId) -> rusqlite::Result<bool> {
        self.connection.prepare_cached("SELECT 1 FROM clients WHERE client_id = ?1")?.exists([id.as_str()])
    }

    fn get(&self, slot: ClientSlot) -> Option<Arc<Client>> {
        self.changed.get(&slot).cloned().or_else(|| self.memory.directory.get(slot))
    }

    pub(super) fn insert_client(&mut self, cause: &Cause, new: NewClient) -> Result<Arc<Client>, Fault> {
        let slot = ClientSlot(self.memory.directory.next_slot().0 + self.new_clients);
        let created_at = new.secret.created_at;
        let client = Client {
            id: new.id,
            slot,
            name: new.name,
            scopes: new.scopes,
            plan: new.plan,
            token_lifetime: new.token_lifetime,
            status: ClientStatus::Active,
            generation: 0,
            revision: Revision(0),
            may_rotate: new.may_rotate,
            created_at,
            secrets: Vec::new(),
        };
        self.connection
            .prepare_cached(
                "INSERT INTO clients
                     (slot, client_id, name, scopes, plan, token_lifetime, status, generation, created_at, may_rotate)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'active', 0, ?7, ?8)",
            )?
            .execute(params![
                slot.0,
                client.id.as_str(),
                client.name,
                client.scopes.to_string(),
                client.plan.as_str(),
                client.token_lifetime.map(Lifetime::seconds),
                created_at.unix_millis(),
                client.may_rotate,
            ])?;
        self.new_clients += 1;
        let event = AuditEvent::ClientCreated {
            client_id: client.id.clone(),
            name: client.name.clone(),
            scope: client.scopes.to_string(),
            plan: client.plan.clone(),
            secret_id: new.secret.id.clone(),
        };
        self.audit(cause, &event)?;
        self.insert_secret(client, new.secret)
    }

    pub(super) fn change_client(
        &mut self,
        cause: &Cause,
        client: &Client,
        change: &ClientChange,
    ) -> Result<Arc<Client>, Fault> {
        let mut changed = client.clone();
        let Some(event) = changed.change(change) else {
            return Ok(self.keep(changed));
        };
        self.update_client(&changed)?;
        if changed.status == ClientStatus::Deleted {
            self.connection.prepare_cached("DELETE FROM secrets WHERE client = ?1")?.execute([changed.slot.0])?;
        }
        self.audit(cause, &event)?;
        Ok(self.keep(changed))
    }

    fn update_client(&self, client: &Client) -> rusqlite::Result<()> {
        let status = match client.status {
            ClientStatus::Active => "active",
            ClientStatus::Suspended => "suspended",
            ClientStatus::Deleted => "deleted",
        };
        self.connection
            .prepare_cached(
                "UPDATE clients SET name = ?2, scopes = ?3, plan = ?4, token_lifetime = ?5, status = ?6, generation = ?7,
                     revision = ?8, may_rotate = ?9 WHERE slot = ?1",
            )?
            .execute(params![
                client.slot.0,
                client.name,
                client.scopes.to_string(),
                client.plan.as_str(),
                client.token_lifetime.map(Lifetime::seconds),
                status,
                client.generation,
                client.revision.0,
                client.may_rotate,
            ])?;
        Ok(())
    }

    /// One more secret, which the caller has found room for.
    pub(super) fn add_secret(&mut self, cause: &Cause, client: &Client, new: NewSecret) -> Result<Arc<Client>, Fault> {
        let mut changed = client.clone();
        changed.revision.0 += 1;
        self.update_client(&changed)?;
        let event = AuditEvent::SecretAdded {
            client_id: client.id.clone(),
            secret_id: new.id.clone(),
            expires_at: new.expires_at,
        };
        self.audit(cause, &event)?;
        self.insert_secret(changed, new)
    }

    fn insert_secret(&mut self, mut client: Client, new: NewSecret) -> Result<Arc<Client>, Fault> {
        self.connection
            .prepare_cached(
                "INSERT INTO secrets (secret_id, client, key, digest, created_at, expires_at, is_pending)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                new.id.as_str(),
                client.slot.0,
                new.digest.key.0,
                new.digest.bytes,
                new.created_at.unix_millis(),
                new.expires_at.map(Timestamp::unix_millis),
                new.is_pending,
            ])?;
        client.secrets.push(Secret {
            id: new.id,
            digest: new.digest,
            created_at: new.created_at,
            expires_at: new.expires_at,
            retired_at: None,
            last_use: None,
            use_count: 0,
            exposed_at: None,
            is_pending: new.is_pending,
            retiring: None,
            reminded: None,
        });
        Ok(self.keep(client))
    }

    /// `None`: the client has no such secret.
    pub(super) fn change_secret(
        &mut self,
        cause: &Cause,
        client: &Client,
        id: &SecretId,
        change: SecretChange,
    ) -> Result<Option<Arc<Client>>, Fault> {
        // A use in this very batch counts, too.
        let is_used = |secret: &Secret| secret.id == *id && !secret.is_due(cause.at);
        if change == SecretChange::RetireIfDue && self.with_uses(client).secrets.iter().any(is_used) {
            return Ok(Some(self.keep(client.clone())));
        }
        if let SecretChange::Remind(days) = change {
            return self.note_reminder(client, id, days);
        }
        let mut changed = client.clone();
        let Some(event) = lifecycle::change(&mut changed, id, change, cause.at) else {
            return Ok(None);
        };
        let Some(event) = event else {
            return Ok(Some(self.keep(changed)));
        };
        changed.revision.0 += 1;
        self.update_client(&changed)?;
        for secret in &changed.secrets {
            self.connection
                .prepare_cached(
                    "UPDATE secrets SET retired_at = ?2, exposed_at = ?3, is_pending = ?4, retiring_since = ?5, unused_for = ?6
                     WHERE secret_id = ?1",
                )?
                .execute(params![
                    secret.id.as_str(),
                    secret.retired_at.map(Timestamp::unix_millis),
                    secret.exposed_at.map(Timestamp::unix_millis),
                    secret.is_pending,
                    secret.retiring.map(|retiring| retiring.since.unix_millis()),
                    secret.retiring.map(|retiring| i64::try_from(retiring.unused_for.as_millis()).unwrap_or(i64::MAX)),
                ])?;
        }
        self.audit(cause, &event)?;
        Ok(Some(self.keep(changed)))
    }

    fn note_reminder(&mut self, client: &Client, id: &SecretId, days: u32) -> Result<Option<Arc<Client>>, Fault> {
        let mut changed = client.clone();
        let Some(secret) = changed.secrets.iter_mut().find(|secret| secret.id == *id) else {
            return Ok(None);
        };
        secret.reminded = Some(days);
        let mut statement = self.connection.prepare_cached("UPDATE secrets SET reminded = ?2 WHERE secret_id = ?1")?;
        statement.execute(params![id.as_str(), days])?;
        Ok(Some(self.keep(changed)))
    }

    /// A token that is still remembered: its number, its digest, and what is known of it.
    pub(super) fn known_token(&self, which: &TokenName) -> rusqlite::Result<Option<(i64, TokenDigest, TokenEntry)>> {
        let (number, digests) = match which {
            TokenName::Digests(digests) => (0, digests.clone()),
            TokenName::Number(number) => {
                let mut statement = self.connection.prepare_cached("SELECT digest FROM tokens WHERE seq = ?1")?;
                let digest = statement.query_row([number], |row| row.get::<_, TokenDigest>(0)).optional()?;
                (*number, digest.into_iter().collect())
            }
        };
        Ok(digests.iter().find_map(|digest| Some((number, *digest, self.memory.tokens.find(digest)?))))
    }

    /// Revokes one token, found by memory or by its number.
    pub(super) fn revoke_token(&mut self, cause: &Cause, which: &TokenName) -> Result<Option<ListedToken>, Fault> {
        let Some((number, digest, entry)) = self.known_token(which)? else {
            return Ok(None);
        };
        let Some(client) = self.get(entry.client) else {
            return Ok(None);
        };
        let (expires_at, scope) = (entry.expires_at, entry.scope);
        if entry.generation != TokenEntry::REVOKED && !self.revoked.contains(&digest) {
            self.connection
                .prepare_cached("INSERT OR IGNORE INTO revoked_tokens (expires_at, digest) VALUES (?1, ?2)")?
                .execute(params![expires_at.unix_millis(), digest])?;
            self.audit(cause, &AuditEvent::TokenRevoked { client_id: client.id.clone(), expires_at })?;
            self.revoked.push(digest);
        }
        Ok(Some(ListedToken { number, client: entry.client, issued_at: None, expires_at, scope }))
    }

    pub(super) fn insert_token(&mut self, token: &NewToken) -> Result<(), Fault> {
        let granted_to = token.grant.client();
        let is_current = self
            .get(granted_to.slot)
            .is_some_and(|client| client.status == ClientStatus::Active && client.generation == granted_to.generation);
        if !is_current {
            return Err(Fault::Refused(StoreError::Superseded));
        }
        self.check_key(token.key)?;
        let scope = Arc::new(token.grant.scope().clone());
        // Every subset of a client's scopes may be asked for; memory must not grow with all of them.
        if self.standing.scopes.len() >= MAX_SCOPE_SETS && !self.standing.scopes.contains_key(&scope) {
            return Err(Fault::Refused(StoreError::TooManyScopes));
        }
        let scope_id = self.intern(&scope)?;
        let expires_at = token.issued_at.after(token.grant.lifetime().duration());
        self.connection
            .prepare_cached(
                "INSERT INTO tokens (seq, digest, client, generation, scope, key, issued_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                *self.standing.next_seq,
                token.digest,
                granted_to.slot.0,
                granted_to.generation,
                scope_id,
                token.key.0,
                token.issued_at.unix_millis(),
                expires_at.unix_millis(),
            ])?;
        *self.standing.next_seq += 1;
        self.tokens.push(IndexedToken {
            digest: token.digest,
            client: granted_to.slot,
            generation: granted_to.generation,
            scope,
            expires_at,
        });
        self.issued_at.push(token.issued_at);
        let last = LastUse { at: token.issued_at, from: token.from, agent: token.agent.clone() };
        let rekeyed = token.grant.rekeyed().filter(|digest| !self.standing.closed_keys.contains(&digest.key));
        match self.uses.entry((granted_to.slot, token.grant.secret().clone())) {
            Entry::Vacant(place) => drop(place.insert(Use { count: 1, last, rekeyed })),
            Entry::Occupied(used) => {
                let used = used.into_mut();
                used.count += 1;
                used.rekeyed = [used.rekeyed, rekeyed].into_iter().flatten().max_by_key(|digest| digest.key);
                if last.at >= used.last.at {
                    used.last = last;
                }
            }
        }
        Ok(())
    }

    /// Writes what was summed up over the batch. Memory gets the result after the commit.
    pub(super) fn finish(mut self) -> rusqlite::Result<Changes> {
        let slots: HashSet<ClientSlot> = self.uses.keys().map(|(slot, _)| *slot).collect();
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
        let mut clients: Vec<Arc<Client>> = std::mem::take(&mut self.changed).into_values().collect();
        clients.sort_by_key(|client| client.slot);
        let Self { tokens, issued_at, revoked, checkpoints, removed_a_piece, standing, .. } = self;
        let audit = standing.audit;
        Ok(Changes { clients, tokens, issued_at, revoked, audit, checkpoints, removed_a_piece })
    }

    /// Writes a secret's digest down as it is now.
    fn rekey(&self, slot: ClientSlot, id: &SecretId) -> rusqlite::Result<()> {
        let client = self.get(slot);
        let secret = client.iter().flat_map(|client| &client.secrets).find(|secret| secret.id == *id);
        if let Some(Secret { digest, .. }) = secret {
            self.connection
                .prepare_cached("UPDATE secrets SET key = ?2, digest = ?3 WHERE secret_id = ?1")?
                .execute(params![id.as_str(), digest.key.0, digest.bytes])?;
        }
        Ok(())
    }

    /// Refuses what would be kept under a key that is closed.
    pub(super) fn check_key(&self, key: KeyId) -> Result<(), Fault> {
        if self.standing.closed_keys.contains(&key) { Err(Fault::Refused(StoreError::Superseded)) } else { Ok(()) }
    }

    pub(super) fn close_key(&mut self, key: KeyId) {
        self.standing.closed_keys.push(key);
    }

    pub(super) fn reopen_key(&mut self, key: KeyId) {
        self.standing.closed_keys.retain(|closed| *closed != key);
    }

    /// A client with the uses of its secrets in this batch.
    fn with_uses(&self, client: &Client) -> Client {
        let mut changed = client.clone();
        for secret in &mut changed.secrets {
            if let Some(used) = self.uses.get(&(client.slot, secret.id.clone())) {
                secret.use_count += used.count;
                if secret.last_use.as_ref().is_none_or(|last| last.at <= used.last.at) {
                    secret.last_use = Some(used.last.clone());
                }
                let is_newer = |digest: &SecretDigest| digest.key > secret.digest.key;
                if let Some(digest) = used.rekeyed.filter(is_newer) {
                    secret.digest = digest;
                }
            }
        }
        changed
    }

    fn intern(&mut self, scope: &Arc<ScopeSet>) -> rusqlite::Result<i64> {
        if let Some(id) = self.standing.scopes.get(scope) {
            return Ok(*id);
        }
        self.connection.prepare_cached("INSERT INTO scopes (scope) VALUES (?1)")?.execute([scope.to_string()])?;
        let id = self.connection.last_insert_rowid();
        self.standing.scopes.insert(Arc::clone(scope), id);
        Ok(id)
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
