//! What there is to read besides clients: the audit log, and what is configured.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;

use super::answer::{Data, Listed, Page, data};
use super::failure::Failure;
use super::{Answer, Here, InPath, InQuery};
use crate::audit;
use crate::configuration::{self, ShownPlan, ShownRoute, ShownScope};
use crate::explanations::{Explanation, Reader, explain};
use crate::token_use::{self, ShownTokenUse, TokenUseWanted};
use crate::usage::{self, ShownUsage, UsageWanted};

/// Lists the records of the audit log, the newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(audit::Wanted),
    responses((status = 200, body = Listed<audit::Shown>)))]
pub(super) async fn list_audit(State(here): Here, query: InQuery<audit::Wanted>) -> Answer {
    let Query(wanted) =
        query.map_err(|_| Failure::Invalid("expected client_id, deed, page and per_page".to_owned()))?;
    let page = Page::of(wanted.page, wanted.per_page)?;
    Ok(page.answer(audit::list(&here, &wanted, page.part()).await?))
}

/// Signs the audit log as it stands, and answers the checkpoint: with one that is kept elsewhere, a cut end shows.
#[utoipa::path(post, path = "/audit/checkpoint", tag = "audit", responses((status = 201, body = Data<audit::Signed>)))]
pub(super) async fn sign_audit(State(here): Here) -> Answer {
    Ok(data(StatusCode::CREATED, &audit::sign(&here).await?))
}

/// Explains why a request was refused, for a week.
#[utoipa::path(get, path = "/explanations/{request}", tag = "audit",
    responses((status = 200, body = Data<Explanation>)))]
pub(super) async fn show_explanation(State(here): Here, request: InPath<String>) -> Answer {
    let request = request.map(|Path(id)| id).map_err(|_| Failure::NotFound("explanation"))?;
    Ok(data(StatusCode::OK, &explain(&here, &request, &Reader::Operator).await?))
}

/// Tells what clients used, those with the most requests first; by time, the oldest first.
#[utoipa::path(get, path = "/usage", tag = "usage", params(UsageWanted),
    responses((status = 200, body = Listed<ShownUsage>)))]
pub(super) async fn list_usage(State(here): Here, query: InQuery<UsageWanted>) -> Answer {
    let Query(wanted) = query.map_err(|_| {
        Failure::Invalid(
            "expected client_id, by (client, route, minute, hour or day), since, until, page and per_page".to_owned(),
        )
    })?;
    let page = Page::of(wanted.page, wanted.per_page)?;
    Ok(page.answer(usage::list(&here, &wanted, page.part()).await?))
}

/// Tells how many tokens clients asked for and how many they needed, the one with the most to spare first.
#[utoipa::path(get, path = "/usage/tokens", tag = "usage", params(TokenUseWanted),
    responses((status = 200, body = Listed<ShownTokenUse>)))]
pub(super) async fn list_token_use(State(here): Here, query: InQuery<TokenUseWanted>) -> Answer {
    let Query(wanted) =
        query.map_err(|_| Failure::Invalid("expected client_id, since, until, page and per_page".to_owned()))?;
    let page = Page::of(wanted.page, wanted.per_page)?;
    Ok(page.answer(token_use::list(&here, wanted, page.part()).await?))
}

/// Lists the routes of the configuration that is in force.
#[utoipa::path(get, path = "/routes", tag = "configuration", params(Page),
    responses((status = 200, body = Listed<ShownRoute>)))]
pub(super) async fn list_routes(State(here): Here, query: InQuery<Page>) -> Answer {
    let page = Page::read(query)?;
    Ok(page.answer(configuration::routes(&here, page.part())))
}

/// Lists its plans.
#[utoipa::path(get, path = "/plans", tag = "configuration", params(Page),
    responses((status = 200, body = Listed<ShownPlan>)))]
pub(super) async fn list_plans(State(here): Here, query: InQuery<Page>) -> Answer {
    let page = Page::read(query)?;
    Ok(page.answer(configuration::plans(&here, page.part())))
}

/// Lists the scopes that routes ask for and clients may have, and those of operators.
#[utoipa::path(get, path = "/scopes", tag = "configuration", params(Page),
    responses((status = 200, body = Listed<ShownScope>)))]
pub(super) async fn list_scopes(State(here): Here, query: InQuery<Page>) -> Answer {
    let page = Page::read(query)?;
    Ok(page.answer(configuration::scopes(&here, page.part())))
}
