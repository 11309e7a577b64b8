//! Whoever trusts the key that a log begins with needs no other: whatever retention takes, and however the log and
//! the audit key file came apart.

use std::time::Duration;

use fuuffy::server::SystemEntropy;
use fuuffy_domain::{AuditKeys, Clock as _, EnvironmentName};
use fuuffy_store::{Store as _, audit_key, pepper};
use serde_json::{Value, json};

use super::{Log, Open};
use crate::app::{Place, config};
use crate::faults::Shim;
use crate::upstream::Upstream;

const HOUR: Duration = Duration::from_secs(3600);

impl Open<'_> {
    /// Lets the next key sign the testing environment's log, and answers all keys as the file is to have them.
    fn hand_over(&self) -> pepper::MasterKeys {
        let keys = audit_key::prepare(&self.log.place.path("data/audit.key"), &SystemEntropy).unwrap();
        let derived = AuditKeys::derive(EnvironmentName::Testing, &keys).unwrap();
        let testing = self.environments.testing.as_ref().unwrap();
        self.log.runtime.block_on(testing.store.rotate_audit_key(self.cause(), derived)).unwrap();
        keys
    }

    fn sign(&self) -> u32 {
        let testing = self.environments.testing.as_ref().unwrap();
        self.log.runtime.block_on(testing.store.checkpoint(testing.clock.now())).unwrap().key.0
    }
}

fn public_key(place: &Place, environment: &str) -> String {
    let keys = place.done(&["audit", "key", "--environment", environment]);
    keys[0]["public_key"].as_str().unwrap().to_owned()
}

fn proven_by(place: &Place, environment: &str, key: &str) -> Value {
    let proof = place.done(&["audit", "verify", "--environment", environment, "--public-key", key]);
    assert_eq!(proof["verdict"], "proven", "{proof}");
    proof
}

/// The keys that the log says came to sign it, the oldest first.
fn named(place: &Place, environment: &str) -> Vec<Value> {
    let listed = place.done(&["audit", "list", "--environment", environment]);
    let records = listed.as_array().unwrap().iter().rev().map(|row| &row["record"]);
    records.filter(|record| record["deed"] == "audit_key.rotated").map(|record| record["key"].clone()).collect()
}

#[test]
fn what_retention_leaves_and_what_is_exported_is_proven_by_the_key_that_it_begins_with() {
    let log = Log::new("retention = \"1d\"");
    let open = log.open();
    open.note(2);
    open.sign();
    let first = log.public_key();
    log.time.pass(12 * HOUR);
    pepper::write(&log.place.path("data/audit.key"), &open.hand_over()).unwrap();
    let second = log.public_key();
    open.note(2);
    let export = log.place.path("export");
    let exported = |from: &str, key: &str| {
        std::fs::write(&export, log.export(&["--from", from])).unwrap();
        log.proven(&["--public-key", key, "--file", export.to_str().unwrap()])["first"].clone()
    };
    assert_eq!(exported("5", &first), 3, "a part has the handover in it, or begins after it was signed over");

    log.time.pass(12 * HOUR + Duration::from_secs(1));
    open.tick();
    assert_eq!(log.proven(&["--public-key", &first])["removed_up_to"], 2);
    log.proven(&[]);
    open.note(1);
    assert_eq!(exported("7", &second), 7);
    open.close();

    // The record of the handover is the last that leaves.
    log.time.pass(12 * HOUR);
    let open = log.open();
    open.tick();
    assert_eq!(log.proven(&["--public-key", &second])["removed_up_to"], 3);
    log.proven(&[]);
    assert_eq!(log.tampered(&["--public-key", &first]).1, "bad_signature");
    open.close();
}

#[test]
fn a_store_that_was_not_open_during_a_rotation_is_handed_over_when_it_is() {
    let whole = config(Upstream::friendly().address);
    let place = Place::new(&whole);
    place.client("production");
    let first = public_key(&place, "production");
    place.write_config(whole.split("[environments.production]").next().unwrap());
    assert_eq!(place.done(&["keys", "rotate", "--audit"])["key_id"], 2);
    place.write_config(&whole);
    for _ in 0..2 {
        assert_eq!(
            place.done(&["audit", "checkpoint", "--environment", "production"])["checkpoint"]["seq"],
            2,
            "there is one record of it, however often the store is opened"
        );
    }
    place.client("production");
    assert_eq!(place.done(&["audit", "checkpoint", "--environment", "production"])["checkpoint"]["key"], 2);
    assert_eq!(proven_by(&place, "production", &first)["last"], 3);
    let listed = place.done(&["audit", "list", "--environment", "production"]);
    assert_eq!(
        (&listed[1]["record"]["deed"], &listed[1]["record"]["actor"]["kind"]),
        (&json!("audit_key.rotated"), &json!("server"))
    );
    assert_eq!(named(&place, "testing"), [2]);
}

#[test]
fn a_log_from_before_a_rotation_is_handed_over_when_it_is_restored() {
    let place = Place::new(&config(Upstream::friendly().address));
    place.client("testing");
    let first = public_key(&place, "testing");
    let backup = place.path("kept");
    place.done(&["backup", "--to", backup.to_str().unwrap()]);
    assert_eq!(place.done(&["keys", "rotate", "--audit"])["key_id"], 2);
    place.done(&["restore", "--replace", "--from", backup.to_str().unwrap()]);
    assert_eq!(proven_by(&place, "testing", &first)["last"], 4, "created, handed over, restored, revoked");
    assert_eq!(place.done(&["audit", "checkpoint", "--environment", "testing"])["checkpoint"]["key"], 2);
    assert_eq!(named(&place, "testing"), [2]);
    assert!(named(&place, "production").is_empty(), "nothing was signed there that another key would go on from");
}

#[test]
fn a_handover_that_broke_off_is_taken_back_in_the_log_too() {
    let log = Log::with(3);
    let first = log.public_key();
    let open = log.open();
    open.hand_over();
    open.note(1);
    assert_eq!(open.sign(), 2);
    open.close();
    let open = log.open();
    open.note(1);
    assert_eq!(open.sign(), 1);
    open.close();
    assert_eq!(named(&log.place, "testing"), [2, 1]);
    assert_eq!(log.place.done(&["keys", "rotate", "--audit"])["key_id"], 2);
    log.place.done(&["audit", "checkpoint", "--environment", "testing"]);
    assert_eq!(named(&log.place, "testing"), [2, 1, 2]);
    log.proven(&["--public-key", &first]);
}

#[test]
fn a_full_disk_puts_the_handover_off_until_there_is_room() {
    let shim = Shim::build();
    let place = Place::new(&config(Upstream::friendly().address));
    let client = place.client("testing");
    let first = public_key(&place, "testing");
    let file = place.path("data/audit.key");
    let text = format!("2 {}\n{}", "ab".repeat(32), std::fs::read_to_string(&file).unwrap());
    std::fs::write(&file, text).unwrap();
    std::fs::write(place.path("fault.full"), "0").unwrap();
    let server = shim.serve(&place);
    place.done(&["clients", "suspend", "--environment", "testing", &client.id]);
    assert!(named(&place, "testing").is_empty());
    std::fs::remove_file(place.path("fault.full")).unwrap();
    // It is tried once a second.
    while named(&place, "testing").is_empty() {
        std::thread::yield_now();
    }
    let checkpoint = place.done(&["audit", "checkpoint", "--environment", "testing"]);
    assert_eq!((&checkpoint["checkpoint"]["seq"], &checkpoint["checkpoint"]["key"]), (&json!(3), &json!(2)));
    proven_by(&place, "testing", &first);
    assert!(server.stop().success());
    assert_eq!(named(&place, "testing"), [2]);
}
