//! Watches the bytes of one caller's connection, and lets whole, unambiguous messages through.
//!
//! hyper resolves some ambiguities in silence (RFC 9112 §6.3 allows it): a repeated `Content-Length`, or
//! one beside `Transfer-Encoding`. Here they are refused, in words, and the connection is closed. The
//! parsing is httparse's; what is kept here is only where a message ends. Also keeps time: a caller that
//! is slow with its header fields, and one that does not read its answer, are let go. Between two messages
//! the guard says to hyper that the connection has ended, and hands it back, so that an idle caller costs
//! a socket and not hyper's buffers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use fuuffy_protocol::Refusal;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::busy::Shared;
use super::framing::{Framing, Progress};
use super::request_line::RequestLine;
use super::transport::Transport;

/// How long a caller may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the first byte of a head to its last.
    pub(super) header: Duration,
    /// Between messages, before the connection is handed back.
    pub(super) nap: Duration,
    /// Without a byte of what is neither: a body that nobody reads, or another protocol.
    pub(super) idle: Duration,
    /// Without taking a byte of what we send.
    pub(super) write: Duration,
}

/// Makes the bytes of the answer to a message that never became a request.
pub(super) type Answer = Box<dyn FnOnce(Refusal, RequestLine) -> Bytes + Send>;

/// A caller's connection.
pub(super) struct Guarded {
    /// There until dropped.
    inner: Option<Transport>,
    framing: Framing,
    /// Bytes of a head that is not whole yet; hyper sees it whole or never.
    held: BytesMut,
    /// Bytes that hyper's buffer had no room for.
    ready: BytesMut,
    shared: Arc<Shared>,
    patience: Patience,
    /// When something moved last, as far as was looked.
    since: Instant,
    seen_moves: usize,
    timer: Pin<Box<Sleep>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
    napping: bool,
    answer: Option<Answer>,
    farewell: Bytes,
}

impl Guarded {
    /// Guards a new connection.
    pub(super) fn new(
        stream: Transport,
        framing: Framing,
        shared: Arc<Shared>,
        patience: Patience,
        answer: Answer,
    ) -> Self {
        let since = Instant::now();
        Self {
            inner: Some(stream),
            framing,
            held: BytesMut::new(),
            ready: BytesMut::new(),
            shared,
            patience,
            since,
            seen_moves: 0,
            timer: Box::pin(sleep_until(since + patience.header)),
            write_timer: None,
            ended: false,
            napping: false,
            answer: Some(answer),
            farewell: Bytes::new(),
        }
    }

    fn inner(&mut self) -> io::Result<Pin<&mut Transport>> {
        self.inner.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The deadline is looked at when the timer fires, not moved with every message.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.upgraded.load(Ordering::Relaxed) {
            // The tunnel keeps its own time.
            return Poll::Pending;
        }
        let soonest = self.since + self.limit();
        if self.timer.deadline() > soonest {
            self.timer.as_mut().reset(soonest);
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let moves = self.shared.moves.load(Ordering::Relaxed);
            if std::mem::replace(&mut self.seen_moves, moves) != moves {
                self.since = now;
            }
            // A caller that takes nothing of its answer, as HTTP/2's windows allow, is not waited for.
            let limit = if self.has_answers_to_take() { self.patience.idle } else { self.limit() };
            let deadline = if self.waits_for_us() { now + limit } else { self.since + limit };
            if deadline <= now {
                self.napping = self.is_between_messages() && !self.has_answers_to_take();
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }

    fn limit(&self) -> Duration {
        match () {
            () if !self.held.is_empty() => self.patience.header,
            () if self.is_between_messages() => self.patience.nap,
            () => self.patience.idle,
        }
    }

    fn waits_for_us(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) > 0 || self.write_timer.is_some()
    }

    fn has_answers_to_take(&self) -> bool {
        self.shared.in_flight.load(Ordering::Relaxed) > 0
    }

    fn is_between_messages(&self) -> bool {
        self.held.is_empty() && self.ready.is_empty() && self.framing.is_between_messages()
    }

    fn refuse(&mut self, refusal: Refusal, line: RequestLine) {
        self.ended = true;
        if let Some(answer) = self.answer.take() {
            self.farewell = answer(refusal, line);
        }
    }

    /// Looks at bytes that came after all that hyper has. Answers how many of them hyper may have now.
    fn admit(&mut self, new: &[u8]) -> usize {
        if self.shared.upgraded.load(Ordering::Relaxed) {
            self.framing = Framing::opaque();
        }
        if self.held.is_empty() {
            let mut admitted = 0;
            loop {
                match self.framing.advance(&new[admitted..]) {
                    Progress::Passed(0) => return admitted,
                    Progress::Passed(count) => admitted += count,
                    Progress::Incomplete => {
                        self.held.extend_from_slice(&new[admitted..]);
                        return admitted;
                    }
                    Progress::Refused(refusal) => {
                        self.refuse(refusal, RequestLine::read(&new[admitted..]));
                        return admitted;
                    }
                    Progress::Broken => {
                        self.ended = true;
                        return admitted;
                    }
                }
            }
        }
        self.held.extend_from_slice(new);
        loop {
            match self.framing.advance(&self.held) {
                Progress::Passed(0) | Progress::Incomplete => return 0,
                Progress::Passed(count) => self.ready.extend_from_slice(&self.held.split_to(count)),
                Progress::Refused(refusal) => {
                    self.refuse(refusal, RequestLine::read(&self.held));
                    self.held.clear();
                    return 0;
                }
                Progress::Broken => {
                    self.held.clear();
                    self.ended = true;
                    return 0;
                }
            }
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                let count = this.ready.len().min(buf.remaining());
                buf.put_slice(&this.ready.split_to(count));
                if this.ready.is_empty() {
                    this.ready = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            match this.inner()?.poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(this.poll_too_slow(cx));
                    this.ended = true;
                    return Poll::Ready(Ok(()));
                }
            }
            if buf.filled().len() == before {
                this.ended = true;
                return Poll::Ready(Ok(()));
            }
            if this.held.is_empty() {
                this.since = Instant::now();
            }
            let admitted = this.admit(&buf.filled()[before..]);
            buf.set_filled(before + admitted);
            if this.held.is_empty() && this.held.capacity() > 0 {
                this.held = BytesMut::new();
            }
            if admitted > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Guarded {
    fn poll_patiently<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_timer = None;
            return outcome;
        }
        let limit = self.patience.write;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads what has come already, so that closing does not reset the connection before the caller
    /// has read why.
    fn discard_input(&mut self, cx: &mut Context<'_>) {
        let mut scratch = [0_u8; 4096];
        for _ in 0..64 {
            let mut buf = ReadBuf::new(&mut scratch);
            let Ok(inner) = self.inner() else {
                return;
            };
            match inner.poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                _ => return,
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = this.inner()?.poll_write(cx, data);
        this.poll_patiently(cx, outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().inner()?.poll_flush(cx)
    }

    /// Where a message was refused, its answer is the last thing that the caller gets.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.napping {
            return Poll::Ready(Ok(()));
        }
        while !this.farewell.is_empty() {
            let farewell = this.farewell.clone();
            let outcome = this.inner()?.poll_write(cx, &farewell);
            let written = ready!(this.poll_patiently(cx, outcome))?;
            if written == 0 {
                break;
            }
            this.farewell.advance(written);
        }
        let outcome = ready!(this.inner()?.poll_shutdown(cx));
        this.discard_input(cx);
        Poll::Ready(outcome)
    }
}

/// hyper drops the connection when it has ended for it; for the caller it may go on.
impl Drop for Guarded {
    fn drop(&mut self) {
        if self.napping {
            *self.shared.idle.lock() = self.inner.take();
        } else if let Some(stream) = &self.inner
            && self.shared.resets.load(Ordering::Relaxed)
        {
            // Failing to set this leaves the connection to end as others do.
            let _ = SockRef::from(stream.socket()).set_linger(Some(Duration::ZERO));
        }
    }
}
