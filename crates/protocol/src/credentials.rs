//! Client authentication by a secret at the endpoints of the token service (RFC 6749 §2.3.1): `client_secret_basic` or
//! `client_secret_post`, never both at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::form::decode;
use crate::{ClientSecret, Form, FormFault};

/// How a client authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// `Authorization: Basic`
    ClientSecretBasic,
    /// `client_id` and `client_secret` in the form.
    ClientSecretPost,
    /// `client_assertion` in the form (RFC 7523 §2.2).
    PrivateKeyJwt,
    /// A certificate that an authority has signed (RFC 8705 §2.1).
    TlsClientAuth,
    /// A certificate that is registered itself (RFC 8705 §2.2).
    SelfSignedTlsClientAuth,
}

impl AuthMethod {
    /// Those that are taken, whatever is configured.
    pub const ALWAYS: [Self; 3] = [Self::ClientSecretBasic, Self::ClientSecretPost, Self::PrivateKeyJwt];

    /// As it is registered (RFC 7591 §4.2.2).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
        }
    }
}

/// What a caller claims: an id and a secret, neither checked against anything.
#[derive(Debug)]
pub struct Credentials {
    /// The claimed `client_id`.
    pub client_id: String,
    /// The presented secret.
    pub secret: ClientSecret,
    /// Where the two were.
    pub method: AuthMethod,
}

/// Why no credentials could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CredentialsFault {
    /// None, or half of them.
    #[error("no client credentials")]
    Missing,
    /// Both methods, or two `Authorization` fields.
    #[error("more than one client authentication")]
    Several,
    /// A `Basic` field that is not base64 of `id:secret`.
    #[error("an Authorization field that is not Basic client authentication")]
    MalformedBasic,
    /// An assertion of another type than a JWT, or of none (RFC 7521 §4.2).
    #[error("a client assertion that is not said to be a JWT")]
    UnsupportedAssertion,
    /// A repeated form parameter.
    #[error(transparent)]
    Form(#[from] FormFault),
}

impl Credentials {
    /// Reads the authentication of a request that has no form: by `Basic` alone.
    ///
    /// # Errors
    /// [`CredentialsFault`]
    pub fn parse_basic(headers: &HeaderMap) -> Result<Self, CredentialsFault> {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        match (fields.next(), fields.next()) {
            (None, _) => Err(CredentialsFault::Missing),
            (Some(field), None) => parse_basic(field.as_bytes()),
            (Some(_), Some(_)) => Err(CredentialsFault::Several),
        }
    }

    /// Reads the one secret that a request with a form bears.
    ///
    /// # Errors
    /// [`CredentialsFault`]
    pub fn parse(headers: &HeaderMap, form: &Form) -> Result<Self, CredentialsFault> {
        let id = form.get("client_id")?;
        let secret = form.get("client_secret")?;
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let Some(field) = fields.next() else {
            let (Some(id), Some(secret)) = (id, secret) else {
                return Err(CredentialsFault::Missing);
            };
            return Ok(Self {
                client_id: id.to_owned(),
                secret: ClientSecret::presented(secret),
                method: AuthMethod::ClientSecretPost,
            });
        };
        if secret.is_some() || fields.next().is_some() {
            return Err(CredentialsFault::Several);
        }
        let basic = parse_basic(field.as_bytes())?;
        // RFC 6749 §3.2.1 lets a client name itself in the form as well; it must be the same one.
        if id.is_some_and(|id| id != basic.client_id) {
            return Err(CredentialsFault::Several);
        }
        Ok(basic)
    }
}

fn parse_basic(field: &[u8]) -> Result<Credentials, CredentialsFault> {
    let malformed = CredentialsFault::MalformedBasic;
    let text = std::str::from_utf8(field).map_err(|_| malformed)?;
    let (scheme, rest) = text.split_once(' ').ok_or(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed);
    }
    let decoded = STANDARD.decode(rest.trim_matches(' ')).map_err(|_| malformed)?;
    let decoded = Zeroizing::new(String::from_utf8(decoded).map_err(|_| malformed)?);
    let (id, secret) = decoded.split_once(':').ok_or(malformed)?;
    let secret = Zeroizing::new(form_decode_or_raw(secret));
    Ok(Credentials {
        client_id: form_decode_or_raw(id),
        secret: ClientSecret::presented(&secret),
        method: AuthMethod::ClientSecretBasic,
    })
}

/// Some libraries form-encode both halves, as RFC 6749 §2.3.1 asks, some send them raw. Our ids and
/// secrets have no `%` and no `+`, so decoding serves both; what cannot be decoded was raw.
fn form_decode_or_raw(half: &str) -> String {
    decode(half).unwrap_or_else(|_| half.to_owned())
}

#[cfg(test)]
mod tests;
