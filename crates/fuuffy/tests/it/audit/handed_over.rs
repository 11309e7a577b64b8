//! Another key signs the log from some record on: without an outage, wherever it breaks off, and so that whoever
//! trusts the first key needs no other.

use fuuffy_domain::{AuditKeys, ChainState, EnvironmentName, KeyId, Timestamp, audit_hash};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Log;
use crate::app::{Place, config, get, token};
use crate::kills::Killer;
use crate::upstream::Upstream;

const VERIFY: [&str; 4] = ["audit", "verify", "--environment", "testing"];

fn rotate(place: &Place) -> u64 {
    place.done(&["keys", "rotate", "--audit"])["key_id"].as_u64().unwrap()
}

fn public_keys(place: &Place) -> Vec<String> {
    let keys = place.done(&["audit", "key", "--environment", "testing"]);
    keys.as_array().unwrap().iter().map(|key| key["public_key"].as_str().unwrap().to_owned()).collect()
}

fn proven(place: &Place, more: &[&str]) -> Value {
    let proof = place.done(&[&VERIFY, more].concat());
    assert_eq!(proof["verdict"], "proven", "{proof}");
    proof
}

#[test]
fn a_key_is_handed_on_while_the_server_runs_and_the_first_one_proves_it_all() {
    let place = Place::new(&config(Upstream::friendly().address));
    let client = place.client("testing");
    let first = public_keys(&place).remove(0);
    let server = place.serve();
    let held = token(server.testing, &client);
    for id in [2, 3] {
        assert_eq!(rotate(&place), id);
        // Signed once more, where nothing came since.
        assert_eq!(place.done(&["audit", "checkpoint", "--environment", "testing"])["checkpoint"]["key"], id);
        place.client("testing");
        assert_eq!(get(server.testing, "/v1/orders", &held).status, 200);
    }
    let keys = public_keys(&place);
    assert!(keys.len() == 3 && keys[2] == first, "the newest is the current one: {keys:?}");
    let checkpoint = place.done(&["audit", "checkpoint", "--environment", "testing"]);
    assert_eq!(checkpoint["checkpoint"]["key"], 3);
    std::fs::write(place.path("kept"), checkpoint.to_string()).unwrap();
    let kept = place.path("kept");
    let by_first = ["--public-key", first.as_str(), "--checkpoint", kept.to_str().unwrap()];
    assert_eq!(proven(&place, &by_first)["signed_up_to"], 5);
    proven(&place, &[]);
    let export = place.command(&["audit", "export", "--environment", "testing"]).stdout;
    std::fs::write(place.path("export"), export).unwrap();
    let export = place.path("export");
    proven(&place, &[&["--file", export.to_str().unwrap()], &by_first[..]].concat());

    let records = place.done(&["audit", "list", "--environment", "testing"]);
    let told = records.as_array().unwrap().iter().find(|it| it["record"]["key"] == 3).unwrap();
    assert_eq!(
        (&told["record"]["deed"], &told["record"]["public_key"]),
        (&"audit_key.rotated".into(), &json!(keys[0]))
    );
    assert!(server.stop().success());
    // What signs goes on to sign after a restart.
    place.client("testing");
    assert_eq!(place.done(&["audit", "checkpoint", "--environment", "testing"])["checkpoint"]["key"], 3);
    proven(&place, &by_first);
    // The other environment's log has keys of its own, and they are handed on too.
    assert_eq!(place.done(&["audit", "verify", "--environment", "production"])["last"], 2);
}

/// Who can write the whole log names a key of theirs in it, and signs with that.
#[test]
fn a_key_that_no_trusted_one_covers_is_not_trusted() {
    let log = Log::with(3);
    let keys = AuditKeys::derive(EnvironmentName::Testing, &[(KeyId(2), Zeroizing::new([9; 32]))]).unwrap();
    let public = keys.current().1.to_hex();
    let file = log.file();
    let (before, at): ([u8; 32], i64) =
        file.query_row("SELECT hash, at FROM audit WHERE seq = 3", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let record = json!({"seq": 4, "at": "2027-01-15T08:00:00.000Z", "environment": "testing", "actor": {"kind": "server"},
        "from": null, "request_id": "x", "deed": "audit_key.rotated", "key": 2, "public_key": public});
    let record = record.to_string();
    let hash = audit_hash(&before, &record);
    file.execute("INSERT INTO audit (seq, at, record, hash) VALUES (4, ?1, ?2, ?3)", (at, &record, hash)).unwrap();
    let signed = keys.sign(ChainState {
        environment: EnvironmentName::Testing,
        sequence: 4,
        hash,
        at: Timestamp::from_unix_millis(at),
        removed_by: None,
    });
    let checkpoint = "INSERT INTO audit_checkpoints (seq, at, hash, key, signature) VALUES (4, ?1, ?2, 2, ?3)";
    file.execute(checkpoint, (at, hash, signed.signature)).unwrap();
    drop(file);
    assert_eq!(log.tampered(&[]), (4, "bad_signature".to_owned()));
    assert_eq!(log.tampered(&["--public-key", &log.public_key()]), (4, "bad_signature".to_owned()));
    log.proven(&["--public-key", &log.public_key(), "--public-key", &public]);
}

#[test]
fn a_handover_that_is_killed_leaves_a_log_that_the_first_key_proves() {
    let prepare = || {
        let place = Place::new(&config(Upstream::friendly().address));
        place.client("testing");
        let first = public_keys(&place).remove(0);
        (place, first)
    };
    let arguments = |_: &Place| ["keys", "rotate", "--audit"].map(str::to_owned).to_vec();
    let steps = Killer::build().at_every_step(prepare, arguments, |step, place, first| {
        // What opens the store next signs what is there.
        place.client("testing");
        proven(place, &["--public-key", first]);
        let id = rotate(place);
        assert!((2..=3).contains(&id), "step {step}: a key that never signed is taken: {id}");
        let signed = place.done(&["audit", "checkpoint", "--environment", "testing"]);
        assert_eq!(signed["checkpoint"]["key"], id, "step {step}");
        proven(place, &["--public-key", first]);
    });
    assert!(steps > 5, "only {steps} steps were met");
}
