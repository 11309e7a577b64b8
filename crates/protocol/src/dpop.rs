//! Proofs of possession on the wire (RFC 9449): the fields, and what is said of them. What a proof says is neither read nor
//! believed here.

use http::{HeaderMap, HeaderName};
use serde::Serialize;

/// The field that bears a proof.
pub const PROOF: HeaderName = HeaderName::from_static("dpop");
/// The field by which a server gives a nonce for the next proof (RFC 9449 §8).
pub const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// The type of a proof (RFC 9449 §4.2).
pub const TYPE: &str = "dpop+jwt";
/// What proofs may be signed by.
pub const ALGORITHMS: [&str; 3] = ["ES256", "EdDSA", "Ed25519"];

/// What the fields of a request say of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofField<'a> {
    /// There is none.
    Missing,
    /// One, believed by nobody yet.
    Unverified(&'a str),
    /// More than one, or one that is no text: nobody can say which one was meant (RFC 9449 §4.3).
    Unreadable,
}

impl<'a> ProofField<'a> {
    /// Reads the fields `DPoP` of a request.
    #[must_use]
    pub fn parse(headers: &'a HeaderMap) -> Self {
        let mut fields = headers.get_all(PROOF).iter();
        match (fields.next(), fields.next()) {
            (None, _) => Self::Missing,
            (Some(field), None) => field.to_str().map_or(Self::Unreadable, Self::Unverified),
            (Some(_), Some(_)) => Self::Unreadable,
        }
    }
}

/// How a token is used (RFC 6749 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// By itself (RFC 6750).
    Bearer,
    /// With a proof for each request (RFC 9449 §5).
    Dpop,
}

impl TokenType {
    /// As `token_type` and as the scheme of `Authorization`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    /// By what a server calls it, in letters of either case (RFC 6749 §5.1).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Bearer, Self::Dpop].into_iter().find(|known| text.eq_ignore_ascii_case(known.as_str()))
    }
}

/// The key that a token is bound to, as whoever asks is told (RFC 7800 §3.1): the value of `cnf`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Confirmation {
    /// The key of its proofs (RFC 9449 §6.1).
    #[serde(rename = "jkt")]
    DpopKey(String),
    /// The certificate of its connections (RFC 8705 §3.1).
    #[serde(rename = "x5t#S256")]
    Certificate(String),
}

impl Confirmation {
    /// How a token that is bound to it is used. One that is bound to a certificate goes as a bearer token (RFC 8705 §3).
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        match self {
            Self::DpopKey(_) => TokenType::Dpop,
            Self::Certificate(_) => TokenType::Bearer,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn two_fields_are_not_one_proof() {
        let mut headers = HeaderMap::new();
        assert_eq!(ProofField::parse(&headers), ProofField::Missing);
        headers.append(PROOF, HeaderValue::from_static("a.b.c"));
        assert_eq!(ProofField::parse(&headers), ProofField::Unverified("a.b.c"));
        headers.append(PROOF, HeaderValue::from_static("a.b.c"));
        assert_eq!(ProofField::parse(&headers), ProofField::Unreadable);
    }

    #[test]
    fn a_type_is_read_in_any_letters() {
        assert_eq!(TokenType::parse("dpop"), Some(TokenType::Dpop));
        assert_eq!(TokenType::parse("BEARER"), Some(TokenType::Bearer));
        assert_eq!(TokenType::parse("mac"), None);
    }
}
