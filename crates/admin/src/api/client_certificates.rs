//! Certificates by which clients are known.

use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Data, data_at, made, parse};
use super::asked::{Asked, Body};
use super::{Answer, Here, InPath, known};
use crate::client_certificates::{self, NewRule, Shown};

/// Lists the certificates that a client is known by, the oldest first.
#[utoipa::path(get, path = "/clients/{client}/certificates", tag = "certificates",
    responses((status = 200, body = Data<Vec<Shown>>)))]
pub(super) async fn list_certificates(State(here): Here, client: InPath<String>) -> Answer {
    let (listed, revision) = client_certificates::list(&here, &known(client)?)?;
    Ok(data_at(StatusCode::OK, revision, &listed))
}

/// Has a client known by a certificate, by which it proves itself without a secret.
#[utoipa::path(post, path = "/clients/{client}/certificates", tag = "certificates", request_body = NewRule,
    responses((status = 201, body = Data<Shown>)))]
pub(super) async fn add_certificate(
    State(here): Here,
    asked: Asked,
    client: InPath<String>,
    Body(body): Body,
) -> Answer {
    let client = known(client)?;
    // What was done before under the same key is answered again, whatever the client's state is now.
    let once = asked.once(&here, &format!("/clients/{client}/certificates"), &body);
    let target = asked.target(&here, &client)?;
    Ok(made(client_certificates::add(&here, asked.cause, target, parse(&body)?, once.as_ref()).await?))
}

/// Takes a certificate away: nobody is known by it any more.
#[utoipa::path(delete, path = "/clients/{client}/certificates/{certificate}", tag = "certificates",
    responses((status = 200, body = Data<Shown>)))]
pub(super) async fn remove_certificate(State(here): Here, asked: Asked, both: InPath<(String, String)>) -> Answer {
    let (client, certificate) = known(both)?;
    let target = asked.target(&here, &client)?;
    let (removed, revision) = client_certificates::remove(&here, asked.cause, target, &certificate).await?;
    Ok(data_at(StatusCode::OK, revision, &removed))
}
