//! Messages that never became a request are kept with what could be read of their first line.

use serde_json::Value;

use crate::app::{Place, Server};
use crate::explain::{explained, happened, served};
use crate::http1::{Reply, exchange};

/// The status, what happened, and the method and path that are kept.
fn told(place: &Place, reply: &Reply) -> (u16, String, String) {
    let explanation = explained(place, reply);
    let word = |name: &str| explanation[name].as_str().unwrap().to_owned();
    assert_eq!(explanation["client_id"], Value::Null);
    (reply.status, happened(place, reply), format!("{} {}", word("method"), word("path")))
}

fn tell(place: &Place, server: &Server, bytes: &str) -> (u16, String, String) {
    told(place, &exchange(server.testing, bytes))
}

#[test]
fn a_malformed_message_is_kept_with_its_request_line() {
    let (place, server) = served();
    let ambiguous = "The message can be read in more than one way";
    let both = "host: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let asked = tell(&place, &server, &format!("POST /v1/orders?secret=hidden HTTP/1.1\r\n{both}"));
    assert_eq!(asked, (400, ambiguous.to_owned(), "POST /v1/orders".to_owned()));
    let token = format!("/v1/sk-{}/x", "0".repeat(32));
    let masked = tell(&place, &server, &format!("PUT {token} HTTP/1.1\r\nhost: x\r\nbad name: y\r\n\r\n"));
    assert_eq!(masked.2, "PUT /v1/…/x");
    let nothing = tell(&place, &server, "\u{16}\u{3}\u{1} /v1/orders\r\n\r\n");
    assert_eq!(nothing, (400, "The request is not well-formed HTTP".to_owned(), " ".to_owned()));
}

#[test]
fn too_many_and_too_long_fields_are_told() {
    let (place, server) = served();
    for fields in ["x: y\r\n".repeat(200), format!("x: {}\r\n", "y".repeat(40_000))] {
        let bytes = format!("DELETE /v1/orders/7 HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
        let (status, happened, asked) = tell(&place, &server, &bytes);
        assert_eq!((status, asked.as_str()), (431, "DELETE /v1/orders/7"));
        assert!(happened.contains("header fields"), "{happened}");
    }
    let long = tell(&place, &server, &format!("GET /v1/{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(9000)));
    assert!(long.0 == 414 && long.2.starts_with("GET /v1/xxx"), "{long:?}");
}
