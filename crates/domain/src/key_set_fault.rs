//! What is wrong with keys that somebody publishes (RFC 7517 §5), in words for whoever has to mend it.

use serde::{Deserialize, Serialize};

/// Why a set of keys was not used. Keys that were known before stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySetFault {
    /// Nobody answered in time.
    Unreachable,
    /// At an address where no keys may be.
    Address,
    /// Answered with something else than 200.
    Answer,
    /// More bytes than are read.
    TooLarge,
    /// No set of keys.
    Malformed,
    /// More keys than anybody needs.
    TooMany,
    /// With a private key, which everybody knows now.
    Private,
    /// With a symmetric key, which everybody knows now.
    Symmetric,
    /// With a key for no algorithm.
    NoAlgorithm,
    /// With two keys of one name.
    Duplicate,
    /// Without a key that could be used.
    Empty,
    /// The issuer's metadata is another's, or names no keys.
    Metadata,
}

impl KeySetFault {
    /// All there are.
    pub const ALL: [Self; 12] = [
        Self::Unreachable,
        Self::Address,
        Self::Answer,
        Self::TooLarge,
        Self::Malformed,
        Self::TooMany,
        Self::Private,
        Self::Symmetric,
        Self::NoAlgorithm,
        Self::Duplicate,
        Self::Empty,
        Self::Metadata,
    ];

    /// What is wrong, as the end of a sentence, and what to do.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Unreachable => (
                "there was no answer in time, or no connection by trusted TLS",
                "Check the URL and the certificate behind it; the server's log says more. It is tried again within a minute",
            ),
            Self::Address => (
                "they are at an address where no keys may be",
                "Publish them at a public address, or have the operator set allow_private for them",
            ),
            Self::Answer => {
                ("the answer was not 200; redirects are not followed", "Name the URL itself that answers with the keys")
            }
            Self::TooLarge => ("they are longer than 64 KiB", "Publish the keys that are in use, and no certificates"),
            Self::Malformed => {
                ("they are no JWK Set", "Publish JSON as RFC 7517 §5 has it: an object with keys, a list")
            }
            Self::TooMany => ("there are more than 100 of them", "Publish the keys that are in use alone"),
            Self::Private => (
                "a private key is among them",
                "Make another key pair, for this one is known to everybody, and publish the public half alone",
            ),
            Self::Symmetric => (
                "a symmetric key is among them",
                "Take it out, for it is known to everybody; sign by a key pair and publish its public half",
            ),
            Self::NoAlgorithm => ("a key is for the algorithm none", "Take it out; what is not signed is not believed"),
            Self::Duplicate => ("two of them have one name", "Give each key a kid of its own"),
            Self::Empty => (
                "none of them can be used",
                "Publish a signature key: on P-256 (ES256) or Ed25519 (EdDSA), or RSA (RS256): of a client 2048, 3072 or 4096 bits with the exponent AQAB, of a platform 2048 or more",
            ),
            Self::Metadata => (
                "the metadata is that of another issuer, or names no keys at an https:// URL",
                "Let issuer be exactly what the platform calls itself, or name its keys by jwks_uri or jwks_file",
            ),
        }
    }
}
