//! The conformance of the SQLite backend, and what is its own: sweeping, and the state of the last run.

use std::sync::{Arc, mpsc};

use fuuffy_domain::{AuditKeys, ClientSlot, EnvironmentName, KeyId, Lifetime, Timestamp};
use rusqlite::StatementStatus;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{AuditOptions, EmbeddedStore, OpenOptions, OpenReport, PreviousRun};
use crate::conformance::{Backend, run_all};
use crate::{PartOf, Store};

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

struct Sqlite(TempDir);

impl Sqlite {
    fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open_at(&self, now: Timestamp) -> (EmbeddedStore, OpenReport) {
        EmbeddedStore::open(OpenOptions {
            path: self.0.path().join("testing.sqlite3"),
            environment: EnvironmentName::Testing,
            longest_lifetime: Lifetime::HOUR,
            audit: AuditOptions { keys: audit_keys(), retention: None },
            now,
        })
        .unwrap()
    }

    fn rows(&self) -> i64 {
        let connection = rusqlite::Connection::open(self.0.path().join("testing.sqlite3")).unwrap();
        connection.query_row("SELECT count(*) FROM tokens", [], |row| row.get(0)).unwrap()
    }
}

fn audit_keys() -> AuditKeys {
    AuditKeys::derive(EnvironmentName::Testing, &[(KeyId(1), Zeroizing::new([9; 32]))]).unwrap()
}

impl Backend for Sqlite {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.open_at(NOW).0)
    }
}

#[tokio::test]
async fn sqlite_conforms() {
    run_all(Sqlite::fresh).await;
}

#[tokio::test]
async fn expired_rows_leave_an_hour_later_and_not_before() {
    let sqlite = Sqlite::fresh();
    let (store, _) = sqlite.open_at(NOW);
    crate::conformance::issue_some(&store, 7000).await;
    let hour = Lifetime::HOUR.duration();
    let almost = NOW.after(2 * hour - std::time::Duration::from_millis(1));
    store.tick(almost);
    crate::conformance::issue_some(&store, 1).await;
    assert_eq!(sqlite.rows(), 7001, "expired tokens are remembered for an hour");
    assert_eq!(store.tokens().len(), 7001);
    let over = NOW.after(4 * hour);
    for _ in 0..4 {
        store.tick(over);
        // A deed is answered after what was queued before it.
        crate::conformance::issue_some(&store, 1).await;
    }
    assert!(sqlite.rows() <= 4, "{} rows are left", sqlite.rows());
    assert!(store.tokens().len() <= 4);
    store.close().await.unwrap();
    let (store, report) = sqlite.open_at(NOW);
    assert!(report.tokens <= 4 && report.clients == 6 && store.is_writable());
}

#[tokio::test]
async fn the_next_start_tells_how_the_last_run_ended() {
    let sqlite = Sqlite::fresh();
    let (store, report) = sqlite.open_at(NOW);
    assert_eq!(report.previous, PreviousRun::New);
    drop(store);
    let (store, report) = sqlite.open_at(NOW);
    assert_eq!(report.previous, PreviousRun::Unclean);
    let later = NOW.after(Lifetime::HOUR.duration());
    store.tick(later);
    store.close().await.unwrap();
    let (store, report) = sqlite.open_at(NOW);
    assert_eq!(report.previous, PreviousRun::Clean);
    assert_eq!(store.newest_record(), Some(later), "the clock starts no earlier than the last tick");
}

/// The first start may be killed between making one file and the other.
#[tokio::test]
async fn a_first_run_that_ended_before_there_was_a_store_stands_in_no_ones_way() {
    let sqlite = Sqlite::fresh();
    let state = sqlite.0.path().join("testing.sqlite3.state");
    std::fs::write(&state, "").unwrap();
    let (store, report) = sqlite.open_at(NOW);
    assert_eq!(report.previous, PreviousRun::New);
    store.close().await.unwrap();
    assert!(std::fs::read_to_string(&state).unwrap().contains("clean"));
}

/// However many deeds are asked for at once, a bounded number waits; the others are told, and nothing is lost.
#[tokio::test]
async fn an_overload_is_said_and_passes() {
    let sqlite = Sqlite::fresh();
    let (store, _) = sqlite.open_at(NOW);
    let (done, overloaded) = crate::conformance::flood(&store, 100_000).await;
    assert!(overloaded > 0 && done >= super::MAX_WAITING - super::KEPT_FREE, "{done} done, {overloaded} refused");
    assert_eq!(sqlite.rows(), i64::try_from(done).unwrap());
    crate::conformance::issue_some(&store, 1).await;
}

/// Whoever takes access away does not wait for those who ask for it.
#[tokio::test]
async fn a_revocation_overtakes_a_flood_of_tokens() {
    let sqlite = Sqlite::fresh();
    let (store, _) = sqlite.open_at(NOW);
    let ((hold, held), (holding, holds)) = (mpsc::channel::<()>(), mpsc::channel());
    let hold = || {
        drop(store.submit(move |_| {
            holding.send(()).unwrap();
            Ok(held.recv().is_err())
        }));
        // What comes before the writer holds would be in the same transaction.
        holds.recv().unwrap();
        hold
    };
    crate::conformance::revoke_in_a_flood(&store, 40_000, hold).await;
}

/// Memory does not grow with every subset of scopes that somebody thinks of, and a restart forgets those
/// that no token has.
#[tokio::test]
async fn sets_of_scopes_are_bounded() {
    let sqlite = Sqlite::fresh();
    let (store, _) = sqlite.open_at(NOW);
    assert_eq!(crate::conformance::issue_subsets(&store, 16_384 + 500).await, (16_384, 500));
    store.close().await.unwrap();
    let beside = rusqlite::Connection::open(sqlite.0.path().join("testing.sqlite3")).unwrap();
    beside.execute("DELETE FROM tokens WHERE seq > 10", []).unwrap();
    let (store, _) = sqlite.open_at(NOW);
    let kept: i64 = beside.query_row("SELECT count(*) FROM scopes", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 10);
    crate::conformance::issue_some(&store, 1).await;
}

/// A page costs as much as its client has tokens, however many others have, and is the same after a restart.
#[tokio::test]
async fn a_page_reads_its_own_clients_tokens_alone() {
    let sqlite = Sqlite::fresh();
    let (store, _) = sqlite.open_at(NOW);
    crate::conformance::issue_some(&store, 1).await;
    crate::conformance::issue_in_turn(&store, 50, 3).await;
    crate::conformance::issue_some(&store, 20_000).await;
    crate::conformance::issue_in_turn(&store, 50, 3).await;
    let (one, part) = (ClientSlot(7), PartOf { skip: 1, take: 1 });
    let numbers = [8, 58, 108];
    let list = async |store: &EmbeddedStore| store.list_tokens(one, NOW, part).await.unwrap();
    let before = list(&store).await;
    assert_eq!((before.total, before.items.len(), before.items[0].number), (3, 1, numbers[1]));
    assert_eq!(store.memory.chains.of(one), numbers.into_iter().rev().collect::<Vec<_>>());
    store.close().await.unwrap();
    let (store, _) = sqlite.open_at(NOW);
    assert_eq!(list(&store).await.items, before.items);
    let connection = rusqlite::Connection::open(sqlite.0.path().join("testing.sqlite3")).unwrap();
    let far_apart = [&store.memory.chains.of(ClientSlot(60))[..], &numbers[..1]].concat();
    let slots = far_apart.iter().map(|number| {
        connection.query_row("SELECT client FROM tokens WHERE seq = ?1", [number], |row| row.get::<_, u32>(0)).unwrap()
    });
    assert_eq!(slots.collect::<Vec<_>>(), [60, 60, 60, 7]);
    super::read::tokens(&connection, &far_apart, (one, 0), NOW, part).unwrap();
    let steps = connection.prepare_cached(super::read::LIVE_TOKENS).unwrap().get_status(StatementStatus::VmStep);
    assert!((1..400).contains(&steps), "{steps} steps for {} rows of 20,000", far_apart.len());
}
