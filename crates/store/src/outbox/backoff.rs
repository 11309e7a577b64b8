//! When an alert that nobody took is tried again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use fuuffy_domain::Timestamp;

use super::PATIENCE;

/// The wait after the first failure. Each further one doubles it.
const FIRST: Duration = Duration::from_secs(60);

/// When to try again after so many failures since `since`, the last of them now; `None`: not any more. Each wait is up
/// to twice as long by chance, and the last attempt is when the day is over.
pub(super) fn next(failures: u32, since: Timestamp, now: Timestamp, chance: u64) -> Option<Timestamp> {
    let end = since.after(PATIENCE);
    if now >= end {
        return None;
    }
    let waits = ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(PATIENCE).without_max_times();
    let mut waits = waits.with_jitter().with_jitter_seed(chance).build();
    let wait = waits.nth(failures.saturating_sub(1) as usize).unwrap_or(PATIENCE);
    Some(now.after(wait).min(end))
}
