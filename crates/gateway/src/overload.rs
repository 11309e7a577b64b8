//! What is forwarded on one route at a time, and what is shed because it would only wait.
//!
//! Every request that is forwarded takes a [`Turn`], and gives it back with the head of its answer: what streams
//! after that, or is a WebSocket, keeps nobody from being answered. [`judge`] says how many turns there are.

mod judge;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use judge::{Judge, Verdict, Window};

/// Four classes of latency to each doubling, from a microsecond to a quarter of a minute.
const CLASSES: usize = 96;
/// How soon a window that said nothing is looked at again, and a first one at all.
const AGAIN: Duration = Duration::from_millis(100);
/// There is no limit.
const FREE: u32 = u32::MAX;

/// How a route stands: one for all threads.
#[derive(Debug)]
pub(crate) struct RouteLoad {
    began: Instant,
    /// There are never more turns.
    most: u32,
    under_way: AtomicU32,
    /// As long as there are not too many requests, there is none.
    limit: AtomicU32,
    peak: AtomicU32,
    shed: AtomicU64,
    /// Microseconds after `began`: when the window ends.
    ends: AtomicU64,
    /// Requests of another epoch say nothing of this one.
    epoch: AtomicU32,
    /// Microseconds: what somebody waited for who went away before says something, if it is more.
    slow: AtomicU64,
    latencies: [AtomicU32; CLASSES],
    given_up: AtomicU32,
    /// Microseconds: the most by which a thread was late with what is among the latencies, which are less that.
    late: AtomicU64,
    judging: Mutex<Judging>,
}

#[derive(Debug, Default)]
struct Judging {
    judge: Judge,
    /// Where the window began, and how many had been shed by then.
    since: Duration,
    shed: u64,
}

/// How a route stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteStanding {
    /// Its prefix.
    pub route: String,
    /// Requests that wait for the head of their answer.
    pub under_way: u32,
    /// How many may.
    pub limit: u32,
    /// Requests that were refused because more would have, since the start.
    pub shed: u64,
}

/// The right to forward a request.
#[derive(Debug)]
pub(crate) struct Turn {
    load: Arc<RouteLoad>,
    began: Instant,
    epoch: u32,
    is_over: bool,
}

/// More requests are under way than can be answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shed {
    /// How many may be.
    pub(crate) limit: u32,
}

impl RouteLoad {
    /// Nothing is under way, and nothing known. There are never more than `most` turns, and always as many where it is not
    /// to adapt.
    pub(crate) fn new(most: u32, adapts: bool) -> Self {
        Self {
            began: Instant::now(),
            most,
            under_way: AtomicU32::new(0),
            limit: AtomicU32::new(FREE),
            peak: AtomicU32::new(0),
            shed: AtomicU64::new(0),
            ends: AtomicU64::new(if adapts { micros(AGAIN) } else { u64::MAX }),
            epoch: AtomicU32::new(0),
            slow: AtomicU64::new(u64::MAX),
            latencies: [const { AtomicU32::new(0) }; CLASSES],
            given_up: AtomicU32::new(0),
            late: AtomicU64::new(0),
            judging: Mutex::default(),
        }
    }

    /// Takes a turn, if there is one.
    pub(crate) fn enter(self: &Arc<Self>, now: Instant) -> Result<Turn, Shed> {
        self.look(now);
        let limit = self.limit.load(Ordering::Relaxed).min(self.most);
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        if under_way > limit {
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            self.shed.fetch_add(1, Ordering::Relaxed);
            return Err(Shed { limit });
        }
        if under_way > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(under_way, Ordering::Relaxed);
        }
        Ok(Turn { load: Arc::clone(self), began: now, epoch: self.epoch.load(Ordering::Relaxed), is_over: false })
    }

    /// How the route of a prefix stands.
    pub(crate) fn standing(&self, prefix: &str) -> RouteStanding {
        let limit = self.limit.load(Ordering::Relaxed).min(self.most);
        RouteStanding { route: prefix.to_owned(), under_way: self.under_way(), limit, shed: self.shed() }
    }

    fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// Ends the window, if it is over. Whoever comes by does it, and nobody waits for it.
    fn look(&self, now: Instant) {
        let now = now - self.began;
        if micros(now) < self.ends.load(Ordering::Relaxed) {
            return;
        }
        if let Some(mut judging) = self.judging.try_lock() {
            self.judge(now, &mut judging);
        }
    }

    #[cold]
    fn judge(&self, now: Duration, judging: &mut Judging) {
        let took = now.saturating_sub(judging.since);
        if took < AGAIN / 2 {
            // Somebody else just did it.
            return;
        }
        let counts: Vec<u32> = self.latencies.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let ended = counts.iter().sum();
        let shed = self.shed();
        let under_way = self.under_way();
        let window = Window {
            at: now,
            took,
            ended,
            given_up: self.given_up.load(Ordering::Relaxed).min(ended),
            latency: quarter(&counts, ended),
            late: Duration::from_micros(self.late.load(Ordering::Relaxed)),
            under_way,
            peak: self.peak.load(Ordering::Relaxed).max(under_way),
            shed: u32::try_from(shed - judging.shed).unwrap_or(u32::MAX),
        };
        let (limit, next, new_epoch) = match judging.judge.close(&window) {
            Verdict::Wait => {
                self.ends.store(micros(now + AGAIN), Ordering::Relaxed);
                return;
            }
            Verdict::Next { limit, window, new_epoch } => (limit, window, new_epoch),
        };
        if new_epoch {
            self.epoch.fetch_add(1, Ordering::Relaxed);
        }
        (judging.since, judging.shed) = (now, shed);
        self.latencies.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        self.given_up.store(0, Ordering::Relaxed);
        self.late.store(0, Ordering::Relaxed);
        self.peak.store(under_way, Ordering::Relaxed);
        self.slow.store(judging.judge.slow().map_or(u64::MAX, micros), Ordering::Relaxed);
        self.limit.store(limit.unwrap_or(FREE), Ordering::Relaxed);
        self.ends.store(micros(now + next), Ordering::Relaxed);
    }

    fn note(&self, took: Duration) {
        self.latencies[class(took)].fetch_add(1, Ordering::Relaxed);
    }
}

impl Turn {
    /// The answer has come, or did not in time: `now`, where this thread is so `late` with all that it does.
    pub(crate) fn answered(mut self, now: Instant, late: Duration) {
        self.is_over = true;
        if self.epoch == self.load.epoch.load(Ordering::Relaxed) {
            if micros(late) > self.load.late.load(Ordering::Relaxed) {
                self.load.late.fetch_max(micros(late), Ordering::Relaxed);
            }
            self.load.note((now - self.began).saturating_sub(late));
        }
        self.load.look(now);
    }
}

impl Turn {
    /// Nobody waits for the answer any more. Whoever waited for longer than it should says as much as an answer.
    fn given_up(&mut self, now: Instant) {
        let took = now - self.began;
        if micros(took) > self.load.slow.load(Ordering::Relaxed) {
            self.load.note(took);
            self.load.given_up.fetch_add(1, Ordering::Relaxed);
        }
        self.is_over = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.load.under_way.fetch_sub(1, Ordering::Relaxed);
        if !self.is_over {
            self.given_up(Instant::now());
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The class of a latency.
fn class(took: Duration) -> usize {
    let micros = micros(took).max(4);
    let octave = micros.ilog2();
    ((octave * 4) as usize + (micros >> (octave - 2) & 3) as usize).min(CLASSES - 1)
}

/// Where a class begins, in microseconds.
fn start(class: usize) -> f64 {
    let (octave, part) = (class / 4, class % 4);
    (1_u64 << octave) as f64 * (1.0 + part as f64 / 4.0)
}

/// What a quarter of the requests took at most; those of one class are thought to be spread over it evenly.
fn quarter(counts: &[u32], ended: u32) -> Option<Duration> {
    let mut left = ended.div_ceil(4);
    for (class, &count) in counts.iter().enumerate() {
        if count > 0 && left <= count {
            let (from, to) = (start(class), start(class + 1));
            let within = f64::from(left) / f64::from(count);
            return Some(Duration::from_secs_f64((from + within * (to - from)) / 1e6));
        }
        left -= count;
    }
    None
}

#[cfg(test)]
mod tests;
