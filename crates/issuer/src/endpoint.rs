//! What clients ask of the token service by a form: the life of such a request, top to bottom, and what all of them
//! have in common.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fuuffy_domain::{Call, ClientId, ClientSlot, DrillKind, Ended, Reason, RequestContext, Timestamp};
use fuuffy_protocol::{BodyShape, Refusal, RequestFault, TokenRequest, dpop};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response};

use crate::Issuer;
use crate::leaks::Leak;

/// By this field a client is told when its secret expires: an HTTP date (RFC 9110 §5.6.7).
const SECRET_EXPIRES: HeaderName = HeaderName::from_static("fuuffy-secret-expires");

/// What is asked for, by the path of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthEndpoint {
    /// A token (RFC 6749 §3.2), and the shape of its answer.
    Token(BodyShape),
    /// That a token works no more (RFC 7009 §2).
    Revocation,
    /// Whether a token is good, and for what (RFC 7662 §2).
    Introspection,
}

impl OAuthEndpoint {
    /// The shape of its answers.
    #[must_use]
    pub const fn shape(self) -> BodyShape {
        match self {
            Self::Token(shape) => shape,
            Self::Revocation | Self::Introspection => BodyShape::Standard,
        }
    }
}

/// What is found out on the way and told in the answer, however it ends.
#[derive(Default)]
pub(crate) struct Found {
    /// Whose request it is, once that is proven.
    pub(crate) client: Option<ClientSlot>,
    pub(crate) drill: Option<DrillKind>,
    /// When the secret that was presented expires, if that is soon.
    pub(crate) secret_expires: Option<Timestamp>,
    /// What was seen where it does not belong.
    pub(crate) leak: Option<Leak>,
    /// Whether too many tokens were asked for.
    pub(crate) was_limited: bool,
    /// A nonce for the client's next proof.
    pub(crate) next_nonce: Option<String>,
    /// Why it is refused, besides what the answer says.
    pub(crate) reason: Option<(Option<ClientId>, Reason)>,
}

impl Issuer {
    /// Answers one request. `body` is the whole body, or the refusal that reading it met. The answer has the client as
    /// an extension, once that is proven, and a [`Leak`] if there was one.
    pub async fn respond(
        &self,
        context: &RequestContext,
        parts: &Parts,
        body: Result<Bytes, Refusal>,
        endpoint: OAuthEndpoint,
    ) -> Response<Bytes> {
        let mut found = Found::default();
        let answered = self.answer(context, parts, body, endpoint, &mut found).await;
        if let OAuthEndpoint::Token(_) = endpoint {
            let outcome = if answered.is_ok() { &self.issued } else { &self.refused };
            outcome.fetch_add(1, Ordering::Relaxed);
        }
        let mut response = answered.unwrap_or_else(|refusal| {
            self.refusals().note(&refusal);
            self.explain(context, parts, &refusal, found.reason.take());
            tracing::debug!(request_id = %context.id, code = refusal.code(), "A request to the token service was refused");
            refusal.to_response(endpoint.shape())
        });
        found.tell(response.headers_mut());
        self.count(context, parts.uri.path(), &found, response.status().as_u16());
        if let Some(client) = found.client {
            response.extensions_mut().insert(client);
        }
        if let Some(leak) = found.leak {
            response.extensions_mut().insert(leak);
        }
        response
    }

    async fn answer(
        &self,
        context: &RequestContext,
        parts: &Parts,
        body: Result<Bytes, Refusal>,
        endpoint: OAuthEndpoint,
        found: &mut Found,
    ) -> Result<Response<Bytes>, Refusal> {
        if parts.method != Method::POST {
            return Err(Refusal::MethodNotAllowed("POST"));
        }
        let body = body?;
        if TokenRequest::has_credentials_in_query(parts) {
            return Err(Refusal::InvalidRequest(RequestFault::CredentialsInQuery));
        }
        match endpoint {
            OAuthEndpoint::Token(shape) => {
                let granted = self.token(context, parts, &body, found).await?;
                Ok(granted.to_response(shape))
            }
            OAuthEndpoint::Revocation => self.revoke(context, parts, &body, found).await,
            OAuthEndpoint::Introspection => self.introspect(context, parts, &body, found).await,
        }
    }

    /// Counts a request for the client that has proven itself, or for none. No token was used.
    fn count(&self, context: &RequestContext, route: &str, found: &Found, status: u16) {
        let Some(client) = found.client else {
            return self.tally.note_stranger(status);
        };
        let took = self.clock.now().since(context.now);
        let ended = Ended { status, was_limited: found.was_limited, was_observed: false, has_failed: false, took };
        let (at, from, path) = (context.now, context.peer, self.tally.path(route));
        self.tally.of(client).note(Call { at, route, ended, from, by: None, path });
    }
}

impl Found {
    fn tell(&self, headers: &mut HeaderMap) {
        if let Some(drill) = self.drill {
            drill.mark(headers);
        }
        if let Some(nonce) = self.next_nonce.as_ref().and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
            headers.insert(dpop::NONCE, nonce);
        }
        let date = self.secret_expires.and_then(|expiry| u64::try_from(expiry.unix_millis()).ok());
        let date = date.map(|millis| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis)));
        if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
            headers.insert(SECRET_EXPIRES, date);
        }
    }
}
