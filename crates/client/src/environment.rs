//! The two environments of the guide, as an integrator names them.

use std::fmt;
use std::str::FromStr;

/// `testing` or `production`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Environment {
    /// For trying things out.
    Testing,
    /// The real one.
    Production,
}

impl Environment {
    /// The name as it is written everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Testing => "testing",
            Self::Production => "production",
        }
    }

    /// Where the guide says that it is.
    #[must_use]
    pub const fn default_base_url(self) -> &'static str {
        match self {
            Self::Testing => "https://testing-api-gateway.fuuffy.com/v1",
            Self::Production => "https://api-gateway.fuuffy.com/v1",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Environment {
    type Err = UnknownEnvironment;

    fn from_str(text: &str) -> Result<Self, UnknownEnvironment> {
        match text {
            "testing" => Ok(Self::Testing),
            "production" => Ok(Self::Production),
            _ => Err(UnknownEnvironment),
        }
    }
}

/// A name that is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected testing or production")]
pub struct UnknownEnvironment;
