//! Who asks, and on which conditions: what every change needs besides its body.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use fuuffy_domain::{Actor, Cause, Revision};

use super::failure::Failure;
use crate::deed::Environment;

/// The longest reason that is kept, in bytes.
const LONGEST_WHY: usize = 300;
/// Why something is done, for the audit log.
const WHY: &str = "fuuffy-why";

/// Who is at the other end, as the listener knows it. Without it nothing is done.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// From where, if it came over a network.
    pub from: Option<IpAddr>,
}

/// A request for a change.
pub(super) struct Asked {
    pub(super) cause: Cause,
    /// The state that was seen (RFC 9110 §13.1.1); `None` where any will do.
    pub(super) seen: Option<Revision>,
}

impl FromRequestParts<Arc<Environment>> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, here: &Arc<Environment>) -> Result<Self, Failure> {
        let Caller { actor, from } = parts.extensions.get::<Caller>().cloned().ok_or(Failure::Unknown)?;
        let text = |name: &str| match parts.headers.get(name) {
            None => Ok(None),
            Some(value) => match std::str::from_utf8(value.as_bytes()) {
                Ok(text) => Ok(Some(text.trim())),
                Err(_) => Err(Failure::Invalid(format!("{name}: expected UTF-8"))),
            },
        };
        let why = text(WHY)?.filter(|why| !why.is_empty()).map(str::to_owned);
        if why.as_ref().is_some_and(|why| why.len() > LONGEST_WHY) {
            return Err(Failure::Invalid(format!("{WHY}: expected at most {LONGEST_WHY} bytes")));
        }
        let seen = match text(header::IF_MATCH.as_str())? {
            None | Some("*") => None,
            Some(tag) => Some(revision(tag)?),
        };
        let cause = here.cause(actor, from, why)?;
        Ok(Self { cause, seen })
    }
}

fn revision(tag: &str) -> Result<Revision, Failure> {
    let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    // A tag that was never given out matches nothing.
    number.map(Revision).ok_or(Failure::Stale)
}
