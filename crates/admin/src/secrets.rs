//! Secrets of a client: added, listed, retired.

use fuuffy_domain::{Secret, SecretId, Timestamp};
use fuuffy_store::{AddSecret, SecretChange};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clients;
use crate::deed::{DeedError, Environment, client_id};

/// A secret to add.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Add {
    /// RFC 3339; without one the secret works until it is retired.
    expires_at: Option<String>,
}

/// A secret just made: shown here and never again.
#[derive(Serialize)]
pub(crate) struct Added {
    secret_id: String,
    client_secret: Zeroizing<String>,
}

/// A secret, for operators.
#[derive(Serialize)]
pub(crate) struct Shown {
    secret_id: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    use_count: u64,
    retired_at: Option<Timestamp>,
    /// When it was seen in a URL, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    exposed_at: Option<Timestamp>,
}

impl From<&Secret> for Shown {
    fn from(secret: &Secret) -> Self {
        Self {
            secret_id: secret.id.to_string(),
            created_at: secret.created_at,
            expires_at: secret.expires_at,
            last_used_at: secret.last_used_at,
            use_count: secret.use_count,
            retired_at: secret.retired_at,
            exposed_at: secret.exposed_at,
        }
    }
}

pub(crate) async fn add(environment: &Environment, client: &str, wanted: Add) -> Result<Added, DeedError> {
    let expires_at = wanted.expires_at.as_deref().map(|text| checked_expiry(environment, text)).transpose()?;
    let id = client_id(client)?;
    let (clear, secret) = environment.new_secret(expires_at)?;
    let secret_id = secret.id.clone();
    match environment.store.add_secret(id, secret).await? {
        AddSecret::Added(client) => {
            tracing::info!(environment = %environment.name, client_id = %client.id, %secret_id, "A secret was added");
            Ok(Added { secret_id: secret_id.to_string(), client_secret: Zeroizing::new(clear.reveal().to_owned()) })
        }
        AddSecret::TooMany => Err(DeedError::TooManySecrets),
        AddSecret::NoClient => Err(DeedError::NotFound("client")),
    }
}

/// All secrets of a client, oldest first, retired and expired ones included.
pub(crate) fn list(environment: &Environment, client: &str) -> Result<Vec<Shown>, DeedError> {
    Ok(clients::find(environment, client)?.secrets.iter().map(Shown::from).collect())
}

pub(crate) async fn retire(environment: &Environment, client: &str, secret: &str) -> Result<Shown, DeedError> {
    let secret = SecretId::parse(secret).map_err(|_| DeedError::NotFound("secret"))?;
    clients::find(environment, client)?;
    let change = SecretChange::Retire(environment.clock.now());
    let changed = environment.store.change_secret(client_id(client)?, secret.clone(), change).await?;
    let client = changed.ok_or(DeedError::NotFound("secret"))?;
    tracing::info!(environment = %environment.name, client_id = %client.id, secret_id = %secret, "A secret was retired");
    let retired = client.secrets.iter().find(|known| known.id == secret);
    retired.map(Shown::from).ok_or(DeedError::NotFound("secret"))
}

fn checked_expiry(environment: &Environment, text: &str) -> Result<Timestamp, DeedError> {
    let expiry = text.parse::<jiff::Timestamp>().ok().map(|time| Timestamp::from_unix_millis(time.as_millisecond()));
    expiry.filter(|expiry| *expiry > environment.clock.now()).ok_or_else(|| {
        DeedError::Invalid("expires_at: expected a time to come, as in \"2030-01-01T00:00:00Z\"".to_owned())
    })
}
