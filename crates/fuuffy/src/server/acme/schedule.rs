//! When a certificate is ordered: at two thirds of its life, and after failures at growing distances. Pure.

use std::time::Duration;

use fuuffy_domain::Timestamp;

/// The wait after the first failure. Each further one doubles it.
const FIRST: Duration = Duration::from_secs(15 * 60);
/// The longest wait between attempts.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// An authority that asks for more is asked again after so long nevertheless.
const MOST_PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);
/// One that was just given is kept for so long at least, however short its life looks by our clock.
const REST: Duration = Duration::from_secs(24 * 3600);

/// When a certificate of this life is renewed: when two thirds of it are over, and up to a thirtieth of it earlier, as
/// `chance` (the certificate's own, so that it stays the same) has it. Not all who got theirs at once come at once.
pub(super) fn renewal(starts_at: Timestamp, ends_at: Timestamp, chance: u8) -> Timestamp {
    let life = ends_at.since(starts_at);
    starts_at.after(life * 2 / 3 - life / 30 * u32::from(chance) / 255)
}

/// When one that was got at `got_at` may be renewed at the earliest: never at once, or an authority whose clock is far
/// from ours would be asked without end. What lives for hours rests for a third of that.
pub(super) fn rest(got_at: Timestamp, starts_at: Timestamp, ends_at: Timestamp) -> Timestamp {
    got_at.after(REST.min(ends_at.since(starts_at) / 3))
}

/// When to try again after so many failures, the last of them now; not before the authority wants it (`asked`, from now
/// on). Each wait is up to a quarter longer, as `chance` has it.
pub(super) fn next(failures: u32, now: Timestamp, asked: Option<Duration>, chance: u8) -> Timestamp {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST);
    let wait = doubled + doubled / 4 * u32::from(chance) / 255;
    now.after(wait.max(asked.unwrap_or_default().min(MOST_PATIENCE)))
}

#[cfg(test)]
mod tests;
