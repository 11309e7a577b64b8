//! Certificates by which clients are known, in a transaction: added, taken away, used.

use std::sync::Arc;

use fuuffy_domain::{
    AuditEvent, Cause, CertificateId, CertificateRule, Client, ClientCertificate, MAX_CERTIFICATES, Timestamp,
};
use rusqlite::params;

use super::credentials::Credential;
use super::{Batch, Fault};
use crate::{CertificateUse, Creation, NewCertificate, StoreError};

/// What exactly one certificate is kept as. Names are kept as their kinds.
pub(in crate::embedded) const EXACT: &str = "certificate";

pub(super) const DELETE: &str = "DELETE FROM client_certificates WHERE client = ?1 AND certificate_id = ?2";
pub(super) const USE: &str = "UPDATE client_certificates
    SET use_count = use_count + ?3, last_used_at = ?4, last_used_from = ?5, last_used_by = ?6
    WHERE client = ?1 AND certificate_id = ?2";

impl Batch<'_> {
    /// One more certificate, if there is room for it and none that is the same.
    pub(in crate::embedded) fn add_certificate(
        &mut self,
        cause: &Cause,
        client: &Client,
        new: NewCertificate,
    ) -> Result<Creation, Fault> {
        if client.certificates.iter().any(|known| known.rule == new.rule) {
            return Ok(Creation::Taken);
        }
        if client.certificates.len() >= MAX_CERTIFICATES {
            return Ok(Creation::TooMany);
        }
        let mut changed = client.clone();
        changed.revision.0 += 1;
        self.update_client(&changed)?;
        self.insert_certificate(cause, changed, new).map(Creation::Done)
    }

    pub(super) fn insert_certificate(
        &mut self,
        cause: &Cause,
        mut client: Client,
        new: NewCertificate,
    ) -> Result<Arc<Client>, Fault> {
        let NewCertificate { id, rule, created_at } = new;
        let (kind, value, ends_at) = kept(&rule);
        self.connection
            .prepare_cached(
                "INSERT INTO client_certificates (client, certificate_id, kind, value, ends_at, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                client.slot.0,
                id.as_str(),
                kind,
                value,
                ends_at.map(Timestamp::unix_millis),
                created_at.unix_millis(),
            ])?;
        let (client_id, certificate_id) = (client.id.clone(), id.clone());
        self.audit(cause, &AuditEvent::ClientCertificateAdded { client_id, certificate_id, kind, value })?;
        client.certificates.push(ClientCertificate { id, rule, created_at, last_use: None, use_count: 0 });
        Ok(self.keep(client))
    }

    /// `None`: the client has no such certificate.
    pub(in crate::embedded) fn remove_certificate(
        &mut self,
        cause: &Cause,
        client: &Client,
        id: &CertificateId,
    ) -> Result<Option<Arc<Client>>, Fault> {
        let mut changed = client.clone();
        changed.certificates.retain(|known| known.id != *id);
        if changed.certificates.len() == client.certificates.len() {
            return Ok(None);
        }
        let (client_id, certificate_id) = (client.id.clone(), id.clone());
        let event = AuditEvent::ClientCertificateRemoved { client_id, certificate_id };
        self.remove_credential((cause, &event), changed, &Credential::Certificate(id.clone())).map(Some)
    }

    /// Counts one use. Refused where the certificate was taken away since it was looked at.
    pub(in crate::embedded) fn use_certificate(&mut self, used: &CertificateUse) -> Result<(), Fault> {
        let client = self.get(used.client).ok_or(Fault::Refused(StoreError::Superseded))?;
        if !client.certificates.iter().any(|known| known.id == used.certificate) {
            return Err(Fault::Refused(StoreError::Superseded));
        }
        self.note_credential_use(used.client, Credential::Certificate(used.certificate.clone()), &used.last);
        Ok(())
    }
}

/// The columns of a rule.
fn kept(rule: &CertificateRule) -> (&'static str, String, Option<Timestamp>) {
    match rule {
        CertificateRule::Named(name) => (name.kind(), name.text(), None),
        CertificateRule::Exact { thumbprint, ends_at } => (EXACT, thumbprint.to_string(), Some(*ends_at)),
    }
}
