//! Time that a test moves.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::clock::{BoxFuture, Clock};

/// A clock that stands still until a test moves it. Clones share the time.
#[derive(Clone)]
pub struct ManualClock {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    sleeping: watch::Sender<usize>,
}

struct State {
    now: Duration,
    wall: SystemTime,
    sleepers: Vec<(Duration, oneshot::Sender<()>)>,
}

impl Default for ManualClock {
    fn default() -> Self {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let state = State { now: Duration::from_secs(1000), wall, sleepers: Vec::new() };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), sleeping: watch::Sender::new(0) }) }
    }
}

impl ManualClock {
    /// Lets time pass, the calendar's too, and wakes whoever slept until then.
    pub fn pass(&self, time: Duration) {
        let mut state = self.inner.state.lock();
        state.now += time;
        state.wall += time;
        let now = state.now;
        let due: Vec<_> = state.sleepers.extract_if(.., |(at, _)| *at <= now).collect();
        drop(state);
        for (_, sleeper) in due {
            // Whoever slept may be gone.
            let _ = sleeper.send(());
        }
    }

    /// Steps the calendar alone, as a person or NTP does.
    pub fn step_wall(&self, wall: SystemTime) {
        self.inner.state.lock().wall = wall;
    }

    /// How long it is until the next sleep ends that somebody still waits for.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        let mut state = self.inner.state.lock();
        state.sleepers.retain(|(_, sleeper)| !sleeper.is_closed());
        let next = state.sleepers.iter().map(|(at, _)| *at).min()?;
        Some(next.saturating_sub(state.now))
    }

    /// Lets all tasks of this thread's runtime go as far as they can without another thread's or the
    /// network's help.
    pub async fn until_idle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until so many sleeps that are still waited for end after more than `at_least`.
    pub async fn until_sleeping(&self, sleepers: usize, at_least: Duration) {
        let mut changes = self.inner.sleeping.subscribe();
        loop {
            changes.borrow_and_update();
            let found = {
                let mut state = self.inner.state.lock();
                state.sleepers.retain(|(_, sleeper)| !sleeper.is_closed());
                let now = state.now;
                state.sleepers.iter().filter(|(at, _)| *at > now.saturating_add(at_least)).count()
            };
            if found >= sleepers || changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.inner.state.lock().now
    }

    fn wall(&self) -> SystemTime {
        self.inner.state.lock().wall
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.inner.state.lock();
        if duration.is_zero() {
            let _ = sender.send(());
        } else {
            let at = state.now.saturating_add(duration);
            state.sleepers.push((at, sender));
        }
        drop(state);
        self.inner.sleeping.send_modify(|changes| *changes += 1);
        Box::pin(async move {
            // A clock that is gone wakes nobody any more.
            if receiver.await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
