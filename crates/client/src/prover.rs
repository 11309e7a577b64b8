//! Proves with each request that the client holds the key which its tokens are bound to (RFC 9449), with the nonce that the
//! server gave last.

use std::time::SystemTime;

use fuuffy_protocol::dpop;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use parking_lot::Mutex;

use crate::private_key::Asked;
use crate::{Error, PrivateKey};

/// A nonce that is longer is not kept.
const LONGEST_NONCE: usize = 1024;

/// What proves the key of one client to one server.
pub(crate) struct Prover {
    key: PrivateKey,
    /// The origin of whatever is asked for, as the server knows itself.
    origin: String,
    nonce: Mutex<Option<String>>,
}

impl Prover {
    pub(crate) const fn new(key: PrivateKey, origin: String) -> Self {
        Self { key, origin, nonce: Mutex::new(None) }
    }

    /// Sets the fields of a request to the API that bears a token.
    pub(crate) fn authorize(&self, parts: &mut Parts, token: &str, now: SystemTime) -> Result<(), Error> {
        let wrong = |_| Error::configuration("the token makes no header field");
        let mut authorization = HeaderValue::try_from(format!("DPoP {token}")).map_err(wrong)?;
        authorization.set_sensitive(true);
        parts.headers.insert(header::AUTHORIZATION, authorization);
        self.prove(parts, Some(token), now)
    }

    /// Sets the field of a request that proves the key.
    pub(crate) fn prove(&self, parts: &mut Parts, token: Option<&str>, now: SystemTime) -> Result<(), Error> {
        let target = format!("{}{}", self.origin, parts.uri.path());
        let nonce = self.nonce.lock().clone();
        let asked = Asked { method: parts.method.as_str(), target: &target, token, nonce: nonce.as_deref() };
        let proof = self.key.dpop_proof(&asked, now)?;
        let proof =
            HeaderValue::try_from(proof).map_err(|_| Error::configuration("the proof makes no header field"))?;
        parts.headers.insert(dpop::PROOF, proof);
        Ok(())
    }

    /// Keeps the nonce of an answer for the next proof (RFC 9449 §8.2). Whether there was one.
    pub(crate) fn learn(&self, headers: &HeaderMap) -> bool {
        let nonce = headers.get(dpop::NONCE).and_then(|nonce| nonce.to_str().ok());
        let Some(nonce) = nonce.filter(|nonce| (1..=LONGEST_NONCE).contains(&nonce.len())) else {
            return false;
        };
        *self.nonce.lock() = Some(nonce.to_owned());
        true
    }
}
