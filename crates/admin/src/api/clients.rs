//! Clients.

use axum::extract::State;
use axum::http::StatusCode;
use fuuffy_domain::ClientChange;

use super::answer::{Data, Listed, Page, data_at, made, parse};
use super::asked::{Asked, Body};
use super::{Answer, Here, InPath, InQuery, known};
use crate::clients::{self, Create, Created, Patch, Shown};
use crate::deed::Environment;

/// Lists clients, the oldest first.
#[utoipa::path(get, path = "/clients", tag = "clients", params(Page), responses((status = 200, body = Listed<Shown>)))]
pub(super) async fn list_clients(State(here): Here, query: InQuery<Page>) -> Answer {
    let page = Page::read(query)?;
    Ok(page.answer(clients::list(&here, page.part())))
}

/// Makes a client, and shows its first secret, once.
#[utoipa::path(post, path = "/clients", tag = "clients", request_body = Create,
    responses((status = 201, body = Data<Created>)))]
pub(super) async fn create_client(State(here): Here, asked: Asked, Body(body): Body) -> Answer {
    let wanted: Create = parse(&body)?;
    asked.may.reach(&clients::checked_scope(wanted.scope.as_deref().unwrap_or_default())?)?;
    let once = asked.once(&here, "/clients", &body);
    Ok(made(clients::create(&here, asked.cause, wanted, once.as_ref()).await?))
}

/// Shows a client.
#[utoipa::path(get, path = "/clients/{client}", tag = "clients", responses((status = 200, body = Data<Shown>)))]
pub(super) async fn show_client(State(here): Here, client: InPath<String>) -> Answer {
    let shown = clients::show(&here, &known(client)?)?;
    Ok(data_at(StatusCode::OK, shown.revision, &shown))
}

/// Changes what is known of a client.
#[utoipa::path(patch, path = "/clients/{client}", tag = "clients", request_body = Patch,
    responses((status = 200, body = Data<Shown>)))]
pub(super) async fn patch_client(State(here): Here, asked: Asked, client: InPath<String>, Body(body): Body) -> Answer {
    let patch = clients::checked_patch(&here, &parse(&body)?)?;
    if let Some(scopes) = &patch.scopes {
        asked.may.reach(scopes)?;
    }
    change_client(&here, asked, client, ClientChange::Patch(patch)).await
}

/// Refuses a client tokens, and all tokens that it has.
#[utoipa::path(post, path = "/clients/{client}/suspend", tag = "clients",
    responses((status = 200, body = Data<Shown>)))]
pub(super) async fn suspend_client(State(here): Here, asked: Asked, client: InPath<String>) -> Answer {
    change_client(&here, asked, client, ClientChange::Suspend).await
}

/// Lets a suspended client get tokens again.
#[utoipa::path(post, path = "/clients/{client}/resume", tag = "clients",
    responses((status = 200, body = Data<Shown>)))]
pub(super) async fn resume_client(State(here): Here, asked: Asked, client: InPath<String>) -> Answer {
    change_client(&here, asked, client, ClientChange::Resume).await
}

/// Removes a client with its secrets and tokens, for good.
#[utoipa::path(delete, path = "/clients/{client}", tag = "clients", responses((status = 200, body = Data<Shown>)))]
pub(super) async fn delete_client(State(here): Here, asked: Asked, client: InPath<String>) -> Answer {
    change_client(&here, asked, client, ClientChange::Delete).await
}

/// Revokes all tokens of a client.
#[utoipa::path(post, path = "/clients/{client}/tokens/revoke", tag = "tokens",
    responses((status = 200, body = Data<Shown>)))]
pub(super) async fn revoke_tokens(State(here): Here, asked: Asked, client: InPath<String>) -> Answer {
    change_client(&here, asked, client, ClientChange::RevokeTokens).await
}

async fn change_client(here: &Environment, asked: Asked, client: InPath<String>, change: ClientChange) -> Answer {
    let target = asked.target(here, &known(client)?)?;
    let shown = clients::change(here, asked.cause, target, change).await?;
    Ok(data_at(StatusCode::OK, shown.revision, &shown))
}
