//! A client asks why its request was refused: `GET /v1/auth/explanations/{request_id}`, by its token or by its
//! secret. Of any request that is not its own it learns as much as of one that never was.

use bytes::Bytes;
use fuuffy_admin::{DeedError, Explanation, Reader};
use fuuffy_domain::RequestContext;
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
        Err(refusal) => {
            tracing::debug!(request_id = %context.id, code = refusal.code(), "A request for an explanation was refused");
            if bears_secret(&parts.headers) {
                environment.issuer.note_refused(context, parts, &refusal);
            } else {
                environment.gateway.note_refused(context, parts, &refusal);
            }
            refusal.to_response(BodyShape::Guide)
        }
    }
}

async fn find(
    environment: &Environment,
    context: &RequestContext,
    Parts { method, uri, headers, .. }: &Parts,
) -> Result<Explanation, Refusal> {
    if *method != Method::GET {
        return Err(Refusal::MethodNotAllowed("GET"));
    }
    let id = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let client = if bears_secret(headers) {
        environment.issuer.client_of(context, headers)?
    } else {
        environment.issuer.limit(context, environment.gateway.client_of(context, headers))?
    };
    fuuffy_admin::explain(&environment.for_admin(), id, &Reader::Client(client)).await.map_err(|error| match error {
        DeedError::NotFound(_) => Refusal::NotFound,
        error => {
            tracing::warn!(request_id = %context.id, %error, "An explanation could not be read");
            Refusal::ServiceUnavailable(1)
        }
    })
}

/// Whether a request bears a secret and no token, right or wrong.
fn bears_secret(headers: &HeaderMap) -> bool {
    let scheme = headers.get(header::AUTHORIZATION).and_then(|field| field.as_bytes().get(..6));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
}
