//! How long requests took, by route and by the class of their answer, since the start: an increment of two numbers for
//! each, and nobody waits for anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The bounds of the buckets but for the last one, which has none, in microseconds.
const BOUNDS: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];
const BUCKETS: usize = BOUNDS.len() + 1;
/// The classes of answers.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A histogram that counts.
#[derive(Debug, Default)]
struct Counting {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

/// What a histogram had counted when it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// How many there are up to each bound, in seconds, and above the bound before; the last one is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// All of them together, in seconds.
    pub sum: f64,
    /// How many there are.
    pub count: u64,
}

/// The times of one route.
#[derive(Debug, Default)]
pub(crate) struct RouteTimes {
    by_class: [Counting; CLASSES.len()],
    upstream: Counting,
}

/// The times of one route as they were read.
#[derive(Debug, Clone, PartialEq)]
pub struct TimesOfRoute {
    /// The prefix of the route.
    pub route: String,
    /// From a request to the head of its answer, for each class of answers that there was.
    pub requests: Vec<(&'static str, Histogram)>,
    /// From when the upstream was asked to the head of its answer, or until it was given up.
    pub upstream: Histogram,
}

impl Counting {
    fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[BOUNDS.partition_point(|bound| *bound < micros)].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds to the microsecond")]
    fn read(&self) -> Histogram {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // Of what was read, so that it is the sum of them whatever is counted meanwhile.
        let count = buckets.iter().map(|(_, count)| count).sum();
        Histogram { buckets, sum: self.micros.load(Ordering::Relaxed) as f64 / 1e6, count }
    }
}

impl RouteTimes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Counts an answer, and the upstream's part in it where it was asked.
    pub(crate) fn note(&self, status: u16, took: Duration, upstream: Option<Duration>) {
        self.by_class[usize::from(status / 100).clamp(1, CLASSES.len()) - 1].note(took);
        if let Some(upstream) = upstream {
            self.upstream.note(upstream);
        }
    }

    pub(crate) fn read(&self, prefix: &str) -> TimesOfRoute {
        let requests = CLASSES.into_iter().zip(self.by_class.iter().map(Counting::read));
        let requests = requests.filter(|(_, histogram)| histogram.count > 0).collect();
        TimesOfRoute { route: prefix.to_owned(), requests, upstream: self.upstream.read() }
    }
}

#[cfg(test)]
mod tests;
