//! Who asks: the one way in which clients prove themselves, at every endpoint of the token service.

use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{
    Actor, AuthenticatedClient, Cause, Client, ClientId, ClientStatus, Reason, RequestContext, Timestamp,
};
use fuuffy_protocol::{ClientAuthentication, Credentials, Refusal};
use http::request::Parts;

use crate::Issuer;
use crate::by_assertion::Refused;
use crate::endpoint::Found;
use crate::throttle::Standing;

/// A client is told that its secret expires so long before.
const REMINDED: Duration = Duration::from_secs(14 * 24 * 3600);

impl Issuer {
    /// The client that a form's secret or assertion proves, or the certificate of its connection, be it suspended or not;
    /// notes it, or why it is not proven. An assertion is used up by it, and that is on disk.
    ///
    /// # Errors
    /// `invalid_client`, or that there were too many wrong credentials.
    pub(crate) async fn prove(
        &self,
        context: &RequestContext,
        parts: &Parts,
        claimed: &ClientAuthentication,
        found: &mut Found,
    ) -> Result<AuthenticatedClient, Refusal> {
        let proven = self.proven(context, parts, claimed, found).await;
        self.in_turn(proven).await
    }

    async fn proven(
        &self,
        context: &RequestContext,
        parts: &Parts,
        claimed: &ClientAuthentication,
        found: &mut Found,
    ) -> Result<AuthenticatedClient, Refusal> {
        let headers = &parts.headers;
        let refuse = |refused: Refused| {
            let (refusal, reason) = *refused;
            found.reason = Some(reason);
            refusal
        };
        let client = match claimed {
            ClientAuthentication::Secret(claimed) => {
                let client = self.authenticate(context, claimed);
                client.inspect_err(|refusal| found.reason = Some(self.reason(context, claimed, refusal)))?
            }
            ClientAuthentication::Assertion(claimed) => {
                let client = match self.platform_of(claimed) {
                    Some(platform) => self.authenticate_by_identity(context, headers, claimed, platform).await,
                    None => self.authenticate_by_assertion(context, headers, claimed).await,
                };
                client.map_err(refuse)?
            }
            ClientAuthentication::Name(client_id) => {
                self.authenticate_by_certificate(context, parts, client_id).await.map_err(refuse)?
            }
        };
        found.client = Some(client.client().slot);
        found.secret_expires = expires_soon(&client, context.now);
        Ok(client)
    }

    /// The same, for what no suspended client may do, and nobody by a secret that is quarantined.
    ///
    /// # Errors
    /// As for [`Issuer::prove`], and `unauthorized_client`.
    pub(crate) async fn prove_active(
        &self,
        context: &RequestContext,
        parts: &Parts,
        claimed: &ClientAuthentication,
        found: &mut Found,
    ) -> Result<AuthenticatedClient, Refusal> {
        let known = self.prove(context, parts, claimed, found).await?;
        let client = known.client();
        if client.status != ClientStatus::Active {
            let reason = Reason::ClientSuspended { generation: client.generation };
            found.reason = Some((Some(client.id.clone()), reason));
            return Err(Refusal::UnauthorizedClient);
        }
        if let Some(secret_id) = known.quarantined() {
            let reason = Reason::SecretQuarantined { secret_id: secret_id.clone() };
            found.reason = Some((Some(client.id.clone()), reason));
            return Err(Refusal::SecretQuarantined);
        }
        Ok(known)
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
        let client = self.find(&claimed.client_id);
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
    pub async fn limit<T>(&self, context: &RequestContext, proven: Result<T, Refusal>) -> Result<T, Refusal> {
        let limited = proven.map_err(|refusal| {
            if !refusal.is_of_token() {
                return refusal;
            }
            let standing = self.throttle.standing_of_address(context);
            self.throttle.note_failure_from_address(context);
            match standing {
                Standing::Exhausted(wait) => Refusal::RateLimitExceeded(wait),
                Standing::Good => refusal,
            }
        });
        self.in_turn(limited).await
    }

    /// Tells whoever failed too often so when it is its turn.
    pub(crate) async fn in_turn<T>(&self, proven: Result<T, Refusal>) -> Result<T, Refusal> {
        if let Err(Refusal::RateLimitExceeded(_)) = &proven {
            self.throttle.turn().await;
        }
        proven
    }

    pub(crate) fn find(&self, claimed: &str) -> Option<Arc<Client>> {
        let id = ClientId::parse(claimed).ok()?;
        self.store.directory().find(&id)
    }
}

/// What the audit log says of a deed that a client does about itself.
pub(crate) fn cause(context: &RequestContext, known: &AuthenticatedClient) -> Cause {
    let actor = Actor::Client { client_id: known.client().id.clone() };
    Cause { actor, from: Some(context.peer), request: context.id, at: context.now, why: None }
}

/// When the secret that was presented expires, if that is soon.
fn expires_soon(client: &AuthenticatedClient, now: Timestamp) -> Option<Timestamp> {
    let secret = client.client().secrets.iter().find(|secret| Some(&secret.id) == client.secret())?;
    secret.expires_at.filter(|expiry| expiry.since(now) <= REMINDED)
}
