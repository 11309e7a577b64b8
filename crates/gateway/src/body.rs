//! The two bodies of a proxied request: the caller's on its way up, the upstream's on its way down.
//!
//! Both stream, both break off when nothing moves for too long, and neither ever ends as if it were
//! whole when it is not.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fuuffy_protocol::{Refusal, RequestFault};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::time::{Instant, Sleep};

use crate::fields;
use crate::proxy::Passage;
use crate::trail::Movement;
use crate::upstream::Lease;

/// Why a body broke off. It is never shown; it makes hyper close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Broken {
    /// The sender broke off or sent what is not HTTP.
    #[error("the sender broke off")]
    Sender,
    /// Nothing moved for too long.
    #[error("the sender stalled")]
    Stalled,
    /// More than the route takes.
    #[error("the body is too large")]
    TooLarge,
}

impl Broken {
    const ALL: [Self; 3] = [Self::Sender, Self::Stalled, Self::TooLarge];
}

/// Ends a body in which nothing moves. The timer exists only while a frame is awaited.
struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    fn moved(&mut self) {
        self.timer = None;
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        timer.as_mut().poll(cx)
    }
}

/// The caller's body as the upstream gets it.
pub struct CallerBody(Option<Box<Streaming>>);

struct Streaming {
    body: Incoming,
    left: u64,
    patience: Patience,
    fate: BodyFate,
    mover: Movement,
}

/// Shared with the request's own task, which must learn whose fault a failure was, and whether the body
/// still moves.
#[derive(Clone, Default)]
pub(crate) struct BodyFate(Arc<Fate>);

#[derive(Default)]
struct Fate {
    broken: AtomicU8,
    moved: AtomicUsize,
}

impl BodyFate {
    fn set(&self, broken: Broken) {
        let place = Broken::ALL.iter().position(|known| *known == broken).unwrap_or(0);
        self.0.broken.store(u8::try_from(place).unwrap_or(0) + 1, Ordering::Relaxed);
    }

    /// How many pieces of the body went on to the upstream.
    pub(crate) fn moved(&self) -> usize {
        self.0.moved.load(Ordering::Relaxed)
    }

    /// The refusal that the caller's own body earned, if it did.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let place = usize::from(self.0.broken.load(Ordering::Relaxed)).checked_sub(1)?;
        Some(match Broken::ALL.get(place)? {
            Broken::Sender | Broken::Stalled => Refusal::InvalidRequest(RequestFault::MalformedMessage),
            Broken::TooLarge => Refusal::PayloadTooLarge,
        })
    }
}

impl CallerBody {
    /// No body at all, which can be sent any number of times.
    #[must_use]
    pub const fn empty() -> Self {
        Self(None)
    }

    pub(crate) fn streaming(body: Incoming, max: u64, patience: Duration, mover: Movement) -> (Self, BodyFate) {
        let fate = BodyFate::default();
        let streaming = Streaming { body, left: max, patience: Patience::new(patience), fate: fate.clone(), mover };
        (Self(Some(Box::new(streaming))), fate)
    }
}

impl Body for CallerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(streaming) = self.0.as_mut() else {
            return Poll::Ready(None);
        };
        let outcome = match Pin::new(&mut streaming.body).poll_frame(cx) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    fields::clean_trailers(trailers);
                }
                streaming.patience.moved();
                streaming.fate.0.moved.fetch_add(1, Ordering::Relaxed);
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                match streaming.left.checked_sub(length) {
                    Some(left) => {
                        streaming.left = left;
                        streaming.mover.to_api(length);
                        Ok(frame)
                    }
                    None => Err(Broken::TooLarge),
                }
            }
            Poll::Ready(Some(Err(_))) => Err(Broken::Sender),
            Poll::Pending => {
                ready!(streaming.patience.poll_stalled(cx));
                Err(Broken::Stalled)
            }
        };
        if let Err(broken) = outcome {
            streaming.fate.set(broken);
        }
        Poll::Ready(Some(outcome))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|streaming| streaming.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |streaming| streaming.body.size_hint())
    }
}

/// What a caller gets: an answer of ours, or the upstream's as it comes.
pub enum ResponseBody {
    /// Ours, whole.
    Whole(Option<Bytes>),
    /// The upstream's.
    Streamed(Box<Streamed>),
}

/// An upstream's body, and the connection that it comes by.
pub struct Streamed {
    body: Incoming,
    patience: Patience,
    lease: Option<Lease>,
    passage: Passage,
}

impl ResponseBody {
    pub(crate) fn streamed(body: Incoming, patience: Duration, lease: Lease, passage: Passage) -> Self {
        if body.is_end_stream() {
            lease.give_back();
            return Self::Whole(None);
        }
        Self::Streamed(Box::new(Streamed { body, patience: Patience::new(patience), lease: Some(lease), passage }))
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let streamed = match &mut *self {
            Self::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(streamed) => streamed,
        };
        let outcome = match Pin::new(&mut streamed.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                streamed.patience.moved();
                streamed.passage.mover.to_client(frame.data_ref().map_or(0, Bytes::len) as u64);
                Some(Ok(frame))
            }
            Poll::Ready(None) => None,
            Poll::Ready(Some(Err(_))) => Some(Err(Broken::Sender)),
            Poll::Pending => {
                ready!(streamed.patience.poll_stalled(cx));
                Some(Err(Broken::Stalled))
            }
        };
        let failed = matches!(outcome, Some(Err(_)));
        if outcome.is_none() || (!failed && streamed.body.is_end_stream()) {
            // Whole: the connection can serve another request. A broken one is dropped with the body.
            if let Some(lease) = streamed.lease.take() {
                lease.give_back();
            }
            streamed.passage.under_way = None;
        }
        Poll::Ready(outcome)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Streamed(streamed) => streamed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Streamed(streamed) => streamed.body.size_hint(),
        }
    }
}
