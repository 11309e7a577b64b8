//! When keys are fetched, by whom and how often, with a publisher of the test's own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use fuuffy_domain::EnvironmentName;
use serde_json::json;
use tokio::sync::Notify;

use super::*;

const START: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
const KEYS: &str = "https://platform.example/keys";

/// What stands at URLs, and who asked for it.
#[derive(Default)]
struct Publisher {
    pages: Mutex<HashMap<String, String>>,
    asked: AtomicUsize,
    /// Answers wait for this, where there is one.
    held: Mutex<Option<Arc<Notify>>>,
}

impl Publisher {
    fn with_keys(names: &[&str]) -> Arc<Self> {
        let publisher = Arc::new(Self::default());
        publisher.publish(names);
        publisher
    }

    fn publish(&self, names: &[&str]) {
        let (x, y) = ("axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU");
        let key = |kid: &&str| json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid});
        let keys = json!({"keys": names.iter().map(key).collect::<Vec<_>>()});
        self.pages.lock().insert(KEYS.to_owned(), keys.to_string());
    }

    fn source(self: &Arc<Self>, place: Place) -> Arc<KeySource> {
        let publisher = Arc::clone(self);
        let fetch: Fetch = Arc::new(move |url| {
            let publisher = Arc::clone(&publisher);
            Box::pin(async move {
                publisher.asked.fetch_add(1, Ordering::Relaxed);
                let held = publisher.held.lock().clone();
                if let Some(held) = held {
                    held.notified().await;
                }
                publisher.pages.lock().get(&url).cloned().map(Bytes::from).ok_or(KeySetFault::Unreachable)
            })
        });
        Arc::new(KeySource::new(place, fetch))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[test]
fn keys_are_known_after_a_start_while_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = || Arc::new(KeyShelf::open(folder.path(), EnvironmentName::Testing).unwrap());
    let started =
        |publisher: &Arc<Publisher>| Arc::new(Arc::into_inner(publisher.source(keys_at())).unwrap().kept_on(shelf()));
    run(async {
        let publisher = Publisher::with_keys(&["a"]);
        assert_eq!(finds(&started(&publisher), "a", 0).await, Ok(true));
        assert_eq!((finds(&started(&publisher), "a", 599).await, publisher.asked()), (Ok(true), 1), "it is new enough");
        publisher.publish(&["b"]);
        assert_eq!(finds(&started(&publisher), "a", 600).await, Ok(false), "what was withdrawn meanwhile is gone");
        publisher.pages.lock().clear();
        let source = started(&publisher);
        assert_eq!(finds(&source, "b", 5000).await, Ok(true), "nobody answers");
        assert_eq!((finds(&source, "b", 5001).await, publisher.asked()), (Ok(true), 3), "which is asked once");
        let week = 600 + KEPT.as_secs();
        assert_eq!(finds(&started(&publisher), "b", week - 1).await, Ok(true));
        assert_eq!(finds(&started(&publisher), "b", week).await, Err(KeySetFault::Unreachable), "but not for ever");
        started(&publisher).forget().await;
        assert_eq!(finds(&started(&publisher), "b", 5000).await, Err(KeySetFault::Unreachable));
    });
}

/// That they still hold is written down once an hour, however often they are fetched.
/// Whoever takes the last key out has withdrawn it, over a restart too.
#[test]
fn what_is_withdrawn_is_not_taken_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = || Arc::new(KeyShelf::open(folder.path(), EnvironmentName::Testing).unwrap());
    let started =
        |publisher: &Arc<Publisher>| Arc::new(Arc::into_inner(publisher.source(keys_at())).unwrap().kept_on(shelf()));
    run(async {
        let publisher = Publisher::with_keys(&["a"]);
        let source = started(&publisher);
        assert_eq!(finds(&source, "a", 0).await, Ok(true));
        publisher.publish(&[]);
        source.refresh(at(600)).await;
        assert_eq!(finds(&source, "a", 601).await, Err(KeySetFault::Empty));
        publisher.pages.lock().clear();
        assert_eq!(finds(&started(&publisher), "a", 602).await, Err(KeySetFault::Unreachable), "it is not kept");
        publisher.publish(&["b"]);
        assert_eq!(finds(&source, "b", 700).await, Ok(true));
    });
}

#[test]
fn a_set_that_stays_the_same_is_not_written_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Arc::new(KeyShelf::open(folder.path(), EnvironmentName::Testing).unwrap());
    run(async {
        let publisher = Publisher::with_keys(&["a"]);
        let source = Arc::new(Arc::into_inner(publisher.source(keys_at())).unwrap().kept_on(Arc::clone(&shelf)));
        for (seconds, noted) in [(0, 0), (600, 0), (3599, 0), (3600, 3600), (5000, 3600)] {
            source.ask(at(seconds), Duration::ZERO).await;
            assert_eq!(shelf.read(KEYS).unwrap().unwrap().fetched_at, at(noted));
        }
        publisher.publish(&["b"]);
        source.ask(at(5001), Duration::ZERO).await;
        assert_eq!(shelf.read(KEYS).unwrap().unwrap().fetched_at, at(5001));
    });
}

fn keys_at() -> Place {
    Place::Keys(KEYS.to_owned())
}

fn at(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

/// Whether a key is found, at a time.
async fn finds(source: &Arc<KeySource>, kid: &str, seconds: u64) -> Result<bool, KeySetFault> {
    let is_there = |keys: &KeySet| keys.of_clients().iter().any(|key| key.is_called(kid));
    source.find(is_there, at(seconds)).await.map(|keys| is_there(&keys))
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
}

#[test]
fn an_unknown_key_is_asked_for_once_in_a_while() {
    run(async {
        let publisher = Publisher::with_keys(&["a"]);
        let source = publisher.source(keys_at());
        assert_eq!((finds(&source, "a", 0).await, publisher.asked()), (Ok(true), 1));
        for _ in 0..10 {
            assert_eq!(finds(&source, "a", 9999).await, Ok(true));
        }
        assert_eq!(publisher.asked(), 1, "what is known is not asked for");
        publisher.publish(&["b"]);
        assert_eq!((finds(&source, "b", 29).await, publisher.asked()), (Ok(false), 1), "a moment after the last time");
        assert_eq!((finds(&source, "b", 30).await, publisher.asked()), (Ok(true), 2));
        assert_eq!((finds(&source, "a", 60).await, publisher.asked()), (Ok(false), 3), "what was withdrawn is gone");
        for _ in 0..10 {
            assert_eq!(finds(&source, "nobody's", 61).await, Ok(false));
        }
        assert_eq!(publisher.asked(), 3);
    });
}

#[test]
fn a_publisher_that_is_down_stops_nobody_whose_key_is_known() {
    run(async {
        let publisher = Publisher::with_keys(&["a"]);
        let source = publisher.source(keys_at());
        assert_eq!(finds(&source, "a", 0).await, Ok(true));
        publisher.pages.lock().clear();
        source.refresh(at(600)).await;
        assert_eq!((finds(&source, "a", 601).await, publisher.asked()), (Ok(true), 2));
        assert_eq!(finds(&source, "b", 700).await, Ok(false));
        let week = KEPT.as_secs();
        assert_eq!(finds(&source, "a", week - 1).await, Ok(true));
        assert_eq!(finds(&source, "a", week).await, Err(KeySetFault::Unreachable), "but not for ever");
        publisher.publish(&["a"]);
        assert_eq!(finds(&source, "a", week + 30).await, Ok(true));
    });
}

#[test]
fn keys_are_fetched_before_they_are_needed() {
    run(async {
        let publisher = Publisher::with_keys(&["a"]);
        let source = publisher.source(keys_at());
        assert_eq!(finds(&source, "a", 0).await, Ok(true));
        publisher.publish(&["a", "b"]);
        source.refresh(at(599)).await;
        assert_eq!((publisher.asked(), source.is_due(at(599))), (1, None));
        assert_eq!(source.is_due(at(600)), Some(at(0)));
        source.refresh(at(600)).await;
        assert_eq!((publisher.asked(), finds(&source, "b", 601).await, publisher.asked()), (2, Ok(true), 2));
    });
}

#[test]
fn many_who_miss_a_key_ask_once_and_who_goes_away_takes_nothing_along() {
    run(async {
        let publisher = Publisher::with_keys(&["a"]);
        let source = publisher.source(keys_at());
        let held = Arc::new(Notify::new());
        *publisher.held.lock() = Some(Arc::clone(&held));
        let ask = || {
            let source = Arc::clone(&source);
            tokio::spawn(async move { finds(&source, "a", 0).await })
        };
        let first = ask();
        while publisher.asked() == 0 {
            tokio::task::yield_now().await;
        }
        first.abort();
        let others: Vec<_> = (0..20).map(|_| ask()).collect();
        tokio::task::yield_now().await;
        held.notify_one();
        for other in others {
            assert_eq!(other.await.unwrap(), Ok(true));
        }
        assert_eq!(publisher.asked(), 1);
    });
}

#[test]
fn metadata_says_where_the_keys_are_and_whose() {
    run(async {
        let publisher = Publisher::with_keys(&["a"]);
        let (issuer, other) = ("https://platform.example/realm", "https://platform.example/realm/");
        let said = |issuer: &str, uri: &str| json!({"issuer": issuer, "jwks_uri": uri}).to_string();
        let wrong = Err(KeySetFault::Metadata);
        for (page, found) in [
            (said(issuer, KEYS), Ok(true)),
            (said(other, KEYS), wrong),
            (said(issuer, "http://platform.example/keys"), wrong),
            (said(issuer, "file:///etc/passwd"), wrong),
            ("{}".to_owned(), wrong),
            ("junk".to_owned(), wrong),
        ] {
            let at = format!("{issuer}/.well-known/openid-configuration");
            publisher.pages.lock().insert(at, page.clone());
            let source = publisher.source(Place::MetadataOf(issuer.to_owned()));
            assert_eq!(finds(&source, "a", 0).await, found, "{page}");
        }
    });
}
