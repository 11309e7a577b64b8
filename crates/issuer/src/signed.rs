//! What is signed, and the keys by which anybody can check it (RFC 7517). The keys go with those of the key file: rotating
//! it makes others current, and retiring a key of it ends those that went with it.

use std::sync::Arc;

use bytes::Bytes;
use fuuffy_domain::{ClientId, SigningSeeds, Timestamp};
use fuuffy_protocol::{Introspection, Refusal};
use http::Response;
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::Issuer;

/// What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410 §7).
const PKCS8: [u8; 16] = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
/// What stands before the 32 bytes of a P-256 private key in PKCS #8, its public half left out (RFC 5915 §3, RFC 5958 §2).
const PKCS8_P256: [u8; 35] = [
    48, 65, 2, 1, 0, 48, 19, 6, 7, 42, 134, 72, 206, 61, 2, 1, 6, 8, 42, 134, 72, 206, 61, 3, 1, 7, 4, 39, 48, 37, 2,
    1, 1, 4, 32,
];
/// The type of a signed introspection (RFC 9701 §5), so that it is taken for no other kind of JWT.
const TYPE: &str = "token-introspection+jwt";
/// Seconds that a caller is told to wait where signing failed.
const SIGNING_RETRY: u64 = 1;

/// What something is signed by (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA by PKCS #1 v1.5, which all that verify JWTs must know (RFC 9068 §2.1).
    Rs256,
}

impl SigningAlgorithm {
    /// Reads what [`SigningAlgorithm::name`] gives.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Es256, Self::EdDsa, Self::Rs256].into_iter().find(|known| known.name() == text)
    }

    /// The value of `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }
}

/// The claims of a signed introspection (RFC 9701 §5): none of its own that could make it pass for an access token.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    token_introspection: Value,
}

impl Issuer {
    /// An introspection for whoever asked, signed by the current key.
    pub(crate) fn signed(
        &self,
        asker: &ClientId,
        now: Timestamp,
        told: &Introspection,
    ) -> std::result::Result<Response<Bytes>, Refusal> {
        let claims = Claims {
            iss: self.identifiers.issuer(),
            aud: asker.as_str(),
            iat: now.unix_seconds(),
            token_introspection: told.to_value(),
        };
        let seeds = self.keyring.signing_seeds();
        let current = seeds.first().ok_or(Refusal::ServiceUnavailable(SIGNING_RETRY))?;
        Ok(Introspection::signed_response(self.sign(current, self.answer_signing, TYPE, &claims)?))
    }

    /// A JWT of a type, signed by a key of those that go with one of the key file.
    pub(crate) fn sign(
        &self,
        seeds: &SigningSeeds,
        algorithm: SigningAlgorithm,
        kind: &str,
        claims: &impl Serialize,
    ) -> std::result::Result<String, Refusal> {
        let pair = match algorithm {
            SigningAlgorithm::Es256 => p256_pair(&seeds.p256).map(Arc::new),
            SigningAlgorithm::EdDsa => ed25519_pair(&seeds.ed25519).map(Arc::new),
            SigningAlgorithm::Rs256 => {
                self.rsa.beside(seeds.key).ok_or_else(|| ErrorKind::InvalidRsaKey("there is none".to_owned()).into())
            }
        };
        pair.and_then(|pair| pair.sign(kind, claims)).map_err(|error| {
            tracing::error!(%error, kind, "What was to be signed could not be");
            Refusal::ServiceUnavailable(SIGNING_RETRY)
        })
    }

    /// The public keys (RFC 7517 §5): of each kind the current one first.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub fn public_keys(&self) -> std::result::Result<Bytes, Refusal> {
        let seeds = self.keyring.signing_seeds();
        let made = seeds.iter().map(|seeds| ed25519_pair(&seeds.ed25519));
        let made = made.chain(seeds.iter().map(|seeds| p256_pair(&seeds.p256)));
        let keys: Result<Vec<Jwk>> = made.map(|pair| Ok(pair?.public)).collect();
        let keys = keys.and_then(|mut keys| {
            keys.extend(self.rsa.public(seeds.iter().map(|seeds| seeds.key)));
            Ok(serde_json::to_vec(&JwkSet { keys })?)
        });
        keys.map(Bytes::from).map_err(|error| {
            tracing::error!(%error, "The public keys could not be written down");
            Refusal::ServiceUnavailable(SIGNING_RETRY)
        })
    }
}

/// A key and its public half.
pub(crate) struct Pair {
    algorithm: Algorithm,
    key: EncodingKey,
    pub(crate) public: Jwk,
}

fn ed25519_pair(seed: &Zeroizing<[u8; 32]>) -> Result<Pair> {
    let mut der = Zeroizing::new([0; 48]);
    der[..16].copy_from_slice(&PKCS8);
    der[16..].copy_from_slice(seed.as_slice());
    Pair::new(EncodingKey::from_ed_der(der.as_slice()), Algorithm::EdDSA)
}

fn p256_pair(seed: &Zeroizing<[u8; 32]>) -> Result<Pair> {
    let mut der = Zeroizing::new([0; 67]);
    der[..35].copy_from_slice(&PKCS8_P256);
    der[35..].copy_from_slice(seed.as_slice());
    Pair::new(EncodingKey::from_ec_der(der.as_slice()), Algorithm::ES256)
}

impl Pair {
    /// The public half has the name that follows from it (RFC 7638).
    pub(crate) fn new(key: EncodingKey, algorithm: Algorithm) -> Result<Self> {
        let mut public = Jwk::from_encoding_key(&key, algorithm)?;
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256)?);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { algorithm, key, public })
    }

    fn sign(&self, kind: &str, claims: &impl Serialize) -> Result<String> {
        let mut header = Header::new(self.algorithm);
        header.typ = Some(kind.to_owned());
        header.kid.clone_from(&self.public.common.key_id);
        encode(&header, claims, &self.key)
    }
}
