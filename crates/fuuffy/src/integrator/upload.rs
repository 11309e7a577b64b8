//! What `--data` names, as a body: whole in memory where it is small, so that it can be sent again with a
//! new token, and as it comes where it is not.

use std::io::Cursor;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use fuuffy_client::Body;
use http_body::{Frame, SizeHint};
use indicatif::ProgressBar;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use super::progress;

/// The most that is read into memory, in bytes.
const SMALL: u64 = 1024 * 1024;
/// Bytes of one piece.
const PIECE: usize = 64 * 1024;

/// The body that `data` names: `@file`, `@-` for standard input, or itself.
pub(super) async fn body(data: &str) -> anyhow::Result<Body> {
    match data.strip_prefix('@') {
        None => Ok(Body::from(data.to_owned())),
        Some("-") => of_reader(tokio::io::stdin(), None).await.context("standard input cannot be read"),
        Some(path) => of_file(Path::new(path)).await.with_context(|| format!("cannot read {path}")),
    }
}

async fn of_file(path: &Path) -> anyhow::Result<Body> {
    let file = tokio::fs::File::open(path).await?;
    let metadata = file.metadata().await?;
    let length = metadata.is_file().then_some(metadata.len());
    of_reader(file, length).await
}

async fn of_reader(
    mut reader: impl AsyncRead + Send + Sync + Unpin + 'static,
    length: Option<u64>,
) -> anyhow::Result<Body> {
    let mut start = Vec::new();
    (&mut reader).take(SMALL).read_to_end(&mut start).await?;
    if (start.len() as u64) < SMALL {
        return Ok(Body::from(start));
    }
    let bar = progress::bar("sent", length);
    Ok(Body::streaming(ReaderBody { reader: Cursor::new(start).chain(reader), left: length, bar }))
}

/// A reader as a body.
struct ReaderBody<R> {
    reader: R,
    /// Bytes to come, where that is known. No more are sent, for the length has been told.
    left: Option<u64>,
    bar: ProgressBar,
}

impl<R: AsyncRead + Unpin> http_body::Body for ReaderBody<R> {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let most = self.left.map_or(PIECE, |left| usize::try_from(left).unwrap_or(PIECE).min(PIECE));
        if most == 0 {
            self.bar.finish_and_clear();
            return Poll::Ready(None);
        }
        let mut piece = BytesMut::zeroed(most);
        let mut buffer = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        if count == 0 {
            self.bar.finish_and_clear();
            let is_short = self.left.is_some();
            return Poll::Ready(
                is_short.then(|| Err(std::io::Error::other("the file became shorter while it was sent"))),
            );
        }
        self.bar.inc(count as u64);
        self.left = self.left.map(|left| left - count as u64);
        Poll::Ready(Some(Ok(Frame::data(piece.freeze().slice(..count)))))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
