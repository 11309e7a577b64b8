//! How long to wait after failures in a row, and how many retries a caller may cost the server.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// Times that one caller's request is made again for the server's sake.
pub(crate) const RETRIES: u32 = 4;

/// Retries that may be spent before any request was made.
const RESERVE: f32 = 10.0;
/// What one request adds to the budget: a retry for every ten.
const DEPOSIT: f32 = 0.1;

/// Waits that double with each failure in a row, each up to twice as long by chance.
#[derive(Debug)]
pub(crate) struct Escalation {
    first: Duration,
    most: Duration,
    /// Boxed, for mostly there is none.
    waits: Option<Box<ExponentialBackoff>>,
}

impl Escalation {
    pub(crate) const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, waits: None }
    }

    /// The wait after one more failure; `chance` is what its jitter comes from.
    pub(crate) fn fail(&mut self, chance: u64) -> Duration {
        let build = || {
            let builder = ExponentialBuilder::new().with_min_delay(self.first).with_max_delay(self.most);
            Box::new(builder.without_max_times().with_jitter().with_jitter_seed(chance).build())
        };
        self.waits.get_or_insert_with(build).next().unwrap_or(self.most)
    }

    pub(crate) fn succeed(&mut self) {
        self.waits = None;
    }
}

/// A budget of retries: they may be a tenth of all requests, so that a server that fails is not asked
/// twice as often as one that works. (The idea is Finagle's and linkerd's.)
#[derive(Debug)]
pub(crate) struct Budget(f32);

impl Default for Budget {
    fn default() -> Self {
        Self(RESERVE)
    }
}

impl Budget {
    /// A request is made.
    pub(crate) fn deposit(&mut self) {
        self.0 = (self.0 + DEPOSIT).min(RESERVE);
    }

    /// Whether it may be made once more.
    pub(crate) fn withdraw(&mut self) -> bool {
        let enough = self.0 >= 1.0;
        if enough {
            self.0 -= 1.0;
        }
        enough
    }
}
