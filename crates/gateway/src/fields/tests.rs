//! Header stripping against a naive model, and the limit fields as callers see them.

use std::collections::BTreeSet;
use std::time::Duration;

use fuuffy_domain::{LimitState, Plan};
use proptest::prelude::*;

use super::*;

#[test]
fn fields_that_connection_names_are_removed_but_never_the_length() {
    let mut headers = HeaderMap::new();
    headers.append(header::CONNECTION, HeaderValue::from_static("keep-alive, X-Hop"));
    headers.append(header::CONNECTION, HeaderValue::from_static("content-length"));
    headers.insert("x-hop", HeaderValue::from_static("1"));
    headers.insert("x-end", HeaderValue::from_static("1"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("5"));
    remove_hop_by_hop(&mut headers);
    let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-end", "content-length"]);
}

#[test]
fn the_limit_fields_are_structured_fields() {
    let now = Timestamp::from_unix_millis(1_700_000_000_000);
    let plan = Plan::standard();
    let mut state = LimitState::default();
    state.take(&plan, 1, now);
    let verdict = state.take(&plan, 1, now.after(Duration::from_millis(1500)));
    let mut headers = HeaderMap::new();
    set_limits(&mut headers, &verdict, policy_field(&plan), now.after(Duration::from_millis(1500)));
    let field = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(field("ratelimit-policy"), r#""minute";q=100;w=60, "hour";q=1000;w=3600"#);
    assert_eq!(field("ratelimit"), r#""minute";r=98;t=59, "hour";r=998;t=3599"#);
    assert_eq!(field("x-ratelimit-remaining"), "98");
    assert_eq!(field("x-ratelimit-reset"), "1700000060");
}

#[test]
fn a_trace_goes_on_as_it_is_or_not_at_all() {
    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let after = |parents: &[&str], state: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        for parent in parents {
            headers.append(TRACEPARENT, HeaderValue::from_str(parent).unwrap());
        }
        if let Some(state) = state {
            headers.insert(TRACESTATE, HeaderValue::from_static(state));
        }
        let is_read = trace_of(&mut headers).is_some();
        let parent = headers.get(TRACEPARENT).map(|field| field.to_str().unwrap().to_owned());
        (is_read, parent, headers.contains_key(TRACESTATE))
    };
    assert_eq!(after(&[GOOD], Some("a=1")), (true, Some(GOOD.to_owned()), true));
    assert_eq!(after(&[GOOD], None), (true, Some(GOOD.to_owned()), false));
    assert_eq!(after(&["00-nonsense"], Some("a=1")), (false, None, false));
    assert_eq!(after(&["00-nonsense"], None), (false, None, false));
    assert_eq!(after(&[], Some("a=1")), (false, None, false));
    assert_eq!(after(&[GOOD, GOOD], Some("a=1")), (false, None, false), "nobody knows which of them it is");
    assert_eq!(after(&[], None), (false, None, false));
}

proptest! {
    /// The model keeps a field if it is neither of one hop by definition nor named by `Connection`.
    #[test]
    fn stripping_agrees_with_a_naive_model(
        present in prop::collection::btree_set("[a-d]{1,2}", 0..8),
        named in prop::collection::vec("[a-d]{1,2}", 0..5),
        hops in prop::collection::btree_set(prop::sample::select(vec!["te", "upgrade", "keep-alive", "proxy-connection", "transfer-encoding"]), 0..5),
    ) {
        let mut headers = HeaderMap::new();
        for name in present.iter().map(String::as_str).chain(hops.iter().copied()) {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("x"));
        }
        headers.insert(header::CONNECTION, HeaderValue::try_from(named.join(" ,")).unwrap());
        remove_hop_by_hop(&mut headers);
        let left: BTreeSet<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        let expected: BTreeSet<String> = present.into_iter().filter(|name| !named.contains(name)).collect();
        prop_assert_eq!(left, expected);
    }
}
