//! Asking why is a request like others: refusals of it are kept, counted and limited.

use serde_json::{Value, json};

use crate::app::{get, token};
use crate::explain::{by_secret, by_token, explained, happened, served, with_secret};
use crate::http1::request;
use crate::timed::Timed;

const UNKNOWN: &str = "sk-00000000000000000000000000000000";

#[test]
fn a_refused_look_up_has_its_own_explanation() {
    let (place, server) = served();
    let (client, other) = (place.client("testing"), place.client("testing"));
    let bearer = token(server.testing, &client);
    let refused = get(server.testing, "/v1/orders", UNKNOWN);
    let by_unknown = by_token(server.testing, UNKNOWN, &refused);
    assert!(happened(&place, &by_unknown).starts_with("Nobody knows the token here"));
    let by_client = by_token(server.testing, &bearer, &refused);
    let by_other = by_secret(server.testing, &other, &refused);
    for (reply, whose) in [(&by_client, &client), (&by_other, &other)] {
        let explanation = explained(&place, reply);
        assert_eq!((reply.status, &explanation["client_id"]), (404, &json!(whose.id)));
        assert!(explanation["path"].as_str().unwrap().starts_with("/v1/auth/explanations/0"), "{explanation}");
        assert_eq!(by_secret(server.testing, whose, reply).status, 200);
    }
    let written = request(server.testing, "POST", "/v1/auth/explanations/x", &[], "");
    assert_eq!((written.status, &explained(&place, &written)["client_id"]), (405, &Value::Null));
    let wrong = crate::app::Registered { secret: "fsk_test_wrong".to_owned(), ..client };
    assert_eq!(happened(&place, &by_secret(server.testing, &wrong, &refused)), "The secret is none of that client's");
}

#[test]
fn refused_look_ups_are_counted() {
    let timed = Timed::start("");
    let wrong = crate::app::Registered { secret: "wrong".to_owned(), ..timed.client.clone() };
    let refused = by_token(timed.testing(), UNKNOWN, &by_secret(timed.testing(), &wrong, &timed.get(UNKNOWN)));
    assert_eq!(refused.status, 401);
    timed.pass_minute();
    let shown = timed.shown("/admin/v1/testing/audit?deed=refused");
    let noted = shown["data"].as_array().unwrap().iter().map(|row| {
        let record = &row["record"];
        (record["asked"].as_str().unwrap(), record["code"].as_str().unwrap(), record["times"].as_u64().unwrap())
    });
    let mut noted: Vec<_> = noted.collect();
    noted.sort_unstable();
    assert_eq!(noted, [("API", "invalid_token", 2), ("token endpoint", "invalid_client", 1)]);
}

#[test]
fn look_ups_by_wrong_credentials_are_limited_and_right_ones_not_by_them() {
    let (place, server) = served();
    let client = place.client_with("testing", &["--scope", "orders:read"]);
    let bearer = token(server.testing, &client);
    let fields = [("authorization", format!("Bearer {bearer}"))];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let own = request(server.testing, "POST", "/v1/orders", &fields, "x");
    for _ in 0..150 {
        assert_eq!(by_token(server.testing, UNKNOWN, &own).status, 401);
        let wrong = crate::app::Registered { secret: "wrong".to_owned(), ..client.clone() };
        assert_eq!(by_secret(server.testing, &wrong, &own).status, 401);
    }
    let limited = by_token(server.testing, UNKNOWN, &own);
    assert_eq!((limited.status, limited.code().as_str()), (429, "rate_limit_exceeded"));
    assert!((1..=60).contains(&limited.field("retry-after").unwrap().parse::<u64>().unwrap()));
    assert_eq!(happened(&place, &limited), "There had been too many wrong credentials from 127.0.0.1");
    assert_eq!(with_secret(server.testing, &client, "wrong").status, 429, "they are the same attempts");
    for right in [by_token(server.testing, &bearer, &own), by_secret(server.testing, &client, &own)] {
        assert_eq!(right.status, 200);
    }
    assert_eq!(get(server.testing, "/v1/orders", UNKNOWN).status, 401, "the API is not limited by it");
}

/// Each reads the disk, so a client that asks on and on is told to wait: by its token and by its secret together, for
/// its own refusals and for any other, and no other client with it.
#[test]
fn look_ups_of_one_client_are_limited() {
    let timed = Timed::start("");
    let (bearer, other) = (timed.token(), timed.register());
    let own = get(timed.testing(), "/v1/nothing", &bearer);
    let foreign = timed.get(UNKNOWN);
    for _ in 0..20 {
        assert_eq!(by_token(timed.testing(), &bearer, &own).status, 200);
        assert_eq!(by_secret(timed.testing(), &timed.client, &own).status, 200);
        assert_eq!(by_token(timed.testing(), &bearer, &foreign).status, 404);
    }
    for limited in [by_token(timed.testing(), &bearer, &own), by_secret(timed.testing(), &timed.client, &own)] {
        assert_eq!((limited.status, limited.code().as_str()), (429, "rate_limit_exceeded"));
        assert_eq!(limited.field("retry-after"), Some("60"));
        let id = limited.field("x-request-id").unwrap();
        let explanation = &timed.shown(&format!("/admin/v1/testing/explanations/{id}"))["data"];
        let happened = "The client had asked for the reasons of more than 60 refusals within a minute";
        assert_eq!((&explanation["client_id"], &explanation["happened"]), (&json!(timed.client.id), &json!(happened)));
    }
    assert_eq!(by_secret(timed.testing(), &other, &foreign).status, 404);
    assert_eq!(timed.get(&bearer).status, 200, "the API is not limited by it");
    timed.time.pass(std::time::Duration::from_secs(60));
    assert_eq!(by_token(timed.testing(), &bearer, &own).status, 200);
}
