//! Tokens.

use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Data, Listed, Page, data, parse};
use super::asked::{Asked, Body};
use super::failure::Failure;
use super::{Answer, Here, InPath, InQuery, known};
use crate::tokens::{self, Revoke, Revoked, Shown};

/// Lists the live tokens of a client, the newest first: never the tokens themselves.
#[utoipa::path(get, path = "/clients/{client}/tokens", tag = "tokens", params(Page),
    responses((status = 200, body = Listed<Shown>)))]
pub(super) async fn list_tokens(State(here): Here, client: InPath<String>, query: InQuery<Page>) -> Answer {
    let page = Page::read(query)?;
    Ok(page.answer(tokens::list(&here, &known(client)?, page.part()).await?))
}

/// Revokes one token.
#[utoipa::path(post, path = "/tokens/revoke", tag = "tokens", request_body = Revoke,
    responses((status = 200, body = Data<Revoked>)))]
pub(super) async fn revoke_token(State(here): Here, asked: Asked, Body(body): Body) -> Answer {
    let wanted = parse(&body).map_err(|_| Failure::Invalid("expected token or token_id, one of them".to_owned()))?;
    Ok(data(StatusCode::OK, &tokens::revoke(&here, asked.cause, &asked.may, wanted).await?))
}
