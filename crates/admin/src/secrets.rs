//! Secrets of a client: added, listed, retired.

use std::net::IpAddr;

use fuuffy_domain::{Actor, Cause, Client, Lifetime, Retirement, Revision, Secret, SecretId, SecretStatus, Timestamp};
use fuuffy_store::{Changed, Creation, SecretChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::clients;
use crate::deed::{DeedError, Environment};
use crate::once::{self, Made, OnceOnly, conditions};
use crate::roles::Target;

/// A secret to add.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = NewSecret)]
#[serde(deny_unknown_fields)]
pub(crate) struct Add {
    /// RFC 3339; without one the secret works until it is retired.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A secret just made: shown here and never again.
#[derive(Serialize, ToSchema)]
#[schema(as = AddedSecret)]
pub(crate) struct Added {
    secret_id: String,
    #[schema(value_type = String)]
    client_secret: Zeroizing<String>,
}

/// A secret, for operators.
#[derive(Serialize, ToSchema)]
#[schema(as = Secret)]
pub(crate) struct Shown {
    secret_id: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_used_at: Option<Timestamp>,
    use_count: u64,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    retired_at: Option<Timestamp>,
    /// When it was seen where secrets do not belong, as in a URL, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    exposed_at: Option<Timestamp>,
    /// Since when it can do nothing but replace itself, if that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    quarantined_at: Option<Timestamp>,
}

/// All that is known of a secret.
#[derive(Serialize, ToSchema)]
#[schema(as = SecretInFull)]
pub(crate) struct Detail {
    #[serde(flatten)]
    shown: Shown,
    /// `live`, `pending`, `retiring`, `expired` or `retired`.
    #[schema(value_type = String)]
    status: SecretStatus,
    #[schema(value_type = Option<String>, required = true)]
    last_used_from: Option<IpAddr>,
    /// What used it last, by its `User-Agent`.
    #[schema(required = true)]
    last_used_by: Option<String>,
    /// Whether it can be retired without anybody noticing, and why.
    safe_to_retire: bool,
    evidence: Vec<String>,
}

impl From<&Secret> for Shown {
    fn from(secret: &Secret) -> Self {
        Self {
            secret_id: secret.id.to_string(),
            created_at: secret.created_at,
            expires_at: secret.expires_at,
            last_used_at: secret.last_use.as_ref().map(|last| last.at),
            use_count: secret.use_count,
            retired_at: secret.retired_at,
            exposed_at: secret.exposed_at,
            quarantined_at: secret.quarantined_at,
        }
    }
}

impl Detail {
    fn new(environment: &Environment, client: &Client, secret: &Secret) -> Self {
        let now = environment.clock.now();
        let life = client.token_lifetime.unwrap_or(environment.longest_lifetime).min(environment.longest_lifetime);
        let Retirement { is_safe, evidence } = client.retirement(secret, life, environment.quiet, now);
        Self {
            shown: Shown::from(secret),
            status: secret.status(now),
            last_used_from: secret.last_use.as_ref().and_then(|last| last.from),
            last_used_by: secret.last_use.as_ref().and_then(|last| last.agent.as_deref().map(str::to_owned)),
            safe_to_retire: is_safe,
            evidence,
        }
    }
}

pub(crate) async fn add(
    environment: &Environment,
    cause: Cause,
    target: Target,
    wanted: Add,
    once: Option<&OnceOnly>,
) -> Result<Made<Added>, DeedError> {
    if let Some(once) = once
        && let Some(kept) = once.before(environment).await?
    {
        return Ok(Made::Before(kept));
    }
    let expires_at = wanted.expires_at.as_deref().map(|text| checked_expiry(environment, text)).transpose()?;
    let (clear, secret) = environment.new_secret(expires_at)?;
    let secret_id = secret.id.clone();
    let added = Added { secret_id: secret_id.to_string(), client_secret: Zeroizing::new(clear.reveal().to_owned()) };
    let on = conditions(environment, once, target.seen, &added)?;
    let creation = environment.store.add_secret(cause, target.client.id.clone(), secret, on).await?;
    if let Creation::Done(client) = &creation {
        tracing::info!(environment = %environment.name, client_id = %client.id, %secret_id, "A secret was added");
    }
    once::added((creation, once), added, [DeedError::TooManySecrets, DeedError::NotFound("client")])
}

/// All secrets of a client, oldest first, retired and expired ones included.
pub(crate) fn list(environment: &Environment, client: &str) -> Result<(Vec<Shown>, Revision), DeedError> {
    let client = clients::find(environment, client)?;
    Ok((client.secrets.iter().map(Shown::from).collect(), client.revision))
}

/// The same, with all that is known of each.
pub(crate) fn details(environment: &Environment, client: &str) -> Result<(Vec<Detail>, Revision), DeedError> {
    let client = clients::find(environment, client)?;
    let details = client.secrets.iter().map(|secret| Detail::new(environment, &client, secret)).collect();
    Ok((details, client.revision))
}

/// One of them, and the state of its client.
pub(crate) fn show(environment: &Environment, client: &str, secret: &str) -> Result<(Detail, Revision), DeedError> {
    let client = clients::find(environment, client)?;
    in_full(environment, &client, |known| known.id.as_str() == secret)
}

fn in_full(
    environment: &Environment,
    client: &Client,
    is_it: impl Fn(&Secret) -> bool,
) -> Result<(Detail, Revision), DeedError> {
    let secret = client.secrets.iter().find(|secret| is_it(secret)).ok_or(DeedError::NotFound("secret"))?;
    Ok((Detail::new(environment, client, secret), client.revision))
}

/// How a secret is to be retired.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = Retirement)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retire {
    /// Now, unless it is to go when nobody has used it for so long.
    #[schema(pattern = r"^[0-9]{1,6}[smhd]$", example = "24h")]
    when_unused_for: Option<String>,
}

impl Retire {
    pub(crate) fn change(&self) -> Result<SecretChange, DeedError> {
        let Some(text) = &self.when_unused_for else {
            return Ok(SecretChange::Retire);
        };
        let life = Lifetime::parse(text).map_err(|fault| DeedError::Invalid(format!("when_unused_for: {fault}")))?;
        Ok(SecretChange::RetireWhenUnused(life.duration()))
    }
}

pub(crate) async fn change(
    environment: &Environment,
    cause: Cause,
    (target, secret): (Target, &str),
    change: SecretChange,
) -> Result<(Detail, Revision), DeedError> {
    let secret = SecretId::parse(secret).map_err(|_| DeedError::NotFound("secret"))?;
    let of = (target.client.id.clone(), secret.clone());
    let client = match environment.store.change_secret(cause, of, target.seen, change).await? {
        Changed::Done(client) => client,
        Changed::Stale => return Err(DeedError::Stale),
        Changed::Nothing => return Err(DeedError::NotFound("secret")),
    };
    tracing::info!(environment = %environment.name, client_id = %client.id, secret_id = %secret, ?change, "A secret was changed");
    in_full(environment, &client, |known| known.id == secret)
}

/// Retires the secrets that were to go when nobody uses them, where that is so. Meant for once a minute.
pub async fn retire_unused(environment: &Environment) {
    let now = environment.clock.now();
    let is_due = |client: &Client| client.secrets.iter().any(|secret| secret.is_due(now));
    for client in environment.store.directory().filter(is_due) {
        for secret in client.secrets.iter().filter(|secret| secret.is_due(now)) {
            let Ok(cause) = environment.cause(Actor::Server, None, Some("nobody used it".to_owned())) else {
                return;
            };
            let of = (client.id.clone(), secret.id.clone());
            // It is looked at once more in the deed itself: it may be used at this moment.
            match environment.store.change_secret(cause, of, None, SecretChange::RetireIfDue).await {
                Ok(_) => {
                    tracing::info!(environment = %environment.name, client_id = %client.id, secret_id = %secret.id, "An unused secret was retired");
                }
                Err(error) => {
                    tracing::warn!(environment = %environment.name, %error, "An unused secret could not be retired yet");
                    return;
                }
            }
        }
    }
}

fn checked_expiry(environment: &Environment, text: &str) -> Result<Timestamp, DeedError> {
    let expiry = text.parse::<jiff::Timestamp>().ok().map(|time| Timestamp::from_unix_millis(time.as_millisecond()));
    expiry.filter(|expiry| *expiry > environment.clock.now()).ok_or_else(|| {
        DeedError::Invalid("expires_at: expected a time to come, as in \"2030-01-01T00:00:00Z\"".to_owned())
    })
}
