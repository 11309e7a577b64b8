//! Whose token a request bears, and whether it comes from whoever holds that: as a bearer token where it is bound to nothing,
//! with a proof where it is bound to a key, over a connection with the certificate that it is bound to (RFC 6750, RFC 9449
//! §7, RFC 8705 §3).

use fuuffy_domain::{
    Binding, BindingKind, ClientId, HeldToken, NotHeld, Presented, ProofRefusal, Proving, RequestContext, Shown,
};
use fuuffy_protocol::{AccessToken, Bearer, BoundTokenFault, ProofField, ProofPlace, Refusal};
use fuuffy_store::verify;
use http::header::HeaderMap;
use http::request::Parts;
use http::{Extensions, Method};

use crate::Gateway;

/// Whoever sends a request.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) token: HeldToken,
    /// A nonce for the next proof, where it needs another.
    pub(crate) next_nonce: Option<String>,
}

impl Gateway {
    /// Whose request it is, by its token. A proof is used up by it.
    ///
    /// # Errors
    /// As for a request to a route.
    pub fn client_of(&self, context: &RequestContext, parts: &Parts) -> Result<ClientId, Refusal> {
        let Parts { method, uri, headers, extensions, .. } = parts;
        let caller = self.caller(context, (method, uri.path()), (headers, extensions))?;
        Ok(caller.token.client().id.clone())
    }

    /// Whose token a request bears, be it sent by whoever holds that or not: to write down, and never to let anybody in.
    #[must_use]
    pub fn owner_of(&self, context: &RequestContext, headers: &HeaderMap) -> Option<ClientId> {
        let bearer = Bearer::parse(headers).ok()?;
        let verified = verify(&*self.store, &self.keyring, bearer.token()?, context.now).ok()?;
        Some(verified.client().id.clone())
    }

    /// Whose request it is, by its token and what shows that it is held.
    pub(crate) fn caller(
        &self,
        context: &RequestContext,
        asked: (&Method, &str),
        (headers, extensions): (&HeaderMap, &Extensions),
    ) -> Result<Holder, Refusal> {
        match Bearer::parse(headers)? {
            Bearer::Unverified(token) => {
                let verified =
                    verify(&*self.store, &self.keyring, &token, context.now).map_err(Refusal::InvalidToken)?;
                let shown = match verified.binding().map(Binding::kind) {
                    Some(BindingKind::Certificate) => Presented::certificate(extensions).map(Shown::Certificate),
                    Some(BindingKind::DpopKey) | None => None,
                };
                let token = verified.held(shown.unwrap_or(Shown::Nothing)).map_err(refusal_of)?;
                Ok(Holder { token, next_nonce: None })
            }
            Bearer::WithProof(token) => self.prove(context, asked, headers, &token),
            Bearer::Missing => Err(Refusal::MissingToken),
        }
    }

    fn prove(
        &self,
        context: &RequestContext,
        (method, path): (&Method, &str),
        headers: &HeaderMap,
        token: &AccessToken,
    ) -> Result<Holder, Refusal> {
        let verified = verify(&*self.store, &self.keyring, token, context.now);
        let verified = verified.map_err(|fault| Refusal::InvalidBoundToken(BoundTokenFault::Token(fault)))?;
        let asked = Proving { method, path, token: Some((token, verified.binding())), now: context.now };
        let used = self.proofs.prove(ProofField::parse(headers), asked);
        let used = used.map_err(|refused: ProofRefusal| refused.at(ProofPlace::Api))?;
        let token = verified.held(Shown::Key(&used.key)).map_err(refusal_of)?;
        Ok(Holder { token, next_nonce: used.next_nonce })
    }
}

#[cold]
fn refusal_of(not_held: NotHeld) -> Refusal {
    Refusal::InvalidBoundToken(match not_held {
        NotHeld::Unproven => BoundTokenFault::Unproven,
        NotHeld::OtherKey => BoundTokenFault::OtherKey,
        NotHeld::Unbound => BoundTokenFault::Unbound,
        NotHeld::NoCertificate => BoundTokenFault::NoCertificate,
        NotHeld::OtherCertificate => BoundTokenFault::OtherCertificate,
    })
}
