//! The body of the gateway's answer, and the connection that it comes by.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fuuffy_client::{Body, BodyError};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::Lease;

/// The longest pause in an answer.
const PAUSE: Duration = Duration::from_secs(60);

/// A body that gives its connection back when it has come whole. Broken off, it takes the connection along.
pub(super) struct AnswerBody {
    body: Incoming,
    lease: Option<Lease>,
    /// There only while a piece is awaited.
    timer: Option<Pin<Box<Sleep>>>,
}

impl AnswerBody {
    /// The body as the client knows it.
    pub(super) fn body(body: Incoming, lease: Lease) -> Body {
        if body.is_end_stream() {
            lease.give_back();
            return Body::empty();
        }
        Body::streaming(Self { body, lease: Some(lease), timer: None })
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(piece) = Pin::new(&mut self.body).poll_frame(cx) else {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Some(Err("the API's answer came to a halt".into())));
        };
        self.timer = None;
        let is_whole = match &piece {
            None => true,
            Some(Ok(_)) => self.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if is_whole && let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        Poll::Ready(piece.map(|piece| piece.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
