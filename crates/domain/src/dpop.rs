//! Proofs that whoever sends a request holds a key (RFC 9449 §4): read, checked, and used once. Signatures are checked by a
//! library, and everything else here, by our own clock. Knows nothing of tokens but the key that one is bound to.

mod claims;
mod key;
mod target;
mod used;

use std::sync::Arc;

use fuuffy_protocol::{AccessToken, BoundTokenFault, ProofFault, ProofField, ProofPlace, Refusal};
use http::Method;

use crate::{Binding, Keyring, ProvenKey, Timestamp};

use claims::ReadProof;
pub use claims::{AHEAD, BEHIND};
use target::Target;
use used::UsedProofs;
pub use used::{KEPT, MOST_USED};

/// What checks the proofs of one environment.
pub struct Proofs {
    keyring: Arc<Keyring>,
    origin: Target,
    nonces: NonceUse,
    used: UsedProofs,
}

/// When a proof must have a nonce of the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceUse {
    /// Where nothing else tells that it was not used before: after a start, or after more proofs than are remembered.
    WhereNeeded,
    /// Always, so that no proof can be made beforehand (RFC 9449 §11.2).
    Always,
}

/// The request that a proof must be for.
#[derive(Debug, Clone, Copy)]
pub struct Proving<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path.
    pub path: &'a str,
    /// The token that it bears and the key that this is bound to, where it bears one.
    pub token: Option<(&'a AccessToken, Option<&'a Binding>)>,
    /// When.
    pub now: Timestamp,
}

/// A proof that was right, and is used up.
#[derive(Debug)]
pub struct UsedProof {
    /// The key that was proven.
    pub key: ProvenKey,
    /// A nonce for the next proof, where the one that was used ends soon (RFC 9449 §8.2).
    pub next_nonce: Option<String>,
}

/// Why a proof was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofRefusal {
    /// It proves nothing.
    Fault(ProofFault),
    /// It may be right, and must have this nonce.
    UseNonce(String),
}

impl ProofRefusal {
    /// What is wrong.
    #[must_use]
    pub const fn fault(&self) -> ProofFault {
        match self {
            Self::Fault(fault) => *fault,
            Self::UseNonce(_) => ProofFault::Nonce,
        }
    }

    /// The refusal of a request with it.
    #[must_use]
    pub fn at(self, place: ProofPlace) -> Refusal {
        match self {
            Self::Fault(ProofFault::OtherKey) => Refusal::InvalidBoundToken(BoundTokenFault::OtherKey),
            Self::Fault(ProofFault::Unbound) => Refusal::InvalidBoundToken(BoundTokenFault::Unbound),
            Self::Fault(fault) => Refusal::InvalidProof(place, fault),
            Self::UseNonce(nonce) => Refusal::UseNonce(place, nonce),
        }
    }
}

impl From<ProofFault> for ProofRefusal {
    fn from(fault: ProofFault) -> Self {
        Self::Fault(fault)
    }
}

impl Proofs {
    /// For what is called by a base URL. Nothing is known of proofs that were used before `start`.
    #[must_use]
    pub fn new(base_url: &str, keyring: Arc<Keyring>, nonces: NonceUse, start: Timestamp) -> Self {
        // A base URL that cannot be read is met by no proof.
        let origin = Target::parse(base_url).unwrap_or_default();
        Self { keyring, origin, nonces, used: UsedProofs::new(start, MOST_USED) }
    }

    /// What its nonces are made with.
    #[must_use]
    pub const fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Checks the proof of a request, and uses it up. Where the request bears a token, the cheap checks and the key come
    /// before the signature: whoever has no such token makes nobody work.
    ///
    /// # Errors
    /// [`ProofRefusal`]; the proof is not used up then.
    pub fn prove(&self, field: ProofField<'_>, asked: Proving<'_>) -> Result<UsedProof, ProofRefusal> {
        let proof = match field {
            ProofField::Missing => return Err(ProofFault::Missing.into()),
            ProofField::Unreadable => return Err(ProofFault::Repeated.into()),
            ProofField::Unverified(text) => ReadProof::read(text)?,
        };
        proof.check_request(asked.method, &self.origin.at(asked.path))?;
        if let Some((token, bound)) = asked.token {
            proof.check_token(token)?;
            match bound {
                None => return Err(ProofFault::Unbound.into()),
                Some(binding) if binding.is_key(proof.thumbprint()) => {}
                Some(_) => return Err(ProofFault::OtherKey.into()),
            }
        }
        let made = self.check_time(&proof, asked.now)?;
        proof.check_signature()?;
        let is_first = self.used.note(proof.digest(), made, asked.now).map_err(|_| self.ask_for_nonce(asked.now))?;
        if !is_first {
            return Err(ProofFault::Replayed.into());
        }
        let next_nonce = match made {
            Made::WithNonce(at) if asked.now >= at.after(KEPT / 2) => Some(self.keyring.nonce(asked.now)),
            _ => None,
        };
        Ok(UsedProof { key: ProvenKey::new(proof.thumbprint()), next_nonce })
    }

    /// When it was made, as its nonce says, which counts more than the clock of whoever made it (RFC 9449 §4.3), or else by
    /// its own word.
    fn check_time(&self, proof: &ReadProof<'_>, now: Timestamp) -> Result<Made, ProofRefusal> {
        let Some(nonce) = proof.nonce() else {
            return match self.nonces {
                NonceUse::Always => Err(self.ask_for_nonce(now)),
                NonceUse::WhereNeeded => Ok(Made::AtItsWord(proof.made_at(now)?)),
            };
        };
        proof.time(now)?;
        let given = self.keyring.nonce_given_at(nonce).filter(|given| *given <= now && now < given.after(KEPT));
        given.map(Made::WithNonce).ok_or_else(|| self.ask_for_nonce(now))
    }

    #[cold]
    fn ask_for_nonce(&self, now: Timestamp) -> ProofRefusal {
        ProofRefusal::UseNonce(self.keyring.nonce(now))
    }
}

/// What tells when a proof was made.
#[derive(Debug, Clone, Copy)]
enum Made {
    /// After a nonce was given.
    WithNonce(Timestamp),
    /// By its own `iat`.
    AtItsWord(Timestamp),
}

#[cfg(test)]
mod tests;
