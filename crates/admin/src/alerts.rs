//! Alerts that nobody has taken yet: listed, sent once more, and tried out. Knows nothing of how they are delivered.

use std::pin::Pin;
use std::sync::Arc;

use fuuffy_domain::{AuditEvent, Cause, MessageId, Timestamp};
use fuuffy_store::{Alert, AlertState, OutboxError, Part, PartOf};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::{IntoParams, ToSchema};

use crate::deed::{DeedError, Environment};

/// Sends a test alert and tells what became of it.
pub type TestAlert = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<MessageId, Untold>> + Send>> + Send + Sync>;

/// Why a test alert was not told.
#[derive(Debug, Error)]
pub enum Untold {
    /// The configuration names nobody to tell.
    #[error("there is no webhook")]
    NoWebhook,
    /// It was not taken, and why.
    #[error("{0}")]
    Refused(String),
}

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Those of this state alone.
    state: Option<State>,
    /// From 1.
    #[serde(default = "crate::api::first")]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 9007199254740991_u64)]
    pub(crate) page: usize,
    /// Up to 100.
    #[serde(default = "crate::api::twenty")]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100)]
    pub(crate) per_page: usize,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[schema(as = AlertState)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It will be tried, or tried again.
    Waiting,
    /// Nobody took it for a day.
    Dead,
}

/// An alert, for operators.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct Shown {
    message_id: String,
    /// What kind of thing it tells.
    #[serde(rename = "type")]
    kind: String,
    state: State,
    /// Since when it is there.
    #[schema(value_type = String, format = DateTime)]
    queued_at: Timestamp,
    attempts: u32,
    /// When it is tried next, if it is.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    next_attempt_at: Option<Timestamp>,
    /// Why it was not taken the last time.
    #[schema(required = true)]
    error: Option<String>,
}

/// How many alerts are sent once more.
#[derive(Serialize, ToSchema)]
pub(crate) struct Redelivered {
    redelivered: usize,
}

/// A test alert that was taken.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestedAlert {
    message_id: String,
    outcome: &'static str,
}

impl From<Alert> for Shown {
    fn from(alert: Alert) -> Self {
        Self {
            message_id: alert.id.to_string(),
            kind: alert.kind,
            state: match alert.state {
                AlertState::Waiting => State::Waiting,
                AlertState::Dead => State::Dead,
            },
            queued_at: alert.at,
            attempts: alert.attempts,
            next_attempt_at: alert.next_at,
            error: alert.error,
        }
    }
}

/// A part of what is in the outbox, the oldest first.
pub(crate) async fn list(environment: &Environment, wanted: &Wanted, part: PartOf) -> Result<Part<Shown>, DeedError> {
    let state = wanted.state.map(|state| match state {
        State::Waiting => AlertState::Waiting,
        State::Dead => AlertState::Dead,
    });
    let Part { items, total } = environment.outbox.list(state, part, environment.clock.now()).await?;
    Ok(Part { items: items.into_iter().map(Shown::from).collect(), total })
}

/// Sends an alert once more, now and for another day: this one, or every dead letter.
pub(crate) async fn redeliver(
    environment: &Environment,
    cause: Cause,
    which: Option<&str>,
) -> Result<Redelivered, DeedError> {
    let which = which.map(MessageId::parse).transpose().map_err(|_| DeedError::NotFound("alert"))?;
    let found = environment.outbox.count(which.clone()).await?;
    if found == 0 && which.is_some() {
        return Err(DeedError::NotFound("alert"));
    }
    // First the record, for the two are in different files: what is done is on record.
    let alerts = u64::try_from(found).unwrap_or(u64::MAX);
    environment.store.note(cause, AuditEvent::AlertsRedelivered { message_id: which.clone(), alerts }).await?;
    let redelivered = environment.outbox.redeliver(which, environment.clock.now()).await?;
    tracing::info!(environment = %environment.name, redelivered, "Alerts are sent once more");
    Ok(Redelivered { redelivered })
}

/// Sends a test to whoever takes alerts.
pub(crate) async fn test(environment: &Environment, cause: Cause) -> Result<TestedAlert, DeedError> {
    let outcome = (environment.test_alert)().await;
    if !matches!(outcome, Err(Untold::NoWebhook)) {
        environment.store.note(cause, AuditEvent::AlertTested { taken: outcome.is_ok() }).await?;
    }
    Ok(TestedAlert { message_id: outcome?.to_string(), outcome: "delivered" })
}

impl From<OutboxError> for DeedError {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}
