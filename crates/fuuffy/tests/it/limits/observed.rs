//! Limits that are only observed: they refuse nobody, and tell whom they would have refused.

use std::time::Duration;

use crate::app::{Place, config, get, token};
use crate::http1::request;
use crate::timed::Timed;
use crate::upstream::Upstream;

const PLAN: &str = "\n[plans.standard]\nlimits = [\"6/min\", \"1000/h\"]\nobserve = [\"2/s\", \"4/min\"]\n";

#[test]
fn nobody_is_refused_and_each_that_would_have_been_is_counted() {
    let timed = Timed::start(PLAN);
    let token = timed.token();
    let statuses: Vec<u16> = (0..3).map(|_| timed.get(&token).status).collect();
    timed.time.pass(Duration::from_secs(1));
    let more: Vec<u16> = (0..4).map(|_| timed.get(&token).status).collect();
    assert_eq!((statuses, more), (vec![200; 3], vec![200, 200, 200, 429]));
    let reply = timed.get(&token);
    assert_eq!(
        reply.field("ratelimit-policy"),
        Some(r#""minute";q=6;w=60, "hour";q=1000;w=3600"#),
        "it is told to nobody"
    );
    let used = timed.shown("/admin/v1/testing/usage?by=route")["data"].clone();
    let orders = used.as_array().unwrap().iter().find(|row| row["route"] == "/v1/orders").unwrap();
    // The third of the first second, and the third of the next one; what is refused anyway is not observed.
    assert_eq!((&orders["observed"], &orders["limited"]), (&2.into(), &2.into()));
    let metrics = request(timed.admin(), "GET", "/metrics", &[], "").text();
    assert!(metrics.contains("fuuffy_observed_refusals_total{environment=\"testing\"} 2\n"), "{metrics}");
}

#[test]
fn the_command_tells_it_and_limits_of_a_clients_own_are_not_observed() {
    let place = Place::new(&(config(Upstream::friendly().address) + PLAN));
    let server = place.serve();
    let (client, own) = (place.client("testing"), place.client("testing"));
    place.done(&["clients", "update", "--environment", "testing", &own.id, "--limits", "100/min"]);
    for client in [&client, &own] {
        let held = token(server.testing, client);
        for _ in 0..5 {
            assert_eq!(get(server.testing, "/v1/orders", &held).status, 200);
        }
    }
    let rows = place.done(&["usage", "--environment", "testing"]);
    let observed = |id: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["client_id"] == id).unwrap();
        row["observed"].as_u64().unwrap()
    };
    assert!(observed(&client.id) >= 1, "{rows}");
    assert_eq!(observed(&own.id), 0);
    let text = String::from_utf8(place.command(&["usage", "--environment", "testing"]).stdout).unwrap();
    assert!(text.lines().next().unwrap().contains("observed"), "{text}");
    assert!(server.stop().success());
}
