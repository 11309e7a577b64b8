//! The answer to a question about a token (RFC 7662 §2.2).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Confirmation, ScopeSet, TokenType};

/// What is told of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Introspection {
    /// It is not good for anything, or is none that the asker may know of. Nothing says which (§2.2, §4).
    Inactive,
    /// It is accepted now.
    Active(ActiveToken),
}

/// A token that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveToken {
    /// What it is good for.
    pub scope: ScopeSet,
    /// Whose it is, and on whose behalf it acts: with the client credentials grant both are the client.
    pub client_id: String,
    /// When its life began, in whole seconds since the Unix epoch, rounded down.
    pub issued_at: i64,
    /// When its life ends, in whole seconds since the Unix epoch, rounded down, so that nobody takes it for good longer
    /// than it is.
    pub expires_at: i64,
    /// Who issued it: the issuer identifier (RFC 8414 §2).
    pub issuer: String,
    /// What it is meant for: the resource identifier (RFC 9728 §1.2).
    pub audience: String,
    /// The key that it is bound to, if it is to one (RFC 9449 §6.2, RFC 8705 §3.2).
    pub confirmation: Option<Confirmation>,
}

#[derive(Serialize)]
struct Members<'a> {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a ScopeSet>,
    client_id: &'a str,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    sub: &'a str,
    aud: &'a str,
    iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<&'a Confirmation>,
}

/// The media type of an answer that is signed (RFC 9701 §4).
const SIGNED: &str = "application/token-introspection+jwt";

impl Introspection {
    /// Whether somebody asks for a signed answer, by naming its media type in `Accept` (RFC 9701 §4).
    #[must_use]
    pub fn is_wanted_signed(headers: &HeaderMap) -> bool {
        let fields = headers.get_all(header::ACCEPT).iter().filter_map(|field| field.to_str().ok());
        fields.flat_map(|field| field.split(',')).any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(SIGNED));
            // A weight of zero is "not acceptable" (RFC 9110 §12.4.2).
            let is_zero = |part: &str| {
                part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")).is_some_and(|q| q.parse() == Ok(0.0))
            };
            is_it && !parts.any(is_zero)
        })
    }

    /// The members alone, for what is signed.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Inactive => json!({"active": false}),
            Self::Active(token) => serde_json::to_value(token.members()).unwrap_or_default(),
        }
    }

    /// The answer, where its members were signed as a compact JWS (RFC 9701 §5).
    #[must_use]
    pub fn signed_response(jws: String) -> Response<Bytes> {
        response(jws.into(), HeaderValue::from_static(SIGNED))
    }

    /// 200, `application/json`, `no-store`. An inactive token is exactly `{"active":false}`.
    #[must_use]
    pub fn to_response(&self) -> Response<Bytes> {
        let body = match self {
            Self::Inactive => r#"{"active":false}"#.into(),
            Self::Active(token) => serde_json::to_vec(&token.members()).unwrap_or_default(),
        };
        response(body.into(), HeaderValue::from_static("application/json"))
    }
}

fn response(body: Bytes, media_type: HeaderValue) -> Response<Bytes> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl ActiveToken {
    fn members(&self) -> Members<'_> {
        Members {
            active: true,
            // No scope at all cannot be written down as one (RFC 6749 §3.3).
            scope: Some(&self.scope).filter(|scope| !scope.is_empty()),
            client_id: &self.client_id,
            token_type: self.confirmation.as_ref().map_or(TokenType::Bearer, Confirmation::token_type).as_str(),
            exp: self.expires_at,
            iat: self.issued_at,
            sub: &self.client_id,
            aud: &self.audience,
            iss: &self.issuer,
            cnf: self.confirmation.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests;
