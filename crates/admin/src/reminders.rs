//! Reminders of secrets that expire soon: which are due, and that they were given.

use fuuffy_domain::{Actor, Client, ClientId, EnvironmentName, SecretId, Timestamp, secret_near_its_end};
use fuuffy_store::SecretChange;
use serde::Serialize;

use crate::deed::{DeedError, Environment};

/// A secret that expires soon.
#[derive(Debug, Clone, Serialize)]
pub struct Reminder {
    /// Where, which an alert says already.
    #[serde(skip)]
    pub environment: EnvironmentName,
    /// Whose.
    pub client_id: ClientId,
    /// What people call the client.
    pub client_name: String,
    /// Which.
    pub secret_id: SecretId,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// How many days before that this reminder is for.
    pub days: u32,
    /// How soon somebody should look, if it is in use and nothing that lasts longer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<&'static str>,
    /// What will happen then, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

impl Reminder {
    /// What there is one alert of.
    #[must_use]
    pub fn name(&self) -> String {
        let Self { client_id, secret_id, expires_at, days, .. } = self;
        format!("secret.expires {client_id} {secret_id} {expires_at} {days}")
    }
}

/// The reminders that are due and were not given yet.
#[must_use]
pub fn due_reminders(environment: &Environment) -> Vec<Reminder> {
    let now = environment.clock.now();
    let is_due = |client: &Client| client.secrets.iter().any(|secret| secret.reminder(now).is_some());
    let mut due = Vec::new();
    for client in environment.store.directory().filter(is_due) {
        let near_its_end = secret_near_its_end(&client, now);
        for secret in &client.secrets {
            let (Some(days), Some(expires_at)) = (secret.reminder(now), secret.expires_at) else {
                continue;
            };
            let missed = near_its_end.as_ref().filter(|(id, _)| *id == secret.id).map(|(_, alert)| alert);
            due.push(Reminder {
                environment: environment.name,
                client_id: client.id.clone(),
                client_name: client.name.clone(),
                secret_id: secret.id.clone(),
                expires_at,
                days,
                severity: missed.map(|alert| alert.severity.name()),
                words: missed.map(|alert| alert.words.clone()),
            });
        }
    }
    due
}

/// Notes that a reminder was given, so that it is given once.
///
/// # Errors
/// The store could not keep it; it will be due again.
pub async fn reminded(environment: &Environment, reminder: &Reminder) -> Result<(), DeedError> {
    let cause = environment.cause(Actor::Server, None, None)?;
    let of = (reminder.client_id.clone(), reminder.secret_id.clone());
    environment.store.change_secret(cause, of, None, SecretChange::Remind(reminder.days)).await?;
    Ok(())
}
