//! Drills: each is met so often and no more, by the client that set it and by nobody else, and in
//! production there are none.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::app::{Place, Registered, ask_for_token, config, get, post_form, token, token_form};
use crate::http1::{Reply, request};
use crate::upstream::Upstream;

const DRILLS: &str = "/v1/auth/drills";

fn place() -> Place {
    Place::new(&config(Upstream::friendly().address))
}

fn drills(address: SocketAddr, method: &str, token: &str, body: &str) -> Reply {
    request(address, method, DRILLS, &[("authorization", &format!("Bearer {token}"))], body)
}

fn set(address: SocketAddr, token: &str, drill: &Value) {
    let reply = drills(address, "PUT", token, &drill.to_string());
    assert_eq!(reply.status, 200, "{}", reply.text());
}

fn left(address: SocketAddr, token: &str) -> u64 {
    let reply = drills(address, "GET", token, "");
    assert_eq!((reply.status, reply.field("x-fuuffy-drill")), (200, None), "{}", reply.text());
    reply.json()["data"]["requests_left"].as_u64().unwrap_or(0)
}

/// A drill of three, met three times as `expected` says, while another client meets nothing.
fn is_met_three_times(drill: &str, expected: impl Fn(&Reply, u64)) {
    let place = place();
    let (mine, other) = (place.client("testing"), place.client("testing"));
    let server = place.serve();
    let (my_token, others_token) = (token(server.testing, &mine), token(server.testing, &other));
    let delay = (drill == "slow").then_some(20);
    set(server.testing, &my_token, &json!({"drill": drill, "requests": 3, "delay_ms": delay}));
    for number in 1..=3 {
        assert_eq!(get(server.testing, "/v1/orders", "sk-00000000000000000000000000000000").status, 401);
        assert_eq!(get(server.testing, "/v1/nowhere", &my_token).status, 404);
        let untouched = get(server.testing, "/v1/orders", &others_token);
        assert_eq!((untouched.status, untouched.field("x-fuuffy-drill")), (200, None));
        let met = get(server.testing, "/v1/orders", &my_token);
        assert_eq!(met.field("x-fuuffy-drill"), Some(drill));
        assert!(met.field("x-request-id").is_some());
        expected(&met, number);
        assert_eq!(left(server.testing, &my_token), 3 - number);
    }
    let after = get(server.testing, "/v1/orders", &my_token);
    assert_eq!((after.status, after.field("x-fuuffy-drill")), (200, None));
    assert_eq!(drills(server.testing, "GET", &my_token, "").text(), r#"{"data":null}"#);
}

#[test]
fn expired_is_the_guides_answer() {
    is_met_three_times("expired", |met, _| {
        let expected = r#"{"error":{"code":"invalid_token","message":"The access token expired","details":"Please request a new access token"}}"#;
        assert_eq!((met.status, met.text().as_str()), (401, expected));
        assert!(met.field("www-authenticate").unwrap().contains(r#"error="invalid_token""#));
        assert_eq!(met.field("x-ratelimit-limit"), None, "as without a drill");
    });
}

#[test]
fn revoked_is_what_a_revoked_token_meets() {
    is_met_three_times("revoked", |met, _| {
        let message = met.json()["error"]["message"].clone();
        assert_eq!(
            (met.status, met.code(), message),
            (401, "invalid_token".into(), "The access token is invalid".into())
        );
    });
}

#[test]
fn rate_limited_is_429_with_a_wait_and_the_limits() {
    is_met_three_times("rate-limited", |met, _| {
        assert_eq!((met.status, met.code().as_str()), (429, "rate_limit_exceeded"));
        assert_eq!((met.field("retry-after"), met.field("x-ratelimit-limit")), (Some("1"), Some("100")));
        assert!(met.field("ratelimit").is_some());
    });
}

#[test]
fn flaky_fails_every_other_time() {
    is_met_three_times("flaky", |met, number| {
        assert_eq!(met.status, if number % 2 == 1 { 502 } else { 200 });
        assert!(number % 2 == 0 || met.code() == "bad_gateway");
    });
}

#[test]
fn slow_is_forwarded() {
    is_met_three_times("slow", |met, _| {
        assert_eq!((met.status, met.text().as_str()), (200, r#"{"data":[]}"#));
    });
}

/// Taken from the client's own clock: no answer can come before the delay is over.
#[test]
fn slow_is_late() {
    let place = place();
    let client = place.client("testing");
    let server = place.serve();
    let bearer = token(server.testing, &client);
    set(server.testing, &bearer, &json!({"drill": "slow", "delay_ms": 300}));
    let asked = tokio::time::Instant::now();
    assert_eq!(get(server.testing, "/v1/orders", &bearer).status, 200);
    assert!(asked.elapsed().as_millis() >= 300, "{:?}", asked.elapsed());
}

#[test]
fn auth_down_is_met_by_token_requests_with_the_right_secret_alone() {
    let place = place();
    let (mine, other) = (place.client("testing"), place.client("testing"));
    let server = place.serve();
    let bearer = token(server.testing, &mine);
    set(server.testing, &bearer, &json!({"drill": "auth-down", "requests": 2}));
    let stranger = Registered { secret: other.secret.clone(), ..mine.clone() };
    for number in 1..=2 {
        assert_eq!(ask_for_token(server.testing, &stranger).code(), "invalid_client");
        assert_eq!(ask_for_token(server.testing, &other).status, 200);
        assert_eq!(get(server.testing, "/v1/orders", &bearer).status, 200, "a token that lives works on");
        let path = if number == 1 { "/v1/auth/token" } else { "/oauth/token" };
        let met = post_form(server.testing, path, &token_form(&mine));
        assert_eq!((met.status, met.field("retry-after")), (503, Some("1")), "{}", met.text());
        assert_eq!(met.field("x-fuuffy-drill"), Some("auth-down"));
        let code = if number == 1 { met.code() } else { met.json()["error"].as_str().unwrap().to_owned() };
        assert_eq!(code, "service_unavailable");
        assert_eq!(left(server.testing, &bearer), 2 - number);
    }
    let granted = ask_for_token(server.testing, &mine);
    assert_eq!((granted.status, granted.field("x-fuuffy-drill")), (200, None));
}

#[test]
fn a_drill_is_seen_replaced_and_ended() {
    let place = place();
    let (mine, other) = (place.client("testing"), place.client("testing"));
    let server = place.serve();
    let (my_token, others_token) = (token(server.testing, &mine), token(server.testing, &other));
    let told = drills(server.testing, "PUT", &my_token, r#"{"drill":"expired"}"#).json();
    assert_eq!((&told["data"]["drill"], &told["data"]["requests_left"]), (&json!("expired"), &json!(1)));
    let told = drills(server.testing, "PUT", &my_token, r#"{"drill":"slow","requests":1000}"#).json();
    assert_eq!((&told["data"]["requests_left"], &told["data"]["delay_ms"]), (&json!(1000), &json!(3000)));
    assert_eq!(drills(server.testing, "GET", &my_token, "").json(), told);
    assert_eq!(drills(server.testing, "GET", &others_token, "").text(), r#"{"data":null}"#);
    drills(server.testing, "DELETE", &others_token, "");
    assert_eq!(left(server.testing, &my_token), 1000, "nobody ends another client's");
    let ended = drills(server.testing, "DELETE", &my_token, "");
    assert_eq!((ended.status, ended.text().as_str()), (200, r#"{"data":null}"#));
    assert_eq!(get(server.testing, "/v1/orders", &my_token).field("x-fuuffy-drill"), None);
}

#[test]
fn in_production_there_is_no_such_path() {
    let place = place();
    let client = place.client("production");
    let server = place.serve();
    let bearer = token(server.production, &client);
    let unknown = request(server.production, "GET", "/v1/auth/nothing", &[], "");
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let reply = drills(server.production, method, &bearer, r#"{"drill":"expired"}"#);
        assert_eq!((reply.status, reply.text()), (404, unknown.text()), "{method}");
    }
    assert_eq!(get(server.production, "/v1/orders", &bearer).status, 200);
    assert_eq!(ask_for_token(server.production, &client).status, 200);
}

#[test]
fn what_is_no_drill_is_refused_in_words() {
    let place = place();
    let client = place.client("testing");
    let foreign = place.client("production");
    let server = place.serve();
    let bearer = token(server.testing, &client);
    let details = |body: &str| {
        let reply = drills(server.testing, "PUT", &bearer, body);
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"), "{body}: {}", reply.text());
        reply.json()["error"]["details"].as_str().unwrap().to_owned()
    };
    for body in [
        "",
        "{",
        "[]",
        r#"["expired",1,null]"#,
        "null",
        "nonsense",
        "\u{0}",
        "{}",
        r#"{"drill":1}"#,
        r#"{"drill":"slow","requests":-1}"#,
        r#"{"drill":"slow","requests":1.5}"#,
        r#"{"drill":"slow","count":1}"#,
    ] {
        assert!(details(body).contains("delay_ms as whole numbers"), "{body}");
    }
    for drill in ["", "Expired", "rate_limited", "all"] {
        assert!(details(&json!({"drill": drill}).to_string()).contains("auth-down, slow and flaky"), "{drill}");
    }
    for requests in [0, 1001, u64::MAX] {
        let body = json!({"drill": "expired", "requests": requests}).to_string();
        assert!(details(&body).contains("from 1 to 1000"), "{requests}");
    }
    for body in [r#"{"drill":"slow","delay_ms":30001}"#, r#"{"drill":"flaky","delay_ms":1}"#] {
        assert!(details(body).contains("up to 30000"), "{body}");
    }
    let large = drills(server.testing, "PUT", &bearer, &" ".repeat(9 * 1024));
    assert_eq!((large.status, large.code().as_str()), (413, "payload_too_large"));
    let wrong = drills(server.testing, "POST", &bearer, r#"{"drill":"expired"}"#);
    assert_eq!((wrong.status, wrong.field("allow")), (405, Some("GET, PUT, DELETE")));
    assert_eq!(request(server.testing, "GET", DRILLS, &[], "").code(), "missing_token");
    let stranger = token(server.production, &foreign);
    for unknown in ["sk-00000000000000000000000000000000", "nonsense", &stranger] {
        assert_eq!(drills(server.testing, "PUT", unknown, r#"{"drill":"expired"}"#).code(), "invalid_token");
    }
    assert_eq!(left(server.testing, &bearer), 0, "nothing of all that was set");
    assert_eq!(get(server.testing, "/v1/orders", &bearer).field("x-fuuffy-drill"), None);
}
