//! The answer to a token request as a client reads it: foreign bytes, in the guide's shape or the
//! standard's, and good for a token only where nothing in them is doubtful.

use serde::{Deserialize, Deserializer};
use serde_json::Number;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{AccessToken, TokenType};

/// A granted token, as far as the answer tells.
#[derive(Debug)]
pub struct TokenGrant {
    /// The token.
    pub access_token: AccessToken,
    /// How it is used; `Bearer` where the answer does not say.
    pub token_type: TokenType,
    /// Its life in whole seconds; `None` where the answer has none, or none above zero.
    pub expires_in: Option<u64>,
    /// The granted scope, where the answer names it (RFC 6749 §5.1).
    pub scope: Option<String>,
}

/// Why a body grants nothing. Never has anything of the body in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenGrantFault {
    /// It ends before its JSON does.
    #[error("the JSON is cut short")]
    CutShort,
    /// It is something else, HTML perhaps.
    #[error("it is not JSON")]
    NotJson,
    /// It is JSON of another shape.
    #[error("it has no access_token, neither in a data object nor at top level")]
    NoToken,
    /// A token that no header field can carry.
    #[error("its access_token has characters that a bearer token cannot have")]
    BadToken,
    /// A token that is used in another way (RFC 6749 §7.1).
    #[error("its token_type is neither Bearer nor DPoP")]
    TokenType,
}

/// Both shapes at once. Not flattened: that would leave copies of the token behind in memory.
#[derive(Deserialize)]
struct Envelope {
    data: Option<Members>,
    access_token: Option<Zeroizing<String>>,
    token_type: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    scope: Option<String>,
}

#[derive(Deserialize)]
struct Members {
    access_token: Option<Zeroizing<String>>,
    token_type: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    scope: Option<String>,
}

/// Whole seconds above zero, from a number or, as some servers write it, from digits in a string.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(Number),
        Text(String),
        Other(serde::de::IgnoredAny),
    }
    let seconds = match Option::<Written>::deserialize(deserializer)? {
        Some(Written::Number(number)) => number.as_f64(),
        Some(Written::Text(text)) => text.parse().ok(),
        Some(Written::Other(_)) | None => None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, as it should")]
    Ok(seconds.map(|seconds| seconds as u64).filter(|seconds| *seconds > 0))
}

impl TokenGrant {
    /// Reads the body of a 200 answer: the guide's `data` object, or the members at top level.
    ///
    /// # Errors
    /// [`TokenGrantFault`]
    pub fn parse(body: &[u8]) -> Result<Self, TokenGrantFault> {
        let envelope: Envelope = serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Eof => TokenGrantFault::CutShort,
            serde_json::error::Category::Data => TokenGrantFault::NoToken,
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => TokenGrantFault::NotJson,
        })?;
        let Envelope { data, access_token, token_type, expires_in, scope } = envelope;
        let top = Members { access_token, token_type, expires_in, scope };
        let Members { access_token, token_type, expires_in, scope } = data.unwrap_or(top);
        let access_token = access_token.ok_or(TokenGrantFault::NoToken)?;
        let token_type = token_type.map_or(Some(TokenType::Bearer), |named| TokenType::parse(&named));
        let token_type = token_type.ok_or(TokenGrantFault::TokenType)?;
        let access_token = AccessToken::granted(access_token).ok_or(TokenGrantFault::BadToken)?;
        Ok(Self { access_token, token_type, expires_in, scope })
    }
}

#[cfg(test)]
mod tests;
