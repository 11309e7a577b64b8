//! Signed checkpoints of the audit log: what nobody can make who can only write the database.
//!
//! A checkpoint says how the chain stood at one record, under Ed25519 (RFC 8032) by a key that lives outside
//! of the database. Whoever has the public key can check it, and whoever keeps a checkpoint elsewhere can show
//! that the log was cut. It is one line of JSON.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{AuditHash, EnvironmentName, KeyId, KeyringFault, Timestamp};

/// What a signed text begins with, so that it is a signature of nothing else.
const LABEL: &str = "fuuffy audit checkpoint 1";

/// How the chain stands at a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainState {
    /// Whose log.
    pub environment: EnvironmentName,
    /// The number of the record; zero before the first.
    pub sequence: i64,
    /// Its link.
    pub hash: AuditHash,
    /// When it stood so.
    pub at: Timestamp,
    /// By which rule all records up to this one were removed, if they were.
    pub removed_by: Option<String>,
}

/// A state of the chain, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// What is signed.
    pub state: ChainState,
    /// By which key.
    pub key: KeyId,
    /// Ed25519.
    pub signature: [u8; 64],
}

/// The audit keys of one environment, the current one first.
#[derive(Clone)]
pub struct AuditKeys {
    environment: EnvironmentName,
    keys: Vec<(KeyId, SigningKey)>,
}

/// A key that checkpoints are checked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPublicKey {
    /// Its id, where that is known.
    pub id: Option<KeyId>,
    key: VerifyingKey,
}

/// A checkpoint as a line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    checkpoint: Written,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    environment: EnvironmentName,
    seq: i64,
    hash: String,
    at: String,
    key: KeyId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed_by: Option<String>,
    signature: String,
}

impl ChainState {
    fn signed_text(&self, key: KeyId) -> String {
        let Self { environment, sequence, hash, at, removed_by } = self;
        let (hash, millis, id) = (to_hex(hash), at.unix_millis(), key.0);
        let removed_by = removed_by.as_deref().unwrap_or_default();
        format!("{LABEL}\n{environment}\n{sequence}\n{hash}\n{millis}\n{id}\n{removed_by}")
    }
}

impl Checkpoint {
    /// Whether one of these keys signed it.
    #[must_use]
    pub fn is_signed_by(&self, keys: &[AuditPublicKey]) -> bool {
        let text = self.state.signed_text(self.key);
        let signature = Signature::from_bytes(&self.signature);
        let fits = |key: &&AuditPublicKey| key.id.is_none_or(|id| id == self.key);
        keys.iter().filter(fits).any(|key| key.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }

    /// The checkpoint as a line of JSON, without its end.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Self { state, key, signature } = self;
        let checkpoint = Written {
            environment: state.environment,
            seq: state.sequence,
            hash: to_hex(&state.hash),
            at: state.at.to_string(),
            key: *key,
            removed_by: state.removed_by.clone(),
            signature: to_hex(signature),
        };
        serde_json::to_string(&Line { checkpoint }).expect("a checkpoint has nothing that JSON has not")
    }

    /// Reads a line. `None`: it is not a checkpoint.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let Line { checkpoint } = serde_json::from_str(line).ok()?;
        let at: jiff::Timestamp = checkpoint.at.parse().ok()?;
        let state = ChainState {
            environment: checkpoint.environment,
            sequence: checkpoint.seq,
            hash: from_hex(&checkpoint.hash)?,
            at: Timestamp::from_unix_millis(at.as_millisecond()),
            removed_by: checkpoint.removed_by,
        };
        Some(Self { state, key: checkpoint.key, signature: from_hex(&checkpoint.signature)? })
    }
}

impl AuditKeys {
    /// Derives the keys of one environment from the master keys of the key file, the current one first.
    ///
    /// # Errors
    /// [`KeyringFault`]
    pub fn derive(environment: EnvironmentName, master: &[(KeyId, Zeroizing<[u8; 32]>)]) -> Result<Self, KeyringFault> {
        if master.is_empty() {
            return Err(KeyringFault::Empty);
        }
        let mut keys: Vec<(KeyId, SigningKey)> = Vec::with_capacity(master.len());
        for (id, key) in master {
            if keys.iter().any(|(known, _)| known == id) {
                return Err(KeyringFault::Repeated);
            }
            let mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length");
            let label = format!("fuuffy 1 {environment} audit");
            let seed = Zeroizing::new(<[u8; 32]>::from(mac.chain_update(label).finalize().into_bytes()));
            keys.push((*id, SigningKey::from_bytes(&seed)));
        }
        Ok(Self { environment, keys })
    }

    /// Whose they are.
    #[must_use]
    pub const fn environment(&self) -> EnvironmentName {
        self.environment
    }

    /// Signs a state of the chain with the current key.
    #[must_use]
    pub fn sign(&self, state: ChainState) -> Checkpoint {
        sign(&self.keys[0], state)
    }

    /// Signs a state of the chain with one of the keys. `None`: that is none of them.
    #[must_use]
    pub fn sign_with(&self, id: KeyId, state: ChainState) -> Option<Checkpoint> {
        self.keys.iter().find(|(known, _)| *known == id).map(|key| sign(key, state))
    }

    /// The same keys, where another one is the current one. `None`: it is none of them.
    #[must_use]
    pub fn with_current(&self, id: KeyId) -> Option<Self> {
        let place = self.keys.iter().position(|(known, _)| *known == id)?;
        let mut keys = self.keys.clone();
        keys[..=place].rotate_right(1);
        Some(Self { environment: self.environment, keys })
    }

    /// What new checkpoints are checked by.
    #[must_use]
    pub fn current(&self) -> (KeyId, AuditPublicKey) {
        let (id, key) = &self.keys[0];
        (*id, AuditPublicKey { id: Some(*id), key: key.verifying_key() })
    }

    /// What their checkpoints are checked by, the current key first.
    #[must_use]
    pub fn public(&self) -> Vec<AuditPublicKey> {
        let public = |(id, key): &(KeyId, SigningKey)| AuditPublicKey { id: Some(*id), key: key.verifying_key() };
        self.keys.iter().map(public).collect()
    }
}

fn sign((key, signing): &(KeyId, SigningKey), state: ChainState) -> Checkpoint {
    let signature = signing.sign(state.signed_text(*key).as_bytes()).to_bytes();
    Checkpoint { state, key: *key, signature }
}

impl std::fmt::Debug for AuditKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

impl AuditPublicKey {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(digits: &str) -> Option<Self> {
        Some(Self { id: None, key: VerifyingKey::from_bytes(&from_hex(digits)?).ok()? })
    }

    /// The same for the checkpoints of one key alone.
    #[must_use]
    pub fn named(self, id: KeyId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The key as 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        to_hex(self.key.as_bytes())
    }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// So many bytes from hexadecimal digits, and nothing else.
#[must_use]
pub fn from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}
