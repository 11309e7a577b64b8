//! The public key that a proof brings (RFC 9449 §4.2), as far as it is looked at: foreign members, and a thumbprint.

use fuuffy_protocol::ProofFault;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::Thumbprint;

/// A JWK as it was sent.
#[derive(Deserialize)]
pub(super) struct UnverifiedKey {
    kty: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    // What no public key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1, RFC 8037 §2).
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

/// A public key for one algorithm.
pub(super) struct ProofKey {
    algorithm: Algorithm,
    key: DecodingKey,
    pub(super) thumbprint: Thumbprint,
}

impl UnverifiedKey {
    /// The key, for the algorithm that the header names and no other.
    pub(super) fn for_algorithm(self, algorithm: Algorithm) -> Result<ProofKey, ProofFault> {
        let private = [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi, &self.oth, &self.k];
        if private.iter().any(|member| member.is_some()) {
            return Err(ProofFault::PrivateKey);
        }
        let members = match (algorithm, self.kty.as_deref(), self.crv.as_deref(), self.x, self.y) {
            (Algorithm::ES256, Some("EC"), Some("P-256"), Some(x), Some(y)) => {
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            }
            (Algorithm::EdDSA, Some("OKP"), Some("Ed25519"), Some(x), None) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
            _ => return Err(ProofFault::Key),
        };
        let jwk: Jwk = serde_json::from_value(members).map_err(|_| ProofFault::Key)?;
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| ProofFault::Key)?;
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).ok();
        let thumbprint = thumbprint.and_then(|text| Thumbprint::parse(&text)).ok_or(ProofFault::Key)?;
        Ok(ProofKey { algorithm, key, thumbprint })
    }
}

impl ProofKey {
    /// Whether it has signed a message.
    pub(super) fn has_signed(&self, message: &str, signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.key, self.algorithm).unwrap_or(false)
    }
}
