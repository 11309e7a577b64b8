//! What is kept is read again, is each place's and each environment's own, and is never believed where it was not written here.

use super::*;

const PLACE: &str = "https://platform.example/keys";

fn kept(text: &str) -> KeptKeys {
    KeptKeys { text: text.to_owned(), fetched_at: Timestamp::from_unix_millis(1_800_000_000_000) }
}

#[test]
fn what_is_kept_is_read_again_until_it_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = KeyShelf::open(folder.path(), EnvironmentName::Testing).unwrap();
    assert_eq!(shelf.read(PLACE).unwrap(), None);
    shelf.keep(PLACE, kept("first")).unwrap();
    shelf.keep(PLACE, kept(r#"{"keys":[]}"#)).unwrap();
    let again = KeyShelf::open(folder.path(), EnvironmentName::Testing).unwrap();
    assert_eq!(again.read(PLACE).unwrap(), Some(kept(r#"{"keys":[]}"#)));
    assert_eq!(again.read("https://platform.example/other").unwrap(), None);
    let production = KeyShelf::open(folder.path(), EnvironmentName::Production).unwrap();
    assert_eq!(production.read(PLACE).unwrap(), None);
    shelf.forget(PLACE).unwrap();
    shelf.forget(PLACE).unwrap();
    assert_eq!(shelf.read(PLACE).unwrap(), None);
}

#[test]
fn what_was_not_written_here_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = KeyShelf::open(folder.path(), EnvironmentName::Testing).unwrap();
    shelf.keep("https://other.example/keys", kept("other")).unwrap();
    std::fs::copy(shelf.path("https://other.example/keys"), shelf.path(PLACE)).unwrap();
    assert!(shelf.read(PLACE).is_err(), "another's keys are nobody else's");
    for foreign in [&b"no JSON"[..], b"\xff", b"", b"{}"] {
        std::fs::write(shelf.path(PLACE), foreign).unwrap();
        assert!(shelf.read(PLACE).is_err());
    }
}
