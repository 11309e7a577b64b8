//! What is wrong with a platform's token that a client is to be known by, in words for its operator and for the client.

use serde::{Deserialize, Serialize};

/// Why a platform's token was refused. The first that was found, in the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityFault {
    /// No JWT in three parts, or without claims.
    Malformed,
    /// Of somebody whose tokens are not believed here.
    Issuer,
    /// Signed by an algorithm that is not taken, or by none.
    Algorithm,
    /// Of a type of JWT that is for something else.
    Type,
    /// With a header that brings a key, or asks for more than is understood.
    Header,
    /// Signed, it says, by a key that the platform does not publish.
    KeyUnknown,
    /// Not signed by the platform's key.
    Signature,
    /// Not for this token service, or not for it alone.
    Audience,
    /// Without `exp` or `iat`.
    NoTimes,
    /// Its time is over.
    Expired,
    /// It lives longer than the operator lets such tokens live.
    TooLong,
    /// Its time has not come.
    TooEarly,
    /// The identity was taken away meanwhile.
    Removed,
}

impl IdentityFault {
    /// All there are.
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::Issuer,
        Self::Algorithm,
        Self::Type,
        Self::Header,
        Self::KeyUnknown,
        Self::Signature,
        Self::Audience,
        Self::NoTimes,
        Self::Expired,
        Self::TooLong,
        Self::TooEarly,
        Self::Removed,
    ];

    /// What happened, and what to do.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed => (
                "The platform's token was no signed JWT with claims",
                "Send the token as the platform gives it: three parts, without the line's end",
            ),
            Self::Issuer => (
                "The token was of an issuer that is not trusted here, and of no client",
                "An operator trusts it in identity_issuers; its issuer must be written exactly as the token's iss",
            ),
            Self::Algorithm => (
                "The platform's token was signed by an algorithm that is not taken, or not signed",
                "Have the platform sign by RS256, ES256 or EdDSA",
            ),
            Self::Type => ("The platform's token was a JWT of another type", "Send the platform's identity token"),
            Self::Header => (
                "The header of the platform's token brought a key, or asked for more than is understood",
                "Send the platform's own token as it is; no other is taken",
            ),
            Self::KeyUnknown => (
                "The platform's token was signed by a key that the platform does not publish",
                "Check that the issuer's keys are those of this platform; RSA keys have 2048 bits at least",
            ),
            Self::Signature => (
                "The platform's token was not signed by the platform's key",
                "Send the token as the platform gave it; somebody may have changed it",
            ),
            Self::Audience => (
                "The platform's token was not for this token service alone",
                "Ask the platform for a token whose audience is the one that is configured, by default the issuer that /.well-known/oauth-authorization-server names",
            ),
            Self::NoTimes => (
                "The platform's token had no exp or no iat",
                "Use tokens that end; what lives for ever is a secret again",
            ),
            Self::Expired => (
                "The platform's token had expired",
                "Read the token anew for each request, as fuuffy-client does, and check the machine's clock",
            ),
            Self::TooLong => (
                "The platform's token lives longer than such tokens may",
                "Ask the platform for a shorter one, or have the operator raise longest_life of the issuer",
            ),
            Self::TooEarly => {
                ("The iat or nbf of the platform's token was in the future", "Check the clocks of both machines")
            }
            Self::Removed => (
                "The identity by which the client was known was just taken away",
                "An operator adds another: fuuffy clients identities add",
            ),
        }
    }
}
