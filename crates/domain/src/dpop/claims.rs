//! What a proof says (RFC 9449 §4.2), read without believing it, and each check of it (§4.3).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy_protocol::{AccessToken, ProofFault, dpop};
use http::Method;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sha2::{Digest as _, Sha256};

use super::key::{ProofKey, UnverifiedKey};
use super::target::Target;
use crate::{Thumbprint, Timestamp};

/// Bytes of a proof. One of ES256 for a long URI has some 700.
const LONGEST: usize = 4096;
/// Bytes of a `jti`.
const LONGEST_ID: usize = 256;
/// So long ago a proof may have been made by the clock of whoever made it.
pub const BEHIND: Duration = Duration::from_secs(60);
/// So much may that clock be ahead of ours.
pub const AHEAD: Duration = Duration::from_secs(10);

/// The header as it was sent. A repeated member is refused by the reader.
#[derive(Deserialize)]
struct UnverifiedHeader {
    typ: Option<String>,
    alg: Option<String>,
    jwk: Option<UnverifiedKey>,
    crit: Option<IgnoredAny>,
    b64: Option<IgnoredAny>,
    enc: Option<IgnoredAny>,
    zip: Option<IgnoredAny>,
    cty: Option<IgnoredAny>,
    jku: Option<IgnoredAny>,
    x5u: Option<IgnoredAny>,
    x5c: Option<IgnoredAny>,
}

/// The claims as they were sent.
#[derive(Deserialize)]
struct UnverifiedClaims {
    jti: Option<String>,
    htm: Option<String>,
    htu: Option<String>,
    iat: Option<f64>,
    exp: Option<f64>,
    nbf: Option<f64>,
    ath: Option<String>,
    nonce: Option<String>,
}

/// A proof that could be read, with a key that could have signed it.
pub(super) struct ReadProof<'a> {
    message: &'a str,
    signature: &'a str,
    key: ProofKey,
    claims: UnverifiedClaims,
    jti: String,
}

impl<'a> ReadProof<'a> {
    /// Reads a proof without believing it. Bounded by [`LONGEST`].
    pub(super) fn read(text: &'a str) -> Result<Self, ProofFault> {
        if text.len() > LONGEST {
            return Err(ProofFault::TooLong);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(ProofFault::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(ProofFault::Malformed)?;
        let header: UnverifiedHeader = json(header)?;
        if !header.typ.as_ref().is_some_and(|typ| typ.eq_ignore_ascii_case(dpop::TYPE)) {
            return Err(ProofFault::Type);
        }
        let algorithm = match header.alg.as_deref() {
            Some("ES256") => Algorithm::ES256,
            // RFC 9864 §2.2 calls it by its curve.
            Some("EdDSA" | "Ed25519") => Algorithm::EdDSA,
            _ => return Err(ProofFault::Algorithm),
        };
        let UnverifiedHeader { crit, b64, enc, zip, cty, jku, x5u, x5c, .. } = &header;
        if [crit, b64, enc, zip, cty, jku, x5u, x5c].iter().any(|member| member.is_some()) {
            return Err(ProofFault::Header);
        }
        let key = header.jwk.ok_or(ProofFault::Key)?.for_algorithm(algorithm)?;
        let mut claims: UnverifiedClaims = json(payload)?;
        let is_id = |jti: &String| (1..=LONGEST_ID).contains(&jti.len());
        let jti = claims.jti.take().filter(is_id).ok_or(ProofFault::NoId)?;
        Ok(Self { message, signature, key, claims, jti })
    }

    /// The key that it says to be signed by.
    pub(super) const fn thumbprint(&self) -> Thumbprint {
        self.key.thumbprint
    }

    pub(super) fn nonce(&self) -> Option<&str> {
        self.claims.nonce.as_deref()
    }

    /// Whether it is for a request.
    pub(super) fn check_request(&self, method: &Method, target: &Target) -> Result<(), ProofFault> {
        // Methods are case-sensitive (RFC 9110 §9.1).
        if self.claims.htm.as_deref() != Some(method.as_str()) {
            return Err(ProofFault::Method);
        }
        let said = self.claims.htu.as_deref().and_then(Target::parse);
        if said.as_ref() == Some(target) { Ok(()) } else { Err(ProofFault::Target) }
    }

    /// Whether it is for a token (RFC 9449 §4.3).
    pub(super) fn check_token(&self, token: &AccessToken) -> Result<(), ProofFault> {
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(token.reveal()));
        if self.claims.ath.as_deref() == Some(hash.as_str()) { Ok(()) } else { Err(ProofFault::TokenHash) }
    }

    /// When it was made by its own word, which it must say (RFC 9449 §4.2). By its other times, if it has any, it must be good
    /// now.
    pub(super) fn time(&self, now: Timestamp) -> Result<Timestamp, ProofFault> {
        let at = self.claims.iat.map(time).ok_or(ProofFault::NoTime)?;
        if self.claims.nbf.map(time).is_some_and(|nbf| nbf > now.after(AHEAD)) {
            return Err(ProofFault::TooEarly);
        }
        if self.claims.exp.map(time).is_some_and(|exp| now >= exp) {
            return Err(ProofFault::Expired);
        }
        Ok(at)
    }

    /// The same, if that was a moment ago.
    pub(super) fn made_at(&self, now: Timestamp) -> Result<Timestamp, ProofFault> {
        let at = self.time(now)?;
        match () {
            () if at > now.after(AHEAD) => Err(ProofFault::TooEarly),
            () if at.after(BEHIND) < now => Err(ProofFault::Expired),
            () => Ok(at),
        }
    }

    pub(super) fn check_signature(&self) -> Result<(), ProofFault> {
        if self.key.has_signed(self.message, self.signature) { Ok(()) } else { Err(ProofFault::Signature) }
    }

    /// What it is used once by: its key and `jti`, whatever else is the same.
    pub(super) fn digest(&self) -> [u8; 16] {
        let whole = Sha256::new().chain_update(self.key.thumbprint.0).chain_update(&self.jti).finalize();
        let mut truncated = [0; 16];
        truncated.copy_from_slice(&whole[..16]);
        truncated
    }
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, ProofFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| ProofFault::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| ProofFault::Malformed)
}

/// A `NumericDate` (RFC 7519 §2), which may have a fraction. Whatever is too large is as late as can be.
fn time(seconds: f64) -> Timestamp {
    // The conversion saturates.
    let millis = (seconds * 1000.0).floor() as i64;
    Timestamp::from_unix_millis(millis)
}
