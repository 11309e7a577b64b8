//! What was used: requests by the class of their answer, bytes, and how long answers took. Usages add up, whatever
//! they are of, and are kept as a few bytes.

use std::time::Duration;

/// What some requests were, taken together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests that were answered, refused ones included.
    pub requests: u64,
    /// Those by the class of the answer's status, 1xx to 5xx.
    pub classes: [u64; 5],
    /// Those that were answered with 401 or 403.
    pub forbidden: u64,
    /// Those that were answered with 404.
    pub not_found: u64,
    /// Those that were answered with 429 for the client's plan.
    pub limited: u64,
    /// Those that got 502 or 504 because the API behind the gateway failed.
    pub failed: u64,
    /// Bytes of bodies from the client.
    pub bytes_in: u64,
    /// Bytes of bodies to the client.
    pub bytes_out: u64,
    /// How long the client waited for the head of each answer.
    pub latency: Latency,
    /// Those that a limit that is only observed would have refused.
    pub observed: u64,
}

/// How a request ended, for its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The answer's status.
    pub status: u16,
    /// Whether the answer was the plan's refusal.
    pub was_limited: bool,
    /// Whether a limit that is only observed would have refused it.
    pub was_observed: bool,
    /// Whether the API behind the gateway failed.
    pub has_failed: bool,
    /// From the request's head to the answer's.
    pub took: Duration,
}

/// A histogram of durations. Its bounds grow by the root of two, so a quantile is told at most 41 % too large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency([u64; Latency::BUCKETS]);

impl Default for Latency {
    fn default() -> Self {
        Self([0; Self::BUCKETS])
    }
}

/// The bounds of the buckets but for the last one, which has none, in microseconds.
const BOUNDS: [u64; Latency::BUCKETS - 1] = bounds();

const fn bounds() -> [u64; Latency::BUCKETS - 1] {
    let mut bounds = [0; Latency::BUCKETS - 1];
    let mut place = 0;
    while place < bounds.len() {
        // 100 µs times the root of two to the place.
        let octaves = 100 << (place / 2);
        bounds[place] = if place % 2 == 0 { octaves } else { octaves * 1_414_214 / 1_000_000 };
        place += 1;
    }
    bounds
}

impl Latency {
    /// 100 µs to 105 s, and more.
    const BUCKETS: usize = 42;

    /// Counts one.
    pub fn note(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0[BOUNDS.partition_point(|bound| *bound < micros)] += 1;
    }

    /// The duration that so much of all, from 0 to 1, did not exceed, rounded up to a bound; `None` of nothing. Above
    /// the last bound that is all that is known.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let count: u64 = self.0.iter().sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank among as many")]
        let rank = ((count as f64) * part.clamp(0.0, 1.0)).ceil().max(1.0) as u64;
        let mut below = 0;
        let place = self.0.iter().position(|bucket| {
            below += bucket;
            below >= rank
        })?;
        Some(Duration::from_micros(BOUNDS[place.min(BOUNDS.len() - 1)]))
    }
}

impl Usage {
    /// Counts one request.
    pub fn note(&mut self, ended: Ended) {
        let Ended { status, was_limited, was_observed, has_failed, took } = ended;
        self.requests += 1;
        self.classes[usize::from(status / 100).clamp(1, 5) - 1] += 1;
        self.forbidden += u64::from(matches!(status, 401 | 403));
        self.not_found += u64::from(status == 404);
        self.limited += u64::from(was_limited);
        self.failed += u64::from(has_failed);
        self.observed += u64::from(was_observed);
        self.latency.note(took);
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.numbers_mut().zip(other.numbers()) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// The usage as bytes: a version, and each number that is not zero with the count of zeros before it (LEB128).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        let mut zeros = 0;
        for number in self.numbers() {
            if number == 0 {
                zeros += 1;
                continue;
            }
            write(&mut bytes, std::mem::take(&mut zeros));
            write(&mut bytes, number);
        }
        bytes
    }

    /// Reads them. `None`: they are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&version, mut rest) = bytes.split_first()?;
        let mut usage = Self::default();
        let mut numbers = usage.numbers_mut();
        while !rest.is_empty() {
            let zeros = usize::try_from(read(&mut rest)?).ok()?;
            *numbers.nth(zeros)? = read(&mut rest)?;
        }
        drop(numbers);
        (version == VERSION).then_some(usage)
    }

    fn numbers(&self) -> impl Iterator<Item = u64> {
        let Self { requests, classes, forbidden, not_found, limited, failed, bytes_in, bytes_out, latency, observed } =
            self;
        let counts = [requests, forbidden, not_found, limited, failed, bytes_in, bytes_out];
        // What came later is last, so that what was written before is read as it was.
        counts.into_iter().chain(classes).chain(&latency.0).chain([observed]).copied()
    }

    fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let Self { requests, classes, forbidden, not_found, limited, failed, bytes_in, bytes_out, latency, observed } =
            self;
        let counts = [requests, forbidden, not_found, limited, failed, bytes_in, bytes_out];
        counts.into_iter().chain(classes).chain(&mut latency.0).chain([observed])
    }
}

/// What the bytes begin with.
const VERSION: u8 = 1;

fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        number |= part.checked_shl(7 * place).filter(|shifted| shifted >> (7 * place) == part)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests;
