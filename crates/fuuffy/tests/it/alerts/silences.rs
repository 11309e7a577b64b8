//! What an operator silenced is not sent, but logged and counted; what outlasts the silence is told when it ends.

use std::time::Duration;

use fuuffy_domain::{ClientSlot, EnvironmentName, History, Kept, Sample, Timestamp};
use fuuffy_store::UsageBook;
use serde_json::{Value, json};

use crate::app::{Place, config};
use crate::hooks::{Hooks, Message};
use crate::timed::{START, Timed};
use crate::upstream::Upstream;

const SILENCES: &str = "/admin/v1/testing/silences";
const MINUTE: Duration = Duration::from_secs(60);

/// A server with a client that made a hundred requests a minute for three weeks, and stops now.
fn stopping(hooks: &Hooks) -> Timed {
    let mut timed = Timed::start(&hooks.section());
    timed.stop();
    let mut history = History::new();
    let minutes = 3 * 7 * 24 * 60;
    for minute in (1..=minutes).rev() {
        let at = Timestamp::from_unix_millis(START.unix_millis() - minute * 60_000);
        // Some noise, the same in each run.
        let requests = u32::try_from(95 + (minute * 7919).rem_euclid(11)).unwrap();
        history.observe(at, &Sample { requests, bytes_out: 200 * u64::from(requests), ..Sample::default() }, &[]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let book = UsageBook::open(timed.file("testing.usage.sqlite3"), EnvironmentName::Testing, Vec::new());
        // The first client of an environment.
        book.know(vec![(ClientSlot(0), Kept { history, ..Kept::default() }.to_bytes())]).await;
        book.close(START).await;
    });
    timed.restart();
    timed
}

fn pass(timed: &Timed, minutes: u32) {
    for _ in 0..minutes {
        timed.time.pass(MINUTE);
        timed.pass_minute();
    }
}

fn silence(timed: &Timed, body: &Value) -> Value {
    let made = timed.operate_because(SILENCES, &body.to_string(), "it moves to another data centre");
    assert!(made["data"]["silence_id"].is_string(), "{made}");
    made["data"].clone()
}

fn silences(timed: &Timed) -> Vec<Value> {
    timed.shown(SILENCES)["data"].as_array().unwrap().clone()
}

/// The messages that came, once none waits any more.
fn told(timed: &Timed, hooks: &Hooks) -> Vec<Message> {
    super::until(timed, <[Value]>::is_empty);
    hooks.taken()
}

fn is_of(message: &Message, kind: &str) -> bool {
    let message = message.json();
    message["type"] == "unusual.opened" && message["data"]["kind"] == kind
}

#[test]
fn a_client_that_stops_is_told_of_unless_it_is_silenced_and_when_the_silence_ends() {
    let hooks = Hooks::start();
    let mut timed = stopping(&hooks);
    let client = timed.client.id.clone();
    let asked = json!({"client_id": client, "kind": "volume_drop", "for": "40m"});
    let made = silence(&timed, &asked);
    assert_eq!((&made["silenced"], &made["until"]), (&json!(0), &json!(START.after(40 * MINUTE).to_string())));
    pass(&timed, 30);
    let kept = silences(&timed);
    assert_eq!((&kept[0]["silenced"], &kept[0]["why"]), (&json!(1), &json!("it moves to another data centre")));
    assert!(kept[0]["last_silenced_at"].is_string() && kept[0]["by"]["kind"] == "server", "{kept:?}");
    assert_eq!(told(&timed, &hooks).len(), 0);
    timed.restart();
    pass(&timed, 5);
    assert_eq!(
        (silences(&timed)[0]["silence_id"].clone(), told(&timed, &hooks).len()),
        (made["silence_id"].clone(), 0)
    );
    pass(&timed, 15);
    let messages = hooks.wait_for(1);
    messages[0].verify();
    assert!(is_of(&messages[0], "volume_drop"), "{messages:?}");
    assert_eq!(silences(&timed), [Value::Null; 0], "it is over");
    pass(&timed, 5);
    assert_eq!(told(&timed, &hooks).len(), 1, "once");
    let noted = timed.shown("/admin/v1/testing/audit?deed=alerts.silenced");
    let record = &noted["data"][0]["record"];
    assert_eq!((&record["client_id"], &record["kind"]), (&json!(client), &json!("volume_drop")));
    assert_eq!(record["why"], "it moves to another data centre");
}

#[test]
fn what_another_silence_covers_is_told_and_a_silence_can_be_ended() {
    let hooks = Hooks::start();
    let timed = stopping(&hooks);
    silence(&timed, &json!({"kind": "volume_jump", "for": "1h"}));
    let other = timed.register();
    silence(&timed, &json!({"client_id": other.id, "for": "1h"}));
    let of_all = silence(&timed, &json!({"for": "365d"}));
    pass(&timed, 20);
    assert_eq!(told(&timed, &hooks).len(), 0);
    let counts: Vec<Value> = silences(&timed).iter().map(|kept| kept["silenced"].clone()).collect();
    assert_eq!(counts, [0, 0, 1]);
    let id = of_all["silence_id"].as_str().unwrap();
    assert_eq!(timed.delete(&format!("{SILENCES}/{id}"))["data"]["silence_id"], id);
    assert_eq!(timed.delete(&format!("{SILENCES}/{id}"))["error"]["message"], "There is no such silence");
    assert_eq!(silences(&timed).len(), 2);
    pass(&timed, 5);
    assert!(is_of(&hooks.wait_for(1)[0], "volume_drop"), "the others are of another kind or client");
    let noted = timed.shown("/admin/v1/testing/audit?deed=alerts.unsilenced");
    assert_eq!(noted["data"][0]["record"]["silence_id"], id);
}

#[test]
fn operators_silence_by_command_and_mistakes_are_told() {
    let place = Place::new(&config(Upstream::friendly().address));
    let client = place.client("testing");
    let at = ["--environment", "testing"];
    let ask = |words: &[&str]| place.done(&[&["alerts"], words, &at].concat());
    let made = ask(&["silence", "--client", &client.id, "--kind", "scan", "--for", "4h", "--why", "a test by us"]);
    let id = made["silence_id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("sil_"), "{made}");
    let server = place.serve();
    let listed = ask(&["silences"]);
    assert_eq!((&listed[0]["silence_id"], &listed[0]["kind"]), (&json!(id), &json!("scan")));
    let shown = place.command(&[&["alerts", "silences"][..], &at].concat());
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(&id) && shown.contains("a test by us"), "{shown}");
    let refused = |words: &[&str]| {
        let output = place.command(&[&["alerts"][..], words, &at].concat());
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let invalid = "The request is not what it must be: ";
    let for_a_day = ["silence", "--for", "1d", "--why", "x"];
    for (words, said) in [
        (&["--kind", "volume_dropp"][..], "kind: no alert is called so; did you mean volume_drop?"),
        (&["--kind", "?"], "kind: no alert is called so; expected one of: volume_jump, "),
    ] {
        let (status, words) = refused(&[&for_a_day[..], words].concat());
        assert!(status == 1 && words.starts_with(&format!("{invalid}{said}")), "{words}");
    }
    for time in ["0h", "366d", "soon"] {
        let (status, words) = refused(&["silence", "--for", time, "--why", "x"]);
        let said = "for: expected a whole number with the unit s, m, h or d, from 1s to 365d, as in \"4h\"\n";
        assert_eq!((status, words), (1, format!("{invalid}{said}")), "{time}");
    }
    let (status, words) = refused(&[&for_a_day[..], &["--client", "app_nobody"]].concat());
    assert_eq!((status, words.starts_with("There is no such client")), (1, true), "{words}");
    let (status, words) = refused(&["silence", "--for", "1d", "--why", ""]);
    assert!(status == 1 && words.contains("fuuffy-why: expected the reason"), "{words}");
    assert_eq!(refused(&["silence", "--for", "1d"]).0, 2, "without a reason");
    assert_eq!(ask(&["unsilence", &id])["silence_id"], json!(id));
    assert_eq!(refused(&["unsilence", &id]).0, 1);
    assert_eq!(ask(&["silences"]), json!([]));
    assert!(server.stop().success());
}
