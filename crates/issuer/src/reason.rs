//! Why a token request was refused, looked into once it is. Whoever presents a secret that was once right is told
//! of it; nobody is told of anybody else's.

use fuuffy_domain::{Client, ClientId, KeyId, Reason, Refused, RequestContext, Secret, SecretDigest, StoreProblem};
use fuuffy_protocol::{Credentials, Refusal, SecretKind};
use fuuffy_store::StoreError;
use http::request::Parts;

use crate::Issuer;
use crate::token::refusal_of;

/// So many of a client's newest secrets are compared with the one that was presented.
const COMPARED: usize = 8;

/// A refusal, and its reason where that is known by then.
pub(crate) struct Refusing {
    pub(crate) refusal: Refusal,
    pub(crate) reason: Option<Reason>,
}

impl From<Refusal> for Refusing {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, reason: None }
    }
}

impl From<StoreError> for Refusing {
    fn from(error: StoreError) -> Self {
        let refusal = refusal_of(&error);
        let problem = match error {
            StoreError::Full => StoreProblem::Full,
            StoreError::Closed => StoreProblem::Closed,
            StoreError::Overloaded => StoreProblem::Overloaded,
            StoreError::Unwritable(error) => StoreProblem::Failed { error },
            StoreError::InUse(_) | StoreError::BadFile { .. } => StoreProblem::Failed { error: error.to_string() },
            StoreError::Superseded | StoreError::TooManyScopes => return Self { refusal, reason: None },
        };
        Self { refusal, reason: Some(Reason::StoreFailed { problem }) }
    }
}

impl Issuer {
    /// Keeps the reason of a refusal.
    #[cold]
    pub(crate) fn explain(
        &self,
        context: &RequestContext,
        parts: &Parts,
        refusal: &Refusal,
        reason: Option<(Option<ClientId>, Reason)>,
    ) {
        let (client, reason) = reason.unwrap_or((None, Reason::Told));
        let refused = Refused::new(context, (parts.method.as_str(), parts.uri.path()), refusal, reason);
        self.explanations.record(Refused { client, ..refused });
    }

    /// Why credentials were refused, and whose they are if they ever were right. An unknown client and a wrong
    /// secret cost the same here, too, and who is throttled costs no hashing.
    #[cold]
    pub(crate) fn reason(
        &self,
        context: &RequestContext,
        claimed: &Credentials,
        refusal: &Refusal,
    ) -> (Option<ClientId>, Reason) {
        let id = ClientId::parse(&claimed.client_id).ok();
        let client = id.and_then(|id| self.store.directory().find(&id));
        if matches!(refusal, Refusal::RateLimitExceeded(_)) {
            let [by_client, by_address] = self.throttle.whose(context, &claimed.client_id);
            let claimed = client.map(|client| client.id.clone());
            return (None, Reason::Throttled { claimed, by_client, by_address });
        }
        let digests = self.keyring.secret_digests(&claimed.secret);
        let is_of = |kind: SecretKind| claimed.secret.is_well_formed(kind);
        let of_others = [SecretKind::Testing, SecretKind::Production].map(is_of);
        let is_of_other_environment = !is_of(self.stage.name().secret_kind()) && of_others.contains(&true);
        let secret = secret_of(client.as_deref(), &digests);
        match (client.as_deref(), secret) {
            (None, _) => (None, Reason::ClientUnknown),
            (Some(_), None) => (None, Reason::SecretWrong { is_of_other_environment }),
            (Some(client), Some(secret)) => {
                let secret_id = secret.id.clone();
                let reason = match (secret, refusal) {
                    (Secret { retired_at: Some(_), .. }, _) => Reason::SecretRetired { secret_id },
                    (secret, _) if !secret.is_live(context.now) => Reason::SecretExpired { secret_id },
                    (_, Refusal::SecretQuarantined) => Reason::SecretQuarantined { secret_id },
                    (_, Refusal::UnauthorizedClient) => Reason::MayNotRotate,
                    _ => Reason::Told,
                };
                (Some(client.id.clone()), reason)
            }
        }
    }
}

/// One of the client's newest secrets, be it one that works no more: always so many comparisons for each digest,
/// none cut short.
fn secret_of<'a>(client: Option<&'a Client>, digests: &[SecretDigest]) -> Option<&'a Secret> {
    let nobody = SecretDigest { key: KeyId(u32::MAX), bytes: [0; 32] };
    let mut secrets = client.map_or(&[][..], |client| &client.secrets[..]).iter().rev();
    let mut found = None;
    for _ in 0..COMPARED {
        let secret = secrets.next();
        let kept = secret.map_or(&nobody, |secret| &secret.digest);
        for digest in digests {
            if kept.matches(digest) {
                found = secret;
            }
        }
    }
    found
}
