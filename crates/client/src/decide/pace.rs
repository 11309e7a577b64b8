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

/// When a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) wait: Duration,
    /// By how much it moved those after it.
    step: Duration,
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

    /// A turn for the request that is about to be made, which counts as made until it is given back.
    pub(crate) fn reserve(&mut self, now: Duration) -> Turn {
        let Some(window) = self.window.as_mut().filter(|window| window.resets_in > now) else {
            return Turn { wait: Duration::ZERO, step: Duration::ZERO };
        };
        let is_ample = window.limit.is_some_and(|limit| window.remaining.saturating_mul(2) > limit);
        let (wait, step) = if is_ample {
            (Duration::ZERO, Duration::ZERO)
        } else if window.remaining == 0 {
            (window.resets_in - now, Duration::ZERO)
        } else {
            // What is left after the turns that are taken is shared by the time that is left after them.
            let at = self.next_at.max(now).min(window.resets_in);
            (at - now, (window.resets_in - at) / u32::try_from(window.remaining).unwrap_or(u32::MAX))
        };
        window.remaining = window.remaining.saturating_sub(1);
        if !step.is_zero() {
            self.next_at = now + wait + step;
        }
        Turn { wait, step }
    }

    /// A turn that was not used, for whoever does not wait must not keep others waiting. Turns after it stay where they are; the next one comes that much earlier.
    pub(crate) fn give_back(&mut self, turn: &Turn) {
        self.next_at = self.next_at.saturating_sub(turn.step);
        if let Some(window) = self.window.as_mut().filter(|_| !turn.step.is_zero()) {
            window.remaining = window.remaining.saturating_add(1);
        }
    }
}
