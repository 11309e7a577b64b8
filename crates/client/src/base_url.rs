//! Where an environment is: the one origin that ever gets a secret or a token.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use http::uri::{self, Authority, PathAndQuery, Scheme};

use crate::Error;

/// A base URL that secrets may be sent to: `https://`, or `http://` on loopback. As in
/// `https://testing-api-gateway.fuuffy.com/v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    path: String,
}

impl BaseUrl {
    /// Reads a base URL.
    ///
    /// # Errors
    /// Anything but `https://`, unless it is `http://` on loopback; a user, a query or a fragment in it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::configuration(format!("the base URL {why}"));
        let example = "is not a URL like https://testing-api-gateway.fuuffy.com/v1";
        let uri: Uri = text.trim().parse().map_err(|_| wrong(example))?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(wrong(example));
        };
        if authority.as_str().contains('@') {
            return Err(wrong(
                "has a user or password in it; leave that out, and give the secret by a variable or file",
            ));
        }
        let path = parts.path_and_query.unwrap_or(PathAndQuery::from_static("/"));
        if path.query().is_some() || text.contains('#') {
            return Err(wrong("has a query or a fragment; give it without"));
        }
        if scheme == Scheme::HTTP && !is_loopback(authority.host()) {
            return Err(wrong(&format!(
                "is http:// and {} is not this machine: secrets and tokens would cross the network in clear; use https://",
                authority.host()
            )));
        }
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(wrong(example));
        }
        Ok(Self { scheme, authority, path: path.path().trim_end_matches('/').to_owned() })
    }

    /// Whether requests are encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }

    /// The port, said or meant.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// `host:port` as in a `Host` field.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The path, without a slash at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A path below the base URL, with its query if it has one: `/orders` or `orders?page=2`.
    ///
    /// # Errors
    /// A URL of its own, a segment `.` or `..` that could lead elsewhere, or characters that no URL has.
    pub fn join(&self, path: &str) -> Result<Uri, Error> {
        let is_rooted = path.starts_with('/');
        if !is_rooted && path.contains("://") {
            return Err(Error::configuration("give a path below the base URL, as in /orders, not a URL"));
        }
        if has_dot_segment(path) {
            return Err(Error::configuration("the path has a segment . or .., which may lead out of the base URL"));
        }
        let mut target = String::with_capacity(self.path.len() + 1 + path.len());
        target.push_str(&self.path);
        target.push_str(if is_rooted { "" } else { "/" });
        target.push_str(path);
        self.at(target)
    }

    /// A path and query at this origin, whatever the base URL's own path.
    ///
    /// # Errors
    /// Characters that no URL has.
    pub fn at<T>(&self, target: T) -> Result<Uri, Error>
    where
        T: TryInto<PathAndQuery>,
    {
        let wrong = || Error::configuration("the path has characters that no URL has; write them as in %20");
        let mut parts = uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target.try_into().map_err(|_| wrong())?);
        Uri::from_parts(parts).map_err(|_| wrong())
    }
}

impl FromStr for BaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// By whatever spelling an HTTP client beneath reads as one (URL Standard §4.4).
fn has_dot_segment(path: &str) -> bool {
    if !path.contains(['.', '%']) {
        return false;
    }
    let path = path.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    path.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
