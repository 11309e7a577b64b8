//! What clients are known by at platforms.

use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Data, data_at, made, parse};
use super::asked::{Asked, Body};
use super::{Answer, Here, InPath, known};
use crate::identities::{self, NewRules, Shown};

/// Lists what a client is known by at platforms, the oldest first.
#[utoipa::path(get, path = "/clients/{client}/identities", tag = "identities",
    responses((status = 200, body = Data<Vec<Shown>>)))]
pub(super) async fn list_identities(State(here): Here, client: InPath<String>) -> Answer {
    let (listed, revision) = identities::list(&here, &known(client)?)?;
    Ok(data_at(StatusCode::OK, revision, &listed))
}

/// Binds a client to what a platform's token says, by which it proves itself without a secret.
#[utoipa::path(post, path = "/clients/{client}/identities", tag = "identities", request_body = NewRules,
    responses((status = 201, body = Data<Shown>)))]
pub(super) async fn add_identity(State(here): Here, asked: Asked, client: InPath<String>, Body(body): Body) -> Answer {
    let client = known(client)?;
    // What was done before under the same key is answered again, whatever the client's state is now.
    let once = asked.once(&here, &format!("/clients/{client}/identities"), &body);
    let target = asked.target(&here, &client)?;
    Ok(made(identities::add(&here, asked.cause, target, parse(&body)?, once.as_ref()).await?))
}

/// Unbinds a client: nobody is known by such a token any more.
#[utoipa::path(delete, path = "/clients/{client}/identities/{identity}", tag = "identities",
    responses((status = 200, body = Data<Shown>)))]
pub(super) async fn remove_identity(State(here): Here, asked: Asked, both: InPath<(String, String)>) -> Answer {
    let (client, identity) = known(both)?;
    let target = asked.target(&here, &client)?;
    let (removed, revision) = identities::remove(&here, asked.cause, target, &identity).await?;
    Ok(data_at(StatusCode::OK, revision, &removed))
}
