//! How often callers were refused, by class: an atomic increment for each refusal, and nothing for anything else.

use std::sync::atomic::{AtomicU64, Ordering};

use fuuffy_protocol::Refusal;

/// The classes: the `code` of each answer, of which each means the same wherever it is met.
pub const REFUSAL_CODES: [&str; 22] = [
    "invalid_request",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_client",
    "unauthorized_client",
    "missing_token",
    "invalid_token",
    "insufficient_scope",
    "not_found",
    "method_not_allowed",
    "payload_too_large",
    "uri_too_long",
    "headers_too_large",
    "misdirected_request",
    "rate_limit_exceeded",
    "bad_gateway",
    "gateway_timeout",
    "service_unavailable",
    "too_many_secrets",
    "invalid_target",
    "invalid_dpop_proof",
    "use_dpop_nonce",
];

/// Refusals since they were last taken, and since the start.
#[derive(Debug, Default)]
pub struct RefusalCounts {
    untaken: [AtomicU64; REFUSAL_CODES.len()],
    all: [AtomicU64; REFUSAL_CODES.len()],
}

impl RefusalCounts {
    /// Counts one.
    pub fn note(&self, refusal: &Refusal) {
        let place = place(refusal);
        self.untaken[place].fetch_add(1, Ordering::Relaxed);
        self.all[place].fetch_add(1, Ordering::Relaxed);
    }

    /// All that was counted since the start, by class.
    pub fn totals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REFUSAL_CODES.into_iter().zip(self.all.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Takes what was counted: each class that there was, and how often.
    pub fn take(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = REFUSAL_CODES.into_iter().zip(self.untaken.iter().map(|count| count.swap(0, Ordering::Relaxed)));
        counts.filter(|(_, times)| *times > 0)
    }

    /// Counts what was taken and could not be kept.
    pub fn put_back(&self, code: &str, times: u64) {
        if let Some(place) = REFUSAL_CODES.iter().position(|known| *known == code) {
            self.untaken[place].fetch_add(times, Ordering::Relaxed);
        }
    }
}

const fn place(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::InvalidRequest(_) => 0,
        Refusal::UnsupportedGrantType => 1,
        Refusal::InvalidScope => 2,
        Refusal::InvalidClient(_) => 3,
        Refusal::UnauthorizedClient | Refusal::SecretQuarantined => 4,
        Refusal::MissingToken => 5,
        Refusal::InvalidToken(_) | Refusal::InvalidBoundToken(_) => 6,
        Refusal::InsufficientScope(..) => 7,
        Refusal::NotFound => 8,
        Refusal::MethodNotAllowed(_) => 9,
        Refusal::PayloadTooLarge => 10,
        Refusal::UriTooLong => 11,
        Refusal::HeadersTooLarge => 12,
        Refusal::MisdirectedRequest => 13,
        Refusal::RateLimitExceeded(_) | Refusal::TooManyTokens(_) | Refusal::TooManyAtOnce(_) => 14,
        Refusal::BadGateway => 15,
        Refusal::GatewayTimeout => 16,
        Refusal::ServiceUnavailable(_) => 17,
        Refusal::TooManySecrets => 18,
        Refusal::InvalidTarget => 19,
        Refusal::InvalidProof(..) => 20,
        Refusal::UseNonce(..) => 21,
    }
}

#[cfg(test)]
mod tests;
