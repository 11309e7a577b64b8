//! Alerts.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;

use super::answer::{Data, Listed, Page, data};
use super::asked::Asked;
use super::failure::Failure;
use super::{Answer, Here, InPath, InQuery};
use crate::alerts::{self, Meant, Redelivered, Shown, TestedAlert, Wanted};

/// Lists the alerts that nobody has taken yet, the oldest first.
#[utoipa::path(get, path = "/alerts", tag = "alerts", params(Wanted), responses((status = 200, body = Listed<Shown>)))]
pub(super) async fn list_alerts(State(here): Here, query: InQuery<Wanted>) -> Answer {
    let expected = "expected state (waiting or dead), page and per_page";
    let Query(wanted) = query.map_err(|_| Failure::Invalid(expected.to_owned()))?;
    let page = Page::of(wanted.page, wanted.per_page)?;
    Ok(page.answer(alerts::list(&here, &wanted, page.part()).await?))
}

/// Sends every dead letter once more.
#[utoipa::path(post, path = "/alerts/redeliver", tag = "alerts", params(Meant),
    responses((status = 200, body = Data<Redelivered>)))]
pub(super) async fn redeliver_alerts(State(here): Here, query: InQuery<Meant>, asked: Asked) -> Answer {
    Ok(data(StatusCode::OK, &alerts::redeliver(&here, asked.cause, None, &meant(query)?).await?))
}

/// Sends one alert once more.
#[utoipa::path(post, path = "/alerts/{message}/redeliver", tag = "alerts", params(Meant),
    responses((status = 200, body = Data<Redelivered>)))]
pub(super) async fn redeliver_alert(
    State(here): Here,
    message: InPath<String>,
    query: InQuery<Meant>,
    asked: Asked,
) -> Answer {
    let message = message.map(|Path(id)| id).map_err(|_| Failure::NotFound("alert"))?;
    Ok(data(StatusCode::OK, &alerts::redeliver(&here, asked.cause, Some(&message), &meant(query)?).await?))
}

fn meant(query: InQuery<Meant>) -> Result<Meant, Failure> {
    query.map(|Query(meant)| meant).map_err(|_| Failure::Invalid("expected channel: webhook or email".to_owned()))
}

/// Sends a test to whoever takes alerts, on every channel, and waits for the outcomes.
#[utoipa::path(post, path = "/alerts/test", tag = "alerts", responses((status = 200, body = Data<TestedAlert>)))]
pub(super) async fn test_alert(State(here): Here, asked: Asked) -> Answer {
    Ok(data(StatusCode::OK, &alerts::test(&here, asked.cause).await?))
}
