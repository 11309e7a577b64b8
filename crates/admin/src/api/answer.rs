//! Bodies in both directions: what is read, and the envelopes that answers come in.

use axum::extract::Query;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fuuffy_domain::Revision;
use fuuffy_store::{Part, PartOf};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::failure::Failure;

/// Which part of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[serde(default = "first")]
    page: usize,
    #[serde(default = "twenty")]
    per_page: usize,
}

pub(crate) const fn first() -> usize {
    1
}

pub(crate) const fn twenty() -> usize {
    20
}

impl Page {
    pub(super) fn read(query: Result<Query<Self>, QueryRejection>) -> Result<Self, Failure> {
        let Query(Self { page, per_page }) = query.map_err(|_| Failure::page())?;
        Self::of(page, per_page)
    }

    pub(super) fn of(page: usize, per_page: usize) -> Result<Self, Failure> {
        if page == 0 || !(1..=100).contains(&per_page) {
            return Err(Failure::page());
        }
        Ok(Self { page, per_page })
    }

    pub(super) const fn part(&self) -> PartOf {
        PartOf { skip: (self.page - 1).saturating_mul(self.per_page), take: self.per_page }
    }

    pub(super) fn answer<T: Serialize>(&self, part: &Part<T>) -> Response {
        let Self { page, per_page } = *self;
        let total_pages = part.total.div_ceil(per_page);
        let pagination = json!({"total": part.total, "page": page, "per_page": per_page, "total_pages": total_pages});
        json_response(StatusCode::OK, &json!({"data": part.items, "pagination": pagination}))
    }
}

/// An empty body is an object without members.
pub(super) fn parse<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Failure> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge,
        _ => Failure::Invalid("the body broke off".to_owned()),
    })?;
    let body = if body.is_empty() { &b"{}"[..] } else { &body };
    serde_json::from_slice(body).map_err(|error| Failure::Invalid(error.to_string()))
}

pub(super) fn data(status: StatusCode, value: &impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Data<'a, T> {
        data: &'a T,
    }
    json_response(status, &Data { data: value })
}

/// The same, with the state that a change must name.
pub(super) fn data_at(revision: Revision, value: &impl Serialize) -> Response {
    let mut response = data(StatusCode::OK, value);
    let tag = HeaderValue::from_str(&format!("\"{}\"", revision.0)).unwrap_or(HeaderValue::from_static("\"\""));
    response.headers_mut().insert(header::ETAG, tag);
    response
}

pub(super) fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}
