//! What a client does about its own secrets: the server's half of a rotation by itself.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::app::{self, Place, Registered, Server, StopsAll, ask_for_token, config, get, token};
use crate::hooks::Hooks;
use crate::http1::{Reply, request};
use crate::timed::Timed;
use crate::upstream::Upstream;

fn served() -> (Place, Server) {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    (place, server)
}

fn rotator(place: &Place) -> Registered {
    place.client_with("testing", &["--scope", "orders:read", "--allow-rotation"])
}

pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, client: &Registered) -> Reply {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", client.id, client.secret));
    request(address, method, path, &[("authorization", &format!("Basic {basic}"))], "")
}

pub(crate) fn add(address: SocketAddr, client: &Registered) -> Registered {
    let reply = ask(address, "POST", "/v1/auth/secrets", client);
    assert_eq!((reply.status, reply.field("cache-control")), (201, Some("no-store")), "{}", reply.text());
    Registered { id: client.id.clone(), secret: reply.json()["data"]["client_secret"].as_str().unwrap().to_owned() }
}

fn confirm(address: SocketAddr, client: &Registered) -> Value {
    let reply = ask(address, "POST", "/v1/auth/secrets/confirm", client);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"].clone()
}

fn statuses(address: SocketAddr, client: &Registered) -> Vec<(String, bool)> {
    let reply = ask(address, "GET", "/v1/auth/secrets", client);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let shown = reply.json()["data"].as_array().unwrap().clone();
    shown.iter().map(|it| (it["status"].as_str().unwrap().to_owned(), it["presented"].as_bool().unwrap())).collect()
}

#[test]
fn a_client_makes_itself_a_secret_and_confirms_it_with_itself() {
    let (place, server) = served();
    let old = rotator(&place);
    let new = add(server.testing, &old);
    assert!(new.secret.starts_with("fsk_test_"));
    assert_eq!(statuses(server.testing, &old), [("live".to_owned(), true), ("pending".to_owned(), false)]);
    token(server.testing, &new);
    for _ in 0..2 {
        let confirmed = confirm(server.testing, &new);
        assert_eq!(confirmed["retiring"].as_array().unwrap().len(), 1, "confirming twice is confirming once");
        assert_eq!(confirmed["unused_for"], "86400s");
    }
    assert_eq!(statuses(server.testing, &new), [("retiring".to_owned(), false), ("live".to_owned(), true)]);
    token(server.testing, &old);
    let deeds = place.done(&["audit", "list", "--environment", "testing", "--client", &old.id]);
    let deeds: Vec<&str> = deeds.as_array().unwrap().iter().map(|it| it["record"]["deed"].as_str().unwrap()).collect();
    assert_eq!(deeds, ["secret.confirmed", "secret.added", "client.created"]);
}

#[test]
fn asking_again_takes_the_place_of_what_was_never_used() {
    let timed = Timed::start("");
    let made = timed.operate("/admin/v1/testing/clients", r#"{"name":"Acme","may_rotate":true}"#);
    let member = |name: &str| made["data"][name].as_str().unwrap().to_owned();
    let old = Registered { id: member("client_id"), secret: member("client_secret") };
    let lost = add(timed.testing(), &old);
    let kept = add(timed.testing(), &old);
    app::token(timed.testing(), &kept);
    let full = || ask(timed.testing(), "POST", "/v1/auth/secrets", &old);
    assert_eq!((full().status, full().code().as_str()), (409, "too_many_secrets"), "one may be kept at this moment");
    timed.time.pass(Duration::from_secs(600));
    let third = add(timed.testing(), &old);
    assert_eq!(ask_for_token(timed.testing(), &lost).code(), "invalid_client");
    app::token(timed.testing(), &kept);
    app::token(timed.testing(), &third);
    assert_eq!((full().status, full().code().as_str()), (409, "too_many_secrets"));
}

#[test]
fn only_who_may_and_by_a_secret_alone() {
    let (place, server) = served();
    let (may, may_not) = (rotator(&place), place.client("testing"));
    for path in ["/v1/auth/secrets", "/v1/auth/secrets/confirm"] {
        let refused = ask(server.testing, "POST", path, &may_not);
        assert_eq!((refused.status, refused.code().as_str()), (403, "unauthorized_client"));
        let wrong = Registered { secret: "fsk_test_wrong".to_owned(), ..may.clone() };
        assert_eq!(ask(server.testing, "POST", path, &wrong).status, 401);
        assert_eq!(ask(server.production, "POST", path, &may).status, 401, "unknown in the other environment");
        let bearer = format!("Bearer {}", token(server.testing, &may));
        assert_eq!(request(server.testing, "POST", path, &[("authorization", &bearer)], "").code(), "invalid_client");
        assert_eq!(request(server.testing, "POST", path, &[], "").code(), "invalid_client");
        assert_eq!(ask(server.testing, "DELETE", path, &may).status, 405);
        let large = "x".repeat(10_000);
        assert_eq!(request(server.testing, "POST", path, &[], &large).status, 413);
    }
    place.done(&["clients", "suspend", "--environment", "testing", &may.id]);
    assert_eq!(ask(server.testing, "GET", "/v1/auth/secrets", &may).code(), "unauthorized_client");
    assert_eq!(ask(server.testing, "POST", "/v1/auth/secrets", &may).code(), "unauthorized_client");
}

#[test]
fn what_is_to_go_goes_when_nobody_has_used_it() {
    let timed = Timed::start("");
    let hour = Duration::from_secs(3600);
    let id = timed.client.id.clone();
    let path = format!("/admin/v1/testing/clients/{id}/secrets");
    let second = timed.operate(&path, "{}");
    let second = Registered { id: id.clone(), secret: second["data"]["client_secret"].as_str().unwrap().to_owned() };
    let secrets = timed.shown(&path);
    let first_id = secrets["data"][0]["secret_id"].as_str().unwrap();
    let retire = |body: &str| timed.operate(&format!("{path}/{first_id}/retire"), body);
    assert_eq!(retire(r#"{"when_unused_for":"soon"}"#)["error"]["code"], "invalid_request");
    assert_eq!(retire(r#"{"when_unused_for":"2h"}"#)["data"]["status"], "retiring");
    timed.time.pass(hour);
    timed.token();
    timed.time.pass(2 * hour - Duration::from_millis(1));
    timed.pass_minute();
    assert_eq!(ask_for_token(timed.testing(), &timed.client).status, 200, "it was used less than two hours ago");
    timed.time.pass(2 * hour);
    timed.pass_minute();
    assert_eq!(ask_for_token(timed.testing(), &timed.client).code(), "invalid_client");
    app::token(timed.testing(), &second);
}

#[test]
fn the_product_says_whether_a_secret_is_safe_to_retire() {
    let timed = Timed::start("");
    let hour = Duration::from_secs(3600);
    let path = format!("/admin/v1/testing/clients/{}/secrets", timed.client.id);
    timed.token();
    let second = timed.operate(&path, "{}");
    let second =
        Registered { secret: second["data"]["client_secret"].as_str().unwrap().to_owned(), ..timed.client.clone() };
    let judged = || timed.shown(&format!("{path}?detail=true"))["data"][0].clone();
    assert_eq!((&judged()["safe_to_retire"], &judged()["last_used_from"]), (&json!(false), &json!("127.0.0.1")));
    timed.time.pass(25 * hour);
    assert_eq!(judged()["safe_to_retire"], false, "nothing else is in use");
    app::token(timed.testing(), &second);
    assert_eq!(judged()["safe_to_retire"], true);
    let evidence = judged()["evidence"].to_string();
    assert!(evidence.contains("25 h ago") && evidence.contains("was used 0 s ago"), "{evidence}");
}

#[test]
fn a_token_answer_tells_that_its_secret_expires_soon() {
    let timed = Timed::start("");
    let day = Duration::from_secs(86_400);
    let path = format!("/admin/v1/testing/clients/{}/secrets", timed.client.id);
    let made =
        timed.operate(&path, &json!({"expires_at": crate::timed::START.after(20 * day).to_string()}).to_string());
    let dying =
        Registered { secret: made["data"]["client_secret"].as_str().unwrap().to_owned(), ..timed.client.clone() };
    assert_eq!(ask_for_token(timed.testing(), &dying).field("fuuffy-secret-expires"), None);
    timed.time.pass(6 * day);
    let reply = ask_for_token(timed.testing(), &dying);
    assert_eq!(reply.field("fuuffy-secret-expires"), Some("Thu, 04 Feb 2027 08:00:00 GMT"));
    assert_eq!(ask_for_token(timed.testing(), &timed.client).field("fuuffy-secret-expires"), None);
    timed.time.pass(14 * day);
    assert_eq!(ask_for_token(timed.testing(), &dying).code(), "invalid_client");
}

/// A reminder goes out once for each of 14 days, 3 days and a day.
#[test]
fn operators_are_reminded_of_a_secret_that_expires() {
    let hooks = Hooks::start();
    let timed = Timed::start(&hooks.section());
    let (day, id) = (Duration::from_secs(86_400), timed.client.id.clone());
    let path = format!("/admin/v1/testing/clients/{id}/secrets");
    timed.operate(&path, &json!({"expires_at": crate::timed::START.after(20 * day).to_string()}).to_string());
    timed.pass_minute();
    assert_eq!(timed.shown("/admin/v1/testing/alerts")["pagination"]["total"], 0, "it is too early");
    timed.time.pass(6 * day);
    timed.pass_minute();
    timed.pass_minute();
    let taken = hooks.wait_for(1);
    let message = taken[0].json();
    assert_eq!((&message["type"], &message["environment"]), (&json!("secret.expires"), &json!("testing")));
    let data = &message["data"];
    assert_eq!((&data["client_id"], &data["client_name"], &data["days"]), (&json!(id), &json!("Acme"), &json!(14)));
    assert_eq!(data["expires_at"], crate::timed::START.after(20 * day).to_string());
    timed.time.pass(13 * day);
    timed.pass_minute();
    let taken = hooks.wait_for(2);
    assert_eq!(taken[1].json()["data"]["days"], 1, "told once, and the one for three days is past");
    timed.time.pass(2 * day);
    timed.pass_minute();
    let left = timed.shown("/admin/v1/testing/alerts");
    assert_eq!((&left["pagination"]["total"], hooks.taken().len()), (&json!(0), 2), "it has expired");
}

/// Every secret of a busy client is rotated, twice over, and no request is refused.
#[test]
fn a_busy_client_is_rotated_without_one_refused_request() {
    let unlimited = "\n[plans.standard]\nlimits = [\"1000000/s\"]\n";
    let place = Place::new(&(config(Upstream::friendly().address) + unlimited));
    let server = place.serve();
    let client = place.client("testing");
    let (held, stopped) = (parking_lot::Mutex::new(client.clone()), std::sync::atomic::AtomicBool::new(false));
    let calls = std::sync::atomic::AtomicU64::new(0);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    // A caller that fails stops the test, which would wait for it.
    let until = |count: u64| while calls.load(relaxed) < count && !stopped.load(relaxed) {};
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let _stops = StopsAll(&stopped);
                while !stopped.load(relaxed) {
                    let now = held.lock().clone();
                    let token = token(server.testing, &now);
                    for _ in 0..5 {
                        assert_eq!(get(server.testing, "/v1/orders", &token).status, 200);
                    }
                    calls.fetch_add(1, relaxed);
                }
            });
        }
        let _stops = StopsAll(&stopped);
        let all = ["--environment", "testing", "--client", &client.id];
        for _ in 0..2 {
            until(calls.load(relaxed) + 8);
            let old: Vec<Value> = place.done(&[&["secrets", "list"], &all[..]].concat()).as_array().unwrap().clone();
            let added = place.done(&[&["secrets", "add"], &all[..]].concat());
            // The program gets its new secret, and whatever began with the old one ends.
            *held.lock() = Registered { secret: added["client_secret"].as_str().unwrap().to_owned(), ..client.clone() };
            until(calls.load(relaxed) + 8);
            for secret in old.iter().filter(|secret| secret["retired_at"].is_null()) {
                let id = secret["secret_id"].as_str().unwrap();
                place.done(&[&["secrets", "retire", "--secret", id], &all[..]].concat());
            }
        }
        until(calls.load(relaxed) + 8);
        assert!(!stopped.load(relaxed), "a request was refused");
    });
    assert_eq!(ask_for_token(server.testing, &client).code(), "invalid_client", "its first secret is long gone");
}
