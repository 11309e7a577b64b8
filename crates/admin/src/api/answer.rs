//! Bodies in both directions: what is read, and the envelopes that answers come in.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fuuffy_domain::Revision;
use fuuffy_store::{Part, PartOf};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::failure::Failure;
use crate::once::{Kept, Made};

/// Says that an answer is one from before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The largest page number, which every program can say.
const LAST_PAGE: usize = 9_007_199_254_740_991;

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// From 1.
    #[serde(default = "first")]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 9007199254740991_u64)]
    page: usize,
    /// Up to 100.
    #[serde(default = "twenty")]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100)]
    per_page: usize,
}

/// One thing, as every answer has it.
#[derive(Serialize, ToSchema)]
pub(super) struct Data<T> {
    pub(super) data: T,
}

/// A part of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Listed<T> {
    data: Vec<T>,
    pagination: Pagination,
}

/// Where the part is in its list.
#[derive(Serialize, ToSchema)]
pub(super) struct Pagination {
    total: usize,
    page: usize,
    per_page: usize,
    total_pages: usize,
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
        if !(1..=LAST_PAGE).contains(&page) || !(1..=100).contains(&per_page) {
            return Err(Failure::page());
        }
        Ok(Self { page, per_page })
    }

    pub(super) const fn part(&self) -> PartOf {
        PartOf { skip: (self.page - 1).saturating_mul(self.per_page), take: self.per_page }
    }

    pub(super) fn answer<T: Serialize>(&self, part: Part<T>) -> Response {
        let Self { page, per_page } = *self;
        let Part { items: data, total } = part;
        let pagination = Pagination { total, page, per_page, total_pages: total.div_ceil(per_page) };
        json_response(StatusCode::OK, &Listed { data, pagination })
    }
}

/// Reads a body; an empty one is an object without members. A value that is wrong is not said again, for it
/// may be a secret.
pub(super) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    let body = if body.is_empty() { &b"{}"[..] } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let words = error.to_string();
        let is_of_value = words.starts_with("invalid type") || words.starts_with("invalid value");
        Failure::Invalid(match words.split_once(", expected ") {
            // A struct's name is nothing to whoever calls.
            Some((_, expected)) if is_of_value && expected.starts_with("struct") => "expected an object".to_owned(),
            Some((_, expected)) if is_of_value => format!("expected {expected}"),
            _ => words,
        })
    })
}

pub(super) fn data(status: StatusCode, data: &impl Serialize) -> Response {
    json_response(status, &Data { data })
}

/// The same, with the state of the client that a change must name.
pub(super) fn data_at(status: StatusCode, revision: Revision, value: &impl Serialize) -> Response {
    tagged(revision, data(status, value))
}

/// What was made, or was made before under the same key.
pub(super) fn made(made: Made<impl Serialize>) -> Response {
    match made {
        Made::Now(value, revision) => data_at(StatusCode::CREATED, revision, &value),
        Made::Before(Kept { revision, data: kept }) => {
            let mut response = data(StatusCode::CREATED, &kept);
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            match revision {
                Some(revision) => tagged(Revision(revision), response),
                None => response,
            }
        }
    }
}

fn tagged(revision: Revision, mut response: Response) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", revision.0)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

pub(super) fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}
