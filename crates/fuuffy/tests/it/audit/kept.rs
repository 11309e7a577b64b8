//! How the log is kept: when it is signed, with which key, for how long, and what of refusals gets into it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::app::{Place, config, get};
use crate::upstream::Upstream;

use super::Log;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The rows that the file of checkpoints has one for.
fn signed(log: &Log) -> Vec<i64> {
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["checkpoint"]["seq"].as_i64();
    log.checkpoints().lines().map(|text| line(text).unwrap()).collect()
}

#[test]
fn it_is_signed_at_once_by_count_by_time_and_at_the_end() {
    let log = Log::new("");
    let open = log.open();
    open.note(1);
    assert_eq!(signed(&log), [1]);
    open.note(1500);
    assert_eq!(signed(&log), [1, 1001]);
    log.time.pass(HOUR - Duration::from_millis(1));
    open.tick();
    assert_eq!(signed(&log), [1, 1001]);
    log.time.pass(Duration::from_millis(1));
    open.tick();
    assert_eq!(signed(&log), [1, 1001, 1501]);
    log.time.pass(2 * HOUR);
    open.tick();
    assert_eq!(signed(&log), [1, 1001, 1501], "without news there is nothing to sign");
    open.note(1);
    // What is not signed yet is proven by the chain alone, and that is said, while the store is open.
    assert_eq!(log.proven(&[])["signed_up_to"], 1501);
    open.close();
    assert_eq!(signed(&log), [1, 1001, 1501, 1502]);
    log.open().close();
    assert_eq!(signed(&log), [1, 1001, 1501, 1502]);
    assert_eq!(log.proven(&[])["signed_up_to"], 1502);
}

#[test]
fn a_checkpoint_is_made_when_it_is_asked_for_with_a_server_and_without() {
    let place = Place::new(&config(Upstream::friendly().address));
    place.client("testing");
    let server = place.serve();
    place.client("testing");
    let ask = ["audit", "checkpoint", "--environment", "testing"];
    let online = place.done(&ask);
    assert_eq!(online["checkpoint"]["seq"], 2);
    std::fs::write(place.path("kept"), online.to_string()).unwrap();
    let kept = place.path("kept");
    let verify = ["audit", "verify", "--environment", "testing", "--checkpoint", kept.to_str().unwrap()];
    assert_eq!(place.done(&verify)["last"], 2, "while the server runs");
    assert!(server.stop().success());
    assert_eq!(place.done(&ask)["checkpoint"]["seq"], 2);
    assert_eq!(place.done(&verify)["last"], 2);
}

#[test]
fn the_audit_key_is_private_and_never_made_twice_and_can_be_rotated() {
    let log = Log::with(3);
    let file = log.place.path("data/audit.key");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let old = log.public_key();
    std::fs::write(&file, format!("2 {}\n{text}", "7".repeat(64))).unwrap();
    let open = log.open();
    open.note(1);
    open.close();
    assert_ne!(log.public_key(), old, "the first is the current one");
    assert_eq!(log.proven(&[])["last"], 5, "the old one hands on when the log is opened");
    log.proven(&["--public-key", &old]);
    let both = [&*log.public_key(), &*old].map(|key| ["--public-key", key].map(str::to_owned)).concat();
    log.proven(&both.iter().map(String::as_str).collect::<Vec<_>>());

    let in_testing = ["clients", "list", "--environment", "testing"];
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = log.place.command(&in_testing);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("chmod 600"), "{refused:?}");
    std::fs::remove_file(&file).unwrap();
    let refused = log.place.command(&in_testing);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the audit key file is missing"), "{refused:?}");
}

#[test]
fn what_retention_leaves_is_proven_and_a_log_cut_by_hand_is_not() {
    let log = Log::new("retention = \"30d\"");
    let open = log.open();
    open.note(2500);
    log.time.pass(DAY);
    open.tick();
    log.time.pass(29 * DAY - Duration::from_millis(1));
    open.note(10);
    open.tick();
    assert_eq!(log.proven(&[])["first"], 1, "nothing is 30 days old");
    // It is looked once a day.
    log.time.pass(DAY);
    open.tick();
    let said = log.proven(&[]);
    let removed = (&said["first"], &said["removed_up_to"], &said["removed_by"]);
    assert_eq!(removed, (&2002.into(), &2001.into(), &"retention 30d".into()), "up to a checkpoint alone");
    log.time.pass(DAY);
    open.tick();
    assert_eq!(log.proven(&[])["first"], 2501, "the next checkpoint was made a day later");
    open.close();
    let removals: i64 = log
        .file()
        .query_row("SELECT count(*) FROM audit WHERE record ->> 'deed' = 'audit.removed'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(removals, 2, "each is a record itself");
    let export = log.place.path("export");
    std::fs::write(&export, log.export(&[])).unwrap();
    assert_eq!(log.proven(&["--file", export.to_str().unwrap()])["removed_up_to"], 2500);

    // Somebody without the key cannot make a beginning: a checkpoint that says nothing of a removal is none.
    log.file()
        .execute_batch("DELETE FROM audit WHERE seq <= 2510; DELETE FROM audit_checkpoints WHERE seq < 2510")
        .unwrap();
    assert_eq!(log.tampered(&[]).1, "cut_from_start");
}

/// More old records than leave at once leave one piece after the other, second by second.
#[test]
fn old_records_leave_in_pieces() {
    let log = Log::new("retention = \"1h\"");
    let open = log.open();
    open.note(12_000);
    log.time.pass(HOUR + Duration::from_secs(1));
    open.note(1);
    let rows = || -> i64 { log.file().query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap() };
    let mut left = rows();
    for _ in 0..4 {
        open.tick();
        log.proven(&[]);
        let now = rows();
        assert!(left - now <= 5000, "{left} then {now}");
        left = now;
    }
    assert!(left < 2000, "{left} rows are left");
    open.close();
    log.proven(&[]);
}

/// A flood of refusals is a record for each class.
#[test]
fn refusals_are_counted_into_the_log() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    for _ in 0..500 {
        assert_eq!(get(server.testing, "/v1/orders", "sk-00000000000000000000000000000000").status, 401);
    }
    assert_eq!(get(server.testing, "/v1/nowhere", "x").status, 404);
    assert_eq!(crate::app::post_form(server.testing, "/v1/auth/token", "grant_type=password").status, 400);
    assert!(server.stop().success());
    let listed = place.done(&["audit", "list", "--environment", "testing"]);
    let mut told: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for record in listed.as_array().unwrap().iter().map(|row| &row["record"]) {
        assert_eq!((&record["deed"], &record["actor"]["kind"]), (&"refused".into(), &"server".into()));
        let word = |member: &str| record[member].as_str().unwrap().to_owned();
        let (records, times) = told.entry((word("asked"), word("code"))).or_default();
        (*records, *times) = (*records + 1, *times + record["times"].as_u64().unwrap());
    }
    // Once a minute, the first time at the start, and at the end.
    assert!(told.values().all(|(records, _)| *records <= 2), "{told:?}");
    let told: Vec<(&str, &str, u64)> =
        told.iter().map(|((asked, code), (_, times))| (asked.as_str(), code.as_str(), *times)).collect();
    let expected =
        [("API", "invalid_token", 500), ("API", "not_found", 1), ("token endpoint", "unsupported_grant_type", 1)];
    assert_eq!(told, expected);
    assert!(place.done(&["audit", "list", "--environment", "production"]).as_array().unwrap().is_empty());
}
