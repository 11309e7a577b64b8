//! Clients in a transaction: found, registered, changed.

use std::sync::Arc;

use fuuffy_domain::{
    AuditEvent, BindingKind, Cause, Client, ClientChange, ClientId, ClientSlot, ClientStatus, Lifetime, Revision,
};
use rusqlite::params;

use super::{Batch, Fault};
use crate::{NewClient, NewCredential};

impl Batch<'_> {
    pub(in crate::embedded) fn insert_client(&mut self, cause: &Cause, new: NewClient) -> Result<Arc<Client>, Fault> {
        let slot = ClientSlot(self.memory.directory.next_slot().0 + self.new_clients);
        let (mut created_at, mut secret_id, mut key_id, mut identity_id, mut jwks_uri) =
            (cause.at, None, None, None, None);
        let mut certificate_id = None;
        match &new.credential {
            NewCredential::Secret(secret) => (created_at, secret_id) = (secret.created_at, Some(secret.id.clone())),
            NewCredential::Key(key) => (created_at, key_id) = (key.created_at, Some(key.id.clone())),
            NewCredential::KeysAt(uri) => jwks_uri = Some(Arc::clone(uri)),
            NewCredential::Identity(new) => (created_at, identity_id) = (new.created_at, Some(new.id.clone())),
            NewCredential::Certificate(new) => (created_at, certificate_id) = (new.created_at, Some(new.id.clone())),
        }
        let client = Client {
            id: new.id,
            slot,
            name: new.name,
            scopes: new.scopes,
            plan: new.plan,
            limits: new.limits,
            token_lifetime: new.token_lifetime,
            status: ClientStatus::Active,
            generation: 0,
            revision: Revision(0),
            may_rotate: new.may_rotate,
            must_bind: new.must_bind,
            created_at,
            secrets: Vec::new(),
            keys: Vec::new(),
            jwks_uri: jwks_uri.clone(),
            identities: Vec::new(),
            certificates: Vec::new(),
        };
        self.connection
            .prepare_cached(
                "INSERT INTO clients
                     (slot, client_id, name, scopes, plan, token_lifetime, status, generation, created_at, may_rotate,
                      limits, jwks_uri, must_bind)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'active', 0, ?7, ?8, ?9, ?10, ?11)",
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
                client.limits.as_ref().map(ToString::to_string),
                client.jwks_uri,
                client.must_bind.map(BindingKind::as_str),
            ])?;
        self.new_clients += 1;
        let event = AuditEvent::ClientCreated {
            client_id: client.id.clone(),
            name: client.name.clone(),
            scope: client.scopes.to_string(),
            plan: client.plan.clone(),
            secret_id,
            key_id,
            jwks_uri: jwks_uri.as_deref().map(str::to_owned),
            identity_id,
            certificate_id,
        };
        self.audit(cause, &event)?;
        match new.credential {
            NewCredential::Secret(secret) => self.insert_secret(client, secret),
            NewCredential::Key(key) => self.insert_key(client, key),
            NewCredential::KeysAt(_) => Ok(self.keep(client)),
            NewCredential::Identity(new) => self.insert_identity(cause, client, new),
            NewCredential::Certificate(new) => self.insert_certificate(cause, client, new),
        }
    }

    pub(in crate::embedded) fn change_client(
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
            self.connection.prepare_cached("DELETE FROM client_keys WHERE client = ?1")?.execute([changed.slot.0])?;
            self.connection
                .prepare_cached("DELETE FROM client_identities WHERE client = ?1")?
                .execute([changed.slot.0])?;
            self.connection
                .prepare_cached("DELETE FROM client_certificates WHERE client = ?1")?
                .execute([changed.slot.0])?;
            self.connection
                .prepare_cached("UPDATE clients SET jwks_uri = NULL WHERE slot = ?1")?
                .execute([changed.slot.0])?;
        }
        self.audit(cause, &event)?;
        Ok(self.keep(changed))
    }

    pub(super) fn update_client(&self, client: &Client) -> rusqlite::Result<()> {
        let status = match client.status {
            ClientStatus::Active => "active",
            ClientStatus::Suspended => "suspended",
            ClientStatus::Deleted => "deleted",
        };
        self.connection
            .prepare_cached(
                "UPDATE clients SET name = ?2, scopes = ?3, plan = ?4, token_lifetime = ?5, status = ?6, generation = ?7,
                     revision = ?8, may_rotate = ?9, limits = ?10, must_bind = ?11 WHERE slot = ?1",
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
                client.limits.as_ref().map(ToString::to_string),
                client.must_bind.map(BindingKind::as_str),
            ])?;
        Ok(())
    }

    /// The client with this id as of the last deed, this transaction's included.
    pub(in crate::embedded) fn find(&self, id: &ClientId) -> Option<Arc<Client>> {
        let pending = self.changed.values().find(|client| client.id == *id).cloned();
        pending.or_else(|| self.memory.directory.find(id)).filter(|client| client.status != ClientStatus::Deleted)
    }

    /// Whether there is, or ever was, a client with this id.
    pub(in crate::embedded) fn is_taken(&self, id: &ClientId) -> rusqlite::Result<bool> {
        self.connection.prepare_cached("SELECT 1 FROM clients WHERE client_id = ?1")?.exists([id.as_str()])
    }
}
