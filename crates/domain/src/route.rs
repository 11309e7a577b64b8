//! Routes: which path goes to which upstreams, and what scope it takes.
//!
//! A path is matched as it was sent and forwarded as it was matched. Paths that another server could
//! read differently (dot segments, empty segments, path parameters, letters hidden behind percent signs) are refused
//! before matching, so that no request reaches an upstream under another route's scope.

use std::sync::Arc;

use http::Method;
use thiserror::Error;

use crate::ScopeSet;

/// One route of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The path's beginning, in whole segments: `/v1/orders` matches `/v1/orders` and `/v1/orders/7`.
    pub prefix: String,
    /// The scope for GET, HEAD and OPTIONS.
    pub read: ScopeSet,
    /// The scope for all other methods.
    pub write: ScopeSet,
}

/// A prefix that no request could match, or that could be read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RouteFault {
    /// It has characters other than letters, digits, `-`, `_`, `.` and `/`, or odd segments.
    #[error(
        "a prefix starts with '/', does not end with it, and has plain segments of letters, digits, '-', '_' and '.'"
    )]
    Prefix,
    /// Two routes have one prefix.
    #[error("two routes have the same prefix")]
    Repeated,
}

/// The routes of an environment, longest prefix first.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    routes: Vec<(usize, Arc<Route>)>,
}

/// A route that a request's path matched.
#[derive(Debug, Clone)]
pub struct RouteMatch {
    /// The route's place in the list that the table was made from.
    pub index: usize,
    route: Arc<Route>,
    writes: bool,
}

/// A path that other software could read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the path can be read in more than one way")]
pub struct AmbiguousPath;

/// A path that is safe to match.
#[derive(Debug, Clone, Copy)]
pub struct MatchedPath<'a>(&'a str);

impl<'a> MatchedPath<'a> {
    /// Checks the raw path of a request target, without its query.
    ///
    /// # Errors
    /// [`AmbiguousPath`]
    pub fn check(path: &'a str) -> Result<Self, AmbiguousPath> {
        if !path.starts_with('/') || path.contains("//") || path.contains(['\\', ';']) {
            return Err(AmbiguousPath);
        }
        if path.contains("/.") && path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(AmbiguousPath);
        }
        for escape in path.split('%').skip(1) {
            let decoded = escape.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            match decoded {
                // Letters, digits and "-._" need no escape and would hide a route's prefix; slashes, semicolons,
                // backslashes and control characters would change the path for whoever decodes them.
                Some(byte) if byte.is_ascii_alphanumeric() || byte.is_ascii_control() || b"-._/\\;".contains(&byte) => {
                    return Err(AmbiguousPath);
                }
                Some(_) => {}
                None => return Err(AmbiguousPath),
            }
        }
        Ok(Self(path))
    }
}

impl RouteTable {
    /// Orders the routes for matching.
    ///
    /// # Errors
    /// The index of the first route at fault, and the fault.
    pub fn new(routes: Vec<Route>) -> Result<Self, (usize, RouteFault)> {
        let mut table: Vec<(usize, Arc<Route>)> = Vec::with_capacity(routes.len());
        for (index, route) in routes.into_iter().enumerate() {
            if !is_plain_prefix(&route.prefix) {
                return Err((index, RouteFault::Prefix));
            }
            if table.iter().any(|(_, known)| known.prefix == route.prefix) {
                return Err((index, RouteFault::Repeated));
            }
            table.push((index, Arc::new(route)));
        }
        table.sort_by_key(|(_, route)| std::cmp::Reverse(route.prefix.len()));
        Ok(Self { routes: table })
    }

    /// The route with the longest prefix of whole segments.
    #[must_use]
    pub fn find(&self, method: &Method, path: MatchedPath<'_>) -> Option<RouteMatch> {
        let matches = |prefix: &str| {
            prefix == "/" || path.0.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let (index, route) = self.routes.iter().find(|(_, route)| matches(&route.prefix))?;
        let writes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        Some(RouteMatch { index: *index, route: Arc::clone(route), writes })
    }
}

impl RouteMatch {
    /// The scope that the request's method takes on this route.
    #[must_use]
    pub fn needed_scope(&self) -> &ScopeSet {
        if self.writes { &self.route.write } else { &self.route.read }
    }

    /// The route's prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.route.prefix
    }
}

fn is_plain_prefix(prefix: &str) -> bool {
    if prefix == "/" {
        return true;
    }
    let Some(segments) = prefix.strip_prefix('/') else {
        return false;
    };
    segments.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    })
}

#[cfg(test)]
mod tests;
