//! Workload identity: a client proves itself by the token that its platform has given it, so that nothing secret exists. On
//! the wire the token stands where a client's own assertion would (RFC 7521 §4.2, RFC 7523 §2.2), with the platform as its
//! issuer. It is used again and again until it ends, for so platforms give them out: its audience binds it to this token
//! service, its life is limited, and it grants nothing once its identity is removed or its client suspended.

use std::sync::Arc;

use fuuffy_domain::{
    AuthenticatedClient, Client, IdentityFault, LastUse, Reason, RequestContext, TrustedIssuer, shown,
};
use fuuffy_protocol::ClaimedAssertion;
use fuuffy_store::{IdentityUse, StoreError};
use http::header::HeaderMap;

use crate::Issuer;
use crate::by_assertion::Refused;
use crate::key_source::KeySource;
use crate::platform_token::UnverifiedToken;
use crate::reason::Refusing;
use crate::throttle::Standing;
use crate::token::agent;

/// So much of a subject is kept to explain a refusal, in bytes.
const LONGEST_SUBJECT: usize = 200;

/// A platform whose tokens are believed, and where its keys are.
pub struct Platform {
    /// Which, and how far it is trusted.
    pub trusted: TrustedIssuer,
    /// Its keys.
    pub keys: Arc<KeySource>,
}

impl Issuer {
    /// The platform that an assertion says it comes from, if it is one that is trusted.
    pub(crate) fn platform_of(&self, claimed: &ClaimedAssertion) -> Option<&Platform> {
        if self.platforms.is_empty() {
            return None;
        }
        let issuer = claimed.assertion.claimed_issuer()?;
        self.platforms.iter().find(|platform| *platform.trusted.issuer == *issuer)
    }

    /// Wrong tokens are limited as wrong secrets and assertions are. The signature is looked at before the client's
    /// identities, and those before times and audience: so whoever was given a right token, and nobody else, is told what
    /// is wrong with it. What it costs depends on no client.
    ///
    /// # Errors
    /// `invalid_client`, that there were too many wrong credentials, or that the store cannot write.
    pub(crate) async fn authenticate_by_identity(
        &self,
        context: &RequestContext,
        headers: &HeaderMap,
        claimed: &ClaimedAssertion,
        platform: &Platform,
    ) -> Result<AuthenticatedClient, Refused> {
        let standing = self.throttle.standing(context, &claimed.client_id);
        let because =
            |owner: Option<&Arc<Client>>, reason| self.refuse_assertion((context, claimed, standing), owner, reason);
        let refused = |owner, fault| because(owner, Reason::IdentityRefused { fault });
        let token = UnverifiedToken::read(&claimed.assertion).map_err(|fault| refused(None, fault))?;
        let checked = token.check(&platform.trusted, context.now);
        if let Standing::Exhausted(wait) = standing
            && checked.is_err()
        {
            return Err(self.throttled(context, &claimed.client_id, wait));
        }
        let (kid, algorithm) = token.key();
        let issuer = &platform.trusted.issuer;
        let keys = platform.keys.find(|keys| keys.find(kid, algorithm).is_some(), context.now).await;
        let keys = keys.map_err(|fault| because(None, Reason::IssuerUnusable { issuer: issuer.to_string(), fault }))?;
        let key = keys.find(kid, algorithm).ok_or_else(|| refused(None, IdentityFault::KeyUnknown))?;
        let claims = token.verify(key).map_err(|fault| refused(None, fault))?;
        let client = self.find(&claimed.client_id);
        let known = client.and_then(|client| Client::authenticate_by_identity(&client, issuer, claims.all()));
        let known = known.ok_or_else(|| {
            let subject = shown(claims.subject(), LONGEST_SUBJECT);
            because(None, Reason::IdentityUnbound { issuer: issuer.to_string(), subject })
        })?;
        checked.map_err(|fault| refused(Some(known.client()), fault))?;
        match self.use_identity(context, headers, &known).await {
            Ok(()) => Ok(known),
            Err(StoreError::Superseded) => Err(refused(Some(known.client()), IdentityFault::Removed)),
            Err(error) => {
                let Refusing { refusal, reason } = error.into();
                Err(Box::new((refusal, (Some(known.client().id.clone()), reason.unwrap_or(Reason::Told)))))
            }
        }
    }

    async fn use_identity(
        &self,
        context: &RequestContext,
        headers: &HeaderMap,
        known: &AuthenticatedClient,
    ) -> Result<(), StoreError> {
        let identity = known.identity().cloned().ok_or(StoreError::Superseded)?;
        let last = LastUse { at: context.now, from: Some(context.peer), agent: agent(headers) };
        self.store.use_identity(IdentityUse { client: known.client().slot, identity, last }).await
    }

    /// Fetches the keys of platforms and of clients before they are needed. Meant for once a minute.
    pub async fn refresh_keys(&self) {
        let now = self.clock.now();
        for platform in &self.platforms {
            platform.keys.refresh(now).await;
        }
        self.published.refresh(now).await;
    }
}
