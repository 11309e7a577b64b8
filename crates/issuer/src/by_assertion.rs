//! `private_key_jwt`: a client proves itself by an assertion that its own key has signed, and that is used once (RFC 7523
//! §3). Nothing that the server keeps could make one. The key is registered, or published by the client.

use std::sync::Arc;

use fuuffy_domain::{
    AssertionFault, AuthenticatedClient, Client, ClientId, IdentityFault, LastUse, MAX_CLIENT_KEYS, Reason,
    RequestContext, SignatureFailure,
};
use fuuffy_protocol::{AuthMethod, ClaimedAssertion, Refusal};
use fuuffy_store::{AssertionUse, StoreError, UsedKey};
use http::header::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::Issuer;
use crate::assertion::{CheckedClaims, ReadAssertion};
use crate::key_set::KeySet;
use crate::reason::Refusing;
use crate::throttle::Standing;
use crate::token::agent;

/// A refusal, whose it is where the signature says so, and why.
pub(crate) type Refused = Box<(Refusal, (Option<ClientId>, Reason))>;

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
        let refused = |owner, fault| {
            self.refuse_assertion((context, claimed, standing), owner, Reason::AssertionRefused { fault })
        };
        // A platform's token that nobody trusts here ends here, too.
        let of_platform = claimed.assertion.claimed_issuer().is_some_and(|issuer| issuer.starts_with("https://"));
        let unfit = |fault| match of_platform {
            true => {
                let reason = Reason::IdentityRefused { fault: IdentityFault::Issuer };
                self.refuse_assertion((context, claimed, standing), None, reason)
            }
            false => refused(None, fault),
        };
        let assertion = ReadAssertion::read(&claimed.assertion).map_err(unfit)?;
        let checked = assertion.check(&claimed.client_id, self.identifiers.issuer(), context.now);
        if let Standing::Exhausted(wait) = standing
            && checked.is_err()
        {
            return Err(self.throttled(context, &claimed.client_id, wait));
        }
        let published = self.published_keys_of(client.as_deref(), &assertion, context).await.map_err(|reason| {
            // Whoever publishes keys that cannot be used costs as much as whoever is not there.
            let _ = assertion.is_signed_by(None);
            self.refuse_assertion((context, claimed, standing), None, reason)
        })?;
        let published = published.as_ref().map(|keys| match (assertion.kid(), keys.of_clients()) {
            // Without a name none of many is tried after the other.
            (None, keys)
                if keys.iter().filter(|key| key.algorithm == assertion.algorithm).count() > MAX_CLIENT_KEYS =>
            {
                &[][..]
            }
            (_, keys) => keys,
        });
        let named = (assertion.kid(), assertion.algorithm);
        let known = Client::authenticate_by_key(client.as_ref(), published, named, |key| assertion.is_signed_by(key))
            .map_err(|failure| match failure {
            SignatureFailure::NoKey => unfit(AssertionFault::KeyUnknown),
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

    /// The keys that the client publishes, if it does: fetched where the one that is named is not among those that are
    /// known.
    async fn published_keys_of(
        &self,
        client: Option<&Client>,
        assertion: &ReadAssertion<'_>,
        context: &RequestContext,
    ) -> Result<Option<Arc<KeySet>>, Reason> {
        let Some(uri) = client.and_then(|client| client.jwks_uri.as_ref()) else {
            return Ok(None);
        };
        let has_it = |keys: &KeySet| {
            let is_meant = |kid| keys.of_clients().iter().any(|key| key.is_called(kid));
            assertion.kid().is_none_or(is_meant)
        };
        let found = self.published.at(uri).find(has_it, context.now).await;
        found.map(Some).map_err(|fault| Reason::KeysUnusable { fault })
    }

    /// A refusal for wrong credentials; for too many of them where there were.
    pub(crate) fn refuse_assertion(
        &self,
        (context, claimed, standing): (&RequestContext, &ClaimedAssertion, Standing),
        owner: Option<&Arc<Client>>,
        reason: Reason,
    ) -> Refused {
        self.throttle.note_failure(context, &claimed.client_id);
        match standing {
            Standing::Exhausted(wait) => self.throttled(context, &claimed.client_id, wait),
            Standing::Good => {
                let refusal = Refusal::InvalidClient(Some(AuthMethod::PrivateKeyJwt));
                Box::new((refusal, (owner.map(|client| client.id.clone()), reason)))
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
        let key = match (known.key(), &known.client().jwks_uri) {
            (Some(_), Some(_)) => UsedKey::Published,
            (Some(id), None) => UsedKey::Registered(id.clone()),
            (None, _) => return Err(StoreError::Superseded),
        };
        let last = LastUse { at: context.now, from: Some(context.peer), agent: agent(headers) };
        let jti = Sha256::digest(jti.as_bytes()).into();
        self.store.use_assertion(AssertionUse { client: known.client().slot, key, jti, expires_at, last }).await
    }

    pub(crate) fn throttled(&self, context: &RequestContext, client_id: &str, wait: u64) -> Refused {
        let [by_client, by_address] = self.throttle.whose(context, client_id);
        let known = self.find(client_id).map(|client| client.id.clone());
        let reason = Reason::Throttled { claimed: known, by_client, by_address };
        Box::new((Refusal::RateLimitExceeded(wait), (None, reason)))
    }
}
