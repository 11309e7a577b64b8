//! Whoever trusts the key that a log begins with needs no other: whatever retention takes.

use std::time::Duration;

use fuuffy::server::SystemEntropy;
use fuuffy_domain::{AuditKeys, Clock as _, EnvironmentName};
use fuuffy_store::{Store as _, audit_key, pepper};

use super::{Log, Open};

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
