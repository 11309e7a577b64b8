//! Clients: made, listed, shown, suspended, resumed, deleted.

use std::sync::Arc;

use fuuffy_domain::{
    Actor, Cause, Client, ClientChange, ClientId, ClientPatch, ClientStatus, EnvironmentName, Lifetime, PlanName,
    Revision, ScopeSet, Timestamp,
};
use fuuffy_store::{Changed, Creation, NewClient, Part, PartOf};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::deed::{DeedError, Environment, client_id};

/// The longest name of a client, in characters.
const LONGEST_NAME: usize = 100;

/// A client to make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    /// The local administrator's alone to choose; otherwise a new one is made.
    client_id: Option<String>,
    name: String,
    scope: Option<String>,
    plan: Option<String>,
    token_lifetime: Option<String>,
    #[serde(default)]
    may_rotate: bool,
}

/// What to change of a client; a member that is not there stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patch {
    name: Option<String>,
    scope: Option<String>,
    plan: Option<String>,
    /// `null` for the environment's own.
    #[serde(default, deserialize_with = "present")]
    token_lifetime: Option<Option<String>>,
    may_rotate: Option<bool>,
}

/// A member that is there, be it `null`.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
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
    may_rotate: bool,
    created_at: Timestamp,
    live_secrets: usize,
    /// Goes with the answer as its `ETag`.
    #[serde(skip)]
    pub(crate) revision: Revision,
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
            may_rotate: client.may_rotate,
            created_at: client.created_at,
            live_secrets: client.live_secrets(environment.clock.now()),
            revision: client.revision,
        }
    }
}

pub(crate) async fn create(environment: &Environment, cause: Cause, wanted: Create) -> Result<Created, DeedError> {
    let name = checked_name(&wanted.name)?;
    let scopes = checked_scope(wanted.scope.as_deref().unwrap_or_default())?;
    let plan = checked_plan(environment, wanted.plan.as_deref().unwrap_or("standard"))?;
    let token_lifetime =
        wanted.token_lifetime.as_deref().map(|text| checked_lifetime(environment, text)).transpose()?;
    let id = chosen_id(&cause.actor, wanted.client_id.as_deref())?;
    let id = id.map_or_else(|| environment.new_client_id(), Ok)?;
    let (clear, secret) = environment.new_secret(None)?;
    let new = NewClient { id, name, scopes, plan, token_lifetime, may_rotate: wanted.may_rotate, secret };
    let client = match environment.store.create_client(cause, new, None).await? {
        Creation::Done(client) => client,
        Creation::Taken => return Err(DeedError::Taken),
        Creation::Before(_) | Creation::Stale | Creation::TooMany | Creation::NoClient => {
            return Err(DeedError::NotFound("client"));
        }
    };
    tracing::info!(environment = %environment.name, client_id = %client.id, "A client was made");
    Ok(Created {
        client_id: client.id.to_string(),
        client_secret: Zeroizing::new(clear.reveal().to_owned()),
        environment: environment.name,
        name: client.name.clone(),
    })
}

/// A part of all clients, oldest first.
pub(crate) fn list(environment: &Environment, part: PartOf) -> Part<Shown> {
    let Part { items, total } = environment.store.directory().list(part);
    Part { items: items.iter().map(|client| Shown::new(environment, client)).collect(), total }
}

pub(crate) fn show(environment: &Environment, id: &str) -> Result<Shown, DeedError> {
    Ok(Shown::new(environment, &*find(environment, id)?))
}

/// From the answer on, no token of the client that the change revokes is accepted.
pub(crate) async fn change(
    environment: &Environment,
    cause: Cause,
    id: &str,
    seen: Option<Revision>,
    change: ClientChange,
) -> Result<Shown, DeedError> {
    let what = match &change {
        ClientChange::Suspend => "A client was suspended",
        ClientChange::Resume => "A client was resumed",
        ClientChange::Delete => "A client was deleted",
        ClientChange::RevokeTokens => "The tokens of a client were revoked",
        ClientChange::Patch(_) => "A client was changed",
    };
    let changed = environment.store.change_client(cause, client_id(id)?, seen, change).await?;
    let client = match changed {
        Changed::Done(client) => client,
        Changed::Stale => return Err(DeedError::Stale),
        Changed::Nothing => return Err(DeedError::NotFound("client")),
    };
    tracing::info!(environment = %environment.name, client_id = %client.id, "{what}");
    Ok(Shown::new(environment, &client))
}

pub(crate) fn checked_patch(environment: &Environment, patch: &Patch) -> Result<ClientPatch, DeedError> {
    let token_lifetime = patch
        .token_lifetime
        .as_ref()
        .map(|life| life.as_deref().map(|text| checked_lifetime(environment, text)).transpose());
    Ok(ClientPatch {
        name: patch.name.as_deref().map(checked_name).transpose()?,
        scopes: patch.scope.as_deref().map(checked_scope).transpose()?,
        plan: patch.plan.as_deref().map(|plan| checked_plan(environment, plan)).transpose()?,
        token_lifetime: token_lifetime.transpose()?,
        may_rotate: patch.may_rotate,
    })
}

pub(crate) fn find(environment: &Environment, id: &str) -> Result<Arc<Client>, DeedError> {
    environment.store.directory().find(&client_id(id)?).ok_or(DeedError::NotFound("client"))
}

/// An id says nothing, but whoever chooses it must know which there were.
fn chosen_id(actor: &Actor, wanted: Option<&str>) -> Result<Option<ClientId>, DeedError> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    if !matches!(actor, Actor::Socket { .. } | Actor::Local { .. }) {
        return Err(DeedError::Invalid("client_id: only the local administrator chooses it".to_owned()));
    }
    let id = ClientId::parse(wanted).map_err(|fault| DeedError::Invalid(format!("client_id: {fault}")))?;
    Ok(Some(id))
}

fn checked_scope(text: &str) -> Result<ScopeSet, DeedError> {
    ScopeSet::parse(text).map_err(|fault| DeedError::Invalid(format!("scope: {fault}")))
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
