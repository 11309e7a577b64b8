//! The API's description: served, true, and what schemathesis finds when it goes by it. `./check` installs that.

use std::path::Path;
use std::process::Command;

use super::Desk;
use crate::app::token;
use crate::http1::request;

const VERSION: &str = "4.32.5";

#[test]
fn the_description_is_served_and_says_which_scope_a_deed_asks_for() {
    let desk = Desk::open();
    let reply = request(desk.server.admin, "GET", "/admin/v1/openapi.json", &[], "");
    assert_eq!((reply.status, reply.field("content-type")), (200, Some("application/json")));
    let document = reply.json();
    assert_eq!(document["openapi"], "3.1.0");
    for deed in &fuuffy_admin::DEEDS {
        let operation = &document["paths"][deed.path][deed.method.as_str().to_ascii_lowercase()];
        assert_eq!(operation["security"], serde_json::json!([{"bearer": [deed.scope]}]), "{deed:?}");
    }
    assert_eq!(request(desk.server.admin, "POST", "/admin/v1/openapi.json", &[], "").status, 405);
}

/// All operations, all checks, the same requests in each run. It gets clients to do its worst to, and an operator
/// that it leaves alone.
#[test]
fn schemathesis_finds_nothing() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    let library = target.join(format!("schemathesis-{VERSION}"));
    assert!(library.exists(), "schemathesis is not installed, run ./check");
    let desk = Desk::open();
    let operator = desk.operator(&fuuffy_admin::SCOPES.join(" "));
    let bearer = token(desk.server.testing, &operator);
    let clients: Vec<String> = (0..30)
        .map(|_| {
            let id = desk.place.client("testing").id;
            let secrets = desk.place.done(&["secrets", "list", "--environment", "testing", "--client", &id]);
            format!("{id} {}", secrets[0]["secret_id"].as_str().unwrap())
        })
        .collect();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let admin = format!("http://{}/admin/v1", desk.server.admin);
    // A hang fails, too.
    let output = Command::new("timeout")
        .args(["240", "python3", "-m", "schemathesis.cli", "--config-file"])
        .arg(here.join("schemathesis.toml"))
        .args(["run", &format!("{admin}/openapi.json"), "--checks", "all", "--no-color"])
        // A slow machine is no finding.
        .args(["--max-examples", "10", "--suppress-health-check", "all"])
        .env("PYTHONPATH", &library)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("ADMIN_URL", format!("{admin}/testing"))
        .env("ADMIN_TOKEN", &bearer)
        .env("ADMIN_OPERATOR", &operator.id)
        .env("ADMIN_CLIENTS", clients.join("\n"))
        .env("ADMIN_HOOKS", here.join("schemathesis.py"))
        .current_dir(desk.place.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let count = fuuffy_admin::DEEDS.len();
    assert!(said.contains(&format!("{count} selected / {count} total")), "{said}");
    // Whoever locked itself out met nothing but refusals.
    assert_eq!(desk.ask(&bearer, "GET /clients", &[], "").status, 200);
}
