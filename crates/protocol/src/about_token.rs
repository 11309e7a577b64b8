//! A request about a token that its sender holds: to revoke it (RFC 7009 §2.1) or to introspect it (RFC 7662 §2.1).

use http::HeaderMap;

use crate::{AccessToken, ClientAuthentication, Form, Refusal, RequestFault};

/// Who asks, and about which token. Nothing of it is verified yet.
#[derive(Debug)]
pub struct AboutToken {
    /// Who asks.
    pub authentication: ClientAuthentication,
    /// The token; `None` where the text is none that this product makes, and so a token that nobody knows.
    pub token: Option<AccessToken>,
}

impl AboutToken {
    /// Reads the header fields and the body, which the caller has bounded. `token_type_hint` only says where to look
    /// first, and there is one place, so any hint will do (RFC 7009 §2.1, RFC 7662 §2.1). Unknown parameters are ignored.
    ///
    /// # Errors
    /// The public refusal: `invalid_request`, or `invalid_client` where no credentials were sent.
    pub fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        let form = Form::of_request(headers, body)?;
        let authentication = ClientAuthentication::parse(headers, &form)?;
        form.get("token_type_hint")?;
        let token = form.get("token")?.ok_or(Refusal::InvalidRequest(RequestFault::MissingTokenParameter))?;
        Ok(Self { authentication, token: AccessToken::parse(token) })
    }
}

#[cfg(test)]
mod tests;
