//! A handover that cannot be: refused before anything is handed on where that can be known, and told as it stands
//! where it cannot.

use rusqlite::Connection;
use serde_json::Value;

use crate::app::{Place, config};
use crate::faults::Shim;
use crate::upstream::Upstream;

fn new_place() -> Place {
    let place = Place::new(&config(Upstream::friendly().address));
    place.client("testing");
    place.client("production");
    place
}

fn refused(place: &Place) -> String {
    let output = place.command(&["keys", "rotate", "--audit"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn first_key(place: &Place, environment: &str) -> String {
    let keys = place.done(&["audit", "key", "--environment", environment]);
    keys.as_array().unwrap().iter().find(|key| key["key"] == 1).unwrap()["public_key"].as_str().unwrap().to_owned()
}

fn proven_by_first(place: &Place) {
    for environment in ["testing", "production"] {
        let key = first_key(place, environment);
        place.done(&["audit", "checkpoint", "--environment", environment]);
        let proof = place.done(&["audit", "verify", "--environment", environment, "--public-key", &key]);
        assert_eq!(proof["verdict"], "proven", "{proof}");
    }
}

fn handovers(place: &Place, environment: &str) -> usize {
    let listed = place.done(&["audit", "list", "--environment", environment]);
    let is_handover = |row: &&Value| row["record"]["deed"] == "audit_key.rotated";
    listed.as_array().unwrap().iter().filter(is_handover).count()
}

fn key_file(place: &Place) -> String {
    std::fs::read_to_string(place.path("data/audit.key")).unwrap()
}

/// No key costs anything but its line, and none can be taken out while what it signed is kept.
#[test]
fn an_audit_key_file_has_room_for_many_and_says_when_it_is_full() {
    let place = new_place();
    let more = |last: u32| {
        let first = key_file(&place).lines().find(|line| line.starts_with("1 ")).unwrap().to_owned();
        let others: String =
            (2..=last).map(|id| format!("{id} {}\n", format!("{id:02x}").repeat(64)[..64].to_owned())).collect();
        // The first is the oldest, so that none of the others looks like one that was made ready.
        let mut lines: Vec<&str> = others.lines().rev().collect();
        lines.push(&first);
        std::fs::write(place.path("data/audit.key"), lines.join("\n") + "\n").unwrap();
    };
    more(16);
    assert_eq!(place.done(&["keys", "rotate", "--audit"])["key_id"], 17);
    more(199);
    assert_eq!(place.done(&["keys", "rotate", "--audit"])["key_id"], 200);
    let full = key_file(&place);
    let words = refused(&place);
    assert!(words.contains("there are 200 keys in it already, and what each signed is checked by it"), "{words}");
    assert_eq!(key_file(&place), full);
}

#[test]
fn a_store_that_cannot_write_is_found_before_the_first_handover() {
    let place = new_place();
    let file = place.path("data/production.sqlite3");
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON audit_checkpoints BEGIN SELECT RAISE(ABORT, 'not today'); END";
    Connection::open(&file).unwrap().execute_batch(refuse).unwrap();
    let words = refused(&place);
    assert!(words.contains("The keys are as they were: ") && words.contains("not today"), "{words}");
    Connection::open(&file).unwrap().execute_batch("DROP TRIGGER no").unwrap();
    assert_eq!((handovers(&place, "testing"), key_file(&place).lines().count()), (0, 1));
    assert_eq!(place.done(&["keys", "rotate", "--audit"])["key_id"], 2);
    proven_by_first(&place);
}

#[test]
fn a_full_disk_is_found_before_the_first_handover() {
    let shim = Shim::build();
    let place = new_place();
    let server = shim.serve(&place);
    std::fs::write(place.path("fault.full"), "0").unwrap();
    for _ in 0..2 {
        let words = refused(&place);
        assert!(words.contains("The keys are as they were: ") && words.contains("the disk is full"), "{words}");
    }
    assert_eq!(key_file(&place).lines().count(), 1);
    server.kill();
    assert_eq!((handovers(&place, "testing"), handovers(&place, "production")), (0, 0));
}

#[test]
fn a_handover_in_one_environment_alone_is_told_and_made_whole_by_the_next() {
    let place = new_place();
    let file = place.path("data/production.sqlite3");
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'not today'); END";
    Connection::open(&file).unwrap().execute_batch(refuse).unwrap();
    let words = refused(&place);
    assert!(words.contains("The audit key was handed on in testing only: "), "{words}");
    assert!(words.contains("not today") && words.contains("run fuuffy keys rotate --audit again"), "{words}");
    Connection::open(&file).unwrap().execute_batch("DROP TRIGGER no").unwrap();
    proven_by_first(&place);
    assert_eq!(place.done(&["keys", "rotate", "--audit"])["key_id"], 2);
    proven_by_first(&place);
}

#[test]
fn a_handover_whose_file_cannot_be_written_is_told_and_made_whole_by_the_next() {
    let place = new_place();
    let server = place.serve();
    // A key that is made ready needs no write but the last.
    let ready = format!("{}2 {}\n", key_file(&place), "ab".repeat(32));
    std::fs::write(place.path("data/audit.key"), &ready).unwrap();
    std::fs::create_dir(place.path("data/audit.new")).unwrap();
    let words = refused(&place);
    assert!(words.contains("The audit key was handed on, but the audit key file does not say so: "), "{words}");
    assert!(words.contains("run fuuffy keys rotate --audit again"), "{words}");
    std::fs::remove_dir(place.path("data/audit.new")).unwrap();
    assert_eq!(place.done(&["keys", "rotate", "--audit"])["key_id"], 2);
    assert_eq!((handovers(&place, "testing"), handovers(&place, "production")), (1, 1), "nobody is handed on twice");
    assert!(server.stop().success());
    assert!(key_file(&place).starts_with("2 "));
    proven_by_first(&place);
}
