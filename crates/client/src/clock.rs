//! Time, as it is passed in: a monotonic clock for decisions, the calendar only to tell skew by.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A future that can be sent and kept.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Time.
pub trait Clock: Send + Sync + 'static {
    /// Time since some fixed moment. It never goes back, whatever happens to the calendar.
    fn now(&self) -> Duration;

    /// The calendar. It is compared with a server's `Date` and a certificate's time; no token lives by it.
    fn wall(&self) -> SystemTime;

    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Ends a wait after `limit`, and never if that is [`Duration::MAX`]. What is ready at once costs no timer.
pub(crate) async fn within<F: Future + Unpin>(clock: &dyn Clock, limit: Duration, mut awaited: F) -> Option<F::Output> {
    let mut timer = None;
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = Pin::new(&mut awaited).poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        if limit == Duration::MAX {
            return Poll::Pending;
        }
        timer.get_or_insert_with(|| clock.sleep(limit)).as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// The machine's own clock; sleeps by tokio's timer.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the client's calendar is passed in from")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
