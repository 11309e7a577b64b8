//! A body in either direction: whole in memory, or as it comes.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;

/// What a body can break off with.
pub type BodyError = Box<dyn StdError + Send + Sync>;

/// A body. One that is whole in memory can be sent again; one that streams cannot.
#[derive(Debug)]
pub struct Body(Inner);

#[derive(Debug)]
enum Inner {
    Whole(Option<Bytes>),
    Streaming(BoxBody<Bytes, BodyError>),
}

impl Body {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Inner::Whole(None))
    }

    /// A body that is sent or read as it comes, once.
    pub fn streaming<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BodyError>,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Inner::Streaming(BoxBody::new(body.map_err(Into::into))))
    }

    /// The bytes of a body that is whole in memory.
    #[cfg(feature = "reqwest")]
    pub(crate) fn into_whole(self) -> Result<Bytes, Self> {
        match self.0 {
            Inner::Whole(bytes) => Ok(bytes.unwrap_or_default()),
            Inner::Streaming(_) => Err(self),
        }
    }

    /// Whether it is whole in memory.
    pub(crate) const fn is_whole(&self) -> bool {
        matches!(self.0, Inner::Whole(_))
    }

    /// The same body, and how much of it has moved.
    pub(crate) fn watched(self) -> (Self, Moves) {
        let moves = Moves::default();
        (Self::streaming(Moving { body: self, moves: Moves(Arc::clone(&moves.0)) }), moves)
    }

    /// The bytes of a body of at most `most`, read to its end; one that comes in one piece is not copied.
    pub(crate) async fn read(mut self, most: usize) -> Result<Bytes, ReadFault> {
        let mut first = Bytes::new();
        let mut whole: Option<BytesMut> = None;
        while let Some(frame) = self.frame().await {
            let Ok(piece) = frame.map_err(ReadFault::Broken)?.into_data() else {
                continue;
            };
            if first.len().max(whole.as_ref().map_or(0, BytesMut::len)) + piece.len() > most {
                return Err(ReadFault::TooLong);
            }
            match &mut whole {
                Some(whole) => whole.extend_from_slice(&piece),
                None if first.is_empty() => first = piece,
                None => {
                    let mut both = BytesMut::with_capacity(2 * (first.len() + piece.len()));
                    both.extend_from_slice(&first);
                    both.extend_from_slice(&piece);
                    whole = Some(both);
                }
            }
        }
        Ok(whole.map_or(first, BytesMut::freeze))
    }

    /// The same body once more, if it can be had.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        match &self.0 {
            Inner::Whole(bytes) => Some(Self(Inner::Whole(bytes.clone()))),
            Inner::Streaming(_) => None,
        }
    }
}

/// How many pieces of a body were asked for by whoever sends it.
#[derive(Debug, Default)]
pub(crate) struct Moves(Arc<AtomicUsize>);

impl Moves {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body that counts its pieces.
struct Moving {
    body: Body,
    moves: Moves,
}

impl HttpBody for Moving {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.moves.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why a body could not be read into memory.
#[derive(Debug)]
pub(crate) enum ReadFault {
    TooLong,
    Broken(BodyError),
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Inner::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty())))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Streaming(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(bytes) => bytes.is_none(),
            Inner::Streaming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Inner::Streaming(body) => body.size_hint(),
        }
    }
}
