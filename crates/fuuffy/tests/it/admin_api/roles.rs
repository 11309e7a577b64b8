//! Who may do what: the whole table, and that there is no way up.

use std::collections::BTreeSet;
use std::io::Write as _;

use fuuffy_admin::{DEEDS, Kind, SCOPES};

use super::{Desk, refused};
use crate::app::token;
use crate::http1::{Connection, Reply};

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"];

fn filled(path: &str) -> String {
    path.replace("{client}", "app_nobody")
        .replace("{secret}", "sec_none")
        .replace("{message}", "msg_none")
        .replace("{key}", "none")
        .replace("{identity}", "idn_none")
        .replace("{silence}", "sil_none")
}

/// Asks through the socket.
fn by_socket(desk: &Desk, method: &str, path: &str) -> Reply {
    let mut stream = std::os::unix::net::UnixStream::connect(desk.place.path("data/admin.sock")).unwrap();
    let head = format!("{method} /admin/v1/testing{path} HTTP/1.1\r\nhost: fuuffy\r\nconnection: close\r\n");
    write!(stream, "{head}content-length: 2\r\n\r\n{{}}").unwrap();
    Connection::over_unix(stream).reply().unwrap()
}

/// Every route and method, with every single scope, with none, and through the socket.
#[test]
fn nothing_is_allowed_that_the_table_does_not_allow() {
    let desk = Desk::open();
    let document: serde_json::Value = serde_json::from_str(&fuuffy_admin::openapi()).unwrap();
    let routes: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(|method| (path.clone(), method.to_ascii_uppercase()))
        })
        .collect();
    let table: BTreeSet<(String, String)> =
        DEEDS.iter().map(|deed| (deed.path.to_owned(), deed.method.to_string())).collect();
    assert_eq!(routes, table, "every route has its line in the table, and every line its route");
    let by_scope: Vec<(&str, String)> = SCOPES.iter().map(|scope| (*scope, desk.token(scope))).collect();
    let client = token(desk.server.testing, &desk.place.client("testing"));
    let production = token(desk.server.production, &desk.place.client("production"));
    for deed in &DEEDS {
        let (path, method) = (filled(deed.path), deed.method.as_str());
        let what = format!("{method} {path}");
        // Whoever reads needs a scope for reading and no other, and whoever writes one for writing.
        assert_eq!(deed.scope.ends_with(":read"), deed.kind == Kind::Read, "{what}");
        assert!(method != "GET" || deed.kind == Kind::Read, "{what}");
        for (scope, bearer) in &by_scope {
            let reply = desk.ask(bearer, &what, &[], "{}");
            let is_refused = matches!(reply.status, 401 | 403);
            assert_eq!(is_refused, *scope != deed.scope, "{what} with {scope}: {}", reply.text());
            if is_refused {
                assert_eq!(refused(&reply), (403, "insufficient_scope".to_owned()), "{what} with {scope}");
                let named = format!("scope=\"{}\"", deed.scope);
                assert!(reply.field("www-authenticate").unwrap().ends_with(&named), "{what}");
            }
        }
        assert_eq!(desk.ask(&client, &what, &[], "{}").code(), "insufficient_scope", "{what}");
        assert_eq!(refused(&desk.ask(&production, &what, &[], "{}")), (401, "invalid_token".to_owned()), "{what}");
        assert_eq!(refused(&desk.ask_with(&what, &[], "{}")), (401, "missing_token".to_owned()), "{what}");
        let through = by_socket(&desk, method, &path);
        assert!(!matches!(through.status, 401 | 403 | 405 | 428), "{what} by socket: {}", through.text());
    }
    let master = desk.master();
    for path in DEEDS.iter().map(|deed| deed.path).collect::<BTreeSet<_>>() {
        for method in METHODS {
            let counts_as = if method == "HEAD" { "GET" } else { method };
            let has = DEEDS.iter().any(|deed| deed.path == path && deed.method == counts_as);
            let what = format!("{method} {}", filled(path));
            if !has && method != "HEAD" {
                let reply = desk.ask(&master, &what, &[], "");
                assert_eq!(refused(&reply), (405, "method_not_allowed".to_owned()), "{what}");
                let allowed = reply.field("allow").unwrap();
                assert!(!allowed.is_empty() && !allowed.split(", ").any(|it| it == method), "{what}: {allowed}");
            }
        }
    }
}

/// Whoever may change clients, but not operators, cannot become more by it.
#[test]
fn there_is_no_way_up() {
    let desk = Desk::open();
    let below = SCOPES.iter().copied().filter(|scope| *scope != "admin:operators:write").collect::<Vec<_>>().join(" ");
    let below = desk.token(&below);
    let chief = desk.operator("admin:audit:read");
    let chiefs = token(desk.server.testing, &chief);
    let ordinary = desk.place.client("testing");
    let secrets = desk.place.done(&["secrets", "list", "--environment", "testing", "--client", &chief.id]);
    let secret = secrets[0]["secret_id"].as_str().unwrap();
    let tokens = desk.place.done(&["tokens", "list", "--environment", "testing", "--client", &chief.id]);
    let number = tokens[0]["token_id"].as_str().unwrap();
    let (id, hidden) = (&chief.id, chief.id.replace('a', "%61"));
    let tries = [
        ("POST /clients".to_owned(), r#"{"name":"x","scope":"orders:read admin:audit:read"}"#.to_owned()),
        ("POST /operators".to_owned(), r#"{"name":"x","scope":"admin:audit:read"}"#.to_owned()),
        (format!("PATCH /clients/{}", ordinary.id), r#"{"scope":"admin:operators:write"}"#.to_owned()),
        (format!("PATCH /clients/{id}"), r#"{"name":"x"}"#.to_owned()),
        (format!("PATCH /clients/{id}"), r#"{"scope":""}"#.to_owned()),
        (format!("POST /clients/{id}/suspend"), String::new()),
        (format!("POST /clients/{hidden}/suspend"), String::new()),
        (format!("POST /clients/{id}/resume"), String::new()),
        (format!("DELETE /clients/{id}"), String::new()),
        (format!("DELETE /clients/{hidden}"), String::new()),
        (format!("POST /clients/{id}/secrets"), String::new()),
        (format!("POST /clients/{hidden}/secrets"), String::new()),
        (format!("POST /clients/{id}/secrets/{secret}/retire"), String::new()),
        (format!("POST /clients/{id}/tokens/revoke"), String::new()),
        ("POST /tokens/revoke".to_owned(), format!(r#"{{"token":"{chiefs}"}}"#)),
        ("POST /tokens/revoke".to_owned(), format!(r#"{{"token_id":"{number}"}}"#)),
    ];
    for (what, body) in &tries {
        let reply = desk.ask(&below, what, &[], body);
        assert_eq!(refused(&reply), (403, "insufficient_scope".to_owned()), "{what} {body}");
        assert!(reply.field("www-authenticate").unwrap().contains("admin:operators:write"), "{what}");
        assert_eq!(desk.ask(&chiefs, "GET /audit", &[], "").status, 200, "{what} {body}");
    }
    assert_eq!(desk.place.done(&["operators", "list", "--environment", "testing"]).as_array().unwrap().len(), 2);
    let after = desk.place.done(&["secrets", "list", "--environment", "testing", "--client", &chief.id]);
    assert_eq!(after, secrets);
    let master = desk.master();
    for (what, body) in &tries[..8] {
        assert_eq!(desk.ask(&master, what, &[], body).status / 100, 2, "{what}");
    }
}

/// A refusal of an operator is on record, by whom and of what.
#[test]
fn a_refused_deed_is_noted() {
    let desk = Desk::open();
    let operator = desk.operator("admin:clients:read");
    let bearer = token(desk.server.testing, &operator);
    let reply = desk.ask(&bearer, "DELETE /clients/app_nobody", &[], "");
    let record = &desk.audit("refused")[0];
    assert_eq!(record["request_id"], reply.field("x-request-id").unwrap());
    assert_eq!((&record["code"], &record["times"]), (&"insufficient_scope".into(), &1.into()));
    assert_eq!(record["asked"], "DELETE /admin/v1/testing/clients/{client}");
    assert_eq!(record["actor"]["client_id"], operator.id);
    desk.ask_with("DELETE /clients/app_nobody", &[("authorization", "Bearer sk-nonsense")], "");
    assert_eq!(desk.audit("refused").len(), 1, "nobody knows who that was");
}

#[test]
fn browsers_are_turned_away() {
    let desk = Desk::open();
    let bearer = format!("Bearer {}", desk.master());
    for field in [("origin", "http://127.0.0.1"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")] {
        let reply = desk.ask_with("GET /clients", &[("authorization", &bearer), field], "");
        assert_eq!(refused(&reply), (403, "browser_refused".to_owned()), "{field:?}");
    }
}
