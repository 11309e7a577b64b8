//! The numbers that operators' own tools scrape: true, few, and the same whoever calls.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::{Place, Server, config, config_with, get, token};
use crate::http1::request;
use crate::upstream::{Act, Upstream, ok};

/// The samples of a text, by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

pub(crate) fn scrape(server: &Server) -> BTreeMap<String, f64> {
    let reply = request(server.admin, "GET", "/metrics", &[], "");
    assert_eq!(reply.status, 200);
    assert!(reply.text().ends_with("# EOF\n"));
    samples(&reply.text())
}

/// Labels and their values, over all samples.
fn labels(samples: &BTreeMap<String, f64>) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in samples.keys() {
        let Some((_, labels)) = sample.split_once('{') else {
            continue;
        };
        for label in labels.trim_end_matches('}').split("\",") {
            let (name, value) = label.split_once("=\"").unwrap();
            found.entry(name.to_owned()).or_default().insert(value.trim_end_matches('"').to_owned());
        }
    }
    found
}

#[test]
fn labels_are_of_the_configuration_however_many_call_for_whatever() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let bearer = token(server.testing, &place.client("testing"));
    let call = |bearer: &str, number: usize| {
        get(server.testing, &format!("/v1/orders/{number}"), bearer);
        get(server.testing, &format!("/v1/nowhere/{number}"), bearer);
        get(server.testing, "/v1/orders", &format!("sk-{number:032x}"));
        request(server.testing, "POST", "/v1/auth/token", &[("user-agent", &format!("program/{number}"))], "");
    };
    call(&bearer, 0);
    let before: BTreeSet<String> = scrape(&server).into_keys().collect();
    for number in 1..8 {
        call(&token(server.testing, &place.client("testing")), number);
    }
    let scraped = scrape(&server);
    let after: BTreeSet<String> = scraped.keys().cloned().collect();
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new(), "no caller makes a series");
    let labels = labels(&scraped);
    let names: Vec<&str> = labels.keys().map(String::as_str).collect();
    let known =
        ["asked", "channel", "code", "deed", "environment", "kind", "le", "outcome", "route", "status", "version"];
    assert_eq!(names, known);
    assert_eq!(labels["route"], BTreeSet::from(["/v1/orders".to_owned()]));
    assert_eq!(labels["environment"].len(), 2);
    assert!(after.len() < 400, "{} series", after.len());
}

#[test]
fn requests_are_counted_by_how_they_ended_and_how_long_they_took() {
    let upstream = Upstream::start(|seen, _| match seen.target.as_str() {
        "/v1/orders/bad" => Act::AnswerAndClose(Vec::new()),
        "/v1/orders/none" => Act::Answer(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()),
        _ => Act::Answer(ok("{}")),
    });
    let text = config_with(upstream.address, "access_log = \"access.log\"", "");
    let place = Place::new(&text);
    let server = place.serve();
    let bearer = token(server.testing, &place.client("testing"));
    for target in ["/v1/orders", "/v1/orders", "/v1/orders/none", "/v1/orders/bad", "/v1/nowhere"] {
        get(server.testing, target, &bearer);
    }
    get(server.testing, "/v1/orders", "sk-00000000000000000000000000000000");
    request(server.testing, "POST", "/v1/auth/token", &[], "");
    let expect = |scraped: &BTreeMap<String, f64>| {
        for (name, labels, value) in [
            ("request_duration_seconds_count", ",route=\"/v1/orders\",status=\"2xx\"", 2.0),
            ("request_duration_seconds_count", ",route=\"/v1/orders\",status=\"4xx\"", 1.0),
            ("request_duration_seconds_count", ",route=\"/v1/orders\",status=\"5xx\"", 1.0),
            ("upstream_duration_seconds_count", ",route=\"/v1/orders\"", 4.0),
            ("refusals_total", ",asked=\"api\",code=\"bad_gateway\"", 1.0),
            ("refusals_total", ",asked=\"api\",code=\"invalid_token\"", 1.0),
            ("refusals_total", ",asked=\"api\",code=\"not_found\"", 1.0),
            ("refusals_total", ",asked=\"api\",code=\"rate_limit_exceeded\"", 0.0),
            ("refusals_total", ",asked=\"token\",code=\"invalid_request\"", 1.0),
            ("route_in_flight", ",route=\"/v1/orders\"", 0.0),
            ("connections", "", 0.0),
            ("store_full", "", 0.0),
            ("alerts_oldest_waiting_seconds", ",channel=\"webhook\"", 0.0),
            ("access_log_lost_total", "", 0.0),
        ] {
            let name = format!("fuuffy_{name}{{environment=\"testing\"{labels}}}");
            if name.starts_with("fuuffy_connections") {
                // Whoever has just closed may be counted yet.
                assert!(scraped[&name] <= 8.0);
            } else {
                assert_eq!(scraped.get(&name), Some(&value), "{name}");
            }
        }
    };
    let scraped = scrape(&server);
    expect(&scraped);
    let bucket = |bound: &str| {
        let labels = ["testing", "2xx", &format!("le=\"{bound}\"")];
        let is_meant = |name: &str| {
            name.starts_with("fuuffy_request_duration_seconds_bucket")
                && labels.iter().all(|label| name.contains(label))
        };
        *scraped.iter().find(|(name, _)| is_meant(name)).unwrap().1
    };
    assert_eq!(bucket("+Inf"), 2.0);
    assert!(bucket("0.001") <= bucket("10.0"));
    assert!(scraped["process_resident_memory_bytes"] > 1e6 && scraped["process_open_fds"] > 5.0);
    assert!(scraped["process_cpu_seconds_total"] > 0.0 && scraped["process_start_time_seconds"] > 1.7e9);
    assert!(scraped["fuuffy_usage_lag_seconds{environment=\"testing\"}"] < 60.0);

    // A reload that takes nothing away goes on counting.
    place.write_config(&text.replace("orders:write", "orders:admin"));
    server.signal("HUP");
    while get(server.testing, "/v1/orders/reloaded", &bearer).status == 200
        && request(server.testing, "DELETE", "/v1/orders", &[("authorization", &format!("Bearer {bearer}"))], "").status
            == 200
    {}
    let name = "fuuffy_request_duration_seconds_count{environment=\"testing\",route=\"/v1/orders\",status=\"5xx\"}";
    assert_eq!(scrape(&server).get(name), Some(&1.0));
}

#[test]
fn whoever_asks_for_plain_text_gets_it() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let reply = request(server.admin, "GET", "/metrics", &[("accept", "text/plain")], "");
    assert_eq!(reply.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = reply.text();
    assert!(text.contains("# TYPE fuuffy_requests_total counter\n") && !text.contains("# EOF"), "{text}");
    let open = request(server.admin, "GET", "/metrics", &[], "").text();
    let names = |text: &str| samples(text).into_keys().collect::<BTreeSet<_>>();
    assert_eq!(names(&text), names(&open));
}
