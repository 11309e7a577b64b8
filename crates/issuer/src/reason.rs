//! Why a token request was refused, looked into once it is. Whoever presents a secret that was once right is told
//! of it; nobody is told of anybody else's.

use std::sync::Arc;

use fuuffy_domain::{Client, ClientId, Reason, Refused, RequestContext, Secret, Timestamp};
use fuuffy_protocol::{Credentials, Refusal, SecretKind};
use http::request::Parts;

use crate::Issuer;

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

    /// Why credentials were refused, and whose they are if they ever were right.
    #[cold]
    pub(crate) fn reason(
        &self,
        claimed: &Credentials,
        refusal: &Refusal,
        now: Timestamp,
    ) -> (Option<ClientId>, Reason) {
        let id = ClientId::parse(&claimed.client_id).ok();
        let client = id.and_then(|id| self.store.directory().find(&id));
        let Some(client) = client else {
            let throttled = matches!(refusal, Refusal::RateLimitExceeded(_));
            return (None, if throttled { Reason::Throttled } else { Reason::ClientUnknown });
        };
        if let Some(secret) = self.secret_of(&client, claimed) {
            let (whose, secret_id) = (Some(client.id.clone()), secret.id.clone());
            return match secret {
                Secret { retired_at: Some(_), .. } => (whose, Reason::SecretRetired { secret_id }),
                secret if !secret.is_live(now) => (whose, Reason::SecretExpired { secret_id }),
                _ => (whose, Reason::MayNotRotate),
            };
        }
        if matches!(refusal, Refusal::RateLimitExceeded(_)) {
            return (None, Reason::Throttled);
        }
        let is_of = |kind: SecretKind| claimed.secret.is_well_formed(kind);
        let own = self.stage.name().secret_kind();
        let is_of_other_environment = !is_of(own) && (is_of(SecretKind::Testing) || is_of(SecretKind::Production));
        (None, Reason::SecretWrong { is_of_other_environment })
    }

    /// Any of the client's secrets, be it one that works no more.
    fn secret_of<'a>(&self, client: &'a Arc<Client>, claimed: &Credentials) -> Option<&'a Secret> {
        let digests = self.keyring.secret_digests(&claimed.secret);
        client.secrets.iter().find(|secret| digests.iter().any(|digest| secret.digest.matches(digest)))
    }
}
