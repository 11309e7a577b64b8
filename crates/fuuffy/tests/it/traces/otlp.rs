//! Spans, as a collector gets them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::PARENT;
use crate::app::{Place, Server, config, get, token};
use crate::http1::request;
use crate::upstream::{Act, Upstream, ok};

fn place(upstream: &Upstream, collector: &Upstream, more: &str) -> Place {
    let (text, collector) = (config(upstream.address), collector.address);
    Place::new(&format!("{text}\n[telemetry.otlp]\nendpoint = \"http://{collector}/v1/traces\"\n{more}\n"))
}

/// Whatever came to a collector, decoded.
fn spans(collector: &Upstream) -> Vec<Span> {
    let exports = collector.seen().into_iter().map(|seen| {
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/traces"));
        assert_eq!(seen.field("content-type"), Some("application/x-protobuf"));
        ExportTraceServiceRequest::decode(seen.body.as_slice()).unwrap()
    });
    let scopes = exports.flat_map(|export| export.resource_spans).flat_map(|spans| spans.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |it: &opentelemetry_proto::tonic::common::v1::AnyValue| it.value.as_ref().map(text).unwrap_or_default();
    span.attributes.iter().map(|it| (it.key.as_str(), it.value.as_ref().map(value).unwrap_or_default())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn ask(server: &Server, target: &str, bearer: &str, fields: &[(&str, &str)]) {
    let bearer = format!("Bearer {bearer}");
    request(server.testing, "GET", target, &[&[("authorization", bearer.as_str())], fields].concat(), "");
}

#[test]
fn a_collector_gets_a_span_of_each_request_and_one_of_the_upstreams_part() {
    let (upstream, collector) = (Upstream::friendly(), Upstream::start(|_, _| Act::Answer(ok(""))));
    let place = place(&upstream, &collector, "headers_file = \"collector.headers\"");
    std::fs::write(place.path("collector.headers"), "x-api-key: of-the-collector\n").unwrap();
    std::fs::set_permissions(place.path("collector.headers"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = place.serve();
    let client = place.client("testing");
    let bearer = token(server.testing, &client);
    ask(&server, &format!("/v1/orders/{bearer}?q=secret"), &bearer, &[("traceparent", PARENT), ("tracestate", "a=1")]);
    let told = upstream.last();
    ask(&server, "/v1/orders/begun", &bearer, &[]);
    let begun = upstream.last();
    ask(&server, "/v1/orders/theirs", &bearer, &[("traceparent", &PARENT.replace("-01", "-00"))]);
    let theirs = upstream.last();
    get(server.testing, "/v1/nowhere", "sk-00000000000000000000000000000000");
    assert!(server.stop().success(), "nothing is lost at the end");

    assert_eq!(collector.last().field("x-api-key"), Some("of-the-collector"));
    let spans = spans(&collector);
    // Two requests with two spans each; the token's and the refused one's have one, and theirs is not for us to record.
    assert_eq!(spans.len(), 6, "{spans:#?}");
    let of =
        |path: &str| spans.iter().find(|span| attributes(span).get("url.path").is_some_and(|it| it == path)).unwrap();
    let beneath = |span: &Span| spans.iter().find(|it| it.parent_span_id == span.span_id).unwrap();

    let server_span = of("/v1/orders/…");
    let client_span = beneath(server_span);
    assert_eq!(hex(&server_span.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&server_span.parent_span_id), "00f067aa0ba902b7");
    assert_eq!((server_span.kind, client_span.kind, server_span.name.as_str()), (2, 3, "GET /v1/orders"));
    let expected = format!("00-{}-{}-01", hex(&server_span.trace_id), hex(&client_span.span_id));
    assert_eq!((told.field("traceparent"), told.field("tracestate")), (Some(expected.as_str()), Some("a=1")));
    assert!(server_span.start_time_unix_nano <= client_span.start_time_unix_nano);
    assert!(client_span.end_time_unix_nano <= server_span.end_time_unix_nano);
    let said = attributes(server_span);
    assert_eq!((said["http.response.status_code"].as_str(), said["http.route"].as_str()), ("200", "/v1/orders"));
    assert_eq!((said["fuuffy.client_id"].as_str(), said["client.address"].as_str()), (client.id.as_str(), "127.0.0.1"));

    let begun_span = of("/v1/orders/begun");
    assert!(begun_span.parent_span_id.is_empty() && begun_span.trace_id != server_span.trace_id);
    let expected = format!("00-{}-{}-01", hex(&begun_span.trace_id), hex(&beneath(begun_span).span_id));
    assert_eq!((begun.field("traceparent"), begun.field("tracestate")), (Some(expected.as_str()), None));
    assert_eq!(theirs.field("traceparent"), Some(PARENT.replace("-01", "-00").as_str()));
    assert_eq!(attributes(of("/v1/nowhere"))["error.type"], "not_found");
    assert_eq!(attributes(of("/v1/auth/token"))["fuuffy.client_id"], client.id);

    for seen in collector.seen() {
        let text = String::from_utf8_lossy(&seen.body).into_owned();
        let secrets = [bearer.trim_start_matches("sk-"), client.secret.as_str(), "q=secret", "of-the-collector"];
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{text}");
    }
}

#[test]
fn what_is_not_sampled_is_told_to_the_upstream_and_not_recorded() {
    let (upstream, collector) = (Upstream::friendly(), Upstream::start(|_, _| Act::Answer(ok(""))));
    let place = place(&upstream, &collector, "one_in = 1000000");
    let server = place.serve();
    let bearer = token(server.testing, &place.client("testing"));
    ask(&server, "/v1/orders", &bearer, &[]);
    let parent = upstream.last().field("traceparent").unwrap().to_owned();
    ask(&server, "/v1/orders", &bearer, &[("traceparent", PARENT)]);
    assert!(server.stop().success());
    assert!(parent.starts_with("00-") && parent.ends_with("-00"), "{parent}");
    let spans = spans(&collector);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == PARENT[3..35]), "{spans:?}");
    assert_eq!(spans.len(), 2, "who has begun a trace decides");
}

#[test]
fn a_collector_that_says_nothing_costs_no_caller_anything() {
    let (upstream, collector) = (Upstream::friendly(), Upstream::start(|_, _| Act::Silence));
    let place = place(&upstream, &collector, "");
    let server = place.serve();
    let bearer = token(server.testing, &place.client_with("testing", &["--scope", "orders:read"]));
    for _ in 0..600 {
        let reply = get(server.testing, "/v1/orders", &bearer);
        assert!(matches!(reply.status, 200 | 429), "{}", reply.text());
    }
    let metrics = request(server.admin, "GET", "/metrics", &[], "").text();
    assert!(metrics.contains("fuuffy_spans_total{environment=\"testing\",outcome=\"exported\"} 0"), "{metrics}");
    assert!(!metrics.contains("fuuffy_spans_total{environment=\"testing\",outcome=\"recorded\"} 0\n"), "{metrics}");
    assert!(server.stop().success(), "and the end is not held up for long");
}

#[test]
fn fields_that_others_can_read_or_that_would_go_out_in_the_clear_are_refused() {
    let (upstream, collector) = (Upstream::friendly(), Upstream::friendly());
    let place = place(&upstream, &collector, "headers_file = \"collector.headers\"");
    std::fs::write(place.path("collector.headers"), "x-api-key: of-the-collector\n").unwrap();
    std::fs::set_permissions(place.path("collector.headers"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(place.try_serve(&[]).is_err());
    assert!(place.log().contains("can be read by others"), "{}", place.log());
    let text = std::fs::read_to_string(place.config_file()).unwrap();
    place.write_config(
        &text.replace(&format!("http://{}/v1/traces", collector.address), "http://collector.example/v1/traces"),
    );
    let output = place.command(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("telemetry.otlp.endpoint: "));
}
