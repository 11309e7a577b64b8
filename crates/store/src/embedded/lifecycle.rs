//! What a change in a secret's life comes to, and what the audit log says of it.

use fuuffy_domain::{AuditEvent, Client, Retiring, Secret, SecretId, Timestamp};

use crate::SecretChange;

/// Makes a change. `None`: the client has no such secret; `Some(None)`: nothing changed.
pub(super) fn change(
    client: &mut Client,
    id: &SecretId,
    change: SecretChange,
    now: Timestamp,
) -> Option<Option<AuditEvent>> {
    let client_id = client.id.clone();
    let place = client.secrets.iter().position(|secret| secret.id == *id)?;
    let may_replace = client.may_replace(id, now);
    let secret = &mut client.secrets[place];
    let (secret_id, is_retired) = (id.clone(), secret.retired_at.is_some());
    Some(match change {
        SecretChange::Retire | SecretChange::RetireIfDue if is_retired => None,
        SecretChange::RetireIfDue if !secret.is_due(now) => None,
        SecretChange::Retire | SecretChange::RetireIfDue => {
            secret.retired_at = Some(now);
            Some(AuditEvent::SecretRetired { client_id, secret_id })
        }
        SecretChange::RetireWhenUnused(_) if is_retired => None,
        SecretChange::RetireWhenUnused(unused_for) => {
            secret.retiring = Some(Retiring { since: now, unused_for });
            Some(AuditEvent::SecretRetiring { client_id, secret_id, unused_for: unused_for.as_secs() })
        }
        // What is gone must not send the others away, nor what may not replace them any more.
        SecretChange::Confirm(_) if !secret.is_pending || !may_replace => None,
        SecretChange::Confirm(unused_for) => {
            secret.is_pending = false;
            let mut retiring = Vec::new();
            let is_to_go = |other: &&mut Secret| other.id != *id && other.is_live(now) && !other.is_in_flight(now);
            for other in client.secrets.iter_mut().filter(is_to_go) {
                other.retiring = other.retiring.or(Some(Retiring { since: now, unused_for }));
                // It has replaced itself. Whoever else has it must not do so once more.
                other.retired_at = other.quarantined_at.map(|_| now);
                retiring.push(other.id.clone());
            }
            Some(AuditEvent::SecretConfirmed { client_id, secret_id, retiring })
        }
        SecretChange::Quarantine if secret.quarantined_at.is_some() || is_retired => None,
        SecretChange::Quarantine => {
            secret.exposed_at = secret.exposed_at.or(Some(now));
            secret.quarantined_at = Some(now);
            Some(AuditEvent::SecretQuarantined { client_id, secret_id })
        }
        // Kept without a word to the audit log.
        SecretChange::Remind(_) => None,
        SecretChange::Expose if secret.exposed_at.is_some() => None,
        SecretChange::Expose => {
            secret.exposed_at = Some(now);
            Some(AuditEvent::SecretExposed { client_id, secret_id })
        }
    })
}
