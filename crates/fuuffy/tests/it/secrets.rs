//! What operators change about clients, and read of what was done.

use crate::app::{Place, Server, ask_for_token, config, get, token};
use crate::upstream::Upstream;

fn served() -> (Place, Server) {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    (place, server)
}

#[test]
fn a_client_is_changed_and_loses_what_it_may_no_longer() {
    let (place, server) = served();
    let client = place.client("testing");
    let old = token(server.testing, &client);
    let update =
        |more: &[&str]| place.done(&[&["clients", "update", "--environment", "testing", &client.id], more].concat());
    let shown = update(&["--name", "Acme & Sons", "--token-lifetime", "5m", "--allow-rotation"]);
    let expected = ("Acme & Sons", "300s", true);
    assert_eq!(
        (shown["name"].as_str().unwrap(), shown["token_lifetime"].as_str().unwrap(), shown["may_rotate"] == true),
        expected
    );
    assert_eq!(get(server.testing, "/v1/orders", &old).status, 200, "its tokens are as good as before");
    assert_eq!(ask_for_token(server.testing, &client).json()["data"]["expires_in"], 300);
    let shown = update(&["--scope", "orders:write", "--token-lifetime", "default", "--allow-rotation", "false"]);
    assert!(shown["token_lifetime"].is_null() && shown["may_rotate"] == false && shown["scope"] == "orders:write");
    assert_eq!(get(server.testing, "/v1/orders", &old).code(), "invalid_token", "a scope was taken away");
    assert_eq!(get(server.testing, "/v1/orders", &token(server.testing, &client)).code(), "insufficient_scope");
    let words = place.command(&["clients", "update", "--environment", "testing", &client.id, "--plan", "gold"]);
    assert_eq!(words.status.code(), Some(1));
}

#[test]
fn every_deed_of_an_operator_is_in_the_audit_log_with_who_and_why() {
    let (place, server) = served();
    let client = place.client("testing");
    let of = ["--environment", "testing", client.id.as_str()];
    place.done(&[&["clients", "suspend", "--why", "invoice 42 is open"], &of[..]].concat());
    assert!(server.stop().success());
    place.done(&[&["clients", "resume"], &of[..]].concat());
    let log = place.done(&["audit", "list", "--environment", "testing"]);
    let said: Vec<(&str, &str)> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["record"]["deed"].as_str().unwrap(), it["record"]["actor"]["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [("client.resumed", "local"), ("client.suspended", "socket"), ("client.created", "socket")]);
    assert_eq!(log[1]["record"]["why"], "invoice 42 is open");
    assert!(place.done(&["audit", "list", "--environment", "production"]).as_array().unwrap().is_empty());
    let text = String::from_utf8(place.command(&["audit", "list", "--environment", "testing"]).stdout).unwrap();
    assert!(text.lines().next().unwrap().starts_with("seq") && text.contains("invoice 42 is open"), "{text}");
    let files: Vec<u8> = std::fs::read(place.path("data/testing.sqlite3")).unwrap();
    assert!(!files.windows(client.secret.len()).any(|it| it == client.secret.as_bytes()));
}
