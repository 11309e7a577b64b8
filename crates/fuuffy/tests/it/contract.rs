//! Every row of the contract's table of errors, body and header fields, wherever it can happen. The
//! snapshots are what callers rely on.

use std::fmt::Write as _;

use insta::assert_snapshot;

use crate::app::{Place, Registered, ask_for_token, config_with, get, post_form, token, token_form};
use crate::http1::{Connection, Reply, exchange, message, request};
use crate::upstream::{Act, Upstream, ok};

/// An answer as callers see it, without what differs from run to run; that is checked here instead.
fn shown(reply: &Reply) -> String {
    let id = reply.field("x-request-id").expect("every answer has an id");
    assert!(id.len() == 36 && id.as_bytes()[14] == b'7', "{id} is no UUID of version 7");
    let mut fields: Vec<String> = reply
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id" | "content-length"))
        .map(|(name, value)| match name.as_str() {
            "x-ratelimit-reset" | "retry-after" => {
                assert!(value.parse::<u64>().is_ok(), "{name}: {value}");
                format!("{name}: [number]")
            }
            "ratelimit" => {
                // Each window ends with its seconds.
                let windows = value.split(", ").map(|window| window.rsplit_once(";t=").expect("a reset").0);
                format!("{name}: {}", windows.map(|it| format!("{it};t=[number]")).collect::<Vec<_>>().join(", "))
            }
            _ => format!("{name}: {value}"),
        })
        .collect();
    fields.sort();
    format!("{}\n{}\n\n{}\n", reply.status, fields.join("\n"), reply.text())
}

/// A heading and an answer for each row.
#[derive(Default)]
struct Rows(String);

impl Rows {
    fn add(&mut self, what: &str, reply: &Reply) {
        let _ = writeln!(self.0, "## {what}\n{}", shown(reply));
    }
}

fn form(client: &Registered, changes: &[(&str, Option<&str>)]) -> String {
    let mut fields = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", client.id.clone()),
        ("client_secret", client.secret.clone()),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        if let Some(value) = value {
            fields.push((name, (*value).to_owned()));
        }
    }
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn basic(id: &str, secret: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

fn token_rows(path: &str) -> String {
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    let place = Place::new(&config_with(Upstream::friendly().address, "", ""));
    let server = place.serve();
    let client = place.client("testing");
    let suspended = place.client("testing");
    place.done(&["clients", "suspend", "--environment", "testing", &suspended.id]);
    let wrong = "fsk_test_0000000000000000000000000000000000000000000";
    let to = server.testing;
    let post = |text: &str| post_form(to, path, text);
    let mut rows = Rows::default();

    rows.add(
        "400 invalid_request: wrong content type",
        &request(to, "POST", path, &[("content-type", "application/json")], "{}"),
    );
    rows.add("400 invalid_request: malformed form", &post("grant_type=%zz"));
    rows.add("400 invalid_request: repeated parameter", &post(&(form(&client, &[]) + "&client_id=again")));
    rows.add("400 invalid_request: no grant_type", &post(&form(&client, &[("grant_type", Some(""))])));
    let both = basic(&client.id, &client.secret);
    rows.add(
        "400 invalid_request: both methods",
        &request(to, "POST", path, &[FORM, ("authorization", &both)], &form(&client, &[])),
    );
    let target = format!("{path}?client_id={}&client_secret={}", client.id, client.secret);
    rows.add(
        "400 invalid_request: credentials in the query",
        &request(to, "POST", &target, &[FORM], "grant_type=client_credentials"),
    );
    rows.add("400 invalid_request: ambiguous framing", &exchange(to, format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")));
    rows.add("400 unsupported_grant_type", &post(&form(&client, &[("grant_type", Some("password"))])));
    rows.add("400 invalid_scope", &post(&form(&client, &[("scope", Some("orders:delete"))])));
    rows.add("400 invalid_target", &post(&form(&client, &[("resource", Some("https://elsewhere.example"))])));
    let unknown = post(&form(&client, &[("client_id", Some("app_nobody"))]));
    rows.add("401 invalid_client: unknown client", &unknown);
    let mistaken = post(&form(&client, &[("client_secret", Some(wrong))]));
    assert_eq!(shown(&unknown), shown(&mistaken), "an unknown client and a wrong secret can be told apart");
    let suspended_mistaken = post(&form(&suspended, &[("client_secret", Some(wrong))]));
    assert_eq!(shown(&unknown), shown(&suspended_mistaken), "a suspended client's wrong secret can be told apart");
    rows.add("401 invalid_client: none sent", &post("grant_type=client_credentials"));
    rows.add(
        "401 invalid_client: by Basic",
        &request(
            to,
            "POST",
            path,
            &[FORM, ("authorization", &basic(&client.id, wrong))],
            "grant_type=client_credentials",
        ),
    );
    rows.add("403 unauthorized_client: suspended", &post(&form(&suspended, &[])));
    rows.add("405 method_not_allowed", &request(to, "GET", path, &[], ""));
    rows.add("413 payload_too_large", &post(&("x".repeat(8 * 1024) + "=1")));
    rows.add("414 uri_too_long", &request(to, "POST", &format!("{path}?{}", "x".repeat(9000)), &[FORM], ""));
    rows.add(
        "421 misdirected_request",
        &request(to, "POST", path, &[FORM, ("host", "elsewhere.example")], &form(&client, &[])),
    );
    rows.add(
        "431 headers_too_large",
        &request(to, "POST", path, &[FORM, ("x-long", &"x".repeat(17_000))], &form(&client, &[])),
    );
    for _ in 0..300 {
        post(&form(&client, &[("client_secret", Some("wrong"))]));
    }
    rows.add(
        "429 rate_limit_exceeded: too many wrong secrets",
        &post(&form(&client, &[("client_secret", Some("wrong"))])),
    );
    assert_eq!(post(&form(&client, &[])).status, 200, "the right secret is locked out");
    rows.0
}

#[test]
fn the_guides_token_endpoint() {
    assert_snapshot!("token_guide", token_rows("/v1/auth/token"));
}

#[test]
fn the_standards_token_endpoint() {
    assert_snapshot!("token_standard", token_rows("/oauth/token"));
}

#[test]
fn the_gateway() {
    let upstream = Upstream::start(|seen, _| match seen.target.as_str() {
        "/v1/orders/broken" => Act::AnswerAndClose(b"nonsense\r\n\r\n".to_vec()),
        "/v1/orders/silent" => Act::Silence,
        _ => Act::Answer(ok(r#"{"data":[]}"#)),
    });
    let place = Place::new(
        &config_with(upstream.address, "[environments.NAME.limits]\nmax_body = 1000", "response_timeout = \"200ms\"")
            .replace(
                "[environments.testing]\nlisten = \"127.0.0.1:0\"\n[environments.NAME.limits]",
                "[environments.testing]\nlisten = \"127.0.0.1:0\"\n[environments.testing.limits]",
            )
            .replace("NAME", "production"),
    );
    let server = place.serve();
    let to = server.testing;
    let client = place.client("testing");
    let bearer = format!("Bearer {}", token(to, &client));
    let reader = token(to, &place.client_with("testing", &["--scope", "orders:read"]));
    let authorised =
        |method: &str, target: &str, body: &str| request(to, method, target, &[("authorization", &bearer)], body);
    let mut rows = Rows::default();

    rows.add("200", &authorised("GET", "/v1/orders", ""));
    rows.add(
        "400 invalid_request: two Authorization fields",
        &request(to, "GET", "/v1/orders", &[("authorization", &bearer), ("authorization", &bearer)], ""),
    );
    rows.add("400 invalid_request: ambiguous path", &authorised("GET", "/v1/orders/../secrets", ""));
    rows.add(
        "400 invalid_request: ambiguous framing",
        &exchange(to, "GET /v1/orders HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n"),
    );
    rows.add("400 invalid_request: not HTTP", &exchange(to, "nonsense\r\n\r\n"));
    rows.add(
        "400 invalid_request: upgrade on a route that does not allow it",
        &request(
            to,
            "GET",
            "/v1/orders",
            &[("authorization", &bearer), ("connection", "upgrade"), ("upgrade", "websocket")],
            "",
        ),
    );
    rows.add("401 missing_token", &request(to, "GET", "/v1/orders", &[], ""));
    rows.add(
        "401 missing_token: a token in the query is none",
        &request(to, "GET", "/v1/orders?access_token=sk-418e41a74ca2e7d941fa4456d73dbed7", &[], ""),
    );
    rows.add("401 invalid_token: malformed", &get(to, "/v1/orders", "sk-short"));
    rows.add("401 invalid_token: unknown", &get(to, "/v1/orders", "sk-418e41a74ca2e7d941fa4456d73dbed7"));
    rows.add(
        "403 insufficient_scope",
        &request(to, "POST", "/v1/orders", &[("authorization", &format!("Bearer {reader}"))], "{}"),
    );
    rows.add("404 not_found", &authorised("GET", "/v1/elsewhere", ""));
    rows.add("413 payload_too_large", &authorised("POST", "/v1/orders", &"x".repeat(1001)));
    rows.add("414 uri_too_long", &authorised("GET", &format!("/v1/orders?{}", "x".repeat(9000)), ""));
    rows.add(
        "421 misdirected_request",
        &request(to, "GET", "/v1/orders", &[("authorization", &bearer), ("host", "elsewhere.example")], ""),
    );
    rows.add(
        "431 headers_too_large",
        &request(to, "GET", "/v1/orders", &[("authorization", &bearer), ("x-long", &"x".repeat(17_000))], ""),
    );
    rows.add("502 bad_gateway", &authorised("GET", "/v1/orders/broken", ""));
    rows.add("504 gateway_timeout", &authorised("GET", "/v1/orders/silent", ""));
    let mut connection = Connection::open(to);
    let limited = (0..200)
        .map(|_| {
            connection.send(message(to, "GET", "/v1/orders", &[("authorization", &bearer)], ""));
            connection.reply().expect("an answer")
        })
        .find(|reply| reply.status == 429)
        .expect("the plan's hundred a minute holds");
    rows.add("429 rate_limit_exceeded", &limited);
    assert_snapshot!("gateway", rows.0);
}

/// The guide's own two answers, to the byte.
#[test]
fn the_guides_answers_are_exact() {
    let place = Place::new(&config_with(Upstream::friendly().address, "", ""));
    let server = place.serve();
    let client = place.client("testing");
    let reply = ask_for_token(server.testing, &client);
    let body = reply.text();
    let token = &body[r#"{"data":{"access_token":""#.len()..][..35];
    assert_eq!(body, format!(r#"{{"data":{{"access_token":"{token}","token_type":"Bearer","expires_in":3600}}}}"#));
    assert!(
        token
            .strip_prefix("sk-")
            .is_some_and(|digits| digits.bytes().all(|it| it.is_ascii_hexdigit() && !it.is_ascii_uppercase()))
    );
    assert_eq!(reply.field("content-type"), Some("application/json"));
    assert_eq!(reply.field("cache-control"), Some("no-store"));
    let standard = post_form(server.testing, "/oauth/token", &token_form(&client)).json();
    assert_eq!(standard["token_type"], "Bearer");
    assert_eq!(standard["expires_in"], 3600);
    assert!(standard.get("data").is_none());
}

/// Neither a token nor a secret of one environment is anything in the other.
#[test]
fn the_environments_refuse_each_other() {
    let place = Place::new(&config_with(Upstream::friendly().address, "", ""));
    let server = place.serve();
    for (environment, here, there) in
        [("testing", server.testing, server.production), ("production", server.production, server.testing)]
    {
        let client = place.client(environment);
        let token = token(here, &client);
        assert_eq!(get(here, "/v1/orders", &token).status, 200);
        let refused = get(there, "/v1/orders", &token);
        assert_eq!((refused.status, refused.code().as_str()), (401, "invalid_token"));
        let refused = ask_for_token(there, &client);
        assert_eq!((refused.status, refused.code().as_str()), (401, "invalid_client"));
    }
}
