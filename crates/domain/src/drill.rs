//! Drills: what an integrator may ask to meet on purpose, so that a program is seen today to take what
//! production will do some day.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

use crate::Timestamp;

/// Every answer that met a drill bears it, so that no log takes one for the real thing.
const FIELD: HeaderName = HeaderName::from_static("x-fuuffy-drill");

/// What is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrillKind {
    /// The token is refused as expired.
    Expired,
    /// The token is refused as revoked.
    Revoked,
    /// The plan is used up.
    RateLimited,
    /// No token is to be had.
    AuthDown,
    /// Requests are forwarded late.
    Slow,
    /// Every other request fails.
    Flaky,
}

impl DrillKind {
    /// All of them, in the order in which they are run in turn.
    pub const ALL: [Self; 6] =
        [Self::Expired, Self::Revoked, Self::RateLimited, Self::AuthDown, Self::Slow, Self::Flaky];

    /// The name as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::RateLimited => "rate-limited",
            Self::AuthDown => "auth-down",
            Self::Slow => "slow",
            Self::Flaky => "flaky",
        }
    }

    /// The drill of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Says in an answer's fields that it met this drill.
    pub fn mark(self, headers: &mut HeaderMap) {
        headers.insert(FIELD, HeaderValue::from_static(self.as_str()));
    }
}

/// A drill as it is asked for: what, how often, and for a slow one how slow. Made only by [`Drill::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drill {
    kind: DrillKind,
    requests: u32,
    delay: Duration,
}

/// Why a drill cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DrillFault {
    /// Not 1 to [`Drill::MOST_REQUESTS`].
    #[error("a drill is met by 1 to 1000 requests")]
    Requests,
    /// Longer than [`Drill::LONGEST_DELAY`], or of a drill that is not slow.
    #[error("only the drill slow has a delay, of at most 30 seconds")]
    Delay,
}

impl Drill {
    /// The most requests that one drill is met by.
    pub const MOST_REQUESTS: u64 = 1000;
    /// The longest that a request is forwarded late.
    pub const LONGEST_DELAY: Duration = Duration::from_secs(30);
    const USUAL_DELAY: Duration = Duration::from_secs(3);

    /// Checks what was asked for. One request, and three seconds late, unless said.
    ///
    /// # Errors
    /// [`DrillFault`]
    pub fn new(kind: DrillKind, requests: Option<u64>, delay: Option<Duration>) -> Result<Self, DrillFault> {
        let requests = requests.unwrap_or(1);
        if !(1..=Self::MOST_REQUESTS).contains(&requests) {
            return Err(DrillFault::Requests);
        }
        if delay.is_some_and(|delay| kind != DrillKind::Slow || delay > Self::LONGEST_DELAY) {
            return Err(DrillFault::Delay);
        }
        let requests = u32::try_from(requests).map_err(|_| DrillFault::Requests)?;
        Ok(Self { kind, requests, delay: delay.unwrap_or(Self::USUAL_DELAY) })
    }

    /// What is met.
    #[must_use]
    pub const fn kind(&self) -> DrillKind {
        self.kind
    }

    /// By how many requests.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests as u64
    }

    /// How late a slow one forwards.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        (self.kind == DrillKind::Slow).then_some(self.delay)
    }
}

/// A drill under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingDrill {
    drill: Drill,
    met: u32,
    lapses_at: Timestamp,
}

/// What one request to the API meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetDrill {
    /// By which drill.
    pub kind: DrillKind,
    /// What comes of it.
    pub effect: DrillEffect,
}

/// What comes of a request that meets a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrillEffect {
    /// It is refused as if its token had expired.
    TokenExpired,
    /// It is refused as if its token had been revoked.
    TokenRevoked,
    /// It is refused as if the plan were used up.
    Limited,
    /// It is forwarded after so long.
    Delayed(Duration),
    /// It is refused as if the upstream had failed.
    UpstreamFailed,
    /// It is let through, and counted.
    Spared,
}

impl PendingDrill {
    /// A drill that nobody but its client ends lapses by itself after this.
    pub const LIFE: Duration = Duration::from_secs(600);

    pub(crate) fn begin(drill: Drill, now: Timestamp) -> Self {
        Self { drill, met: 0, lapses_at: now.after(Self::LIFE) }
    }

    /// Which.
    #[must_use]
    pub const fn kind(&self) -> DrillKind {
        self.drill.kind
    }

    /// How many requests are still to meet it.
    #[must_use]
    pub const fn requests_left(&self) -> u32 {
        self.drill.requests - self.met
    }

    /// How late a slow one forwards.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.drill.delay()
    }

    /// When it ends by itself.
    #[must_use]
    pub const fn lapses_at(&self) -> Timestamp {
        self.lapses_at
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.requests_left() == 0 || now >= self.lapses_at
    }

    /// Counts one request to the API; `None` if this drill is not about those.
    pub(crate) fn meet_request(&mut self) -> Option<MetDrill> {
        let effect = match self.drill.kind {
            DrillKind::Expired => DrillEffect::TokenExpired,
            DrillKind::Revoked => DrillEffect::TokenRevoked,
            DrillKind::RateLimited => DrillEffect::Limited,
            DrillKind::Slow => DrillEffect::Delayed(self.drill.delay),
            // The first one fails, so that a drill of one request is one.
            DrillKind::Flaky if self.met.is_multiple_of(2) => DrillEffect::UpstreamFailed,
            DrillKind::Flaky => DrillEffect::Spared,
            DrillKind::AuthDown => return None,
        };
        self.met += 1;
        Some(MetDrill { kind: self.drill.kind, effect })
    }

    /// Counts one token request; `None` if this drill is not about those.
    pub(crate) fn meet_token_request(&mut self) -> Option<DrillKind> {
        let kind = Some(self.drill.kind).filter(|kind| *kind == DrillKind::AuthDown)?;
        self.met += 1;
        Some(kind)
    }
}
