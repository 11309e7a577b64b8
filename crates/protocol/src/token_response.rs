//! The answer to a granted token request, in both shapes.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde::Serialize;

use crate::{AccessToken, BodyShape, ScopeSet, TokenType};

/// A token on its way to the caller. It exists once, here; everything else keeps a keyed digest.
#[derive(Debug)]
pub struct TokenResponse {
    /// The token.
    pub access_token: AccessToken,
    /// How it is used.
    pub token_type: TokenType,
    /// Its life in whole seconds.
    pub expires_in: u64,
    /// The granted scope, where it differs from the one asked for (RFC 6749 §5.1).
    pub scope: Option<ScopeSet>,
}

#[derive(Serialize)]
struct Members<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a ScopeSet>,
}

#[derive(Serialize)]
struct Data<'a> {
    data: Members<'a>,
}

impl TokenResponse {
    /// 200, `application/json`, and that nobody keeps it (RFC 6749 §5.1): the guide's `data` object, or RFC 6749's top level.
    #[must_use]
    pub fn to_response(&self, shape: BodyShape) -> Response<Bytes> {
        let members = Members {
            access_token: self.access_token.reveal(),
            token_type: self.token_type.as_str(),
            expires_in: self.expires_in,
            scope: self.scope.as_ref(),
        };
        let body = match shape {
            BodyShape::Guide => serde_json::to_vec(&Data { data: members }),
            BodyShape::Standard => serde_json::to_vec(&members),
        };
        let mut response = Response::new(Bytes::from(body.unwrap_or_default()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        response
    }
}
