//! Secrets in a transaction: added, changed, used, and moved from key to key.

use std::sync::Arc;

use fuuffy_domain::{AuditEvent, Cause, Client, ClientSlot, KeyId, Secret, SecretDigest, SecretId, Timestamp};
use rusqlite::params;

use super::{Batch, Fault};
use crate::embedded::lifecycle;
use crate::{NewSecret, SecretChange, StoreError};

impl Batch<'_> {
    /// One more secret, which the caller has found room for.
    pub(in crate::embedded) fn add_secret(
        &mut self,
        cause: &Cause,
        client: &Client,
        new: NewSecret,
    ) -> Result<Arc<Client>, Fault> {
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

    pub(super) fn insert_secret(&mut self, mut client: Client, new: NewSecret) -> Result<Arc<Client>, Fault> {
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
                new.made_by.is_some(),
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
            quarantined_at: None,
            is_pending: new.made_by.is_some(),
            retiring: None,
            reminded: None,
        });
        Ok(self.keep(client))
    }

    /// `None`: the client has no such secret.
    pub(in crate::embedded) fn change_secret(
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
                    "UPDATE secrets SET retired_at = ?2, exposed_at = ?3, is_pending = ?4, retiring_since = ?5, unused_for = ?6,
                         quarantined_at = ?7
                     WHERE secret_id = ?1",
                )?
                .execute(params![
                    secret.id.as_str(),
                    secret.retired_at.map(Timestamp::unix_millis),
                    secret.exposed_at.map(Timestamp::unix_millis),
                    secret.is_pending,
                    secret.retiring.map(|retiring| retiring.since.unix_millis()),
                    secret.retiring.map(|retiring| i64::try_from(retiring.unused_for.as_millis()).unwrap_or(i64::MAX)),
                    secret.quarantined_at.map(Timestamp::unix_millis),
                ])?;
        }
        self.audit(cause, &event)?;
        Ok(Some(self.keep(changed)))
    }

    pub(super) fn note_reminder(
        &mut self,
        client: &Client,
        id: &SecretId,
        days: u32,
    ) -> Result<Option<Arc<Client>>, Fault> {
        let mut changed = client.clone();
        let Some(secret) = changed.secrets.iter_mut().find(|secret| secret.id == *id) else {
            return Ok(None);
        };
        secret.reminded = Some(days);
        let mut statement = self.connection.prepare_cached("UPDATE secrets SET reminded = ?2 WHERE secret_id = ?1")?;
        statement.execute(params![id.as_str(), days])?;
        Ok(Some(self.keep(changed)))
    }

    /// Writes a secret's digest down as it is now.
    pub(super) fn rekey(&self, slot: ClientSlot, id: &SecretId) -> rusqlite::Result<()> {
        let client = self.get(slot);
        let secret = client.iter().flat_map(|client| &client.secrets).find(|secret| secret.id == *id);
        if let Some(Secret { digest, .. }) = secret {
            self.connection
                .prepare_cached("UPDATE secrets SET key = ?2, digest = ?3 WHERE secret_id = ?1")?
                .execute(params![id.as_str(), digest.key.0, digest.bytes])?;
        }
        Ok(())
    }

    /// A client with the uses in this batch of its secrets and of what else it proves itself by.
    pub(super) fn with_uses(&self, client: &Client) -> Client {
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
        self.apply_credential_uses(&mut changed);
        changed
    }

    /// Refuses what would be kept under a key that is closed.
    pub(in crate::embedded) fn check_key(&self, key: KeyId) -> Result<(), Fault> {
        if self.standing.closed_keys.contains(&key) { Err(Fault::Refused(StoreError::Superseded)) } else { Ok(()) }
    }

    pub(in crate::embedded) fn close_key(&mut self, key: KeyId) {
        self.standing.closed_keys.push(key);
    }

    pub(in crate::embedded) fn reopen_key(&mut self, key: KeyId) {
        self.standing.closed_keys.retain(|closed| *closed != key);
    }
}
