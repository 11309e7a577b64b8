//! Scopes as RFC 6749 §3.3 writes them: a set of tokens, separated by single spaces.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest `scope` accepted, in bytes.
const MAX_LENGTH: usize = 2048;

/// A set of scope tokens, kept as they are written: sorted, without repetition, and so the same for equal sets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeSet(Box<str>);

/// Why a scope was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScopeFault {
    /// A character outside `%x21 / %x23-5B / %x5D-7E`, or spaces that separate nothing.
    #[error("a scope is one or more printable words separated by single spaces")]
    Malformed,
    /// More than 2048 bytes.
    #[error("the scope is longer than 2048 bytes")]
    TooLong,
}

impl ScopeSet {
    /// Reads `scope-token *( SP scope-token )`; the empty text is the empty set.
    ///
    /// # Errors
    /// [`ScopeFault`]
    pub fn parse(text: &str) -> Result<Self, ScopeFault> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.len() > MAX_LENGTH {
            return Err(ScopeFault::TooLong);
        }
        let mut tokens = Vec::new();
        for token in text.split(' ') {
            if token.is_empty() || !token.bytes().all(is_scope_byte) {
                return Err(ScopeFault::Malformed);
            }
            tokens.push(token);
        }
        tokens.sort_unstable();
        tokens.dedup();
        Ok(Self(tokens.join(" ").into()))
    }

    /// Whether every scope of `other` is in this set.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // Both are sorted: what was passed by is not looked at again.
        let mut own = self.iter();
        other.iter().all(|token| own.any(|known| known == token))
    }

    /// Whether the set has no scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// The scopes in alphabetical order, separated by single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ScopeSet {
    type Error = ScopeFault;

    fn try_from(text: String) -> Result<Self, ScopeFault> {
        Self::parse(&text)
    }
}

impl From<ScopeSet> for String {
    fn from(scopes: ScopeSet) -> Self {
        scopes.0.into()
    }
}

#[cfg(test)]
mod tests;
