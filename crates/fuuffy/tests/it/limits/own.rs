//! Limits of a client's own, in place of its plan's.

use serde_json::{Value, json};

use crate::app::{Place, config, get, token};
use crate::upstream::Upstream;

fn update(place: &Place, client: &str, limits: &str) -> Value {
    place.done(&["clients", "update", "--environment", "testing", client, "--limits", limits, "--why", "a launch"])
}

#[test]
fn a_clients_own_limits_hold_until_they_are_taken_back() {
    let plan = "\n[plans.standard]\nlimits = [\"2/min\"]\n";
    let place = Place::new(&(config(Upstream::friendly().address) + plan));
    let server = place.serve();
    let (client, other) = (place.client("testing"), place.client("testing"));
    let (held, others) = (token(server.testing, &client), token(server.testing, &other));
    let policy = |token: &str| get(server.testing, "/v1/orders", token).field("ratelimit-policy").unwrap().to_owned();
    assert_eq!(policy(&held), r#""minute";q=2;w=60"#);
    assert_eq!(update(&place, &client.id, "5/min 50/h")["limits"], "5/min 50/h");
    assert_eq!(policy(&held), r#""minute";q=5;w=60, "hour";q=50;w=3600"#, "its tokens are still good");
    assert_eq!(policy(&others), r#""minute";q=2;w=60"#, "and nobody else has them");
    let statuses: Vec<u16> = (0..5).map(|_| get(server.testing, "/v1/orders", &held).status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 429]);
    let refused = get(server.testing, "/v1/orders", &held);
    let told = place.command(&["explain", refused.field("x-request-id").unwrap()]).stdout;
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(told.contains("The client had used up 5/min of its own limits, until "), "{told}");
    let shown = place.done(&["clients", "show", "--environment", "testing", &client.id]);
    assert_eq!((&shown["limits"], &shown["plan"]), (&json!("5/min 50/h"), &json!("standard")));
    let record = place.done(&["audit", "list", "--environment", "testing", "--client", &client.id])[0].clone();
    let change = json!([{"member": "limits", "from": "the plan's", "to": "5/min 50/h"}]);
    assert_eq!((&record["record"]["changes"], &record["record"]["why"]), (&change, &json!("a launch")), "{record}");
    assert!(server.stop().success());

    let server = place.serve();
    let held = token(server.testing, &client);
    assert_eq!(get(server.testing, "/v1/orders", &held).field("x-ratelimit-limit"), Some("5"), "they are kept");
    assert_eq!(update(&place, &client.id, "default")["limits"], Value::Null);
    assert_eq!(get(server.testing, "/v1/orders", &held).field("x-ratelimit-limit"), Some("2"));
    for bad in ["0/min", "5/min 6/min", "1000000000/s", "5 per minute", ""] {
        let refused = place.command(&["clients", "update", "--environment", "testing", &client.id, "--limits", bad]);
        assert_eq!(refused.status.code(), Some(2), "{bad:?}");
    }
    assert!(server.stop().success());
}

#[test]
fn an_export_has_them_and_an_apply_brings_them_back() {
    let place = Place::new(&config(Upstream::friendly().address));
    let client = place.client("testing");
    update(&place, &client.id, "5/min");
    let file = place.path("clients.toml");
    let export = place.command(&["export", "--environment", "testing"]).stdout;
    assert!(String::from_utf8_lossy(&export).contains("limits = \"5/min\"\n"));
    std::fs::write(&file, &export).unwrap();
    update(&place, &client.id, "default");
    place.done(&["apply", "--environment", "testing", file.to_str().unwrap()]);
    assert_eq!(place.done(&["clients", "show", "--environment", "testing", &client.id])["limits"], "5/min");
}
