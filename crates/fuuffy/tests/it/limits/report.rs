//! Who asks for more tokens than it needs.

use std::time::Duration;

use serde_json::json;

use crate::app::{Place, ask_for_token, config, config_with, get, token};
use crate::timed::Timed;
use crate::upstream::Upstream;

/// A day of two clients: one fetches a token for each of its calls, the other one an hour.
#[test]
fn the_one_with_the_most_that_it_did_not_need_is_told_first() {
    let timed = Timed::serving(config_with(Upstream::friendly().address, "limits = { tokens = [\"30/h\"] }", ""));
    let careful = timed.register();
    for _ in 0..6 {
        assert_eq!(ask_for_token(timed.testing(), &careful).status, 200);
        for _ in 0..35 {
            ask_for_token(timed.testing(), &timed.client);
        }
        timed.time.pass(Duration::from_secs(3600));
    }
    let told = timed.shown("/admin/v1/testing/usage/tokens?since=24h");
    let wasteful = json!({"client_id": timed.client.id, "name": "Acme", "asked": 210, "needed": 6, "refused": 30});
    let other = json!({"client_id": careful.id, "name": "Acme", "asked": 6, "needed": 6, "refused": 0});
    assert_eq!(told["data"], json!([wasteful, other]));
    let one = timed.shown(&format!("/admin/v1/testing/usage/tokens?client_id={}", careful.id));
    assert_eq!(one["data"], json!([other]));
    let long_ago = timed.shown("/admin/v1/testing/usage/tokens?since=40d");
    assert_eq!(long_ago["data"][1]["needed"], 24, "days are all that is told of what is so long ago");
    assert_eq!(timed.shown("/admin/v1/testing/usage/tokens?by=day")["error"]["code"], "invalid_request");
}

#[test]
fn the_command_tells_it_in_a_sentence() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let (busy, idle) = (place.client("testing"), place.client_with("testing", &["--token-lifetime", "10m"]));
    for _ in 0..1003 {
        token(server.testing, &busy);
    }
    let held = token(server.testing, &idle);
    assert_eq!(get(server.testing, "/v1/nowhere", &held).status, 404);
    let output = place.command(&["usage", "--environment", "testing", "--tokens"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with(&busy.id) && lines[1].contains("asked 1,003 tokens, needed "), "{text}");
    // An hour takes six of ten minutes; a test may run over the hour's end.
    assert!(
        ["asked 1 token, needed 6", "asked 1 token, needed 12"].iter().any(|end| lines[2].ends_with(end)),
        "{text}"
    );
    let csv = place.command(&["usage", "--environment", "testing", "--tokens", "--csv"]);
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert!(csv.starts_with(&format!("client_id,name,asked,needed,refused\n{},Acme,1003,", busy.id)), "{csv}");
    let rows = place.done(&["usage", "--environment", "testing", "--tokens", "--client", &busy.id]);
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["asked"]), (1, &json!(1003)));
    let both = place.command(&["usage", "--environment", "testing", "--tokens", "--by", "day"]);
    assert_eq!(both.status.code(), Some(2));
    assert!(server.stop().success());
}
