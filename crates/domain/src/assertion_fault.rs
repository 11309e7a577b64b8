//! What is wrong with a client's assertion (RFC 7523 §3), in words for its operator and for the client itself.

use serde::{Deserialize, Serialize};

/// Why an assertion was refused. The first that was found, in the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionFault {
    /// No JWT in three parts, or with claims of other types than they have.
    Malformed,
    /// Signed by an algorithm that is not taken, or by none; or with a header that is none.
    Algorithm,
    /// Signed, it says, by a key that the client does not have.
    KeyUnknown,
    /// Not signed by the client's key.
    Signature,
    /// Of a type of JWT that is for something else.
    Type,
    /// With a header that brings a key, or asks for more than is understood.
    Header,
    /// `iss` or `sub` is not the client.
    Client,
    /// `aud` is not the issuer, or not the issuer alone.
    Audience,
    /// Without `exp`.
    NoExpiry,
    /// Its time is over.
    Expired,
    /// It says to be good for too long.
    TooLong,
    /// Its time has not come.
    TooEarly,
    /// Without `jti`, or with one that is too long.
    NoId,
    /// Used before.
    Replayed,
}

impl AssertionFault {
    /// All there are.
    pub const ALL: [Self; 14] = [
        Self::Malformed,
        Self::Algorithm,
        Self::KeyUnknown,
        Self::Signature,
        Self::Type,
        Self::Header,
        Self::Client,
        Self::Audience,
        Self::NoExpiry,
        Self::Expired,
        Self::TooLong,
        Self::TooEarly,
        Self::NoId,
        Self::Replayed,
    ];

    /// What happened, and what to do.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed => (
                "The assertion was no signed JWT with the claims of a client's assertion",
                "Send a JWT in its compact form: three parts, the claims as RFC 7519 has them",
            ),
            Self::Algorithm => (
                "The assertion was signed by an algorithm that is not taken, or not signed, or its header could not be read",
                "Sign it by ES256, EdDSA or RS256, as the client's key is registered",
            ),
            Self::KeyUnknown => (
                "The client has no key of that name and algorithm, or there is no such client in this environment",
                "Compare the assertion's kid with fuuffy clients keys list, and check that both belong to this environment",
            ),
            Self::Signature => (
                "The assertion was not signed by the client's key",
                "Sign it with the private key whose public half is registered: fuuffy clients keys list",
            ),
            Self::Type => {
                ("The assertion was a JWT of another type", "Leave typ out, or send JWT or client-authentication+jwt")
            }
            Self::Header => (
                "The assertion's header brought a key of its own, or asked for more than is understood",
                "Leave crit, cty, enc, zip, jku, jwk, x5c and x5u out of the header; the key is the one that is registered",
            ),
            Self::Client => {
                ("The assertion was of another client than it was sent for", "Let iss and sub both be the client id")
            }
            Self::Audience => (
                "The assertion was not for this token service alone",
                "Let aud be the issuer, as /.well-known/oauth-authorization-server names it: one string and no list",
            ),
            Self::NoExpiry => ("The assertion had no exp", "Let exp be a minute from now"),
            Self::Expired => (
                "The assertion had expired",
                "Make an assertion for each request, with an exp a minute from now, and check the machine's clock",
            ),
            Self::TooLong => (
                "The assertion said to be good for more than five minutes",
                "Let exp be a minute from now, and check the machine's clock",
            ),
            Self::TooEarly => {
                ("The assertion's iat or nbf was in the future", "Check the clock of the machine that signs")
            }
            Self::NoId => {
                ("The assertion had no jti of up to 128 bytes", "Let jti be new and random for each assertion")
            }
            Self::Replayed => (
                "The assertion had been used before",
                "Make an assertion for each request; if nobody sent this one twice, look for who else has seen it",
            ),
        }
    }
}
