//! Proves with each request that the client holds the key which its tokens are bound to (RFC 9449), with the nonce that the
//! server gave last.

use std::time::{Duration, SystemTime};

use fuuffy_protocol::dpop;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use parking_lot::Mutex;

use crate::private_key::Asked;
use crate::{Error, PrivateKey};

/// A nonce that is longer is not kept.
const LONGEST_NONCE: usize = 1024;
/// A nonce that is older is not sent: the server takes its nonces for two minutes, and where it needs none, none is better
/// than an old one.
const KEPT: Duration = Duration::from_secs(110);
/// Before a body that cannot be sent again goes out, the server has told within so long that it wants no other nonce.
const FRESH: Duration = Duration::from_secs(50);

/// What proves the key of one client to one server.
pub(crate) struct Prover {
    key: PrivateKey,
    /// The origin of whatever is asked for, as the server knows itself.
    origin: String,
    told: Mutex<Told>,
}

/// What the server told last, and when.
#[derive(Default)]
struct Told {
    nonce: Option<(String, Duration)>,
    /// When a proof was taken as it was.
    taken_at: Option<Duration>,
}

/// When a proof is made: by the calendar, which it says, and by the steady clock, which nonces are kept by.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) wall: SystemTime,
    pub(crate) now: Duration,
}

impl Prover {
    pub(crate) fn new(key: PrivateKey, origin: String) -> Self {
        Self { key, origin, told: Mutex::default() }
    }

    /// Sets the fields of a request to the API that bears a token.
    pub(crate) fn authorize(&self, parts: &mut Parts, token: &str, at: Moment) -> Result<(), Error> {
        let wrong = |_| Error::configuration("the token makes no header field");
        let mut authorization = HeaderValue::try_from(format!("DPoP {token}")).map_err(wrong)?;
        authorization.set_sensitive(true);
        parts.headers.insert(header::AUTHORIZATION, authorization);
        self.prove(parts, Some(token), at)
    }

    /// Sets the field of a request that proves the key.
    pub(crate) fn prove(&self, parts: &mut Parts, token: Option<&str>, at: Moment) -> Result<(), Error> {
        let target = format!("{}{}", self.origin, parts.uri.path());
        let nonce = self.told.lock().nonce.clone().filter(|(_, told_at)| at.now.saturating_sub(*told_at) < KEPT);
        let nonce = nonce.map(|(nonce, _)| nonce);
        let asked = Asked { method: parts.method.as_str(), target: &target, token, nonce: nonce.as_deref() };
        let proof = self.key.dpop_proof(&asked, at.wall)?;
        let proof =
            HeaderValue::try_from(proof).map_err(|_| Error::configuration("the proof makes no header field"))?;
        parts.headers.insert(dpop::PROOF, proof);
        Ok(())
    }

    /// Keeps the nonce of an answer for the next proof (RFC 9449 §8.2). Whether there was one.
    pub(crate) fn learn(&self, headers: &HeaderMap, now: Duration) -> bool {
        let nonce = headers.get(dpop::NONCE).and_then(|nonce| nonce.to_str().ok());
        let Some(nonce) = nonce.filter(|nonce| (1..=LONGEST_NONCE).contains(&nonce.len())) else {
            return false;
        };
        self.told.lock().nonce = Some((nonce.to_owned(), now));
        true
    }

    /// A proof was taken as it was.
    pub(crate) fn was_taken(&self, now: Duration) {
        self.told.lock().taken_at = Some(now);
    }

    /// Whether the next proof will be taken, as far as can be known: the server told so a moment ago.
    pub(crate) fn is_sure(&self, now: Duration) -> bool {
        let told = self.told.lock();
        let times = [told.nonce.as_ref().map(|(_, at)| *at), told.taken_at];
        times.into_iter().flatten().any(|at| now.saturating_sub(at) < FRESH)
    }
}
