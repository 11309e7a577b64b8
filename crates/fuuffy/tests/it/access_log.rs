//! The access log: a line of JSON for each request, once its last byte has moved.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::app::{Place, Server, ask_for_token, config_with, get, token};
use crate::http1::{Connection, exchange, request};
use crate::upstream::{Act, Upstream, ok};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Only testing has one.
fn place(upstream: &Upstream) -> Place {
    let (testing, production) =
        ("access_log = \"access.log\"", "listen = \"127.0.0.1:0\"\naccess_log = \"access.log\"");
    let text = config_with(upstream.address, testing, "");
    let (head, tail) = text.rsplit_once(production).expect("both environments");
    Place::new(&format!("{head}listen = \"127.0.0.1:0\"{tail}"))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn each_request_is_one_line_and_no_token_is_in_any() {
    let upstream = Upstream::start(|seen, _| Act::Answer(ok(if seen.method == "HEAD" { "" } else { "[1,2,3]" })));
    let place = place(&upstream);
    let server = place.serve();
    let client = place.client("testing");
    let bearer = token(server.testing, &client);
    let field = format!("Bearer {bearer}");
    let fields = [("authorization", field.as_str()), ("user-agent", "shop/1.0"), ("traceparent", TRACE)];
    let ordered = request(server.testing, "POST", "/v1/orders/7?q=secret", &fields, "12345");
    get(server.testing, &format!("/v1/orders/{bearer}/x"), &bearer);
    get(server.testing, &format!("/v1/nowhere/%73k-{}", bearer.trim_start_matches("sk-")), &bearer);
    request(server.testing, "GET", "/v1/orders", &[], "");
    exchange(server.testing, "GET /v1/orders HTTP/1.1\r\nhost: localhost\r\nbad field: x\r\n\r\n");
    get(server.production, "/v1/orders", &bearer);
    assert!(server.stop().success());

    let lines = lines(&place.path("access.log"));
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or("-");
            let status = line["status"].as_u64().unwrap();
            assert!(line["duration_ms"].as_f64().unwrap() > 0.0 || status == 400, "{line}");
            format!(
                "{} {} {} {status} {} {} {}",
                text("method"),
                text("path"),
                text("route"),
                text("code"),
                line["bytes_in"],
                line["bytes_out"]
            )
        })
        .collect();
    let form = crate::app::token_form(&client).len();
    let expected = [
        format!("POST /v1/auth/token - 200 - {form} 103"),
        "POST /v1/orders/7 /v1/orders 200 - 5 7".to_owned(),
        "GET /v1/orders/…/x /v1/orders 200 - 0 7".to_owned(),
        format!("GET /v1/nowhere/… - 400 invalid_request 0 {}", lines[3]["bytes_out"]),
        format!("GET /v1/orders - 401 missing_token 0 {}", lines[4]["bytes_out"]),
        "GET /v1/orders - 400 invalid_request 0 0".to_owned(),
    ];
    assert_eq!(told, expected);
    let line = &lines[1];
    assert_eq!(line["request_id"].as_str(), ordered.field("x-request-id"));
    assert_eq!((&line["user_agent"], &line["peer"]), (&"shop/1.0".into(), &"127.0.0.1".into()));
    assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(line["upstream_ms"].as_f64().unwrap() <= line["duration_ms"].as_f64().unwrap(), "{line}");
    for (line, id) in lines.iter().zip([&client.id, &client.id, &client.id, &client.id]) {
        assert_eq!(line["client_id"].as_str(), Some(id.as_str()), "{line}");
    }
    assert_eq!(lines[4]["client_id"], Value::Null);
    let text = std::fs::read_to_string(place.path("access.log")).unwrap();
    assert!(!text.contains(bearer.trim_start_matches("sk-")) && !text.contains("secret"), "{text}");
    let mode = std::fs::metadata(place.path("access.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
}

/// Bytes are those that moved, and what breaks off says so.
#[test]
fn a_line_comes_with_the_last_byte_of_a_body_that_streams() {
    let upstream = Upstream::start(|_, before| match before {
        0 => Act::AnswerAndStall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n".to_vec()),
        _ => Act::Answer(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n".to_vec(),
        ),
    });
    let place = place(&upstream);
    let server = place.serve();
    let bearer = token(server.testing, &place.client("testing"));
    let mut connection = Connection::open(server.testing);
    connection
        .send(format!("GET /v1/orders/slow HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {bearer}\r\n\r\n"));
    let mut seen = Vec::new();
    while !seen.ends_with(b"abcde") {
        seen.extend(connection.bytes(1));
    }
    // Another request's line is there, and this one's is not.
    assert_eq!(get(server.testing, "/v1/orders/whole", &bearer).text(), "abcdefg");
    let log = place.path("access.log");
    wait_until(|| lines(&log).iter().any(|line| line["path"] == "/v1/orders/whole"), &server);
    assert!(lines(&log).iter().all(|line| line["path"] != "/v1/orders/slow"));
    drop(connection);
    assert!(server.stop().success());
    let lines = lines(&log);
    let of = |path: &str| lines.iter().find(|line| line["path"] == path).unwrap();
    let told = |line: &Value| (line["status"].clone(), line["bytes_out"].clone(), line["broke_off"].clone());
    assert_eq!(told(of("/v1/orders/slow")), (200.into(), 5.into(), true.into()));
    assert_eq!(told(of("/v1/orders/whole")), (200.into(), 7.into(), false.into()));
}

/// Asks the server something that leaves no line behind, over one connection, until it is so.
fn wait_until(is_so: impl Fn() -> bool, server: &Server) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut connection = Connection::open(server.production);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never was");
        connection.send("GET /v1/orders HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert_eq!(connection.reply().expect("an answer").status, 401);
    }
}

/// As logrotate does it: the file is moved away, and the server is told.
#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let upstream = Upstream::friendly();
    let place = place(&upstream);
    let server = place.serve();
    let bearer = token(server.testing, &place.client("testing"));
    let log = place.path("access.log");
    wait_until(|| lines(&log).len() == 1, &server);
    std::fs::rename(&log, place.path("access.log.1")).unwrap();
    get(server.testing, "/v1/orders/before", &bearer);
    wait_until(|| lines(&place.path("access.log.1")).len() == 2, &server);
    assert!(!log.exists());
    // Even where the configuration has become a bad one.
    place.write_config("no configuration");
    server.signal("HUP");
    wait_until(|| log.exists(), &server);
    get(server.testing, "/v1/orders/after", &bearer);
    assert!(server.stop().success());
    let paths = |name: &str| lines(&place.path(name)).iter().map(|line| line["path"].to_string()).collect::<Vec<_>>();
    assert_eq!(paths("access.log.1"), ["\"/v1/auth/token\"", "\"/v1/orders/before\""]);
    assert_eq!(paths("access.log"), ["\"/v1/orders/after\""]);
}

#[test]
fn many_callers_at_once_lose_no_line() {
    let upstream = Upstream::friendly();
    let place = place(&upstream);
    let server = place.serve();
    let client = place.client_with("testing", &["--scope", "orders:read"]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| drop(ask_for_token(server.testing, &client))));
        }
    });
    assert!(server.stop().success());
    let ids: std::collections::BTreeSet<String> =
        lines(&place.path("access.log")).iter().map(|line| line["request_id"].to_string()).collect();
    assert_eq!(ids.len(), 200);
}

#[test]
fn a_file_that_cannot_be_opened_is_told_at_the_start() {
    let upstream = Upstream::friendly();
    let place = Place::new(&config_with(upstream.address, "access_log = \"nowhere/access.log\"", ""));
    assert!(place.try_serve(&[]).is_err());
}
