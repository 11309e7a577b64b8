//! One token request (RFC 6749 §4.4.2), from reading the secret to the grant in its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use fuuffy_protocol::{Refused, TokenGrant};
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use percent_encoding::utf8_percent_encode;
use zeroize::{Zeroize as _, Zeroizing};

use crate::clock::Clock;
use crate::credentials::{CredentialSource, Credentials};
use crate::decide::{Grant, Head};
use crate::http_client::HttpClient;
use crate::observe::{Event, Observer};
use crate::{Body, ESCAPED, Error};

/// The largest answer that is read, in bytes.
const LARGEST: usize = 64 * 1024;
/// A calendar that is further off than this many seconds is reported.
const SKEW: i64 = 60;
const WHAT: &str = "the token request";

/// Where tokens come from, and by whose secret.
pub(crate) struct TokenEndpoint {
    pub(crate) http: Arc<dyn HttpClient>,
    pub(crate) url: Uri,
    pub(crate) credentials: Arc<dyn CredentialSource>,
    pub(crate) scope: Option<String>,
    /// The longest that one request may take, answer included.
    pub(crate) timeout: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    /// How far the server's calendar was ahead when that was last told, in seconds.
    pub(crate) told_skew: AtomicI64,
}

impl TokenEndpoint {
    /// Asks for a token. A secret that is refused is read again, once: it may have been rotated.
    pub(crate) async fn fetch(&self) -> Result<Grant, Error> {
        let credentials = self.credentials.read().await?;
        let refused = match self.request(&credentials).await {
            Err(error) if error.code() == Some("invalid_client") => error,
            outcome => return outcome,
        };
        let again = self.credentials.read().await?;
        let is_new = again.client_id != credentials.client_id
            || again.client_secret.reveal() != credentials.client_secret.reveal();
        if is_new { self.request(&again).await } else { Err(refused) }
    }

    async fn request(&self, credentials: &Credentials) -> Result<Grant, Error> {
        tokio::select! {
            outcome = self.exchange(credentials) => outcome,
            () = self.clock.sleep(self.timeout) => Err(Error::timeout(WHAT, &self.place(), self.timeout)),
        }
    }

    async fn exchange(&self, credentials: &Credentials) -> Result<Grant, Error> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(self.form(credentials))
            .map_err(|_| Error::configuration("the token endpoint's URL makes no request"))?;
        let response = self.http.send(request).await.map_err(|error| Error::transport(WHAT, &self.place(), error))?;
        let (parts, body) = response.into_parts();
        let head = Head { status: parts.status, headers: &parts.headers };
        let wall = self.clock.wall();
        if let Some(seconds) = head.skew(wall) {
            self.tell_skew(seconds);
        }
        let wrong = |why: &str| {
            let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("none");
            let kind = kind.chars().take(64).collect::<String>();
            let (place, status) = (self.place(), parts.status);
            let said = format!("{place} answered {status} (content type {kind}), and {why}; is the base URL right?");
            Error::answer(said, status, head.request_id())
        };
        if parts.status.is_redirection() {
            return Err(wrong("redirects are not followed, for the secret would go along"));
        }
        let body = read(body).await.map_err(|why| match why {
            ReadFault::TooLong => wrong("its body is longer than 64 KiB"),
            ReadFault::Broken(error) => Error::transport(WHAT, &self.place(), error),
        })?;
        if parts.status != StatusCode::OK {
            let (refused, id) = (Refused::parse(&body), head.request_id());
            return Err(Error::refused(WHAT, parts.status, refused, id, head.retry_after(wall)));
        }
        if let Some(at) = head.secret_expires() {
            self.tell_expiry(at);
        }
        let granted = TokenGrant::parse(&body).map_err(|fault| wrong(&fault.to_string()))?;
        let life = granted.expires_in.map(Duration::from_secs);
        Ok(Grant { access_token: granted.access_token, life, refresh_after: None, scope: granted.scope })
    }

    /// Reports with each token that the secret expires soon.
    fn tell_expiry(&self, at: SystemTime) {
        tracing::warn!(at = httpdate::fmt_http_date(at), "The client's secret expires soon; ask for another");
        self.observer.on(&Event::SecretExpires { at });
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

    /// The form, wiped when it was sent.
    fn form(&self, credentials: &Credentials) -> Body {
        let scope = self.scope.as_deref().unwrap_or_default();
        // Room for all of it, escaped: growing would leave copies behind unwiped.
        let longest = 128 + 3 * (credentials.client_id.len() + credentials.client_secret.reveal().len() + scope.len());
        let mut form = Zeroizing::new(Vec::with_capacity(longest));
        let mut add = |name: &str, value: &str| {
            let joint = if form.is_empty() { "" } else { "&" };
            form.extend_from_slice(joint.as_bytes());
            form.extend_from_slice(name.as_bytes());
            form.push(b'=');
            utf8_percent_encode(value, ESCAPED).for_each(|piece| form.extend_from_slice(piece.as_bytes()));
        };
        add("grant_type", "client_credentials");
        add("client_id", &credentials.client_id);
        add("client_secret", credentials.client_secret.reveal());
        if let Some(scope) = &self.scope {
            add("scope", scope);
        }
        Body::from(Bytes::from_owner(form))
    }

    fn place(&self) -> String {
        self.url.to_string()
    }
}

pub(crate) enum ReadFault {
    TooLong,
    Broken(crate::TransportError),
}

/// Reads a body of at most [`LARGEST`] bytes, and wipes what it came in.
pub(crate) async fn read(mut body: Body) -> Result<Zeroizing<Vec<u8>>, ReadFault> {
    let mut whole = Zeroizing::new(Vec::with_capacity(1024));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ReadFault::Broken(crate::TransportError::exchange(error)))?;
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
