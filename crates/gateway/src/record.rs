//! What is counted of every request, last and once.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream answered; its status class, 1 to 5.
    Proxied(u8),
    /// The caller was refused.
    Refused,
    /// The client's plan was used up.
    Limited,
    /// The upstream failed.
    UpstreamFailed,
    /// The upstream had too much to do already.
    Shed,
}

/// Counters of one environment.
#[derive(Debug, Default)]
pub struct Traffic([AtomicU64; Outcome::LABELS.len()]);

impl Outcome {
    /// The labels of all outcomes, in the order of [`Traffic::totals`].
    pub const LABELS: [&'static str; 9] = [
        "proxied_1xx",
        "proxied_2xx",
        "proxied_3xx",
        "proxied_4xx",
        "proxied_5xx",
        "refused",
        "limited",
        "upstream_failed",
        "shed",
    ];

    fn place(self) -> usize {
        match self {
            Self::Proxied(class) => usize::from(class.clamp(1, 5)) - 1,
            Self::Refused => 5,
            Self::Limited => 6,
            Self::UpstreamFailed => 7,
            Self::Shed => 8,
        }
    }
}

impl Traffic {
    pub(crate) fn record(&self, outcome: Outcome) {
        self.0[outcome.place()].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests since the start by outcome.
    pub fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Outcome::LABELS.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}
