//! The routes of an environment, as they were written and as they run.

use fuuffy_domain::{Route, RouteTable, ScopeSet};
use fuuffy_gateway::{Upstream, UpstreamProtocol};
use http::Uri;

use super::base_url::is_loopback;
use super::table::Table;
use super::{ConnectionLimits, RouteConfig, keys};

/// Paths that the token service has, and those of the metadata.
const RESERVED: [&str; 4] =
    ["/v1/auth", "/oauth", "/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"];

pub(super) fn routes(table: &Table<'_>, limits: &ConnectionLimits) -> Vec<RouteConfig> {
    let mut routes: Vec<RouteConfig> = Vec::new();
    for table in table.tables("routes", &keys::ROUTE) {
        let Some(route) = route(&table, limits) else {
            continue;
        };
        let prefix = &route.route.prefix;
        if routes.iter().any(|known| known.route.prefix == *prefix) {
            table.mistake("prefix", "another route has the same prefix");
        }
        if RESERVED.iter().any(|reserved| prefix == reserved || prefix.starts_with(&format!("{reserved}/"))) {
            table.mistake("prefix", "expected another path; this one is the token service's");
        }
        routes.push(route);
    }
    routes
}

fn route(table: &Table<'_>, limits: &ConnectionLimits) -> Option<RouteConfig> {
    let prefix = table.required("prefix", |prefix| {
        let route = Route { prefix: prefix.to_owned(), read: ScopeSet::default(), write: ScopeSet::default() };
        RouteTable::new(vec![route]).ok().map(|_| prefix.to_owned())
    });
    let scopes = table.table("scopes", &keys::SCOPES);
    let scope = |key| {
        let scope = scopes.as_ref().and_then(|table| table.parsed(key, |text| ScopeSet::parse(text).ok()));
        scope.unwrap_or_default()
    };
    let upstreams = table.list("upstreams", upstream);
    if upstreams.as_ref().is_none_or(Vec::is_empty) {
        table.wrong("upstreams");
    }
    let protocol = table.parsed("protocol", |text| match text {
        "http1" => Some(UpstreamProtocol::Http1),
        "http2" => Some(UpstreamProtocol::Http2),
        _ => None,
    });
    let protocol = protocol.unwrap_or(UpstreamProtocol::Http1);
    let upstreams = upstreams.unwrap_or_default();
    if protocol == UpstreamProtocol::Http2 && !upstreams.iter().all(|upstream| is_loopback(&upstream.authority)) {
        table.mistake("protocol", "expected upstreams on loopback; HTTP/2 in cleartext goes nowhere else");
    }
    let config = RouteConfig {
        route: Route { prefix: prefix.clone().unwrap_or_default(), read: scope("read"), write: scope("write") },
        upstreams,
        protocol,
        connect_timeout: table.duration("connect_timeout", "5s"),
        response_timeout: table.duration("response_timeout", "30s"),
        idle_timeout: table.duration("idle_timeout", "60s"),
        websocket: table.boolean("websocket").unwrap_or_default(),
        max_body: table.size("max_body").unwrap_or(limits.max_body),
        in_flight: table.number("in_flight", 1..=1_000_000).and_then(|most| u32::try_from(most).ok()).unwrap_or(65536),
        adapts: table.boolean("adaptive_limit").unwrap_or(true),
        cost: table.number("cost", 0..=1_000_000).and_then(|cost| u32::try_from(cost).ok()).unwrap_or(1),
    };
    prefix.map(|_| config)
}

fn upstream(text: &str) -> Result<Upstream, String> {
    if text.starts_with("https://") {
        return Err("upstreams are spoken to without TLS; expected an http:// URL".to_owned());
    }
    let expected = || r#"expected a URL without a path, as in "http://127.0.0.1:8090""#.to_owned();
    let uri: Uri = text.parse().map_err(|_| expected())?;
    let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && uri.scheme_str() == Some("http");
    let authority =
        uri.authority().filter(|authority| is_bare && !authority.as_str().contains('@')).ok_or_else(expected)?;
    if authority.as_str().ends_with(':') {
        return Err(expected());
    }
    let port = authority.port_u16().unwrap_or(80);
    Ok(Upstream { authority: format!("{}:{port}", authority.host()) })
}
