//! Alerts out: told once where all is well, again where not, for a day; and never where they may not go.

mod bounds;
mod email;
mod reach;
mod silences;

use std::time::Duration;

use fuuffy_domain::{EnvironmentName, MessageId, Timestamp};
use fuuffy_store::{Channel, NewAlert, Outbox};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app::{Place, config};
use crate::hooks::{Answer, Hooks};
use crate::http1::request;
use crate::timed::{START, Timed};
use crate::upstream::Upstream;

const ALERTS: &str = "/admin/v1/testing/alerts";
const DAY: Duration = Duration::from_secs(86_400);

/// A server with an alert in its outbox, of a secret that expires in ten days.
fn told(hooks: &Hooks) -> Timed {
    let timed = Timed::start(&hooks.section());
    add_secret(&timed);
    timed.pass_minute();
    timed
}

/// A secret that is due to be reminded of.
fn add_secret(timed: &Timed) {
    let path = format!("/admin/v1/testing/clients/{}/secrets", timed.client.id);
    let expires_at = START.after(10 * DAY).to_string();
    let made = timed.operate(&path, &json!({ "expires_at": expires_at }).to_string());
    assert!(made["data"]["secret_id"].is_string(), "{made}");
}

/// Waits until the outbox is as it should be.
fn until(timed: &Timed, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let started = Instant::now();
    loop {
        let alerts = timed.shown(ALERTS)["data"].as_array().unwrap().clone();
        if is_so(&alerts) {
            return alerts;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{alerts:?}");
        std::thread::yield_now();
    }
}

fn metric(timed: &Timed, name: &str) -> String {
    let text = request(timed.admin(), "GET", "/metrics", &[], "").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).to_owned()
}

#[test]
fn an_alert_is_delivered_once_and_its_receiver_can_tell_by_whom_and_when() {
    let hooks = Hooks::start();
    let timed = told(&hooks);
    let taken = hooks.wait_for(1);
    taken[0].verify();
    assert_eq!((taken[0].target.as_str(), taken[0].timestamp.as_str()), ("/hook", "1800000000"));
    let message = taken[0].json();
    assert!(taken[0].id().starts_with("msg_"));
    assert_eq!((&message["type"], &message["sent_at"]), (&json!("secret.expires"), &json!(START.to_string())));
    until(&timed, <[Value]>::is_empty);
    timed.time.pass(DAY);
    for _ in 0..3 {
        timed.pass_minute();
    }
    // Whatever there was to send went before this.
    let tested = timed.operate(&format!("{ALERTS}/test"), "");
    assert_eq!(tested["data"]["outcome"], "delivered", "{tested}");
    let taken = hooks.taken();
    assert_eq!(taken.len(), 2, "{taken:?}");
    taken[1].verify();
    assert_eq!(
        (&taken[1].json()["type"], taken[1].id()),
        (&json!("test"), tested["data"]["message_id"].as_str().unwrap().to_owned())
    );
    assert_eq!(
        metric(
            &timed,
            "fuuffy_alerts_delivered_total{environment=\"testing\",channel=\"webhook\",outcome=\"delivered\"}"
        ),
        "1"
    );
}

/// What the operators' guide has receivers do.
#[test]
fn the_check_in_the_guide_knows_our_alerts_and_no_others() {
    let hooks = Hooks::start();
    let place = Place::new(&(config(Upstream::friendly().address) + &hooks.section()));
    place.done(&["alerts", "test", "--environment", "testing"]);
    let message = &hooks.taken()[0];
    let guide = include_str!("../../../../docs/operators.md");
    let code = guide.split("```python").nth(1).unwrap().split("```").next().unwrap();
    let is_genuine = |timestamp: &str, body: &str| {
        let program = format!(
            "{code}\nimport sys\n_, sent, signature, body = sys.argv\n\
             fields = {{'X-Fuuffy-Timestamp': sent, 'X-Fuuffy-Timestamp-Signature': signature}}\n\
             print(is_genuine(b'0123456789abcdef0123456789abcdef', fields, body.encode()))"
        );
        let arguments = ["-c", &program, timestamp, &message.timestamp_signature, body];
        let output = std::process::Command::new("python3").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(is_genuine(&message.timestamp, &message.body), "True\n");
    assert_eq!(is_genuine(&message.timestamp, &message.body.replace("test", "past")), "False\n");
    let later = (message.timestamp.parse::<u64>().unwrap() + 1).to_string();
    assert_eq!(is_genuine(&later, &message.body), "False\n", "the time is signed, too");
}

#[test]
fn an_alert_that_was_not_taken_comes_again_under_the_same_id() {
    let hooks = Hooks::start();
    hooks.answer_next(&[Answer::Status(500)]);
    let timed = told(&hooks);
    hooks.wait_for(1);
    let waiting = until(&timed, |alerts| alerts[0]["attempts"] == 1);
    assert_eq!(waiting[0]["error"], "answered with 500 Internal Server Error");
    assert_eq!(metric(&timed, "fuuffy_alerts_waiting{environment=\"testing\",channel=\"webhook\"}"), "1");
    timed.time.pass(Duration::from_secs(120));
    timed.pass_minute();
    let taken = hooks.wait_for(2);
    assert_eq!(taken[0].body, taken[1].body);
    assert_eq!((taken[0].timestamp.as_str(), taken[1].timestamp.as_str()), ("1800000000", "1800000120"));
    taken[1].verify();
    until(&timed, <[Value]>::is_empty);
    assert_eq!(
        metric(&timed, "fuuffy_alerts_delivered_total{environment=\"testing\",channel=\"webhook\",outcome=\"failed\"}"),
        "1"
    );
}

#[test]
fn what_nobody_takes_for_a_day_is_a_dead_letter_that_can_be_sent_once_more() {
    let hooks = Hooks::start();
    hooks.answer(Answer::Status(503));
    let timed = told(&hooks);
    let mut attempts = 0;
    let dead = loop {
        attempts += 1;
        hooks.wait_for(attempts);
        let alerts = until(&timed, |alerts| alerts[0]["attempts"] == attempts);
        let Some(next) = alerts[0]["next_attempt_at"].as_str() else {
            break alerts;
        };
        // There and not a millisecond sooner.
        let next: jiff::Timestamp = next.parse().unwrap();
        let next = Timestamp::from_unix_millis(next.as_millisecond());
        let ahead = next.since(timed.now());
        assert!(ahead <= DAY);
        timed.time.pass(ahead);
        timed.pass_minute();
    };
    assert_eq!(timed.now(), START.after(DAY));
    assert!((9..=14).contains(&attempts), "{attempts}");
    assert_eq!(
        (&dead[0]["state"], &dead[0]["error"]),
        (&json!("dead"), &json!("answered with 503 Service Unavailable"))
    );
    assert_eq!(metric(&timed, "fuuffy_alerts_dead{environment=\"testing\",channel=\"webhook\"}"), "1");
    assert_eq!(
        metric(&timed, "fuuffy_alerts_delivered_total{environment=\"testing\",channel=\"webhook\",outcome=\"dead\"}"),
        "1"
    );
    assert_eq!(timed.shown(&format!("{ALERTS}?state=waiting"))["pagination"]["total"], 0);
    assert_eq!(timed.shown(&format!("{ALERTS}?state=dead"))["pagination"]["total"], 1);
    timed.time.pass(DAY);
    timed.pass_minute();
    assert_eq!(hooks.taken().len(), attempts, "dead is dead");
    hooks.answer(Answer::Status(200));
    let sent = timed.operate(&format!("{ALERTS}/redeliver"), "");
    assert_eq!(sent["data"]["redelivered"], 1);
    let taken = hooks.wait_for(attempts + 1);
    assert_eq!(taken[attempts].id(), dead[0]["message_id"].as_str().unwrap());
    until(&timed, <[Value]>::is_empty);
    let noted = timed.shown("/admin/v1/testing/audit?deed=alerts.redelivered");
    assert_eq!(noted["data"][0]["record"]["alerts"], 1, "{noted}");
}

/// Puts alerts into the outbox of a place where no server runs.
fn seed(place: &Place, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let outbox = Outbox::open(place.path("data/testing.outbox.sqlite3"), EnvironmentName::Testing);
        for number in 0..count {
            let id = MessageId::parse(&format!("msg_{number}")).unwrap();
            let body = json!({ "id": id, "type": "test" }).to_string();
            let alert = NewAlert { id, name: format!("seeded {number}"), kind: "test".to_owned(), body };
            // Years ago, so that there is one attempt before it is dead.
            let at = Timestamp::from_unix_millis(1_700_000_000_000);
            assert!(outbox.enqueue(alert, vec![Channel::Webhook], at).await.unwrap());
        }
        outbox.close().await;
    });
}

#[test]
fn an_alert_survives_a_kill_before_it_is_delivered() {
    let hooks = Hooks::start();
    hooks.answer_next(&[Answer::Hang]);
    let place = Place::new(&(config(Upstream::friendly().address) + &hooks.section()));
    assert!(place.serve().stop().success());
    seed(&place, 1);
    let server = place.serve();
    hooks.wait_for(1);
    server.kill();
    let _server = place.serve();
    let taken = hooks.wait_for(2);
    assert_eq!((taken[0].id(), taken[1].id()), ("msg_0".to_owned(), "msg_0".to_owned()));
    taken[1].verify();
}

#[test]
fn a_reminder_that_counts_as_given_is_on_disk() {
    let hooks = Hooks::start();
    hooks.answer_next(&[Answer::Hang]);
    let timed = told(&hooks);
    let place = timed.left_behind();
    hooks.wait_for(1);
    let _server = place.serve();
    let taken = hooks.wait_for(2);
    assert_eq!((taken[0].id(), &taken[0].body), (taken[1].id(), &taken[1].body));
}

#[test]
fn operators_list_redeliver_and_test_by_command() {
    let hooks = Hooks::start();
    let place = Place::new(&(config(Upstream::friendly().address) + &hooks.section()));
    let at = ["--environment", "testing"];
    let ask = |words: &[&str]| place.done(&[&["alerts"], words, &at].concat());
    assert_eq!(ask(&["test"])["outcome"], "delivered", "with no server running, too");
    seed(&place, 2);
    hooks.answer(Answer::Status(500));
    let server = place.serve();
    let failed = place.command(&[&["alerts", "test"][..], &at].concat());
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(said, "The test alert was not taken: webhook: answered with 500 Internal Server Error\n");
    hooks.wait_for(4);
    let started = Instant::now();
    let dead = loop {
        let dead = ask(&["list", "--state", "dead"]);
        if dead.as_array().unwrap().len() == 2 {
            break dead;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{dead}");
    };
    assert_eq!((&dead[0]["message_id"], &dead[0]["attempts"]), (&json!("msg_0"), &json!(1)));
    assert_eq!(ask(&["list", "--state", "waiting"]), json!([]));
    let shown = place.command(&[&["alerts", "list"][..], &at].concat());
    assert!(String::from_utf8(shown.stdout).unwrap().contains("msg_1"));
    assert!(server.stop().success());
    hooks.answer(Answer::Status(200));
    assert_eq!(ask(&["redeliver", "msg_1"])["redelivered"], 1);
    let unknown = place.command(&[&["alerts", "redeliver", "msg_9"][..], &at].concat());
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(place.command(&[&["alerts", "redeliver"][..], &at].concat()).status.code(), Some(2));
    assert_eq!(ask(&["redeliver", "--all"])["redelivered"], 1);
    let _server = place.serve();
    let taken = hooks.wait_for(6);
    assert_eq!(
        taken[4..].iter().map(|message| message.id()).collect::<Vec<_>>(),
        ["msg_1", "msg_0"],
        "as they were due"
    );
    let other = place.command(&["alerts", "test", "--environment", "production"]);
    assert!(String::from_utf8(other.stderr).unwrap().starts_with("The configuration names nobody to tell"));
}

#[test]
fn a_damaged_outbox_is_put_aside_at_the_start() {
    let hooks = Hooks::start();
    let place = Place::new(&(config(Upstream::friendly().address) + &hooks.section()));
    assert!(place.serve().stop().success());
    let file = place.path("data/testing.outbox.sqlite3");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100..].fill(0x5a);
    std::fs::write(&file, &bytes).unwrap();
    let _server = place.serve();
    assert!(place.log().contains("were damaged and were put aside"), "{}", place.log());
    assert_eq!(std::fs::read(place.path("data/testing.outbox.sqlite3.damaged-1")).unwrap(), bytes);
    let waiting = place.done(&["alerts", "list", "--environment", "testing"]);
    assert_eq!(waiting, json!([]));
}
