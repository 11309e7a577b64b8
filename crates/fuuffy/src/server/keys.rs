//! The key files while their stores are open: told of, rotated, and rid of keys that nothing needs. For the local
//! administrator alone, for the files belong to both environments.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use fuuffy_admin::Caller;
use fuuffy_domain::{Actor, AuditEvent, AuditKeys, Clock as _, Entropy, EnvironmentName, KeyId, KeyringFault};
use fuuffy_store::embedded::KeyNeeds;
use fuuffy_store::{Store as _, StoreError, audit_key, pepper};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

use super::{Environment, Environments};
use crate::config::Config;
use crate::server::store_path;

/// Where the keys are kept, and who may change them: one at a time.
pub(super) struct KeyFile {
    path: PathBuf,
    /// Where those are that the audit logs are signed with.
    audit_path: PathBuf,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Stores that lie in the data directory and are not open: nobody knows what they need.
    unopened: Vec<PathBuf>,
    turn: Mutex<()>,
}

/// A key, for operators.
#[derive(Debug, Serialize)]
struct Shown {
    key_id: KeyId,
    current: bool,
    /// Secrets that work, kept under it.
    secrets: u64,
    /// Tokens that are accepted, kept under it.
    tokens: u64,
    /// Tokens that expired or were revoked within the hour, and are still told so.
    expired_tokens: u64,
    #[serde(skip)]
    clients: Vec<String>,
}

/// How a key is to be taken out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retire {
    /// Even if secrets and tokens stop working by it.
    #[serde(default)]
    force: bool,
    why: Option<String>,
}

/// Why the keys are as they were.
enum Failure {
    Foreign,
    Invalid(String),
    NoKey,
    Current(KeyId),
    Needed(String),
    Unavailable(String),
    /// The key file is changed, and what runs goes on with the keys from before.
    NotTakenUp(String),
    /// It is done, but not in the audit log.
    Unnoted(String),
    /// The audit key was handed on in this environment, and in no other.
    HandedOnIn(EnvironmentName, String),
    /// The audit key was handed on, and the file has the one before as the current one.
    AuditKeyUnwritten(String),
}

type Answer = Result<Response, Failure>;

impl KeyFile {
    pub(super) fn new((path, audit_path): (PathBuf, PathBuf), config: &Config, entropy: Arc<dyn Entropy>) -> Self {
        let are_open = [
            (EnvironmentName::Testing, config.environments.testing.is_some()),
            (EnvironmentName::Production, config.environments.production.is_some()),
        ];
        let unopened = are_open.into_iter().filter(|(_, is_open)| !is_open).map(|(name, _)| store_path(config, name));
        let unopened = unopened.filter(|path| path.exists()).collect();
        Self { path, audit_path, entropy, unopened, turn: Mutex::new(()) }
    }
}

/// `/admin/v1/keys` and what is below it.
pub(super) fn router(environments: Environments) -> Router {
    Router::new()
        .route("/admin/v1/keys", get(list))
        .route("/admin/v1/keys/rotate", post(rotate))
        .route("/admin/v1/keys/audit/rotate", post(rotate_audit))
        .route("/admin/v1/keys/{key}/retire", post(retire))
        .with_state(environments)
}

async fn list(State(here): State<Environments>, _: Local) -> Answer {
    Ok(data(&here.known_keys().await?))
}

/// The file first: what opens more than is used is whole at any moment.
async fn rotate(State(here): State<Environments>, Local(actor): Local, body: Bytes) -> Answer {
    let Retire { why, .. } = parse(&body)?;
    let _turn = here.turn().await?;
    let (path, entropy) = (here.keys.path.clone(), Arc::clone(&here.keys.entropy));
    let keys = blocking(move || pepper::add_key(&path, &*entropy)).await?;
    here.take_up(&keys).await.map_err(Failure::after_the_file)?;
    let key = keys.first().map_or(KeyId(0), |(key, _)| *key);
    tracing::info!(key = key.0, "The keys were rotated");
    if let Err(error) = here.seal_anew().await {
        tracing::warn!(
            error = format!("{error:#}"),
            "What is sealed by the key before could not be sealed by the new one; that is done at the next start, or before a key is retired"
        );
    }
    for environment in here.iter() {
        environment.note(&actor, why.as_ref(), AuditEvent::KeyRotated { key }).await?;
    }
    Ok(data(&json!({"key_id": key})))
}

/// The new key is in the file before it signs anything, and the current one after all logs name it: wherever this
/// breaks off, what was signed can be checked by what is there. Run again, it hands on where that is not done yet.
async fn rotate_audit(State(here): State<Environments>, Local(actor): Local, body: Bytes) -> Answer {
    let Retire { why, .. } = parse(&body)?;
    let _turn = here.turn().await?;
    here.try_signing().await?;
    let (path, entropy) = (here.keys.audit_path.clone(), Arc::clone(&here.keys.entropy));
    let keys = blocking(move || audit_key::prepare(&path, &*entropy)).await?;
    let mut handed_on = None;
    for environment in here.iter() {
        if let Err(error) = environment.hand_on(&keys, (&actor, why.as_ref())).await {
            let words = format!("{error:#}");
            return Err(match handed_on {
                Some(name) => Failure::HandedOnIn(name, words),
                None => Failure::Unavailable(words),
            });
        }
        handed_on = Some(environment.name);
    }
    let key = keys.first().map_or(KeyId(0), |(key, _)| *key);
    let path = here.keys.audit_path.clone();
    blocking(move || pepper::write(&path, &keys)).await.map_err(|failure| match failure {
        Failure::Unavailable(words) => Failure::AuditKeyUnwritten(words),
        other => other,
    })?;
    tracing::info!(key = key.0, "The audit key was rotated");
    Ok(data(&json!({"key_id": key})))
}

/// Nothing new comes under the key before it is looked for once more, and only then it leaves the file.
async fn retire(
    State(here): State<Environments>,
    Local(actor): Local,
    key: Result<Path<u32>, PathRejection>,
    body: Bytes,
) -> Answer {
    let Retire { force, why } = parse(&body)?;
    let key = key.map(|Path(key)| KeyId(key)).map_err(|_| Failure::NoKey)?;
    let _turn = here.turn().await?;
    here.refuse_needed(key, force).await?;
    here.seal_anew().await.map_err(|error| Failure::Unavailable(format!("{error:#}")))?;
    for environment in here.iter() {
        environment.store.close_key(key).await?;
    }
    if let Err(failure) = here.remove(key, force).await {
        for environment in here.iter() {
            environment.store.reopen_key(key).await?;
        }
        return Err(failure);
    }
    tracing::info!(key = key.0, "A key was retired");
    for environment in here.iter() {
        let lost = environment.needs().await?.remove(&key).unwrap_or_default();
        let event = AuditEvent::KeyRetired { key, secrets_lost: lost.secrets, tokens_lost: lost.tokens };
        environment.note(&actor, why.as_ref(), event).await?;
    }
    Ok(data(&json!({"key_id": key})))
}

impl Environments {
    /// Whoever holds it is the only one to change keys. The file must still be the one that the rings are of,
    /// and every store able to say in its log what happens.
    async fn turn(&self) -> Result<MutexGuard<'_, ()>, Failure> {
        let turn = self.keys.turn.lock().await;
        if self.iter().any(|environment| environment.store.is_full()) {
            return Err(StoreError::Full.into());
        }
        if self.iter().any(|environment| !environment.store.is_writable()) {
            return Err(Failure::Unavailable("a store cannot write; restart the server first".to_owned()));
        }
        let path = self.keys.path.clone();
        let keys = blocking(move || pepper::load(&path)).await?;
        let known: Vec<KeyId> = keys.iter().map(|(key, _)| *key).collect();
        let lost = self.iter().flat_map(|environment| environment.keyring().ids()).find(|key| !known.contains(key));
        if let Some(lost) = lost {
            let words = format!("{}: key {} is gone from it; put it back first", self.keys.path.display(), lost.0);
            return Err(Failure::Unavailable(words));
        }
        self.take_up(&keys).await?;
        Ok(turn)
    }

    /// Writes into every store, as a handover does: only trying shows whether there is room.
    async fn try_signing(&self) -> Result<(), Failure> {
        for environment in self.iter() {
            environment.store.checkpoint(environment.clock.now()).await?;
        }
        Ok(())
    }

    /// Seals by the current key what others have sealed.
    async fn seal_anew(&self) -> anyhow::Result<()> {
        for environment in self.iter() {
            environment.seal_acme_items_anew().await.with_context(|| environment.name.to_string())?;
        }
        Ok(())
    }

    /// From here on the keys are in use: for new digests the first of them.
    async fn take_up(&self, keys: &pepper::MasterKeys) -> Result<(), Failure> {
        self.prepare_rsa(keys).await.map_err(|error| Failure::Unavailable(format!("{error:#}")))?;
        for environment in self.iter() {
            environment.keyring().replace(keys).map_err(|fault| unusable(&self.keys.path, fault))?;
        }
        Ok(())
    }

    async fn known_keys(&self) -> Result<Vec<Shown>, Failure> {
        let ids = self.iter().next().map(|environment| environment.keyring().ids()).unwrap_or_default();
        let mut shown: Vec<Shown> = Vec::new();
        for (place, key_id) in ids.into_iter().enumerate() {
            let (secrets, tokens, expired_tokens, clients) = (0, 0, 0, Vec::new());
            shown.push(Shown { key_id, current: place == 0, secrets, tokens, expired_tokens, clients });
        }
        for environment in self.iter() {
            let mut needs = environment.needs().await?;
            for shown in &mut shown {
                let KeyNeeds { secrets, tokens, expired_tokens, clients } =
                    needs.remove(&shown.key_id).unwrap_or_default();
                shown.secrets += secrets;
                shown.tokens += tokens;
                shown.expired_tokens += expired_tokens;
                shown.clients.extend(clients);
            }
        }
        Ok(shown)
    }

    async fn refuse_needed(&self, key: KeyId, force: bool) -> Result<(), Failure> {
        let known = self.known_keys().await?;
        let shown = known.into_iter().find(|shown| shown.key_id == key).ok_or(Failure::NoKey)?;
        if shown.current {
            return Err(Failure::Current(key));
        }
        if force {
            return Ok(());
        }
        if let Some(store) = self.keys.unopened.first() {
            let words = format!("{} is there and not served, so nobody knows what it needs", store.display());
            return Err(Failure::Needed(words));
        }
        let Shown { secrets, tokens, expired_tokens, clients, .. } = shown;
        if secrets == 0 && tokens == 0 && expired_tokens == 0 {
            return Ok(());
        }
        let of = if clients.is_empty() { String::new() } else { format!(" (of {})", clients.join(", ")) };
        Err(Failure::Needed(format!(
            "Without it {secrets} secrets{of} and {tokens} tokens stop working, and {expired_tokens} expired tokens are unknown"
        )))
    }

    async fn remove(&self, key: KeyId, force: bool) -> Result<(), Failure> {
        self.refuse_needed(key, force).await?;
        let path = self.keys.path.clone();
        let keys = blocking(move || pepper::remove_key(&path, key)).await?;
        self.take_up(&keys).await.map_err(Failure::after_the_file)
    }
}

impl Environment {
    async fn needs(&self) -> Result<BTreeMap<KeyId, KeyNeeds>, StoreError> {
        self.store.key_needs(self.clock.now()).await
    }

    /// Lets the first of the keys sign its audit log.
    async fn hand_on(&self, keys: &pepper::MasterKeys, (actor, why): (&Actor, Option<&String>)) -> anyhow::Result<()> {
        let derived = AuditKeys::derive(self.name, keys).context("the audit key file")?;
        let cause = self.cause(actor.clone(), why.cloned())?;
        Ok(self.store.rotate_audit_key(cause, derived).await?)
    }

    async fn note(&self, actor: &Actor, why: Option<&String>, event: AuditEvent) -> Result<(), Failure> {
        let cause = self.cause(actor.clone(), why.cloned()).map_err(|error| Failure::Unnoted(error.to_string()))?;
        self.store.note(cause, event).await.map_err(|error| Failure::Unnoted(error.to_string()))
    }
}

impl Failure {
    /// The same of what failed once the key file was written.
    fn after_the_file(self) -> Self {
        match self {
            Self::Unavailable(words) => Self::NotTakenUp(words),
            other => other,
        }
    }
}

fn unusable(file: &std::path::Path, fault: KeyringFault) -> Failure {
    Failure::Unavailable(format!("{}: {fault}; put the file back as it was", file.display()))
}

/// Who asks, if it is somebody on this machine. That is known before anything of the body is read.
struct Local(Actor);

impl<S: Sync> FromRequestParts<S> for Local {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match parts.extensions.get::<Caller>() {
            Some(Caller { actor: actor @ (Actor::Socket { .. } | Actor::Local { .. }), .. }) => Ok(Self(actor.clone())),
            _ => Err(Failure::Foreign),
        }
    }
}

fn parse(body: &[u8]) -> Result<Retire, Failure> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Failure::Invalid(error.to_string()))
}

/// Waits for the disk where nobody else waits for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.unwrap_or(Err(StoreError::Closed))?)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, code, message, details) = match self {
            Self::Foreign => (
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                "Keys are the local administrator's".to_owned(),
                "Run fuuffy keys on the server's machine".to_owned(),
            ),
            Self::Invalid(words) => {
                (StatusCode::BAD_REQUEST, "invalid_request", "The request is not what it must be".to_owned(), words)
            }
            Self::NoKey => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is no such key".to_owned(),
                "List the keys that there are by fuuffy keys list".to_owned(),
            ),
            Self::Current(key) => (
                StatusCode::CONFLICT,
                "key_in_use",
                format!("Key {} is the current one", key.0),
                "Rotate first, by fuuffy keys rotate".to_owned(),
            ),
            Self::Needed(words) => (
                StatusCode::CONFLICT,
                "key_in_use",
                "The key is still needed".to_owned(),
                format!("{words}; wait until nothing needs it, or say --force"),
            ),
            Self::Unavailable(words) => {
                (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", "The keys are as they were".to_owned(), words)
            }
            Self::NotTakenUp(words) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "The key file is changed, and the server goes on with the keys from before".to_owned(),
                format!("{words}; when that is mended, restart the server"),
            ),
            Self::Unnoted(words) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "The keys were changed, but the audit log does not say so".to_owned(),
                words,
            ),
            Self::HandedOnIn(name, words) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                format!("The audit key was handed on in {name} only"),
                format!("{words}; run fuuffy keys rotate --audit again when the other store can write"),
            ),
            Self::AuditKeyUnwritten(words) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "The audit key was handed on, but the audit key file does not say so".to_owned(),
                format!("{words}; run fuuffy keys rotate --audit again when the file can be written"),
            ),
        };
        let error = json!({"error": {"code": code, "message": message, "details": details}});
        (status, [(header::CACHE_CONTROL, "no-store")], Json(error)).into_response()
    }
}

fn data(value: &impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(json!({"data": value}))).into_response()
}
