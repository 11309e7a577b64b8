//! What every deed needs, and how deeds fail.

use std::net::IpAddr;
use std::sync::Arc;

use fuuffy_domain::{
    Actor, Cause, CertificateId, ClientId, Clock, Entropy, EnvironmentName, IdentityId, KeySetFault, Keyring, Lifetime,
    NoEntropy, PlanName, RequestId, TrustedIssuer,
};
use fuuffy_protocol::{ClientSecret, MutualTls};
use fuuffy_store::{Explanations, NewSecret, Outbox, OutboxError, Store, StoreError, UsageBook};
use thiserror::Error;

use crate::alerts::{TestAlert, Untold};
use crate::client_keys::KeysOf;
use crate::configuration::Configured;
use crate::refusals::Refusals;

/// One environment, as far as operators' deeds reach.
#[derive(Clone)]
pub struct Environment {
    /// Which.
    pub name: EnvironmentName,
    /// Where clients last.
    pub store: Arc<dyn Store>,
    /// Why requests were refused.
    pub explanations: Arc<Explanations>,
    /// What clients used.
    pub usage: Arc<UsageBook>,
    /// Alerts that nobody has taken yet.
    pub outbox: Arc<Outbox>,
    /// What tries the way of alerts out.
    pub test_alert: TestAlert,
    /// The keys of the digests.
    pub keyring: Arc<Keyring>,
    /// Whether the configuration has a plan of this name.
    pub plans: Arc<dyn Fn(&PlanName) -> bool + Send + Sync>,
    /// How far clients can be known by certificate.
    pub mutual_tls: MutualTls,
    /// The platforms whose tokens clients can be known by.
    pub issuers: Arc<[TrustedIssuer]>,
    /// Whether a client may publish its keys at a URL, as far as can be said before its name is looked up.
    pub may_publish_at: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// What gets the keys that are published at a client's URL.
    pub keys_of: KeysOf,
    /// The environment's token lifetime, which no client's exceeds.
    pub longest_lifetime: Lifetime,
    /// How long nobody must have used a secret before it is safe to retire.
    pub quiet: Lifetime,
    /// The server's clock.
    pub clock: Arc<dyn Clock>,
    /// Where ids and secrets come from.
    pub entropy: Arc<dyn Entropy>,
    /// The routes and plans that are in force.
    pub configured: Arc<dyn Fn() -> Configured + Send + Sync>,
    /// What operators were refused lately.
    pub refusals: Arc<Refusals>,
}

/// Why a deed was not done.
#[derive(Debug, Error)]
pub enum DeedError {
    /// Something asked for is not what it must be: which, and what it must be.
    #[error("{0}")]
    Invalid(String),
    /// There is no such client, or it has no such secret, key, identity or certificate.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// What was to be changed is not what was seen.
    #[error("it was changed meanwhile")]
    Stale,
    /// The id that was asked for is, or was, another client's.
    #[error("there is or was a client of that id")]
    Taken,
    /// The client has three live secrets already.
    #[error("the client has three live secrets")]
    TooManySecrets,
    /// The client has three keys already.
    #[error("the client has three keys")]
    TooManyKeys,
    /// The client has this key already, or another that is called so.
    #[error("the client has that key, or one of that name")]
    KeyTaken,
    /// The client publishes its keys, and has none that are registered.
    #[error("the client publishes its keys")]
    KeysPublished,
    /// The keys that the client publishes cannot be used.
    #[error("the keys that the client publishes cannot be used: {}", .0.words().0)]
    KeysUnusable(KeySetFault),
    /// The configuration trusts no such issuer.
    #[error("the configuration trusts no such issuer")]
    IssuerUntrusted,
    /// The client has ten identities already.
    #[error("the client has ten identities")]
    TooManyIdentities,
    /// The client has this identity already.
    #[error("the client has that identity")]
    IdentityTaken,
    /// The configuration asks nobody for certificates.
    #[error("the configuration has no mutual_tls")]
    NoMutualTls,
    /// The configuration names no authority that vouches for names in certificates.
    #[error("the configuration names no authorities")]
    NoAuthorities,
    /// The client has ten certificates already.
    #[error("the client has ten certificates")]
    TooManyCertificates,
    /// The client is known by this certificate already.
    #[error("the client has that certificate")]
    CertificateTaken,
    /// Whoever asks lacks this scope.
    #[error("it takes the scope {0}")]
    Forbidden(&'static str),
    /// Another creation was asked for under the same idempotency key.
    #[error("the idempotency key stands for another request")]
    KeyReused,
    /// What was answered for an idempotency key cannot be read any more.
    #[error("the answer that was kept for this idempotency key cannot be read; use another key")]
    Unreadable,
    /// The system's random generator failed.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// A test alert was not told.
    #[error(transparent)]
    Untold(#[from] Untold),
    /// The outbox could not be read or written.
    #[error(transparent)]
    Outbox(OutboxError),
    /// The store could not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Environment {
    /// What the audit log will say of a deed that is asked for now.
    pub(crate) fn cause(&self, actor: Actor, from: Option<IpAddr>, why: Option<String>) -> Result<Cause, DeedError> {
        let request = self.new_request_id()?;
        Ok(Cause { actor, from, request, at: self.clock.now(), why })
    }

    pub(crate) fn new_request_id(&self) -> Result<RequestId, DeedError> {
        let mut random = [0; 10];
        self.entropy.fill(&mut random)?;
        Ok(RequestId::generate(self.clock.now(), random))
    }

    pub(crate) fn new_client_id(&self) -> Result<ClientId, DeedError> {
        let mut random = [0; 12];
        self.entropy.fill(&mut random)?;
        Ok(ClientId::from_random(random))
    }

    pub(crate) fn new_identity_id(&self) -> Result<IdentityId, DeedError> {
        let mut random = [0; 12];
        self.entropy.fill(&mut random)?;
        Ok(IdentityId::from_random(random))
    }

    pub(crate) fn new_certificate_id(&self) -> Result<CertificateId, DeedError> {
        let mut random = [0; 12];
        self.entropy.fill(&mut random)?;
        Ok(CertificateId::from_random(random))
    }

    /// A new secret: in clear for its holder, and as it is kept.
    pub(crate) fn new_secret(
        &self,
        expires_at: Option<fuuffy_domain::Timestamp>,
    ) -> Result<(ClientSecret, NewSecret), DeedError> {
        let (secret, id, digest) = self.keyring.new_secret(self.name, &*self.entropy)?;
        let new = NewSecret { id, digest, created_at: self.clock.now(), expires_at, made_by: None };
        Ok((secret, new))
    }
}

/// The id in a path: what cannot be one is nobody's.
pub(crate) fn client_id(text: &str) -> Result<ClientId, DeedError> {
    ClientId::parse(text).map_err(|_| DeedError::NotFound("client"))
}
