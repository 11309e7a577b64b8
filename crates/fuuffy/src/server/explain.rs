//! A client asks why its request was refused: `GET /v1/auth/explanations/{request_id}`, by its token or by its
//! secret. Of any request that is not its own it learns as much as of one that never was.

use bytes::Bytes;
use fuuffy_admin::{DeedError, Explanation, Reader};
use fuuffy_domain::{ClientId, Reason, Refused, RequestContext};
use fuuffy_protocol::{BodyShape, Refusal};
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response};
use serde_json::json;

use super::Environment;

/// What the paths begin with.
pub(super) const PREFIX: &str = "/v1/auth/explanations/";

/// Answers one request.
pub(super) async fn answer(environment: &Environment, context: &RequestContext, parts: &Parts) -> Response<Bytes> {
    match find(environment, context, parts).await {
        Ok(explanation) => {
            let mut response = Response::new(Bytes::from(json!({ "data": explanation }).to_string()));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(Refusing { refusal, known }) => {
            tracing::debug!(request_id = %context.id, code = refusal.code(), "A request for an explanation was refused");
            note(environment, context, parts, (&refusal, known));
            refusal.to_response(BodyShape::Guide)
        }
    }
}

/// A refusal, with whose it is and its reason where they are known.
struct Refusing {
    refusal: Refusal,
    known: Option<(ClientId, Reason)>,
}

impl From<Refusal> for Refusing {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, known: None }
    }
}

/// Counts a refusal with those of its kind of credentials, and keeps its reason.
fn note(
    environment: &Environment,
    context: &RequestContext,
    parts: &Parts,
    (refusal, known): (&Refusal, Option<(ClientId, Reason)>),
) {
    let by_secret = bears_secret(&parts.headers);
    match known {
        Some((client, reason)) => {
            let counts = if by_secret { environment.issuer.refusals() } else { environment.gateway.refusals() };
            counts.note(refusal);
            let refused = Refused::new(context, (parts.method.as_str(), parts.uri.path()), refusal, reason);
            environment.explanations.record(Refused { client: Some(client), ..refused });
        }
        None if by_secret => environment.issuer.note_refused(context, parts, refusal),
        None => environment.gateway.note_refused(context, parts, refusal),
    }
}

async fn find(
    environment: &Environment,
    context: &RequestContext,
    Parts { method, uri, headers, .. }: &Parts,
) -> Result<Explanation, Refusing> {
    if *method != Method::GET {
        return Err(Refusal::MethodNotAllowed("GET").into());
    }
    let id = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let client = if bears_secret(headers) {
        environment.issuer.client_of(context, headers)?
    } else {
        environment.issuer.limit(context, environment.gateway.client_of(context, headers))?
    };
    // Before the disk is read, and whatever it would have said.
    let taken = environment.issuer.take_look_up(&client, context.now);
    taken.map_err(|(refusal, reason)| Refusing { refusal, known: Some((client.clone(), reason)) })?;
    let found = fuuffy_admin::explain(&environment.for_admin(), id, &Reader::Client(client)).await;
    found.map_err(|error| match error {
        DeedError::NotFound(_) => Refusal::NotFound.into(),
        error => {
            tracing::warn!(request_id = %context.id, %error, "An explanation could not be read");
            Refusal::ServiceUnavailable(1).into()
        }
    })
}

/// Whether a request bears a secret and no token, right or wrong.
fn bears_secret(headers: &HeaderMap) -> bool {
    let scheme = headers.get(header::AUTHORIZATION).and_then(|field| field.as_bytes().get(..6));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
}
