//! The metadata of an environment (RFC 8414 §3, RFC 9728 §3): for anybody, whatever host they name.

use std::collections::BTreeSet;

use bytes::Bytes;
use fuuffy_domain::{RequestContext, Route};
use fuuffy_protocol::{BodyShape, Identifiers, Metadata, Refusal};
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response};

use super::Environment;

/// It changes with the configuration alone.
const AN_HOUR: HeaderValue = HeaderValue::from_static("max-age=3600");

/// The documents, of the scopes that routes ask for.
pub(super) fn metadata<'a>(base_url: &str, routes: impl Iterator<Item = &'a Route>) -> Metadata {
    let scopes: BTreeSet<&str> = routes.flat_map(|route| route.read.iter().chain(route.write.iter())).collect();
    Metadata::new(&Identifiers::of(base_url), &scopes.into_iter().collect::<Vec<_>>())
}

/// Answers one request.
pub(super) fn answer(environment: &Environment, context: &RequestContext, parts: &Parts) -> Response<Bytes> {
    find(environment, parts).unwrap_or_else(|refusal| {
        environment.gateway.note_refused(context, parts, &refusal);
        refusal.to_response(BodyShape::Guide)
    })
}

fn find(environment: &Environment, parts: &Parts) -> Result<Response<Bytes>, Refusal> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Refusal::MethodNotAllowed("GET, HEAD"));
    }
    let metadata = environment.metadata.load();
    let document = metadata.find(parts.uri.path()).ok_or(Refusal::NotFound)?;
    let mut response = Response::new(document.clone());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, AN_HOUR);
    Ok(response)
}
