//! The header of a JWT that somebody sent (RFC 7515 §4): what it is signed by, and that it asks for nothing else. Signatures
//! and claims are the library's, whose own header does not know the names of RFC 9864.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The header as it was sent. A repeated member is refused by the reader.
#[derive(Deserialize)]
pub(crate) struct UnverifiedHeader {
    #[serde(deserialize_with = "algorithm")]
    pub(crate) alg: Algorithm,
    pub(crate) typ: Option<String>,
    pub(crate) kid: Option<String>,
    jku: Option<IgnoredAny>,
    jwk: Option<IgnoredAny>,
    x5u: Option<IgnoredAny>,
    x5c: Option<IgnoredAny>,
    crit: Option<IgnoredAny>,
    cty: Option<IgnoredAny>,
    enc: Option<IgnoredAny>,
    zip: Option<IgnoredAny>,
}

/// Why a header could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// It is not that of a JWT.
    Malformed,
    /// It names no algorithm of ours, as `none` is none.
    Algorithm,
}

impl UnverifiedHeader {
    /// Reads the header of a JWT without believing it.
    pub(crate) fn read(jwt: &str) -> Result<Self, HeaderFault> {
        let mut parts = jwt.split('.');
        let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(HeaderFault::Malformed);
        };
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| HeaderFault::Malformed)?;
        serde_json::from_slice(&header).map_err(|_| HeaderFault::Algorithm)
    }

    /// Whether a header brings a key of its own, or asks for more than is understood.
    pub(crate) const fn asks_for_more(&self) -> bool {
        let brings_a_key = self.jku.is_some() || self.jwk.is_some() || self.x5u.is_some() || self.x5c.is_some();
        brings_a_key || self.crit.is_some() || self.cty.is_some() || self.enc.is_some() || self.zip.is_some()
    }
}

/// One of those that anybody here takes. Never a symmetric one: whoever can check it could make it.
fn algorithm<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
    #[derive(Deserialize)]
    enum Named {
        RS256,
        ES256,
        /// RFC 9864 §2.2 calls it by its curve, which is the only one that we take.
        #[serde(alias = "Ed25519")]
        EdDSA,
    }
    Named::deserialize(deserializer).map(|named| match named {
        Named::RS256 => Algorithm::RS256,
        Named::ES256 => Algorithm::ES256,
        Named::EdDSA => Algorithm::EdDSA,
    })
}

#[cfg(test)]
mod tests;
