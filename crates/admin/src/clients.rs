//! Clients: made, listed, shown, suspended, resumed, deleted.

use std::sync::Arc;

use fuuffy_domain::{
    Actor, BindingKind, Cause, Client, ClientChange, ClientId, ClientPatch, ClientStatus, EnvironmentName, Lifetime,
    Limits, PlanName, Revision, ScopeSet, Timestamp,
};
use fuuffy_store::{Changed, Creation, NewClient, NewCredential, Part, PartOf};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::client_certificates::{self, NewRule};
use crate::client_keys::PublicJwk;
use crate::deed::{DeedError, Environment, client_id};
use crate::identities::{self, NewRules};
use crate::once::{Made, OnceOnly};
use crate::roles::{self, Target};

/// The longest name of a client, in characters.
const LONGEST_NAME: usize = 100;

/// A client to make.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewClient)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    /// The local administrator's alone to choose; otherwise a new one is made.
    #[schema(ignore)]
    pub(crate) client_id: Option<String>,
    /// What people call it.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    pub(crate) name: String,
    /// All that it may be granted. Scopes of operators ask for `admin:operators:write` besides.
    #[schema(max_length = 2048, pattern = r"^([!#-\[\]-~]+( [!#-\[\]-~]+)*)?$")]
    pub(crate) scope: Option<String>,
    /// A plan of the configuration; `standard` unless given.
    #[schema(pattern = r"^[A-Za-z0-9_-]{1,64}$")]
    pub(crate) plan: Option<String>,
    /// Limits of its own in place of its plan's, separated by spaces.
    #[schema(
        max_length = 100,
        pattern = r"^[1-9][0-9]{0,7}/(s|min|h|d)( [1-9][0-9]{0,7}/(s|min|h|d))*$",
        example = "200/min 5000/h"
    )]
    pub(crate) limits: Option<String>,
    /// A life for its tokens, no longer than the environment's.
    #[schema(pattern = r"^[0-9]{1,6}[smhd]$", example = "15m")]
    pub(crate) token_lifetime: Option<String>,
    /// Whether it may rotate its own secrets.
    #[serde(default)]
    pub(crate) may_rotate: bool,
    /// Whether its tokens are always bound to the key of its DPoP proofs (RFC 9449 §5.2), so that it never gets one that
    /// works without.
    #[serde(default)]
    pub(crate) dpop_bound_access_tokens: bool,
    /// Whether its tokens are always bound to the certificate that it requests them with (RFC 8705 §3.4). Not together with
    /// `dpop_bound_access_tokens`.
    #[serde(default)]
    pub(crate) tls_client_certificate_bound_access_tokens: bool,
    /// A public key, by which it proves itself instead of a secret: there is none then.
    pub(crate) jwk: Option<PublicJwk>,
    /// A URL at which it publishes its keys as a JWK Set (RFC 7517 §5), by which it proves itself instead of a secret. It
    /// never changes.
    #[schema(max_length = 500, pattern = "^https://[!-~]{1,492}$", example = "https://client.example.com/jwks.json")]
    pub(crate) jwks_uri: Option<String>,
    /// What a platform's token says of it, by which it proves itself instead of a secret.
    pub(crate) identity: Option<NewRules>,
    /// The certificate that it is known by, by which it proves itself instead of a secret. Only one of `jwk`, `jwks_uri`,
    /// `identity` and `certificate` is given.
    pub(crate) certificate: Option<NewRule>,
}

/// What to change of a client; a member that is not there stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ClientPatch)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patch {
    /// What people call it.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    name: Option<String>,
    /// All that it may be granted. Taking a scope away revokes its tokens.
    #[schema(max_length = 2048, pattern = r"^([!#-\[\]-~]+( [!#-\[\]-~]+)*)?$")]
    scope: Option<String>,
    /// A plan of the configuration.
    #[schema(pattern = r"^[A-Za-z0-9_-]{1,64}$")]
    plan: Option<String>,
    /// Limits of its own, separated by spaces; `null` for its plan's.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 100, pattern = r"^[1-9][0-9]{0,7}/(s|min|h|d)( [1-9][0-9]{0,7}/(s|min|h|d))*$", example = "200/min 5000/h")]
    limits: Option<Option<String>>,
    /// A life for its tokens; `null` for the environment's own.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, pattern = r"^[0-9]{1,6}[smhd]$", example = "15m")]
    token_lifetime: Option<Option<String>>,
    /// Whether it may rotate its own secrets.
    may_rotate: Option<bool>,
    /// Whether its tokens are always bound to the key of its DPoP proofs (RFC 9449 §5.2). Asking for that revokes its tokens,
    /// and ends that they are bound to a certificate.
    dpop_bound_access_tokens: Option<bool>,
    /// Whether its tokens are always bound to the certificate that it requests them with (RFC 8705 §3.4). Asking for that
    /// revokes its tokens, and ends that they are bound to a key.
    tls_client_certificate_bound_access_tokens: Option<bool>,
}

/// A member that is there, be it `null`.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A client just made. Its secret, if it has one, is shown here and never again.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedClient)]
pub(crate) struct Created {
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    client_secret: Option<Zeroizing<String>>,
    /// The thumbprint of its key (RFC 7638), if it was made with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    /// Where it publishes its keys, if it was made so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    jwks_uri: Option<Arc<str>>,
    /// Its identity, if it was made with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_id: Option<String>,
    /// The certificate that it is known by, if it was made with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_id: Option<String>,
    #[schema(value_type = String)]
    environment: EnvironmentName,
    name: String,
}

/// A client, for operators.
#[derive(Serialize, ToSchema)]
#[schema(as = Client)]
pub(crate) struct Shown {
    client_id: String,
    #[schema(value_type = String)]
    environment: EnvironmentName,
    name: String,
    /// `active`, `suspended`, or `deleted` in the answer to its deletion.
    #[schema(value_type = String)]
    status: ClientStatus,
    scope: String,
    plan: String,
    /// Its own in place of its plan's.
    #[schema(required = true)]
    limits: Option<String>,
    #[schema(required = true)]
    token_lifetime: Option<String>,
    may_rotate: bool,
    /// Whether its tokens are always bound to the key of its DPoP proofs (RFC 9449 §5.2).
    dpop_bound_access_tokens: bool,
    /// Whether its tokens are always bound to the certificate that it requests them with (RFC 8705 §3.4).
    tls_client_certificate_bound_access_tokens: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    live_secrets: usize,
    /// Those that are registered.
    keys: usize,
    /// Where it publishes its keys, if it does so instead.
    #[schema(value_type = Option<String>, required = true)]
    jwks_uri: Option<Arc<str>>,
    identities: usize,
    certificates: usize,
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
            limits: client.limits.as_ref().map(ToString::to_string),
            token_lifetime: client.token_lifetime.map(|life| life.to_string()),
            may_rotate: client.may_rotate,
            dpop_bound_access_tokens: client.must_bind == Some(BindingKind::DpopKey),
            tls_client_certificate_bound_access_tokens: client.must_bind == Some(BindingKind::Certificate),
            created_at: client.created_at,
            live_secrets: client.live_secrets(environment.clock.now()),
            keys: client.keys.len(),
            jwks_uri: client.jwks_uri.clone(),
            identities: client.identities.len(),
            certificates: client.certificates.len(),
            revision: client.revision,
        }
    }
}

pub(crate) async fn create(
    environment: &Environment,
    cause: Cause,
    wanted: Create,
    once: Option<&OnceOnly>,
) -> Result<Made<Created>, DeedError> {
    if let Some(once) = once
        && let Some(kept) = once.before(environment).await?
    {
        return Ok(Made::Before(kept));
    }
    let name = checked_name(&wanted.name)?;
    let scopes = checked_scope(wanted.scope.as_deref().unwrap_or_default())?;
    let plan = checked_plan(environment, wanted.plan.as_deref().unwrap_or("standard"))?;
    let token_lifetime =
        wanted.token_lifetime.as_deref().map(|text| checked_lifetime(environment, text)).transpose()?;
    let limits = wanted.limits.as_deref().map(checked_limits).transpose()?;
    let id = chosen_id(&cause.actor, wanted.client_id.as_deref())?;
    let id = id.map_or_else(|| environment.new_client_id(), Ok)?;
    let mut created = Created {
        client_id: id.to_string(),
        client_secret: None,
        key_id: None,
        jwks_uri: None,
        identity_id: None,
        certificate_id: None,
        environment: environment.name,
        name: name.clone(),
    };
    let must_bind = checked_binding(
        environment,
        wanted.dpop_bound_access_tokens,
        wanted.tls_client_certificate_bound_access_tokens,
    )?;
    let credential = match (wanted.jwk, wanted.jwks_uri, wanted.identity, wanted.certificate) {
        (None, None, None, None) => {
            let (clear, secret) = environment.new_secret(None)?;
            created.client_secret = Some(Zeroizing::new(clear.reveal().to_owned()));
            NewCredential::Secret(secret)
        }
        (Some(jwk), None, None, None) => {
            let key = jwk.checked(environment.clock.now())?;
            created.key_id = Some(key.id.to_string());
            NewCredential::Key(key)
        }
        (None, Some(uri), None, None) => {
            let uri = checked_uri(environment, &uri)?;
            created.jwks_uri = Some(Arc::clone(&uri));
            NewCredential::KeysAt(uri)
        }
        (None, None, Some(rules), None) => {
            let new = identities::checked(environment, rules)?;
            created.identity_id = Some(new.id.to_string());
            NewCredential::Identity(new)
        }
        (None, None, None, Some(rule)) => {
            let new = client_certificates::checked(environment, rule)?;
            created.certificate_id = Some(new.id.to_string());
            NewCredential::Certificate(new)
        }
        _ => {
            let words = "expected only one of jwk, jwks_uri, identity and certificate";
            return Err(DeedError::Invalid(words.to_owned()));
        }
    };
    let may_rotate = wanted.may_rotate;
    let new = NewClient { id, name, scopes, plan, limits, token_lifetime, may_rotate, must_bind, credential };
    let keep = once.map(|once| once.keep(environment, Some(Revision(0)), &created)).transpose()?;
    match (environment.store.create_client(cause, new, keep).await?, once) {
        (Creation::Done(client), _) => {
            tracing::info!(environment = %environment.name, client_id = %client.id, "A client was made");
            Ok(Made::Now(created, client.revision))
        }
        (Creation::Before(answered), Some(once)) => once.open(&answered).map(Made::Before),
        (Creation::Taken, _) => Err(DeedError::Taken),
        _ => Err(DeedError::NotFound("client")),
    }
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
    target: Target,
    change: ClientChange,
) -> Result<Shown, DeedError> {
    let what = match &change {
        ClientChange::Suspend => "A client was suspended",
        ClientChange::Resume => "A client was resumed",
        ClientChange::Delete => "A client was deleted",
        ClientChange::RevokeTokens => "The tokens of a client were revoked",
        ClientChange::Patch(_) => "A client was changed",
    };
    let changed = environment.store.change_client(cause, target.client.id.clone(), target.seen, change).await?;
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
    let limits = patch.limits.as_ref().map(|own| own.as_deref().map(checked_limits).transpose());
    let (dpop_bound, certificate_bound) =
        (patch.dpop_bound_access_tokens, patch.tls_client_certificate_bound_access_tokens);
    checked_binding(environment, dpop_bound == Some(true), certificate_bound == Some(true))?;
    Ok(ClientPatch {
        name: patch.name.as_deref().map(checked_name).transpose()?,
        scopes: patch.scope.as_deref().map(checked_scope).transpose()?,
        plan: patch.plan.as_deref().map(|plan| checked_plan(environment, plan)).transpose()?,
        limits: limits.transpose()?,
        token_lifetime: token_lifetime.transpose()?,
        may_rotate: patch.may_rotate,
        dpop_bound,
        certificate_bound,
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

pub(crate) fn checked_scope(text: &str) -> Result<ScopeSet, DeedError> {
    let scopes = ScopeSet::parse(text).map_err(|fault| DeedError::Invalid(format!("scope: {fault}")))?;
    if scopes.iter().any(roles::is_unknown) {
        let known = roles::SCOPES.join(", ");
        return Err(DeedError::Invalid(format!("scope: those that begin with admin: are {known}")));
    }
    Ok(scopes)
}

fn checked_uri(environment: &Environment, uri: &str) -> Result<Arc<str>, DeedError> {
    let invalid =
        || DeedError::Invalid("jwks_uri: expected an https:// URL at an address that may be reached".to_owned());
    (environment.may_publish_at)(uri).then(|| Arc::from(uri)).ok_or_else(invalid)
}

/// A token is bound to one thing.
fn checked_binding(
    environment: &Environment,
    to_key: bool,
    to_certificate: bool,
) -> Result<Option<BindingKind>, DeedError> {
    if to_certificate {
        client_certificates::must_take_certificates(environment)?;
    }
    match (to_key, to_certificate) {
        (true, true) => Err(DeedError::Invalid(
            "expected only one of dpop_bound_access_tokens and tls_client_certificate_bound_access_tokens".to_owned(),
        )),
        (true, false) => Ok(Some(BindingKind::DpopKey)),
        (false, true) => Ok(Some(BindingKind::Certificate)),
        (false, false) => Ok(None),
    }
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

fn checked_limits(text: &str) -> Result<Limits, DeedError> {
    Limits::parse(text).map_err(|fault| DeedError::Invalid(format!("limits: {fault}")))
}

fn checked_lifetime(environment: &Environment, text: &str) -> Result<Lifetime, DeedError> {
    let life = Lifetime::parse(text).map_err(|fault| DeedError::Invalid(format!("token_lifetime: {fault}")))?;
    if life > environment.longest_lifetime {
        let longest = environment.longest_lifetime;
        return Err(DeedError::Invalid(format!("token_lifetime: expected at most the environment's {longest}")));
    }
    Ok(life)
}
