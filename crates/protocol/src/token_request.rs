//! A request to the token endpoint (RFC 6749 §4.4.2), read whole and believed by nobody yet.

use http::HeaderMap;
use http::request::Parts;

use crate::{ClientAuthentication, Form, Refusal, RequestFault, ScopeSet};

/// A client credentials grant as asked for.
#[derive(Debug)]
pub struct TokenRequest {
    /// Who asks, unverified.
    pub authentication: ClientAuthentication,
    /// The scope asked for; `None` means all that the client has.
    pub scope: Option<ScopeSet>,
    /// Where the token is to be used, as far as that is said (RFC 8707 §2): whatever was sent as such.
    pub resources: Vec<String>,
}

impl TokenRequest {
    /// Reads the header fields and the body, which the caller has bounded. Unknown parameters are
    /// ignored, as RFC 6749 §3.2 asks.
    ///
    /// # Errors
    /// The public refusal: `invalid_request`, `unsupported_grant_type`, `invalid_scope`, or
    /// `invalid_client` where no credentials were sent.
    pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let form = Form::of_request(headers, body)?;
        let Some(grant_type) = form.get("grant_type")? else {
            return Err(Refusal::InvalidRequest(RequestFault::MissingGrantType));
        };
        if grant_type != "client_credentials" {
            return Err(Refusal::UnsupportedGrantType);
        }
        let scope = form.get("scope")?.map(ScopeSet::parse).transpose().map_err(|_| Refusal::InvalidScope)?;
        let authentication = ClientAuthentication::parse(headers, &form)?;
        // The one parameter that may be repeated (RFC 8707 §2).
        let resources = form.get_all("resource").map(str::to_owned).collect();
        Ok(Self { authentication, scope, resources })
    }

    /// Whether `client_id`, `client_secret` or `client_assertion` is in the query string of a request, where none belongs.
    #[must_use]
    pub fn has_credentials_in_query(parts: &Parts) -> bool {
        let form = parts.uri.query().and_then(|query| Form::parse(query.as_bytes()).ok());
        let names = ["client_secret", "client_id", "client_assertion"];
        form.is_some_and(|form| names.iter().any(|name| form.mentions(name)))
    }
}

#[cfg(test)]
mod tests;
