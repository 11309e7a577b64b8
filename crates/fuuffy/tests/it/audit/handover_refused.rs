//! A handover that cannot be: refused before anything is handed on where that can be known, and told as it stands
//! where it cannot.

use crate::app::{Place, config};
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
