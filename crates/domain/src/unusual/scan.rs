//! A client that looks like a scan: many different paths that are not there or not allowed, in a short time.
//!
//! Paths are counted without being kept, by linear counting (Whang, Vander-Zanden and Taylor, "A linear-time
//! probabilistic counting algorithm for database applications", ACM Transactions on Database Systems 15, 1990): each
//! sets one of m = 512 bits, and if z of them are still zero, about −m·ln(z/m) different ones were seen. The standard
//! error, √(m(eᵗ − t − 1))/(tm) with t = n/m, is 3 % at 40 to 60 paths and 4 % at 700. A full bitmap counts as 3,194.

use std::time::Duration;

use super::alert::{Alert, AlertKind, Change, Severity};
use crate::Timestamp;

const BITS: usize = 512;
/// Paths are counted in spans of this length.
const SPAN: Duration = Duration::from_secs(600);
/// Fewer different paths than this in a span are never a scan.
const LEAST: f32 = 40.0;
/// So many times what is usual for the client is one.
const TIMES: f32 = 4.0;
/// A span moves what is usual by a tenth of the way up to twice of it, and no further.
const GAIN: f32 = 0.1;
/// What lasts so long is slowly learned as usual.
const ACCEPTED: Duration = Duration::from_secs(3 * 86_400);

/// Paths that were refused, counted and not kept: 72 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefusedPaths {
    bits: [u64; BITS / 64],
    count: u32,
}

impl RefusedPaths {
    /// Takes one by a hash of its path, which should be keyed, so that nobody can choose paths that fall together.
    pub fn add(&mut self, path_hash: u64) {
        // The high bits of a product depend on all bits of the hash.
        let bit = (path_hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize;
        self.bits[bit / 64] |= 1 << (bit % 64);
        self.count = self.count.saturating_add(1);
    }
}

/// The refused paths of one client in the last minutes: 96 bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    bits: [u64; BITS / 64],
    refused: u32,
    began: Timestamp,
    /// Different paths in an ordinary span that has any.
    usual: f32,
    opened_at: Option<Timestamp>,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            bits: [0; BITS / 64],
            refused: 0,
            began: Timestamp::from_unix_millis(i64::MIN),
            usual: 0.0,
            opened_at: None,
        }
    }
}

impl Scan {
    /// Takes the requests of the last minute that were answered with 401, 403 or 404.
    pub fn refused(&mut self, now: Timestamp, paths: &RefusedPaths) -> Option<Change> {
        let ended = self.tick(now);
        for (mine, theirs) in self.bits.iter_mut().zip(paths.bits) {
            *mine |= theirs;
        }
        self.refused = self.refused.saturating_add(paths.count);
        let count = self.distinct();
        if self.opened_at.is_some() || count < self.bound() {
            return ended;
        }
        self.opened_at = Some(now);
        // It is told of a minute at a time.
        let minutes = now.since(self.began).as_secs() / 60 + 1;
        let span = if minutes >= 2 { format!("{minutes} minutes") } else { "a minute".to_owned() };
        let words = format!(
            "The client asked for about {count:.0} different paths that are not there or that it may not see, in {} \
             refused requests within {span}. Usual are {:.0} in ten minutes, and an alert takes {:.0}. The count is \
             within 10 % in 99 of 100 cases. Look at the paths; if they are guesses, suspend the client and ask its \
             owner.",
            self.refused,
            self.usual,
            self.bound()
        );
        Some(Change::Opened(Alert { kind: AlertKind::Scan, severity: Severity::Critical, opened_at: now, words }))
    }

    /// Ends the span that is over, and the incident with the first span that has less than half of what opens one.
    /// To be called once a minute too, since a scan that ends makes no more requests.
    pub fn tick(&mut self, now: Timestamp) -> Option<Change> {
        let is_under_way = now >= self.began && now.since(self.began) < SPAN;
        if is_under_way {
            return None;
        }
        let (count, bound) = (self.distinct(), self.bound());
        let is_calm = count < bound / 2.0;
        if count > 0.0 && self.opened_at.is_none_or(|opened| now.since(opened) >= ACCEPTED) {
            // Twice what is usual is all that a span can pull, so that a scan cannot be prepared in a hurry.
            let pulled = count.min((2.0 * self.usual).max(10.0));
            self.usual += GAIN * (pulled - self.usual);
        }
        (self.bits, self.refused, self.began) = ([0; BITS / 64], 0, now);
        if !is_calm {
            return None;
        }
        let opened_at = self.opened_at.take()?;
        Some(Change::Closed { kind: AlertKind::Scan, opened_at, closed_at: now })
    }

    /// About how many different paths there were in the span.
    #[must_use]
    pub fn distinct(&self) -> f32 {
        let zeros: u32 = self.bits.iter().map(|word| word.count_zeros()).sum();
        -(BITS as f32) * (zeros.max(1) as f32 / BITS as f32).ln()
    }

    fn bound(&self) -> f32 {
        LEAST.max(TIMES * self.usual)
    }
}

#[cfg(test)]
mod tests;
