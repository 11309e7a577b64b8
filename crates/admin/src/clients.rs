//! Clients: made, listed, shown, suspended, resumed, deleted.

use std::sync::Arc;

use fuuffy_domain::{Client, ClientStatus, EnvironmentName, Lifetime, PlanName, ScopeSet, Timestamp};
use fuuffy_store::NewClient;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::deed::{DeedError, Environment, client_id};

/// The longest name of a client, in characters.
const LONGEST_NAME: usize = 100;

/// A client to make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    name: String,
    scope: Option<String>,
    plan: Option<String>,
    token_lifetime: Option<String>,
}

/// A client just made. Its secret is shown here and never again.
#[derive(Serialize)]
pub(crate) struct Created {
    client_id: String,
    client_secret: Zeroizing<String>,
    environment: EnvironmentName,
    name: String,
}

/// A client, for operators.
#[derive(Serialize)]
pub(crate) struct Shown {
    client_id: String,
    environment: EnvironmentName,
    name: String,
    status: ClientStatus,
    scope: String,
    plan: String,
    token_lifetime: Option<String>,
    created_at: Timestamp,
    live_secrets: usize,
}

impl Shown {
    pub(crate) fn new(environment: &Environment, client: &Client) -> Self {
        Self {
            client_id: client.id.to_string(),
            environment: environment.name,
            name: client.name.clone(),
            status: client.status,
            scope: client.scopes.to_string(),
            plan: client.plan.to_string(),
            token_lifetime: client.token_lifetime.map(|life| life.to_string()),
            created_at: client.created_at,
            live_secrets: client.live_secrets(environment.clock.now()),
        }
    }
}

pub(crate) async fn create(environment: &Environment, wanted: Create) -> Result<Created, DeedError> {
    let name = checked_name(&wanted.name)?;
    let scopes = ScopeSet::parse(wanted.scope.as_deref().unwrap_or_default())
        .map_err(|fault| DeedError::Invalid(format!("scope: {fault}")))?;
    let plan = checked_plan(environment, wanted.plan.as_deref().unwrap_or("standard"))?;
    let token_lifetime =
        wanted.token_lifetime.as_deref().map(|text| checked_lifetime(environment, text)).transpose()?;
    let id = environment.new_client_id()?;
    let (clear, secret) = environment.new_secret(None)?;
    let new = NewClient { id, name, scopes, plan, token_lifetime, secret };
    let client = environment.store.create_client(new).await?;
    tracing::info!(environment = %environment.name, client_id = %client.id, "A client was made");
    Ok(Created {
        client_id: client.id.to_string(),
        client_secret: Zeroizing::new(clear.reveal().to_owned()),
        environment: environment.name,
        name: client.name.clone(),
    })
}

/// One page of all clients, oldest first, and how many there are.
pub(crate) fn list(environment: &Environment, page: usize, per_page: usize) -> (Vec<Shown>, usize) {
    let all = environment.store.directory().list();
    let skipped = page.saturating_sub(1).saturating_mul(per_page);
    let shown = all.iter().skip(skipped).take(per_page).map(|client| Shown::new(environment, client));
    (shown.collect(), all.len())
}

pub(crate) fn show(environment: &Environment, id: &str) -> Result<Shown, DeedError> {
    Ok(Shown::new(environment, &*find(environment, id)?))
}

/// From the acknowledgement on, no token of the client is accepted.
pub(crate) async fn suspend(environment: &Environment, id: &str) -> Result<Shown, DeedError> {
    let now = environment.clock.now();
    let changed = environment.store.suspend_client(client_id(id)?, now).await?;
    told(environment, changed, "A client was suspended")
}

pub(crate) async fn resume(environment: &Environment, id: &str) -> Result<Shown, DeedError> {
    let now = environment.clock.now();
    let changed = environment.store.resume_client(client_id(id)?, now).await?;
    told(environment, changed, "A client was resumed")
}

pub(crate) async fn delete(environment: &Environment, id: &str) -> Result<Shown, DeedError> {
    let now = environment.clock.now();
    let changed = environment.store.delete_client(client_id(id)?, now).await?;
    told(environment, changed, "A client was deleted")
}

pub(crate) fn find(environment: &Environment, id: &str) -> Result<Arc<Client>, DeedError> {
    environment.store.directory().find(&client_id(id)?).ok_or(DeedError::NotFound("client"))
}

fn told(environment: &Environment, changed: Option<Arc<Client>>, what: &str) -> Result<Shown, DeedError> {
    let client = changed.ok_or(DeedError::NotFound("client"))?;
    tracing::info!(environment = %environment.name, client_id = %client.id, "{what}");
    Ok(Shown::new(environment, &client))
}

fn checked_name(name: &str) -> Result<String, DeedError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(DeedError::Invalid(format!(
            "name: expected 1 to {LONGEST_NAME} characters without control characters"
        )));
    }
    Ok(name.to_owned())
}

fn checked_plan(environment: &Environment, name: &str) -> Result<PlanName, DeedError> {
    let known = PlanName::parse(name).ok().filter(|plan| (environment.plans)(plan));
    known.ok_or_else(|| DeedError::Invalid("plan: expected a plan that the configuration has".to_owned()))
}

fn checked_lifetime(environment: &Environment, text: &str) -> Result<Lifetime, DeedError> {
    let life = Lifetime::parse(text).map_err(|fault| DeedError::Invalid(format!("token_lifetime: {fault}")))?;
    if life > environment.longest_lifetime {
        let longest = environment.longest_lifetime;
        return Err(DeedError::Invalid(format!("token_lifetime: expected at most the environment's {longest}")));
    }
    Ok(life)
}
