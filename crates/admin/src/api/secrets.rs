//! Secrets of a client.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::answer::{Data, data_at, made, parse};
use super::asked::{Asked, Body};
use super::failure::Failure;
use super::{Answer, Here, InPath, InQuery, known};
use crate::secrets::{self, Add, Added, Detail, Retire};

/// How much is told of each.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Detailed {
    /// Whether all is told, as of a single one.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    detail: bool,
}

/// Lists the secrets of a client, the oldest first: never the secrets themselves.
#[utoipa::path(get, path = "/clients/{client}/secrets", tag = "secrets", params(Detailed),
    responses((status = 200, body = Data<Vec<secrets::Shown>>)))]
pub(super) async fn list_secrets(State(here): Here, client: InPath<String>, query: InQuery<Detailed>) -> Answer {
    let Query(Detailed { detail }) =
        query.map_err(|_| Failure::Invalid("detail: expected true or false".to_owned()))?;
    let client = known(client)?;
    if detail {
        let (details, revision) = secrets::details(&here, &client)?;
        return Ok(data_at(StatusCode::OK, revision, &details));
    }
    let (listed, revision) = secrets::list(&here, &client)?;
    Ok(data_at(StatusCode::OK, revision, &listed))
}

/// Gives a client one more secret, shown once.
#[utoipa::path(post, path = "/clients/{client}/secrets", tag = "secrets", request_body = Add,
    responses((status = 201, body = Data<Added>)))]
pub(super) async fn add_secret(State(here): Here, asked: Asked, client: InPath<String>, Body(body): Body) -> Answer {
    let client = known(client)?;
    // What was done before under the same key is answered again, whatever the client's state is now.
    let once = asked.once(&here, &format!("/clients/{client}/secrets"), &body);
    let target = asked.target(&here, &client)?;
    Ok(made(secrets::add(&here, asked.cause, target, parse(&body)?, once.as_ref()).await?))
}

/// Shows a secret: who used it last, and whether it is safe to retire.
#[utoipa::path(get, path = "/clients/{client}/secrets/{secret}", tag = "secrets",
    responses((status = 200, body = Data<Detail>)))]
pub(super) async fn show_secret(State(here): Here, both: InPath<(String, String)>) -> Answer {
    let (client, secret) = known(both)?;
    let (shown, revision) = secrets::show(&here, &client, &secret)?;
    Ok(data_at(StatusCode::OK, revision, &shown))
}

/// Retires a secret, now or when nobody has used it for so long.
#[utoipa::path(post, path = "/clients/{client}/secrets/{secret}/retire", tag = "secrets",
    request_body = Retire, responses((status = 200, body = Data<Detail>)))]
pub(super) async fn retire_secret(
    State(here): Here,
    asked: Asked,
    both: InPath<(String, String)>,
    Body(body): Body,
) -> Answer {
    let (client, secret) = known(both)?;
    let change = parse::<Retire>(&body)?.change()?;
    let target = asked.target(&here, &client)?;
    let (retired, revision) = secrets::change(&here, asked.cause, (target, &secret), change).await?;
    Ok(data_at(StatusCode::OK, revision, &retired))
}
