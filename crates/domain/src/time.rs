//! Time: points, lives, and the clock that steps of the machine's clock do not move.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A point in time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Whole seconds since the Unix epoch, rounded up, so that waiting until then is enough.
    #[must_use]
    pub const fn unix_seconds_up(self) -> i64 {
        self.0.saturating_add(999).div_euclid(1000)
    }

    /// This point moved forward.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How far this point lies after `earlier`; zero if it does not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How long a token lives: whole seconds, from one second to 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lifetime(u32);

/// Text that is no lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a lifetime is a whole number with the unit s, m, h or d, from 1s to 30d, as in \"1h\"")]
pub struct LifetimeFault;

impl Lifetime {
    /// The guide's hour.
    pub const HOUR: Self = Self(3600);
    /// A day.
    pub const DAY: Self = Self(24 * 3600);
    const LONGEST: u32 = 30 * 24 * 3600;

    /// From seconds, within the bounds.
    ///
    /// # Errors
    /// [`LifetimeFault`]
    pub const fn from_seconds(seconds: u32) -> Result<Self, LifetimeFault> {
        if seconds == 0 || seconds > Self::LONGEST { Err(LifetimeFault) } else { Ok(Self(seconds)) }
    }

    /// Reads `90s`, `15m`, `1h` or `1d`.
    ///
    /// # Errors
    /// [`LifetimeFault`]
    pub fn parse(text: &str) -> Result<Self, LifetimeFault> {
        let unit = match text.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            Some(b'd') => 86_400,
            _ => return Err(LifetimeFault),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(LifetimeFault);
        }
        let number: u32 = digits.parse().map_err(|_| LifetimeFault)?;
        Self::from_seconds(number.checked_mul(unit).ok_or(LifetimeFault)?)
    }

    /// The life in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// The life as a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

impl TryFrom<String> for Lifetime {
    type Error = LifetimeFault;

    fn try_from(text: String) -> Result<Self, LifetimeFault> {
        Self::parse(&text)
    }
}

impl From<Lifetime> for String {
    fn from(life: Lifetime) -> Self {
        life.to_string()
    }
}

/// The server's clock.
pub trait Clock: Send + Sync {
    /// The time now. It never goes back.
    fn now(&self) -> Timestamp;
}

/// What a machine can tell of time.
pub trait TimeSource: Send + Sync {
    /// The machine's calendar clock, which people and NTP step forward and back.
    fn wall(&self) -> Timestamp;
    /// Time passed since some fixed point, sleep of the machine included. Steps do not move it.
    fn elapsed(&self) -> Duration;
}

/// The clock of a server: the calendar read once, and elapsed time added from then on, so that no
/// step of the machine's clock makes a token live longer or die sooner.
pub struct SteadyClock<S> {
    source: S,
    anchor: Timestamp,
    anchored_at: Duration,
}

impl<S: TimeSource> SteadyClock<S> {
    /// Anchors at the calendar's time, but never before `newest`, the newest time on record: a clock
    /// set back while the server was down must not revive tokens.
    pub fn start(source: S, newest: Option<Timestamp>) -> Self {
        let anchor = newest.map_or(source.wall(), |newest| newest.max(source.wall()));
        let anchored_at = source.elapsed();
        Self { source, anchor, anchored_at }
    }

    /// How far the machine's calendar is ahead of this clock, in milliseconds; negative if behind.
    pub fn wall_ahead_millis(&self) -> i64 {
        self.source.wall().unix_millis() - self.now().unix_millis()
    }
}

impl<S: TimeSource> Clock for SteadyClock<S> {
    fn now(&self) -> Timestamp {
        self.anchor.after(self.source.elapsed().saturating_sub(self.anchored_at))
    }
}

/// Time that a test owns: it passes when told to, and the calendar can be stepped.
#[derive(Debug)]
pub struct ManualTime(Mutex<(Timestamp, Duration)>);

impl ManualTime {
    /// Starts at the given calendar time.
    #[must_use]
    pub const fn starting_at(wall: Timestamp) -> Self {
        Self(Mutex::new((wall, Duration::ZERO)))
    }

    /// Lets time pass: calendar and elapsed time go on together.
    pub fn pass(&self, duration: Duration) {
        let mut state = self.lock();
        *state = (state.0.after(duration), state.1 + duration);
    }

    /// Steps the calendar alone, as an operator or NTP does.
    pub fn step_wall(&self, wall: Timestamp) {
        self.lock().0 = wall;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl TimeSource for ManualTime {
    fn wall(&self) -> Timestamp {
        self.lock().0
    }

    fn elapsed(&self) -> Duration {
        self.lock().1
    }
}

impl<S: TimeSource + ?Sized> TimeSource for std::sync::Arc<S> {
    fn wall(&self) -> Timestamp {
        (**self).wall()
    }

    fn elapsed(&self) -> Duration {
        (**self).elapsed()
    }
}

#[cfg(test)]
mod tests;
