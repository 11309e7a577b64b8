//! What clients are known by at platforms: bound, listed, unbound. Nothing of it is secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use fuuffy_domain::{Cause, ClaimRules, Identity, Revision, Timestamp};
use fuuffy_store::{Changed, Creation, NewIdentity};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clients;
use crate::deed::{DeedError, Environment};
use crate::once::{self, Made, OnceOnly, conditions};
use crate::roles::Target;

/// What a platform's token must say for a client to be known by it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewIdentity)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRules {
    /// A platform that the configuration trusts, by its issuer.
    #[schema(max_length = 500, example = "https://token.actions.githubusercontent.com")]
    issuer: String,
    /// Claims and the exact value of each. At least one is of those that tell whose workload it is: `sub`, or what else
    /// the configuration names for the issuer.
    #[schema(example = json!({"repository": "acme/shop", "ref": "refs/heads/main"}))]
    claims: BTreeMap<String, String>,
}

/// What a client is known by at a platform, for operators.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientIdentity)]
pub(crate) struct Shown {
    identity_id: String,
    #[schema(value_type = String)]
    issuer: Arc<str>,
    #[schema(value_type = BTreeMap<String, String>)]
    claims: ClaimRules,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_used_at: Option<Timestamp>,
    use_count: u64,
}

impl From<&Identity> for Shown {
    fn from(identity: &Identity) -> Self {
        Self {
            identity_id: identity.id.to_string(),
            issuer: Arc::clone(&identity.issuer),
            claims: identity.rules.clone(),
            created_at: identity.created_at,
            last_used_at: identity.last_use.as_ref().map(|last| last.at),
            use_count: identity.use_count,
        }
    }
}

/// The identity as it is kept: of a platform that is trusted, and of one workload there and not of everybody's.
pub(crate) fn checked(
    environment: &Environment,
    NewRules { issuer, claims }: NewRules,
) -> Result<NewIdentity, DeedError> {
    let trusted = environment.issuers.iter().find(|trusted| *trusted.issuer == *issuer);
    let trusted = trusted.ok_or(DeedError::IssuerUntrusted)?;
    let rules = ClaimRules::parse(claims).map_err(|fault| DeedError::Invalid(format!("claims: {fault}")))?;
    if !rules.name_one_of(&trusted.binding_claims) {
        let names = trusted.binding_claims.join(", ");
        return Err(DeedError::Invalid(format!(
            "claims: expected one of {names} among them; without it everybody at {issuer} could be meant"
        )));
    }
    let (id, issuer) = (environment.new_identity_id()?, Arc::clone(&trusted.issuer));
    Ok(NewIdentity { id, issuer, rules, created_at: environment.clock.now() })
}

pub(crate) async fn add(
    environment: &Environment,
    cause: Cause,
    target: Target,
    wanted: NewRules,
    once: Option<&OnceOnly>,
) -> Result<Made<Shown>, DeedError> {
    if let Some(once) = once
        && let Some(kept) = once.before(environment).await?
    {
        return Ok(Made::Before(kept));
    }
    let new = checked(environment, wanted)?;
    let identity_id = new.id.clone();
    let shown = Shown {
        identity_id: identity_id.to_string(),
        issuer: Arc::clone(&new.issuer),
        claims: new.rules.clone(),
        created_at: new.created_at,
        last_used_at: None,
        use_count: 0,
    };
    let on = conditions(environment, once, target.seen, &shown)?;
    let creation = environment.store.add_identity(cause, target.client.id.clone(), new, on).await?;
    if let Creation::Done(client) = &creation {
        tracing::info!(environment = %environment.name, client_id = %client.id, %identity_id, "A client was bound to a platform's token");
    }
    once::added((creation, once), shown, [DeedError::TooManyIdentities, DeedError::IdentityTaken])
}

/// All identities of a client, oldest first.
pub(crate) fn list(environment: &Environment, client: &str) -> Result<(Vec<Shown>, Revision), DeedError> {
    let client = clients::find(environment, client)?;
    Ok((client.identities.iter().map(Shown::from).collect(), client.revision))
}

/// From the answer on nobody is known by it. Tokens that were got by it live on, as with a secret.
pub(crate) async fn remove(
    environment: &Environment,
    cause: Cause,
    target: Target,
    identity: &str,
) -> Result<(Shown, Revision), DeedError> {
    let known = target.client.identities.iter().find(|known| known.id.as_str() == identity);
    let (id, shown) =
        known.map(|known| (known.id.clone(), Shown::from(known))).ok_or(DeedError::NotFound("identity"))?;
    let of = (target.client.id.clone(), id.clone());
    match environment.store.remove_identity(cause, of, target.seen).await? {
        Changed::Done(client) => {
            tracing::info!(environment = %environment.name, client_id = %client.id, identity_id = %id, "A client is bound to a platform's token no more");
            Ok((shown, client.revision))
        }
        Changed::Stale => Err(DeedError::Stale),
        Changed::Nothing => Err(DeedError::NotFound("identity")),
    }
}
