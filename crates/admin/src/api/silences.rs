//! Silences.

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::answer::{Data, Listed, Page, data, parse};
use super::asked::{Asked, Body};
use super::failure::Failure;
use super::{Answer, Here, InPath, InQuery};
use crate::silences::{self, Shown};

/// Lists the silences that hold, the oldest first, and how many alerts each kept back.
#[utoipa::path(get, path = "/silences", tag = "alerts", params(Page), responses((status = 200, body = Listed<Shown>)))]
pub(super) async fn list_silences(State(here): Here, query: InQuery<Page>) -> Answer {
    let page = Page::read(query)?;
    Ok(page.answer(silences::list(&here, page.part()).await?))
}

/// Has nobody told of alerts for a while.
#[utoipa::path(post, path = "/silences", tag = "alerts", request_body = silences::Asked,
    responses((status = 201, body = Data<Shown>)))]
pub(super) async fn add_silence(State(here): Here, asked: Asked, Body(body): Body) -> Answer {
    let wanted: silences::Asked = parse(&body)?;
    Ok(data(StatusCode::CREATED, &silences::add(&here, asked.cause, &wanted).await?))
}

/// Ends a silence, and shows what it was.
#[utoipa::path(delete, path = "/silences/{silence}", tag = "alerts",
    responses((status = 200, body = Data<Shown>)))]
pub(super) async fn end_silence(State(here): Here, silence: InPath<String>, asked: Asked) -> Answer {
    let silence = silence.map(|Path(id)| id).map_err(|_| Failure::NotFound("silence"))?;
    Ok(data(StatusCode::OK, &silences::end(&here, asked.cause, &silence).await?))
}
