//! Identities of clients in a transaction: added, taken away, used.

use std::sync::Arc;

use fuuffy_domain::{AuditEvent, Cause, Client, Identity, IdentityId, MAX_IDENTITIES};
use rusqlite::params;

use super::{Batch, Fault};
use crate::{Creation, IdentityUse, NewIdentity, StoreError};

impl Batch<'_> {
    /// One more identity, if there is room for it and none that is the same.
    pub(in crate::embedded) fn add_identity(
        &mut self,
        cause: &Cause,
        client: &Client,
        new: NewIdentity,
    ) -> Result<Creation, Fault> {
        let is_same = |known: &Identity| known.issuer == new.issuer && known.rules == new.rules;
        if client.identities.iter().any(is_same) {
            return Ok(Creation::Taken);
        }
        if client.identities.len() >= MAX_IDENTITIES {
            return Ok(Creation::TooMany);
        }
        let mut changed = client.clone();
        changed.revision.0 += 1;
        self.update_client(&changed)?;
        self.insert_identity(cause, changed, new).map(Creation::Done)
    }

    pub(super) fn insert_identity(
        &mut self,
        cause: &Cause,
        mut client: Client,
        new: NewIdentity,
    ) -> Result<Arc<Client>, Fault> {
        let NewIdentity { id, issuer, rules, created_at } = new;
        self.connection
            .prepare_cached(
                "INSERT INTO client_identities (client, identity_id, issuer, rules, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![client.slot.0, id.as_str(), issuer, rules.to_json(), created_at.unix_millis()])?;
        let event = AuditEvent::ClientIdentityAdded {
            client_id: client.id.clone(),
            identity_id: id.clone(),
            issuer: issuer.as_ref().to_owned(),
            claims: rules.clone(),
        };
        self.audit(cause, &event)?;
        client.identities.push(Identity { id, issuer, rules, created_at, last_use: None, use_count: 0 });
        Ok(self.keep(client))
    }

    /// `None`: the client has no such identity.
    pub(in crate::embedded) fn remove_identity(
        &mut self,
        cause: &Cause,
        client: &Client,
        id: &IdentityId,
    ) -> Result<Option<Arc<Client>>, Fault> {
        let mut changed = client.clone();
        changed.identities.retain(|identity| identity.id != *id);
        if changed.identities.len() == client.identities.len() {
            return Ok(None);
        }
        changed.revision.0 += 1;
        self.update_client(&changed)?;
        self.connection
            .prepare_cached("DELETE FROM client_identities WHERE client = ?1 AND identity_id = ?2")?
            .execute(params![client.slot.0, id.as_str()])?;
        let event = AuditEvent::ClientIdentityRemoved { client_id: client.id.clone(), identity_id: id.clone() };
        self.audit(cause, &event)?;
        Ok(Some(self.keep(changed)))
    }

    /// Counts one use. Refused where the identity was taken away since it was looked at.
    pub(in crate::embedded) fn use_identity(&mut self, used: &IdentityUse) -> Result<(), Fault> {
        let client = self.get(used.client).ok_or(Fault::Refused(StoreError::Superseded))?;
        let mut changed = (*client).clone();
        let identity = changed.identities.iter_mut().find(|identity| identity.id == used.identity);
        let identity = identity.ok_or(Fault::Refused(StoreError::Superseded))?;
        identity.use_count += 1;
        identity.last_use = Some(used.last.clone());
        self.connection
            .prepare_cached(
                "UPDATE client_identities
                 SET use_count = use_count + 1, last_used_at = ?3, last_used_from = ?4, last_used_by = ?5
                 WHERE client = ?1 AND identity_id = ?2",
            )?
            .execute(params![
                used.client.0,
                used.identity.as_str(),
                used.last.at.unix_millis(),
                used.last.from.map(|from| from.to_string()),
                used.last.agent,
            ])?;
        self.keep(changed);
        Ok(())
    }
}
