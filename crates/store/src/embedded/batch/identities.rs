//! Identities of clients in a transaction: added, taken away, used.

use std::sync::Arc;

use fuuffy_domain::{AuditEvent, Cause, Client, Identity, IdentityId, MAX_IDENTITIES};
use rusqlite::params;

use super::credentials::Credential;
use super::{Batch, Fault};
use crate::{Creation, IdentityUse, NewIdentity, StoreError};

pub(super) const DELETE: &str = "DELETE FROM client_identities WHERE client = ?1 AND identity_id = ?2";
pub(super) const USE: &str = "UPDATE client_identities
    SET use_count = use_count + ?3, last_used_at = ?4, last_used_from = ?5, last_used_by = ?6
    WHERE client = ?1 AND identity_id = ?2";

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
        let event = AuditEvent::ClientIdentityRemoved { client_id: client.id.clone(), identity_id: id.clone() };
        self.remove_credential((cause, &event), changed, &Credential::Identity(id.clone())).map(Some)
    }

    /// Counts one use. Refused where the identity was taken away since it was looked at.
    pub(in crate::embedded) fn use_identity(&mut self, used: &IdentityUse) -> Result<(), Fault> {
        let client = self.get(used.client).ok_or(Fault::Refused(StoreError::Superseded))?;
        if !client.identities.iter().any(|known| known.id == used.identity) {
            return Err(Fault::Refused(StoreError::Superseded));
        }
        self.note_credential_use(used.client, Credential::Identity(used.identity.clone()), &used.last);
        Ok(())
    }
}
