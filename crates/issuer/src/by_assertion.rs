//! `private_key_jwt`: a client proves itself by an assertion that its own key has signed, and that is used once (RFC 7523
//! §3). Nothing that the server keeps could make one.

use std::sync::Arc;

use fuuffy_domain::{
    AssertionFault, AuthenticatedClient, Client, ClientId, LastUse, Reason, RequestContext, SignatureFailure,
};
use fuuffy_protocol::{AuthMethod, ClaimedAssertion, Refusal};
use fuuffy_store::{AssertionUse, StoreError};
use http::header::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::Issuer;
use crate::assertion::{CheckedClaims, ReadAssertion};
use crate::reason::Refusing;
use crate::throttle::Standing;
use crate::token::agent;

/// A refusal, whose it is where the signature says so, and why.
type Refused = Box<(Refusal, (Option<ClientId>, Reason))>;

impl Issuer {
    /// Wrong assertions are limited as wrong secrets are: where there were too many, nothing is looked at but those whose
    /// claims hold, so that a flood of wrong ones never locks out the holder of the right key.
    ///
    /// The signature is looked at before the claims, so that whoever holds the key learns what is wrong with them.
    ///
    /// # Errors
    /// `invalid_client`, that there were too many wrong credentials, or that the store cannot write.
    pub(crate) async fn authenticate_by_assertion(
        &self,
        context: &RequestContext,
        headers: &HeaderMap,
        claimed: &ClaimedAssertion,
    ) -> Result<AuthenticatedClient, Refused> {
        let standing = self.throttle.standing(context, &claimed.client_id);
        let client = self.find(&claimed.client_id);
        let refused = |owner: Option<&Arc<Client>>, fault| {
            self.throttle.note_failure(context, &claimed.client_id);
            match standing {
                Standing::Exhausted(wait) => self.throttled(context, claimed, wait),
                Standing::Good => {
                    let refusal = Refusal::InvalidClient(Some(AuthMethod::PrivateKeyJwt));
                    let owner = owner.map(|client| client.id.clone());
                    Box::new((refusal, (owner, Reason::AssertionRefused { fault })))
                }
            }
        };
        let assertion = ReadAssertion::read(&claimed.assertion).map_err(|fault| refused(None, fault))?;
        let checked = assertion.check(&claimed.client_id, self.identifiers.issuer(), context.now);
        if let Standing::Exhausted(wait) = standing
            && checked.is_err()
        {
            return Err(self.throttled(context, claimed, wait));
        }
        let is_signed_by = |key: Option<&_>| assertion.is_signed_by(key);
        let known = Client::authenticate_by_key(client.as_ref(), assertion.kid(), assertion.algorithm, is_signed_by)
            .map_err(|failure| match failure {
                SignatureFailure::NoKey => refused(None, AssertionFault::KeyUnknown),
                SignatureFailure::Wrong => refused(None, AssertionFault::Signature),
            })?;
        let checked = checked.map_err(|fault| refused(Some(known.client()), fault))?;
        match self.use_assertion(context, headers, &known, checked).await {
            Ok(true) => Ok(known),
            Ok(false) => Err(refused(Some(known.client()), AssertionFault::Replayed)),
            // The key was taken away at this very moment.
            Err(StoreError::Superseded) => Err(refused(Some(known.client()), AssertionFault::KeyUnknown)),
            Err(error) => {
                let Refusing { refusal, reason } = error.into();
                Err(Box::new((refusal, (Some(known.client().id.clone()), reason.unwrap_or(Reason::Told)))))
            }
        }
    }

    /// Whether it is the first use, which is on disk then.
    async fn use_assertion(
        &self,
        context: &RequestContext,
        headers: &HeaderMap,
        known: &AuthenticatedClient,
        CheckedClaims { jti, expires_at }: CheckedClaims,
    ) -> Result<bool, StoreError> {
        let key = known.key().cloned().ok_or(StoreError::Superseded)?;
        let last = LastUse { at: context.now, from: Some(context.peer), agent: agent(headers) };
        let jti = Sha256::digest(jti.as_bytes()).into();
        self.store.use_assertion(AssertionUse { client: known.client().slot, key, jti, expires_at, last }).await
    }

    fn throttled(&self, context: &RequestContext, claimed: &ClaimedAssertion, wait: u64) -> Refused {
        let [by_client, by_address] = self.throttle.whose(context, &claimed.client_id);
        let known = self.find(&claimed.client_id).map(|client| client.id.clone());
        let reason = Reason::Throttled { claimed: known, by_client, by_address };
        Box::new((Refusal::RateLimitExceeded(wait), (None, reason)))
    }
}
