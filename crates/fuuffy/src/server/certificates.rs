//! What operators see of certificates: what each listener shows, until when, and what comes next. For the local
//! administrator alone, as the keys are.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use fuuffy_admin::Caller;
use fuuffy_domain::{Actor, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::Environments;
use super::certificate::Certificate;

/// A listener's certificate, for operators.
#[derive(Serialize)]
struct Listed {
    listener: String,
    /// `files`, or `acme`.
    source: &'static str,
    hosts: Vec<String>,
    issuer: Option<String>,
    fingerprint: Option<String>,
    starts_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    /// When one is ordered; `null` for one from files. A time that is over means now.
    next_order_at: Option<Timestamp>,
    /// Failures in a row.
    failures: u32,
    /// What was said last, while ordering fails.
    error: Option<String>,
}

/// `/admin/v1/certificates`
pub(super) fn router(environments: Environments) -> Router {
    Router::new().route("/admin/v1/certificates", get(list)).with_state(environments)
}

async fn list(State(here): State<Environments>, caller: Option<Extension<Caller>>) -> Response {
    let is_local = matches!(
        caller,
        Some(Extension(Caller { actor: Actor::Socket { .. } | Actor::Local { .. } | Actor::Server, .. }))
    );
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    if !is_local {
        let error = json!({"error": {
            "code": "insufficient_scope",
            "message": "Certificates are the local administrator's",
            "details": "Run fuuffy certs status on the server's machine",
        }});
        return (StatusCode::FORBIDDEN, no_store, Json(error)).into_response();
    }
    let listed: Vec<Listed> = here.certificates().map(|certificate| Listed::of(certificate)).collect();
    (no_store, Json(json!({"data": listed}))).into_response()
}

impl Listed {
    fn of(certificate: &Certificate) -> Self {
        let (shown, ordering) = (certificate.shown(), certificate.ordering());
        let progress = ordering.map(|ordering| ordering.progress()).unwrap_or_default();
        let wanted = || ordering.map(|ordering| ordering.names().to_vec()).unwrap_or_default();
        Self {
            listener: certificate.place.clone(),
            source: if ordering.is_some() { "acme" } else { "files" },
            hosts: shown.as_ref().map_or_else(wanted, |shown| shown.names.clone()),
            issuer: shown.as_ref().map(|shown| shown.issuer.clone()),
            fingerprint: shown.as_ref().map(|shown| shown.fingerprint.clone()),
            starts_at: shown.as_ref().map(|shown| shown.starts_at),
            expires_at: shown.as_ref().map(|shown| shown.ends_at),
            next_order_at: ordering.map(|ordering| ordering.next_at(shown.as_deref())),
            failures: progress.failures,
            error: progress.error,
        }
    }
}
