//! What a program may count: one event for everything that the client does on its own.

use std::time::{Duration, SystemTime};

use crate::ErrorKind;

/// Something that the client did on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A token was granted.
    TokenGranted {
        /// How long the request took.
        took: Duration,
        /// How long the token lives.
        life: Duration,
    },
    /// A token request failed. A token that still lives goes on to be used.
    TokenFailed {
        /// The refusal's code, where there was an answer.
        code: Option<String>,
    },
    /// A token was refused, and dropped.
    TokenDropped,
    /// A request is sent again.
    Retried {
        /// What the request before it met.
        because: Reason,
    },
    /// A request waits because the server asked callers to slow down.
    Held {
        /// For how long.
        wait: Duration,
    },
    /// The server says that the secret expires soon: replace it, or ask its operator for another.
    SecretExpires {
        /// When, by the server's calendar.
        at: SystemTime,
    },
    /// Another secret is kept in the old one's place, proven and confirmed.
    SecretRotated,
    /// The secret is not old enough to be replaced.
    SecretLives {
        /// How long it stays.
        due_in: Duration,
    },
    /// The secret was to be replaced, and was not. The one that is kept works.
    RotationFailed {
        /// What kind of failure; [`ErrorKind::Unwritable`] waits for a person.
        kind: ErrorKind,
        /// In words, without any secret.
        why: String,
    },
    /// This machine's calendar and the server's differ.
    ClockSkew {
        /// How far the server's is ahead, in seconds; below zero, behind.
        seconds: i64,
    },
}

/// Why a request is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// 401 with `invalid_token`.
    TokenRefused,
    /// 429.
    RateLimited,
    /// 503.
    Unavailable,
    /// There was no connection.
    NoConnection,
    /// 401 with `use_dpop_nonce`: the server wanted its nonce in the proof.
    Nonce,
}

/// Hears of events, to count them. Called in passing: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn on(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync + 'static> Observer for F {
    fn on(&self, event: &Event) {
        self(event);
    }
}
