//! What a client asks about itself, by its token or by its secret: why its request was refused
//! (`GET /v1/auth/explanations/{request_id}`; of any request that is not its own it learns as much as of one that never
//! was), and what it used (`GET /v1/auth/usage`).

use axum::extract::Query;
use bytes::Bytes;
use fuuffy_admin::{DeedError, Reader, UsageWanted};
use fuuffy_domain::{ClientId, Reason, Refused, RequestContext};
use fuuffy_protocol::{BodyShape, Refusal, RequestFault};
use fuuffy_store::Part;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response};
use serde_json::{Value, json};

use super::Environment;

/// What the paths of explanations begin with.
pub(super) const EXPLANATIONS: &str = "/v1/auth/explanations/";
/// Where usage is told.
pub(super) const USAGE: &str = "/v1/auth/usage";

/// Answers one request.
pub(super) async fn answer(environment: &Environment, context: &RequestContext, parts: &Parts) -> Response<Bytes> {
    match find(environment, context, parts).await {
        Ok(found) => {
            let mut response = Response::new(Bytes::from(found.to_string()));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(Refusing { refusal, known }) => {
            tracing::debug!(request_id = %context.id, code = refusal.code(), "A client's question about itself was refused");
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

async fn find(environment: &Environment, context: &RequestContext, parts: &Parts) -> Result<Value, Refusing> {
    let Parts { method, uri, headers, .. } = parts;
    if *method != Method::GET {
        return Err(Refusal::MethodNotAllowed("GET").into());
    }
    let client = if bears_secret(headers) {
        environment.issuer.client_of(context, headers).await?
    } else {
        environment.issuer.limit(context, environment.gateway.client_of(context, parts)).await?
    };
    // Before the disk is read, and whatever it would have said.
    let taken = environment.issuer.take_look_up(&client, context.now);
    taken.map_err(|(refusal, reason)| Refusing { refusal, known: Some((client.clone(), reason)) })?;
    let here = environment.for_admin();
    let found = match uri.path().strip_prefix(EXPLANATIONS) {
        Some(id) => {
            let explained = fuuffy_admin::explain(&here, id, &Reader::Client(client)).await;
            explained.map(|explanation| json!({ "data": explanation }))
        }
        None => match Query::<UsageWanted>::try_from_uri(uri) {
            Ok(Query(wanted)) => usage(&here, &client, &wanted).await,
            Err(_) => return Err(Refusal::InvalidRequest(RequestFault::UsageQuery).into()),
        },
    };
    found.map_err(|error| match error {
        DeedError::NotFound(_) => Refusal::NotFound.into(),
        DeedError::Invalid(_) => Refusal::InvalidRequest(RequestFault::UsageQuery).into(),
        error => {
            tracing::warn!(request_id = %context.id, %error, "What a client asked about itself could not be read");
            Refusal::ServiceUnavailable(1).into()
        }
    })
}

async fn usage(here: &fuuffy_admin::Environment, client: &ClientId, wanted: &UsageWanted) -> Result<Value, DeedError> {
    let Part { items, total } = fuuffy_admin::own_usage(here, client, wanted).await?;
    let (page, per_page) = wanted.page();
    let pagination =
        json!({"total": total, "page": page, "per_page": per_page, "total_pages": total.div_ceil(per_page)});
    Ok(json!({"data": items, "pagination": pagination}))
}

/// Whether a request bears a secret and no token, right or wrong.
fn bears_secret(headers: &HeaderMap) -> bool {
    let scheme = headers.get(header::AUTHORIZATION).and_then(|field| field.as_bytes().get(..6));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
}
