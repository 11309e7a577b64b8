//! What went wrong behind a refusal, in words for whoever runs the gateway.

use serde::{Deserialize, Serialize};

/// Why the store did not write. Nothing that a client is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreProblem {
    /// There was no room on the disk.
    Full,
    /// A write failed, now or earlier.
    Failed {
        /// What the disk or the database said.
        error: String,
    },
    /// The server was stopping.
    Closed,
    /// More waited than would have been written soon.
    Overloaded,
}

impl StoreProblem {
    pub(super) fn happened(&self) -> String {
        match self {
            Self::Full => "The disk of the store was full".to_owned(),
            Self::Failed { error } => format!("The store could not write: {error}"),
            Self::Closed => "The store was closed, for the server was stopping".to_owned(),
            Self::Overloaded => "More was waiting to be written than the store could write soon".to_owned(),
        }
    }

    pub(super) const fn advice(&self) -> &'static str {
        match self {
            Self::Full => "Make room on the disk; the server goes on by itself within seconds",
            Self::Failed { .. } => "Look at the server's log and at the disk, and restart the server when it is mended",
            Self::Closed => "Nothing is wrong; the caller asks again when the server runs",
            Self::Overloaded => "Look at how fast the disk is, and at who asks for so much at once",
        }
    }
}

/// How an upstream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamProblem {
    /// It took no connection.
    Refused,
    /// There was no connection in time.
    ConnectTimedOut,
    /// There was no answer in time.
    AnswerTimedOut,
    /// It broke off.
    BrokeOff,
    /// It answered with what cannot be passed on.
    Unreadable,
    /// There is none.
    Missing,
}

impl UpstreamProblem {
    /// What happened, in a sentence that names the upstream in these words.
    pub(super) fn of(self, who: &str) -> String {
        let whole = match self {
            Self::Refused => format!("{who} refused the connection"),
            Self::ConnectTimedOut => format!("there was no connection to {who} in time"),
            Self::AnswerTimedOut => format!("{who} did not answer in time"),
            Self::BrokeOff => format!("{who} broke off"),
            Self::Unreadable => format!("{who} answered with what cannot be passed on"),
            Self::Missing => "there is nothing behind the gateway that the route leads to".to_owned(),
        };
        whole[..1].to_uppercase() + &whole[1..]
    }
}
