//! A client gives a token back (RFC 7009).

use bytes::Bytes;
use fuuffy_domain::{Reason, RequestContext};
use fuuffy_protocol::{AboutToken, AccessToken, Refusal};
use fuuffy_store::{TokenName, verify};
use http::Response;
use http::header::{self, HeaderValue};
use http::request::Parts;

use crate::Issuer;
use crate::authentication::cause;
use crate::endpoint::Found;
use crate::reason::Refusing;

impl Issuer {
    /// From the answer on the token is not accepted any more, and stays so over a restart. A client revokes its own
    /// tokens alone; another's is to it as one that nobody knows, so that it learns nothing of it (§2.1). Both are
    /// answered alike, since what the client wants is so already (§2.2).
    pub(crate) async fn revoke(
        &self,
        context: &RequestContext,
        parts: &Parts,
        body: &[u8],
        found: &mut Found,
    ) -> Result<Response<Bytes>, Refusal> {
        let headers = &parts.headers;
        let AboutToken { authentication, token } = AboutToken::parse(headers, body)?;
        let known = self.prove_active(context, parts, &authentication, found).await?;
        let client = known.client();
        let is_own = |token: &AccessToken| {
            let verified = verify(&*self.store, &self.keyring, token, context.now);
            verified.is_ok_and(|verified| verified.client().slot == client.slot)
        };
        if let Some(own) = token.filter(is_own) {
            let which = TokenName::Digests(self.keyring.token_digests(&own).collect());
            self.store.revoke_token(cause(context, &known), which).await.map_err(|error| {
                let Refusing { refusal, reason } = error.into();
                found.reason = Some((Some(client.id.clone()), reason.unwrap_or(Reason::Told)));
                refusal
            })?;
            tracing::info!(request_id = %context.id, client_id = %client.id, "A client revoked a token");
        }
        self.note_use(context, headers, known);
        // Clients are to ignore the body (§2.2), but simple-oauth2 takes an answer that is not JSON for a failure.
        let mut response = Response::new(Bytes::from_static(b"{}"));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
