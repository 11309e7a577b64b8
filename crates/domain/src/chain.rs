//! Following the chain of the audit log: whether it is whole, and if not, which row is the first that is not
//! what was written.
//!
//! Rows come in, one after the other, each with the checkpoint that was made after it. Nothing is kept of them
//! but where the chain stands, so that a log of any length can be followed. The chain alone shows every change
//! but one: somebody who can write the whole log can write another one. That is what the checkpoints are for.
//! Whoever trusts the key that signed at first trusts each one after it: a record names it, and a checkpoint of the
//! one before covers that record.

use serde::Deserialize;

use crate::{
    AUDIT_START, AuditHash, AuditPublicKey, Checkpoint, EnvironmentName, KeyId, Tampering, Timestamp, audit_hash,
};

/// Records after which there is a checkpoint, at the latest.
pub const CHECKPOINT_EVERY: i64 = 1000;

/// So many rows after a bad one are looked at, to tell what was done.
const LOOK_AHEAD: u32 = 64;

/// Where a log begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// At its first record.
    Whole,
    /// After a record up to which a rule removed all.
    Removed {
        /// The last removed record.
        up_to: i64,
        /// By which rule.
        by: String,
    },
    /// After a checkpoint: it is a part of a log.
    Part {
        /// The last record before it.
        after: i64,
    },
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Where the log begins.
    pub beginning: Beginning,
    /// The last record, zero where there is none.
    pub last: i64,
    /// The last record that a checkpoint covers.
    pub signed_up_to: i64,
    /// When that checkpoint was made.
    pub signed_at: Option<Timestamp>,
}

/// A row that does not follow, while those after it tell why.
struct Suspect {
    /// The row that should have been here.
    row: i64,
    /// Its number where it stands.
    stands: i64,
    /// Its number in its own words.
    says: i64,
    /// How the chain stood before it.
    previous: AuditHash,
    left: u32,
}

/// The chain, as far as it was followed.
pub struct AuditChain {
    environment: EnvironmentName,
    keys: Vec<AuditPublicKey>,
    /// Checkpoints that were kept elsewhere, by record.
    kept: Vec<(i64, AuditHash)>,
    /// Those among them that no trusted key signed, so far.
    unsigned: Vec<Checkpoint>,
    /// A key that a record names, and no checkpoint covers yet.
    named: Option<AuditPublicKey>,
    /// Whether a part of a log will do.
    takes_parts: bool,
    beginning: Option<Beginning>,
    last: i64,
    hash: AuditHash,
    /// The link before the last record's.
    before: AuditHash,
    signed_up_to: i64,
    signed_at: Option<Timestamp>,
    removal_is_told: bool,
    /// A checkpoint stood before all rows, and is no reason to begin there.
    missing_up_to: i64,
    suspect: Option<Suspect>,
}

impl AuditChain {
    /// Nothing followed yet. `kept` are checkpoints from elsewhere; `takes_parts` where the log may begin at any
    /// checkpoint, as an export may.
    ///
    /// # Errors
    /// [`Tampering`]: a kept checkpoint is the other environment's.
    pub fn start(
        environment: EnvironmentName,
        keys: Vec<AuditPublicKey>,
        kept: &[Checkpoint],
        takes_parts: bool,
    ) -> Result<Self, Tampering> {
        let mut chain = Self {
            environment,
            keys,
            kept: Vec::with_capacity(kept.len()),
            unsigned: Vec::new(),
            named: None,
            takes_parts,
            beginning: None,
            last: 0,
            hash: AUDIT_START,
            before: AUDIT_START,
            signed_up_to: 0,
            signed_at: None,
            removal_is_told: false,
            missing_up_to: 0,
            suspect: None,
        };
        chain.trust_kept(kept.to_vec())?;
        Ok(chain)
    }

    /// The last record that was followed.
    #[must_use]
    pub const fn last(&self) -> i64 {
        self.last
    }

    /// The next row, as it is kept.
    ///
    /// # Errors
    /// [`Tampering`], at the latest some rows after the bad one.
    pub fn record(&mut self, stands: i64, record: &str, hash: &AuditHash) -> Result<(), Tampering> {
        if self.suspect.is_some() {
            return self.look_ahead(record, hash);
        }
        let row = self.last + 1;
        if self.beginning.is_none() && stands > 1 {
            return Err(Tampering::CutFromStart { row: 1, up_to: stands - 1 });
        }
        let words = Words::of(record);
        if let Some(words) = &words
            && words.environment != self.environment.as_str()
        {
            return Err(Tampering::OtherEnvironment { row: stands, of: words.environment.to_owned() });
        }
        let says = words.map_or(row, |words| words.sequence);
        if says == self.last && audit_hash(&self.before, record) == *hash {
            // It belongs where the last one stands, whose own hash is right.
            return Err(Tampering::Inserted(self.last));
        }
        if stands != row || says != row || audit_hash(&self.hash, record) != *hash {
            self.suspect = Some(Suspect { row, stands, says, previous: self.hash, left: LOOK_AHEAD });
            return Ok(());
        }
        self.beginning.get_or_insert(Beginning::Whole);
        (self.last, self.before, self.hash) = (row, self.hash, *hash);
        if let Some(Beginning::Removed { up_to, .. }) = self.beginning
            && tells_removal(record, up_to)
        {
            self.removal_is_told = true;
        }
        if let Some(key) = names_key(record) {
            self.named = Some(key);
        }
        self.compare_with_kept()
    }

    /// The checkpoint that was made after the last row, or that the log begins at.
    ///
    /// # Errors
    /// [`Tampering`]
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), Tampering> {
        if self.suspect.is_some() {
            return Ok(());
        }
        self.check_signature(checkpoint)?;
        let state = &checkpoint.state;
        let is_first = self.beginning.is_none() && self.last == 0;
        if is_first && state.sequence > 0 && (self.takes_parts || state.removed_by.is_some()) {
            self.beginning = Some(match &state.removed_by {
                Some(by) => Beginning::Removed { up_to: state.sequence, by: by.clone() },
                None => Beginning::Part { after: state.sequence },
            });
            (self.last, self.hash) = (state.sequence, state.hash);
        } else if is_first && state.sequence > 0 {
            self.missing_up_to = state.sequence;
            return Ok(());
        } else if state.sequence > self.last {
            return Err(match self.suspicion() {
                Some(tampering) => tampering,
                None => Tampering::CutFromEnd { row: self.last + 1, up_to: state.sequence },
            });
        } else if state.sequence < self.last {
            // It came late; where it belongs, the chain stood as another one says or nobody can tell any more.
            return Ok(());
        } else if state.hash != self.hash {
            return Err(Tampering::Rewritten { row: self.signed_up_to + 1, up_to: self.last });
        }
        (self.signed_up_to, self.signed_at) = (state.sequence, Some(state.at));
        if let Some(key) = self.named.take() {
            self.keys.push(key);
            let unsigned = std::mem::take(&mut self.unsigned);
            self.trust_kept(unsigned)?;
            return self.compare_with_kept();
        }
        Ok(())
    }

    /// The end of the log.
    ///
    /// # Errors
    /// [`Tampering`]
    pub fn end(mut self) -> Result<Proof, Tampering> {
        if let Some(tampering) = self.suspicion() {
            return Err(tampering);
        }
        if self.missing_up_to > self.last {
            return Err(Tampering::CutFromEnd { row: self.last + 1, up_to: self.missing_up_to });
        }
        // What stood before the beginning is compared with nothing, whoever signed it.
        let before = match self.beginning {
            Some(Beginning::Removed { up_to, .. }) => up_to,
            Some(Beginning::Part { after }) => after,
            Some(Beginning::Whole) | None => -1,
        };
        if let Some(checkpoint) = self.unsigned.iter().find(|checkpoint| checkpoint.state.sequence > before) {
            return Err(Tampering::BadSignature(checkpoint.state.sequence));
        }
        if let Some((up_to, _)) = self.kept.last().filter(|(sequence, _)| *sequence > self.last) {
            return Err(Tampering::CutFromEnd { row: self.last + 1, up_to: *up_to });
        }
        let beginning = self.beginning.take().unwrap_or(Beginning::Whole);
        if let Beginning::Removed { up_to, .. } = beginning
            && !self.removal_is_told
        {
            return Err(Tampering::CutFromStart { row: 1, up_to });
        }
        let is_unsigned = self.last > 0 && self.signed_at.is_none();
        if is_unsigned || self.last - self.signed_up_to > CHECKPOINT_EVERY {
            return Err(Tampering::Unsigned(self.signed_up_to + if is_unsigned { 1 } else { CHECKPOINT_EVERY + 1 }));
        }
        let Self { last, signed_up_to, signed_at, .. } = self;
        Ok(Proof { beginning, last, signed_up_to, signed_at })
    }

    /// Takes up those that a trusted key signed. Another key may come to be trusted.
    fn trust_kept(&mut self, checkpoints: Vec<Checkpoint>) -> Result<(), Tampering> {
        for checkpoint in checkpoints {
            match self.check_signature(&checkpoint) {
                Ok(()) => self.kept.push((checkpoint.state.sequence, checkpoint.state.hash)),
                Err(Tampering::BadSignature(_)) => self.unsigned.push(checkpoint),
                Err(tampering) => return Err(tampering),
            }
        }
        self.kept.sort_unstable();
        Ok(())
    }

    fn check_signature(&self, checkpoint: &Checkpoint) -> Result<(), Tampering> {
        let row = checkpoint.state.sequence;
        if !checkpoint.is_signed_by(&self.keys) {
            return Err(Tampering::BadSignature(row));
        }
        if checkpoint.state.environment != self.environment {
            return Err(Tampering::OtherEnvironment { row, of: checkpoint.state.environment.to_string() });
        }
        Ok(())
    }

    fn compare_with_kept(&self) -> Result<(), Tampering> {
        let from = self.kept.partition_point(|(sequence, _)| *sequence < self.last);
        let here = self.kept[from..].iter().take_while(|(sequence, _)| *sequence == self.last);
        match here.into_iter().find(|(_, hash)| *hash != self.hash) {
            Some(_) => Err(Tampering::Rewritten { row: self.signed_up_to + 1, up_to: self.last }),
            None => Ok(()),
        }
    }

    /// A row after the bad one: the one that belongs in its place, perhaps.
    fn look_ahead(&mut self, record: &str, hash: &AuditHash) -> Result<(), Tampering> {
        let Some(suspect) = &mut self.suspect else {
            return Ok(());
        };
        if audit_hash(&suspect.previous, record) == *hash {
            return Err(match suspect.says > suspect.row {
                true => Tampering::Reordered(suspect.row),
                false => Tampering::Inserted(suspect.row),
            });
        }
        suspect.left -= 1;
        match suspect.left {
            0 => self.suspicion().map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    /// What was done to the suspect, as far as can be told.
    fn suspicion(&self) -> Option<Tampering> {
        let Suspect { row, stands, says, .. } = self.suspect.as_ref()?;
        Some(if stands > row || says > row {
            Tampering::Removed(*row)
        } else if stands < row || says < row {
            Tampering::Inserted(*row)
        } else {
            Tampering::Changed(*row)
        })
    }
}

/// What a record says of itself. Its members come in one order, for its text is never written anew.
struct Words<'a> {
    sequence: i64,
    environment: &'a str,
}

impl<'a> Words<'a> {
    fn of(record: &'a str) -> Option<Self> {
        let (sequence, rest) = record.strip_prefix(r#"{"seq":"#)?.split_once(r#","at":""#)?;
        let (environment, _) = rest.split_once(r#"","environment":""#)?.1.split_once('"')?;
        Some(Self { sequence: sequence.parse().ok()?, environment })
    }
}

/// Whether a record says that everything up to a row was removed.
fn tells_removal(record: &str, up_to: i64) -> bool {
    record.contains(r#""deed":"audit.removed""#) && record.ends_with(&format!(r#","up_to":{up_to}}}"#))
}

/// The key that a record says checkpoints are signed with after it.
fn names_key(record: &str) -> Option<AuditPublicKey> {
    #[derive(Deserialize)]
    struct Named {
        deed: String,
        key: KeyId,
        public_key: String,
    }
    // Few records are read whole.
    record.contains("audit_key.rotated").then_some(())?;
    let Named { deed, key, public_key } = serde_json::from_str(record).ok()?;
    (deed == "audit_key.rotated").then_some(())?;
    Some(AuditPublicKey::parse(&public_key)?.named(key))
}

#[cfg(test)]
mod tests;
