//! Limits waits for answers without a timer for each: the timer stays with its connection and is moved only
//! when it fires, since setting one costs more than most answers take.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::request_body::Moves;

/// One connection's timer.
#[derive(Default)]
pub(super) struct Watch(Option<Pin<Box<Sleep>>>);

impl Watch {
    /// Waits for an answer, for so long after the request's body moved last. `None`: it did not come in time.
    pub(super) async fn within<F: Future>(
        &mut self,
        limit: Duration,
        body: &Moves,
        mut answer: Pin<&mut F>,
    ) -> Option<F::Output> {
        let (mut since, mut moved) = (Instant::now(), body.count());
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(since + limit)));
            if timer.is_elapsed() || timer.deadline() > since + limit {
                timer.as_mut().reset(since + limit);
            }
            loop {
                ready!(timer.as_mut().poll(cx));
                let (now, moves) = (Instant::now(), body.count());
                if std::mem::replace(&mut moved, moves) != moves {
                    since = now;
                }
                if now >= since + limit {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(since + limit);
            }
        })
        .await
    }
}
