//! Tampering with the store's file, by somebody who can write it and has no key.

use fuuffy_domain::{AUDIT_START, AuditHash, audit_hash};
use rusqlite::{Connection, params};

use super::Log;

/// Writes the chain anew from a row on, as it would have to be to follow.
fn rehash(file: &Connection, from: i64) {
    let before = file.query_row("SELECT hash FROM audit WHERE seq = ?1", [from - 1], |row| row.get(0));
    let mut previous: AuditHash = before.unwrap_or(AUDIT_START);
    let rows: Vec<(i64, String)> = file
        .prepare("SELECT seq, record FROM audit WHERE seq >= ?1 ORDER BY seq")
        .unwrap()
        .query_map([from], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (row, record) in rows {
        previous = audit_hash(&previous, &record);
        file.execute("UPDATE audit SET hash = ?2 WHERE seq = ?1", params![row, previous]).unwrap();
    }
}

const CHANGE_7: &str = "UPDATE audit SET record = replace(record, 'GET /6', 'GET /x') WHERE seq = 7";

fn after(change: impl FnOnce(&Connection)) -> (i64, String) {
    let log = Log::with(20);
    log.proven(&[]);
    change(&log.file());
    log.tampered(&[])
}

fn found(row: i64, kind: &str) -> (i64, String) {
    (row, kind.to_owned())
}

fn run(words: &str) -> impl FnOnce(&Connection) {
    move |file| file.execute_batch(words).unwrap()
}

#[test]
fn a_changed_row_is_named() {
    assert_eq!(after(run(CHANGE_7)), found(7, "changed"));
    assert_eq!(after(run("UPDATE audit SET hash = randomblob(32) WHERE seq = 7")), found(7, "changed"));
}

#[test]
fn a_removed_row_is_named() {
    assert_eq!(after(run("DELETE FROM audit WHERE seq = 7")), found(7, "removed"));
    assert_eq!(after(run("DELETE FROM audit WHERE seq BETWEEN 7 AND 11")), found(7, "removed"));
    let renumbered = "DELETE FROM audit WHERE seq = 7; UPDATE audit SET seq = -seq WHERE seq > 7;
                      UPDATE audit SET seq = -seq - 1 WHERE seq < 0;";
    assert_eq!(after(run(renumbered)), found(7, "removed"));
    assert_eq!(after(run("DELETE FROM audit WHERE seq < 7")), found(1, "cut_from_start"));
}

const SHIFT: &str = "UPDATE audit SET seq = -seq WHERE seq >= 7; UPDATE audit SET seq = -seq + 1 WHERE seq < 0;";

#[test]
fn an_inserted_row_is_named() {
    let copied = format!("{SHIFT} INSERT INTO audit SELECT 7, at, client_id, record, hash FROM audit WHERE seq = 3;");
    assert_eq!(after(run(&copied)), found(7, "inserted"));
    let with_right_hash = |file: &Connection| {
        let (record, previous): (String, AuditHash) = file
            .query_row("SELECT record, hash FROM audit WHERE seq = 6", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let record = record.replace(r#"{"seq":6,"#, r#"{"seq":7,"#);
        file.execute_batch(SHIFT).unwrap();
        file.execute(
            "INSERT INTO audit (seq, at, record, hash) VALUES (7, 0, ?1, ?2)",
            params![record, audit_hash(&previous, &record)],
        )
        .unwrap();
    };
    assert_eq!(after(with_right_hash), found(7, "inserted"));
}

#[test]
fn a_moved_row_is_named() {
    let swapped = "UPDATE audit SET seq = -7 WHERE seq = 7; UPDATE audit SET seq = 7 WHERE seq = 12;
                   UPDATE audit SET seq = 12 WHERE seq = -7;";
    assert_eq!(after(run(swapped)), found(7, "reordered"));
}

/// One row with a right hash of its own does not fit what follows; a whole chain does not fit what was signed.
#[test]
fn a_chain_that_is_hashed_anew_without_the_key_is_known() {
    let one = |file: &Connection| {
        file.execute_batch(CHANGE_7).unwrap();
        let (previous, record): (AuditHash, String) = file
            .query_row(
                "SELECT b.hash, a.record FROM audit AS a JOIN audit AS b ON b.seq = 6 WHERE a.seq = 7",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        file.execute("UPDATE audit SET hash = ?1 WHERE seq = 7", [audit_hash(&previous, &record)]).unwrap();
    };
    assert_eq!(after(one), found(8, "changed"), "or the row before it, as the words say");
    let all = |file: &Connection| {
        file.execute_batch(CHANGE_7).unwrap();
        rehash(file, 7);
    };
    assert_eq!(after(all), found(2, "rewritten"), "since the checkpoint before");
    let with_checkpoints = |file: &Connection| {
        file.execute_batch(CHANGE_7).unwrap();
        rehash(file, 7);
        file.execute_batch(
            "UPDATE audit_checkpoints SET hash = (SELECT hash FROM audit WHERE audit.seq = audit_checkpoints.seq)",
        )
        .unwrap();
    };
    let log = Log::with(20);
    with_checkpoints(&log.file());
    std::fs::remove_file(log.place.path("data/testing.audit-checkpoints")).unwrap();
    assert_eq!(log.tampered(&[]), found(20, "bad_signature"));
}

#[test]
fn a_checkpoint_that_is_changed_or_swapped_or_missing_is_known() {
    let swapped = "UPDATE audit_checkpoints SET signature = (SELECT signature FROM audit_checkpoints WHERE seq = 1)";
    assert_eq!(after(run(swapped)), found(20, "bad_signature"));
    let log = Log::with(20);
    std::fs::remove_file(log.place.path("data/testing.audit-checkpoints")).unwrap();
    log.file().execute_batch("DELETE FROM audit_checkpoints").unwrap();
    assert_eq!(log.tampered(&[]), found(1, "unsigned"));
    let log = Log::with(1500);
    log.file().execute_batch("DELETE FROM audit_checkpoints WHERE seq > 1").unwrap();
    std::fs::remove_file(log.place.path("data/testing.audit-checkpoints")).unwrap();
    assert_eq!(log.tampered(&[]), found(1002, "unsigned"), "there is one after 1000 records at the latest");
}

#[test]
fn an_end_that_was_cut_is_known_by_any_checkpoint_that_was_kept() {
    let log = Log::with(20);
    let open = log.open();
    open.note(10);
    open.close();
    let kept = log.place.path("kept");
    std::fs::write(&kept, log.checkpoints().lines().last().unwrap().to_owned() + "\n").unwrap();
    assert!(!log.proven(&["--checkpoint", kept.to_str().unwrap()])["unproven"].to_string().contains("cut"));

    log.file().execute_batch("DELETE FROM audit WHERE seq > 20").unwrap();
    assert_eq!(log.tampered(&[]), found(21, "cut_from_end"), "by the checkpoint in the database");
    log.file().execute_batch("DELETE FROM audit_checkpoints WHERE seq > 20").unwrap();
    assert_eq!(log.tampered(&[]), found(21, "cut_from_end"), "by the file beside it");
    std::fs::remove_file(log.place.path("data/testing.audit-checkpoints")).unwrap();
    let said = log.proven(&[]);
    assert!(said["unproven"].to_string().contains("cut after row 20"), "it says what it cannot know: {said}");
    assert_eq!(log.tampered(&["--checkpoint", kept.to_str().unwrap()]), found(21, "cut_from_end"));
    log.file().execute_batch("DELETE FROM audit; DELETE FROM audit_checkpoints;").unwrap();
    assert_eq!(log.tampered(&["--checkpoint", kept.to_str().unwrap()]), found(1, "cut_from_end"));
}

#[test]
fn the_other_environments_log_is_not_taken() {
    let log = Log::with(20);
    let other = Log::new("");
    let open = other.open();
    other.runtime.block_on(async {
        use fuuffy_store::Store as _;
        let environment = open.environments.production.as_ref().unwrap();
        environment.store.note(open.cause(), super::refusal(1)).await.unwrap();
    });
    open.close();
    std::fs::remove_file(log.place.path("data/testing.audit-checkpoints")).unwrap();
    std::fs::copy(other.place.path("data/production.sqlite3"), log.place.path("data/testing.sqlite3")).unwrap();
    assert_eq!(log.tampered(&[]), found(1, "other_environment"));
}
