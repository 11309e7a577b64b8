//! How many tokens may be asked for, and what whoever asks for too many is told.

use std::time::Duration;

use serde_json::json;

use crate::app::{self, Place, Registered, ask_for_token, config_with, post_form, token_form};
use crate::http1::Reply;
use crate::timed::Timed;
use crate::upstream::Upstream;

const DETAILS: &str = "Keep the token for as long as expires_in says instead of requesting one for each call, and wait for the seconds that Retry-After names";

fn timed(limits: &str) -> Timed {
    Timed::serving(config_with(Upstream::friendly().address, &format!("limits = {{ {limits} }}"), ""))
}

/// What an operator is told of a refused request.
fn explained(timed: &Timed, refused: &Reply) -> String {
    let id = refused.field("x-request-id").unwrap();
    loop {
        // Reasons are kept a moment after the answer.
        let told = timed.shown(&format!("/admin/v1/testing/explanations/{id}"));
        if let Some(happened) = told["data"]["happened"].as_str() {
            return happened.to_owned();
        }
    }
}

#[test]
fn whoever_fetches_a_token_for_each_call_is_told_to_keep_it() {
    let timed = timed(r#"tokens = ["3/min", "5/h"], tokens_by_address = []"#);
    let wrong = Registered { secret: timed.register().secret, ..timed.client.clone() };
    for _ in 0..10 {
        assert_eq!(ask_for_token(timed.testing(), &wrong).status, 401, "nobody is counted for a wrong secret");
    }
    for _ in 0..3 {
        assert_eq!(ask_for_token(timed.testing(), &timed.client).status, 200);
    }
    let refused = ask_for_token(timed.testing(), &timed.client);
    assert_eq!((refused.status, refused.field("retry-after")), (429, Some("60")));
    let error = json!({"code": "rate_limit_exceeded", "message": "Too many tokens were requested; use each until it expires", "details": DETAILS});
    assert_eq!(refused.json()["error"], error);
    let happened = explained(&timed, &refused);
    assert!(happened.starts_with("The client had asked for as many tokens as 3/min allows, until "), "{happened}");
    let standard = post_form(timed.testing(), "/oauth/token", &token_form(&timed.client)).json();
    assert_eq!(standard["error_description"], error["message"]);
    timed.time.pass(Duration::from_secs(60));
    for _ in 0..2 {
        assert_eq!(ask_for_token(timed.testing(), &timed.client).status, 200, "whoever waits is let in");
    }
    let refused = ask_for_token(timed.testing(), &timed.client);
    assert_eq!(refused.field("retry-after"), Some("3540"), "the hour is used up");
    let other = timed.register();
    assert_eq!(ask_for_token(timed.testing(), &other).status, 200, "another client has its own");
    timed.time.pass(Duration::from_secs(3540));
    assert_eq!(ask_for_token(timed.testing(), &timed.client).status, 200);
}

#[test]
fn clients_at_one_address_share_its_limit() {
    let timed = timed(r#"tokens = ["3/min"], tokens_by_address = ["4/h"]"#);
    let other = timed.register();
    for client in [&timed.client, &other, &timed.client, &other] {
        assert_eq!(ask_for_token(timed.testing(), client).status, 200);
    }
    let refused = ask_for_token(timed.testing(), &other);
    assert_eq!((refused.status, refused.field("retry-after")), (429, Some("3600")));
    let happened = explained(&timed, &refused);
    assert!(happened.starts_with("The clients at 127.0.0.1 had asked for as many tokens as 4/h allows"), "{happened}");
    timed.time.pass(Duration::from_secs(3600));
    assert_eq!(ask_for_token(timed.testing(), &other).status, 200);
}

#[test]
fn a_client_whose_tokens_live_shorter_may_ask_for_more() {
    let timed = timed(r#"tokens = ["2/h"], tokens_by_address = []"#);
    let made = timed.operate("/admin/v1/testing/clients", r#"{"name":"Brief","token_lifetime":"20m"}"#);
    let member = |name: &str| made["data"][name].as_str().unwrap().to_owned();
    let client = Registered { id: member("client_id"), secret: member("client_secret") };
    let statuses: Vec<u16> = (0..7).map(|_| ask_for_token(timed.testing(), &client).status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 429]);
}

#[test]
fn there_is_no_limit_unless_one_is_set() {
    let place = Place::new(&config_with(Upstream::friendly().address, "limits = {}", ""));
    let limits = &place.done(&["check"])["environments"]["testing"]["limits"];
    assert_eq!((&limits["tokens"], &limits["tokens_by_address"]), (&json!([]), &json!([])));
    let server = place.serve();
    let client = place.client("testing");
    for _ in 0..200 {
        app::token(server.testing, &client);
    }
    assert!(server.stop().success());
}
