//! The deeds as a JSON API: paths, envelopes, and the one place where failures become answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use fuuffy_store::StoreError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::deed::{DeedError, Environment};
use crate::{clients, secrets};

/// The largest request body, in bytes.
const MAX_BODY: usize = 64 * 1024;

type Here = State<Arc<Environment>>;
type Answer = Result<Response, Failure>;
type InPath<T> = Result<Path<T>, PathRejection>;

/// The API of both environments, each under its own name: `/admin/v1/testing/clients` and so on.
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
        .route("/clients/{client}", get(show_client).delete(delete_client))
        .route("/clients/{client}/suspend", post(suspend_client))
        .route("/clients/{client}/resume", post(resume_client))
        .route("/clients/{client}/secrets", get(list_secrets).post(add_secret))
        .route("/clients/{client}/secrets/{secret}/retire", post(retire_secret))
        .with_state(Arc::new(environment))
}

async fn create_client(State(here): Here, body: Result<Bytes, BytesRejection>) -> Answer {
    let created = clients::create(&here, parse(body)?).await?;
    Ok(data(StatusCode::CREATED, &created))
}

async fn list_clients(State(here): Here, query: Result<Query<Page>, QueryRejection>) -> Answer {
    let Query(Page { page, per_page }) = query.map_err(|_| Failure::page())?;
    if page == 0 || !(1..=100).contains(&per_page) {
        return Err(Failure::page());
    }
    let (shown, total) = clients::list(&here, page, per_page);
    let pagination =
        json!({"total": total, "page": page, "per_page": per_page, "total_pages": total.div_ceil(per_page)});
    Ok(json_response(StatusCode::OK, &json!({"data": shown, "pagination": pagination})))
}

async fn show_client(State(here): Here, client: InPath<String>) -> Answer {
    let client = known(client)?;
    Ok(data(StatusCode::OK, &clients::show(&here, &client)?))
}

async fn suspend_client(State(here): Here, client: InPath<String>) -> Answer {
    let client = known(client)?;
    Ok(data(StatusCode::OK, &clients::suspend(&here, &client).await?))
}

async fn resume_client(State(here): Here, client: InPath<String>) -> Answer {
    let client = known(client)?;
    Ok(data(StatusCode::OK, &clients::resume(&here, &client).await?))
}

async fn delete_client(State(here): Here, client: InPath<String>) -> Answer {
    let client = known(client)?;
    Ok(data(StatusCode::OK, &clients::delete(&here, &client).await?))
}

async fn add_secret(State(here): Here, client: InPath<String>, body: Result<Bytes, BytesRejection>) -> Answer {
    let client = known(client)?;
    let added = secrets::add(&here, &client, parse(body)?).await?;
    Ok(data(StatusCode::CREATED, &added))
}

async fn list_secrets(State(here): Here, client: InPath<String>) -> Answer {
    let client = known(client)?;
    Ok(data(StatusCode::OK, &secrets::list(&here, &client)?))
}

async fn retire_secret(State(here): Here, both: InPath<(String, String)>) -> Answer {
    let (client, secret) = known(both)?;
    Ok(data(StatusCode::OK, &secrets::retire(&here, &client, &secret).await?))
}

/// The ids in a path; what is no text is nobody's.
fn known<T>(path: InPath<T>) -> Result<T, Failure> {
    path.map(|Path(ids)| ids).map_err(|_| Failure::NotFound("client"))
}

/// Which part of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default = "first")]
    page: usize,
    #[serde(default = "twenty")]
    per_page: usize,
}

const fn first() -> usize {
    1
}

const fn twenty() -> usize {
    20
}

/// An empty body is an object without members.
fn parse<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Failure> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge,
        _ => Failure::Invalid("the body broke off".to_owned()),
    })?;
    let body = if body.is_empty() { &b"{}"[..] } else { &body };
    serde_json::from_slice(body).map_err(|error| Failure::Invalid(error.to_string()))
}

fn data(status: StatusCode, value: &impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Data<'a, T> {
        data: &'a T,
    }
    json_response(status, &Data { data: value })
}

fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// Every way in which a request of an operator fails.
enum Failure {
    Invalid(String),
    NotFound(&'static str),
    Method,
    TooLarge,
    TooManySecrets,
    Unavailable(String),
}

impl Failure {
    fn page() -> Self {
        Self::Invalid("expected page from 1 and per_page from 1 to 100".to_owned())
    }
}

impl From<DeedError> for Failure {
    fn from(error: DeedError) -> Self {
        match error {
            DeedError::Invalid(words) => Self::Invalid(words),
            DeedError::NotFound(what) => Self::NotFound(what),
            DeedError::TooManySecrets => Self::TooManySecrets,
            DeedError::Entropy(error) => Self::Unavailable(error.to_string()),
            DeedError::Store(
                error @ (StoreError::Unwritable(_)
                | StoreError::Overloaded
                | StoreError::TooManyScopes
                | StoreError::Closed
                | StoreError::Superseded
                | StoreError::InUse(_)
                | StoreError::BadFile { .. }),
            ) => Self::Unavailable(error.to_string()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, code, message, details) = match self {
            Self::Invalid(words) => {
                (StatusCode::BAD_REQUEST, "invalid_request", "The request is not what it must be".to_owned(), words)
            }
            Self::NotFound(what) => (
                StatusCode::NOT_FOUND,
                "not_found",
                format!("There is no such {what}"),
                "List what there is, and mind the environment".to_owned(),
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path does not take that method".to_owned(),
                "Use a method that Allow names".to_owned(),
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "The request body is too large".to_owned(),
                "Send at most 64 KiB".to_owned(),
            ),
            Self::TooManySecrets => (
                StatusCode::CONFLICT,
                "too_many_secrets",
                "The client has three live secrets already".to_owned(),
                "Retire one that is no longer used, then add another".to_owned(),
            ),
            Self::Unavailable(words) => {
                (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", "Nothing was changed".to_owned(), words)
            }
        };
        json_response(status, &json!({"error": {"code": code, "message": message, "details": details}}))
    }
}
