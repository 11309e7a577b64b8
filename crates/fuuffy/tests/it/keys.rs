//! The key file's life: rotated under load, rid of keys that nothing needs, and never without one that opens
//! what was acknowledged.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::app::{Place, Registered, Server, ask_for_token, config, get, token};
use crate::kills::Killer;
use crate::upstream::Upstream;

const CALLERS: usize = 4;
const ROTATIONS: u64 = 3;
/// Calls between two rotations.
const CALLS: usize = 60;

/// Nobody is limited.
pub(crate) fn unlimited() -> Place {
    Place::new(&(config(Upstream::friendly().address) + "\n[plans.standard]\nlimits = [\"1000000000/min\"]\n"))
}

fn keys(place: &Place) -> Value {
    place.done(&["keys", "list"])
}

fn refused(place: &Place, arguments: &[&str]) -> String {
    let output = place.command(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn keys_rotate_under_load_without_one_refused_request() {
    let place = unlimited();
    let clients: Vec<Registered> = (0..CALLERS).map(|_| place.client("testing")).collect();
    let server = place.serve();
    let first: Vec<String> = clients.iter().map(|client| token(server.testing, client)).collect();
    let (calls, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for (client, first) in clients.iter().zip(&first) {
            let (calls, over, testing) = (&calls, &over, server.testing);
            scope.spawn(move || {
                while !over.load(Ordering::Acquire) {
                    let fresh = token(testing, client);
                    assert_eq!(get(testing, "/v1/orders", &fresh).status, 200, "a token of this moment");
                    assert_eq!(get(testing, "/v1/orders", first).status, 200, "a token from before");
                    calls.fetch_add(1, Ordering::Release);
                }
            });
        }
        let rotate = || {
            for rotation in 1..=ROTATIONS {
                let so_far = calls.load(Ordering::Acquire);
                while calls.load(Ordering::Acquire) < so_far + CALLS {
                    std::thread::yield_now();
                }
                assert_eq!(place.done(&["keys", "rotate"]), json!({"key_id": rotation + 1}));
            }
            let so_far = calls.load(Ordering::Acquire);
            while calls.load(Ordering::Acquire) < so_far + CALLS {
                std::thread::yield_now();
            }
        };
        // A failure must end the callers, too.
        let rotated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(rotate));
        over.store(true, Ordering::Release);
        rotated.unwrap();
    });
    let listed = keys(&place);
    assert_eq!(
        listed[0],
        json!({"key_id": 4, "current": true, "secrets": CALLERS, "tokens": listed[0]["tokens"], "expired_tokens": 0})
    );
    assert!(listed[0]["tokens"].as_u64().unwrap() > 0, "{listed}");
    for older in 1..4 {
        assert_eq!(listed[older]["secrets"], 0, "each secret moved on when it was used: {listed}");
    }
    assert!(listed[3]["tokens"].as_u64().unwrap() >= 4, "{listed}");
    let notes = place.done(&["audit", "list", "--environment", "production"]);
    assert_eq!((&notes[0]["record"]["deed"], &notes[0]["record"]["key"]), (&json!("key.rotated"), &json!(4)));

    server.kill();
    let server = place.serve();
    for (client, first) in clients.iter().zip(&first) {
        assert_eq!(get(server.testing, "/v1/orders", first).status, 200);
        assert_eq!(ask_for_token(server.testing, client).status, 200);
    }
    assert!(server.stop().success());
}

/// The life of a key, served or not.
fn retire_what_nothing_needs(place: &Place, server: Option<&Server>) {
    let (used, unused) = (place.client("testing"), place.client("production"));
    assert!(refused(place, &["keys", "retire", "1"]).contains("Key 1 is the current one"));
    place.done(&["keys", "rotate", "--why", "every year"]);
    let words = refused(place, &["keys", "retire", "1"]);
    assert!(words.contains("Without it 2 secrets") && words.contains(&unused.id), "{words}");
    let text = std::fs::read_to_string(place.path("data/pepper.key")).unwrap();
    assert_eq!(text.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(), ["2", "1"]);

    let more = |environment: &str, client: &Registered| {
        place.done(&["secrets", "add", "--environment", environment, "--client", &client.id]);
        let listed = place.done(&["secrets", "list", "--environment", environment, "--client", &client.id]);
        let first = listed[0]["secret_id"].as_str().unwrap();
        place.done(&["secrets", "retire", "--environment", environment, "--client", &client.id, "--secret", first]);
    };
    more("testing", &used);
    let words = refused(place, &["keys", "retire", "1"]);
    assert!(words.contains("Without it 1 secrets") && !words.contains(&used.id), "{words}");
    more("production", &unused);
    place.done(&["keys", "retire", "1", "--why", "old"]);
    assert!(refused(place, &["keys", "retire", "1"]).contains("There is no such key"));
    let listed = keys(place);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["secrets"]), (1, &json!(2)), "{listed}");
    let notes = place.done(&["audit", "list", "--environment", "testing"]);
    let note = &notes[0]["record"];
    assert_eq!((&note["deed"], &note["key"], &note["why"]), (&json!("key.retired"), &json!(1), &json!("old")));

    let last = place.client("testing");
    let held = server.map(|server| token(server.testing, &last));
    place.done(&["keys", "rotate"]);
    assert!(refused(place, &["keys", "retire", "2"]).contains("or say --force"));
    place.done(&["keys", "retire", "2", "--force"]);
    if let (Some(server), Some(held)) = (server, held) {
        assert_eq!(get(server.testing, "/v1/orders", &held).status, 401, "that is what --force says");
        assert_eq!(ask_for_token(server.testing, &last).status, 401);
        assert_eq!(ask_for_token(server.testing, &place.client("testing")).status, 200);
    }
}

#[test]
fn a_key_goes_when_nothing_needs_it_while_serving() {
    let place = unlimited();
    let server = place.serve();
    retire_what_nothing_needs(&place, Some(&server));
    assert!(server.stop().success());
}

#[test]
fn a_key_goes_when_nothing_needs_it_while_nobody_serves() {
    retire_what_nothing_needs(&unlimited(), None);
}

#[test]
fn a_key_file_that_was_changed_by_hand_is_not_touched() {
    let place = unlimited();
    let client = place.client("testing");
    let server = place.serve();
    let file = place.path("data/pepper.key");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("1 {}\n", "ab".repeat(32))).unwrap();
    assert!(refused(&place, &["keys", "rotate"]).contains("a key is another one than before"));
    std::fs::write(&file, format!("7 {}\n", "ab".repeat(32))).unwrap();
    assert!(refused(&place, &["keys", "rotate"]).contains("key 1 is gone from it"));
    std::fs::write(&file, whole).unwrap();
    assert_eq!(ask_for_token(server.testing, &client).status, 200, "nothing was taken up");
    place.done(&["keys", "rotate"]);
    assert_eq!(ask_for_token(server.testing, &client).status, 200);
}

#[test]
fn a_rotation_that_is_killed_leaves_a_key_file_that_opens_everything() {
    let prepare = || {
        let place = unlimited();
        let client = place.client("testing");
        (place, client)
    };
    let arguments = |_: &Place| vec!["keys".to_owned(), "rotate".to_owned()];
    let steps = Killer::build().at_every_step(prepare, arguments, |step, place, client| {
        let server = place.serve();
        assert_eq!(ask_for_token(server.testing, client).status, 200, "step {step}: {}", place.log());
        place.done(&["keys", "rotate"]);
        assert_eq!(ask_for_token(server.testing, client).status, 200, "step {step}");
        server.kill();
    });
    assert!(steps > 5, "only {steps} steps were met");
}
