//! The metadata of an environment (RFC 8414 §3, RFC 9728 §3) and its public keys (RFC 7517): for anybody, whatever host
//! they name.

use std::collections::BTreeSet;

use bytes::Bytes;
use fuuffy_domain::{RequestContext, Route};
use fuuffy_protocol::{BodyShape, Identifiers, Metadata, Refusal};
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response};

use super::Environment;
use crate::config::{EnvironmentConfig, MutualTlsConfig};

/// Metadata changes with the configuration alone.
const AN_HOUR: HeaderValue = HeaderValue::from_static("max-age=3600");
/// Whoever meets a key that is unknown looks again; one that is retired is gone soon.
const FIVE_MINUTES: HeaderValue = HeaderValue::from_static("max-age=300");

/// The documents, of the scopes that routes ask for.
pub(super) fn metadata<'a>(settings: &EnvironmentConfig, routes: impl Iterator<Item = &'a Route>) -> Metadata {
    let scopes: BTreeSet<&str> = routes.flat_map(|route| route.read.iter().chain(route.write.iter())).collect();
    let extent = MutualTlsConfig::extent(settings.mutual_tls.as_ref());
    let (scopes, answers) = (scopes.into_iter().collect::<Vec<_>>(), settings.introspection_signing_alg.name());
    Metadata::new(&Identifiers::of(&settings.base_url), &scopes, extent, answers)
}

/// Answers one request.
pub(super) fn answer(environment: &Environment, context: &RequestContext, parts: &Parts) -> Response<Bytes> {
    find(environment, parts).unwrap_or_else(|refusal| {
        environment.gateway.note_refused(context, parts, &refusal);
        let is_oauth = parts.uri.path() == Metadata::PUBLIC_KEYS;
        refusal.to_response(if is_oauth { BodyShape::Standard } else { BodyShape::Guide })
    })
}

fn find(environment: &Environment, parts: &Parts) -> Result<Response<Bytes>, Refusal> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(Refusal::MethodNotAllowed("GET, HEAD"));
    }
    let (document, media_type, age) = if parts.uri.path() == Metadata::PUBLIC_KEYS {
        (environment.issuer.public_keys()?, "application/jwk-set+json", FIVE_MINUTES)
    } else {
        let metadata = environment.metadata.load();
        let document = metadata.find(parts.uri.path()).ok_or(Refusal::NotFound)?;
        (document.clone(), "application/json", AN_HOUR)
    };
    let mut response = Response::new(document);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, age);
    Ok(response)
}
