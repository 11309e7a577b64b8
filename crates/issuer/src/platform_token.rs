//! What a platform's token says, and whether that may be believed (RFC 7523 §3, with the platform as the issuer). Reads the
//! JWT by a library and checks each claim here, by our own clock. Knows no clients.

use fuuffy_domain::{IdentityFault, Timestamp, TrustedIssuer};
use fuuffy_protocol::UnverifiedAssertion;
use jsonwebtoken::crypto::verify;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use crate::assertion::{AHEAD, time};
use crate::jws_header::{HeaderFault, UnverifiedHeader};

/// The types of JWT that such a token may have, if it has one (RFC 7519 §5.1).
const TYPES: [&str; 2] = ["jwt", "jose"];

/// A token that could be read, with what it says before it is believed.
pub struct UnverifiedToken<'a> {
    text: &'a str,
    header: UnverifiedHeader,
    claims: Map<String, Value>,
}

/// What a token says whose signature is the platform's own. Made only by [`UnverifiedToken::verify`].
pub(crate) struct SignedClaims<'a>(&'a Map<String, Value>);

impl<'a> UnverifiedToken<'a> {
    /// Reads a token without believing it.
    ///
    /// # Errors
    /// [`IdentityFault`]
    pub fn read(assertion: &'a UnverifiedAssertion) -> Result<Self, IdentityFault> {
        let text = assertion.reveal();
        let header = UnverifiedHeader::read(text).map_err(|fault| match fault {
            HeaderFault::Algorithm => IdentityFault::Algorithm,
            HeaderFault::Malformed => IdentityFault::Malformed,
        })?;
        if header.typ.as_ref().is_some_and(|typ| !TYPES.iter().any(|known| typ.eq_ignore_ascii_case(known))) {
            return Err(IdentityFault::Type);
        }
        if header.asks_for_more() {
            return Err(IdentityFault::Header);
        }
        let claims = insecure_decode_claims(text).map_err(|_| IdentityFault::Malformed)?;
        Ok(Self { text, header, claims })
    }

    /// What names the key that it says it is signed by.
    pub(crate) fn key(&self) -> (Option<&str>, Algorithm) {
        (self.header.kid.as_deref(), self.header.alg)
    }

    /// The claims, where this key has signed them.
    pub(crate) fn verify(&self, key: &DecodingKey) -> Result<SignedClaims<'_>, IdentityFault> {
        let (message, signature) = self.text.rsplit_once('.').ok_or(IdentityFault::Malformed)?;
        match verify(signature, message.as_bytes(), key, self.header.alg) {
            Ok(true) => Ok(SignedClaims(&self.claims)),
            Ok(false) | Err(_) => Err(IdentityFault::Signature),
        }
    }

    /// Checks whom and when it is for. That somebody has signed it is another matter.
    ///
    /// # Errors
    /// [`IdentityFault`]
    pub fn check(&self, trusted: &TrustedIssuer, now: Timestamp) -> Result<(), IdentityFault> {
        if !is_for(&trusted.audience, self.claims.get("aud")) {
            return Err(IdentityFault::Audience);
        }
        let date = |name: &str| self.claims.get(name).and_then(Value::as_f64).map(time);
        let (Some(expires_at), Some(issued_at)) = (date("exp"), date("iat")) else {
            return Err(IdentityFault::NoTimes);
        };
        if now >= expires_at {
            return Err(IdentityFault::Expired);
        }
        let not_before = match self.claims.get("nbf") {
            None => issued_at,
            Some(_) => date("nbf").ok_or(IdentityFault::NoTimes)?,
        };
        if issued_at.max(not_before) > now.after(AHEAD) {
            return Err(IdentityFault::TooEarly);
        }
        // It is used again and again until it ends. So it must end soon.
        if expires_at > issued_at.after(trusted.longest_life.duration()) {
            return Err(IdentityFault::TooLong);
        }
        Ok(())
    }
}

impl SignedClaims<'_> {
    /// All of them.
    pub(crate) const fn all(&self) -> &Map<String, Value> {
        self.0
    }

    /// Whom it is about, as it calls that.
    pub(crate) fn subject(&self) -> &str {
        self.0.get("sub").and_then(Value::as_str).unwrap_or_default()
    }
}

/// One audience, as a string or as the only one of a list, as Kubernetes writes it: with more audiences, another of them
/// could use it here.
fn is_for(audience: &str, claim: Option<&Value>) -> bool {
    match claim {
        Some(Value::String(said)) => said == audience,
        Some(Value::Array(all)) => matches!(&all[..], [Value::String(said)] if said == audience),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
