//! What every request passes before anything is done: it gets an id, its caller is found out, and the table
//! of deeds says whether that one may.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use fuuffy_domain::{Actor, Cause, NotHeld, RequestId, Shown};
use fuuffy_protocol::{Bearer, BoundTokenFault, Refusal};
use fuuffy_store::verify;

use super::asked::{Caller, Known, Stranger, seen};
use super::failure::{Code, Failure};
use crate::deed::Environment;
use crate::refusals;
use crate::roles::{DEEDS, Deed, Kind, May, Seen};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives a request its id, which the answer bears and the audit log has, and turns browsers away: nothing that
/// a web page sends may do a deed.
pub(super) async fn identify(State(here): State<Arc<Environment>>, mut request: Request, next: Next) -> Response {
    let id = match here.new_request_id() {
        Ok(id) => id,
        Err(error) => return Failure::from(error).into_response(),
    };
    request.extensions_mut().insert(id);
    let is_of_browser = |name: &HeaderName| name == "origin" || name.as_str().starts_with("sec-fetch-");
    let mut response = if request.headers().keys().any(is_of_browser) {
        Failure::Browser.into_response()
    } else {
        next.run(request).await
    };
    if let Some(Code(code)) = response.extensions().get::<Code>() {
        tracing::debug!(request_id = %id, code, "An operator's request was refused");
    }
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Lets a request through to its deed, if the table allows it, and notes whom it does not.
pub(super) async fn admit(
    State(here): State<Arc<Environment>>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let prefix = format!("/admin/v1/{}", here.name);
    let path = path.as_str().strip_prefix(&prefix).unwrap_or_default().to_owned();
    let known = match caller(&here, &request) {
        Ok(known) => known,
        Err(failure) => return failure.into_response(),
    };
    let (method, id) = (request.method().clone(), request.extensions().get::<RequestId>().copied());
    let response = match allow(&known, &path, &method, request.headers()) {
        Ok(()) => {
            request.extensions_mut().insert(known.clone());
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    };
    let is_deed = !method.is_safe() || response.status() == axum::http::StatusCode::FORBIDDEN;
    if let (Some(Code(code)), Some(request)) = (response.extensions().get::<Code>().copied(), id)
        && is_deed
        && response.status().is_client_error()
    {
        let cause = Cause { actor: known.actor, from: known.from, request, at: here.clock.now(), why: None };
        // The pattern and not the path itself, in which anything may stand.
        refusals::note(&here, cause, code, format!("{method} {prefix}{path}")).await;
    }
    response
}

/// Who asks: the listener knows, or a token tells, verified as the gateway does it.
fn caller(here: &Environment, request: &Request) -> Result<Known, Failure> {
    if let Some(Caller { actor, from }) = request.extensions().get::<Caller>().cloned() {
        return Ok(Known { actor, from, may: May::Everything });
    }
    let refused = |refusal| Err(Failure::Refused(refusal));
    let Some(Stranger { from }) = request.extensions().get::<Stranger>().copied() else {
        return refused(Refusal::MissingToken);
    };
    let token = match Bearer::parse(request.headers()) {
        Ok(Bearer::Unverified(token)) => token,
        Ok(Bearer::Missing | Bearer::WithProof(_)) => return refused(Refusal::MissingToken),
        Err(fault) => return refused(fault.into()),
    };
    let verified = match verify(&*here.store, &here.keyring, &token, here.clock.now()) {
        Ok(verified) => verified,
        Err(fault) => return refused(Refusal::InvalidToken(fault)),
    };
    // A proof is for the API behind the gateway, and so is a certificate; here nobody checks one, and a token that needs one
    // does nothing.
    let scope = Arc::clone(verified.scope());
    match verified.held(Shown::Nothing) {
        Ok(held) => {
            let actor = Actor::Operator { client_id: held.client().id.clone() };
            Ok(Known { actor, from: Some(from), may: May::Scopes(scope) })
        }
        Err(NotHeld::NoCertificate) => refused(Refusal::InvalidBoundToken(BoundTokenFault::NoCertificate)),
        Err(_) => refused(Refusal::InvalidBoundToken(BoundTokenFault::Unproven)),
    }
}

/// Whether the table has the deed, and allows it. A path that it does not have leads nowhere.
fn allow(known: &Known, path: &str, method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    let asked = if *method == Method::HEAD { &Method::GET } else { method };
    let mut there = DEEDS.iter().filter(|deed| deed.path == path);
    let Some(Deed { scope, kind, .. }) = there.clone().find(|deed| deed.method == *asked) else {
        let first = there.next().ok_or(Failure::NotFound("path"))?;
        let methods: Vec<&str> = std::iter::once(first).chain(there).map(|deed| deed.method.as_str()).collect();
        return Err(Failure::Method(methods.join(", ")));
    };
    known.may.need(scope)?;
    let is_conditional = matches!(kind, Kind::Change | Kind::Addition);
    if is_conditional && matches!(known.may, May::Scopes(_)) && seen(headers)? == Seen::Unsaid {
        return Err(Failure::Precondition);
    }
    Ok(())
}
