//! The deeds as a JSON API: paths, and what each of them does.

mod alerts;
mod answer;
mod asked;
mod client_certificates;
mod client_keys;
mod clients;
mod failure;
mod gate;
mod identities;
mod openapi;
mod operators;
mod records;
mod secrets;
mod silences;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::deed::Environment;
use failure::Failure;

pub(crate) use answer::{first, twenty};
pub use asked::{Caller, Stranger};
pub use openapi::openapi;

type Here = State<Arc<Environment>>;
type Answer = Result<Response, Failure>;
type InPath<T> = Result<Path<T>, PathRejection>;
type InQuery<T> = Result<Query<T>, QueryRejection>;

/// The API of both environments, each under its own name: `/admin/v1/testing/clients` and so on. Whoever
/// serves it says who asks, by a [`Caller`] or a [`Stranger`] among the request's extensions.
pub fn router(testing: Option<Environment>, production: Option<Environment>) -> Router {
    let environments: Vec<Arc<Environment>> = [testing, production].into_iter().flatten().map(Arc::new).collect();
    let mut router = Router::new()
        .route("/admin/v1/openapi.json", get(openapi::show).fallback(async || Failure::Method("GET".to_owned())))
        .fallback(async || Failure::NotFound("path"));
    for here in &environments {
        let deeds = deeds().split_for_parts().0;
        let gate = from_fn_with_state(Arc::clone(here), gate::admit);
        router = router.nest(&format!("/admin/v1/{}", here.name), deeds.layer(gate).with_state(Arc::clone(here)));
    }
    match environments.first() {
        // Ids tell nothing of an environment, so either's clock will do.
        Some(here) => router.layer(from_fn_with_state(Arc::clone(here), gate::identify)),
        None => router,
    }
}

/// Every path, with its documentation.
fn deeds() -> OpenApiRouter<Arc<Environment>> {
    OpenApiRouter::new()
        .routes(routes!(clients::list_clients, clients::create_client))
        .routes(routes!(clients::show_client, clients::patch_client, clients::delete_client))
        .routes(routes!(clients::suspend_client))
        .routes(routes!(clients::resume_client))
        .routes(routes!(secrets::list_secrets, secrets::add_secret))
        .routes(routes!(secrets::show_secret))
        .routes(routes!(secrets::retire_secret))
        .routes(routes!(client_keys::list_keys, client_keys::add_key))
        .routes(routes!(client_keys::remove_key))
        .routes(routes!(identities::list_identities, identities::add_identity))
        .routes(routes!(identities::remove_identity))
        .routes(routes!(client_certificates::list_certificates, client_certificates::add_certificate))
        .routes(routes!(client_certificates::remove_certificate))
        .routes(routes!(tokens::list_tokens))
        .routes(routes!(clients::revoke_tokens))
        .routes(routes!(tokens::revoke_token))
        .routes(routes!(operators::list_operators, operators::create_operator))
        .routes(routes!(operators::show_operator))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(alerts::redeliver_alerts))
        .routes(routes!(alerts::redeliver_alert))
        .routes(routes!(alerts::test_alert))
        .routes(routes!(silences::list_silences, silences::add_silence))
        .routes(routes!(silences::end_silence))
        .routes(routes!(records::list_audit))
        .routes(routes!(records::sign_audit))
        .routes(routes!(records::show_explanation))
        .routes(routes!(records::list_routes))
        .routes(routes!(records::list_plans))
        .routes(routes!(records::list_scopes))
        .routes(routes!(records::list_usage))
        .routes(routes!(records::list_token_use))
}

/// The ids in a path; what is no text is nobody's.
fn known<T>(path: InPath<T>) -> Result<T, Failure> {
    path.map(|Path(ids)| ids).map_err(|_| Failure::NotFound("client"))
}
