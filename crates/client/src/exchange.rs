//! One exchange with the token service: a request that bears the secret, and its whole answer, in time.
//! Answers are wiped when they were read, for there are secrets and tokens in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use fuuffy_protocol::Refused;
use http::response::Parts;
use http::{Request, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::clock::Clock;
use crate::decide::Head;
use crate::http_client::HttpClient;
use crate::observe::{Event, Observer};
use crate::presenter::Presenter;
use crate::prover::Prover;
use crate::{Body, Error, TransportError};

/// The largest answer that is read, in bytes.
const LARGEST: usize = 64 * 1024;
/// A calendar that is further off than this many seconds is reported.
const SKEW: i64 = 60;

/// What sends such requests.
pub(crate) struct Exchange {
    http: Arc<dyn HttpClient>,
    /// The longest that one exchange may take, answer included.
    timeout: Duration,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    /// What proves the key that tokens are bound to, if they are.
    pub(crate) prover: Option<Arc<Prover>>,
    /// What shows the client's certificate, if it has one.
    pub(crate) presenter: Option<Arc<Presenter>>,
    /// How far the server's calendar was ahead when that was last told, in seconds.
    told_skew: AtomicI64,
}

/// An answer that grants what was asked for.
pub(crate) struct Granted {
    url: Uri,
    parts: Parts,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Exchange {
    pub(crate) fn new(
        http: Arc<dyn HttpClient>,
        timeout: Duration,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { http, timeout, clock, observer, prover: None, presenter: None, told_skew: AtomicI64::new(0) }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// Sends `what`, as errors name it. It is granted by the status `by`.
    ///
    /// # Errors
    /// There was no whole answer in time, or one that grants nothing.
    pub(crate) async fn send(
        &self,
        what: &'static str,
        request: Request<Body>,
        by: StatusCode,
    ) -> Result<Granted, Error> {
        let url = request.uri().clone();
        tokio::select! {
            outcome = self.attempt(what, request, by) => outcome,
            () = self.clock.sleep(self.timeout) => Err(Error::timeout(what, &url.to_string(), self.timeout)),
        }
    }

    async fn attempt(&self, what: &'static str, request: Request<Body>, by: StatusCode) -> Result<Granted, Error> {
        let url = request.uri().clone();
        let broken = |error| Error::transport(what, &url.to_string(), error);
        let (parts, body) = self.http.send(request).await.map_err(broken)?.into_parts();
        let mut granted = Granted { url: url.clone(), parts, body: Zeroizing::default() };
        if let Some(prover) = &self.prover {
            prover.learn(&granted.parts.headers, self.clock.now());
        }
        let wall = self.clock.wall();
        if let Some(seconds) = granted.head().skew(wall) {
            self.tell_skew(seconds);
        }
        if granted.parts.status.is_redirection() {
            return Err(granted.wrong("redirects are not followed, for the secret would go along"));
        }
        granted.body = read(body).await.map_err(|why| match why {
            ReadFault::TooLong => granted.wrong("its body is longer than 64 KiB"),
            ReadFault::Broken(error) => broken(error),
        })?;
        if granted.parts.status != by {
            let (head, refused) = (granted.head(), Refused::parse(&granted.body));
            return Err(Error::refused(what, head.status, refused, head.request_id(), head.retry_after(wall)));
        }
        Ok(granted)
    }

    /// Reports a calendar that is off: when it is found, and again when it is off by something else.
    fn tell_skew(&self, seconds: i64) {
        let is_off = seconds.saturating_abs() > SKEW;
        let told = self.told_skew.load(Ordering::Relaxed);
        if is_off && seconds.saturating_sub(told).saturating_abs() <= SKEW {
            return;
        }
        self.told_skew.store(if is_off { seconds } else { 0 }, Ordering::Relaxed);
        if is_off {
            tracing::warn!(seconds, "This machine's clock and the server's differ; tokens work all the same");
            self.observer.on(&Event::ClockSkew { seconds });
        }
    }
}

impl Granted {
    pub(crate) fn head(&self) -> Head<'_> {
        Head { status: self.parts.status, headers: &self.parts.headers }
    }

    /// It is not what it should be.
    pub(crate) fn wrong(&self, why: &str) -> Error {
        let kind = self.parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("none");
        let kind = kind.chars().take(64).collect::<String>();
        let (place, status) = (&self.url, self.parts.status);
        let said = format!("{place} answered {status} (content type {kind}), and {why}; is the base URL right?");
        Error::answer(said, status, self.head().request_id())
    }
}

pub(crate) enum ReadFault {
    TooLong,
    Broken(TransportError),
}

/// Reads a body of at most [`LARGEST`] bytes, and wipes what it came in.
pub(crate) async fn read(mut body: Body) -> Result<Zeroizing<Vec<u8>>, ReadFault> {
    let mut whole = Zeroizing::new(Vec::with_capacity(1024));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ReadFault::Broken(TransportError::exchange(error)))?;
        let data = frame.into_data().unwrap_or_default();
        if whole.len() + data.len() > LARGEST {
            return Err(ReadFault::TooLong);
        }
        if whole.capacity() < whole.len() + data.len() {
            // Growing would leave the old copy behind unwiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(LARGEST));
            larger.extend_from_slice(&whole);
            whole = larger;
        }
        whole.extend_from_slice(&data);
        if let Ok(mut data) = data.try_into_mut() {
            let bytes: &mut BytesMut = &mut data;
            bytes[..].zeroize();
        }
    }
    Ok(whole)
}
