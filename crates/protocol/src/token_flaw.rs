//! What is wrong with something that was presented as a token: for whoever asks why it was refused, never for the
//! public answer. Nothing of the presented text is kept.

use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

use crate::AccessToken;

/// What is wrong with it, the most telling thing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "flaw", rename_all = "snake_case")]
pub enum TokenFlaw {
    /// Nothing follows the scheme.
    Empty,
    /// There are bytes in it that no token has, as of another character set.
    NotText,
    /// The scheme stands there twice.
    BearerTwice,
    /// It stands in quotation marks.
    Quoted,
    /// A client secret of the testing environment.
    TestingSecret,
    /// A client secret of the production environment.
    ProductionSecret,
    /// White space, or an escaped line break, at its end: as a file or a shell leaves it.
    TrailingSpace,
    /// Something stands before `sk-`, or that is missing.
    Prefix,
    /// Too long or too short.
    Length,
    /// Letters that are no lower-case hexadecimal digits.
    Digits,
}

impl TokenFlaw {
    /// Looks at the `Authorization` field of a request whose token was refused as malformed.
    #[must_use]
    pub fn find(headers: &HeaderMap) -> Self {
        let Some(Ok(text)) = headers.get(header::AUTHORIZATION).map(|field| field.to_str()) else {
            return Self::NotText;
        };
        let presented = text.split_once(' ').map_or("", |(_, rest)| rest.trim_start_matches(' '));
        Self::of(presented)
    }

    fn of(presented: &str) -> Self {
        let trimmed = presented.trim_end().trim_end_matches("\\n").trim_end_matches("%0A").trim_end_matches("%0a");
        let bare = trimmed.trim_matches(['"', '\'', '`']);
        match bare {
            "" => Self::Empty,
            _ if bare.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) => Self::BearerTwice,
            _ if bare.starts_with("fsk_test_") => Self::TestingSecret,
            _ if bare.starts_with("fsk_live_") => Self::ProductionSecret,
            _ if bare.len() < trimmed.len() => Self::Quoted,
            _ if trimmed.len() < presented.len() && AccessToken::parse(trimmed).is_some() => Self::TrailingSpace,
            _ => match bare.strip_prefix("sk-") {
                None => Self::Prefix,
                Some(digits) if !matches!(digits.len(), 32 | 64) => Self::Length,
                Some(_) => Self::Digits,
            },
        }
    }

    /// What happened, and what to do: two sentences.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Empty => ("Nothing followed Bearer", "Look whether the variable that holds the token is set"),
            Self::NotText => {
                ("The Authorization field had bytes that no token has", "Send the token as it was granted, in ASCII")
            }
            Self::BearerTwice => ("The word Bearer stood there twice", "Send it once; some tools add it by themselves"),
            Self::Quoted => ("The token stood in quotation marks", "Send it without them; JSON has them around it"),
            Self::TestingSecret => (
                "A client secret of the testing environment was sent as a token",
                "Send the secret to the token endpoint and nowhere else, use the token that it answers with, and replace this secret",
            ),
            Self::ProductionSecret => (
                "A client secret of the production environment was sent as a token",
                "Send the secret to the token endpoint and nowhere else, use the token that it answers with, and replace this secret",
            ),
            Self::TrailingSpace => (
                "White space or a line break stood at the end of the token",
                "Cut it off: a file or a command that printed the token ends with a new line",
            ),
            Self::Prefix => ("It did not begin with sk-", "Send the access_token of a token answer, whole"),
            Self::Length => ("It began with sk- and was too long or too short", "Send the access_token whole"),
            Self::Digits => (
                "It had letters that no token has",
                "Send the access_token as it is: lower-case hexadecimal digits after sk-",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
