//! What an environment is for: trying things out, or the real thing. Only the one for trying things out has
//! drills; the other has no value that could hold one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::{ClientSlot, Drill, DrillKind, EnvironmentName, MetDrill, PendingDrill, Timestamp};

/// Clients that may have a drill at once.
const MOST_CLIENTS: usize = 1024;

/// What an environment is for.
#[derive(Debug)]
pub enum Stage {
    /// For trying things out.
    Testing(Drills),
    /// The real one.
    Production,
}

/// The drills of an environment, at most one a client. Made only for [`Stage::Testing`]:
///
/// ```compile_fail,E0624
/// let drills = fuuffy_domain::Drills::none();
/// ```
#[derive(Debug)]
pub struct Drills {
    are_pending: AtomicBool,
    by_client: Mutex<HashMap<ClientSlot, PendingDrill>>,
}

/// As many clients as can be have drills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too many clients have drills; the first of them lapses within {} s", .wait.as_secs())]
pub struct TooManyDrills {
    /// When there is room again at the latest.
    pub wait: Duration,
}

impl Stage {
    /// The stage of an environment, with no drill pending.
    #[must_use]
    pub fn of(name: EnvironmentName) -> Self {
        match name {
            EnvironmentName::Testing => Self::Testing(Drills::none()),
            EnvironmentName::Production => Self::Production,
        }
    }

    /// Which environment.
    #[must_use]
    pub const fn name(&self) -> EnvironmentName {
        match self {
            Self::Testing(_) => EnvironmentName::Testing,
            Self::Production => EnvironmentName::Production,
        }
    }

    /// What a request to the API meets that would be forwarded otherwise.
    #[must_use]
    pub fn meet_request(&self, client: ClientSlot, now: Timestamp) -> Option<MetDrill> {
        match self {
            Self::Testing(drills) => drills.meet(client, now, PendingDrill::meet_request),
            Self::Production => None,
        }
    }

    /// What a token request meets that would be granted otherwise.
    #[must_use]
    pub fn meet_token_request(&self, client: ClientSlot, now: Timestamp) -> Option<DrillKind> {
        match self {
            Self::Testing(drills) => drills.meet(client, now, PendingDrill::meet_token_request),
            Self::Production => None,
        }
    }
}

impl Drills {
    fn none() -> Self {
        Self { are_pending: AtomicBool::new(false), by_client: Mutex::default() }
    }

    /// Sets a client's drill, in place of the one that it has.
    ///
    /// # Errors
    /// [`TooManyDrills`]
    pub fn set(&self, client: ClientSlot, drill: Drill, now: Timestamp) -> Result<PendingDrill, TooManyDrills> {
        self.with(now, |by_client| {
            if by_client.len() >= MOST_CLIENTS && !by_client.contains_key(&client) {
                let first = by_client.values().map(PendingDrill::lapses_at).min().unwrap_or(now);
                return Err(TooManyDrills { wait: first.since(now) });
            }
            let pending = PendingDrill::begin(drill, now);
            by_client.insert(client, pending);
            Ok(pending)
        })
    }

    /// The drill that a client's next requests meet.
    #[must_use]
    pub fn pending(&self, client: ClientSlot, now: Timestamp) -> Option<PendingDrill> {
        self.with(now, |by_client| by_client.get(&client).copied())
    }

    /// Ends a client's drill, if it has one.
    pub fn end(&self, client: ClientSlot, now: Timestamp) {
        self.with(now, |by_client| by_client.remove(&client));
    }

    /// While nothing is pending this is all that a request costs: one load. It need not be ordered, for
    /// whoever set a drill had an answer before sending what is to meet it.
    fn meet<T>(
        &self,
        client: ClientSlot,
        now: Timestamp,
        count: impl FnOnce(&mut PendingDrill) -> Option<T>,
    ) -> Option<T> {
        if !self.are_pending.load(Ordering::Relaxed) {
            return None;
        }
        self.with(now, |by_client| {
            let pending = by_client.get_mut(&client)?;
            let met = count(pending);
            if pending.is_over(now) {
                by_client.remove(&client);
            }
            met
        })
    }

    /// Whatever looks at the drills also drops those that are over.
    fn with<T>(&self, now: Timestamp, act: impl FnOnce(&mut HashMap<ClientSlot, PendingDrill>) -> T) -> T {
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        by_client.retain(|_, pending| !pending.is_over(now));
        let outcome = act(&mut by_client);
        self.are_pending.store(!by_client.is_empty(), Ordering::Relaxed);
        outcome
    }
}

#[cfg(test)]
mod tests;
