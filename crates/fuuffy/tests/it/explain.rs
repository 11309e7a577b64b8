//! Every refusal has its explanation: for operators all of them, for a client those of its own requests.

mod command;
mod deeds;
mod file;
mod heads;
mod lookups;
mod moments;
mod upstreams;

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use base64::Engine as _;
use serde_json::Value;

use crate::app::{
    BINARY, Place, Registered, Server, ask_for_token, config, config_with, get, post_form, token, token_form,
};
use crate::http1::{Reply, request};
use crate::ports::free;
use crate::upstream::Upstream;

fn served() -> (Place, Server) {
    served_with(Upstream::friendly().address, "max_body = 10\n")
}

fn served_with(upstream: SocketAddr, of_route: &str) -> (Place, Server) {
    served_as(&config_with(upstream, "", of_route))
}

fn served_as(config: &str) -> (Place, Server) {
    let place = Place::new(config);
    let server = place.serve();
    (place, server)
}

fn id(reply: &Reply) -> &str {
    reply.field("x-request-id").unwrap()
}

/// What an operator is told.
fn explained(place: &Place, reply: &Reply) -> Value {
    place.done(&["explain", id(reply)])
}

pub(crate) fn happened(place: &Place, reply: &Reply) -> String {
    let explanation = explained(place, reply);
    assert_eq!(explanation["status"], reply.status);
    assert_eq!(explanation["request_id"], id(reply));
    assert!(!explanation["advice"].as_str().unwrap().is_empty());
    explanation["happened"].as_str().unwrap().to_owned()
}

pub(crate) fn by_secret(address: SocketAddr, client: &Registered, of: &Reply) -> Reply {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", client.id, client.secret));
    let path = format!("/v1/auth/explanations/{}", id(of));
    request(address, "GET", &path, &[("authorization", &format!("Basic {basic}"))], "")
}

/// A token request by this secret.
fn with_secret(address: SocketAddr, client: &Registered, secret: &str) -> Reply {
    ask_for_token(address, &Registered { id: client.id.clone(), secret: secret.to_owned() })
}

fn by_token(address: SocketAddr, token: &str, of: &Reply) -> Reply {
    get(address, &format!("/v1/auth/explanations/{}", id(of)), token)
}

#[test]
fn refusals_of_tokens_say_what_was_wrong_with_them() {
    let (place, server) = served();
    let client = place.client("testing");
    let good = token(server.testing, &client);
    let with = |field: &str| request(server.testing, "GET", "/v1/orders", &[("authorization", field)], "");
    for (field, said) in [
        (format!("Bearer Bearer {good}"), "The word Bearer stood there twice"),
        (format!("Bearer \"{good}\""), "quotation marks"),
        (format!("Bearer {good}%0A"), "line break"),
        (format!("Bearer {}", client.secret), "A client secret of the testing environment was sent as a token"),
        ("Bearer sk-12".to_owned(), "too long or too short"),
        ("Bearer sk-00000000000000000000000000000000".to_owned(), "Nobody knows the token here"),
        ("Basic eDp5".to_owned(), "An access token is required"),
    ] {
        let refused = with(&field);
        assert_eq!(refused.status, 401, "{field}");
        let told = happened(&place, &refused);
        assert!(told.contains(said), "{field}: {told}");
        assert_eq!(by_secret(server.testing, &client, &refused).code(), "not_found", "nobody's own: {field}");
    }
    assert_eq!(with(&format!("Bearer {good}")).status, 200);
    let files = std::fs::read_dir(place.path("data"))
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap_or_default());
    for bytes in files {
        let has = |text: &str| bytes.windows(text.len()).any(|it| it == text.as_bytes());
        assert!(!has(&good) && !has(&client.secret), "neither a token nor a secret is in any file");
    }
}

#[test]
fn a_revoked_token_is_told_by_whom_and_why_to_its_own_client_alone() {
    let (place, server) = served();
    let (client, other) = (place.client("testing"), place.client("testing"));
    let (old, others) = (token(server.testing, &client), token(server.testing, &other));
    place.done(&["tokens", "revoke", "--environment", "testing", "--client", &client.id, "--why", "it was in a log"]);
    let refused = get(server.testing, "/v1/orders", &old);
    let told = happened(&place, &refused);
    assert!(told.contains("All tokens of the client had been revoked") && told.contains("it was in a log"), "{told}");
    let new = token(server.testing, &client);
    for own in [by_token(server.testing, &new, &refused), by_secret(server.testing, &client, &refused)] {
        assert_eq!((own.status, own.field("cache-control")), (200, Some("no-store")));
        assert_eq!(own.json()["data"]["happened"], told.as_str());
    }
    let foreign = by_token(server.testing, &others, &refused);
    assert_eq!((foreign.status, foreign.code().as_str()), (404, "not_found"));
    let never = request(
        server.testing,
        "GET",
        "/v1/auth/explanations/nonsense",
        &[("authorization", &format!("Bearer {others}"))],
        "",
    );
    assert_eq!(never.body, foreign.body, "as of one that never was");
    assert_eq!(by_token(server.testing, "sk-12", &refused).status, 401);
    place.done(&["clients", "suspend", "--environment", "testing", &client.id, "--why", "invoice 42"]);
    let refused = get(server.testing, "/v1/orders", &new);
    assert!(happened(&place, &refused).contains("invoice 42"));
    assert_eq!(by_secret(server.testing, &client, &refused).status, 200, "a suspended client may ask why");
    assert_eq!(by_secret(server.production, &client, &refused).status, 401);
}

#[test]
fn refusals_of_the_token_endpoint_are_told_apart() {
    let (place, server) = served();
    let client = place.client("testing");
    let production = place.client("production");
    let wrong = |secret: &str| with_secret(server.testing, &client, secret);
    let nobody = ask_for_token(server.testing, &Registered { id: "app_nobody".to_owned(), secret: "x".to_owned() });
    assert_eq!(happened(&place, &nobody), "There is no client of that id in this environment");
    assert_eq!(happened(&place, &wrong("fsk_test_x")), "The secret is none of that client's");
    assert_eq!(happened(&place, &wrong(&production.secret)), "The secret looks like one of the other environment");
    let scope = post_form(server.testing, "/v1/auth/token", &(token_form(&client) + "&scope=orders:burn"));
    assert!(happened(&place, &scope).contains("it may have \"orders:read orders:write\"") && scope.status == 400);
    let grant = post_form(server.testing, "/v1/auth/token", "grant_type=password");
    assert_eq!(happened(&place, &grant), "The grant type is not supported");
    let added = place.done(&["secrets", "add", "--environment", "testing", "--client", &client.id]);
    let secret = added["secret_id"].as_str().unwrap();
    place.done(&[
        "secrets",
        "retire",
        "--environment",
        "testing",
        "--client",
        &client.id,
        "--secret",
        secret,
        "--why",
        "leaked",
    ]);
    let retired = wrong(added["client_secret"].as_str().unwrap());
    let told = happened(&place, &retired);
    assert!(told.contains(secret) && told.contains("leaked"), "{told}");
    assert_eq!(by_secret(server.testing, &client, &retired).status, 200);
    let may_not = request(
        server.testing,
        "POST",
        "/v1/auth/secrets",
        &[(
            "authorization",
            &format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", client.id, client.secret))
            ),
        )],
        "",
    );
    assert!(happened(&place, &may_not).contains("may not rotate"));
    place.done(&["clients", "suspend", "--environment", "testing", &client.id, "--why", "invoice 42"]);
    let suspended = ask_for_token(server.testing, &client);
    assert!(happened(&place, &suspended).contains("suspended") && happened(&place, &suspended).contains("invoice 42"));
}

#[test]
fn refusals_of_the_gateway_are_told_apart() {
    let (place, server) = served();
    let client = place.client_with("testing", &["--scope", "orders:read"]);
    let bearer = format!("Bearer {}", token(server.testing, &client));
    let ask = |method: &str, path: &str, body: &str| {
        request(server.testing, method, path, &[("authorization", &bearer), ("host", "localhost")], body)
    };
    let scope = ask("POST", "/v1/orders", "x");
    assert_eq!(
        happened(&place, &scope),
        "The route needs the scope \"orders:write\", and the token has \"orders:read\""
    );
    assert_eq!(by_secret(server.testing, &client, &scope).status, 200);
    let nowhere = ask("GET", "/v1/nothing", "");
    assert_eq!(happened(&place, &nowhere), "There is no such route");
    assert_eq!(by_secret(server.testing, &client, &nowhere).status, 200, "its own, though refused before its token");
    assert!(happened(&place, &ask("GET", "/v1/orders/../x", "")).contains("more than one way"));
    assert!(happened(&place, &ask("TRACE", "/v1/orders", "")).contains("does not take that method"));
    let secret = ask("GET", &format!("/v1/nothing/{}/x", client.secret), "");
    assert_eq!(explained(&place, &secret)["path"], "/v1/nothing/…/x");
    let escaped = ask("GET", &format!("/v1/nothing/{}/x", client.secret.replace('_', "%5F")), "");
    assert_eq!(explained(&place, &escaped)["path"], "/v1/nothing/…/x");
    let large = ask("GET", "/v1/orders?secret=hidden", "01234567890");
    assert_eq!(
        (large.status, explained(&place, &large)["path"].as_str()),
        (413, Some("/v1/orders")),
        "without the query"
    );
    let long = ask("GET", &format!("/{}", "x".repeat(9000)), "");
    assert_eq!((long.status, happened(&place, &long).as_str()), (414, "The request target is too long"));
    let elsewhere =
        request(server.testing, "GET", "/v1/orders", &[("host", "example.org"), ("authorization", &bearer)], "");
    assert!(happened(&place, &elsewhere).contains("does not serve that host") && elsewhere.status == 421);
    assert_eq!(by_secret(server.testing, &client, &elsewhere).status, 200);
    let production = place.command(&["explain", id(&scope), "--environment", "production"]);
    assert_eq!(production.status.code(), Some(1), "another environment's");
}

#[test]
fn limits_and_upstreams_are_named() {
    let gone = free();
    let (place, server) = served_as(&(config(gone) + "\n[plans.standard]\nlimits = [\"1/h\"]\n"));
    let client = place.client("testing");
    let bearer = token(server.testing, &client);
    let failed = get(server.testing, "/v1/orders", &bearer);
    assert_eq!(
        (failed.status, happened(&place, &failed)),
        (502, format!("The upstream {gone} refused the connection"))
    );
    let own = by_secret(server.testing, &client, &failed).json()["data"].clone();
    assert_eq!(own["happened"], "The API behind the gateway refused the connection");
    assert!(!own.to_string().contains(&gone.to_string()), "where the API is, is no client's business: {own}");
    let limited = get(server.testing, "/v1/orders", &bearer);
    let told = happened(&place, &limited);
    assert!(limited.status == 429 && told.contains("1/h of its plan \"standard\", until 20"), "{told}");
    assert_eq!(by_secret(server.testing, &client, &limited).status, 200);
}

#[test]
fn explanations_survive_a_kill_and_reach_an_integrator_by_the_command() {
    let (place, server) = served();
    let client = place.client_with("testing", &["--scope", "orders:read"]);
    let bearer = format!("Bearer {}", token(server.testing, &client));
    let refused = request(server.testing, "POST", "/v1/orders", &[("authorization", &bearer)], "x");
    // What was read is on disk.
    let told = happened(&place, &refused);
    server.kill();
    assert_eq!(happened(&place, &refused), told, "without a server, too");
    let server = place.serve();
    let output = Command::new(BINARY)
        .args(["explain", id(&refused)])
        .current_dir(place.path("data"))
        .env_clear()
        .env("FUUFFY_CLIENT_ID", &client.id)
        .env("FUUFFY_CLIENT_SECRET", &client.secret)
        .env("FUUFFY_BASE_URL", format!("http://{}/v1", server.testing))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && words.starts_with(&format!("{told}.\n")), "{words}");
    assert!(words.contains("POST /v1/orders was answered with 403 insufficient_scope"), "{words}");
    assert_eq!(place.command(&["explain", "nonsense"]).status.code(), Some(2));
    assert_eq!(place.command(&["explain", "0196f2d4-8c1e-7b3a-9d2f-3f6a8f1f2c4e"]).status.code(), Some(1));
}
