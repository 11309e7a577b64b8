//! Which proofs were used, in bounded memory. What is forgotten is never taken for unused: whatever might have been used
//! before the memory begins is refused there, and needs a nonce that was given since.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;

use super::Made;
use super::claims::AHEAD;
use crate::Timestamp;

/// For so long a nonce is good, and no proof is good for longer: so long each one that was used is remembered.
pub const KEPT: Duration = Duration::from_secs(120);
/// So many of the last one to two [`KEPT`] are remembered, in each half: some 18 MiB at most.
pub const MOST_USED: usize = 1 << 19;

/// The proofs that were used.
pub(super) struct UsedProofs {
    most: usize,
    used: Mutex<Used>,
}

struct Used {
    /// All that were used since then are known, as long as they could be used again.
    since: Timestamp,
    /// The last time that anybody came with, since threads may come in another order than their requests.
    latest: Timestamp,
    turned_at: Timestamp,
    newer: HashSet<[u8; 16]>,
    older: HashSet<[u8; 16]>,
}

/// It may have been used before the memory begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BeforeMemory;

impl UsedProofs {
    pub(super) fn new(since: Timestamp, most: usize) -> Self {
        let used = Used { since, latest: since, turned_at: since, newer: HashSet::new(), older: HashSet::new() };
        Self { most, used: Mutex::new(used) }
    }

    /// Notes that a proof is used. Whether it is for the first time is decided by this one step.
    ///
    /// # Errors
    /// [`BeforeMemory`]
    pub(super) fn note(&self, digest: [u8; 16], made: Made, now: Timestamp) -> Result<bool, BeforeMemory> {
        let mut used = self.used.lock();
        let is_since = match made {
            Made::WithNonce(given) => given > used.since,
            // It may have been used before it was made, by as much as a clock may be ahead.
            Made::AtItsWord(at) => at > used.since.after(AHEAD),
        };
        if !is_since {
            return Err(BeforeMemory);
        }
        used.latest = used.latest.max(now);
        used.turn(now);
        if used.older.contains(&digest) {
            return Ok(false);
        }
        let is_first = used.newer.insert(digest);
        if used.newer.len() >= self.most {
            used.forget();
        }
        Ok(is_first)
    }
}

impl Used {
    fn turn(&mut self, now: Timestamp) {
        if now < self.turned_at.after(KEPT) {
            return;
        }
        self.older = std::mem::take(&mut self.newer);
        if now >= self.turned_at.after(KEPT * 2) {
            self.older.clear();
        }
        self.turned_at = now;
    }

    /// As after a start: whoever sends a proof that may have been used gets a nonce.
    fn forget(&mut self) {
        let now = self.latest;
        *self = Self { since: now, latest: now, turned_at: now, newer: HashSet::new(), older: HashSet::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    fn digest(number: u8) -> [u8; 16] {
        [number; 16]
    }

    #[test]
    fn a_proof_is_used_once_for_as_long_as_it_could_be_used_again() {
        for first in [100, 119, 120, 121, 239, 240] {
            let used = UsedProofs::new(START, 1000);
            let made = Made::WithNonce(at(first));
            assert_eq!(used.note(digest(1), made, at(first)), Ok(true));
            for again in (0..120).step_by(7) {
                assert_eq!(used.note(digest(1), made, at(first + again)), Ok(false), "{again} s after {first}");
            }
        }
    }

    #[test]
    fn what_may_have_been_used_before_the_start_is_not_taken() {
        let used = UsedProofs::new(START, 1000);
        for made in [Made::WithNonce(START), Made::AtItsWord(START), Made::AtItsWord(START.after(AHEAD))] {
            assert_eq!(used.note(digest(1), made, at(1)), Err(BeforeMemory), "{made:?}");
        }
        assert_eq!(used.note(digest(1), Made::WithNonce(at(1)), at(1)), Ok(true));
        assert_eq!(used.note(digest(2), Made::AtItsWord(START.after(AHEAD * 2)), at(20)), Ok(true));
    }

    #[test]
    fn a_full_memory_forgets_and_takes_nothing_from_before() {
        let used = UsedProofs::new(START, 8);
        for number in 0..8 {
            assert_eq!(used.note(digest(number), Made::AtItsWord(at(50)), at(50)), Ok(true));
        }
        let size = {
            let used = used.used.lock();
            used.newer.len() + used.older.len()
        };
        assert_eq!(size, 0);
        for number in 0..9 {
            assert_eq!(used.note(digest(number), Made::AtItsWord(at(50)), at(51)), Err(BeforeMemory));
        }
        assert_eq!(used.note(digest(1), Made::WithNonce(at(51)), at(51)), Ok(true), "with a newer nonce it goes on");
    }

    #[test]
    fn what_was_used_a_moment_ago_is_not_forgotten_by_a_request_from_before() {
        let used = UsedProofs::new(START, 2);
        let made = Made::WithNonce(at(53));
        assert_eq!(used.note(digest(1), made, at(55)), Ok(true));
        assert_eq!(used.note(digest(2), Made::WithNonce(at(49)), at(50)), Ok(true), "and now it is full");
        assert_eq!(used.note(digest(1), made, at(56)), Err(BeforeMemory));
    }
}
