//! What a connection and the requests on it tell each other: who waits for whom, what moves, and where the
//! bytes go after an upgrade.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use fuuffy_gateway::{Trail, Tunnel};
use http::Version;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use pin_project_lite::pin_project;

use super::transport::Transport;

/// What the connection and the requests on it tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Requests whose answer has not begun: they wait for us.
    pub(super) waiting: AtomicUsize,
    /// Answers that the caller has not taken to the last byte.
    pub(super) in_flight: AtomicUsize,
    /// Pieces of answers that the caller made room for.
    pub(super) moves: AtomicUsize,
    /// Whether to reset the connection instead of ending it: an answer without a length broke off, and the
    /// end of the connection would look like its own (RFC 9112 §9.8).
    pub(super) resets: AtomicBool,
    /// The connection speaks another protocol now.
    pub(super) upgraded: AtomicBool,
    /// Where its bytes go then.
    tunnel: Mutex<Option<Tunnel>>,
    /// The connection, when hyper is done with it and the caller is not.
    pub(super) idle: Mutex<Option<Transport>>,
}

impl Shared {
    /// Counts a request until the value is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy<()> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(self);
        Busy { body: (), shared, ends_with_connection: false, is_waiting: true, trail: None, goes_on: false }
    }

    /// From the answer to the request under way on, the connection's bytes are not looked at.
    pub(super) fn upgrade_to(&self, tunnel: Tunnel) {
        *self.tunnel.lock() = Some(tunnel);
        self.upgraded.store(true, Ordering::Relaxed);
    }

    /// Where the connection's bytes go, if it was upgraded.
    pub(super) fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel.lock().take()
    }

    /// The connection, if it is idle and still open.
    pub(super) fn take_idle(&self) -> Option<Transport> {
        self.idle.lock().take()
    }
}

pin_project! {
    /// A request under way, and the body of its answer once there is one.
    pub(super) struct Busy<B> {
        #[pin]
        body: B,
        shared: Arc<Shared>,
        ends_with_connection: bool,
        is_waiting: bool,
        trail: Option<Arc<Trail>>,
        // Whether the body has something left to give.
        goes_on: bool,
    }

    impl<B> PinnedDrop for Busy<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let count = if *this.is_waiting { &this.shared.waiting } else { &this.shared.in_flight };
            count.fetch_sub(1, Ordering::Relaxed);
            if let Some(trail) = this.trail.as_ref().filter(|_| *this.goes_on) {
                trail.broke_off();
            }
        }
    }
}

impl Busy<()> {
    /// Goes on until the answer's body is dropped, and its trail with it. To a caller of HTTP/1.0 a body may end with
    /// the connection.
    pub(super) fn until_the_end_of<B: Body>(self, body: B, version: Version, trail: Option<Arc<Trail>>) -> Busy<B> {
        self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let ends_with_connection = version == Version::HTTP_10;
        let (shared, goes_on) = (Arc::clone(&self.shared), !body.is_end_stream());
        Busy { body, shared, ends_with_connection, is_waiting: false, trail, goes_on }
    }
}

impl<B: Body> Body for Busy<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        this.shared.moves.fetch_add(1, Ordering::Relaxed);
        if *this.ends_with_connection && matches!(frame, Some(Err(_))) {
            this.shared.resets.store(true, Ordering::Relaxed);
        }
        *this.goes_on = match &frame {
            None => false,
            Some(Ok(_)) => !this.body.is_end_stream(),
            Some(Err(_)) => true,
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
