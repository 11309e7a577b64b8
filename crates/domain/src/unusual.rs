//! The unusual: what a client does otherwise than it always did, learned from its own history and told in words.
//!
//! [`History`] is what is kept of one client in one environment. It is told once a minute what the client did
//! ([`Sample`]) and answers with the [`Change`]s that an operator should hear of. What is no series stands beside it:
//! [`Networks`], [`TokenUse`], [`Scan`], [`old_secret`] and [`secret_near_its_end`].
//!
//! How a measure is judged, and where the formulas come from:
//!
//! * Counts are compared by 2√(x + 3/8) and shares by 2·asin √((k + 3/8)/(n + 3/4)), whose noise is about the same
//!   whatever the count (Anscombe, "The transformation of Poisson, binomial and negative-binomial data", Biometrika
//!   35, 1948); latency and bytes a request by their logarithm.
//! * What is usual is a level and an offset for each part of the week. Both move once an hour by a winsorised step
//!   (Huber, "Robust Statistics", 1981, chapter 3): however far out an hour was, it pulls no harder than a bound.
//! * Evidence is added up by a two-sided cumulative sum (Page, "Continuous inspection schemes", Biometrika 41, 1954)
//!   whose allowance is learned from how far the client's whole hours wander, so that noise that lasts is no alarm.
//! * An incident ends by a cumulative sum that runs the other way, and nothing is learned while it lasts.
//!
//! Pure: the time is passed in, and the same samples make the same alerts, before a restart and after.

mod alert;
mod bytes;
mod history;
mod hours;
mod judge;
mod learn;
mod measure;
mod networks;
mod pack;
mod scan;
mod season;
mod secrets;
mod track;
mod words;

pub use alert::{Alert, AlertKind, Change, Direction, Severity, Silence, Subject};
pub use bytes::{ForeignBytes, Kept};
pub use history::History;
pub use measure::Measure;
pub use networks::{Network, Networks, TokenUse};
pub use scan::{RefusedPaths, Scan};
pub use secrets::{old_secret, secret_near_its_end};

/// What one client did in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Requests, refused ones included.
    pub requests: u32,
    /// Of these, answered with 401 or 403.
    pub forbidden: u32,
    /// Of these, answered with 404.
    pub not_found: u32,
    /// Of these, answered with 429.
    pub limited: u32,
    /// Of these, answered with 500 or above.
    pub server_errors: u32,
    /// Bytes of the bodies that came in.
    pub bytes_in: u64,
    /// Bytes of the bodies that went out.
    pub bytes_out: u64,
    /// The 95th percentile of the time to answer, in microseconds; none without a request.
    pub latency: Option<u32>,
}

#[cfg(test)]
mod tests;
