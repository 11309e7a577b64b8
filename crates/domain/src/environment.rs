//! The two environments of the guide.

use std::fmt;

use fuuffy_protocol::SecretKind;
use serde::{Deserialize, Serialize};

/// `testing` or `production`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvironmentName {
    /// `testing`
    Testing,
    /// `production`
    Production,
}

impl EnvironmentName {
    /// The name as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Testing => "testing",
            Self::Production => "production",
        }
    }

    /// The kind of secret that this environment makes.
    #[must_use]
    pub const fn secret_kind(self) -> SecretKind {
        match self {
            Self::Testing => SecretKind::Testing,
            Self::Production => SecretKind::Production,
        }
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
