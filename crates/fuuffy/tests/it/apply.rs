//! The registered clients as a file: written, compared, made true once and not twice.

mod broken_off;
mod proofs;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::app::{Place, Registered, ask_for_token, config, get, token};
use crate::upstream::Upstream;

fn place() -> Place {
    Place::new(&(config(Upstream::friendly().address) + "\n[plans.big]\nlimits = [\"10000/min\"]\n"))
}

const CLIENTS: &str = r#"environment = "testing"

[[clients]]
client_id = "billing"
name = "Billing"
scope = "orders:read orders:write"
plan = "big"
token_lifetime = "15m"
may_rotate = true

[[clients]]
client_id = "atlas"
name = "Atlas \"one\""
scope = "orders:read"
status = "suspended"
"#;

fn write(place: &Place, text: &str) -> String {
    let file = place.path("clients.toml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn apply(place: &Place, text: &str, more: &[&str]) -> Output {
    place.command(&[&["apply", &write(place, text), "--environment", "testing"], more].concat())
}

fn words(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn export(place: &Place) -> String {
    let output = place.command(&["export", "--environment", "testing"]);
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_file_is_made_true_once_and_the_second_time_nothing_changes() {
    let place = place();
    let server = place.serve();
    let dry = apply(&place, CLIENTS, &["--dry-run", "--exit-code"]);
    let (status, difference, summary) = words(&dry);
    assert_eq!(status, Some(3));
    assert_snapshot!(difference, @r#"
    + atlas "Atlas \"one\""
        + name = "Atlas \"one\""
        + scope = "orders:read"
        + plan = "standard"
        + limits: the plan's
        + token_lifetime: the environment's
        + may_rotate = false
        + dpop_bound_access_tokens = false
        + tls_client_certificate_bound_access_tokens = false
        + status = "suspended"
    + billing "Billing"
        + name = "Billing"
        + scope = "orders:read orders:write"
        + plan = "big"
        + limits: the plan's
        + token_lifetime = "900s"
        + may_rotate = true
        + dpop_bound_access_tokens = false
        + tls_client_certificate_bound_access_tokens = false
        + status = "active"
    "#);
    assert_eq!(
        summary,
        "Nothing was changed yet: 2 to create, 0 to change, 0 to delete; 0 as the file says, 0 not in it and left alone\n"
    );
    assert_eq!(place.done(&["clients", "list", "--environment", "testing"]), json!([]));

    let secrets = place.path("secrets");
    let done = apply(&place, CLIENTS, &["--secrets-to", secrets.to_str().unwrap(), "--why", "the first"]);
    let (status, out, err) = words(&done);
    assert_eq!(status, Some(0), "{err}");
    assert!(!out.contains("fsk_") && !err.contains("fsk_"), "{out}{err}");
    assert_eq!(std::fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);
    let made: Vec<Value> =
        std::fs::read_to_string(&secrets).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let registered = |made: &Value| {
        let member = |name: &str| made[name].as_str().unwrap().to_owned();
        Registered { id: member("client_id"), secret: member("client_secret") }
    };
    assert_eq!(ask_for_token(server.testing, &registered(&made[0])).status, 403, "atlas is suspended");
    let billing = registered(&made[1]);
    let bearer = token(server.testing, &billing);
    assert_eq!(get(server.testing, "/v1/orders", &bearer).status, 200);
    let log = place.done(&["audit", "list", "--environment", "testing"]);
    assert!(log.as_array().unwrap().iter().all(|row| row["record"]["why"] == "the first"), "{log}");

    for more in [&["--dry-run", "--exit-code"][..], &["--prune"][..]] {
        let (status, out, err) = words(&apply(&place, CLIENTS, more));
        assert_eq!((status, out.as_str()), (Some(0), ""));
        assert!(err.starts_with("Nothing to change: "), "{err}");
    }
    let exported = export(&place);
    let (status, out, _) = words(&apply(&place, &exported, &["--dry-run", "--exit-code", "--prune"]));
    assert_eq!((status, out.as_str()), (Some(0), ""), "what was exported is what is");
    assert!(!exported.contains("fsk_") && exported.find("atlas") < exported.find("billing"), "{exported}");
    assert_snapshot!(exported.lines().skip(4).collect::<Vec<_>>().join("\n"), @r#"

    environment = "testing"

    [[clients]]
    client_id = "atlas"
    name = 'Atlas "one"'
    scope = "orders:read"
    plan = "standard"
    may_rotate = false
    status = "suspended"

    [[clients]]
    client_id = "billing"
    name = "Billing"
    scope = "orders:read orders:write"
    plan = "big"
    token_lifetime = "900s"
    may_rotate = true
    status = "active"
    "#);
    assert!(server.stop().success());
}

#[test]
fn changes_and_deletions_are_told_and_made_by_the_same_deeds() {
    let place = place();
    let (status, out, err) = words(&apply(&place, CLIENTS, &["--json"]));
    assert_eq!(status, Some(0), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((report["applied"].as_bool(), report["secrets"].as_array().unwrap().len()), (Some(true), 2));
    let changed = CLIENTS
        .replace("orders:read orders:write", "orders:read")
        .replace("token_lifetime = \"15m\"\n", "")
        .replace("status = \"suspended\"", "");
    let changed = changed.replace("client_id = \"atlas\"", "client_id = \"zeta\"");
    let (status, difference, err) = words(&apply(&place, &changed, &["--dry-run"]));
    assert_eq!(status, Some(0));
    assert!(err.contains("atlas is not in the file and is left alone"), "{err}");
    assert_snapshot!(difference, @r#"
    + zeta "Atlas \"one\""
        + name = "Atlas \"one\""
        + scope = "orders:read"
        + plan = "standard"
        + limits: the plan's
        + token_lifetime: the environment's
        + may_rotate = false
        + dpop_bound_access_tokens = false
        + tls_client_certificate_bound_access_tokens = false
        + status = "active"
    ~ billing "Billing"
        - scope = "orders:read orders:write"
        - token_lifetime = "900s"
        + scope = "orders:read"
        + token_lifetime: the environment's
    "#);
    assert_eq!(words(&apply(&place, &changed, &["--prune"])).0, Some(0));
    let listed = place.done(&["clients", "list", "--environment", "testing"]);
    let ids: Vec<&Value> = listed.as_array().unwrap().iter().map(|client| &client["client_id"]).collect();
    assert_eq!(ids, ["billing", "zeta"]);
    let log = place.done(&["audit", "list", "--environment", "testing"]);
    let deeds: Vec<&Value> = log.as_array().unwrap().iter().map(|row| &row["record"]["deed"]).take(3).collect();
    assert_eq!(deeds, ["client.deleted", "client.changed", "client.created"], "newest first");

    // The first failure stops it, and what was done is told. An id that was deleted never comes back.
    let more = CLIENTS.to_owned() + "\n[[clients]]\nclient_id = \"before\"\nname = \"Before\"\n";
    let (status, out, err) = words(&apply(&place, &more, &[]));
    assert_eq!(status, Some(1));
    assert!(err.contains("stopped at atlas after 0 of 3 changes"), "{out}{err}");
    assert!(err.contains("There is, or was, a client of that id"), "{err}");
    let server = place.serve();
    assert_eq!(words(&apply(&place, &changed, &["--dry-run", "--exit-code"])).0, Some(0), "the store goes on");
    let (status, _, err) = words(&apply(&place, &changed, &["--secrets-to", place.config_file().to_str().unwrap()]));
    assert_eq!(status, Some(0), "nothing to do asks for no file: {err}");
    assert!(server.stop().success());
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let place = place();
    let bad = r#"environment = "production"
colour = "red"

[[clients]]
client_id = "a b"
name = ""
plan = "none"
token_lifetime = "30d"

[[clients]]
client_id = "twice"
name = "Twice"

[[clients]]
client_id = "twice"
status = "gone"
name = "Twice"
"#;
    let (status, out, err) = words(&apply(&place, bad, &["--dry-run"]));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    let file = place.path("clients.toml").display().to_string();
    assert_snapshot!(err.replace(&file, "F"), @r#"
    F:1:15: environment: the file is for production, and not for testing
    F:2:1: colour: unknown key; expected one of: environment, clients
    F:5:13: clients[0].client_id: expected 1 to 64 letters, digits, '_' and '-'
    F:6:8: clients[0].name: expected 1 to 100 characters without control characters
    F:7:8: clients[0].plan: expected a plan that the configuration has
    F:8:18: clients[0].token_lifetime: expected at most the environment's token_lifetime, as in "15m"
    F:15:13: clients[2].client_id: is in the file twice
    F:16:10: clients[2].status: expected "active" or "suspended"
    8 mistakes; nothing was changed
    "#);
    let (status, _, err) = words(&apply(&place, "environment = ", &[]));
    assert!(status == Some(2) && err.contains(":1:"), "{err}");
    let missing = place.command(&["apply", "nowhere.toml", "--environment", "testing"]);
    assert_eq!(missing.status.code(), Some(2));
}
