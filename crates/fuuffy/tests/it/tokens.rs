//! The token endpoint beyond its errors: both ways to authenticate, scopes, secrets and their lives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::app::{Place, Registered, Server, ask_for_token, config, config_with, get, post_form, token, token_form};
use crate::http1::{Reply, request};
use crate::upstream::Upstream;

fn served() -> (Place, Server) {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    (place, server)
}

fn by_basic(server: &Server, id: &str, secret: &str) -> Reply {
    let field = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let fields = [("content-type", "application/x-www-form-urlencoded"), ("authorization", field.as_str())];
    request(server.testing, "POST", "/v1/auth/token", &fields, "grant_type=client_credentials")
}

fn secrets(place: &Place, client: &Registered) -> Vec<Value> {
    let list = place.done(&["secrets", "list", "--environment", "testing", "--client", &client.id]);
    list.as_array().unwrap().clone()
}

#[test]
fn basic_is_taken_raw_and_form_encoded() {
    let (place, server) = served();
    let client = place.client("testing");
    assert_eq!(by_basic(&server, &client.id, &client.secret).status, 200);
    let encode = |text: &str| text.replace('_', "%5F").replace('-', "%2D");
    assert_eq!(by_basic(&server, &encode(&client.id), &encode(&client.secret)).status, 200);
}

#[test]
fn an_empty_value_is_an_omitted_one_and_unknown_parameters_are_ignored() {
    let (place, server) = served();
    let form = token_form(&place.client("testing")) + "&scope=&audience=everyone&audience=twice";
    assert_eq!(post_form(server.testing, "/v1/auth/token", &form).status, 200);
}

#[test]
fn a_request_may_narrow_its_scope() {
    let (place, server) = served();
    let client = place.client("testing");
    let narrowed = post_form(server.testing, "/v1/auth/token", &(token_form(&client) + "&scope=orders:read"));
    assert_eq!(narrowed.json()["data"].get("scope"), None, "the granted scope is the one asked for");
    let token = narrowed.json()["data"]["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get(server.testing, "/v1/orders", &token).status, 200);
    let bearer = format!("Bearer {token}");
    assert_eq!(request(server.testing, "POST", "/v1/orders", &[("authorization", &bearer)], "{}").status, 403);
    let widened = post_form(server.testing, "/v1/auth/token", &(token_form(&client) + "&scope=orders:read+admin"));
    assert_eq!(widened.code(), "invalid_scope");
}

#[test]
fn a_client_without_scopes_gets_a_token_for_nothing() {
    let (place, server) = served();
    let client = place.client_with("testing", &[]);
    assert_eq!(get(server.testing, "/v1/orders", &token(server.testing, &client)).status, 403);
}

#[test]
fn a_client_has_at_most_three_live_secrets_and_each_counts_its_uses() {
    let (place, server) = served();
    let client = place.client("testing");
    let add = ["secrets", "add", "--environment", "testing", "--client", &client.id];
    let second = place.done(&add);
    place.done(&add);
    let refused = place.command(&add);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("three live secrets"), "{refused:?}");

    let by_second = Registered { id: client.id.clone(), secret: second["client_secret"].as_str().unwrap().to_owned() };
    token(server.testing, &by_second);
    token(server.testing, &by_second);
    token(server.testing, &client);
    let kept = secrets(&place, &client);
    assert_eq!(kept.iter().map(|it| it["use_count"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 0]);
    assert!(kept[1]["last_used_at"].is_string() && kept[2]["last_used_at"].is_null());
    let members: Vec<&String> = kept[0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["secret_id", "created_at", "expires_at", "last_used_at", "use_count", "retired_at"]);

    let id = second["secret_id"].as_str().unwrap();
    place.done(&["secrets", "retire", "--environment", "testing", "--client", &client.id, "--secret", id]);
    assert_eq!(ask_for_token(server.testing, &by_second).code(), "invalid_client");
    assert_eq!(ask_for_token(server.testing, &client).status, 200);
    place.done(&add);
}

#[test]
fn a_right_secret_in_a_url_is_refused_and_marked() {
    let (place, server) = served();
    let client = place.client("testing");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let wrong = format!("/v1/auth/token?client_id={}&client_secret=wrong", client.id);
    assert_eq!(
        request(server.testing, "POST", &wrong, &form, "grant_type=client_credentials").code(),
        "invalid_request"
    );
    assert!(secrets(&place, &client)[0].get("exposed_at").is_none());
    let right = format!("/v1/auth/token?client_secret={}", client.secret);
    let body = format!("grant_type=client_credentials&client_id={}", client.id);
    assert_eq!(request(server.testing, "POST", &right, &form, &body).code(), "invalid_request");
    assert!(secrets(&place, &client)[0]["exposed_at"].is_string());
    let warned = place.log().lines().any(|line| line.contains("was sent in a URL") && line.contains(&client.id));
    assert!(warned, "{}", place.log());
}

#[test]
fn suspending_refuses_tokens_at_once_and_resuming_does_not_revive_them() {
    let (place, server) = served();
    let client = place.client("testing");
    let old = token(server.testing, &client);
    place.done(&["clients", "suspend", "--environment", "testing", &client.id]);
    assert_eq!(get(server.testing, "/v1/orders", &old).code(), "invalid_token");
    assert_eq!(ask_for_token(server.testing, &client).code(), "unauthorized_client");
    place.done(&["clients", "resume", "--environment", "testing", &client.id]);
    assert_eq!(get(server.testing, "/v1/orders", &old).code(), "invalid_token");
    assert_eq!(get(server.testing, "/v1/orders", &token(server.testing, &client)).status, 200);
    place.done(&["clients", "delete", "--environment", "testing", &client.id]);
    assert_eq!(ask_for_token(server.testing, &client).code(), "invalid_client");
    assert_eq!(place.command(&["clients", "show", "--environment", "testing", &client.id]).status.code(), Some(1));
}

#[test]
fn a_clients_own_token_life_is_the_shorter_one() {
    let (place, server) = served();
    let client = place.client_with("testing", &["--token-lifetime", "15m"]);
    assert_eq!(ask_for_token(server.testing, &client).json()["data"]["expires_in"], 900);
    let longer =
        place.command(&["clients", "create", "--environment", "testing", "--name", "x", "--token-lifetime", "2h"]);
    assert_eq!(longer.status.code(), Some(1), "{longer:?}");
}

#[test]
fn an_operator_can_ask_for_longer_tokens() {
    let place = Place::new(&config_with(Upstream::friendly().address, "token_bytes = 32", ""));
    let server = place.serve();
    let token = token(server.testing, &place.client("testing"));
    assert_eq!(token.len(), 3 + 64);
    assert_eq!(get(server.testing, "/v1/orders", &token).status, 200);
}

#[test]
fn secrets_say_their_environment_and_bear_a_checksum() {
    let (place, _server) = served();
    for (environment, prefix) in [("testing", "fsk_test_"), ("production", "fsk_live_")] {
        let secret = place.client(environment).secret;
        let digits = secret.strip_prefix(prefix).unwrap();
        assert_eq!(digits.len(), 43 + 6);
        assert!(digits.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}

/// The key file's current key can be changed; what older keys made still works, and a secret that is used moves on.
#[test]
fn the_key_of_the_digests_can_be_changed() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let (client, idle) = (place.client("testing"), place.client("testing"));
    let old = token(server.testing, &client);
    assert!(server.stop().success());
    let file = place.path("data/pepper.key");
    let first = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("2 {}\n{first}", "ab".repeat(32))).unwrap();
    let server = place.serve();
    assert_eq!(get(server.testing, "/v1/orders", &old).status, 200);
    let new = token(server.testing, &client);
    let later = place.client("testing");
    assert!(server.stop().success());
    std::fs::write(&file, format!("2 {}\n", "ab".repeat(32))).unwrap();
    let server = place.serve();
    assert_eq!(get(server.testing, "/v1/orders", &new).status, 200);
    assert_eq!(ask_for_token(server.testing, &later).status, 200);
    assert_eq!(get(server.testing, "/v1/orders", &old).code(), "invalid_token");
    assert_eq!(ask_for_token(server.testing, &client).status, 200, "it moved on when it was used");
    assert_eq!(ask_for_token(server.testing, &idle).code(), "invalid_client");
}
