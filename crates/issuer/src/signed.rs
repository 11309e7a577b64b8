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
        let signed = self.keyring.signing_seeds().first().map(|seed| sign(seed, TYPE, &claims));
        match signed {
            Some(Ok(jws)) => Ok(Introspection::signed_response(jws)),
            Some(Err(error)) => {
                tracing::error!(%error, "An introspection could not be signed");
                Err(Refusal::ServiceUnavailable(SIGNING_RETRY))
            }
            None => Err(Refusal::ServiceUnavailable(SIGNING_RETRY)),
        }
    }

    /// The public keys (RFC 7517 §5), the current one first.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub fn public_keys(&self) -> std::result::Result<Bytes, Refusal> {
        let keys: Result<Vec<Jwk>> = self.keyring.signing_seeds().iter().map(|seed| Ok(key_pair(seed)?.1)).collect();
        let keys = keys.and_then(|keys| Ok(serde_json::to_vec(&JwkSet { keys })?));
        keys.map(Bytes::from).map_err(|error| {
            tracing::error!(%error, "The public keys could not be written down");
            Refusal::ServiceUnavailable(SIGNING_RETRY)
        })
    }
}

/// A JWT of a type, signed by the key that follows from a seed.
pub(crate) fn sign(seed: &Zeroizing<[u8; 32]>, kind: &str, claims: &impl Serialize) -> Result<String> {
    let (key, public) = key_pair(seed)?;
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(kind.to_owned());
    header.kid = public.common.key_id;
    encode(&header, claims, &key)
}

/// A key, and its public half under the name that follows from it (RFC 7638).
fn key_pair(seed: &Zeroizing<[u8; 32]>) -> Result<(EncodingKey, Jwk)> {
    let mut der = Zeroizing::new([0; 48]);
    der[..16].copy_from_slice(&PKCS8);
    der[16..].copy_from_slice(seed.as_slice());
    let key = EncodingKey::from_ed_der(der.as_slice());
    let mut public = Jwk::from_encoding_key(&key, Algorithm::EdDSA)?;
    public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256)?);
    public.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok((key, public))
}
