//! The public keys of a client, and the proof that something is signed by one of them.

use std::sync::Arc;

use thiserror::Error;

use crate::{AuthenticatedClient, Client, ClientKeyId, LastUse, Timestamp};

/// Keys that a client may have at once, so that one can be replaced while the other works.
pub const MAX_CLIENT_KEYS: usize = 3;

/// A public key that a client's assertions are checked by (RFC 7523 §3).
#[derive(Debug, Clone)]
pub struct ClientKey {
    /// The key's thumbprint (RFC 7638), which says which key it is.
    pub id: ClientKeyId,
    /// What its holder calls it, if anything (RFC 7517 §4.5). No two keys of a client are called alike.
    pub kid: Option<Arc<str>>,
    /// What it is for.
    pub algorithm: KeyAlgorithm,
    /// The key, as a JWK of the members that make it up and no others.
    pub jwk: Arc<str>,
    /// When it was added.
    pub created_at: Timestamp,
    /// The last assertion that was taken by it.
    pub last_use: Option<LastUse>,
    /// How many assertions were taken by it.
    pub use_count: u64,
}

/// What a key signs by. There is no other way, and so none that a sender could choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// Ed25519 (RFC 8037 §3.1).
    EdDsa,
    /// RSA by PKCS #1 v1.5 with SHA-256 (RFC 7518 §3.3), which RFC 7523 §5 has everybody know.
    Rs256,
}

impl KeyAlgorithm {
    /// The value of `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// By the value of `alg`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Es256, Self::EdDsa, Self::Rs256].into_iter().find(|known| known.as_str() == text)
    }
}

impl ClientKey {
    /// Whether it is meant by a `kid`: by its thumbprint, or by what its holder calls it.
    #[must_use]
    pub fn is_called(&self, kid: &str) -> bool {
        self.id.as_str() == kid || self.kid.as_deref() == Some(kid)
    }
}

/// Why nobody has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureFailure {
    /// The client has no such key, or there is no such client.
    #[error("the client has no such key")]
    NoKey,
    /// It is not signed by that key.
    #[error("the signature is not by a key of the client")]
    Wrong,
}

impl Client {
    /// Looks for the key that something is signed by: the one that is called `kid`, or any of the client's where none is
    /// named, of this algorithm alone. `published` are those that the client publishes; where it publishes none, its
    /// registered ones are meant. An unknown client is passed as `None`, and to refuse it costs the same: `is_signed_by` is
    /// asked once where a key is named and [`MAX_CLIENT_KEYS`] times where none is, about `None` where there is no key. It
    /// ends with the key that is found, which tells nothing to anybody but its holder.
    ///
    /// # Errors
    /// [`SignatureFailure`]
    pub fn authenticate_by_key(
        client: Option<&Arc<Self>>,
        published: Option<&[ClientKey]>,
        (kid, algorithm): (Option<&str>, KeyAlgorithm),
        is_signed_by: impl Fn(Option<&ClientKey>) -> bool,
    ) -> Result<AuthenticatedClient, SignatureFailure> {
        let keys = published.or(client.map(|client| &client.keys[..])).unwrap_or_default();
        let is_meant = |key: &&ClientKey| key.algorithm == algorithm && kid.is_none_or(|kid| key.is_called(kid));
        let mut meant = keys.iter().filter(is_meant);
        let (mut failure, mut found) = (SignatureFailure::NoKey, None);
        for _ in 0..if kid.is_some() { 1 } else { MAX_CLIENT_KEYS } {
            let key = meant.next();
            if key.is_some() {
                failure = SignatureFailure::Wrong;
            }
            if is_signed_by(key) && key.is_some() {
                found = key;
                break;
            }
        }
        match (client, found) {
            (Some(client), Some(key)) => Ok(AuthenticatedClient::by_key(Arc::clone(client), key.id.clone())),
            _ => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests;
