//! Header fields: which are removed, which are set, in which order.
//!
//! Fields of one hop are removed first, then the fields that we assert are set; a `Connection` field
//! that names one of ours therefore never touches it.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;
use fuuffy_domain::{EnvironmentName, Permit, Plan, RequestContext, Timestamp, TraceParent, Verdict};
use fuuffy_protocol::client_cert;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use sfv::{KeyRef, ListSerializer, StringRef};

use crate::meter::Meter;

/// `X-Client-Id`: who calls.
pub(crate) const CLIENT_ID: HeaderName = HeaderName::from_static("x-client-id");
/// `X-Environment`: in which environment.
pub(crate) const ENVIRONMENT: HeaderName = HeaderName::from_static("x-environment");
/// `X-Scopes`: with which scopes.
pub(crate) const SCOPES: HeaderName = HeaderName::from_static("x-scopes");
/// `X-Request-Id`
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Fields that are set on a request, `Host` and `TE` among them.
pub(crate) const ASSERTED: usize = 10;

/// Fields of one hop. `Expect` was met by reading the body, `Proxy-Authorization` is for a proxy that a
/// gateway is not.
static HOP_BY_HOP: [HeaderName; 7] = [
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
];

/// What every request of one caller's connection shares.
#[derive(Debug)]
pub struct CallerFields {
    address: HeaderValue,
    node: String,
    scheme: &'static str,
    /// `Forwarded` for the host that was named last: a caller seldom names another.
    forwarded: Mutex<Option<(HeaderValue, HeaderValue)>>,
}

impl CallerFields {
    /// For a caller at `peer` that spoke `http` or `https`.
    #[must_use]
    pub fn new(peer: IpAddr, scheme: &'static str) -> Self {
        let node = match peer {
            IpAddr::V4(address) => address.to_string(),
            // RFC 7239 §6: an IPv6 node is bracketed and quoted.
            IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        let address = HeaderValue::from_str(&peer.to_string()).unwrap_or(HeaderValue::from_static("unknown"));
        Self { address, node, scheme, forwarded: Mutex::default() }
    }

    /// RFC 7239 §4. A host with characters that would need quoting is left out.
    fn forwarded(&self, host: Option<&HeaderValue>) -> Option<HeaderValue> {
        let Some(host) = host else {
            return self.describe("");
        };
        let mut last = self.forwarded.lock();
        if let Some((known, field)) = &*last
            && known == host
        {
            return Some(field.clone());
        }
        let field = self.describe(host.to_str().unwrap_or_default())?;
        *last = Some((host.clone(), field.clone()));
        Some(field)
    }

    fn describe(&self, host: &str) -> Option<HeaderValue> {
        let mut text = format!("for={};proto={}", self.node, self.scheme);
        if !host.is_empty() && !host.contains(['"', '\\']) {
            let _ = write!(text, ";host=\"{host}\"");
        }
        HeaderValue::try_from(text).ok()
    }
}

/// Fields that callers have no say in, neither as header fields nor as trailers.
static OURS: [HeaderName; 12] = [
    CLIENT_ID,
    ENVIRONMENT,
    SCOPES,
    REQUEST_ID,
    FORWARDED_FOR,
    FORWARDED_PROTO,
    FORWARDED_HOST,
    header::FORWARDED,
    header::AUTHORIZATION,
    fuuffy_protocol::dpop::PROOF,
    client_cert::CERTIFICATE,
    client_cert::CHAIN,
];

/// Removes fields that some software takes for ours: CGI and its heirs read `_` as `-`.
fn remove_lookalikes(headers: &mut HeaderMap) {
    if !headers.keys().any(|name| name.as_str().contains('_')) {
        return;
    }
    let is_ours = |name: &&HeaderName| {
        let dashed = name.as_str().replace('_', "-");
        name.as_str().contains('_') && OURS.iter().any(|ours| ours.as_str() == dashed)
    };
    let lookalikes: Vec<HeaderName> = headers.keys().filter(is_ours).cloned().collect();
    for name in lookalikes {
        headers.remove(name);
    }
}

/// Takes out of a caller's trailers what frames or authenticates a message (RFC 9110 §6.5.1), and ours.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    remove_lookalikes(trailers);
    for name in OURS.iter().chain(&[header::HOST, header::CONTENT_LENGTH, header::COOKIE, header::TRAILER]) {
        trailers.remove(name);
    }
}

/// Removes the fields of one hop, those that `Connection` names among them (RFC 9110 §7.6.1).
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            // The length frames the message on the next hop too; a caller cannot have it dropped.
            .filter(|name| *name != header::CONTENT_LENGTH && *name != header::HOST)
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(header::CONNECTION);
    }
    // Most messages have none of these; one look at the names is cheaper than five searches.
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        for name in &HOP_BY_HOP {
            headers.remove(name);
        }
    }
}

/// Reads where a request is in a trace. What says so goes on to the upstream as it is; where it cannot be read, or is
/// said twice, it is taken out, and `tracestate` with it (W3C Trace Context §3.2.2.5, §3.3.1.4).
#[must_use]
pub fn trace_of(headers: &mut HeaderMap) -> Option<TraceParent> {
    let mut fields = headers.get_all(TRACEPARENT).iter();
    let only = fields.next().filter(|_| fields.next().is_none());
    let parent = only.and_then(|field| TraceParent::parse(field.as_bytes()));
    if parent.is_none() && (headers.contains_key(TRACESTATE) || headers.contains_key(TRACEPARENT)) {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
    }
    parent
}

/// Tells the upstream another place in a trace than the caller did.
pub fn set_trace(headers: &mut HeaderMap, ours: TraceParent) {
    set_or_remove(headers, TRACEPARENT, HeaderValue::try_from(ours.to_string()).ok());
}

/// Makes one field of several `Cookie` fields, as HTTP/2 may send them (RFC 9113 §8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut fields = headers.get_all(header::COOKIE).iter();
    if fields.nth(1).is_some() {
        let all: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
            headers.insert(header::COOKIE, joined);
        }
    }
}

/// Whether the caller takes trailers, as gRPC asks.
#[must_use]
pub fn takes_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
}

/// What a request is forwarded as.
pub(crate) struct Assertion<'a> {
    pub(crate) context: &'a RequestContext,
    pub(crate) permit: Permit,
    pub(crate) meter: Arc<Meter>,
    pub(crate) caller: &'a CallerFields,
    pub(crate) environment: EnvironmentName,
}

impl Assertion<'_> {
    /// Replaces the caller's fields of these names by ours, and takes the token out.
    pub(crate) fn write(&self, headers: &mut HeaderMap, host: Option<&HeaderValue>) {
        remove_lookalikes(headers);
        headers.remove(header::AUTHORIZATION);
        headers.remove(fuuffy_protocol::dpop::PROOF);
        // Whoever reads them behind us would take them for a proxy's word (RFC 9440 §4).
        headers.remove(client_cert::CERTIFICATE);
        headers.remove(client_cert::CHAIN);
        set_or_remove(headers, CLIENT_ID, HeaderValue::from_str(self.permit.client().id.as_str()).ok());
        headers.insert(ENVIRONMENT, HeaderValue::from_static(self.environment.as_str()));
        set_or_remove(headers, SCOPES, HeaderValue::from_str(self.permit.scope().as_str()).ok());
        headers.insert(REQUEST_ID, request_id_value(self.context));
        headers.insert(FORWARDED_FOR, self.caller.address.clone());
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(self.caller.scheme));
        set_or_remove(headers, FORWARDED_HOST, host.cloned());
        set_or_remove(headers, header::FORWARDED, self.caller.forwarded(host));
    }
}

fn set_or_remove(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}

/// The request's id as every answer and the upstream get it.
pub(crate) fn request_id_value(context: &RequestContext) -> HeaderValue {
    let mut buffer = [0; 36];
    HeaderValue::from_str(context.id.encode(&mut buffer)).unwrap_or(HeaderValue::from_static("unknown"))
}

/// Tells a caller how it stands in its plan's windows (contract §5).
pub(crate) fn set_limits(headers: &mut HeaderMap, verdict: &Verdict, policy: Option<HeaderValue>, now: Timestamp) {
    headers.reserve(6);
    // All numbers go into one buffer, of which each field has a part.
    let mut buffer = BytesMut::with_capacity(48);
    let mut number = |value: i64| {
        buffer.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        // Digits are a field's value.
        HeaderValue::from_maybe_shared(buffer.split().freeze()).unwrap_or(HeaderValue::from_static("0"))
    };
    if let Some(tightest) = verdict.tightest() {
        headers.insert(LIMIT, number(tightest.limit.requests.into()));
        headers.insert(REMAINING, number(tightest.remaining.into()));
        headers.insert(RESET, number(tightest.resets_at.unix_seconds_up()));
    }
    set_or_remove(headers, RATE_LIMIT, standing_field(verdict, now));
    set_or_remove(headers, RATE_LIMIT_POLICY, policy);
}

/// `RateLimit-Policy: "minute";q=100;w=60` (draft-ietf-httpapi-ratelimit-headers)
pub(crate) fn policy_field(plan: &Plan) -> Option<HeaderValue> {
    let mut list = ListSerializer::new();
    for limit in &plan.limits {
        let _ = list
            .bare_item(StringRef::from_str(limit.name()).ok()?)
            .parameter(KeyRef::constant("q"), limit.requests)
            .parameter(KeyRef::constant("w"), limit.seconds)
            .finish();
    }
    HeaderValue::try_from(list.finish()?).ok()
}

/// `RateLimit: "minute";r=99;t=60`
fn standing_field(verdict: &Verdict, now: Timestamp) -> Option<HeaderValue> {
    let mut text = String::with_capacity(64);
    let mut list = ListSerializer::with_buffer(&mut text);
    for standing in &verdict.standings {
        let seconds = standing.resets_at.since(now).as_millis().div_ceil(1000);
        let _ = list
            .bare_item(StringRef::from_str(standing.limit.name()).ok()?)
            .parameter(KeyRef::constant("r"), standing.remaining)
            .parameter(KeyRef::constant("t"), u32::try_from(seconds).unwrap_or(u32::MAX))
            .finish();
    }
    list.finish()?;
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests;
