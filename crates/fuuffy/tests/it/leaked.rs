//! Secrets and tokens where they do not belong: told of where they are right, and quarantined or revoked where an
//! operator has said so.

mod reports;

use std::net::SocketAddr;

use fuuffy_protocol::{ClientSecret, SecretKind};
use serde_json::{Value, json};

use crate::app::{Place, Registered, Server, ask_for_token, config_with, get, token, token_form};
use crate::hooks::Hooks;
use crate::http1::{Reply, request};
use crate::metrics::scrape;
use crate::own_secrets::{add, ask};
use crate::upstream::Upstream;

/// A place where leaks have these grades, and a server on it.
fn served(grades: &str) -> (Place, Server) {
    served_with(&format!("leaks = {{ {grades} }}"), "")
}

fn served_with(of_environment: &str, more: &str) -> (Place, Server) {
    let place = Place::new(&(config_with(Upstream::friendly().address, of_environment, "") + more));
    let server = place.serve();
    (place, server)
}

/// How often it happened in the testing environment that something leaked and this came of it.
fn count(server: &Server, kind: &str, deed: &str) -> f64 {
    scrape(server)[&format!(r#"fuuffy_leaks_total{{environment="testing",kind="{kind}",deed="{deed}"}}"#)]
}

fn rotator(place: &Place) -> Registered {
    place.client_with("testing", &["--scope", "orders:read", "--allow-rotation"])
}

fn secrets(place: &Place, client: &Registered) -> Value {
    place.done(&["secrets", "list", "--environment", "testing", "--client", &client.id])
}

/// The deeds about a client, the newest first, by name and cause.
fn deeds(place: &Place, client: &Registered) -> Vec<(String, String)> {
    let log = place.done(&["audit", "list", "--environment", "testing", "--client", &client.id]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    log.as_array().unwrap().iter().map(|row| (text(&row["record"]["deed"]), text(&row["record"]["why"]))).collect()
}

fn explained(place: &Place, reply: &Reply) -> String {
    place.done(&["explain", reply.field("x-request-id").unwrap()])["happened"].as_str().unwrap().to_owned()
}

/// A token request as a page in a browser sends it.
fn ask_from_browser(address: SocketAddr, client: &Registered, fields: &[(&str, &str)]) -> Reply {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    request(address, "POST", "/v1/auth/token", &[&form[..], fields].concat(), &token_form(client))
}

#[test]
fn a_quarantined_secret_can_only_replace_itself() {
    let (place, server) = served("url = \"quarantine\"");
    let client = rotator(&place);
    let bearer = token(server.testing, &client);
    let leaks = get(server.testing, &format!("/v1/orders?secret={}", client.secret), &bearer);
    assert_eq!(leaks.status, 200, "the token is not what leaked");
    let refused = ask_for_token(server.testing, &client);
    assert_eq!((refused.status, refused.code().as_str()), (403, "unauthorized_client"));
    assert!(refused.text().contains("can only be used to replace itself"), "{}", refused.text());
    let why = explained(&place, &refused);
    assert!(why.contains("is quarantined") && why.contains("because: it was sent in a URL"), "{why}");
    for path in ["/v1/auth/usage", "/v1/auth/explanations/019b0000-0000-7000-8000-000000000000"] {
        assert_eq!(ask(server.testing, "GET", path, &client).code(), "unauthorized_client", "{path}");
    }
    let shown = ask(server.testing, "GET", "/v1/auth/secrets", &client).json()["data"][0].clone();
    assert!(shown["quarantined_at"].is_string() && shown["status"] == "live", "{shown}");
    let listed = secrets(&place, &client);
    assert!(listed[0]["quarantined_at"].is_string() && listed[0]["exposed_at"].is_string(), "{listed}");
    assert_eq!(deeds(&place, &client)[0], ("secret.quarantined".to_owned(), "it was sent in a URL".to_owned()));
    assert_eq!((count(&server, "secret", "quarantine"), count(&server, "secret", "warn")), (1.0, 0.0));
    // A token has nothing to replace itself by.
    assert_eq!(get(server.testing, &format!("/v1/orders?t={bearer}"), &bearer).code(), "invalid_token");
    assert_eq!((count(&server, "token", "revoke"), count(&server, "secret", "quarantine")), (1.0, 1.0));
    // It lasts.
    assert!(server.stop().success());
    let server = place.serve();
    assert_eq!(ask_for_token(server.testing, &client).status, 403);
    // What it can do, it does once: whoever else has it cannot do so again.
    let new = add(server.testing, &client);
    token(server.testing, &new);
    assert_eq!(ask(server.testing, "POST", "/v1/auth/secrets/confirm", &new).status, 200);
    assert_eq!(ask(server.testing, "POST", "/v1/auth/secrets", &client).code(), "invalid_client");
    assert!(secrets(&place, &client)[0]["retired_at"].is_string());
    token(server.testing, &new);
}

#[test]
fn a_client_that_may_not_rotate_waits_for_its_operator() {
    let (place, server) = served("misplaced = \"quarantine\"");
    let client = place.client("testing");
    assert_eq!(get(server.testing, "/v1/orders", &client.secret).code(), "invalid_token");
    assert_eq!(ask_for_token(server.testing, &client).code(), "unauthorized_client");
    assert_eq!(ask(server.testing, "POST", "/v1/auth/secrets", &client).code(), "unauthorized_client");
    assert_eq!(deeds(&place, &client)[0].1, "it was sent in the place of a token");
    let added = place.done(&["secrets", "add", "--environment", "testing", "--client", &client.id]);
    token(server.testing, &Registered { secret: added["client_secret"].as_str().unwrap().to_owned(), ..client });
}

#[test]
fn what_is_revoked_works_no_more() {
    let (place, server) = served("url = \"revoke\", browser = \"revoke\"");
    let client = place.client("testing");
    let bearer = token(server.testing, &client);
    let refused = get(server.testing, &format!("/v1/orders?access_token={bearer}"), &bearer);
    assert_eq!(refused.code(), "invalid_token", "it is revoked before it is used");
    let why = explained(&place, &refused);
    assert!(why.contains("had been revoked; by the server") && why.contains("it was sent in a URL"), "{why}");
    let refused = ask_from_browser(server.testing, &client, &[("origin", "https://shop.example")]);
    assert_eq!((refused.status, refused.code().as_str()), (401, "invalid_client"));
    assert_eq!(ask_for_token(server.testing, &client).code(), "invalid_client");
    let names: Vec<String> = deeds(&place, &client).into_iter().map(|(deed, _)| deed).collect();
    assert_eq!(names[..2], ["secret.retired", "token.revoked"]);
    assert_eq!((count(&server, "secret", "revoke"), count(&server, "token", "revoke")), (1.0, 1.0));
}

/// Whoever writes something that is not right, or was, takes nothing away from anybody.
#[test]
fn nobody_can_quarantine_a_stranger() {
    let (place, server) = served("url = \"revoke\", browser = \"revoke\", misplaced = \"revoke\"");
    let (client, other) = (place.client("testing"), place.client("production"));
    let mut wrong = client.secret.clone();
    wrong.truncate(30);
    let bearer = token(server.testing, &client);
    for target in [
        format!("/v1/orders?client_id={}&client_secret={wrong}", client.id),
        format!("/v1/orders?client_id={}&client_secret={}", client.id, other.secret),
        format!("/v1/orders?access_token=sk-{}", "0".repeat(32)),
    ] {
        assert_eq!(get(server.testing, &target, &bearer).status, 200, "{target}");
    }
    let stranger = Registered { secret: other.secret.clone(), ..client.clone() };
    let refused = ask_from_browser(server.testing, &stranger, &[("origin", "https://shop.example")]);
    assert_eq!(refused.code(), "invalid_client");
    assert_eq!(get(server.testing, "/v1/orders", &other.secret).code(), "invalid_token");
    token(server.testing, &client);
    token(server.production, &other);
    assert_eq!(get(server.testing, "/v1/orders", &bearer).status, 200);
    assert_eq!(deeds(&place, &client).len(), 1, "it was registered");
    for (kind, deed) in [("secret", "warn"), ("secret", "revoke"), ("token", "revoke")] {
        assert_eq!(count(&server, kind, deed), 0.0, "{kind} {deed}");
    }
}

/// Whoever guesses by URLs learns nothing more once there were too many wrong ones, and nobody loses anything by it.
#[test]
fn guesses_are_limited() {
    let (place, server) = served("url = \"quarantine\"");
    let (client, other) = (place.client("testing"), place.client("testing"));
    let bearer = token(server.testing, &client);
    let presents = |secret: &str| get(server.testing, &format!("/v1/orders?s={secret}"), &bearer).status;
    let unknown = ClientSecret::from_random(SecretKind::Testing, &mut [7; 32]);
    presents(&other.secret);
    assert_eq!(ask_for_token(server.testing, &other).code(), "unauthorized_client");
    for _ in 0..300 {
        presents(unknown.reveal());
    }
    presents(&client.secret);
    assert_eq!(ask_for_token(server.testing, &client).status, 200, "it was not looked up any more");
}

#[test]
fn a_browser_is_known_by_what_no_page_can_leave_out() {
    let (place, server) = served("browser = \"quarantine\"");
    let client = rotator(&place);
    let of_programs: [&[(&str, &str)]; 3] =
        [&[], &[("sec-fetch-mode", "cors")], &[("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0")]];
    for fields in of_programs {
        assert_eq!(ask_from_browser(server.testing, &client, fields).status, 200, "{fields:?}");
    }
    for field in [("origin", "null"), ("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty")] {
        let client = rotator(&place);
        let refused = ask_from_browser(server.testing, &client, &[field]);
        assert_eq!((refused.status, refused.code().as_str()), (403, "unauthorized_client"), "{field:?}");
        assert!(explained(&place, &refused).contains("it was sent by a browser"));
        assert_eq!(ask_for_token(server.testing, &client).status, 403);
    }
}

/// Without a word of the operator everything goes on, and is told.
#[test]
fn by_default_leaks_are_told_and_nothing_stops() {
    let hooks = Hooks::start();
    let (place, server) = served_with("", &hooks.section());
    let client = place.client("testing");
    let bearer = token(server.testing, &client);
    for _ in 0..3 {
        assert_eq!(get(server.testing, &format!("/v1/orders?t={bearer}"), &bearer).status, 200);
        assert_eq!(get(server.testing, &format!("/v1/orders?s={}", client.secret), &bearer).status, 200);
        assert_eq!(get(server.testing, "/v1/orders", &client.secret).status, 401);
        assert_eq!(ask_from_browser(server.testing, &client, &[("origin", "https://a.example")]).status, 200);
    }
    let mut told: Vec<Value> = hooks.wait_for(4).iter().map(|message| message.json()).collect();
    told.sort_by_key(|message| message["data"]["place"].to_string() + &message["type"].to_string());
    let kinds: Vec<_> = told.iter().map(|it| json!([it["type"], it["data"]["place"], it["data"]["grade"]])).collect();
    assert_eq!(
        kinds,
        [
            json!(["secret.leaked", "browser", "warn"]),
            json!(["secret.leaked", "misplaced", "warn"]),
            json!(["secret.leaked", "url", "warn"]),
            json!(["token.leaked", "url", "warn"]),
        ]
    );
    assert!(told.iter().all(|message| message["data"]["client_id"] == client.id));
    let listed = secrets(&place, &client);
    assert!(listed[0]["exposed_at"].is_string() && listed[0].get("quarantined_at").is_none(), "{listed}");
    let lines = place.log().lines().filter(|line| line.contains("was sent in a URL")).count();
    assert_eq!(lines, 2, "once for the token and once for the secret");
    assert_eq!((count(&server, "secret", "warn"), count(&server, "token", "warn")), (9.0, 3.0), "each is counted");
}

/// Whatever comes of it, it is told, and how to go on.
#[test]
fn each_grade_has_its_alert() {
    for (grade, of_token) in [("quarantine", "quarantine"), ("revoke", "revoke")] {
        let hooks = Hooks::start();
        let leaks = format!("leaks = {{ url = {grade:?}, browser = {grade:?}, misplaced = {grade:?} }}");
        let (place, server) = served_with(&leaks, &hooks.section());
        let clients = [(); 3].map(|()| place.client("testing"));
        let bearers = clients.each_ref().map(|client| token(server.testing, client));
        get(server.testing, &format!("/v1/orders?t={}", bearers[0]), &bearers[1]);
        get(server.testing, &format!("/v1/orders?s={}", clients[0].secret), &bearers[1]);
        get(server.testing, "/v1/orders", &clients[1].secret);
        ask_from_browser(server.testing, &clients[2], &[("origin", "https://a.example")]);
        let told = hooks.wait_for(4);
        let mut told: Vec<Value> = told.iter().map(|message| message.json()["data"].clone()).collect();
        told.sort_by_key(|data| data["client_id"].to_string() + &data["secret_id"].to_string());
        for (client, place, is_secret) in
            [(0, "url", true), (0, "url", false), (1, "misplaced", true), (2, "browser", true)]
        {
            let is_meant = |data: &&Value| {
                data["client_id"] == clients[client].id.as_str() && data["secret_id"].is_string() == is_secret
            };
            let data = told.iter().find(is_meant).unwrap_or_else(|| panic!("{place}: {told:?}"));
            let came_of_it = if is_secret { grade } else { of_token };
            assert_eq!((&data["place"], &data["grade"]), (&place.into(), &came_of_it.into()), "{data}");
            let words = data["words"].as_str().unwrap();
            assert!(words.contains("; it ") && !words.contains(&clients[client].secret), "{words}");
        }
    }
}

/// A proxy that says a request came in clear is believed where that was asked for.
#[test]
fn a_token_that_came_to_the_proxy_in_clear_is_revoked_where_that_was_asked_for() {
    for (grade, status) in [("", 200), ("leaks = { plain_http = \"revoke\" }", 401)] {
        let of_environment = format!("tls = \"terminated\"\ntrusted_proxies = [\"127.0.0.1\"]\n{grade}");
        let (place, server) = served_with(&of_environment, "");
        let client = place.client("testing");
        let bearer = format!("Bearer {}", token(server.testing, &client));
        let by = |scheme: &str| {
            let fields = [("authorization", bearer.as_str()), ("x-forwarded-proto", scheme)];
            request(server.testing, "GET", "/v1/orders", &fields, "").status
        };
        assert_eq!(by("https"), 200);
        assert_eq!(by("http, https"), 200, "the last word is the trusted proxy's");
        assert_eq!(by("http"), status, "{grade}");
        assert_eq!(by("https"), status, "{grade}");
    }
}
