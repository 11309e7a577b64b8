//! The audit log: signed as it grows, proven by the binary from the store's file or from an export alone, and
//! nothing that somebody does to it goes unseen that can be seen.

mod exported;
mod first_key;
mod handed_over;
mod handover_refused;
mod kept;
mod tampered;

use std::sync::Arc;

use fuuffy::config;
use fuuffy::server::{Environments, Sources, SystemEntropy};
use fuuffy_domain::{Actor, AuditEvent, Cause, Clock as _, ManualTime, RequestId, Timestamp};
use fuuffy_store::Store as _;
use fuuffy_store::embedded::DirectoryLock;
use rusqlite::Connection;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::app::Place;

const START: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

/// A data directory, and what writes into its audit logs by a clock of the test's own.
struct Log {
    place: Place,
    time: Arc<ManualTime>,
    runtime: Runtime,
}

/// The stores, open.
struct Open<'a> {
    log: &'a Log,
    environments: Environments,
    _lock: DirectoryLock,
}

impl Log {
    fn new(of_audit: &str) -> Self {
        let environment = |name| {
            format!("[environments.{name}]\nlisten = \"127.0.0.1:0\"\n[environments.{name}.audit]\n{of_audit}\n")
        };
        let text = format!(
            "data_dir = \"data\"\n[admin]\nlisten = \"127.0.0.1:0\"\n{}{}",
            environment("testing"),
            environment("production")
        );
        Self {
            place: Place::new(&text),
            time: Arc::new(ManualTime::starting_at(START)),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
        }
    }

    /// A log with so many records.
    fn with(records: usize) -> Self {
        let log = Self::new("");
        let open = log.open();
        open.note(records);
        open.close();
        log
    }

    fn open(&self) -> Open<'_> {
        let text = std::fs::read_to_string(self.place.config_file()).unwrap();
        let config = config::parse(&text, self.place.config_file().parent().unwrap()).unwrap();
        let time: Arc<dyn fuuffy_domain::TimeSource> = Arc::<ManualTime>::clone(&self.time);
        let sources = Sources { time, entropy: Arc::new(SystemEntropy), ..Sources::system() };
        let (environments, lock) = Environments::open(&config, &sources).unwrap();
        Open { log: self, environments, _lock: lock }
    }

    /// The file of the testing environment's store, as somebody who can write it opens it.
    fn file(&self) -> Connection {
        Connection::open(self.place.path("data/testing.sqlite3")).unwrap()
    }

    fn checkpoints(&self) -> String {
        std::fs::read_to_string(self.place.path("data/testing.audit-checkpoints")).unwrap()
    }

    /// What `audit verify` exits with, and says.
    fn verify(&self, more: &[&str]) -> (i32, Value) {
        let output = self.place.command(&[&["audit", "verify", "--environment", "testing", "--json"], more].concat());
        let words = String::from_utf8_lossy(&output.stderr);
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{words}"));
        (output.status.code().unwrap(), said)
    }

    /// It must be proven.
    fn proven(&self, more: &[&str]) -> Value {
        let (status, said) = self.verify(more);
        assert_eq!((status, &said["verdict"]), (0, &"proven".into()), "{said}");
        said
    }

    /// It must be tampered with: the first row that was, and how.
    fn tampered(&self, more: &[&str]) -> (i64, String) {
        let (status, said) = self.verify(more);
        assert_eq!((status, &said["verdict"]), (1, &"tampered".into()), "{said}");
        (said["row"].as_i64().unwrap(), said["kind"].as_str().unwrap().to_owned())
    }

    fn public_key(&self) -> String {
        let keys = self.place.done(&["audit", "key", "--environment", "testing"]);
        keys[0]["public_key"].as_str().unwrap().to_owned()
    }

    fn export(&self, more: &[&str]) -> String {
        let output = self.place.command(&[&["audit", "export", "--environment", "testing"], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Open<'_> {
    /// Writes so many records into the testing environment's log.
    fn note(&self, records: usize) {
        let environment = self.environments.testing.as_ref().unwrap();
        let deeds: Vec<_> = (0..records).map(|number| environment.store.note(self.cause(), refusal(number))).collect();
        self.log.runtime.block_on(async {
            for deed in deeds {
                deed.await.unwrap();
            }
        });
    }

    fn cause(&self) -> Cause {
        let at = self.environments.testing.as_ref().unwrap().clock.now();
        Cause { actor: Actor::Server, from: None, request: RequestId::generate(at, [7; 10]), at, why: None }
    }

    /// What the server does once a second; it is done when this returns.
    fn tick(&self) {
        let environment = self.environments.testing.as_ref().unwrap();
        environment.store.tick(environment.clock.now());
        // A deed is answered after what was queued before it.
        self.log.runtime.block_on(environment.store.answered([0; 32])).unwrap();
    }

    fn close(self) {
        self.log.runtime.block_on(self.environments.close());
    }
}

fn refusal(number: usize) -> AuditEvent {
    AuditEvent::Refused { code: "not_found".to_owned(), asked: format!("GET /{number}"), times: 1 }
}
