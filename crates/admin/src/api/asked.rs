//! Who asks, and on which conditions: what every change needs besides its body.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use fuuffy_domain::{Actor, Cause, RequestId, Revision};
use fuuffy_protocol::Refusal;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::failure::Failure;
use crate::deed::{DeedError, Environment};
use crate::once::OnceOnly;
use crate::roles::{May, Seen, Target};

/// The longest reason that is kept, in bytes.
const LONGEST_WHY: usize = 300;
/// Why something is done, for the audit log.
const WHY: &str = "fuuffy-why";
/// What makes a creation happen once.
const KEY: &str = "idempotency-key";
/// The longest of it, in characters.
const LONGEST_KEY: usize = 128;
/// The largest body, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// How much more of one that is too large is taken in, so that its sender gets to read why it was refused.
const SPILLED: usize = 16 * 1024 * 1024;
/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is at the other end and may do everything, as the listener knows it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// From where, if it came over a network.
    pub from: Option<IpAddr>,
}

/// Somebody over a network, who must prove by a token who it is.
#[derive(Debug, Clone, Copy)]
pub struct Stranger {
    /// From where.
    pub from: IpAddr,
}

/// Who was let in, and what that one may do.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) actor: Actor,
    pub(super) from: Option<IpAddr>,
    pub(super) may: May,
}

/// A request for a change.
pub(super) struct Asked {
    pub(super) cause: Cause,
    pub(super) may: May,
    seen: Seen,
    key: Option<String>,
}

/// A body, read whole.
pub(super) struct Body(pub(super) Bytes);

impl Asked {
    /// The client that is to be changed.
    pub(super) fn target(&self, here: &Environment, id: &str) -> Result<Target, DeedError> {
        Target::find(here, &self.may, self.seen, id)
    }

    /// That it is to be done once, if a key says so.
    pub(super) fn once(&self, here: &Environment, path: &str, body: &Bytes) -> Option<OnceOnly> {
        self.key.as_ref().map(|key| OnceOnly::new(here, &self.cause.actor, key, (path, body)))
    }
}

impl FromRequestParts<Arc<Environment>> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, here: &Arc<Environment>) -> Result<Self, Failure> {
        let unknown = || Failure::Refused(Refusal::MissingToken);
        let Known { actor, from, may } = parts.extensions.get::<Known>().cloned().ok_or_else(unknown)?;
        let request = *parts.extensions.get::<RequestId>().ok_or_else(unknown)?;
        let why = text(&parts.headers, WHY)?.filter(|why| !why.is_empty()).map(str::to_owned);
        if why.as_ref().is_some_and(|why| why.len() > LONGEST_WHY || why.chars().any(char::is_control)) {
            return Err(Failure::Invalid(format!(
                "{WHY}: expected at most {LONGEST_WHY} bytes without control characters"
            )));
        }
        let key = text(&parts.headers, KEY)?.map(str::to_owned);
        let is_key =
            |key: &String| (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.as_ref().is_some_and(|key| !is_key(key)) {
            return Err(Failure::Invalid(format!("{KEY}: expected 1 to {LONGEST_KEY} visible characters")));
        }
        let seen = seen(&parts.headers)?;
        let cause = Cause { actor, from, request, at: here.clock.now(), why };
        Ok(Self { cause, may, seen, key })
    }
}

/// A field that may be there once.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Failure::Invalid(format!("{name}: expected once")));
    }
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(Failure::Invalid(format!("{name}: expected UTF-8"))),
    }
}

/// What `If-Match` says (RFC 9110 §13.1.1): one entity tag, or `*`.
pub(super) fn seen(headers: &HeaderMap) -> Result<Seen, Failure> {
    let name = header::IF_MATCH.as_str();
    let tag = match text(headers, name)? {
        None => return Ok(Seen::Unsaid),
        Some("*") => return Ok(Seen::Any),
        Some(tag) => tag,
    };
    let strong = tag.strip_prefix("W/").unwrap_or(tag);
    let opaque = strong.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let opaque = opaque.filter(|opaque| opaque.bytes().all(|byte| byte != b'"' && byte > b' ' && byte != 0x7F));
    let opaque = opaque.ok_or_else(|| Failure::Invalid(format!("{name}: expected one ETag in its quotes, or *")))?;
    // A tag that was never given out matches nothing, and so does a weak one.
    let revision = opaque.parse().ok().filter(|number: &u32| strong == tag && number.to_string() == opaque);
    Ok(revision.map_or(Seen::Foreign, |number| Seen::At(Revision(number))))
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (mut body, deadline) = (request.into_body(), Instant::now() + PATIENCE);
        let (mut whole, mut length) = (BytesMut::new(), 0);
        loop {
            match timeout_at(deadline, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    length += data.len();
                    if length <= MAX_BODY {
                        whole.extend_from_slice(&data);
                    } else if length > SPILLED {
                        return Err(Failure::TooLarge);
                    }
                }
                Ok(None) if length > MAX_BODY => return Err(Failure::TooLarge),
                Ok(None) => return Ok(Self(whole.freeze())),
                Ok(Some(Err(_))) | Err(_) => return Err(Failure::Invalid("the body broke off".to_owned())),
            }
        }
    }
}
