//! Slowing down before the server refuses, where a program asks for that.
//!
//! While more than half of a window is left, nobody waits. After that, what is left is spread over the
//! time until the window ends, so that the last request of a window goes out as it ends.

use std::time::Duration;

/// What the last answer told of the tightest window, and when the next request may go.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    window: Option<Window>,
    next_at: Duration,
}

/// A window of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Requests in all, where that is told.
    pub(crate) limit: Option<u64>,
    /// Requests left.
    pub(crate) remaining: u64,
    /// Until it begins anew.
    pub(crate) resets_in: Duration,
}

impl Pace {
    /// An answer told how this client stands.
    pub(crate) fn told(&mut self, window: Window, now: Duration) {
        self.window = Some(Window { resets_in: now + window.resets_in, ..window });
    }

    /// How long the request that is about to be made should wait. It counts as made.
    pub(crate) fn reserve(&mut self, now: Duration) -> Duration {
        let Some(window) = self.window.as_mut().filter(|window| window.resets_in > now) else {
            return Duration::ZERO;
        };
        let left = window.resets_in - now;
        let remaining = window.remaining;
        window.remaining = remaining.saturating_sub(1);
        if window.limit.is_some_and(|limit| remaining.saturating_mul(2) > limit) {
            return Duration::ZERO;
        }
        if remaining == 0 {
            return left;
        }
        let step = left / u32::try_from(remaining).unwrap_or(u32::MAX);
        let at = self.next_at.max(now).min(window.resets_in);
        self.next_at = at + step;
        at - now
    }
}
