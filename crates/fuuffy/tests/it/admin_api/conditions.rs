//! Changes of what was seen, and creations that are done once.

use std::collections::BTreeSet;

use super::{Desk, refused};
use crate::app::token;
use crate::http1::request;

const ACME: &str = r#"{"name":"Acme"}"#;

/// Each change of a client, and where it is asked for.
fn changes(client: &str, secret: &str) -> [(String, &'static str); 6] {
    [
        (format!("PATCH /clients/{client}"), r#"{"name":"Emca"}"#),
        (format!("POST /clients/{client}/suspend"), ""),
        (format!("POST /clients/{client}/resume"), ""),
        (format!("POST /clients/{client}/secrets"), ""),
        (format!("POST /clients/{client}/secrets/{secret}/retire"), ""),
        (format!("POST /clients/{client}/tokens/revoke"), ""),
    ]
}

#[test]
fn a_change_names_the_state_that_was_seen() {
    let desk = Desk::open();
    let bearer = desk.master();
    let client = desk.place.client("testing").id;
    let secrets = desk.ask(&bearer, &format!("GET /clients/{client}/secrets"), &[], "");
    let secret = secrets.json()["data"][0]["secret_id"].as_str().unwrap().to_owned();
    let tag = |path: String| desk.ask(&bearer, &path, &[], "").field("etag").unwrap().to_owned();
    for (what, body) in changes(&client, &secret) {
        let seen = tag(format!("GET /clients/{client}"));
        assert_eq!(tag(format!("GET /clients/{client}/secrets")), seen);
        assert_eq!(tag(format!("GET /clients/{client}/secrets/{secret}")), seen);
        let ask = |condition: &str| desk.ask(&bearer, &what, &[("if-match", condition)], body);
        assert_eq!(refused(&ask("")), (428, "precondition_required".to_owned()), "{what}");
        for malformed in ["1", "\"", "\"1", "\"1\", \"2\"", "\"a b\"", "W/"] {
            assert_eq!(refused(&ask(malformed)), (400, "invalid_request".to_owned()), "{what} {malformed}");
        }
        for stale in ["\"4000\"", "\"00\"", "\"-1\"", "\"99999999999999999999\"", "\"x\"", &format!("W/{seen}")] {
            assert_eq!(refused(&ask(stale)), (412, "precondition_failed".to_owned()), "{what} {stale}");
        }
        let done = ask(&seen);
        assert_eq!(done.status / 100, 2, "{what}: {}", done.text());
        let now = done.field("etag").unwrap();
        assert!(now != seen && now == tag(format!("GET /clients/{client}")), "{what}");
        assert_eq!(refused(&ask(&seen)).0, 412, "{what}");
    }
    assert_eq!(desk.ask(&bearer, &format!("DELETE /clients/{client}"), &[], "").status, 200);
}

#[test]
fn the_same_key_is_the_same_creation() {
    let desk = Desk::open();
    let bearer = desk.master();
    let key = [("idempotency-key", "order-7")];
    let first = desk.ask(&bearer, "POST /clients", &key, ACME);
    assert_eq!((first.status, first.field("idempotency-replayed")), (201, None));
    let again = desk.ask(&bearer, "POST /clients", &key, ACME);
    assert_eq!((again.status, again.field("idempotency-replayed")), (201, Some("true")));
    assert_eq!((again.body, again.headers.len()), (first.body.clone(), first.headers.len() + 1));
    let reused = (422, "idempotency_key_reused".to_owned());
    assert_eq!(refused(&desk.ask(&bearer, "POST /clients", &key, r#"{"name":"Emca"}"#)), reused);
    let operator = r#"{"name":"Acme","scope":"admin:audit:read"}"#;
    assert_eq!(refused(&desk.ask(&bearer, "POST /operators", &key, operator)), reused, "another creation");
    let client = first.json()["data"]["client_id"].as_str().unwrap().to_owned();
    let secrets = format!("POST /clients/{client}/secrets");
    for what in [secrets.as_str(), "POST /operators"] {
        let key = [("idempotency-key", what.split('/').next_back().unwrap()), ("if-match", "\"0\"")];
        let body = if what == "POST /operators" { operator } else { "" };
        let (first, again) = (desk.ask(&bearer, what, &key, body), desk.ask(&bearer, what, &key, body));
        assert_eq!((first.status, again.field("idempotency-replayed")), (201, Some("true")), "{}", again.text());
        assert_eq!((first.field("etag"), &first.body), (again.field("etag"), &again.body));
    }
    // Another operator's key is another key.
    let other = desk.ask(&desk.master(), "POST /clients", &key, ACME);
    assert_eq!((other.status, other.field("idempotency-replayed")), (201, None));
    for malformed in ["a b", "\u{e4}", &"x".repeat(129)] {
        let reply = desk.ask(&bearer, "POST /clients", &[("idempotency-key", malformed)], ACME);
        assert_eq!(refused(&reply), (400, "invalid_request".to_owned()), "{malformed}");
    }
}

/// Neither a restart nor whoever has the files makes a difference: they open nothing.
#[test]
fn a_kept_answer_lasts_and_is_sealed() {
    let desk = Desk::open();
    let operator = desk.operator("admin:clients:write");
    let key = [("idempotency-key", "a-key-that-nobody-guesses")];
    let first = desk.ask(&token(desk.server.testing, &operator), "POST /clients", &key, ACME);
    let desk = desk.restart();
    let again = desk.ask(&token(desk.server.testing, &operator), "POST /clients", &key, ACME);
    assert_eq!((again.field("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    let secret = first.json()["data"]["client_secret"].as_str().unwrap().to_owned();
    for entry in std::fs::read_dir(desk.place.path("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            for word in [secret.as_str(), "fsk_test_", "a-key-that-nobody-guesses"] {
                assert!(!text.contains(word), "{} has {word}", path.display());
            }
        }
    }
}

#[test]
fn requests_at_once_with_one_key_create_once() {
    let desk = Desk::open();
    let bearer = desk.master();
    let (admin, authorization) = (desk.server.admin, format!("Bearer {bearer}"));
    let fields = [("authorization", authorization.as_str()), ("idempotency-key", "at-once")];
    let ask = || request(admin, "POST", "/admin/v1/testing/clients", &fields, ACME);
    let replies: Vec<_> = std::thread::scope(|threads| {
        let asking: Vec<_> = (0..16).map(|_| threads.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let answers: BTreeSet<Vec<u8>> = replies.iter().map(|reply| reply.body.clone()).collect();
    assert_eq!(answers.len(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.field("idempotency-replayed").is_none()).count(), 1);
    let total = desk.ask(&bearer, "GET /clients", &[], "").json()["pagination"]["total"].clone();
    assert_eq!(total, 2, "the operator, and one client");
}
