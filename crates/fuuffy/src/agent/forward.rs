//! One request, from its head to its answer: who sent it, where it may go, what goes along.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fuuffy_client::{Body, BodyError};
use fuuffy_gateway::{remove_hop_by_hop, takes_trailers};
use fuuffy_protocol::dpop;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use tokio::time::{Sleep, sleep, timeout};

use super::door::{Door, KEY};
use super::refusal::{AGENT, Refusal};
use super::{Agent, local};

/// A body that is at most so long is read into memory, so that it can be sent again.
const KEPT: u64 = 64 * 1024;
/// The longest that a caller may pause in its body.
const PAUSE: Duration = Duration::from_secs(60);
const VIA: HeaderValue = HeaderValue::from_static("1.1 fuuffy-agent");

/// Answers one request, whatever becomes of it.
pub(super) async fn answer(
    agent: Arc<Agent>,
    door: Door,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if let Some(path) = request.uri().path().strip_prefix("/-/") {
        let answered = door.check(&request).and_then(|()| local::answer(&agent, request.method(), path));
        return Ok(answered.unwrap_or_else(|refusal| refusal.to_response()));
    }
    let response = respond(&agent, door, request).await.unwrap_or_else(|refusal| {
        if let Refusal::NoAnswer(error) = &refusal {
            agent.status.failed(error);
        }
        refusal.to_response()
    });
    agent.status.answered(response.status());
    Ok(response)
}

async fn respond(agent: &Agent, door: Door, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    door.check(&request)?;
    if let Some(key) = &agent.key {
        key.check(request.headers())?;
    }
    check_path(request.uri().path(), agent.client.base_url().path())?;
    let (mut parts, body) = request.into_parts();
    clean_request(&mut parts.headers);
    parts.version = Version::HTTP_11;
    let (body, fate) = take_body(body).await?;
    let response = agent.client.execute(Request::from_parts(parts, body)).await.map_err(|error| {
        let is_callers = fate.is_some_and(|broken| broken.load(Ordering::Relaxed));
        if is_callers { Refusal::Body } else { Refusal::NoAnswer(error) }
    })?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Refusal::Unexpected);
    }
    Ok(clean_response(response))
}

/// Only what is below the base URL is the API, and tokens are the agent's own business.
fn check_path(path: &str, base: &str) -> Result<(), Refusal> {
    // As a lax server may read it.
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let segments = || decoded.split(['/', '\\']).filter(|segment| !segment.is_empty());
    if segments().any(|segment| matches!(segment.split(';').next(), Some("." | ".."))) {
        return Err(Refusal::DotSegments);
    }
    let asks_for_token = || segments().eq(base.split('/').skip(1).chain(["auth", "token"]));
    if segments().next() == Some("oauth") || asks_for_token() {
        return Err(Refusal::TokenEndpoint);
    }
    match path.strip_prefix(base) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Ok(()),
        _ => Err(Refusal::Outside(base.to_owned())),
    }
}

/// Takes out what concerns this hop alone (RFC 9110 §7.6.1), and what only the agent says to the API.
fn clean_request(headers: &mut HeaderMap) {
    let takes_trailers = takes_trailers(headers);
    remove_hop_by_hop(headers);
    headers.remove(header::AUTHORIZATION);
    headers.remove(dpop::PROOF);
    headers.remove(header::HOST);
    headers.remove(KEY);
    if takes_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    headers.append(header::VIA, VIA);
}

/// The API's answer, without what concerns this hop alone. No page may read it, whatever the API says.
fn clean_response(mut response: Response<Body>) -> Response<Body> {
    *response.version_mut() = Version::HTTP_11;
    let headers = response.headers_mut();
    remove_hop_by_hop(headers);
    headers.remove(AGENT);
    // A nonce is for the agent's proofs.
    headers.remove(dpop::NONCE);
    let opens: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
    for name in opens {
        headers.remove(name);
    }
    response
}

/// Whether a caller's body broke off while it was sent.
type Fate = Option<Arc<AtomicBool>>;

async fn take_body(body: Incoming) -> Result<(Body, Fate), Refusal> {
    if body.is_end_stream() {
        return Ok((Body::empty(), None));
    }
    if body.size_hint().exact().is_some_and(|length| length <= KEPT) {
        let whole = timeout(PAUSE, body.collect()).await;
        let whole = whole.map_err(|_| Refusal::Body)?.map_err(|_| Refusal::Body)?;
        return Ok((Body::from(whole.to_bytes()), None));
    }
    let broken = Arc::new(AtomicBool::new(false));
    let body = CallerBody { body, timer: None, broken: Arc::clone(&broken) };
    Ok((Body::streaming(body), Some(broken)))
}

/// A caller's body on its way to the API.
struct CallerBody {
    body: Incoming,
    /// There only while a piece is awaited.
    timer: Option<Pin<Box<Sleep>>>,
    broken: Arc<AtomicBool>,
}

impl HttpBody for CallerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.timer = None;
                if let Some(trailers) = frame.trailers_mut() {
                    clean_trailers(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.broken.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
                ready!(timer.as_mut().poll(cx));
                self.broken.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err("the caller's body came to a halt".into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn clean_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    trailers.remove(header::AUTHORIZATION);
    trailers.remove(KEY);
}

#[cfg(test)]
mod tests;
