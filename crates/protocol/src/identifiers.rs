//! What an environment is called by its callers: the identifiers that the standards give to a token service and to an
//! API, and where either is found. All of them come from the configured base URL, and never from a request.

/// The identifiers of one environment.
///
/// The resource is the base URL itself (RFC 9728 §1.2), as `https://api.example.com/v1`. The issuer (RFC 8414 §2) is
/// its origin, `https://api.example.com`: the endpoints are at `/oauth/…` of the origin, so a library that is told the
/// issuer alone finds the metadata, and an issuer without a path has one place for them and not two (§3.1, §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifiers {
    resource: String,
    /// Bytes of the resource that are the origin.
    origin: usize,
}

impl Identifiers {
    /// From a base URL without a query, a fragment or a slash at its end.
    #[must_use]
    pub fn of(base_url: &str) -> Self {
        let authority = base_url.find("://").map_or(0, |at| at + 3);
        let origin = base_url[authority..].find('/').map_or(base_url.len(), |at| authority + at);
        Self { resource: base_url.to_owned(), origin }
    }

    /// The issuer identifier (RFC 8414 §2).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.resource[..self.origin]
    }

    /// The resource identifier (RFC 9728 §1.2).
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Whether somebody who asks for a token for `wanted` means this environment (RFC 8707 §2): its resource, or what is
    /// below that by whole segments of a plain path. Nothing that another program could read as another place.
    #[must_use]
    pub fn cover(&self, wanted: &str) -> bool {
        let Some(below) = wanted.strip_prefix(&self.resource) else {
            return false;
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        below.is_empty()
            || (below.starts_with('/')
                && below.bytes().all(is_plain)
                && !below.split('/').any(|segment| matches!(segment, "." | "..")))
    }

    /// The path of the resource: empty, or from a slash on.
    #[must_use]
    pub fn resource_path(&self) -> &str {
        &self.resource[self.origin..]
    }
}

#[cfg(test)]
mod tests;
