//! Writing the audit log: records and the checkpoints between them, and old records that leave it.

use std::time::Duration;

use fuuffy_domain::{
    AuditEvent, AuditHash, AuditKeys, CHECKPOINT_EVERY, Cause, ChainState, Checkpoint, ClientId, KeyId, Timestamp,
    audit_hash, audit_record,
};
use rusqlite::{OptionalExtension as _, Row, params};

use super::batch::Batch;
use super::handover::server;

/// Records that leave in one transaction at most.
const PIECE: i64 = 5000;
/// How often a checkpoint is made, where there was news.
const NEWS: Duration = Duration::from_secs(3600);
/// How often it is looked for records that are to leave.
const REMOVAL: Duration = Duration::from_secs(24 * 3600);

/// How the audit log of a store is kept.
#[derive(Debug)]
pub struct AuditOptions {
    /// What checkpoints are signed with.
    pub keys: AuditKeys,
    /// How long records stay, if not for good.
    pub retention: Option<Duration>,
}

/// Where the chain of the audit log stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct AuditHead {
    pub(super) sequence: i64,
    pub(super) hash: AuditHash,
    /// The latest time in it.
    pub(super) at: Timestamp,
    /// The last record that a checkpoint covers, and when that was made.
    pub(super) signed: Option<(i64, Timestamp)>,
}

impl AuditHead {
    /// Whether the record just written must have a checkpoint: the first of all, and each that is far from one.
    fn must_be_signed(&self) -> bool {
        self.signed.is_none_or(|(up_to, _)| self.sequence - up_to >= CHECKPOINT_EVERY)
    }

    /// Whether records came since the last checkpoint.
    pub(super) fn has_news(&self) -> bool {
        self.sequence > self.signed.map_or(0, |(up_to, _)| up_to)
    }

    /// Whether a checkpoint is due by time.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.has_news() && self.signed.is_none_or(|(_, at)| now.since(at) >= NEWS)
    }
}

/// When old records leave.
pub(super) struct Retention {
    age: Duration,
    looked_at: Option<Timestamp>,
}

impl Retention {
    pub(super) const fn new(age: Duration) -> Self {
        Self { age, looked_at: None }
    }

    /// Whether it is time to look, and if so, the time by which records are old, and the rule in words.
    pub(super) fn is_due(&mut self, now: Timestamp) -> Option<(Timestamp, String)> {
        if self.looked_at.is_some_and(|at| now.since(at) < REMOVAL) {
            return None;
        }
        self.looked_at = Some(now);
        let age = i64::try_from(self.age.as_millis()).unwrap_or(i64::MAX);
        let hours = self.age.as_secs() / 3600;
        let words = if hours.is_multiple_of(24) { format!("{}d", hours / 24) } else { format!("{hours}h") };
        Some((Timestamp::from_unix_millis(now.unix_millis().saturating_sub(age)), format!("retention {words}")))
    }

    /// A whole piece left: there may be more.
    pub(super) const fn look_again(&mut self) {
        self.looked_at = None;
    }
}

/// The columns of a checkpoint: `seq, at, hash, key, signature, removed_by`, from the given one on.
pub(super) fn checkpoint(
    row: &Row<'_>,
    from: usize,
    environment: fuuffy_domain::EnvironmentName,
) -> rusqlite::Result<Checkpoint> {
    let state = ChainState {
        environment,
        sequence: row.get(from)?,
        at: Timestamp::from_unix_millis(row.get(from + 1)?),
        hash: row.get(from + 2)?,
        removed_by: row.get(from + 5)?,
    };
    Ok(Checkpoint { state, key: KeyId(row.get(from + 3)?), signature: row.get(from + 4)? })
}

impl Batch<'_> {
    /// Writes down what is done. It is on disk with the deed, or neither is.
    pub(super) fn audit(&mut self, cause: &Cause, event: &AuditEvent) -> rusqlite::Result<()> {
        let head = self.standing.audit;
        let sequence = head.sequence + 1;
        let record = audit_record(sequence, self.standing.environment, cause, event);
        let hash = audit_hash(&head.hash, &record);
        self.connection
            .prepare_cached("INSERT INTO audit (seq, at, client_id, record, hash) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![sequence, cause.at.unix_millis(), event.client().map(ClientId::as_str), record, hash])?;
        self.standing.audit = AuditHead { sequence, hash, at: head.at.max(cause.at), signed: head.signed };
        if self.standing.audit.must_be_signed() {
            self.sign(cause.at)?;
        }
        Ok(())
    }

    /// Signs the chain as it stands.
    pub(super) fn sign(&mut self, now: Timestamp) -> rusqlite::Result<Checkpoint> {
        let (AuditHead { sequence, hash, at, .. }, environment) = (self.standing.audit, self.standing.environment);
        let state = ChainState { environment, sequence, hash, at: now.max(at), removed_by: None };
        let signed = self.audit_keys().sign(state);
        self.keep_checkpoint(signed)
    }

    fn keep_checkpoint(&mut self, signed: Checkpoint) -> rusqlite::Result<Checkpoint> {
        let ChainState { sequence, at, .. } = signed.state;
        self.connection
            .prepare_cached(
                // The one by which a key hands on to the next stays: it is what the next is trusted for.
                "INSERT INTO audit_checkpoints (seq, at, hash, key, signature, removed_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (seq) DO UPDATE
                 SET (at, hash, key, signature, removed_by)
                     = (excluded.at, excluded.hash, excluded.key, excluded.signature, excluded.removed_by)
                 WHERE key = excluded.key OR excluded.removed_by IS NOT NULL",
            )?
            .execute(params![
                sequence,
                at.unix_millis(),
                signed.state.hash,
                signed.key.0,
                signed.signature,
                signed.state.removed_by
            ])?;
        if sequence == self.standing.audit.sequence {
            self.standing.audit.signed = Some((sequence, at));
        }
        self.checkpoints.push(signed.clone());
        Ok(signed)
    }

    /// Removes the oldest records up to a checkpoint that was made by a time, and writes down that it did. Only
    /// what is signed leaves, so that what remains begins at a checkpoint that says why.
    pub(super) fn remove_old(&mut self, now: Timestamp, by: Timestamp, rule: &str) -> rusqlite::Result<()> {
        let first: Option<i64> = self.connection.query_row("SELECT min(seq) FROM audit", [], |row| row.get(0))?;
        let Some(first) = first else {
            return Ok(());
        };
        let environment = self.standing.environment;
        let last = self.connection.query_row(
            "SELECT c.seq, c.at, c.hash, c.key, c.signature, c.removed_by, a.hash
             FROM audit_checkpoints AS c JOIN audit AS a ON a.seq = c.seq
             WHERE c.at <= ?1 AND c.seq >= ?2 AND c.seq < ?3 ORDER BY c.seq DESC LIMIT 1",
            [by.unix_millis(), first, first + PIECE],
            |row| Ok((checkpoint(row, 0, environment)?, row.get::<_, AuditHash>(6)?)),
        );
        let Some((last, hash)) = last.optional()? else {
            return Ok(());
        };
        let up_to = last.state.sequence;
        let keys = self.audit_keys().public();
        let follows = self.what_follows(up_to)?;
        let are_right = last.is_signed_by(&keys) && follows.iter().all(|follows| follows.is_signed_by(&keys));
        let key = follows.map_or(self.audit_keys().current().0, |follows| follows.key);
        let (at, removed_by) = (now.max(self.standing.audit.at), Some(rule.to_owned()));
        let signed =
            self.audit_keys().sign_with(key, ChainState { environment, sequence: up_to, hash, at, removed_by });
        let Some(signed) = signed.filter(|_| are_right && last.state.hash == hash) else {
            tracing::error!(%environment, row = up_to, "Old records stay in the audit log, for their checkpoint is not right; run fuuffy audit verify");
            return Ok(());
        };
        self.connection.prepare_cached("DELETE FROM audit WHERE seq <= ?1")?.execute([up_to])?;
        self.connection.prepare_cached("DELETE FROM audit_checkpoints WHERE seq < ?1")?.execute([up_to])?;
        self.keep_checkpoint(signed)?;
        self.audit(&server(now, &hash), &AuditEvent::Removed { rule: rule.to_owned(), up_to })?;
        self.removed_a_piece = up_to - first + 1 > PIECE - CHECKPOINT_EVERY;
        Ok(())
    }

    /// The checkpoint after the one of a record. Whoever trusts its key trusts all after it, so a log that begins
    /// between the two begins under that key.
    fn what_follows(&self, record: i64) -> rusqlite::Result<Option<Checkpoint>> {
        let environment = self.standing.environment;
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, at, hash, key, signature, removed_by FROM audit_checkpoints WHERE seq > ?1 ORDER BY seq LIMIT 1",
        )?;
        statement.query_row([record], |row| checkpoint(row, 0, environment)).optional()
    }
}
