//! A refusal as a client reads it: the code and the words of an answer that is no success, from foreign
//! bytes in the guide's shape or the standard's.

use serde::Deserialize;

/// The most characters that are kept of each member.
const LONGEST: usize = 512;

/// What an answer says of its refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// For programs; it never changes.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub details: String,
}

#[derive(Deserialize)]
struct Body {
    error: Said,
    #[serde(default)]
    error_description: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Guide {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
        #[serde(default)]
        details: String,
    },
    Standard(String),
}

impl Refused {
    /// Reads `{"error":{"code":…}}`, or RFC 6749 §5.2's `{"error":"…"}`; `None` for anything else.
    /// Control characters are left out, and what is long is cut, so that it can be shown on a terminal.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let Body { error, error_description } = serde_json::from_slice(body).ok()?;
        let (code, message, details) = match error {
            Said::Guide { code, message, details } => (code, message, details),
            Said::Standard(code) => (code, error_description, String::new()),
        };
        let plain = |text: String| text.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
        Some(Self { code: plain(code), message: plain(message), details: plain(details) })
    }
}

#[cfg(test)]
mod tests;
