//! The `Authorization` header field of a request that bears a token, by the scheme `Bearer` (RFC 6750 §2.1) or `DPoP` (RFC
//! 9449 §7.1), and nothing but the header: a token in the query string or in a form is not a token here.

use http::{HeaderMap, header};

use crate::{AccessToken, Refusal, RequestFault, TokenFault, TokenType};

/// What a request's header fields say about its token.
#[derive(Debug)]
pub enum Bearer {
    /// No `Authorization` field, or one of another scheme.
    Missing,
    /// A well-formed token, not verified by anyone yet.
    Unverified(AccessToken),
    /// The same, by the scheme DPoP: a proof goes with it.
    WithProof(AccessToken),
}

/// Why the header fields were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerFault {
    /// More than one `Authorization` field: nobody can say which one was meant.
    Repeated,
    /// The scheme is Bearer or DPoP, and what follows is not one of our tokens.
    Malformed,
}

impl Bearer {
    /// Reads the `Authorization` fields of a request. The scheme is case-insensitive and followed by
    /// one or more spaces (RFC 9110 §11.4).
    ///
    /// # Errors
    /// [`BearerFault`]
    pub fn parse(headers: &HeaderMap) -> Result<Self, BearerFault> {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let Some(field) = fields.next() else {
            return Ok(Self::Missing);
        };
        if fields.next().is_some() {
            return Err(BearerFault::Repeated);
        }
        let text = field.to_str().map_err(|_| BearerFault::Malformed)?;
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let Some(token_type) = TokenType::parse(scheme) else {
            return Ok(Self::Missing);
        };
        let token = AccessToken::parse(rest.trim_start_matches(' ')).ok_or(BearerFault::Malformed)?;
        Ok(match token_type {
            TokenType::Bearer => Self::Unverified(token),
            TokenType::Dpop => Self::WithProof(token),
        })
    }

    /// The token, by whichever scheme.
    #[must_use]
    pub const fn token(&self) -> Option<&AccessToken> {
        match self {
            Self::Missing => None,
            Self::Unverified(token) | Self::WithProof(token) => Some(token),
        }
    }
}

impl From<BearerFault> for Refusal {
    fn from(fault: BearerFault) -> Self {
        match fault {
            BearerFault::Repeated => Self::InvalidRequest(RequestFault::RepeatedAuthorization),
            BearerFault::Malformed => Self::InvalidToken(TokenFault::Malformed),
        }
    }
}

#[cfg(test)]
mod tests;
