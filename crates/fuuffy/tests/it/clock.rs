//! Time that is stepped: no token accepted late, none refused early.

use std::time::Duration;

use fuuffy_domain::Timestamp;

use crate::app::{self, Registered};
use crate::http1::request;
use crate::timed::{START, Timed};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_token_lives_to_the_second_and_no_longer() {
    let timed = Timed::start("");
    let token = timed.token();
    timed.time.pass(HOUR - Duration::from_millis(1));
    assert!(timed.accepts(&token));
    timed.time.pass(Duration::from_millis(1));
    assert!(!timed.accepts(&token));
    timed.time.pass(HOUR - Duration::from_millis(1));
    assert!(!timed.accepts(&token), "an expired token is known as expired for an hour");
    timed.time.pass(2 * HOUR);
    while timed.get(&token).json()["error"]["message"] == "The access token expired" {}
    assert_eq!(timed.get(&token).json()["error"]["message"], "The access token is invalid");
}

#[test]
fn steps_of_the_calendar_move_no_token() {
    let timed = Timed::start("");
    let token = timed.token();
    for step in [START.after(10 * HOUR), Timestamp::from_unix_millis(0), START.after(1000 * HOUR)] {
        timed.time.step_wall(step);
        assert!(timed.accepts(&token), "refused early");
        let other = timed.token();
        assert!(timed.accepts(&other));
    }
    timed.time.step_wall(Timestamp::from_unix_millis(0));
    timed.time.pass(HOUR);
    assert!(!timed.accepts(&token), "accepted late");
}

#[test]
fn a_calendar_set_back_while_the_server_was_down_revives_nothing() {
    let mut timed = Timed::start("");
    let old = timed.token();
    timed.time.pass(HOUR);
    assert!(!timed.accepts(&old));
    let young = timed.token();
    timed.stop();
    timed.time.step_wall(Timestamp::from_unix_millis(START.unix_millis() - 86_400_000));
    timed.restart();
    assert!(!timed.accepts(&old), "accepted late");
    assert!(timed.accepts(&young), "refused early");
    timed.time.pass(HOUR);
    assert!(!timed.accepts(&young), "accepted late");
}

#[test]
fn a_caller_that_waits_retry_after_out_is_let_through() {
    for plan in ["[\"3/min\", \"1000/h\"]", "[\"100/min\", \"3/h\"]", "[\"2/s\", \"3/min\"]"] {
        let timed = Timed::start(&format!("\n[plans.standard]\nlimits = {plan}\n"));
        let token = timed.token();
        // The wait is then no whole number of seconds.
        assert_eq!(timed.get(&token).status, 200);
        timed.time.pass(Duration::from_millis(123));
        let refused = std::iter::repeat_with(|| timed.get(&token)).find(|reply| reply.status == 429).unwrap();
        let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
        timed.time.pass(Duration::from_secs(wait));
        let token = timed.token();
        assert_eq!(timed.get(&token).status, 200, "{plan}: Retry-After: {wait} is too short");
    }
}

#[test]
fn a_secret_with_an_expiry_works_until_then() {
    let timed = Timed::start("");
    let expiry = START.after(HOUR);
    let path = format!("/admin/v1/testing/clients/{}/secrets", timed.client.id);
    let added = timed.operate(&path, &format!(r#"{{"expires_at":"{expiry}"}}"#));
    let secret = added["data"]["client_secret"].as_str().unwrap().to_owned();
    let by_it = Registered { id: timed.client.id.clone(), secret };
    timed.time.pass(HOUR - Duration::from_millis(1));
    assert_eq!(app::ask_for_token(timed.testing(), &by_it).status, 200);
    timed.time.pass(Duration::from_millis(1));
    assert_eq!(app::ask_for_token(timed.testing(), &by_it).code(), "invalid_client");
    let late = timed.operate(&path, &format!(r#"{{"expires_at":"{expiry}"}}"#));
    assert_eq!(late["error"]["code"], "invalid_request", "an expiry in the past is a mistake");
}

#[test]
fn a_drill_lapses_by_the_environments_clock() {
    let timed = Timed::start("");
    let token = timed.token();
    let drills = |method: &str, body: &str| {
        request(timed.testing(), method, "/v1/auth/drills", &[("authorization", &format!("Bearer {token}"))], body)
    };
    let told = drills("PUT", r#"{"drill":"expired","requests":5}"#).json();
    assert_eq!(told["data"]["lapses_at"], START.after(Duration::from_secs(600)).to_string());
    timed.time.step_wall(START.after(10 * HOUR));
    timed.time.pass(Duration::from_millis(599_999));
    assert!(!timed.accepts(&token));
    timed.time.pass(Duration::from_millis(1));
    assert!(timed.accepts(&token));
    assert_eq!(drills("GET", "").text(), r#"{"data":null}"#);
}

/// Whoever asks again and again for what is refused fills no audit log: one record a second, with the count.
#[test]
fn refusals_of_operators_are_noted_once_a_second() {
    let timed = Timed::start("");
    let made = timed.operate("/admin/v1/testing/operators", r#"{"name":"Night","scope":"admin:audit:read"}"#);
    let member = |name: &str| made["data"][name].as_str().unwrap().to_owned();
    let operator = Registered { id: member("client_id"), secret: member("client_secret") };
    let bearer = format!("Bearer {}", app::token(timed.testing(), &operator));
    let admin = timed.admin();
    let refuse = || {
        let fields = [("authorization", bearer.as_str())];
        assert_eq!(request(admin, "POST", "/admin/v1/testing/clients", &fields, "{}").status, 403);
    };
    for _ in 0..50 {
        refuse();
    }
    assert_eq!(timed.noted(), [1], "no time has passed");
    timed.time.pass(Duration::from_secs(1));
    refuse();
    // The server's own round may have told of the 49 before this one came.
    let noted = timed.noted();
    assert!(noted == [1, 50] || noted == [1, 49], "{noted:?}");
}
