//! What a client's assertion says, and whether that may be believed (RFC 7523 §3). Reads the JWT by a library and checks
//! each claim here, by our own clock. Knows no client's keys.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy_domain::{AssertionFault, ClientId, ClientKey, KeyAlgorithm, Timestamp};
use fuuffy_protocol::{UnverifiedAssertion, rsa};
use jsonwebtoken::crypto::verify;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use crate::jws_header::{HeaderFault, UnverifiedHeader};

/// The longest time from now until the end of an assertion: so long its `jti` is remembered.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// So much may the clock of whoever signs be ahead of ours. It never makes an assertion live longer than it says.
pub(crate) const AHEAD: Duration = Duration::from_secs(30);
/// Bytes of a `jti`.
const LONGEST_ID: usize = 128;
/// The types of JWT that an assertion may have, if it has one.
const TYPES: [&str; 2] = ["jwt", "client-authentication+jwt"];

/// What a signature is checked by where there is no key: the generator of each curve, so that the check costs the same.
/// Anybody can sign by these, and nobody is known by them.
const NOBODY_P256: [&str; 2] =
    ["axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"];
const NOBODY_ED25519: &str = "WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY";
/// The same of RSA: as many of these bytes as the signature has. A signature that is not below the modulus is refused sooner
/// than others; this is above all but one.
const NOBODY_RSA: [u8; 512] = [0xff; 512];

/// The claims as they were sent. Any of them may be missing; a repeated one is refused by the reader.
#[derive(Deserialize)]
struct UnverifiedClaims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Value>,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    jti: Option<String>,
}

/// An assertion that could be read, with what it says before it is believed.
pub struct ReadAssertion<'a> {
    text: &'a str,
    header: UnverifiedHeader,
    pub(crate) algorithm: KeyAlgorithm,
    signature: Vec<u8>,
    claims: Result<UnverifiedClaims, AssertionFault>,
}

/// The claims that are needed once all of them hold.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckedClaims {
    /// What the assertion is used once by.
    pub jti: String,
    /// Until when that must be remembered.
    pub expires_at: Timestamp,
}

impl<'a> ReadAssertion<'a> {
    /// Reads an assertion without believing it.
    ///
    /// # Errors
    /// [`AssertionFault`]
    pub fn read(assertion: &'a UnverifiedAssertion) -> Result<Self, AssertionFault> {
        let text = assertion.reveal();
        let header = UnverifiedHeader::read(text).map_err(|fault| match fault {
            HeaderFault::Algorithm => AssertionFault::Algorithm,
            HeaderFault::Malformed => AssertionFault::Malformed,
        })?;
        let algorithm = algorithm_of_clients(header.alg).ok_or(AssertionFault::Algorithm)?;
        let signature = text.rsplit('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let signature = signature.unwrap_or_default();
        // Nobody has a key of another length, whoever the client is.
        if algorithm == KeyAlgorithm::Rs256 && !rsa::MODULI.contains(&signature.len()) {
            return Err(AssertionFault::Signature);
        }
        let claims = insecure_decode_claims(text).map_err(|_| AssertionFault::Malformed);
        Ok(Self { text, header, algorithm, signature, claims })
    }

    /// The name of the key that it says it is signed by.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whether it is signed by a key. `None` never is the one, and costs the same.
    ///
    /// What the check of an RSA signature costs, the modulus decides. So it is one that is as long as the signature, which
    /// whoever asks has chosen: a key of another length costs what none does, and so does one whose modulus is not above
    /// the signature, which would be refused without a computation.
    #[must_use]
    pub fn is_signed_by(&self, key: Option<&ClientKey>) -> bool {
        let jwk = key.and_then(|key| serde_json::from_str::<Jwk>(&key.jwk).ok()).filter(|jwk| self.may_be_by(jwk));
        match jwk.and_then(|jwk| DecodingKey::from_jwk(&jwk).ok()) {
            Some(key) => self.holds_by(&key),
            None => {
                let _ = nobodys_key(self.algorithm, self.signature.len()).is_some_and(|key| self.holds_by(&key));
                false
            }
        }
    }

    /// Whether the signature is as long as a key's modulus and below it, where the key has one.
    fn may_be_by(&self, jwk: &Jwk) -> bool {
        let AlgorithmParameters::RSA(key) = &jwk.algorithm else {
            return true;
        };
        let modulus = URL_SAFE_NO_PAD.decode(&key.n).unwrap_or_default();
        modulus.len() == self.signature.len() && self.signature < modulus
    }

    /// The signature alone: the claims are checked here, by our own clock and more strictly.
    fn holds_by(&self, key: &DecodingKey) -> bool {
        let algorithm = match self.algorithm {
            KeyAlgorithm::Es256 => Algorithm::ES256,
            KeyAlgorithm::EdDsa => Algorithm::EdDSA,
            KeyAlgorithm::Rs256 => Algorithm::RS256,
        };
        let parts = self.text.rsplit_once('.');
        parts.is_some_and(|(message, signature)| verify(signature, message.as_bytes(), key, algorithm).unwrap_or(false))
    }

    /// Checks header and claims, all but the signature and that it is the first use.
    ///
    /// # Errors
    /// [`AssertionFault`]
    pub fn check(&self, client: &str, issuer: &str, now: Timestamp) -> Result<CheckedClaims, AssertionFault> {
        let header = &self.header;
        let is_type = |typ: &String| TYPES.iter().any(|known| typ.eq_ignore_ascii_case(known));
        if !header.typ.as_ref().is_none_or(is_type) {
            return Err(AssertionFault::Type);
        }
        if header.asks_for_more() {
            return Err(AssertionFault::Header);
        }
        let claims = self.claims.as_ref().map_err(|fault| *fault)?;
        let is_client = |claim: &Option<String>| claim.as_deref() == Some(client);
        if ClientId::parse(client).is_err() || !is_client(&claims.iss) || !is_client(&claims.sub) {
            return Err(AssertionFault::Client);
        }
        // One string: with more audiences, another of them could use it here first.
        if claims.aud.as_ref().and_then(Value::as_str) != Some(issuer) {
            return Err(AssertionFault::Audience);
        }
        let expires_at = claims.exp.map(time).ok_or(AssertionFault::NoExpiry)?;
        if now >= expires_at {
            return Err(AssertionFault::Expired);
        }
        if expires_at > now.after(LONGEST).after(AHEAD) {
            return Err(AssertionFault::TooLong);
        }
        if [claims.nbf, claims.iat].into_iter().flatten().any(|claim| time(claim) > now.after(AHEAD)) {
            return Err(AssertionFault::TooEarly);
        }
        let is_id = |jti: &&String| (1..=LONGEST_ID).contains(&jti.len());
        let jti = claims.jti.as_ref().filter(is_id).ok_or(AssertionFault::NoId)?;
        Ok(CheckedClaims { jti: jti.clone(), expires_at })
    }
}

/// What a client may sign by, of what anybody may.
pub(crate) const fn algorithm_of_clients(algorithm: Algorithm) -> Option<KeyAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Some(KeyAlgorithm::Es256),
        Algorithm::EdDSA => Some(KeyAlgorithm::EdDsa),
        Algorithm::RS256 => Some(KeyAlgorithm::Rs256),
        _ => None,
    }
}

fn nobodys_key(algorithm: KeyAlgorithm, signature: usize) -> Option<DecodingKey> {
    let [x, y] = NOBODY_P256;
    let key = match algorithm {
        KeyAlgorithm::Rs256 => {
            return Some(DecodingKey::from_rsa_raw_components(NOBODY_RSA.get(..signature)?, &[1, 0, 1]));
        }
        KeyAlgorithm::Es256 => DecodingKey::from_ec_components(x, y),
        KeyAlgorithm::EdDsa => DecodingKey::from_ed_components(NOBODY_ED25519),
    };
    key.ok()
}

/// A `NumericDate` (RFC 7519 §2), which may have a fraction. Whatever is too large is as late as can be.
pub(crate) fn time(seconds: f64) -> Timestamp {
    // The conversion saturates.
    let millis = (seconds * 1000.0).floor() as i64;
    Timestamp::from_unix_millis(millis)
}

#[cfg(test)]
mod tests;
