//! What an operator's program can get wrong, or somebody make it get wrong: each its own clear error.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use super::{Desk, refused};
use crate::http1::{Connection, message};

fn invalid() -> (u16, String) {
    (400, "invalid_request".to_owned())
}

#[test]
fn a_body_is_what_it_must_be_or_refused() {
    let desk = Desk::open();
    let bearer = desk.master();
    let client = desk.place.client("testing").id;
    let deep = format!("{{\"name\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let nested = format!("{}1{}", "{\"name\":".repeat(6000), "}".repeat(6000));
    let bodies = [
        r#"{"nmae":"x"}"#,
        r#"{"name":1}"#,
        r#"{"name":["x"]}"#,
        r#"{"may_rotate":"yes"}"#,
        r#"{"name":"a","name":"b"}"#,
        r#"{"scope":"orders:read","name":"a","scope":"orders:write"}"#,
        r#"{"token_lifetime":"100d"}"#,
        r#"{"plan":"gold"}"#,
        r#"{"scope":"admin:everything"}"#,
        r#"{"name":"\ud800"}"#,
        "[]",
        "null",
        "{",
        "{}x",
        "\u{0}",
        deep.as_str(),
        nested.as_str(),
    ];
    let before = desk.ask(&bearer, &format!("GET /clients/{client}"), &[], "");
    for body in bodies {
        let reply = desk.ask(&bearer, &format!("PATCH /clients/{client}"), &[], body);
        assert_eq!(refused(&reply), invalid(), "{}", &body[..body.len().min(60)]);
        let said = reply.json()["error"]["details"].as_str().unwrap().to_owned();
        assert!(!said.is_empty() && said.len() < 300, "{said}");
    }
    let after = desk.ask(&bearer, &format!("GET /clients/{client}"), &[], "");
    assert_eq!((&after.body, after.field("etag")), (&before.body, before.field("etag")), "nothing half-done");
    for body in ["", "{}", r#"{"token":"a","token_id":"b"}"#, r#"{"token":1}"#] {
        assert_eq!(refused(&desk.ask(&bearer, "POST /tokens/revoke", &[], body)), invalid(), "{body}");
    }
}

/// A value that is wrong may be a secret in the wrong place.
#[test]
fn what_was_wrong_is_not_said_again() {
    let desk = Desk::open();
    let bearer = desk.master();
    for body in [r#""fsk_test_secret""#, r#"{"may_rotate":"fsk_test_secret"}"#, r#"{"name":{"fsk_test_secret":1}}"#] {
        let reply = desk.ask(&bearer, "POST /clients", &[], body);
        assert!(refused(&reply) == invalid() && !reply.text().contains("fsk_"), "{}", reply.text());
    }
}

#[test]
fn ten_megabytes_are_refused_and_the_sender_gets_to_read_why() {
    let desk = Desk::open();
    let bearer = format!("Bearer {}", desk.master());
    let target = "/admin/v1/testing/clients";
    let fields = [("authorization", bearer.as_str())];
    let mut said = Connection::open(desk.server.admin);
    said.send(message(desk.server.admin, "POST", target, &fields, &"x".repeat(10_000_000)));
    assert_eq!(refused(&said.reply().unwrap()), (413, "payload_too_large".to_owned()));
    let mut chunked = Connection::open(desk.server.admin);
    let fields = [("authorization", bearer.as_str()), ("transfer-encoding", "chunked")];
    chunked.send(message(desk.server.admin, "POST", target, &fields, ""));
    for _ in 0..10 {
        chunked.send(format!("{:x}\r\n{}\r\n", 1_000_000, "x".repeat(1_000_000)));
    }
    chunked.send("0\r\n\r\n");
    assert_eq!(refused(&chunked.reply().unwrap()), (413, "payload_too_large".to_owned()));
}

#[test]
fn ids_of_the_other_environment_are_unknown() {
    let desk = Desk::open();
    let bearer = desk.master();
    let other = desk.place.client("production").id;
    let not_found = (404, "not_found".to_owned());
    for what in [
        format!("GET /clients/{other}"),
        format!("GET /operators/{other}"),
        format!("GET /clients/{other}/secrets"),
        format!("GET /clients/{other}/tokens"),
        format!("DELETE /clients/{other}"),
        format!("POST /clients/{other}/suspend"),
        format!("POST /clients/{other}/secrets"),
        format!("POST /clients/{other}/tokens/revoke"),
        "GET /clients/..%2f..%2fetc".to_owned(),
        "GET /clients/%ff".to_owned(),
        "GET /nothing".to_owned(),
    ] {
        assert_eq!(refused(&desk.ask(&bearer, &what, &[], "")), not_found, "{what}");
    }
}

#[test]
fn a_page_is_one_that_there_can_be() {
    let desk = Desk::open();
    let bearer = desk.master();
    for list in ["/clients", "/operators", "/audit", "/routes", "/plans", "/scopes"] {
        for query in
            ["page=0", "page=-1", "per_page=0", "per_page=1000", "page=x", "page=99999999999999999999", "offset=1"]
        {
            let reply = desk.ask(&bearer, &format!("GET {list}?{query}"), &[], "");
            assert_eq!(refused(&reply), invalid(), "{list}?{query}");
        }
        let far = desk.ask(&bearer, &format!("GET {list}?page=9007199254740991&per_page=100"), &[], "");
        assert_eq!((far.status, &far.json()["data"]), (200, &serde_json::json!([])), "{list}");
    }
}

/// What else a request says in its fields.
#[test]
fn fields_are_said_once_and_in_bounds() {
    let desk = Desk::open();
    let bearer = desk.master();
    let acme = r#"{"name":"Acme"}"#;
    let long = "w".repeat(301);
    for fields in [
        [("fuuffy-why", long.as_str()), ("x", "")],
        [("fuuffy-why", "a\tb"), ("x", "")],
        [("idempotency-key", "a"), ("idempotency-key", "b")],
        [("if-match", "*"), ("if-match", "\"1\"")],
        [("authorization", "Bearer sk-418e41a74ca2e7d941fa4456d73dbed7"), ("x", "")],
    ] {
        let reply = desk.ask(&bearer, "POST /clients", &fields, acme);
        assert_eq!(refused(&reply), invalid(), "{fields:?}");
    }
    let basic = desk.ask_with("GET /clients", &[("authorization", "Basic eDp5")], "");
    assert_eq!(refused(&basic), (401, "missing_token".to_owned()));
    let malformed = desk.ask_with("GET /clients", &[("authorization", "Bearer fsk_test_secret")], "");
    assert_eq!(refused(&malformed), (401, "invalid_token".to_owned()));
    assert!(!desk.place.log().contains("fsk_test_secret"));
}

/// Connections beyond the limit wait; none of them is refused, none of them is lost.
#[test]
fn connections_are_limited() {
    let desk = Desk::open();
    let look = message(desk.server.admin, "GET", "/livez", &[], "");
    let mut kept: Vec<Connection> = (0..256).map(|_| Connection::open(desk.server.admin)).collect();
    for connection in &mut kept {
        connection.send(&look);
        assert_eq!(connection.reply().unwrap().status, 200);
    }
    let mut beyond = TcpStream::connect(desk.server.admin).unwrap();
    beyond.write_all(look.as_bytes()).unwrap();
    // While others are served, this one is not.
    for connection in &mut kept {
        connection.send(&look);
        assert_eq!(connection.reply().unwrap().status, 200);
    }
    beyond.set_nonblocking(true).unwrap();
    assert_eq!(beyond.peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    beyond.set_nonblocking(false).unwrap();
    kept.pop();
    assert_eq!(Connection::over_tcp(beyond).reply().unwrap().status, 200);
}
