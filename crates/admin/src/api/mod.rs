//! The deeds as a JSON API: paths, and what each of them does.

mod answer;
mod asked;
mod failure;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use fuuffy_domain::ClientChange;
use serde::Deserialize;

use crate::deed::Environment;
use crate::{audit, clients, secrets, tokens};
use answer::{Page, data, data_at, parse};
use asked::Asked;
use failure::Failure;

pub(crate) use answer::{first, twenty};
pub use asked::Caller;

/// The largest request body, in bytes.
const MAX_BODY: usize = 64 * 1024;

type Here = State<Arc<Environment>>;
type Answer = Result<Response, Failure>;
type Body = Result<Bytes, BytesRejection>;
type InPath<T> = Result<Path<T>, PathRejection>;
type InQuery<T> = Result<Query<T>, QueryRejection>;

/// The API of both environments, each under its own name: `/admin/v1/testing/clients` and so on. Whoever
/// serves it says who asks, by a [`Caller`] among the request's extensions.
pub fn router(testing: Option<Environment>, production: Option<Environment>) -> Router {
    let mut router = Router::new();
    for environment in [testing, production].into_iter().flatten() {
        let path = format!("/admin/v1/{}", environment.name);
        router = router.nest(&path, of_environment(environment));
    }
    router
        .fallback(async || Failure::NotFound("path"))
        .method_not_allowed_fallback(async || Failure::Method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

fn of_environment(environment: Environment) -> Router {
    Router::new()
        .route("/clients", get(list_clients).post(create_client))
        .route("/clients/{client}", get(show_client).patch(patch_client).delete(delete_client))
        .route("/clients/{client}/suspend", post(suspend_client))
        .route("/clients/{client}/resume", post(resume_client))
        .route("/clients/{client}/secrets", get(list_secrets).post(add_secret))
        .route("/clients/{client}/secrets/{secret}", get(show_secret))
        .route("/clients/{client}/secrets/{secret}/retire", post(retire_secret))
        .route("/clients/{client}/tokens", get(list_tokens))
        .route("/clients/{client}/tokens/revoke", post(revoke_tokens))
        .route("/tokens/revoke", post(revoke_token))
        .route("/audit", get(list_audit))
        .route("/audit/checkpoint", post(sign_audit))
        .with_state(Arc::new(environment))
}

async fn create_client(State(here): Here, asked: Asked, body: Body) -> Answer {
    let created = clients::create(&here, asked.cause, parse(body)?).await?;
    Ok(data(StatusCode::CREATED, &created))
}

async fn list_clients(State(here): Here, query: InQuery<Page>) -> Answer {
    let page = Page::read(query)?;
    Ok(page.answer(&clients::list(&here, page.part())))
}

async fn show_client(State(here): Here, client: InPath<String>) -> Answer {
    let shown = clients::show(&here, &known(client)?)?;
    Ok(data_at(shown.revision, &shown))
}

async fn patch_client(State(here): Here, asked: Asked, client: InPath<String>, body: Body) -> Answer {
    let patch = clients::checked_patch(&here, &parse(body)?)?;
    change_client(&here, asked, client, ClientChange::Patch(patch)).await
}

async fn suspend_client(State(here): Here, asked: Asked, client: InPath<String>) -> Answer {
    change_client(&here, asked, client, ClientChange::Suspend).await
}

async fn resume_client(State(here): Here, asked: Asked, client: InPath<String>) -> Answer {
    change_client(&here, asked, client, ClientChange::Resume).await
}

async fn delete_client(State(here): Here, asked: Asked, client: InPath<String>) -> Answer {
    change_client(&here, asked, client, ClientChange::Delete).await
}

async fn revoke_tokens(State(here): Here, asked: Asked, client: InPath<String>) -> Answer {
    change_client(&here, asked, client, ClientChange::RevokeTokens).await
}

async fn change_client(here: &Environment, asked: Asked, client: InPath<String>, change: ClientChange) -> Answer {
    let shown = clients::change(here, asked.cause, &known(client)?, asked.seen, change).await?;
    Ok(data_at(shown.revision, &shown))
}

async fn add_secret(State(here): Here, asked: Asked, client: InPath<String>, body: Body) -> Answer {
    let added = secrets::add(&here, asked.cause, &known(client)?, parse(body)?).await?;
    Ok(data(StatusCode::CREATED, &added))
}

async fn list_secrets(State(here): Here, client: InPath<String>, query: InQuery<Detail>) -> Answer {
    let Query(Detail { detail }) = query.map_err(|_| Failure::Invalid("detail: expected true or false".to_owned()))?;
    let client = known(client)?;
    if detail {
        return Ok(data(StatusCode::OK, &secrets::details(&here, &client)?));
    }
    Ok(data(StatusCode::OK, &secrets::list(&here, &client)?))
}

async fn show_secret(State(here): Here, both: InPath<(String, String)>) -> Answer {
    let (client, secret) = known(both)?;
    Ok(data(StatusCode::OK, &secrets::show(&here, &client, &secret)?))
}

async fn retire_secret(State(here): Here, asked: Asked, both: InPath<(String, String)>, body: Body) -> Answer {
    let (client, secret) = known(both)?;
    let change = parse::<secrets::Retire>(body)?.change()?;
    let retired = secrets::change(&here, asked.cause, (&client, &secret), change).await?;
    Ok(data(StatusCode::OK, &retired))
}

async fn list_tokens(State(here): Here, client: InPath<String>, query: InQuery<Page>) -> Answer {
    let page = Page::read(query)?;
    Ok(page.answer(&tokens::list(&here, &known(client)?, page.part()).await?))
}

async fn revoke_token(State(here): Here, asked: Asked, body: Body) -> Answer {
    Ok(data(StatusCode::OK, &tokens::revoke(&here, asked.cause, parse(body)?).await?))
}

async fn list_audit(State(here): Here, query: InQuery<audit::Wanted>) -> Answer {
    let Query(wanted) =
        query.map_err(|_| Failure::Invalid("expected client_id, deed, page and per_page".to_owned()))?;
    let page = Page::of(wanted.page, wanted.per_page)?;
    Ok(page.answer(&audit::list(&here, &wanted, page.part()).await?))
}

async fn sign_audit(State(here): Here, _asked: Asked) -> Answer {
    Ok(data(StatusCode::CREATED, &audit::sign(&here).await?))
}

/// Whether all is told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detail {
    #[serde(default)]
    detail: bool,
}

/// The ids in a path; what is no text is nobody's.
fn known<T>(path: InPath<T>) -> Result<T, Failure> {
    path.map(|Path(ids)| ids).map_err(|_| Failure::NotFound("client"))
}
