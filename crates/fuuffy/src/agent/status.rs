//! What the agent knows of itself: whether it has a token, what failed last, and the numbers that it counts.
//! Labels are bounded: never a path, an id or a token.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use fuuffy_client::{Error, ErrorKind, Event, Reason};
use http::StatusCode;
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::causes;

/// OpenMetrics 1.0.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = [(&'static str, &'static str); 1];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The agent's status.
#[derive(Default)]
pub(super) struct Status {
    /// One for each class, so that counting looks nothing up.
    answers: [Counter; 5],
    token_requests: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
    held: Counter,
    held_seconds: Counter<f64, AtomicU64>,
    rotations: Family<Labels, Counter>,
    known: Mutex<Known>,
    dropped: Notify,
}

#[derive(Default)]
struct Known {
    expires_at: Option<Instant>,
    failure: Option<(String, Instant)>,
    /// `None` where the agent does not replace its client's secret.
    rotation: Option<Rotation>,
}

/// How the client's secret stands that the agent replaces.
#[derive(Debug, Clone, Default)]
pub(super) struct Rotation {
    /// When it was replaced last, since the agent was started.
    pub(super) replaced_at: Option<Instant>,
    /// When it is to be replaced; `None` where that is not known yet.
    pub(super) due_at: Option<Instant>,
    /// Why it was not replaced when that was tried last, and when.
    pub(super) failure: Option<(String, Instant)>,
    /// Whether a person must, which no later look changes.
    pub(super) is_by_hand: bool,
}

impl Status {
    /// An answer goes to a caller.
    pub(super) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        if let Some(counter) = self.answers.get(class) {
            counter.inc();
        }
    }

    /// The client did something on its own.
    pub(super) fn heard(&self, event: &Event) {
        match event {
            Event::TokenGranted { took, life } => {
                self.token_requests.get_or_create(&[("outcome", "granted")]).inc();
                self.known.lock().expires_at = Some(Instant::now() + life.saturating_sub(*took));
            }
            Event::TokenFailed { code } => {
                let outcome = if code.is_some() { "refused" } else { "failed" };
                self.token_requests.get_or_create(&[("outcome", outcome)]).inc();
            }
            Event::TokenDropped => {
                self.known.lock().expires_at = None;
                self.dropped.notify_one();
            }
            Event::Retried { because } => {
                let reason = match because {
                    Reason::TokenRefused => "token_refused",
                    Reason::RateLimited => "rate_limited",
                    Reason::Unavailable => "unavailable",
                    Reason::NoConnection => "no_connection",
                    Reason::Nonce => "nonce",
                    _ => "other",
                };
                self.retries.get_or_create(&[("reason", reason)]).inc();
            }
            Event::SecretRotated => {
                self.rotations.get_or_create(&[("outcome", "replaced")]).inc();
                self.rotation_is(Rotation { replaced_at: Some(Instant::now()), ..Rotation::default() });
            }
            Event::SecretLives { due_in } => {
                let before = self.rotation().unwrap_or_default();
                let failure = before.failure.clone().filter(|_| before.is_by_hand);
                self.rotation_is(Rotation { due_at: Instant::now().checked_add(*due_in), failure, ..before });
            }
            Event::RotationFailed { kind, why } => {
                let is_by_hand = *kind == ErrorKind::Unwritable;
                let outcome = if is_by_hand { "by_hand" } else { "failed" };
                self.rotations.get_or_create(&[("outcome", outcome)]).inc();
                let before = self.rotation().unwrap_or_default();
                let is_by_hand = is_by_hand || before.is_by_hand;
                self.rotation_is(Rotation { failure: Some((why.clone(), Instant::now())), is_by_hand, ..before });
            }
            Event::Held { wait } => {
                self.held.inc();
                self.held_seconds.inc_by(wait.as_secs_f64());
            }
            _ => {}
        }
    }

    /// The agent replaces its client's secret.
    pub(super) fn expect_rotation(&self) {
        self.rotation_is(Rotation::default());
    }

    fn rotation_is(&self, rotation: Rotation) {
        self.known.lock().rotation = Some(rotation);
    }

    /// How the secret stands; `None` where the agent does not replace it.
    pub(super) fn rotation(&self) -> Option<Rotation> {
        self.known.lock().rotation.clone()
    }

    /// There was no answer, or no token. Its words never have a secret in them.
    pub(super) fn failed(&self, error: &Error) {
        let said = causes::said(error);
        // What failed on the way to a token is logged where that happens, once for all that wait for it.
        if !error.is_about_token() {
            tracing::warn!(error = said, "There is no answer to pass on");
        }
        self.known.lock().failure = Some((said, Instant::now()));
    }

    /// What failed last, and how long ago.
    pub(super) fn last_failure(&self) -> Option<(String, Duration)> {
        self.known.lock().failure.as_ref().map(|(said, at)| (said.clone(), at.elapsed()))
    }

    /// How long the token lives; `None` where there is none.
    pub(super) fn token_life(&self) -> Option<Duration> {
        let left = self.known.lock().expires_at?.saturating_duration_since(Instant::now());
        Some(left).filter(|left| !left.is_zero())
    }

    /// Waits until a token was refused.
    pub(super) async fn token_dropped(&self) {
        self.dropped.notified().await;
    }

    /// The numbers as OpenMetrics text.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("fuuffy_agent");
        let answers = Family::<Labels, Counter>::default();
        for (class, counter) in CLASSES.iter().zip(&self.answers) {
            answers.get_or_create(&[("class", class)]).inc_by(counter.get());
        }
        let life: Gauge<f64, AtomicU64> = Gauge::default();
        life.set(self.token_life().unwrap_or_default().as_secs_f64());
        registry.register("requests", "Requests by the class of the answer's status", answers);
        registry.register("token_requests", "Token requests by outcome", self.token_requests.clone());
        registry.register("retries", "Requests that were sent again, by reason", self.retries.clone());
        registry.register("held", "Waits because the server asked for patience", self.held.clone());
        registry.register_with_unit("held", "Time spent in such waits", Unit::Seconds, self.held_seconds.clone());
        registry.register_with_unit("token_expires_in", "Life that is left to the token", Unit::Seconds, life);
        registry.register("secret_rotations", "Replacements of the client's secret by outcome", self.rotations.clone());
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}
