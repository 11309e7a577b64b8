//! How a client says who it is at the endpoints of the token service, read and believed by nobody yet: by a secret, by an
//! assertion that its own key has signed (RFC 7521 §4.2, RFC 7523 §2.2), or by its name alone, where the connection is to
//! say the rest (RFC 8705 §2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{Credentials, CredentialsFault, Form};

/// The one type of assertion that is taken (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The one authentication that a form bears.
#[derive(Debug)]
pub enum ClientAuthentication {
    /// `client_secret_basic` or `client_secret_post`.
    Secret(Credentials),
    /// `private_key_jwt`, or a platform's token in the same place.
    Assertion(ClaimedAssertion),
    /// `client_id` and nothing else: `tls_client_auth` or `self_signed_tls_client_auth`, if the connection bears that out.
    Name(String),
}

/// An assertion, and whose it is said to be.
#[derive(Debug)]
pub struct ClaimedAssertion {
    /// The claimed `client_id`: the form's, or else the assertion's `sub` (RFC 7521 §4.2). Empty where neither says one.
    pub client_id: String,
    /// What is to prove it.
    pub assertion: UnverifiedAssertion,
}

/// A signed JWT, of which nothing is checked. It works like a secret until it was used once, and so does not print.
pub struct UnverifiedAssertion(Zeroizing<String>);

impl ClientAuthentication {
    /// The media type of an assertion, as the form names it.
    pub const ASSERTION_TYPE: &'static str = ASSERTION_TYPE;

    /// Reads the one authentication that a form bears, whose length the caller has bounded.
    ///
    /// # Errors
    /// [`CredentialsFault`]
    pub fn parse(headers: &HeaderMap, form: &Form) -> Result<Self, CredentialsFault> {
        let kind = form.get("client_assertion_type")?;
        let Some(assertion) = form.get("client_assertion")? else {
            let says_no_more = !headers.contains_key(header::AUTHORIZATION) && form.get("client_secret")?.is_none();
            if let Some(client_id) = form.get("client_id")?.filter(|_| says_no_more) {
                return Ok(Self::Name(client_id.to_owned()));
            }
            return Credentials::parse(headers, form).map(Self::Secret);
        };
        if headers.contains_key(header::AUTHORIZATION) || form.get("client_secret")?.is_some() {
            return Err(CredentialsFault::Several);
        }
        if kind != Some(ASSERTION_TYPE) {
            return Err(CredentialsFault::UnsupportedAssertion);
        }
        let assertion = UnverifiedAssertion(Zeroizing::new(assertion.to_owned()));
        let said = form.get("client_id")?.map(str::to_owned);
        let client_id = said.or_else(|| assertion.claimed_subject()).unwrap_or_default();
        Ok(Self::Assertion(ClaimedAssertion { client_id, assertion }))
    }

    /// Whose it is said to be.
    #[must_use]
    pub fn client_id(&self) -> &str {
        match self {
            Self::Secret(credentials) => &credentials.client_id,
            Self::Assertion(claimed) => &claimed.client_id,
            Self::Name(client_id) => client_id,
        }
    }
}

impl UnverifiedAssertion {
    /// The text, for whoever checks it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Who says it: enough to know whose keys to look up, and for nothing else.
    #[must_use]
    pub fn claimed_issuer(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Claimed {
            iss: String,
        }
        serde_json::from_slice(&self.payload()?).ok().map(|Claimed { iss }| iss)
    }

    /// Whose it says it is: enough to look a client's keys up, and for nothing else.
    fn claimed_subject(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Claimed {
            sub: String,
        }
        serde_json::from_slice(&self.payload()?).ok().map(|Claimed { sub }| sub)
    }

    fn payload(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.0.split('.').nth(1)?).ok()
    }
}

impl fmt::Debug for UnverifiedAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedAssertion")
    }
}

#[cfg(test)]
mod tests;
