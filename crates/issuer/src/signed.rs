//! Answers that are signed (RFC 9701), and the keys by which anybody can check them (RFC 7517). The keys follow from the
//! key file: rotating it makes another one current, and retiring a key of it ends the one that came from it.

use bytes::Bytes;
use fuuffy_domain::{ClientId, Timestamp};
use fuuffy_protocol::{Introspection, Refusal};
use http::Response;
use jsonwebtoken::errors::Result;
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
        let signed = self.keyring.signing_seeds().first().map(|seed| sign(key_pair(seed), TYPE, &claims));
        match signed {
            Some(Ok(jws)) => Ok(Introspection::signed_response(jws)),
            Some(Err(error)) => {
                tracing::error!(%error, "An introspection could not be signed");
                Err(Refusal::ServiceUnavailable(SIGNING_RETRY))
            }
            None => Err(Refusal::ServiceUnavailable(SIGNING_RETRY)),
        }
    }

    /// The public keys (RFC 7517 §5): those of signed answers, the current one first, and then those of tokens alike.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub fn public_keys(&self) -> std::result::Result<Bytes, Refusal> {
        let (answers, tokens) = (self.keyring.signing_seeds(), self.keyring.token_signing_seeds());
        let pairs = answers.iter().map(key_pair).chain(tokens.iter().map(token_key_pair));
        let keys: Result<Vec<Jwk>> = pairs.map(|pair| Ok(pair?.public)).collect();
        let keys = keys.and_then(|keys| Ok(serde_json::to_vec(&JwkSet { keys })?));
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
    public: Jwk,
}

/// A JWT of a type.
pub(crate) fn sign(pair: Result<Pair>, kind: &str, claims: &impl Serialize) -> Result<String> {
    let Pair { algorithm, key, public } = pair?;
    let mut header = Header::new(algorithm);
    header.typ = Some(kind.to_owned());
    header.kid = public.common.key_id;
    encode(&header, claims, &key)
}

/// The key of answers (Ed25519).
fn key_pair(seed: &Zeroizing<[u8; 32]>) -> Result<Pair> {
    let mut der = Zeroizing::new([0; 48]);
    der[..16].copy_from_slice(&PKCS8);
    der[16..].copy_from_slice(seed.as_slice());
    Pair::new(EncodingKey::from_ed_der(der.as_slice()), Algorithm::EdDSA)
}

/// The key of tokens (P-256): by ES256, which more libraries take without being told to.
pub(crate) fn token_key_pair(seed: &Zeroizing<[u8; 32]>) -> Result<Pair> {
    let mut der = Zeroizing::new([0; 67]);
    der[..35].copy_from_slice(&PKCS8_P256);
    der[35..].copy_from_slice(seed.as_slice());
    Pair::new(EncodingKey::from_ec_der(der.as_slice()), Algorithm::ES256)
}

impl Pair {
    /// The public half has the name that follows from it (RFC 7638).
    fn new(key: EncodingKey, algorithm: Algorithm) -> Result<Self> {
        let mut public = Jwk::from_encoding_key(&key, algorithm)?;
        public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256)?);
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { algorithm, key, public })
    }
}
