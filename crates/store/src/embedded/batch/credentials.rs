//! What a client proves itself by besides its secrets, in a transaction: what keys, identities and certificates have in
//! common. Uses are summed up over the batch, as those of secrets are, since tokens come by the dozen.

use std::collections::HashMap;
use std::sync::Arc;

use fuuffy_domain::{AuditEvent, Cause, CertificateId, Client, ClientKeyId, ClientSlot, IdentityId, LastUse};
use rusqlite::params;

use super::{Batch, Fault, certificates, client_keys, identities};

/// How often each was used, and when last.
pub(super) type CredentialUses = HashMap<(ClientSlot, Credential), (u64, LastUse)>;

/// Which one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Credential {
    Key(ClientKeyId),
    Identity(IdentityId),
    Certificate(CertificateId),
}

impl Credential {
    /// The statement that counts uses in its row: of the client and its id; how many, when, whence and by what.
    const fn use_statement(&self) -> &'static str {
        match self {
            Self::Key(_) => client_keys::USE,
            Self::Identity(_) => identities::USE,
            Self::Certificate(_) => certificates::USE,
        }
    }

    /// The statement that takes its row away: of the client and its id.
    const fn delete_statement(&self) -> &'static str {
        match self {
            Self::Key(_) => client_keys::DELETE,
            Self::Identity(_) => identities::DELETE,
            Self::Certificate(_) => certificates::DELETE,
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Key(id) => id.as_str(),
            Self::Identity(id) => id.as_str(),
            Self::Certificate(id) => id.as_str(),
        }
    }

    /// Where a client keeps how often it was used, and when last.
    fn uses<'a>(&self, client: &'a mut Client) -> Option<(&'a mut u64, &'a mut Option<LastUse>)> {
        match self {
            Self::Key(id) => {
                let key = client.keys.iter_mut().find(|key| key.id == *id)?;
                Some((&mut key.use_count, &mut key.last_use))
            }
            Self::Identity(id) => {
                let identity = client.identities.iter_mut().find(|identity| identity.id == *id)?;
                Some((&mut identity.use_count, &mut identity.last_use))
            }
            Self::Certificate(id) => {
                let certificate = client.certificates.iter_mut().find(|certificate| certificate.id == *id)?;
                Some((&mut certificate.use_count, &mut certificate.last_use))
            }
        }
    }
}

impl Batch<'_> {
    /// Takes one away. `changed` is the client without it.
    pub(super) fn remove_credential(
        &mut self,
        (cause, event): (&Cause, &AuditEvent),
        mut changed: Client,
        which: &Credential,
    ) -> Result<Arc<Client>, Fault> {
        changed.revision.0 += 1;
        self.update_client(&changed)?;
        self.connection.prepare_cached(which.delete_statement())?.execute(params![changed.slot.0, which.id()])?;
        self.audit(cause, event)?;
        Ok(self.keep(changed))
    }

    /// Counts one use, to be written with all others of the batch.
    pub(super) fn note_credential_use(&mut self, client: ClientSlot, which: Credential, last: &LastUse) {
        let (count, newest) = self.credential_uses.entry((client, which)).or_insert_with(|| (0, last.clone()));
        *count += 1;
        if newest.at <= last.at {
            *newest = last.clone();
        }
    }

    /// Puts the uses of this batch into a client.
    pub(super) fn apply_credential_uses(&self, client: &mut Client) {
        let slot = client.slot;
        for ((_, which), (count, last)) in self.credential_uses.iter().filter(|((of, _), _)| *of == slot) {
            let Some((use_count, last_use)) = which.uses(client) else {
                continue;
            };
            *use_count += count;
            if last_use.as_ref().is_none_or(|known| known.at <= last.at) {
                *last_use = Some(last.clone());
            }
        }
    }

    pub(super) fn write_credential_uses(&mut self) -> rusqlite::Result<()> {
        for ((client, which), (count, last)) in std::mem::take(&mut self.credential_uses) {
            self.connection.prepare_cached(which.use_statement())?.execute(params![
                client.0,
                which.id(),
                i64::try_from(count).unwrap_or(i64::MAX),
                last.at.unix_millis(),
                last.from.map(|from| from.to_string()),
                last.agent,
            ])?;
        }
        Ok(())
    }
}
