//! Operators.

use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Data, Listed, Page, data_at, made, parse};
use super::asked::{Asked, Body};
use super::{Answer, Here, InPath, InQuery, known};
use crate::clients::{Created, Shown};
use crate::operators::{self, Create};

/// Lists operators: the clients that have scopes of operators.
#[utoipa::path(get, path = "/operators", tag = "operators", params(Page),
    responses((status = 200, body = Listed<Shown>)))]
pub(super) async fn list_operators(State(here): Here, query: InQuery<Page>) -> Answer {
    let page = Page::read(query)?;
    Ok(page.answer(operators::list(&here, page.part())))
}

/// Makes an operator, and shows its first secret, once. Its scope must have one of operators in it.
#[utoipa::path(post, path = "/operators", tag = "operators", request_body = Create,
    responses((status = 201, body = Data<Created>)))]
pub(super) async fn create_operator(State(here): Here, asked: Asked, Body(body): Body) -> Answer {
    let once = asked.once(&here, "/operators", &body);
    Ok(made(operators::create(&here, asked.cause, parse(&body)?, once.as_ref()).await?))
}

/// Shows an operator.
#[utoipa::path(get, path = "/operators/{client}", tag = "operators", responses((status = 200, body = Data<Shown>)))]
pub(super) async fn show_operator(State(here): Here, client: InPath<String>) -> Answer {
    let shown = operators::show(&here, &known(client)?)?;
    Ok(data_at(StatusCode::OK, shown.revision, &shown))
}
