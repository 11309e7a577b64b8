//! The base URL of an environment: what callers use, and what the issuer's identifier is made of.

use std::net::IpAddr;

use fuuffy_domain::EnvironmentName;
use http::Uri;

/// Checks the URL of an environment.
pub(super) fn base_url(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let is_safe = match uri.scheme_str()? {
        "https" => true,
        "http" => is_loopback(authority.as_str()),
        _ => false,
    };
    // It is an identifier, too: no fragment (RFC 8414 §2), and nothing that ends a quoted string early.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/[]-._~%!$&'()*+,;=".contains(&byte));
    (is_safe && is_plain && uri.query().is_none() && !authority.as_str().contains('@'))
        .then(|| text.trim_end_matches('/').to_owned())
}

/// Whether a URL's authority is on this machine, whatever resolves names.
pub(super) fn is_loopback(authority: &str) -> bool {
    let host =
        authority.parse::<http::uri::Authority>().map(|authority| authority.host().to_owned()).unwrap_or_default();
    host.eq_ignore_ascii_case("localhost")
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The guide's base URLs.
pub(super) fn default_base_url(name: EnvironmentName) -> &'static str {
    match name {
        EnvironmentName::Testing => "https://testing-api-gateway.fuuffy.com/v1",
        EnvironmentName::Production => "https://api-gateway.fuuffy.com/v1",
    }
}
