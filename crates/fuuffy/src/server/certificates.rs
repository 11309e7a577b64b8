//! What operators see of certificates: what each listener shows, until when, and what comes next. For the local
//! administrator alone, as the keys are.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use fuuffy_admin::Caller;
use fuuffy_domain::{Actor, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::Environments;
use super::certificate::Certificate;

const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
const NOT_LOCAL: (&str, &str, &str) = (
    "insufficient_scope",
    "Certificates are the local administrator's",
    "Run fuuffy certs status on the server's machine",
);
const NOT_ORDERED: (&str, &str, &str) = (
    "not_found",
    "No certificate is ordered for that environment",
    "Name one that has tls = \"acme\"; one from files is replaced by replacing the files",
);

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
    Router::new()
        .route("/admin/v1/certificates", get(list))
        .route("/admin/v1/certificates/{environment}/renew", post(renew))
        .with_state(environments)
}

/// Orders another certificate, however good the one that is shown is: its key may be known to somebody.
async fn renew(State(here): State<Environments>, caller: Option<Extension<Caller>>, name: Path<String>) -> Response {
    if !is_local(caller) {
        return refused(StatusCode::FORBIDDEN, NOT_LOCAL);
    }
    let environment = here.iter().find(|environment| environment.name.to_string() == *name);
    let certificate = environment.and_then(|environment| environment.certificate.as_ref());
    let Some((certificate, ordering)) = certificate.and_then(|it| Some((it, it.ordering()?))) else {
        return refused(StatusCode::NOT_FOUND, NOT_ORDERED);
    };
    ordering.demand();
    tracing::info!(place = certificate.place, "An operator asked for another certificate");
    (NO_STORE, Json(json!({"data": Listed::of(certificate)}))).into_response()
}

async fn list(State(here): State<Environments>, caller: Option<Extension<Caller>>) -> Response {
    if !is_local(caller) {
        return refused(StatusCode::FORBIDDEN, NOT_LOCAL);
    }
    let listed: Vec<Listed> = here.certificates().map(|certificate| Listed::of(certificate)).collect();
    (NO_STORE, Json(json!({"data": listed}))).into_response()
}

fn is_local(caller: Option<Extension<Caller>>) -> bool {
    let actor = caller.map(|Extension(caller)| caller.actor);
    matches!(actor, Some(Actor::Socket { .. } | Actor::Local { .. } | Actor::Server))
}

fn refused(status: StatusCode, (code, message, details): (&str, &str, &str)) -> Response {
    let error = json!({"error": {"code": code, "message": message, "details": details}});
    (status, NO_STORE, Json(error)).into_response()
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
