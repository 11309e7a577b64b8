//! Plans and the arithmetic of their windows.
//!
//! A window starts with the first request in it and lets a fixed number through until it ends. A
//! request is taken from all windows of a plan or from none, so that what is refused costs nothing and
//! `Retry-After` can name the wait for all of them together. (A GCRA cell refills while it is used, so it lets
//! nearly twice its number through in the first of its windows, and it is asked by taking from it.)
//!
//! Requests come with times that may be out of order, for they are read on several threads, and a clock may jump. A
//! window that would start in the future therefore moves back to the present with all that was taken from it: nothing
//! opens it early, and nothing keeps it closed for longer than it is long.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Timestamp;

/// So many requests in so long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Limit {
    /// Requests let through in a window: 1 to 1,000,000,000, and to 100,000,000 a second.
    pub requests: u32,
    /// The window's length in seconds: 1 to 30 days.
    pub seconds: u32,
}

/// Text that is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LimitFault {
    /// It is written otherwise.
    #[error("a limit is a whole number from 1 to 1000000000, a slash, and s, min, h or d, as in \"100/min\"")]
    Text,
    /// It lets nothing through.
    #[error("a limit of 0 lets nothing through; to stop a client, suspend it")]
    Zero,
    /// It is more than anybody could count on.
    #[error("a limit is at most 100000000 a second and 1000000000 in all; where there is to be none, leave it out")]
    TooMany,
}

/// So many a second are the most that a limit may let through; more would be none.
const MOST_A_SECOND: u32 = 100_000_000;
/// So many in a window.
const MOST: u32 = 1_000_000_000;

impl Limit {
    /// Reads `100/min`, `1000/h`, `5/s`, `10000/d`.
    ///
    /// # Errors
    /// [`LimitFault`]
    pub fn parse(text: &str) -> Result<Self, LimitFault> {
        let (number, unit) = text.split_once('/').ok_or(LimitFault::Text)?;
        let seconds = match unit {
            "s" => 1,
            "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(LimitFault::Text),
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(LimitFault::Text);
        }
        match number.parse::<u32>() {
            Ok(0) => Err(LimitFault::Zero),
            Ok(requests) if requests <= MOST.min(MOST_A_SECOND.saturating_mul(seconds)) => {
                Ok(Self { requests, seconds })
            }
            // Digits alone: what is no such number is too large for one.
            _ => Err(LimitFault::TooMany),
        }
    }

    /// So many times as much in the same time, as far as a limit goes.
    #[must_use]
    pub fn times(&self, factor: u32) -> Self {
        let most = MOST.min(MOST_A_SECOND.saturating_mul(self.seconds));
        Self { requests: self.requests.saturating_mul(factor).min(most), seconds: self.seconds }
    }

    /// The name of the window in `RateLimit` fields: its unit.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.seconds {
            1 => "second",
            60 => "minute",
            3600 => "hour",
            _ => "day",
        }
    }
}

impl TryFrom<String> for Limit {
    type Error = LimitFault;

    fn try_from(text: String) -> Result<Self, LimitFault> {
        Self::parse(&text)
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        let unit = match limit.seconds {
            1 => "s",
            60 => "min",
            3600 => "h",
            _ => "d",
        };
        format!("{}/{unit}", limit.requests)
    }
}

/// Limits that all hold at once, one for each unit at most, as in `200/min 5000/h`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Limits(Vec<Limit>);

/// Text that is no such list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LimitsFault {
    /// One of them is none.
    #[error(transparent)]
    Limit(#[from] LimitFault),
    /// Two have one unit, and only the smaller one would hold.
    #[error("limits are separated by single spaces, as in \"200/min 5000/h\", each with another unit")]
    Repeated,
}

impl Limits {
    /// Reads limits separated by single spaces; there is at least one.
    ///
    /// # Errors
    /// [`LimitsFault`]
    pub fn parse(text: &str) -> Result<Self, LimitsFault> {
        let limits = text.split(' ').map(Limit::parse).collect::<Result<Vec<_>, _>>()?;
        let is_repeated =
            |(place, limit): (usize, &Limit)| limits[..place].iter().any(|other| other.seconds == limit.seconds);
        if limits.iter().enumerate().any(is_repeated) {
            return Err(LimitsFault::Repeated);
        }
        Ok(Self(limits))
    }

    /// They, in the order in which they were written.
    #[must_use]
    pub fn as_slice(&self) -> &[Limit] {
        &self.0
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().copied().map(String::from).collect();
        f.write_str(&words.join(" "))
    }
}

impl TryFrom<String> for Limits {
    type Error = LimitsFault;

    fn try_from(text: String) -> Result<Self, LimitsFault> {
        Self::parse(&text)
    }
}

impl From<Limits> for String {
    fn from(limits: Limits) -> Self {
        limits.to_string()
    }
}

/// What a client may do: limits that all hold at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Its windows, in the order of the configuration.
    pub limits: Vec<Limit>,
    /// Requests under way at once, if they are limited.
    pub concurrency: Option<u32>,
    /// Windows that refuse nothing: whom they would have refused is counted, to learn what a plan would do.
    pub observe: Vec<Limit>,
}

impl Plan {
    /// A plan with windows and nothing else.
    #[must_use]
    pub fn of(limits: Vec<Limit>) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The plan `standard`: 100 requests a minute and 1000 an hour.
    #[must_use]
    pub fn standard() -> Self {
        Self::of(vec![Limit { requests: 100, seconds: 60 }, Limit { requests: 1000, seconds: 3600 }])
    }
}

/// What one client has used of its plan.
#[derive(Debug, Clone, Default)]
pub struct LimitState {
    windows: Box<[Window]>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    limit: Limit,
    started: Timestamp,
    used: u32,
}

/// How a client stands in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The window.
    pub limit: Limit,
    /// Requests left in it.
    pub remaining: u32,
    /// When it starts anew.
    pub resets_at: Timestamp,
    /// Whether the request was refused because too few were left in it.
    pub is_short: bool,
}

/// Whether a request goes through, and how its client stands afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How long to wait, if the request is refused.
    pub wait: Option<Duration>,
    /// All windows, in the plan's order.
    pub standings: Vec<Standing>,
}

impl Verdict {
    /// Seconds to wait if the request is refused, rounded up, so that a caller that waits them out is let through.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.wait.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// The window that tells most: of a refused request the one that it has to wait for, else the one with the least
    /// left, and of several the one that resets last.
    #[must_use]
    pub fn tightest(&self) -> Option<&Standing> {
        self.standings.iter().max_by_key(|standing| match standing {
            // Of those that are short, whatever is left in them, the last to reset is the one to wait for.
            Standing { is_short: true, resets_at, .. } => (true, Reverse(0), *resets_at),
            Standing { remaining, resets_at, .. } => (false, Reverse(*remaining), *resets_at),
        })
    }
}

impl LimitState {
    /// Takes `cost` from every window of the plan, or from none; of a window that is smaller than that, all of it. What
    /// costs nothing is let through. A changed plan starts its changed windows anew.
    pub fn take(&mut self, plan: &Plan, cost: u32, now: Timestamp) -> Verdict {
        let wait = self.wait(plan, cost, now);
        if wait.is_none() {
            for window in &mut self.windows {
                window.used += window.share(cost);
            }
        }
        let standing = |window: &Window| Standing {
            limit: window.limit,
            remaining: window.limit.requests - window.used,
            resets_at: window.ends(),
            is_short: wait.is_some() && window.is_short(cost),
        };
        Verdict { wait, standings: self.windows.iter().map(standing).collect() }
    }

    /// How long what costs so much would have to wait, if it would. Nothing is taken.
    pub fn wait(&mut self, plan: &Plan, cost: u32, now: Timestamp) -> Option<Duration> {
        self.fit(plan, now);
        for window in &mut self.windows {
            window.move_to(now);
        }
        self.windows.iter().filter(|window| window.is_short(cost)).map(|window| window.ends().since(now)).max()
    }

    /// Whether nothing is taken from any window: it is as if it had never been used.
    #[must_use]
    pub fn is_unused(&self, now: Timestamp) -> bool {
        self.windows.iter().all(|window| window.used == 0 || now >= window.ends())
    }

    fn fit(&mut self, plan: &Plan, now: Timestamp) {
        let fits = self.windows.len() == plan.limits.len()
            && self.windows.iter().zip(&plan.limits).all(|(window, limit)| window.limit == *limit);
        if fits {
            return;
        }
        let known = std::mem::take(&mut self.windows);
        let window = |limit: &Limit| {
            known.iter().find(|window| window.limit == *limit).copied().unwrap_or(Window {
                limit: *limit,
                started: now,
                used: 0,
            })
        };
        self.windows = plan.limits.iter().map(window).collect();
    }
}

impl Window {
    /// Ends what is over, and keeps the start out of the future.
    fn move_to(&mut self, now: Timestamp) {
        if self.used == 0 || now >= self.ends() {
            (self.started, self.used) = (now, 0);
        }
        self.started = self.started.min(now);
    }

    /// What a request of this cost takes of it.
    fn share(&self, cost: u32) -> u32 {
        cost.min(self.limit.requests)
    }

    fn is_short(&self, cost: u32) -> bool {
        self.share(cost) > self.limit.requests - self.used
    }

    fn ends(&self) -> Timestamp {
        self.started.after(Duration::from_secs(u64::from(self.limit.seconds)))
    }
}

#[cfg(test)]
mod tests;
