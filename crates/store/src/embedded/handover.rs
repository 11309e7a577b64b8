//! How another key comes to sign the audit log: by a record that the key before still signs, whether that is asked
//! for or was missed. It is missed where a store was not open when the key file changed, where a log is older than
//! the file, as a restored one is, and where a handover broke off.

use fuuffy_domain::{Actor, AuditEvent, AuditHash, AuditKeys, Cause, KeyId, RequestId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _};

use super::batch::Batch;

/// The keys of a log as it is opened.
pub(super) struct Signing {
    /// What signs at first: the key that signed last, if it is there, before the current one.
    pub(super) keys: AuditKeys,
    /// What is to sign, once the log names it.
    pub(super) due: Option<AuditKeys>,
}

impl Signing {
    /// Who goes on in a log, by what was signed last in it.
    pub(super) fn of(connection: &Connection, keys: AuditKeys) -> rusqlite::Result<Self> {
        let (environment, (current, public)) = (keys.environment(), keys.current());
        let last = connection.query_row(
            "SELECT c.key, a.record FROM audit_checkpoints AS c LEFT JOIN audit AS a ON a.seq = c.seq
             ORDER BY c.seq DESC LIMIT 1",
            [],
            // A record that is no text names nothing.
            |row| Ok((KeyId(row.get(0)?), row.get_ref(1)?.as_str().map(str::to_owned).ok())),
        );
        let Some((signed_by, record)) = last.optional()?.filter(|(signed_by, _)| *signed_by != current) else {
            return Ok(Self { keys, due: None });
        };
        let named = format!(r#""deed":"audit_key.rotated","key":{},"public_key":"{}"}}"#, current.0, public.to_hex());
        if record.is_some_and(|record| record.ends_with(&named)) {
            return Ok(Self { keys, due: None });
        }
        let Some(before) = keys.with_current(signed_by) else {
            tracing::warn!(%environment, key = signed_by.0, "The key that the audit log was last signed with is not in the audit key file, so it cannot hand on to the one that signs from here on; both are needed to prove the log");
            return Ok(Self { keys, due: None });
        };
        Ok(Self { keys: before, due: Some(keys) })
    }
}

impl Batch<'_> {
    /// Lets another key sign after this. The one before signs the record that names it.
    pub(super) fn rotate_audit_key(&mut self, cause: &Cause, keys: AuditKeys) -> rusqlite::Result<()> {
        let (key, public_key) = keys.current();
        // What already signs has been handed on to; the others may be new.
        if self.audit_keys().current() != (key, public_key.clone()) {
            self.audit(cause, &AuditEvent::AuditKeyRotated { key, public_key: public_key.to_hex() })?;
            self.sign(cause.at)?;
        }
        self.new_keys = Some(keys);
        Ok(())
    }

    /// The same, where it was missed. What somebody asked for meanwhile is newer.
    pub(super) fn make_up_handover(&mut self, now: Timestamp, keys: AuditKeys) -> rusqlite::Result<()> {
        if self.new_keys.is_some() {
            return Ok(());
        }
        let head = self.standing.audit;
        self.rotate_audit_key(&server(now.max(head.at), &head.hash), keys)
    }
}

/// What the server does by itself, at a place in the log.
pub(super) fn server(now: Timestamp, hash: &AuditHash) -> Cause {
    let mut random = [0; 10];
    random.copy_from_slice(&hash[..10]);
    Cause { actor: Actor::Server, from: None, request: RequestId::generate(now, random), at: now, why: None }
}
