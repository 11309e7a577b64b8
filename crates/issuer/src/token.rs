//! The token endpoint, from the request's bytes to its answer, top to bottom.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fuuffy_domain::{
    Actor, ApprovedGrant, AuthenticatedClient, Call, Cause, Client, ClientId, ClientSlot, Clock, DrillKind, Ended,
    Entropy, GrantRefusal, Keyring, Lifetime, Reason, RefusalCounts, RequestContext, Stage, Tally, Timestamp,
};
use fuuffy_protocol::{
    AccessToken, BodyShape, Credentials, QueryCredentials, Refusal, RequestFault, TokenRequest, TokenResponse,
};
use fuuffy_store::{Explanations, NewToken, SecretChange, Store, StoreError};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response};
use zeroize::Zeroizing;

use crate::look_ups::{self, LookUps};
use crate::reason::Refusing;
use crate::throttle::{Standing, Throttle};
use crate::token_limits::{TokenLimits, TokenRequests};

/// Seconds that a caller is told to wait when the store cannot write.
const UNWRITABLE_RETRY: u64 = 30;
/// A client is told that its secret expires so long before.
const REMINDED: Duration = Duration::from_secs(14 * 24 * 3600);
/// By this field: an HTTP date (RFC 9110 §5.6.7).
const SECRET_EXPIRES: HeaderName = HeaderName::from_static("fuuffy-secret-expires");
/// So much of a `User-Agent` is kept, in bytes.
const LONGEST_AGENT: usize = 100;
/// Seconds that a caller is told to wait by a drill.
const DRILL_RETRY: u64 = 1;

/// The token service of one environment.
pub struct Issuer {
    /// Which environment: decides what a well-formed secret looks like, and whether there are drills.
    pub stage: Arc<Stage>,
    /// Where clients are found and tokens last.
    pub store: Arc<dyn Store>,
    /// The keys of the digests.
    pub keyring: Arc<Keyring>,
    /// Where the bits of tokens come from.
    pub entropy: Arc<dyn Entropy>,
    /// The server's clock, read again when a token's life begins.
    pub clock: Arc<dyn Clock>,
    /// Where the reasons of refusals are kept.
    pub explanations: Arc<Explanations>,
    /// The life of a token, unless its client has a shorter one.
    pub token_lifetime: Lifetime,
    /// 16 or 32.
    pub token_bytes: usize,
    /// How long nobody must have used a secret before one that is to go does.
    pub retire_unused_after: Lifetime,
    /// How many tokens may be asked for.
    pub token_limits: TokenLimits,
    token_requests: TokenRequests,
    pub(crate) throttle: Throttle,
    look_ups: LookUps,
    issued: AtomicU64,
    refused: AtomicU64,
    refusals: RefusalCounts,
    /// Where the requests of clients are counted.
    pub tally: Arc<Tally>,
}

/// What is found out on the way and told in the answer, however it ends.
#[derive(Default)]
struct Found {
    /// Whose request it is, once that is proven.
    client: Option<ClientSlot>,
    drill: Option<DrillKind>,
    /// When the secret that was presented expires, if that is soon.
    secret_expires: Option<Timestamp>,
    /// Whether too many tokens were asked for.
    was_limited: bool,
    /// Why it is refused, besides what the answer says.
    reason: Option<(Option<ClientId>, Reason)>,
}

/// How many token requests ended how, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Tokens issued.
    pub issued: u64,
    /// Requests refused.
    pub refused: u64,
}

impl Issuer {
    /// A token service with nobody throttled.
    #[must_use]
    pub fn new(
        stage: Arc<Stage>,
        store: Arc<dyn Store>,
        keyring: Arc<Keyring>,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
        explanations: Arc<Explanations>,
    ) -> Self {
        Self {
            stage,
            store,
            keyring,
            entropy,
            clock,
            explanations,
            token_lifetime: Lifetime::HOUR,
            token_bytes: 16,
            retire_unused_after: Lifetime::DAY,
            token_limits: TokenLimits::default(),
            token_requests: TokenRequests::default(),
            throttle: Throttle::default(),
            look_ups: LookUps::default(),
            issued: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            refusals: RefusalCounts::default(),
            tally: Arc::default(),
        }
    }

    /// Answers one token request, in the shape of the path that it came by. `body` is the whole body,
    /// or the refusal that reading it met. The answer has the client as an extension, once that is proven.
    pub async fn respond(
        &self,
        context: &RequestContext,
        parts: &Parts,
        body: Result<Bytes, Refusal>,
        shape: BodyShape,
    ) -> Response<Bytes> {
        let mut found = Found::default();
        let mut response = match self.token(context, parts, body, &mut found).await {
            Ok(response) => {
                self.issued.fetch_add(1, Ordering::Relaxed);
                response.to_response(shape)
            }
            Err(refusal) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                self.refusals.note(&refusal);
                self.explain(context, parts, &refusal, found.reason.take());
                tracing::debug!(request_id = %context.id, code = refusal.code(), "A token request was refused");
                refusal.to_response(shape)
            }
        };
        found.tell(response.headers_mut());
        self.count(context, parts.uri.path(), &found, response.status().as_u16());
        if let Some(client) = found.client {
            response.extensions_mut().insert(client);
        }
        response
    }

    /// Counts a request for the client that has proven itself, or for none.
    fn count(&self, context: &RequestContext, route: &str, found: &Found, status: u16) {
        let Some(client) = found.client else {
            return self.tally.note_stranger(status);
        };
        let took = self.clock.now().since(context.now);
        let ended = Ended { status, was_limited: found.was_limited, was_observed: false, has_failed: false, took };
        let (at, from, path) = (context.now, context.peer, self.tally.path(route));
        self.tally.of(client).note(Call { at, route, ended, from, by: None, path });
    }

    /// How often callers were refused, by class.
    #[must_use]
    pub const fn refusals(&self) -> &RefusalCounts {
        &self.refusals
    }

    /// How many token requests ended how.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome { issued: self.issued.load(Ordering::Relaxed), refused: self.refused.load(Ordering::Relaxed) }
    }

    async fn token(
        &self,
        context: &RequestContext,
        parts: &Parts,
        body: Result<Bytes, Refusal>,
        found: &mut Found,
    ) -> Result<TokenResponse, Refusal> {
        if parts.method != Method::POST {
            return Err(Refusal::MethodNotAllowed("POST"));
        }
        let body = body?;
        if let Some(misplaced) = QueryCredentials::find(parts) {
            self.mark_exposed(context, &misplaced, &body).await;
            return Err(Refusal::InvalidRequest(RequestFault::CredentialsInQuery));
        }
        let request = TokenRequest::parse(&parts.headers, &body)?;
        let client = self.authenticate(context, &request.credentials);
        let client = client.inspect_err(|refusal| {
            found.reason = Some(self.reason(context, &request.credentials, refusal));
        })?;
        let known = Arc::clone(client.client());
        let slot = client.client().slot;
        found.client = Some(slot);
        found.secret_expires = expires_soon(&client, context.now);
        let grant = client.approve(request.scope, self.token_lifetime).map_err(|refused| {
            let reason = match refused {
                GrantRefusal::Suspended => Reason::ClientSuspended { generation: known.generation },
                GrantRefusal::Scope => Reason::ScopeNotAllowed { may: known.scopes.to_string() },
            };
            found.reason = Some((Some(known.id.clone()), reason));
            refusal_of_grant(refused)
        })?;
        // After all proofs, so that nobody but the client itself can use up what it may ask for, or its drill.
        let taken = self.token_requests.take(&self.token_limits, self.token_lifetime, context, &grant);
        taken.map_err(|(refusal, reason)| {
            found.reason = Some((Some(known.id.clone()), reason));
            found.was_limited = true;
            refusal
        })?;
        found.drill = self.stage.meet_token_request(slot, context.now);
        if found.drill.is_some() {
            found.reason = Some((Some(known.id.clone()), Reason::Drill));
            return Err(Refusal::ServiceUnavailable(DRILL_RETRY));
        }
        self.issue(context, &parts.headers, grant).await.map_err(|Refusing { refusal, reason }| {
            found.reason = Some((Some(known.id.clone()), reason.unwrap_or(Reason::Told)));
            refusal
        })
    }

    /// Wrong credentials are limited before any hashing; but a well-formed secret is always checked,
    /// so that a flood of wrong ones never locks out the holder of the right one.
    pub(crate) fn authenticate(
        &self,
        context: &RequestContext,
        claimed: &Credentials,
    ) -> Result<AuthenticatedClient, Refusal> {
        let standing = self.throttle.standing(context, &claimed.client_id);
        if let Standing::Exhausted(wait) = standing
            && !claimed.secret.is_well_formed(self.stage.name().secret_kind())
        {
            return Err(Refusal::RateLimitExceeded(wait));
        }
        // The client first: what it is kept under is among the keys of a later moment.
        let client = self.find(claimed);
        let digests = self.keyring.secret_digests(&claimed.secret);
        Client::authenticate(client.as_ref(), &digests, context.now).map_err(|_| {
            self.throttle.note_failure(context, &claimed.client_id);
            match standing {
                Standing::Exhausted(wait) => Refusal::RateLimitExceeded(wait),
                Standing::Good => Refusal::InvalidClient(Some(claimed.method)),
            }
        })
    }

    /// Limits wrong tokens by address as wrong secrets are, where they are not for the API. A right one always does.
    ///
    /// # Errors
    /// What was wrong, or that there was too much of it.
    pub fn limit<T>(&self, context: &RequestContext, proven: Result<T, Refusal>) -> Result<T, Refusal> {
        proven.map_err(|refusal| {
            if !matches!(refusal, Refusal::InvalidToken(_)) {
                return refusal;
            }
            let standing = self.throttle.standing_of_address(context);
            self.throttle.note_failure_from_address(context);
            match standing {
                Standing::Exhausted(wait) => Refusal::RateLimitExceeded(wait),
                Standing::Good => refusal,
            }
        })
    }

    /// Lets a client look one refusal up, if it has not looked up too many within the minute.
    ///
    /// # Errors
    /// It has; and why that was refused.
    pub fn take_look_up(&self, client: &ClientId, now: Timestamp) -> Result<(), (Refusal, Reason)> {
        let most = look_ups::MOST;
        let refused = |wait| (Refusal::RateLimitExceeded(wait), Reason::AskedTooOften { most });
        self.look_ups.take(client, now).map_err(refused)
    }

    fn find(&self, claimed: &Credentials) -> Option<Arc<Client>> {
        let id = ClientId::parse(&claimed.client_id).ok()?;
        self.store.directory().find(&id)
    }

    /// The token is on disk before this returns it.
    async fn issue(
        &self,
        context: &RequestContext,
        headers: &HeaderMap,
        grant: ApprovedGrant,
    ) -> Result<TokenResponse, Refusing> {
        let mut random = Zeroizing::new([0_u8; 32]);
        let random = &mut random[..self.token_bytes];
        self.entropy.fill(random).map_err(|_| Refusal::ServiceUnavailable(UNWRITABLE_RETRY))?;
        let access_token = AccessToken::from_random(random);
        let expires_in = u64::from(grant.lifetime().seconds());
        let scope = grant.scope_to_report();
        let (key, digest) = self.keyring.token_digest(&access_token);
        let (issued_at, from, agent) = (self.clock.now(), Some(context.peer), agent(headers));
        let deed = self.store.issue_token(NewToken { grant, key, digest, issued_at, from, agent });
        deed.await?;
        Ok(TokenResponse { access_token, expires_in, scope })
    }

    /// A right secret in a URL stands in logs and histories from now on: its holder must learn of it.
    async fn mark_exposed(&self, context: &RequestContext, misplaced: &QueryCredentials, body: &[u8]) {
        let Some(claimed) = misplaced.credentials(body) else {
            return;
        };
        let Ok(known) = self.authenticate(context, &claimed) else {
            return;
        };
        let (client, secret) = (known.client().id.clone(), known.secret().clone());
        let actor = Actor::Client { client_id: client.clone() };
        let cause = Cause { actor, from: Some(context.peer), request: context.id, at: context.now, why: None };
        tracing::warn!(request_id = %context.id, client_id = %client, secret_id = %secret, "A secret was sent in a URL; add a new one and retire it");
        if let Err(error) = self.store.change_secret(cause, (client, secret), None, SecretChange::Expose).await {
            tracing::error!(request_id = %context.id, %error, "An exposed secret could not be marked");
        }
    }
}

/// When the secret that was presented expires, if that is soon.
fn expires_soon(client: &AuthenticatedClient, now: Timestamp) -> Option<Timestamp> {
    let secret = client.client().secrets.iter().find(|secret| secret.id == *client.secret())?;
    secret.expires_at.filter(|expiry| expiry.since(now) <= REMINDED)
}

impl Found {
    fn tell(&self, headers: &mut HeaderMap) {
        if let Some(drill) = self.drill {
            drill.mark(headers);
        }
        let date = self.secret_expires.and_then(|expiry| u64::try_from(expiry.unix_millis()).ok());
        let date = date.map(|millis| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis)));
        if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
            headers.insert(SECRET_EXPIRES, date);
        }
    }
}

/// What asks, by its own word, as far as that is worth keeping.
fn agent(headers: &HeaderMap) -> Option<Arc<str>> {
    let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(Arc::from(agent.get(..LONGEST_AGENT).unwrap_or(agent)))
}

pub(crate) fn refusal_of(error: &StoreError) -> Refusal {
    match error {
        StoreError::Superseded => Refusal::UnauthorizedClient,
        StoreError::TooManyScopes => Refusal::InvalidScope,
        StoreError::Closed | StoreError::Overloaded => Refusal::ServiceUnavailable(1),
        StoreError::Unwritable(_) | StoreError::Full | StoreError::InUse(_) | StoreError::BadFile { .. } => {
            Refusal::ServiceUnavailable(UNWRITABLE_RETRY)
        }
    }
}

fn refusal_of_grant(refusal: GrantRefusal) -> Refusal {
    match refusal {
        GrantRefusal::Suspended => Refusal::UnauthorizedClient,
        GrantRefusal::Scope => Refusal::InvalidScope,
    }
}
