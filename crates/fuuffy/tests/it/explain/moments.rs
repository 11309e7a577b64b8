//! Refusals that are a matter of time: a token that expired, a flood, a store that cannot write, a drill.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use crate::app::{ask_for_token, get, token};
use crate::explain::{by_secret, explained, happened, id, served, with_secret};
use crate::http1::request;
use crate::timed::Timed;

#[test]
fn an_expired_token_is_told_how_long_ago() {
    let timed = Timed::start("");
    let old = timed.token();
    timed.time.pass(Duration::from_secs(3600 + 75));
    let refused = timed.get(&old);
    assert_eq!(refused.status, 401);
    let shown = timed.shown(&format!("/admin/v1/testing/explanations/{}", id(&refused)));
    assert_eq!(shown["data"]["happened"], "The token had expired 75 s before");
    assert_eq!(shown["data"]["client_id"], timed.client.id.as_str());
    timed.time.pass(Duration::from_secs(7 * 24 * 3600));
    let own = |reply| by_secret(timed.testing(), &timed.client, reply);
    assert_eq!(own(&refused).json()["data"], shown["data"], "on the seventh day, and told as then");
    timed.time.pass(Duration::from_millis(1));
    assert_eq!(own(&refused).status, 404, "and no longer");
}

#[test]
fn a_flood_of_wrong_secrets_is_told_by_whom_and_for_whom() {
    let (place, server) = served();
    let (client, bystander) = (place.client("testing"), place.client("testing"));
    for _ in 0..300 {
        assert_eq!(with_secret(server.testing, &client, "wrong").status, 401);
    }
    let last = with_secret(server.testing, &client, "wrong");
    let both = format!("There had been too many wrong credentials for {} and from 127.0.0.1", client.id);
    assert_eq!((last.status, happened(&place, &last)), (429, both));
    let beside = with_secret(server.testing, &bystander, "wrong");
    assert_eq!(happened(&place, &beside), "There had been too many wrong credentials from 127.0.0.1");
    assert_eq!(explained(&place, &beside)["peer"], "127.0.0.1");
    assert_eq!(by_secret(server.testing, &client, &last).status, 404, "nothing proves that it was the client's");
}

#[test]
fn a_store_that_cannot_write_is_told_to_its_client_too() {
    let (place, server) = served();
    let client = place.client("testing");
    let beside = Connection::open(place.path("data/testing.sqlite3")).unwrap();
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON tokens BEGIN SELECT RAISE(ABORT, 'no tokens today'); END";
    beside.execute_batch(refuse).unwrap();
    let refused = ask_for_token(server.testing, &client);
    assert_eq!(refused.status, 503);
    assert_eq!(happened(&place, &refused), "The store could not write: no tokens today");
    let own = by_secret(server.testing, &client, &refused).json()["data"]["happened"].clone();
    assert_eq!(own, "The token service could not write", "why, is no client's business");
}

#[test]
fn a_drill_is_told_as_one() {
    let (place, server) = served();
    let client = place.client("testing");
    let bearer = token(server.testing, &client);
    let field = [("authorization", format!("Bearer {bearer}"))];
    let fields: Vec<(&str, &str)> = field.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for (drill, status) in [("expired", 401), ("revoked", 401), ("rate-limited", 429), ("auth-down", 503)] {
        let body = json!({"drill": drill, "requests": 1}).to_string();
        assert_eq!(request(server.testing, "PUT", "/v1/auth/drills", &fields, &body).status, 200);
        let met = match drill {
            "auth-down" => ask_for_token(server.testing, &client),
            _ => get(server.testing, "/v1/orders", &bearer),
        };
        assert_eq!(
            (met.status, happened(&place, &met)),
            (status, "The client had set a drill, which this request met".into())
        );
        assert_eq!(by_secret(server.testing, &client, &met).status, 200, "{drill}");
    }
}
