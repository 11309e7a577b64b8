//! Alerts that nobody has taken yet: listed, sent once more, and tried out. Knows nothing of how they are delivered.

use std::pin::Pin;
use std::sync::Arc;

use fuuffy_domain::{AuditEvent, Cause, MessageId, Timestamp};
use fuuffy_store::{Alert, AlertState, Channel, OutboxError, Part, PartOf, Which};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::{IntoParams, ToSchema};

use crate::deed::{DeedError, Environment};

/// Sends a test alert on every channel and tells what became of it.
pub type TestAlert = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Tested, Untold>> + Send>> + Send + Sync>;

/// A test alert, and what became of it on each channel that the configuration has.
#[derive(Debug)]
pub struct Tested {
    /// Which.
    pub id: MessageId,
    /// Whether it was taken, or why not.
    pub outcomes: Vec<(Channel, Result<(), String>)>,
}

/// Why a test alert was not told.
#[derive(Debug, Error)]
pub enum Untold {
    /// The configuration names nobody to tell.
    #[error("there is nobody to tell")]
    NoChannel,
    /// A channel did not take it; what became of it on each.
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

/// On which way an alert goes.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[schema(as = AlertChannel)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// A signed POST.
    Webhook,
    /// A letter.
    Email,
}

impl From<Channel> for Way {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Webhook => Self::Webhook,
            Channel::Email => Self::Email,
        }
    }
}

impl From<Way> for Channel {
    fn from(way: Way) -> Self {
        match way {
            Way::Webhook => Self::Webhook,
            Way::Email => Self::Email,
        }
    }
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Meant {
    /// By this channel alone.
    pub(crate) channel: Option<Way>,
}

/// An alert on its way by one channel, for operators.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct Shown {
    message_id: String,
    /// What kind of thing it tells.
    #[serde(rename = "type")]
    kind: String,
    channel: Way,
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

/// How many deliveries are made once more.
#[derive(Serialize, ToSchema)]
pub(crate) struct Redelivered {
    redelivered: usize,
}

/// A test alert that was taken on every channel.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestedAlert {
    message_id: String,
    outcome: &'static str,
    /// What became of it on each.
    channels: Vec<TestedChannel>,
}

/// A channel that took a test alert.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestedChannel {
    channel: Way,
    outcome: &'static str,
}

impl From<Alert> for Shown {
    fn from(alert: Alert) -> Self {
        Self {
            message_id: alert.id.to_string(),
            kind: alert.kind,
            channel: alert.channel.into(),
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

/// Sends an alert once more, now and for another day: this one, or every dead letter; on all channels, or one.
pub(crate) async fn redeliver(
    environment: &Environment,
    cause: Cause,
    id: Option<&str>,
    meant: &Meant,
) -> Result<Redelivered, DeedError> {
    let id = id.map(MessageId::parse).transpose().map_err(|_| DeedError::NotFound("alert"))?;
    let which = Which { id, channel: meant.channel.map(Channel::from) };
    let found = environment.outbox.count(which.clone()).await?;
    if found == 0 && which.id.is_some() {
        return Err(DeedError::NotFound("alert"));
    }
    // First the record, for the two are in different files: what is done is on record.
    let alerts = u64::try_from(found).unwrap_or(u64::MAX);
    let channel = which.channel.map(Channel::as_str);
    let event = AuditEvent::AlertsRedelivered { message_id: which.id.clone(), channel, alerts };
    environment.store.note(cause, event).await?;
    let redelivered = environment.outbox.redeliver(which, environment.clock.now()).await?;
    tracing::info!(environment = %environment.name, redelivered, "Alerts are sent once more");
    Ok(Redelivered { redelivered })
}

/// Sends a test to whoever takes alerts, on every channel.
pub(crate) async fn test(environment: &Environment, cause: Cause) -> Result<TestedAlert, DeedError> {
    let Tested { id, outcomes } = (environment.test_alert)().await?;
    let taken = outcomes.iter().all(|(_, outcome)| outcome.is_ok());
    environment.store.note(cause, AuditEvent::AlertTested { taken }).await?;
    if !taken {
        let told = outcomes.iter().map(|(channel, outcome)| {
            let outcome = outcome.as_ref().err().map_or("delivered", String::as_str);
            format!("{}: {outcome}", channel.as_str())
        });
        return Err(Untold::Refused(told.collect::<Vec<_>>().join("; ")).into());
    }
    let tested = |(channel, _): (Channel, _)| TestedChannel { channel: channel.into(), outcome: "delivered" };
    let channels = outcomes.into_iter().map(tested).collect();
    Ok(TestedAlert { message_id: id.to_string(), outcome: "delivered", channels })
}

impl From<OutboxError> for DeedError {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}
