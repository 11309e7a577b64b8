//! What a token may be bound to (RFC 7800), so that it is of no use to whoever has it and nothing else.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy_protocol::{Confirmation, TokenType};
use subtle::ConstantTimeEq as _;

use crate::PresentedCertificate;

/// SHA-256 of a public key (RFC 7638) or of a certificate (RFC 8705 §3.1). Nothing secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint(pub [u8; 32]);

/// The key that a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// The key of its proofs: `jkt` (RFC 9449 §6.1).
    DpopKey(Thumbprint),
    /// The certificate of its connections: `x5t#S256` (RFC 8705 §3.1).
    Certificate(Thumbprint),
}

/// What kind of key a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingKind {
    /// The key of its proofs (RFC 9449).
    DpopKey,
    /// The certificate of its connections (RFC 8705 §3).
    Certificate,
}

/// Proof that whoever sends a request holds a key: a proof that it has signed, for this request and never used before.
/// Made only by what checks such proofs.
#[derive(Debug)]
pub struct ProvenKey(Thumbprint);

impl Thumbprint {
    /// From 43 characters of base64url.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Thumbprint {
    /// Base64url, as `cnf` has it (RFC 7800 §3.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl Binding {
    /// Of which kind it is.
    #[must_use]
    pub const fn kind(&self) -> BindingKind {
        match self {
            Self::DpopKey(_) => BindingKind::DpopKey,
            Self::Certificate(_) => BindingKind::Certificate,
        }
    }

    /// The key's thumbprint.
    #[must_use]
    pub const fn thumbprint(&self) -> &Thumbprint {
        match self {
            Self::DpopKey(thumbprint) | Self::Certificate(thumbprint) => thumbprint,
        }
    }

    /// As whoever asks is told (RFC 9449 §6.1, RFC 8705 §3.1).
    #[must_use]
    pub fn confirmation(&self) -> Confirmation {
        match self {
            Self::DpopKey(thumbprint) => Confirmation::DpopKey(thumbprint.to_string()),
            Self::Certificate(thumbprint) => Confirmation::Certificate(thumbprint.to_string()),
        }
    }

    /// How a token that is bound to it is used.
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        match self {
            Self::DpopKey(_) => TokenType::Dpop,
            Self::Certificate(_) => TokenType::Bearer,
        }
    }

    /// As it is kept: a byte for the kind, then the thumbprint.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 33] {
        let mut bytes = [0; 33];
        bytes[0] = match self {
            Self::DpopKey(_) => 1,
            Self::Certificate(_) => 2,
        };
        bytes[1..].copy_from_slice(&self.thumbprint().0);
        bytes
    }

    /// From what was kept. Of another length or kind it is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, thumbprint) = bytes.split_first()?;
        let thumbprint = Thumbprint(thumbprint.try_into().ok()?);
        match kind {
            1 => Some(Self::DpopKey(thumbprint)),
            2 => Some(Self::Certificate(thumbprint)),
            _ => None,
        }
    }

    /// Whether it is the key that was proven.
    #[must_use]
    pub fn is_of(&self, key: &ProvenKey) -> bool {
        self.is_key(key.0)
    }

    /// Whether it is the certificate of a connection, and that one.
    pub(crate) fn is_certificate(&self, shown: &PresentedCertificate) -> bool {
        matches!(self, Self::Certificate(bound) if bound.0.ct_eq(&shown.thumbprint().0).into())
    }

    /// Whether it is a key of proofs, and that one.
    pub(crate) fn is_key(&self, thumbprint: Thumbprint) -> bool {
        matches!(self, Self::DpopKey(bound) if bound.0.ct_eq(&thumbprint.0).into())
    }
}

impl BindingKind {
    /// As it is kept.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DpopKey => "dpop",
            Self::Certificate => "certificate",
        }
    }

    /// From what was kept.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::DpopKey, Self::Certificate].into_iter().find(|known| known.as_str() == text)
    }
}

impl ProvenKey {
    pub(crate) const fn new(thumbprint: Thumbprint) -> Self {
        Self(thumbprint)
    }

    /// What a token that is issued for it is bound to.
    #[must_use]
    pub const fn binding(&self) -> Binding {
        Binding::DpopKey(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_is_read_as_it_was_kept() {
        for binding in [Binding::DpopKey(Thumbprint([7; 32])), Binding::Certificate(Thumbprint([8; 32]))] {
            assert_eq!(Binding::from_bytes(&binding.to_bytes()), Some(binding));
            assert_eq!(BindingKind::parse(binding.kind().as_str()), Some(binding.kind()));
        }
        for bytes in [&[][..], &[1; 32], &[1; 34], &[3; 33]] {
            assert_eq!(Binding::from_bytes(bytes), None);
        }
    }

    #[test]
    fn a_thumbprint_is_read_as_it_is_written() {
        let thumbprint = Thumbprint([250; 32]);
        assert_eq!(Thumbprint::parse(&thumbprint.to_string()), Some(thumbprint));
        for text in ["", "-", "AAAA", &"A".repeat(44), &"A".repeat(42)] {
            assert_eq!(Thumbprint::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_is_not_a_certificate_of_the_same_digest() {
        let key = ProvenKey::new(Thumbprint([1; 32]));
        assert!(key.binding().is_of(&key));
        assert!(!Binding::Certificate(Thumbprint([1; 32])).is_of(&key));
        assert!(!Binding::DpopKey(Thumbprint([2; 32])).is_of(&key));
    }
}
