//! Messages that two servers could read differently are refused, and nothing behind them is looked at.

use crate::app::{Place, Server, config, config_with, token};
use crate::http1::Connection;
use crate::upstream::Upstream;

fn refused(server: &Server, bytes: &[u8]) -> (u16, String) {
    let mut connection = Connection::open(server.testing);
    connection.send(bytes);
    // What a smuggler would hide behind the message.
    connection.send(b"GET /v1/orders/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let reply = connection.reply().unwrap_or_else(|| panic!("no answer to {:?}", String::from_utf8_lossy(bytes)));
    assert_eq!(reply.field("connection"), Some("close"), "{:?}", String::from_utf8_lossy(bytes));
    assert!(reply.field("x-request-id").is_some());
    assert!(connection.is_closed(), "more than one answer to {:?}", String::from_utf8_lossy(bytes));
    (reply.status, reply.code())
}

#[test]
fn ambiguous_messages_are_refused_and_the_connection_is_closed() {
    let upstream = Upstream::friendly();
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let bearer = token(server.testing, &place.client("testing"));
    let head = format!("POST /v1/orders HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {bearer}\r\n");
    for fields in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        "content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "content-length: 5, 5\r\n\r\nhello",
        "content-length: +5\r\n\r\nhello",
        "content-length: -5\r\n\r\nhello",
        "content-length: 0x5\r\n\r\nhello",
        "content-length: 5 5\r\n\r\nhello",
        "content-length: 99999999999999999999999\r\n\r\nhello",
        "content-length:\r\n\r\nhello",
        "content-length: 18446744073709551615\r\n\r\nhello",
        "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: identity\r\n\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "x-folded: one\r\n two\r\n\r\n",
        "x-bare: one\rtwo\r\n\r\n",
        "x-nul: one\0two\r\n\r\n",
        "x name: value\r\n\r\n",
        ": nameless\r\n\r\n",
        "host: elsewhere\r\n\r\n",
    ] {
        let bytes = format!("{head}{fields}");
        assert_eq!(refused(&server, bytes.as_bytes()), (400, "invalid_request".to_owned()), "{fields:?}");
    }
    for whole in [
        "GET /v1/orders HTTP/1.1\r\n\r\n",
        "GET /v1/orders HTTP/2.5\r\nhost: localhost\r\n\r\n",
        "GET  /v1/orders HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET /v1/ orders HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET /v1/<orders> HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET http://[::1/v1/orders HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET ?orders HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03 a TLS hello to a plain port\r\n\r\n",
        "POST /v1/orders HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        assert_eq!(refused(&server, whole.as_bytes()).0, 400, "{whole:?}");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn bad_chunks_never_reach_the_upstream_as_a_whole_body() {
    let upstream = Upstream::friendly();
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let bearer = token(server.testing, &place.client("testing"));
    for chunks in [
        "5\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello",
        "\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "5;a=\rb\r\nhello\r\n0\r\n\r\n",
        "0\r\na: b\n\r\n",
        "0\r\na: b\rc\r\n\r\n",
    ] {
        let mut connection = Connection::open(server.testing);
        connection.send(format!(
            "POST /v1/orders HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {bearer}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}\
             GET /v1/orders/smuggled HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {bearer}\r\n\r\n"
        ));
        if let Some(reply) = connection.reply() {
            assert_eq!(reply.status, 400, "{chunks:?}: {}", reply.text());
            assert!(connection.is_closed(), "{chunks:?}");
        }
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let mut connection = Connection::open(server.testing);
    let one = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    connection.send(one("/v1/orders") + &one("/v1/nowhere") + &one("/v1/orders"));
    let statuses: Vec<u16> = (0..3).map(|_| connection.reply().unwrap().status).collect();
    assert_eq!(statuses, [401, 404, 401]);
}

/// A head may come byte by byte.
#[test]
fn a_head_in_pieces_is_one_head() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let mut connection = Connection::open(server.testing);
    for byte in "POST /v1/orders HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\nhi".bytes() {
        connection.send([byte]);
    }
    assert_eq!(connection.reply().unwrap().status, 401);
}

#[test]
fn slow_and_idle_callers_are_let_go() {
    let limits = "limits = { header_timeout = \"100ms\", idle_timeout = \"100ms\", body_timeout = \"100ms\" }";
    let place = Place::new(&config_with(Upstream::friendly().address, limits, ""));
    let server = place.serve();
    let mut silent = Connection::open(server.testing);
    assert!(silent.is_closed());
    let mut slow = Connection::open(server.testing);
    slow.send("GET /v1/orders HTTP/1.1\r\nhost: ");
    assert!(slow.is_closed());
    let mut idle = Connection::open(server.testing);
    idle.send("GET /v1/orders HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(idle.reply().unwrap().status, 401);
    assert!(idle.is_closed());
    let mut half = Connection::open(server.testing);
    half.send("POST /v1/auth/token HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 10\r\n\r\nhalf");
    assert_eq!(half.reply().unwrap().code(), "invalid_request");
}

/// A caller of HTTP/2 that makes no room for its answer is let go, too.
#[test]
fn a_closed_window_is_not_waited_for() {
    let limits = "limits = { idle_timeout = \"200ms\", body_timeout = \"100ms\" }";
    let place = Place::new(&config_with(Upstream::friendly().address, limits, ""));
    let server = place.serve();
    let mut stuck = Connection::open(server.testing);
    stuck.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // SETTINGS with INITIAL_WINDOW_SIZE 0, then HEADERS of GET / (RFC 9113 §6.5, §6.2; RFC 7541).
    stuck.send(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0");
    stuck.send(b"\0\0\x0e\x01\x05\0\0\0\x01\x82\x86\x84\x41\x09localhost");
    assert!(!stuck.bytes(1).is_empty(), "the server speaks HTTP/2");
    while !stuck.bytes(1).is_empty() {}
}

/// Callers beyond the limit wait; none of them is refused, none of them is lost.
#[test]
fn connections_are_limited() {
    let place = Place::new(&config_with(Upstream::friendly().address, "limits = { connections = 2 }", ""));
    let server = place.serve();
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..40)
            .map(|_| {
                scope.spawn(|| {
                    crate::http1::request(server.testing, "GET", "/v1/orders", &[("connection", "close")], "").status
                })
            })
            .collect();
        assert!(asking.into_iter().all(|asked| asked.join().unwrap() == 401));
    });
}

/// An idle connection is taken from hyper after a moment; the caller does not notice.
#[test]
fn a_connection_goes_on_after_a_rest() {
    let limits = "limits = { header_timeout = \"1300ms\", idle_timeout = \"60s\" }";
    let place = Place::new(&config_with(Upstream::friendly().address, limits, ""));
    let server = place.serve();
    let ask = "GET /v1/orders HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut rested = Connection::open(server.testing);
    rested.send(ask);
    assert_eq!(rested.reply().unwrap().status, 401);
    // Closed after the header timeout: so long the other one had nothing to say.
    assert!(Connection::open(server.testing).is_closed());
    for _ in 0..3 {
        rested.send(ask);
        assert_eq!(rested.reply().unwrap().status, 401);
    }
    rested.send("nonsense\r\n\r\n");
    assert_eq!(rested.reply().unwrap().status, 400);
    assert!(rested.is_closed());
}
