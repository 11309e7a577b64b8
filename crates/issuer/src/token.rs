//! The token service of an environment, and its token endpoint (RFC 6749 §4.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use fuuffy_domain::{
    ApprovedGrant, Binding, BindingKind, CertificateFault, Client, ClientId, Clock, Entropy, GrantRefusal, Keyring,
    LeakGrades, Lifetime, Proofs, Proving, Reason, RefusalCounts, RequestContext, Stage, Tally, Timestamp,
};
use fuuffy_protocol::{
    AccessToken, ClientAuthentication, Identifiers, ProofFault, ProofField, ProofPlace, Refusal, RequestFault,
    TokenRequest, TokenResponse, TokenType,
};
use fuuffy_store::{Explanations, NewToken, Store, StoreError};
use http::header::{self, HeaderMap};
use http::request::Parts;
use zeroize::Zeroizing;

use crate::authorities::Authorities;
use crate::by_identity::Platform;
use crate::endpoint::Found;
use crate::jwt::TokenFormat;
use crate::look_ups::{self, LookUps};
use crate::published_keys::PublishedKeys;
use crate::reason::Refusing;
use crate::rsa_keys::RsaKeys;
use crate::signed::SigningAlgorithm;
use crate::throttle::Throttle;
use crate::token_limits::{TokenLimits, TokenRequests};
use crate::uses::Uses;

/// Seconds that a caller is told to wait when the store cannot write.
const UNWRITABLE_RETRY: u64 = 30;
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
    /// What checks that a key is held which a token is to be bound to.
    pub proofs: Arc<Proofs>,
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
    /// What a token looks like.
    pub token_format: TokenFormat,
    /// What one that is a JWT is signed by.
    pub token_signing: SigningAlgorithm,
    /// What an introspection is signed by, where one is asked for that is.
    pub answer_signing: SigningAlgorithm,
    /// The keys that sign by RSA, if any do.
    pub rsa: RsaKeys,
    /// How long nobody must have used a secret before one that is to go does.
    pub retire_unused_after: Lifetime,
    /// What comes of secrets and tokens that are seen where they do not belong.
    pub leak_grades: LeakGrades,
    /// How many tokens may be asked for.
    pub token_limits: TokenLimits,
    token_requests: TokenRequests,
    pub(crate) throttle: Throttle,
    look_ups: LookUps,
    pub(crate) uses: Uses,
    pub(crate) issued: AtomicU64,
    pub(crate) refused: AtomicU64,
    refusals: RefusalCounts,
    /// Where the requests of clients are counted.
    pub tally: Arc<Tally>,
    /// The keys that clients publish.
    pub published: Arc<PublishedKeys>,
    /// The platforms whose tokens clients can be known by.
    pub platforms: Vec<Platform>,
    /// Those who vouch for the names in clients' certificates, if there are any.
    pub(crate) authorities: ArcSwapOption<Authorities>,
    /// What the environment is called.
    pub identifiers: Identifiers,
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
        proofs: Arc<Proofs>,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
        explanations: Arc<Explanations>,
        identifiers: Identifiers,
    ) -> Self {
        Self {
            stage,
            store,
            keyring: Arc::clone(proofs.keyring()),
            proofs,
            entropy,
            clock,
            explanations,
            token_lifetime: Lifetime::HOUR,
            token_bytes: 16,
            token_format: TokenFormat::Opaque,
            token_signing: SigningAlgorithm::Es256,
            answer_signing: SigningAlgorithm::EdDsa,
            rsa: RsaKeys::default(),
            retire_unused_after: Lifetime::DAY,
            leak_grades: LeakGrades::default(),
            token_limits: TokenLimits::default(),
            token_requests: TokenRequests::default(),
            throttle: Throttle::default(),
            look_ups: LookUps::default(),
            uses: Uses::default(),
            issued: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            refusals: RefusalCounts::default(),
            tally: Arc::default(),
            published: Arc::new(PublishedKeys::nowhere()),
            platforms: Vec::new(),
            authorities: ArcSwapOption::empty(),
            identifiers,
        }
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

    /// The token endpoint, from the request's bytes to its answer, top to bottom.
    pub(crate) async fn token(
        &self,
        context: &RequestContext,
        parts: &Parts,
        body: &[u8],
        found: &mut Found,
    ) -> Result<TokenResponse, Refusal> {
        let headers = &parts.headers;
        let request = TokenRequest::parse(headers, body)?;
        let client = self.prove(context, parts, &request.authentication, found).await?;
        if let ClientAuthentication::Secret(claimed) = &request.authentication {
            self.refuse_browser(context, headers, (&client, claimed), found).await?;
        }
        let (known, presented) = (Arc::clone(client.client()), client.secret().cloned());
        let binding = self.binding(context, parts, &client, found)?;
        let grant = client.approve(request.scope, self.token_lifetime, binding).map_err(|refused| {
            let reason = match refused {
                GrantRefusal::Suspended => Reason::ClientSuspended { generation: known.generation },
                GrantRefusal::Quarantined => {
                    presented.map_or(Reason::Told, |secret_id| Reason::SecretQuarantined { secret_id })
                }
                GrantRefusal::Scope => Reason::ScopeNotAllowed { may: known.scopes.to_string() },
                GrantRefusal::Unbound(BindingKind::DpopKey) => Reason::ProofRefused { fault: ProofFault::Missing },
                GrantRefusal::Unbound(BindingKind::Certificate) => {
                    Reason::CertificateRefused { fault: CertificateFault::Missing }
                }
            };
            found.reason = Some((Some(known.id.clone()), reason));
            refusal_of_grant(refused)
        })?;
        // A token is good for the whole environment, and `aud` says so; it is not for anything else (RFC 8707 §2.2).
        if !request.resources.iter().all(|wanted| self.identifiers.cover(wanted)) {
            found.reason = Some((Some(known.id.clone()), Reason::Told));
            return Err(Refusal::InvalidTarget);
        }
        // After all proofs, so that nobody but the client itself can use up what it may ask for, or its drill.
        let taken = self.token_requests.take(&self.token_limits, self.token_lifetime, context, &grant);
        taken.map_err(|(refusal, reason)| {
            found.reason = Some((Some(known.id.clone()), reason));
            found.was_limited = true;
            refusal
        })?;
        found.drill = self.stage.meet_token_request(known.slot, context.now);
        if found.drill.is_some() {
            found.reason = Some((Some(known.id.clone()), Reason::Drill));
            return Err(Refusal::ServiceUnavailable(DRILL_RETRY));
        }
        self.issue(context, headers, grant).await.map_err(|Refusing { refusal, reason }| {
            found.reason = Some((Some(known.id.clone()), reason.unwrap_or(Reason::Told)));
            refusal
        })
    }

    /// The key that the request proves, which the token is to be bound to (RFC 9449 §5). Only once the client is known, so
    /// that nobody else's proofs are remembered.
    pub(crate) fn proven_key(
        &self,
        context: &RequestContext,
        parts: &Parts,
        known: &Client,
        found: &mut Found,
    ) -> Result<Option<Binding>, Refusal> {
        let field = ProofField::parse(&parts.headers);
        if field == ProofField::Missing {
            return Ok(None);
        }
        let asked = Proving { method: &parts.method, path: parts.uri.path(), token: None, now: context.now };
        let used = self.proofs.prove(field, asked).map_err(|refused| {
            let fault = refused.fault();
            found.reason = Some((Some(known.id.clone()), Reason::ProofRefused { fault }));
            refused.at(ProofPlace::TokenEndpoint)
        })?;
        found.next_nonce = used.next_nonce;
        Ok(Some(used.key.binding()))
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
        let (lifetime, scope) = (grant.lifetime(), grant.scope_to_report());
        let (issued_at, from, agent) = (self.clock.now(), Some(context.peer), agent(headers));
        let (access_token, key, digest) = self.keyring.new_token(|seeds| match self.token_format {
            TokenFormat::Opaque => Ok(AccessToken::from_random(random)),
            TokenFormat::Jwt => self.jwt(seeds, random, &grant, issued_at),
        })?;
        let token_type = grant.binding().map_or(TokenType::Bearer, Binding::token_type);
        let deed = self.store.issue_token(NewToken { grant, key, digest, issued_at, from, agent });
        deed.await?;
        Ok(TokenResponse { access_token, token_type, expires_in: u64::from(lifetime.seconds()), scope })
    }
}

/// What asks, by its own word, as far as that is worth keeping.
pub(crate) fn agent(headers: &HeaderMap) -> Option<Arc<str>> {
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
        GrantRefusal::Quarantined => Refusal::SecretQuarantined,
        GrantRefusal::Scope => Refusal::InvalidScope,
        GrantRefusal::Unbound(BindingKind::DpopKey) => {
            Refusal::InvalidProof(ProofPlace::TokenEndpoint, ProofFault::Missing)
        }
        GrantRefusal::Unbound(BindingKind::Certificate) => Refusal::InvalidRequest(RequestFault::NoCertificate),
    }
}
