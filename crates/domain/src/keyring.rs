//! Keyed digests: what is kept instead of a secret or a token.
//!
//! HMAC-SHA-256 (RFC 2104, FIPS 198-1) under a key that lives outside the database. Every digest is
//! stored with the id of its key, so that the key can be changed while older digests still work.

use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use fuuffy_protocol::{AccessToken, ClientSecret};

use crate::{Entropy, EnvironmentName, KeyId, NoEntropy, Seal, SecretId, Timestamp};

/// What is kept of a client secret: all 256 bits.
#[derive(Clone, Copy)]
pub struct SecretDigest {
    /// The key that made it.
    pub key: KeyId,
    /// HMAC-SHA-256.
    pub bytes: [u8; 32],
}

impl SecretDigest {
    /// Compares in constant time; digests of different keys are different.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        (self.key.0.ct_eq(&other.key.0) & self.bytes.ct_eq(&other.bytes)).into()
    }
}

impl std::fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretDigest(key {})", self.key.0)
    }
}

/// What is kept of a token: HMAC-SHA-256 truncated to 128 bits (RFC 2104 §5).
pub type TokenDigest = [u8; 16];

/// The keys of one environment, the current one first. Whoever shares it sees it change at once.
pub struct Keyring {
    environment: EnvironmentName,
    keys: ArcSwap<Vec<DerivedKeys>>,
}

struct DerivedKeys {
    id: KeyId,
    secrets: Hmac<Sha256>,
    tokens: Hmac<Sha256>,
    answers: Hmac<Sha256>,
    signing: SigningSeeds,
    nonces: Hmac<Sha256>,
    kept: Zeroizing<[u8; 32]>,
}

/// What the keys that sign are made of, beside one key of the key file.
#[derive(Clone)]
pub struct SigningSeeds {
    /// The key that they follow from.
    pub key: KeyId,
    /// Of an Ed25519 key (RFC 8032 §5.1.5).
    pub ed25519: Zeroizing<[u8; 32]>,
    /// Of a key on P-256: the private key as it is.
    pub p256: Zeroizing<[u8; 32]>,
}

/// What an answer that is kept for an idempotency key is found by, and what it is sealed with. Both follow
/// from the key itself, which is kept nowhere.
pub struct AnswerKey {
    /// What it is found by.
    pub name: [u8; 32],
    /// What it is sealed with.
    pub seal: Seal,
}

/// Keys that cannot make a keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyringFault {
    /// There is no key at all.
    #[error("there is no key")]
    Empty,
    /// Two keys have one id.
    #[error("two keys have the same id")]
    Repeated,
    /// A key is not the one that was known under its id.
    #[error("a key is another one than before")]
    Changed,
}

impl Keyring {
    /// Derives the keys of one environment from the master keys of the key file, the current one
    /// first. One environment's keys tell nothing about the other's.
    ///
    /// # Errors
    /// [`KeyringFault`]
    pub fn derive(environment: EnvironmentName, master: &[(KeyId, Zeroizing<[u8; 32]>)]) -> Result<Self, KeyringFault> {
        Ok(Self { environment, keys: ArcSwap::from_pointee(derived(environment, master)?) })
    }

    /// Puts other keys in force, the current one first: the next digest is made with them.
    ///
    /// # Errors
    /// [`KeyringFault`]; then the keys from before stay in force.
    pub fn replace(&self, master: &[(KeyId, Zeroizing<[u8; 32]>)]) -> Result<(), KeyringFault> {
        let (known, new) = (self.keys.load(), derived(self.environment, master)?);
        let is_another = |new: &DerivedKeys| known.iter().any(|known| known.id == new.id && !known.makes_the_same(new));
        if new.iter().any(is_another) {
            return Err(KeyringFault::Changed);
        }
        self.keys.store(Arc::new(new));
        Ok(())
    }

    /// The key that new digests are made with.
    #[must_use]
    pub fn current(&self) -> KeyId {
        self.keys.load()[0].id
    }

    /// The ids of all keys, the current one first.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys.load().iter().map(|keys| keys.id).collect()
    }

    /// A new secret: in clear for its holder, and its id and digest under the current key to keep.
    ///
    /// # Errors
    /// [`NoEntropy`]
    pub fn new_secret(
        &self,
        environment: EnvironmentName,
        entropy: &dyn Entropy,
    ) -> Result<(ClientSecret, SecretId, SecretDigest), NoEntropy> {
        let mut id = [0; 12];
        entropy.fill(&mut id)?;
        let mut random = Zeroizing::new([0; 32]);
        entropy.fill(&mut *random)?;
        let secret = ClientSecret::from_random(environment.secret_kind(), &mut random);
        let digest = self.secret_digests(&secret).swap_remove(0);
        Ok((secret, SecretId::from_random(id), digest))
    }

    /// The digest of a secret under every key, the current one first: as many as there are keys,
    /// whatever the secret is.
    #[must_use]
    pub fn secret_digests(&self, secret: &ClientSecret) -> Vec<SecretDigest> {
        let digest = |keys: &DerivedKeys| SecretDigest {
            key: keys.id,
            bytes: keys.secrets.clone().chain_update(secret.reveal()).finalize().into_bytes().into(),
        };
        self.keys.load().iter().map(digest).collect()
    }

    /// The digest of a new token, and the key that made it: the current one.
    #[must_use]
    pub fn token_digest(&self, token: &AccessToken) -> (KeyId, TokenDigest) {
        let keys = self.keys.load();
        (keys[0].id, keys[0].token(token))
    }

    /// A new token that may be signed, and its digest: both by one key, so that a key which nothing is kept under has
    /// signed nothing that is still good.
    ///
    /// # Errors
    /// What the maker says.
    pub fn new_token<E>(
        &self,
        make: impl FnOnce(&SigningSeeds) -> Result<AccessToken, E>,
    ) -> Result<(AccessToken, KeyId, TokenDigest), E> {
        let keys = self.keys.load();
        let token = make(&keys[0].signing)?;
        let digest = keys[0].token(&token);
        Ok((token, keys[0].id, digest))
    }

    /// The digests of a token under every key, the current one first.
    pub fn token_digests(&self, token: &AccessToken) -> impl Iterator<Item = TokenDigest> {
        let keys = self.keys.load();
        (0..keys.len()).map(move |place| keys[place].token(token))
    }

    /// What the keys that sign are made of, those of the current one first. A key that is retired is no longer among them.
    #[must_use]
    pub fn signing_seeds(&self) -> Vec<SigningSeeds> {
        self.keys.load().iter().map(|keys| keys.signing.clone()).collect()
    }

    /// What is sealed with that does not follow from a key and so must be kept: one seal for each key, the current one first.
    /// What a thing is, is said as it is sealed.
    #[must_use]
    pub fn seals(&self) -> Vec<(KeyId, Seal)> {
        self.keys.load().iter().map(DerivedKeys::seal).collect()
    }

    /// The current one of them.
    #[must_use]
    pub fn seal(&self) -> (KeyId, Seal) {
        self.keys.load()[0].seal()
    }

    /// A nonce for proofs (RFC 9449 §8): the time, and what only the current key makes of it. Nothing of it is kept.
    #[must_use]
    pub fn nonce(&self, now: Timestamp) -> String {
        let time = now.unix_millis().to_be_bytes();
        let whole = self.keys.load()[0].nonces.clone().chain_update(time).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&time[..], &whole[..16]].concat())
    }

    /// When a nonce was given, if it is one of ours.
    #[must_use]
    pub fn nonce_given_at(&self, nonce: &str) -> Option<Timestamp> {
        let mut bytes = [0; 24];
        let length = URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes).ok()?;
        let (time, tag) = bytes.get(..length)?.split_first_chunk::<8>()?;
        let is_ours = |keys: &DerivedKeys| {
            tag.len() == 16 && keys.nonces.clone().chain_update(time).verify_truncated_left(tag).is_ok()
        };
        self.keys.load().iter().any(is_ours).then(|| Timestamp::from_unix_millis(i64::from_be_bytes(*time)))
    }

    /// The keys of an answer to `who`, who said the idempotency key `said`, under every key, the current one
    /// first. Neither the name nor the seal can be made without `said`.
    pub fn answer_keys(&self, who: &str, said: &str) -> impl Iterator<Item = AnswerKey> {
        let keys = self.keys.load();
        (0..keys.len()).map(move |place| {
            let of = |purpose: &str| -> [u8; 32] {
                // No part has the byte that parts them.
                keys[place].answers.clone().chain_update([purpose, who, said].join("\n")).finalize().into_bytes().into()
            };
            AnswerKey { name: of("name"), seal: Seal::new(of("seal")) }
        })
    }
}

impl DerivedKeys {
    fn token(&self, token: &AccessToken) -> TokenDigest {
        let whole: [u8; 32] = self.tokens.clone().chain_update(token.reveal()).finalize().into_bytes().into();
        let mut truncated = [0; 16];
        truncated.copy_from_slice(&whole[..16]);
        truncated
    }

    fn seal(&self) -> (KeyId, Seal) {
        (self.id, Seal::new(*self.kept))
    }

    fn makes_the_same(&self, other: &Self) -> bool {
        let of_nothing = |keys: &Self| keys.secrets.clone().finalize().into_bytes();
        of_nothing(self) == of_nothing(other)
    }
}

/// What tells one key of a key file from another, and nothing about the key.
#[must_use]
pub fn key_fingerprint(master: &Zeroizing<[u8; 32]>) -> [u8; 8] {
    let whole: [u8; 32] = mac(master.as_slice()).chain_update("fuuffy 1 fingerprint").finalize().into_bytes().into();
    let mut truncated = [0; 8];
    truncated.copy_from_slice(&whole[..8]);
    truncated
}

fn derived(
    environment: EnvironmentName,
    master: &[(KeyId, Zeroizing<[u8; 32]>)],
) -> Result<Vec<DerivedKeys>, KeyringFault> {
    if master.is_empty() {
        return Err(KeyringFault::Empty);
    }
    let mut keys: Vec<DerivedKeys> = Vec::with_capacity(master.len());
    for (id, key) in master {
        if keys.iter().any(|known| known.id == *id) {
            return Err(KeyringFault::Repeated);
        }
        let derived = |purpose: &str| {
            let label = format!("fuuffy 1 {environment} {purpose}");
            Zeroizing::new(<[u8; 32]>::from(mac(key.as_slice()).chain_update(label).finalize().into_bytes()))
        };
        let [secrets, tokens, answers, nonces] =
            ["secrets", "tokens", "answers", "nonces"].map(|purpose| mac(derived(purpose).as_slice()));
        // Below 2^255, so that it is below the order of P-256, too.
        let mut p256 = derived("signing tokens");
        p256[0] &= 0x7f;
        let (signing, kept) = (SigningSeeds { key: *id, ed25519: derived("signing"), p256 }, derived("kept"));
        keys.push(DerivedKeys { id: *id, secrets, tokens, answers, signing, nonces, kept });
    }
    Ok(keys)
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests;
