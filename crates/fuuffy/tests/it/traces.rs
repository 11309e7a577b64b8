//! Where a request is in a distributed trace: what a caller says of it, as the upstream gets it.

use crate::app::{Place, config, token};
use crate::http1::request;
use crate::upstream::Upstream;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_callers_trace_goes_on_to_the_upstream_and_what_is_none_does_not() {
    let upstream = Upstream::friendly();
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let bearer = format!("Bearer {}", token(server.testing, &place.client("testing")));
    let seen = |fields: &[(&str, &str)]| {
        let fields = [&[("authorization", bearer.as_str())], fields].concat();
        assert_eq!(request(server.testing, "GET", "/v1/orders", &fields, "").status, 200);
        let seen = upstream.last();
        let field = |name: &str| seen.field(name).map(str::to_owned);
        (field("traceparent"), field("tracestate"))
    };
    let state = ("tracestate", "vendor=opaque");
    assert_eq!(seen(&[("traceparent", PARENT), state]), (Some(PARENT.to_owned()), Some("vendor=opaque".to_owned())));
    assert_eq!(seen(&[("traceparent", "00-all-wrong-01"), state]), (None, None));
    assert_eq!(seen(&[("traceparent", PARENT), ("traceparent", PARENT), state]), (None, None));
    assert_eq!(seen(&[state]), (None, None));
    assert_eq!(seen(&[]), (None, None), "nobody records anything, so nothing is begun");
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_collector_without_the_feature_is_a_mistake() {
    let text = config(Upstream::friendly().address);
    let place = Place::new(&format!("{text}\n[telemetry.otlp]\nendpoint = \"http://127.0.0.1:4318/v1/traces\"\n"));
    let output = place.command(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("telemetry.otlp: this fuuffy was built without the feature otlp"), "{said}");
}

#[cfg(feature = "otlp")]
mod otlp;
