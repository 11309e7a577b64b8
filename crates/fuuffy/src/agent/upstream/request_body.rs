//! A body on its way to the gateway, which tells whether it still moves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use fuuffy_client::{Body, BodyError};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// The body of one request.
pub(super) struct RequestBody {
    body: Body,
    moves: Moves,
}

/// How many pieces of a body went out; nothing is counted where it is in memory.
#[derive(Debug, Clone)]
pub(super) struct Moves(Option<Arc<AtomicUsize>>);

impl Moves {
    pub(super) fn count(&self) -> usize {
        self.0.as_ref().map_or(0, |moves| moves.load(Ordering::Relaxed))
    }
}

impl RequestBody {
    pub(super) fn new(body: Body) -> (Self, Moves) {
        let moves = Moves(body.again().is_none().then(Arc::default));
        (Self { body, moves: moves.clone() }, moves)
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let (Some(moves), true) = (&self.moves.0, frame.is_ready()) {
            moves.fetch_add(1, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
