//! When a client's own secret is replaced, and what is left to do of a replacement that broke off. The server is
//! the only one that remembers where one stands: nothing of it is written down here.

use std::time::{Duration, SystemTime};

use super::Escalation;
use crate::{Error, ErrorKind};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A secret with an end is replaced after so much of its life.
const OF_LIFE: f64 = 0.8;
/// So much of the interval is left to chance, so that many programs do not ask at once.
const SPREAD: f64 = 0.1;

/// A live secret of the client, as the server tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveSecret {
    pub(crate) secret_id: String,
    pub(crate) created_at: SystemTime,
    pub(crate) expires_at: Option<SystemTime>,
    pub(crate) stage: Stage,
}

/// Where a live secret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is the client's.
    Live,
    /// It is new, and nobody has confirmed that it is kept.
    Pending,
    /// Another was confirmed: this one goes when nobody uses it.
    Retiring,
}

/// What is to be done about the secret that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// Ask for another.
    Replace,
    /// It is another already, kept by a run that broke off: prove and confirm it.
    Finish,
    /// Nothing, for so long.
    Wait(Duration),
}

impl LiveSecret {
    /// What is to be done where secrets are replaced once they are older than `older_than`, and at once without that.
    pub(crate) fn beginning(&self, older_than: Option<Duration>, now: SystemTime) -> Beginning {
        if self.stage == Stage::Pending {
            return Beginning::Finish;
        }
        let Some(older_than) = older_than else {
            return Beginning::Replace;
        };
        let age = now.duration_since(self.created_at).unwrap_or_default();
        match self.due_at_age(older_than).checked_sub(age) {
            Some(wait) if !wait.is_zero() => Beginning::Wait(wait),
            _ => Beginning::Replace,
        }
    }

    fn due_at_age(&self, older_than: Duration) -> Duration {
        let life = self.expires_at.map(|end| end.duration_since(self.created_at).unwrap_or_default());
        let by_end = life.map_or(older_than, |life| older_than.min(life.mul_f64(OF_LIFE)));
        match self.stage {
            // Somebody else's has taken its place, and it is gone a while after nobody uses it any more. Not sooner
            // than in a day: two programs that share a client and no place for secrets would chase each other.
            Stage::Retiring => by_end.min(DAY),
            Stage::Live | Stage::Pending => by_end,
        }
    }
}

/// When a program that replaces its secret by itself looks next.
#[derive(Debug)]
pub(crate) struct Schedule {
    older_than: Duration,
    escalation: Escalation,
}

impl Schedule {
    /// Secrets are to be replaced at least every `every`. `chance`, from 0 to 1, spreads that.
    pub(crate) fn new(every: Duration, chance: f64) -> Self {
        let older_than = every.mul_f64(1.0 - SPREAD * chance);
        Self { older_than, escalation: Escalation::new(Duration::from_secs(60), Duration::from_secs(3600)) }
    }

    /// The age from which on a secret is replaced.
    pub(crate) const fn older_than(&self) -> Duration {
        self.older_than
    }

    /// How long to wait where the secret is due in `due_in`. A look a day finds out what operators did meanwhile.
    pub(crate) fn succeeded(&mut self, due_in: Duration) -> Duration {
        self.escalation.succeed();
        due_in.clamp(Duration::from_secs(1), DAY)
    }

    /// How long to wait after a failure.
    pub(crate) fn failed(&mut self, error: &Error, chance: u64) -> Duration {
        let back_off = self.escalation.fail(chance);
        match error.kind() {
            // A person has been told, and takes a while.
            ErrorKind::Unwritable => DAY,
            _ => error.retry_after().unwrap_or_default().max(back_off),
        }
    }
}

#[cfg(test)]
mod tests;
