//! A registered client, the life of its secrets, and the proof that one of them was presented.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use crate::{
    AuditEvent, BindingKind, CertificateId, ClientCertificate, ClientId, ClientKey, ClientKeyId, ClientSlot, Identity,
    IdentityId, KeyId, Lifetime, Limits, MemberChange, PlanName, ScopeSet, SecretDigest, SecretId, Timestamp,
};

/// What the audit log calls that tokens are always bound to a key of proofs (RFC 9449 §5.2), or to a certificate (RFC 8705
/// §3.4).
const BOUND: [(&str, BindingKind); 2] = [
    ("dpop_bound_access_tokens", BindingKind::DpopKey),
    ("tls_client_certificate_bound_access_tokens", BindingKind::Certificate),
];

/// Live secrets that a client may have at once.
pub const MAX_LIVE_SECRETS: usize = 3;

/// A registered application.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its public id.
    pub id: ClientId,
    /// Its place in memory.
    pub slot: ClientSlot,
    /// What people call it.
    pub name: String,
    /// All that it may be granted.
    pub scopes: ScopeSet,
    /// Its plan; the configuration tells what that means.
    pub plan: PlanName,
    /// Limits of its own, in place of its plan's.
    pub limits: Option<Limits>,
    /// A life for its tokens shorter than the environment's.
    pub token_lifetime: Option<Lifetime>,
    /// Whether it may get tokens.
    pub status: ClientStatus,
    /// Counts revocations: a token is good only in the generation in which it was issued.
    pub generation: u32,
    /// Counts changes: whoever changes it says which state was seen (RFC 9110 §13.1.1).
    pub revision: Revision,
    /// Whether it may rotate its own secrets.
    pub may_rotate: bool,
    /// What its tokens are always bound to, so that it never gets a bearer token.
    pub must_bind: Option<BindingKind>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Its secrets, retired and expired ones included.
    pub secrets: Vec<Secret>,
    /// Its public keys, the oldest first.
    pub keys: Vec<ClientKey>,
    /// Where it publishes its keys, if it does so instead of having them registered. Fixed when it was registered.
    pub jwks_uri: Option<Arc<str>>,
    /// What a platform's own token may say for this client to be known by it, the oldest first.
    pub identities: Vec<Identity>,
    /// The certificates that it is known by, the oldest first.
    pub certificates: Vec<ClientCertificate>,
}

/// A state of a client, by the number of its changes. Use does not count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(pub u32);

/// Whether a client may get and use tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientStatus {
    /// It may.
    Active,
    /// It may not, until resumed.
    Suspended,
    /// It is gone; only its old tokens still find it, to be refused.
    Deleted,
}

/// One secret, as far as it is kept.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Its public id.
    pub id: SecretId,
    /// Its keyed digest.
    pub digest: SecretDigest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
    /// Its last use, if it was used.
    pub last_use: Option<LastUse>,
    /// How many tokens were issued for it.
    pub use_count: u64,
    /// When it was seen where secrets do not belong.
    pub exposed_at: Option<Timestamp>,
    /// Since when it can do nothing but replace itself, for it was seen where secrets do not belong.
    pub quarantined_at: Option<Timestamp>,
    /// Whether its client made it and has not confirmed yet that it is kept.
    pub is_pending: bool,
    /// Set when it is to go as soon as nobody uses it.
    pub retiring: Option<Retiring>,
    /// For how many days before its end its operators were last reminded of it.
    pub reminded: Option<u32>,
}

/// For so long a pending secret may belong to a rotation that goes on, perhaps another process's: until then
/// nothing takes its place.
pub const IN_FLIGHT: Duration = Duration::from_secs(10 * 60);

/// Operators are reminded of the end of a secret so many days before it.
pub const REMINDERS: [u32; 3] = [14, 3, 1];

/// The last token that was issued for a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: Timestamp,
    /// From where, if it is known.
    pub from: Option<IpAddr>,
    /// What asked, by its `User-Agent`.
    pub agent: Option<Arc<str>>,
}

/// A secret that is to go when it is unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retiring {
    /// Since when that holds.
    pub since: Timestamp,
    /// For how long nobody must have used it.
    pub unused_for: Duration,
}

/// Where a secret stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretStatus {
    /// It works.
    Live,
    /// It works; its client has not confirmed yet that it is kept.
    Pending,
    /// It works until nobody uses it.
    Retiring,
    /// Its time is over.
    Expired,
    /// It works no more.
    Retired,
}

impl Secret {
    /// Whether the secret works at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.retired_at.is_none() && self.expires_at.is_none_or(|expiry| now < expiry)
    }

    /// Where it stands at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> SecretStatus {
        match self {
            Self { retired_at: Some(_), .. } => SecretStatus::Retired,
            secret if !secret.is_live(now) => SecretStatus::Expired,
            Self { retiring: Some(_), .. } => SecretStatus::Retiring,
            Self { is_pending: true, .. } => SecretStatus::Pending,
            _ => SecretStatus::Live,
        }
    }

    /// Whether its client made it, never confirmed it and never used it, all long ago: another may take its place.
    #[must_use]
    pub fn is_replaceable(&self, now: Timestamp) -> bool {
        self.is_pending && self.use_count == 0 && self.is_live(now) && !self.is_in_flight(now)
    }

    /// Whether its client made it a moment ago and may be about to keep it.
    #[must_use]
    pub fn is_in_flight(&self, now: Timestamp) -> bool {
        self.is_pending && now < self.created_at.after(IN_FLIGHT)
    }

    /// The reminder of its end that is due and was not given yet, by its days.
    #[must_use]
    pub fn reminder(&self, now: Timestamp) -> Option<u32> {
        let left = self.expires_at.filter(|_| self.is_live(now))?.since(now);
        let is_due = |days: &u32| left <= Duration::from_secs(u64::from(*days) * 86_400);
        REMINDERS.into_iter().filter(is_due).min().filter(|days| self.reminded.is_none_or(|last| *days < last))
    }

    /// Whether it is to go, and nobody has used it for as long as that asks for.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.retiring.is_some_and(|Retiring { since, unused_for }| {
            let quiet_since = self.last_use.as_ref().map_or(since, |last| last.at.max(since));
            self.retired_at.is_none() && now >= quiet_since.after(unused_for)
        })
    }
}

/// Proof that a live secret of a client was presented, something signed by a key of it, a platform's token that it is
/// bound to, or a certificate that it is known by. Made only by [`Client::authenticate`], [`Client::authenticate_by_key`],
/// [`Client::authenticate_by_identity`] and [`Client::authenticate_by_certificate`].
#[derive(Debug)]
pub struct AuthenticatedClient {
    client: Arc<Client>,
    proof: Proof,
}

/// What a client has proven itself by.
#[derive(Debug)]
enum Proof {
    Secret { id: SecretId, rekeyed: Option<SecretDigest> },
    Key(ClientKeyId),
    Identity(IdentityId),
    Certificate(CertificateId),
}

/// What an operator changes about a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientChange {
    /// It may get no tokens, and those that it has are revoked.
    Suspend,
    /// It may get tokens again.
    Resume,
    /// It goes for good, with its secrets and tokens.
    Delete,
    /// Its tokens are revoked.
    RevokeTokens,
    /// What is known of it changes.
    Patch(ClientPatch),
}

/// What to change of what is known of a client; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientPatch {
    /// What people call it.
    pub name: Option<String>,
    /// All that it may be granted. Taking a scope away revokes its tokens.
    pub scopes: Option<ScopeSet>,
    /// Its plan.
    pub plan: Option<PlanName>,
    /// Limits of its own, or `None` within for its plan's.
    pub limits: Option<Option<Limits>>,
    /// A life for its tokens, or `None` within for the environment's.
    pub token_lifetime: Option<Option<Lifetime>>,
    /// Whether it may rotate its own secrets.
    pub may_rotate: Option<bool>,
    /// Whether its tokens are always bound to a key of its proofs. Asking for that revokes those that it has.
    pub dpop_bound: Option<bool>,
    /// Whether its tokens are always bound to a certificate, and so not to a key of proofs. Asking for that revokes those
    /// that it has.
    pub certificate_bound: Option<bool>,
}

/// Nobody, or the wrong secret: there is deliberately no way to tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("client authentication failed")]
pub struct AuthenticationFailure;

impl Client {
    /// Whether it may make itself another secret by this one of its own.
    #[must_use]
    pub fn may_replace(&self, by: &SecretId, now: Timestamp) -> bool {
        let is_live = self.secrets.iter().any(|secret| secret.id == *by && secret.is_live(now));
        is_live && self.may_rotate && self.status == ClientStatus::Active
    }

    /// Looks for a live secret with one of the presented digests, the current key's first. An unknown client is passed as
    /// `None` and costs the same: always [`MAX_LIVE_SECRETS`] comparisons for each digest, none cut short.
    ///
    /// # Errors
    /// [`AuthenticationFailure`]
    pub fn authenticate(
        client: Option<&Arc<Self>>,
        presented: &[SecretDigest],
        now: Timestamp,
    ) -> Result<AuthenticatedClient, AuthenticationFailure> {
        let nobody = SecretDigest { key: KeyId(u32::MAX), bytes: [0; 32] };
        let secrets = client.map_or(&[][..], |client| &client.secrets[..]);
        let mut live = secrets.iter().filter(|secret| secret.is_live(now));
        let mut found = None;
        for _ in 0..MAX_LIVE_SECRETS {
            let secret = live.next();
            let digest = secret.map_or(&nobody, |secret| &secret.digest);
            for candidate in presented {
                if digest.matches(candidate) {
                    found = secret;
                }
            }
        }
        match (client, found) {
            (Some(client), Some(secret)) => {
                let rekeyed = presented.first().filter(|current| current.key != secret.digest.key).copied();
                let proof = Proof::Secret { id: secret.id.clone(), rekeyed };
                Ok(AuthenticatedClient { client: Arc::clone(client), proof })
            }
            _ => Err(AuthenticationFailure),
        }
    }

    /// Makes a change. Answers what the audit log says of it, or `None` where nothing changed.
    pub fn change(&mut self, change: &ClientChange) -> Option<AuditEvent> {
        let client_id = self.id.clone();
        let event = match change {
            ClientChange::Suspend if self.status == ClientStatus::Suspended => return None,
            ClientChange::Suspend => {
                self.status = ClientStatus::Suspended;
                self.generation += 1;
                AuditEvent::ClientSuspended { client_id }
            }
            ClientChange::Resume if self.status == ClientStatus::Active => return None,
            ClientChange::Resume => {
                self.status = ClientStatus::Active;
                AuditEvent::ClientResumed { client_id }
            }
            ClientChange::Delete => {
                self.status = ClientStatus::Deleted;
                self.generation += 1;
                self.secrets.clear();
                self.keys.clear();
                self.jwks_uri = None;
                self.identities.clear();
                self.certificates.clear();
                AuditEvent::ClientDeleted { client_id }
            }
            ClientChange::RevokeTokens => {
                self.generation += 1;
                AuditEvent::TokensRevoked { client_id }
            }
            ClientChange::Patch(patch) => {
                let had = self.scopes.clone();
                let changes = self.patch(patch);
                if changes.is_empty() {
                    return None;
                }
                // Tokens say what they may do; none may do what its client no longer may. Nor may one go on that is bound to
                // nothing, where all of them must be.
                let is_bound_anew = |it: &MemberChange| BOUND.iter().any(|(member, _)| it.member == *member);
                let must_bind = self.must_bind.is_some() && changes.iter().any(is_bound_anew);
                let tokens_revoked = must_bind || !self.scopes.covers(&had);
                self.generation += u32::from(tokens_revoked);
                AuditEvent::ClientChanged { client_id, changes, tokens_revoked }
            }
        };
        self.revision.0 += 1;
        Some(event)
    }

    fn patch(&mut self, patch: &ClientPatch) -> Vec<MemberChange> {
        let mut changes = Vec::new();
        replace(&mut changes, "name", &mut self.name, patch.name.clone(), Clone::clone);
        replace(&mut changes, "scope", &mut self.scopes, patch.scopes.clone(), ToString::to_string);
        replace(&mut changes, "plan", &mut self.plan, patch.plan.clone(), ToString::to_string);
        let limits = |own: &Option<Limits>| own.as_ref().map_or("the plan's".to_owned(), ToString::to_string);
        replace(&mut changes, "limits", &mut self.limits, patch.limits.clone(), limits);
        let lifetime = |life: &Option<Lifetime>| life.map_or("the environment's".to_owned(), |life| life.to_string());
        replace(&mut changes, "token_lifetime", &mut self.token_lifetime, patch.token_lifetime, lifetime);
        replace(&mut changes, "may_rotate", &mut self.may_rotate, patch.may_rotate, ToString::to_string);
        let asked = [(BindingKind::DpopKey, patch.dpop_bound), (BindingKind::Certificate, patch.certificate_bound)];
        let gained = asked.iter().find(|(_, is_bound)| *is_bound == Some(true)).map(|(kind, _)| *kind);
        let kept = self.must_bind.filter(|kind| !asked.contains(&(*kind, Some(false))));
        let wanted = gained.or(kept);
        for (member, kind) in BOUND {
            let mut is_bound = self.must_bind == Some(kind);
            replace(&mut changes, member, &mut is_bound, Some(wanted == Some(kind)), ToString::to_string);
        }
        self.must_bind = wanted;
        changes
    }

    /// Whether a secret of it can do nothing but replace itself.
    #[must_use]
    pub fn is_quarantined(&self, id: &SecretId) -> bool {
        self.secrets.iter().any(|secret| secret.id == *id && secret.quarantined_at.is_some())
    }

    /// How many secrets work at `now`.
    #[must_use]
    pub fn live_secrets(&self, now: Timestamp) -> usize {
        self.secrets.iter().filter(|secret| secret.is_live(now)).count()
    }
}

impl AuthenticatedClient {
    pub(crate) const fn by_key(client: Arc<Client>, key: ClientKeyId) -> Self {
        Self { client, proof: Proof::Key(key) }
    }

    pub(crate) const fn by_identity(client: Arc<Client>, identity: IdentityId) -> Self {
        Self { client, proof: Proof::Identity(identity) }
    }

    pub(crate) const fn by_certificate(client: Arc<Client>, certificate: CertificateId) -> Self {
        Self { client, proof: Proof::Certificate(certificate) }
    }

    /// Who it is.
    #[must_use]
    pub const fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Which of its secrets was presented, if one was.
    #[must_use]
    pub const fn secret(&self) -> Option<&SecretId> {
        match &self.proof {
            Proof::Secret { id, .. } => Some(id),
            Proof::Key(_) | Proof::Identity(_) | Proof::Certificate(_) => None,
        }
    }

    /// Which of its keys something was signed by, if something was.
    #[must_use]
    pub const fn key(&self) -> Option<&ClientKeyId> {
        match &self.proof {
            Proof::Key(id) => Some(id),
            Proof::Secret { .. } | Proof::Identity(_) | Proof::Certificate(_) => None,
        }
    }

    /// Which of its identities a platform's token was of, if there was one.
    #[must_use]
    pub const fn identity(&self) -> Option<&IdentityId> {
        match &self.proof {
            Proof::Identity(id) => Some(id),
            Proof::Secret { .. } | Proof::Key(_) | Proof::Certificate(_) => None,
        }
    }

    /// Which of its registrations the certificate was of that was shown, if one was.
    #[must_use]
    pub const fn certificate(&self) -> Option<&CertificateId> {
        match &self.proof {
            Proof::Certificate(id) => Some(id),
            Proof::Secret { .. } | Proof::Key(_) | Proof::Identity(_) => None,
        }
    }

    /// The secret that was presented, if it can do nothing but replace itself.
    #[must_use]
    pub fn quarantined(&self) -> Option<&SecretId> {
        self.secret().filter(|secret| self.client.is_quarantined(secret))
    }

    /// The secret's digest under the current key, if it is kept under an older one.
    #[must_use]
    pub const fn rekeyed(&self) -> Option<SecretDigest> {
        match &self.proof {
            Proof::Secret { rekeyed, .. } => *rekeyed,
            Proof::Key(_) | Proof::Identity(_) | Proof::Certificate(_) => None,
        }
    }
}

fn replace<T: PartialEq>(
    changes: &mut Vec<MemberChange>,
    member: &'static str,
    place: &mut T,
    new: Option<T>,
    show: impl Fn(&T) -> String,
) {
    if let Some(new) = new.filter(|new| new != place) {
        changes.push(MemberChange { member, from: show(place), to: show(&new) });
        *place = new;
    }
}
