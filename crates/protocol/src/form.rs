//! The body of a request to the token service: `application/x-www-form-urlencoded`, read strictly.
//!
//! The usual decoders replace what they cannot read, so that a broken secret would become another
//! secret; here anything that is not a well-formed UTF-8 form is refused. Knows no field's name.

use std::borrow::Cow;

use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Refusal, RequestFault};

/// Pairs accepted in one form; a token request needs five.
const MAX_FIELDS: usize = 64;

/// A decoded form. Values are wiped from memory when it is dropped, because one of them is a secret.
pub struct Form {
    fields: Vec<(String, Zeroizing<String>)>,
}

/// Why a form was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormFault {
    /// A percent sign without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("the form is not well-formed")]
    Malformed,
    /// More fields than any token request has.
    #[error("the form has too many fields")]
    TooManyFields,
    /// The same parameter twice (RFC 6749 §3.2).
    #[error("a parameter is repeated")]
    Repeated,
}

impl Form {
    /// Reads the body of a request, which the caller has bounded, if the header fields say that it is a form.
    ///
    /// # Errors
    /// `invalid_request`, for another content type or for a form that cannot be decoded.
    pub(crate) fn of_request(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refusal> {
        if !is_form(headers) {
            return Err(Refusal::InvalidRequest(RequestFault::ContentType));
        }
        Ok(Self::parse(body)?)
    }

    /// Reads a form of any length; the caller bounds the body.
    ///
    /// # Errors
    /// [`FormFault::Malformed`] or [`FormFault::TooManyFields`].
    pub fn parse(body: &[u8]) -> Result<Self, FormFault> {
        let text = std::str::from_utf8(body).map_err(|_| FormFault::Malformed)?;
        let mut fields = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if fields.len() == MAX_FIELDS {
                return Err(FormFault::TooManyFields);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.push((decode(name)?, Zeroizing::new(decode(value)?)));
        }
        Ok(Self { fields })
    }

    /// The value of a parameter. An empty value counts as omitted (RFC 6749 §3.2).
    ///
    /// # Errors
    /// [`FormFault::Repeated`] if the parameter occurs more than once, even empty.
    pub fn get(&self, name: &str) -> Result<Option<&str>, FormFault> {
        let mut found = self.fields.iter().filter(|(field, _)| field == name);
        let Some((_, value)) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(FormFault::Repeated);
        }
        Ok(Some(value.as_str()).filter(|value| !value.is_empty()))
    }

    /// All values of a parameter that may occur more than once. Empty ones count as omitted (RFC 6749 §3.2).
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.fields.iter().filter(move |(field, _)| field == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether the parameter occurs at all, empty or repeated included.
    #[must_use]
    pub fn mentions(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }
}

/// One `Content-Type`, of the form's media type, with any parameters.
fn is_form(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return false;
    };
    let Ok(text) = field.to_str() else {
        return false;
    };
    let media_type = text.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Decodes one form-encoded half: `+` is a space, `%XX` a byte, and the whole is UTF-8.
pub(crate) fn decode(text: &str) -> Result<String, FormFault> {
    if !escapes_are_whole(text) {
        return Err(FormFault::Malformed);
    }
    let spaced: Cow<'_, str> =
        if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    percent_decode_str(&spaced).decode_utf8().map(Cow::into_owned).map_err(|_| FormFault::Malformed)
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Form")
    }
}

#[cfg(test)]
mod tests;
