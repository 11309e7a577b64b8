//! How many requests an API can take at a time, found out from how long it takes to answer them. Pure: the time is
//! passed in.
//!
//! An API that has more to do than it can lets requests wait, and all of them wait. So the signal is that even the
//! quick quarter of the answers is slow, which neither a slow call nor another mixture of calls makes so (the local
//! minimum of Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 10, 2012, and RFC 8289). The limit
//! then follows the gradient of latency, as in Netflix's concurrency-limits, down to where waiting takes no longer than
//! is allowed. Slow is measured against what the API takes with nothing waiting. That changes, so while there is a limit it
//! is measured anew every few seconds with so few requests that none waits (as by the bottleneck's round trip in
//! Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14, 2016). Where fewer requests are answered
//! no faster, the API is slow by itself, and to shed requests would help nobody: then there is no limit.

use std::time::Duration;

/// No fewer requests than this are ever too many.
const LEAST: f64 = 16.0;
/// Answers are slow where requests wait for half as long as an answer takes by itself, or so long, whichever is more.
const TOO_LONG: (f64, Duration) = (0.5, Duration::from_millis(25));
/// Once there is a limit, they wait no longer than it takes to keep the API busy: for this share of it, or so long.
const SHORT: (f64, Duration) = (0.35, Duration::from_millis(3));
/// One window of measurement takes no less, ...
const SHORTEST: Duration = Duration::from_millis(100);
/// ... and no more.
const LONGEST: Duration = Duration::from_secs(2);
/// Answers that a window needs to say anything.
const ENOUGH: u32 = 16;
/// A limit that nobody met for so long is none any more.
const CALM: Duration = Duration::from_secs(2);
/// From a limit to its first measurement with few requests; the distance doubles from one to the next, ...
const FIRST_PROBE: Duration = Duration::from_millis(250);
/// ... up to this.
const RARE_PROBE: Duration = Duration::from_secs(8);
/// An answer that takes less than so much of what it took a window ago becomes quicker.
const FALLING: f64 = 0.85;
/// Of the requests that keep an API busy, this share finds nobody to wait for.
const FEW: f64 = 0.75;

/// What was seen in a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Its end.
    pub(super) at: Duration,
    /// Since the one before, or since the last that said something.
    pub(super) took: Duration,
    /// Answers to requests of this epoch, and callers who went away after waiting for too long.
    pub(super) ended: u32,
    /// How many of these went away.
    pub(super) given_up: u32,
    /// A quarter of them took no longer, ...
    pub(super) latency: Option<Duration>,
    /// ... less what the threads that took them were late, which is this at most.
    pub(super) late: Duration,
    /// Requests under way at its end, ...
    pub(super) under_way: u32,
    /// ... and at most.
    pub(super) peak: u32,
    /// Requests that were shed in it.
    pub(super) shed: u32,
}

/// What follows from a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on: nothing can be said yet.
    Wait,
    /// How many may be under way from now on, if there is a limit; and how soon the next window ends.
    Next {
        limit: Option<u32>,
        window: Duration,
        /// Requests from before say nothing any more.
        new_epoch: bool,
    },
}

/// What is known of an API.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Seconds that a quick answer takes with nothing waiting.
    base: Option<f64>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// There is no limit. Whether the last window was slow: one alone may be a pause.
    Free {
        was_slow: bool,
    },
    Limited(Limited),
    /// Until few enough are under way, or it takes too long.
    Draining {
        from: Limited,
        few: f64,
        until: Duration,
    },
    /// With so few under way, for as long as answers become quicker: an API may yet be busy with what nobody waits for.
    Measuring {
        from: Limited,
        few: f64,
        last: f64,
    },
}

#[derive(Debug, Clone, Copy)]
struct Limited {
    limit: f64,
    /// When it was met last.
    met: Duration,
    probe_at: Duration,
    probe_after: Duration,
}

impl Window {
    fn answers(&self) -> u32 {
        self.ended - self.given_up
    }

    /// The most that a latency found in it can have been: a thread knows how late it was, and not for how much of that an
    /// answer waited. Nothing less is taken for the time that an answer takes by itself.
    fn at_most(&self, latency: f64) -> f64 {
        latency + self.late.as_secs_f64()
    }

    /// Answers a second.
    fn rate(&self) -> f64 {
        f64::from(self.answers()) / self.took.as_secs_f64().max(1e-3)
    }
}

impl Default for Phase {
    fn default() -> Self {
        Self::Free { was_slow: false }
    }
}

impl Judge {
    /// An answer that takes longer has waited for longer than is allowed. None where nothing is known yet.
    pub(super) fn slow(&self) -> Option<Duration> {
        self.base.map(|base| Duration::from_secs_f64(with(base, TOO_LONG)))
    }

    /// Takes a window, and says what follows from it.
    pub(super) fn close(&mut self, window: &Window) -> Verdict {
        let Some(latency) = self.latency(window) else {
            return Verdict::Wait;
        };
        let before = self.phase;
        self.phase = match before {
            Phase::Free { was_slow } => self.free(window, latency, was_slow),
            Phase::Limited(limited) => self.limited(window, latency, limited),
            Phase::Draining { from, few, until } => {
                let few = if window.at >= until { few.max(f64::from(window.under_way) + LEAST / 2.0) } else { few };
                match f64::from(window.under_way) <= few {
                    true => Phase::Measuring { from, few, last: f64::INFINITY },
                    false => before,
                }
            }
            Phase::Measuring { from, few, last } => self.measured(window, latency, (from, few, last)),
        };
        let limit = match self.phase {
            Phase::Free { .. } => None,
            Phase::Limited(Limited { limit, .. }) => Some(limit.round() as u32),
            Phase::Draining { few, .. } | Phase::Measuring { few, .. } => Some(few.round() as u32),
        };
        let is_measuring = |phase: &Phase| matches!(phase, Phase::Measuring { .. });
        let new_epoch = is_measuring(&self.phase) != is_measuring(&before);
        let window = Duration::from_secs_f64(latency).clamp(SHORTEST, LONGEST);
        Verdict::Next { limit, window, new_epoch }
    }

    /// Seconds that a quick answer took, or none where the window says nothing. An API that has gone silent takes at least
    /// as long as it has been.
    fn latency(&self, window: &Window) -> Option<f64> {
        match window.latency {
            Some(latency) if window.ended >= ENOUGH || window.took >= LONGEST => Some(latency.as_secs_f64()),
            None if window.took >= LONGEST && f64::from(window.under_way) >= LEAST => Some(window.took.as_secs_f64()),
            None if window.took >= LONGEST => self.base,
            _ if matches!(self.phase, Phase::Draining { .. }) => self.base,
            _ => None,
        }
    }

    fn free(&mut self, window: &Window, latency: f64, was_slow: bool) -> Phase {
        let Some(base) = self.base else {
            self.base = (window.answers() > 0).then_some(window.at_most(latency));
            return Phase::default();
        };
        let is_slow = latency > with(base, TOO_LONG) && f64::from(window.peak) >= LEAST;
        if is_slow && was_slow {
            // Little's law: what is answered in the time that is allowed.
            let limit = (window.rate() * with(base, SHORT)).clamp(LEAST, f64::from(window.peak).max(LEAST));
            let probe_at = window.at + FIRST_PROBE;
            return Phase::Limited(Limited { limit, met: window.at, probe_at, probe_after: FIRST_PROBE });
        }
        if !is_slow && window.answers() > 0 {
            // Down at once, up slowly: what waits is taken for the API's own time only where it lasts.
            let (gain, to) = if latency < base { (0.5, base.min(window.at_most(latency))) } else { (0.05, latency) };
            self.base = Some(base + gain * (to - base));
        }
        Phase::Free { was_slow: is_slow }
    }

    fn limited(&mut self, window: &Window, latency: f64, mut limited: Limited) -> Phase {
        let quick = window.at_most(latency);
        let base = self.base.map_or(quick, |base| base.min(quick));
        self.base = Some(base);
        let allowed = with(base, SHORT);
        if window.shed > 0 {
            limited.met = window.at;
        }
        if latency > allowed {
            limited.limit = (limited.limit * (allowed / latency).max(0.5)).max(LEAST);
        } else if window.shed > 0 {
            limited.limit += (limited.limit.sqrt() / 4.0).max(1.0);
        } else if window.at.saturating_sub(limited.met) >= CALM {
            return Phase::default();
        }
        if window.at >= limited.probe_at && window.shed > 0 {
            // So many that nothing would wait, if the time that an answer takes by itself is still the same.
            let few = (FEW * limited.limit * base / allowed).max(LEAST / 2.0);
            let patience = Duration::from_secs_f64(4.0 * latency).max(2 * SHORTEST);
            return Phase::Draining { from: limited, few, until: window.at + patience };
        }
        Phase::Limited(limited)
    }

    /// Takes what was measured with few requests.
    fn measured(&mut self, window: &Window, latency: f64, (mut from, few, last): (Limited, f64, f64)) -> Phase {
        if 2 * window.given_up > window.ended {
            return Phase::Measuring { from, few, last: f64::INFINITY };
        }
        let quick = window.at_most(latency);
        if quick < FALLING * last {
            return Phase::Measuring { from, few, last: quick };
        }
        let (latency, quick) = (latency.min(last), quick.min(last));
        let before = self.base.replace(quick).unwrap_or(quick);
        if latency > with(before, TOO_LONG) {
            return Phase::default();
        }
        let rising = before + 0.2 * (latency - before).max(0.0);
        self.base = Some(rising.min(quick));
        from.limit = from.limit.max(few);
        // What contradicts all that was known is looked at again soon.
        let is_slower = latency > with(before, SHORT);
        from.probe_after = if is_slower { FIRST_PROBE } else { (2 * from.probe_after).min(RARE_PROBE) };
        (from.met, from.probe_at) = (window.at, window.at + from.probe_after);
        Phase::Limited(from)
    }
}

/// The time that an answer takes by itself, and the waiting that is allowed.
fn with(base: f64, (share, at_least): (f64, Duration)) -> f64 {
    base + (share * base).max(at_least.as_secs_f64())
}
