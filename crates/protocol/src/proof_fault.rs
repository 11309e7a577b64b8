//! What is wrong with a proof of possession (RFC 9449 §4.3), in words for the operator and for the client itself.

use serde::{Deserialize, Serialize};

/// Why a proof was refused. The first that was found, in the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofFault {
    /// There was none.
    Missing,
    /// There were two, or one that is no text.
    Repeated,
    /// Longer than any proof.
    TooLong,
    /// No JWT in three parts, or with members of other types than they have.
    Malformed,
    /// Of a type of JWT that is for something else.
    Type,
    /// Signed by an algorithm that is not taken, or by none.
    Algorithm,
    /// With a header that asks for more than is understood.
    Header,
    /// With the private key.
    PrivateKey,
    /// Without a key, or with one for another algorithm.
    Key,
    /// Without `jti`, or with one that is too long.
    NoId,
    /// For another method.
    Method,
    /// For another URI.
    Target,
    /// For another token.
    TokenHash,
    /// By a key to which the token is not bound.
    OtherKey,
    /// With a token that is bound to none.
    Unbound,
    /// Without `iat`.
    NoTime,
    /// From the future.
    TooEarly,
    /// Made too long ago.
    Expired,
    /// Without a nonce of the server's, or with an old one.
    Nonce,
    /// Not signed by its key.
    Signature,
    /// Used before.
    Replayed,
}

impl ProofFault {
    /// All there are.
    pub const ALL: [Self; 21] = [
        Self::Missing,
        Self::Repeated,
        Self::TooLong,
        Self::Malformed,
        Self::Type,
        Self::Algorithm,
        Self::Header,
        Self::PrivateKey,
        Self::Key,
        Self::NoId,
        Self::Method,
        Self::Target,
        Self::TokenHash,
        Self::OtherKey,
        Self::Unbound,
        Self::NoTime,
        Self::TooEarly,
        Self::Expired,
        Self::Nonce,
        Self::Signature,
        Self::Replayed,
    ];

    /// What happened, and what to do.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Missing => (
                "There was no DPoP proof, and one is needed: the token is bound to a key, or the client's tokens always are",
                "Send a proof in the field DPoP with each request, and the token as Authorization: DPoP; if nobody of yours sends it as Bearer, somebody else has seen it",
            ),
            Self::Repeated => ("The field DPoP was there twice, or was no text", "Send one proof with a request"),
            Self::TooLong => {
                ("The DPoP proof had more than 4096 bytes", "Send nothing in it but what RFC 9449 §4.2 names")
            }
            Self::Malformed => (
                "The DPoP proof was no signed JWT with the claims of a proof",
                "Send a JWT in its compact form: three parts, header and claims as RFC 9449 §4.2 has them",
            ),
            Self::Type => ("The DPoP proof was a JWT of another type", "Let typ be dpop+jwt"),
            Self::Algorithm => (
                "The DPoP proof was signed by an algorithm that is not taken, or not signed",
                "Sign it by ES256 or EdDSA",
            ),
            Self::Header => (
                "The DPoP proof's header asked for more than is understood",
                "Leave crit, b64, cty, enc, zip, jku, x5c and x5u out of the header",
            ),
            Self::PrivateKey => (
                "The DPoP proof had the private key in it",
                "Make another key, for this one was sent, and let jwk be its public half",
            ),
            Self::Key => (
                "The DPoP proof had no public key of the algorithm that it says to be signed by",
                "Let jwk be the public key: P-256 for ES256, Ed25519 for EdDSA",
            ),
            Self::NoId => ("The DPoP proof had no jti of up to 256 bytes", "Let jti be new and random for each proof"),
            Self::Method => ("The DPoP proof was for another method", "Let htm be the method of the request"),
            Self::Target => (
                "The DPoP proof was for another URI",
                "Let htu be the URI of the request at the base URL of this environment, without query and fragment",
            ),
            Self::TokenHash => (
                "The DPoP proof was for another token, or for none",
                "Let ath be the SHA-256 of the token, in base64url",
            ),
            Self::OtherKey => (
                "The token is bound to another key than the one that was proven",
                "Sign the proof with the key that the token was requested with; if nobody of yours has another, somebody else has seen the token",
            ),
            Self::Unbound => (
                "The token is bound to no key, and came with a proof",
                "Send it as Authorization: Bearer, or request it with a proof",
            ),
            Self::NoTime => ("The DPoP proof had no iat", "Let iat be the time at which the proof is made"),
            Self::TooEarly => ("The DPoP proof's iat was in the future", "Check the clock of the machine that signs"),
            Self::Expired => (
                "The DPoP proof was made more than a minute before, or had expired",
                "Make a proof for each request, and check the machine's clock",
            ),
            Self::Nonce => (
                "The DPoP proof had no nonce of the server's, or an old one",
                "Send the request again with the nonce that the field DPoP-Nonce named; fuuffy-client and fuuffy agent do",
            ),
            Self::Signature => (
                "The DPoP proof was not signed by its own key",
                "Sign it with the private half of the key that is in its header",
            ),
            Self::Replayed => (
                "The DPoP proof had been used before",
                "Make a proof for each request, each attempt included; if nobody sent this one twice, look for who else has seen it",
            ),
        }
    }
}
