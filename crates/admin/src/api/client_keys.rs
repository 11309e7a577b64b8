//! Public keys of a client.

use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Data, data_at, made, parse};
use super::asked::{Asked, Body};
use super::{Answer, Here, InPath, known};
use crate::client_keys::{self, Add, Shown};

/// Lists the public keys of a client, the oldest first: those that are registered, or those that it publishes.
#[utoipa::path(get, path = "/clients/{client}/keys", tag = "keys", responses((status = 200, body = Data<Vec<Shown>>)))]
pub(super) async fn list_keys(State(here): Here, client: InPath<String>) -> Answer {
    let (listed, revision) = client_keys::list(&here, &known(client)?).await?;
    Ok(data_at(StatusCode::OK, revision, &listed))
}

/// Gives a client one more public key, by which it proves itself without a secret (`private_key_jwt`).
#[utoipa::path(post, path = "/clients/{client}/keys", tag = "keys", request_body = Add,
    responses((status = 201, body = Data<Shown>)))]
pub(super) async fn add_key(State(here): Here, asked: Asked, client: InPath<String>, Body(body): Body) -> Answer {
    let client = known(client)?;
    // What was done before under the same key is answered again, whatever the client's state is now.
    let once = asked.once(&here, &format!("/clients/{client}/keys"), &body);
    let target = asked.target(&here, &client)?;
    Ok(made(client_keys::add(&here, asked.cause, target, parse(&body)?, once.as_ref()).await?))
}

/// Takes a public key away: nobody is known by it any more.
#[utoipa::path(delete, path = "/clients/{client}/keys/{key}", tag = "keys",
    responses((status = 200, body = Data<Shown>)))]
pub(super) async fn remove_key(State(here): Here, asked: Asked, both: InPath<(String, String)>) -> Answer {
    let (client, key) = known(both)?;
    let target = asked.target(&here, &client)?;
    let (removed, revision) = client_keys::remove(&here, asked.cause, target, &key).await?;
    Ok(data_at(StatusCode::OK, revision, &removed))
}
