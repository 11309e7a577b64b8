//! Limits on wrong credentials, by claimed client and by address, in fixed memory.
//!
//! Failures are counted in slots chosen by a keyed hash, so that no flood of invented ids or addresses
//! grows anything. A full slot never refuses a right secret; see [`crate::Issuer`] for how it is used.
//!
//! Whoever failed too often is told so in turn, and cannot go on before: a connection has one request at a time, and a
//! few hundred by HTTP/2. So a flood takes a small share of the core, and whoever has the right secret finds the rest free.

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use fuuffy_domain::{RequestContext, Timestamp};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// Wrong secrets for one client id, or from one address, in a window.
const FAILURES: u32 = 300;
const WINDOW: Duration = Duration::from_secs(60);
const SLOTS: usize = 8192;
/// The time between two answers to those who failed too often, whoever they are: 1,000 a second.
const TURN: Duration = Duration::from_millis(1);
/// Nobody waits longer for one, however many do.
const LONGEST: Duration = Duration::from_secs(1);

/// Counters of failed authentications.
pub(crate) struct Throttle {
    hasher: RandomState,
    slots: Box<[Mutex<Slot>]>,
    /// When the next one is answered who failed too often.
    next_turn: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy)]
struct Slot {
    started: Timestamp,
    failures: u32,
}

/// How a caller stands before its secret is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Few failures lately.
    Good,
    /// Too many, and seconds until the window ends.
    Exhausted(u64),
}

impl Default for Throttle {
    fn default() -> Self {
        let empty = || Mutex::new(Slot { started: Timestamp::from_unix_millis(0), failures: 0 });
        let slots = std::iter::repeat_with(empty).take(SLOTS).collect();
        Self { hasher: RandomState::new(), slots, next_turn: Mutex::default() }
    }
}

impl Throttle {
    /// The worse of the client id's and the address's standing.
    pub(crate) fn standing(&self, context: &RequestContext, client_id: &str) -> Standing {
        let [client, address] = self.slots_of(context, client_id).map(|slot| exhausted(slot, context.now));
        match client.max(address) {
            Some(seconds) => Standing::Exhausted(seconds),
            None => Standing::Good,
        }
    }

    /// Whether there were too many failures for the client id, and whether there were from the address.
    pub(crate) fn whose(&self, context: &RequestContext, client_id: &str) -> [bool; 2] {
        self.slots_of(context, client_id).map(|slot| exhausted(slot, context.now).is_some())
    }

    /// Counts a wrong secret against both.
    pub(crate) fn note_failure(&self, context: &RequestContext, client_id: &str) {
        for slot in self.slots_of(context, client_id) {
            count(slot, context.now);
        }
    }

    /// How an address stands where no client is claimed, as by a token.
    pub(crate) fn standing_of_address(&self, context: &RequestContext) -> Standing {
        exhausted(self.slot_of_address(context), context.now).map_or(Standing::Good, Standing::Exhausted)
    }

    /// Counts what was wrong against the address.
    pub(crate) fn note_failure_from_address(&self, context: &RequestContext) {
        count(self.slot_of_address(context), context.now);
    }

    /// Waits until it is the turn of one who failed too often.
    pub(crate) async fn turn(&self) {
        sleep_until(self.take_turn(Instant::now())).await;
    }

    fn take_turn(&self, now: Instant) -> Instant {
        let mut next = self.next_turn.lock();
        let turn = next.unwrap_or(now).clamp(now, now + LONGEST);
        *next = Some(turn + TURN);
        turn
    }

    fn slot_of_address(&self, context: &RequestContext) -> &Mutex<Slot> {
        self.slot(("address", context.peer))
    }

    fn slots_of(&self, context: &RequestContext, client_id: &str) -> [&Mutex<Slot>; 2] {
        [self.slot(("client", client_id)), self.slot_of_address(context)]
    }

    fn slot(&self, key: impl Hash) -> &Mutex<Slot> {
        let place = usize::try_from(self.hasher.hash_one(key)).unwrap_or(0) % self.slots.len();
        &self.slots[place]
    }
}

fn count(slot: &Mutex<Slot>, now: Timestamp) {
    let mut slot = slot.lock();
    if now.since(slot.started) >= WINDOW {
        *slot = Slot { started: now, failures: 0 };
    }
    slot.failures = slot.failures.saturating_add(1);
}

/// Seconds until the window of a full slot ends.
fn exhausted(slot: &Mutex<Slot>, now: Timestamp) -> Option<u64> {
    let slot = *slot.lock();
    let left = slot.started.after(WINDOW).since(now);
    let seconds = u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    (slot.failures >= FAILURES && !left.is_zero()).then_some(seconds)
}

#[cfg(test)]
mod tests;
