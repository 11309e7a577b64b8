//! A client asks whether a token is good (RFC 7662), as an API does that verifies tokens by itself.

use bytes::Bytes;
use fuuffy_domain::{Binding, Client, RequestContext, VerifiedToken};
use fuuffy_protocol::{AboutToken, ActiveToken, Introspection, Refusal};
use fuuffy_store::verify;
use http::Response;
use http::request::Parts;

use crate::Issuer;
use crate::endpoint::Found;

/// A client that has this scope may ask about any token of its environment; any other about its own alone.
const MAY_ASK: &str = "introspect";

impl Issuer {
    /// What a token is good for, from memory, and signed where that is asked for (RFC 9701). Asking is no use of the token, and is counted for whoever asks.
    pub(crate) async fn introspect(
        &self,
        context: &RequestContext,
        parts: &Parts,
        body: &[u8],
        found: &mut Found,
    ) -> Result<Response<Bytes>, Refusal> {
        let headers = &parts.headers;
        let AboutToken { authentication, token } = AboutToken::parse(headers, body)?;
        let known = self.prove_active(context, parts, &authentication, found).await?;
        let verified = token.and_then(|token| verify(&*self.store, &self.keyring, &token, context.now).ok());
        let told = verified.filter(|verified| may_know(known.client(), verified));
        let told = told.map_or(Introspection::Inactive, |verified| Introspection::Active(self.active(&verified)));
        let asker = known.client().id.clone();
        self.note_use(context, headers, known);
        if Introspection::is_wanted_signed(headers) {
            self.signed(&asker, context.now, &told)
        } else {
            Ok(told.to_response())
        }
    }

    fn active(&self, token: &VerifiedToken) -> ActiveToken {
        ActiveToken {
            scope: token.scope().as_ref().clone(),
            client_id: token.client().id.to_string(),
            issued_at: token.issued_at().unix_seconds(),
            expires_at: token.expires_at().unix_seconds(),
            issuer: self.identifiers.issuer().to_owned(),
            audience: self.identifiers.resource().to_owned(),
            confirmation: token.binding().map(Binding::confirmation),
        }
    }
}

fn may_know(asker: &Client, token: &VerifiedToken) -> bool {
    token.client().slot == asker.slot || asker.scopes.iter().any(|scope| scope == MAY_ASK)
}
