//! Public keys of clients in a transaction: added, taken away, used.

use std::sync::Arc;

use fuuffy_domain::{AuditEvent, Cause, Client, ClientKey, ClientKeyId, MAX_CLIENT_KEYS, Timestamp};
use rusqlite::params;

use super::credentials::Credential;
use super::{Batch, Fault};
use crate::{AssertionUse, Creation, NewClientKey, StoreError, UsedKey};

pub(super) const DELETE: &str = "DELETE FROM client_keys WHERE client = ?1 AND key_id = ?2";
pub(super) const USE: &str = "UPDATE client_keys
    SET use_count = use_count + ?3, last_used_at = ?4, last_used_from = ?5, last_used_by = ?6
    WHERE client = ?1 AND key_id = ?2";

impl Batch<'_> {
    /// One more key, if there is room for it and none like it.
    pub(in crate::embedded) fn add_key(
        &mut self,
        cause: &Cause,
        client: &Client,
        new: NewClientKey,
    ) -> Result<Creation, Fault> {
        let is_like_it = |known: &ClientKey| {
            let names = [Some(new.id.as_str()), new.kid.as_deref()];
            known.id == new.id || names.into_iter().flatten().any(|name| known.is_called(name))
        };
        if client.keys.iter().any(is_like_it) {
            return Ok(Creation::Taken);
        }
        if client.keys.len() >= MAX_CLIENT_KEYS {
            return Ok(Creation::TooMany);
        }
        let mut changed = client.clone();
        changed.revision.0 += 1;
        self.update_client(&changed)?;
        self.audit(cause, &AuditEvent::ClientKeyAdded { client_id: client.id.clone(), key_id: new.id.clone() })?;
        self.insert_key(changed, new).map(Creation::Done)
    }

    pub(super) fn insert_key(&mut self, mut client: Client, new: NewClientKey) -> Result<Arc<Client>, Fault> {
        let NewClientKey { id, kid, algorithm, jwk, created_at } = new;
        self.connection
            .prepare_cached(
                "INSERT INTO client_keys (client, key_id, kid, algorithm, jwk, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![client.slot.0, id.as_str(), kid, algorithm.as_str(), jwk, created_at.unix_millis()])?;
        client.keys.push(ClientKey { id, kid, algorithm, jwk, created_at, last_use: None, use_count: 0 });
        Ok(self.keep(client))
    }

    /// `None`: the client has no such key.
    pub(in crate::embedded) fn remove_key(
        &mut self,
        cause: &Cause,
        client: &Client,
        id: &ClientKeyId,
    ) -> Result<Option<Arc<Client>>, Fault> {
        let mut changed = client.clone();
        changed.keys.retain(|key| key.id != *id);
        if changed.keys.len() == client.keys.len() {
            return Ok(None);
        }
        let event = AuditEvent::ClientKeyRemoved { client_id: client.id.clone(), key_id: id.clone() };
        self.remove_credential((cause, &event), changed, &Credential::Key(id.clone())).map(Some)
    }

    /// Whether the assertion was not used before. The row decides, and nothing that was read.
    pub(in crate::embedded) fn use_assertion(&mut self, used: &AssertionUse) -> Result<bool, Fault> {
        let client = self.get(used.client).ok_or(Fault::Refused(StoreError::Superseded))?;
        let has_key = match &used.key {
            UsedKey::Registered(id) => client.keys.iter().any(|key| key.id == *id),
            UsedKey::Published => client.jwks_uri.is_some(),
        };
        if !has_key {
            return Err(Fault::Refused(StoreError::Superseded));
        }
        let is_new = self
            .connection
            .prepare_cached("INSERT OR IGNORE INTO used_assertions (client, jti, expires_at) VALUES (?1, ?2, ?3)")?
            .execute(params![used.client.0, used.jti, used.expires_at.unix_millis()])?;
        if is_new == 0 {
            return Ok(false);
        }
        if let UsedKey::Registered(id) = &used.key {
            self.note_credential_use(used.client, Credential::Key(id.clone()), &used.last);
        }
        Ok(true)
    }

    /// Forgets the assertions that had expired by then, which are refused for that.
    pub(in crate::embedded) fn forget_assertions(&self, expired_by: Timestamp) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached("DELETE FROM used_assertions WHERE expires_at <= ?1")?;
        statement.execute([expired_by.unix_millis()]).map(drop)
    }
}
