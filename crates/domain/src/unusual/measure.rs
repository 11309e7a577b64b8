//! The measures: what of a sample each one reads, on which scale it is learned, and how far is far.

use super::Sample;

/// What is watched of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Requests a minute.
    Volume,
    /// The share of 401 and 403.
    ForbiddenShare,
    /// The share of 404.
    NotFoundShare,
    /// The share of 429.
    LimitedShare,
    /// The share of 500 and above.
    ErrorShare,
    /// The 95th percentile of the time to answer.
    Latency,
    /// Bytes of a request and its answer together.
    Bytes,
}

/// How a measure is kept and judged.
pub(super) struct Shape {
    /// Hours of the week that share an offset.
    pub(super) bin_hours: u32,
    /// Where its offsets begin among all.
    pub(super) bins_at: usize,
    /// Hours of the day that share a spread.
    pub(super) spread_hours: u32,
    /// Where its spreads begin among all.
    pub(super) spreads_at: usize,
    /// One step of an offset.
    pub(super) step: f32,
    /// Variance of a single request, or of a count of one.
    pub(super) noise: f32,
    /// What goes on besides the noise of counting and is of no interest, as a standard deviation.
    pub(super) slack: f32,
    /// The farthest that the offset of a part of the week may be pulled by one hour, before its gain.
    pub(super) pull: f32,
    /// The farthest that the level may move in an hour that is accepted as a new usual.
    pub(super) relearn: f32,
    /// Hours that must have been learned before the first alert.
    pub(super) hours_needed: u16,
}

/// Offsets of all measures together.
pub(super) const BINS: usize = 168 + 4 * 28 + 2 * 56;
/// Spreads of all measures together.
pub(super) const SPREADS: usize = 24 + 6 * 8;
/// Microseconds more or fewer that somebody would act on.
const LATENCY_FELT: f32 = 5_000.0;
/// A count below this is none: it keeps the logarithm of nothing finite.
const FAINT: f32 = 1.0 / 64.0;

const fn share(number: usize) -> Shape {
    Shape {
        bin_hours: 6,
        bins_at: 168 + number * 28,
        spread_hours: 3,
        spreads_at: 24 + number * 8,
        step: 1.0 / 64.0,
        noise: 1.0,
        slack: 0.08,
        pull: 0.25,
        relearn: 0.02,
        hours_needed: 48,
    }
}

const fn size(number: usize, noise: f32, slack: f32) -> Shape {
    Shape {
        bin_hours: 3,
        bins_at: 168 + 4 * 28 + number * 56,
        spread_hours: 3,
        spreads_at: 24 + 4 * 8 + number * 8,
        step: 1.0 / 24.0,
        noise,
        slack,
        pull: 0.5,
        relearn: 1.0 / 24.0,
        hours_needed: 48,
    }
}

static SHAPES: [Shape; 7] = [
    Shape {
        bin_hours: 1,
        bins_at: 0,
        spread_hours: 1,
        spreads_at: 0,
        step: 1.0 / 12.0,
        noise: 1.0,
        slack: 0.2,
        pull: 1.0,
        relearn: 1.0 / 24.0,
        hours_needed: 300,
    },
    share(0),
    share(1),
    share(2),
    share(3),
    size(0, 2.0, 0.15),
    size(1, 4.0, 0.2),
];

/// What a measure reads of one minute.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// A count, or for latency and bytes the logarithm times the weight.
    pub(super) amount: f32,
    /// Minutes, or requests.
    pub(super) weight: f32,
}

impl Measure {
    /// All of them, in the order in which they are kept.
    pub const ALL: [Self; 7] = [
        Self::Volume,
        Self::ForbiddenShare,
        Self::NotFoundShare,
        Self::LimitedShare,
        Self::ErrorShare,
        Self::Latency,
        Self::Bytes,
    ];

    /// Its name for programs, which never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::ForbiddenShare => "forbidden_share",
            Self::NotFoundShare => "not_found_share",
            Self::LimitedShare => "limited_share",
            Self::ErrorShare => "error_share",
            Self::Latency => "latency",
            Self::Bytes => "bytes",
        }
    }

    pub(super) const fn jump_name(self) -> &'static str {
        match self {
            Self::Volume => "volume_jump",
            Self::ForbiddenShare => "forbidden_share_jump",
            Self::NotFoundShare => "not_found_share_jump",
            Self::LimitedShare => "limited_share_jump",
            Self::ErrorShare => "error_share_jump",
            Self::Latency => "latency_jump",
            Self::Bytes => "bytes_jump",
        }
    }

    pub(super) const fn drop_name(self) -> &'static str {
        match self {
            Self::Volume => "volume_drop",
            Self::ForbiddenShare => "forbidden_share_drop",
            Self::NotFoundShare => "not_found_share_drop",
            Self::LimitedShare => "limited_share_drop",
            Self::ErrorShare => "error_share_drop",
            Self::Latency => "latency_drop",
            Self::Bytes => "bytes_drop",
        }
    }

    pub(super) fn shape(self) -> &'static Shape {
        &SHAPES[self as usize]
    }

    /// What of a minute is this measure's; none where the minute says nothing about it.
    pub(super) fn read(self, sample: &Sample) -> Option<Reading> {
        let requests = sample.requests as f32;
        let counted = |count: u32| Reading { amount: count.min(sample.requests) as f32, weight: requests };
        // A minute of many requests is one observation of a percentile, and must not drown the others.
        let weighed = |value: f32| {
            let weight = requests.min(100.0);
            Reading { amount: weight * (value + 1.0).log2(), weight }
        };
        let reading = match self {
            Self::Volume => return Some(Reading { amount: requests, weight: 1.0 }),
            Self::ForbiddenShare => counted(sample.forbidden),
            Self::NotFoundShare => counted(sample.not_found),
            Self::LimitedShare => counted(sample.limited),
            Self::ErrorShare => counted(sample.server_errors),
            Self::Latency => weighed(sample.latency? as f32),
            Self::Bytes => weighed((sample.bytes_in as f32 + sample.bytes_out as f32) / requests.max(1.0)),
        };
        (sample.requests > 0).then_some(reading)
    }

    /// The place on the measure's scale of what was read in an hour.
    pub(super) fn place(self, amount: f32, weight: f32) -> f32 {
        match self {
            Self::Volume => (amount / weight + FAINT).log2(),
            Self::Latency | Self::Bytes => amount / weight,
            _ => 2.0 * (amount / weight).clamp(0.0, 1.0).sqrt().asin(),
        }
    }

    /// What is expected at a place of the scale: requests a minute, a share, or the place itself.
    pub(super) fn expected(self, place: f32) -> f32 {
        match self {
            Self::Volume => (place.exp2() - FAINT).max(0.0),
            Self::Latency | Self::Bytes => place,
            _ => (place.clamp(0.0, std::f32::consts::PI) / 2.0).sin().powi(2),
        }
    }

    /// The measure's value as people know it: requests a minute, a share, microseconds, bytes.
    pub(super) fn value(self, expected: f32) -> f32 {
        match self {
            Self::Latency | Self::Bytes => (expected.exp2() - 1.0).max(0.0),
            _ => expected,
        }
    }

    /// How far what was seen lies above what was expected, in standard deviations of a client without quirks.
    ///
    /// Anscombe's transformations for counts and shares, whose variance is then about 1 and 1/n; `slack` is added to
    /// it, since a difference that nobody cares for is none, however many requests prove it.
    pub(super) fn distance(self, seen: f32, expected: f32, weight: f32) -> f32 {
        let Shape { noise, slack, .. } = self.shape();
        match self {
            Self::Volume => {
                let root = |count: f32| 2.0 * (count + 0.375).sqrt();
                (root(seen) - root(expected)) / (noise + slack * slack * expected).sqrt()
            }
            Self::Latency | Self::Bytes => (seen - expected) / weight / (noise / weight + slack * slack).sqrt(),
            _ => {
                let angle = |count: f32| 2.0 * ((count + 0.375) / (weight + 0.75)).clamp(0.0, 1.0).sqrt().asin();
                (angle(seen) - angle(expected)) / (noise / weight + slack * slack).sqrt()
            }
        }
    }

    /// Whether the difference is one that anybody would act on, however sure it is.
    pub(super) fn is_enough(self, seen: f32, expected: f32, weight: f32) -> bool {
        let more = seen - expected;
        match self {
            // Half as much again, or six tenths of it.
            Self::Volume => more >= (0.5 * expected).max(10.0) || more <= (-0.4 * expected).min(-10.0),
            // Eight tenths more, or a third of it; and of latency, what is not a machine's own unrest.
            Self::Latency | Self::Bytes => {
                let added = self.value(seen / weight) - self.value(expected / weight);
                let is_felt = self == Self::Bytes || added.abs() >= LATENCY_FELT;
                (more >= 0.85 * weight || more <= -1.58 * weight) && is_felt
            }
            // Three in a hundred, and three times the odds.
            _ => {
                let odds = |count: f32| (count + 0.5) / (weight - count + 0.5).max(0.5);
                let is_more = more >= (0.03 * weight).max(4.0) && odds(seen) >= 3.0 * odds(expected);
                is_more || (more <= -0.1 * weight && odds(expected) >= 3.0 * odds(seen))
            }
        }
    }
}
