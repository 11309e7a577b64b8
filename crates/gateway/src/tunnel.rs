//! WebSocket and other upgrades: after 101 the two connections are one stream of bytes.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::time::timeout;

use crate::proxy::Passage;
use crate::trail::Movement;

/// Whether a request asks to become a WebSocket (RFC 9110 §7.8, RFC 6455 §4.1). Any other protocol is not
/// for us to change to; the request is then one like others.
pub(crate) fn is_requested(headers: &HeaderMap) -> bool {
    let names_upgrade = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade")));
    names_upgrade
        && headers.get(header::UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Says on the next hop that the protocol is to change, or did.
pub(crate) fn announce(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Two connections that become one stream of bytes. It comes as an extension of the 101 response; whoever
/// serves the caller's connection owns it, and carries it once hyper has let go of that connection.
#[derive(Debug, Clone)]
pub struct Tunnel {
    pub(crate) caller: OnUpgrade,
    pub(crate) upstream: OnUpgrade,
    pub(crate) passage: Arc<Passage>,
}

impl Tunnel {
    /// Carries bytes both ways until either side ends, or nothing moved for so long.
    pub async fn carry(self, idle: Duration) {
        let (Ok(caller), Ok(upstream)) = (self.caller.await, self.upstream.await) else {
            return;
        };
        let moves = AtomicU64::new(0);
        let mut caller = Watched { inner: TokioIo::new(caller), moves: &moves, mover: &self.passage.mover };
        let mut upstream = TokioIo::new(upstream);
        let mut copying = pin!(copy_bidirectional(&mut caller, &mut upstream));
        loop {
            let before = moves.load(Ordering::Relaxed);
            match timeout(idle, copying.as_mut()).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => return tracing::debug!(%error, "An upgraded connection ended early"),
                Err(_) if moves.load(Ordering::Relaxed) == before => {
                    return tracing::debug!("An upgraded connection was idle for too long");
                }
                Err(_) => {}
            }
        }
    }
}

/// Counts what moves through the caller's end: whatever moves at all moves through both.
struct Watched<'a, IO> {
    inner: IO,
    moves: &'a AtomicU64,
    mover: &'a Movement,
}

impl<IO> Watched<'_, IO> {
    fn note<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.moves.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<'_, IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.mover.to_api((buf.filled().len() - before) as u64);
        self.note(outcome)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<'_, IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, data);
        if let Poll::Ready(Ok(written)) = &outcome {
            self.mover.to_client(*written as u64);
        }
        self.note(outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
