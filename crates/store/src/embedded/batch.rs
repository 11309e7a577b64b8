//! One transaction's worth of deeds: what they write, and what memory gets when it is on disk.

use std::collections::HashMap;
use std::sync::Arc;

use fuuffy_domain::{Client, ClientId, ClientSlot, ClientStatus, KeyId, ScopeSet, Secret, SecretId, Timestamp};
use rusqlite::{Connection, params};

use super::Memory;
use crate::{IndexedToken, NewClient, NewSecret, NewToken, SecretChange, StoreError};

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

/// A transaction under way.
pub(super) struct Batch<'a> {
    connection: &'a Connection,
    memory: &'a Memory,
    key: KeyId,
    next_seq: &'a mut i64,
    scopes: &'a mut HashMap<Arc<ScopeSet>, i64>,
    /// Clients as they are within this transaction.
    changed: HashMap<ClientSlot, Arc<Client>>,
    new_clients: u32,
    uses: HashMap<(ClientSlot, SecretId), (u64, Timestamp)>,
    tokens: Vec<IndexedToken>,
    issued_at: Vec<Timestamp>,
}

/// What a transaction changed, for memory.
pub(super) struct Changes {
    clients: Vec<Arc<Client>>,
    tokens: Vec<IndexedToken>,
    /// When each of the tokens was issued, in their order.
    issued_at: Vec<Timestamp>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        memory: &'a Memory,
        key: KeyId,
        next_seq: &'a mut i64,
        scopes: &'a mut HashMap<Arc<ScopeSet>, i64>,
    ) -> Self {
        Self {
            connection,
            memory,
            key,
            next_seq,
            scopes,
            changed: HashMap::new(),
            new_clients: 0,
            uses: HashMap::new(),
            tokens: Vec::new(),
            issued_at: Vec::new(),
        }
    }

    /// The client with this id as of the last deed, this transaction's included.
    pub(super) fn find(&self, id: &ClientId) -> Option<Arc<Client>> {
        let pending = self.changed.values().find(|client| client.id == *id).cloned();
        pending.or_else(|| self.memory.directory.find(id)).filter(|client| client.status != ClientStatus::Deleted)
    }

    fn get(&self, slot: ClientSlot) -> Option<Arc<Client>> {
        self.changed.get(&slot).cloned().or_else(|| self.memory.directory.get(slot))
    }

    pub(super) fn insert_client(&mut self, new: NewClient) -> Result<Arc<Client>, Fault> {
        let slot = ClientSlot(self.memory.directory.next_slot().0 + self.new_clients);
        let created_at = new.secret.created_at;
        self.connection
            .prepare_cached(
                "INSERT INTO clients (slot, client_id, name, scopes, plan, token_lifetime, status, generation, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'active', 0, ?7)",
            )?
            .execute(params![
                slot.0,
                new.id.as_str(),
                new.name,
                new.scopes.to_string(),
                new.plan.as_str(),
                new.token_lifetime.map(|life| life.seconds()),
                created_at.unix_millis(),
            ])?;
        self.new_clients += 1;
        let client = Arc::new(Client {
            id: new.id,
            slot,
            name: new.name,
            scopes: new.scopes,
            plan: new.plan,
            token_lifetime: new.token_lifetime,
            status: ClientStatus::Active,
            generation: 0,
            created_at,
            secrets: Vec::new(),
        });
        self.insert_secret(&client, new.secret)
    }

    pub(super) fn update_client(&mut self, client: Client) -> Result<Arc<Client>, Fault> {
        let status = match client.status {
            ClientStatus::Active => "active",
            ClientStatus::Suspended => "suspended",
            ClientStatus::Deleted => "deleted",
        };
        self.connection
            .prepare_cached("UPDATE clients SET status = ?2, generation = ?3 WHERE slot = ?1")?
            .execute(params![client.slot.0, status, client.generation])?;
        if client.status == ClientStatus::Deleted {
            self.connection.prepare_cached("DELETE FROM secrets WHERE client = ?1")?.execute([client.slot.0])?;
        }
        Ok(self.keep(client))
    }

    pub(super) fn insert_secret(&mut self, client: &Client, new: NewSecret) -> Result<Arc<Client>, Fault> {
        self.connection
            .prepare_cached(
                "INSERT INTO secrets (secret_id, client, key, digest, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                new.id.as_str(),
                client.slot.0,
                new.digest.key.0,
                new.digest.bytes,
                new.created_at.unix_millis(),
                new.expires_at.map(Timestamp::unix_millis),
            ])?;
        let mut changed = client.clone();
        changed.secrets.push(Secret {
            id: new.id,
            digest: new.digest,
            created_at: new.created_at,
            expires_at: new.expires_at,
            retired_at: None,
            last_used_at: None,
            use_count: 0,
            exposed_at: None,
        });
        Ok(self.keep(changed))
    }

    pub(super) fn change_secret(
        &mut self,
        client: &Client,
        id: &SecretId,
        change: SecretChange,
    ) -> Result<Option<Arc<Client>>, Fault> {
        let mut changed = client.clone();
        let Some(secret) = changed.secrets.iter_mut().find(|secret| secret.id == *id) else {
            return Ok(None);
        };
        match change {
            SecretChange::Retire(now) => secret.retired_at = secret.retired_at.or(Some(now)),
            SecretChange::Expose(now) => secret.exposed_at = secret.exposed_at.or(Some(now)),
        }
        self.connection
            .prepare_cached("UPDATE secrets SET retired_at = ?2, exposed_at = ?3 WHERE secret_id = ?1")?
            .execute(params![
                id.as_str(),
                secret.retired_at.map(Timestamp::unix_millis),
                secret.exposed_at.map(Timestamp::unix_millis),
            ])?;
        Ok(Some(self.keep(changed)))
    }

    pub(super) fn insert_token(&mut self, token: &NewToken) -> Result<(), Fault> {
        let granted_to = token.grant.client();
        let is_current = self
            .get(granted_to.slot)
            .is_some_and(|client| client.status == ClientStatus::Active && client.generation == granted_to.generation);
        if !is_current {
            return Err(Fault::Refused(StoreError::Superseded));
        }
        let scope = Arc::new(token.grant.scope().clone());
        // Every subset of a client's scopes may be asked for; memory must not grow with all of them.
        if self.scopes.len() >= MAX_SCOPE_SETS && !self.scopes.contains_key(&scope) {
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
                *self.next_seq,
                token.digest,
                granted_to.slot.0,
                granted_to.generation,
                scope_id,
                self.key.0,
                token.issued_at.unix_millis(),
                expires_at.unix_millis(),
            ])?;
        *self.next_seq += 1;
        self.tokens.push(IndexedToken {
            digest: token.digest,
            client: granted_to.slot,
            generation: granted_to.generation,
            scope,
            expires_at,
        });
        self.issued_at.push(token.issued_at);
        let used = self.uses.entry((granted_to.slot, token.grant.secret().clone())).or_insert((0, token.issued_at));
        *used = (used.0 + 1, used.1.max(token.issued_at));
        Ok(())
    }

    /// Writes what was summed up over the batch. Memory gets the result after the commit.
    pub(super) fn finish(mut self) -> rusqlite::Result<Changes> {
        for ((slot, id), (count, last)) in std::mem::take(&mut self.uses) {
            self.connection
                .prepare_cached(
                    "UPDATE secrets SET use_count = use_count + ?2, last_used_at = ?3 WHERE secret_id = ?1",
                )?
                .execute(params![id.as_str(), i64::try_from(count).unwrap_or(i64::MAX), last.unix_millis()])?;
            let Some(client) = self.get(slot) else {
                continue;
            };
            let mut changed = Client::clone(&client);
            if let Some(secret) = changed.secrets.iter_mut().find(|secret| secret.id == id) {
                secret.use_count += count;
                secret.last_used_at = secret.last_used_at.max(Some(last));
            }
            self.keep(changed);
        }
        let mut clients: Vec<Arc<Client>> = self.changed.into_values().collect();
        clients.sort_by_key(|client| client.slot);
        Ok(Changes { clients, tokens: self.tokens, issued_at: self.issued_at })
    }

    fn intern(&mut self, scope: &Arc<ScopeSet>) -> rusqlite::Result<i64> {
        if let Some(id) = self.scopes.get(scope) {
            return Ok(*id);
        }
        self.connection.prepare_cached("INSERT INTO scopes (scope) VALUES (?1)")?.execute([scope.to_string()])?;
        let id = self.connection.last_insert_rowid();
        self.scopes.insert(Arc::clone(scope), id);
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
    pub(super) fn publish(self, memory: &Memory) {
        for client in self.clients {
            memory.directory.put(client);
        }
        for token in &self.tokens {
            memory.tokens.insert(token);
        }
    }
}
