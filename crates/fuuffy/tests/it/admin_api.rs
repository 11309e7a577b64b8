//! The operators' API over HTTP, as an operator's program meets it: with a token, on the admin listener.

mod bad_input;
mod conditions;
mod described;
mod lost_answers;
mod roles;

use std::collections::HashMap;
use std::process::{Command, Output};

use serde_json::Value;

use crate::app::{BINARY, Place, Registered, Server, config_with, token};
use crate::http1::{Reply, request};
use crate::upstream::Upstream;

/// A server, and how to ask it.
pub(crate) struct Desk {
    pub(crate) place: Place,
    pub(crate) server: Server,
    _upstream: Upstream,
}

impl Desk {
    pub(crate) fn open() -> Self {
        let upstream = Upstream::friendly();
        let place = Place::new(&config_with(upstream.address, "token_lifetime = \"24h\"", ""));
        let server = place.serve();
        Self { place, server, _upstream: upstream }
    }

    fn restart(self) -> Self {
        assert!(self.server.stop().success());
        Self { server: self.place.serve(), ..self }
    }

    /// An operator with these scopes.
    pub(crate) fn operator(&self, scope: &str) -> Registered {
        let made = self.place.done(&[
            "operators",
            "create",
            "--environment",
            "testing",
            "--name",
            "Night shift",
            "--scope",
            scope,
        ]);
        let member = |name: &str| made[name].as_str().unwrap().to_owned();
        Registered { id: member("client_id"), secret: member("client_secret") }
    }

    /// A token of a new operator with these scopes.
    pub(crate) fn token(&self, scope: &str) -> String {
        token(self.server.testing, &self.operator(scope))
    }

    /// A token of a new operator that may do everything.
    pub(crate) fn master(&self) -> String {
        self.token(&fuuffy_admin::SCOPES.join(" "))
    }

    /// Asks by a token of the testing environment. `If-Match: *` unless the fields say otherwise.
    pub(crate) fn ask(&self, token: &str, what: &str, fields: &[(&str, &str)], body: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        let mut all = vec![("authorization", bearer.as_str())];
        if !fields.iter().any(|(name, _)| *name == "if-match") {
            all.push(("if-match", "*"));
        }
        all.extend(fields.iter().filter(|(_, value)| !value.is_empty()));
        self.ask_with(what, &all, body)
    }

    /// Asks with these fields alone.
    pub(crate) fn ask_with(&self, what: &str, fields: &[(&str, &str)], body: &str) -> Reply {
        let (method, path) = what.split_once(' ').unwrap();
        let reply = request(self.server.admin, method, &format!("/admin/v1/testing{path}"), fields, body);
        assert_eq!(reply.field("x-request-id").map(str::len), Some(36), "{what}");
        reply
    }

    /// The records of the audit log of one kind, the newest first.
    pub(crate) fn audit(&self, deed: &str) -> Vec<Value> {
        let all = self.place.done(&["audit", "list", "--environment", "testing"]);
        let records = all.as_array().unwrap().iter().map(|row| row["record"].clone());
        records.filter(|record| record["deed"] == deed).collect()
    }
}

/// What a refusal said.
pub(crate) fn refused(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

/// The audit log knows a deed by the id that its answer bore, and who did it and from where.
#[test]
fn an_answer_bears_the_id_that_the_audit_log_has() {
    let desk = Desk::open();
    let operator = desk.operator("admin:clients:write");
    let bearer = token(desk.server.testing, &operator);
    let made = desk.ask(&bearer, "POST /clients", &[("fuuffy-why", "ticket 7")], r#"{"name":"Acme"}"#);
    assert_eq!(made.status, 201, "{}", made.text());
    let record = &desk.audit("client.created")[0];
    assert_eq!(record["request_id"], made.field("x-request-id").unwrap());
    assert_eq!(record["actor"], serde_json::json!({"kind": "operator", "client_id": operator.id}));
    assert_eq!((&record["from"], &record["why"]), (&"127.0.0.1".into(), &"ticket 7".into()));
}

#[test]
fn what_is_configured_can_be_read() {
    let desk = Desk::open();
    desk.place.client("testing");
    let bearer = desk.token("admin:routes:read");
    let data = |path: &str| desk.ask(&bearer, path, &[], "").json()["data"].clone();
    let routes = data("GET /routes");
    assert_eq!((&routes[0]["prefix"], &routes[0]["write_scope"]), (&"/v1/orders".into(), &"orders:write".into()));
    assert!(routes[0]["upstreams"][0].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let plans = data("GET /plans");
    assert_eq!(plans, serde_json::json!([{"name": "standard", "limits": ["100/min", "1000/h"]}]));
    let scopes: HashMap<String, Value> = data("GET /scopes?per_page=100")
        .as_array()
        .unwrap()
        .iter()
        .map(|scope| (scope["scope"].as_str().unwrap().to_owned(), scope.clone()))
        .collect();
    assert_eq!(scopes.len(), fuuffy_admin::SCOPES.len() + 2);
    assert_eq!((&scopes["orders:read"]["clients"], &scopes["admin:routes:read"]["clients"]), (&1.into(), &1.into()));
    assert_eq!(scopes["orders:read"]["routes"], serde_json::json!(["/v1/orders"]));
}

#[test]
fn operators_are_the_clients_with_scopes_of_operators() {
    let desk = Desk::open();
    let client = desk.place.client("testing");
    let operator = desk.operator("admin:audit:read");
    let listed = desk.place.done(&["operators", "list", "--environment", "testing"]);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["client_id"]), (1, &operator.id.clone().into()));
    let bearer = desk.token("admin:operators:read");
    let show = |id: &str| desk.ask(&bearer, &format!("GET /operators/{id}"), &[], "").status;
    assert_eq!((show(&operator.id), show(&client.id)), (200, 404));
    for scope in ["orders:read", "admin:everything:write"] {
        let create = ["operators", "create", "--environment", "testing", "--name", "x", "--scope", scope];
        assert_eq!(desk.place.command(&create).status.code(), Some(1), "{scope}");
    }
}

/// The same commands from elsewhere: by a token that is got as integrators get theirs.
#[test]
fn commands_reach_the_server_over_the_network() {
    let desk = Desk::open();
    let operator = desk.operator("admin:clients:read admin:clients:write admin:secrets:write");
    let run = |words: &[&str], secret: &str, url: &str| -> Output {
        Command::new(BINARY)
            .args(words)
            .args(["--environment", "testing", "--json", "--admin-url", url])
            .current_dir(desk.place.path(""))
            .env_clear()
            .env("FUUFFY_CLIENT_ID", &operator.id)
            .env("FUUFFY_CLIENT_SECRET", secret)
            .env("FUUFFY_BASE_URL", format!("http://{}/v1", desk.server.testing))
            .output()
            .unwrap()
    };
    let url = format!("http://{}", desk.server.admin);
    let done = |words: &[&str]| -> Value {
        let output = run(words, &operator.secret, &url);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let made = done(&["clients", "create", "--name", "Acme"]);
    let id = made["client_id"].as_str().unwrap();
    assert_eq!(done(&["clients", "suspend", id])["status"], "suspended");
    assert!(done(&["secrets", "add", "--client", id])["client_secret"].as_str().unwrap().starts_with("fsk_test_"));
    assert_eq!(done(&["clients", "list"]).as_array().unwrap().len(), 2);
    let refused = run(&["audit", "list"], &operator.secret, &url);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && said.contains("lacks a scope"), "{said}");
    assert_eq!(run(&["clients", "list"], &operator.secret, "http://198.51.100.1").status.code(), Some(2));
    let wrong = run(&["clients", "list"], "fsk_test_wrong", &url);
    assert!(!wrong.status.success() && wrong.stdout.is_empty());
}
