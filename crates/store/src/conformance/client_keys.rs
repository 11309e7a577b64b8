//! Public keys: three at most, none twice, and an assertion that is used once.

use std::time::Duration;

use fuuffy_domain::{Client, ClientChange, ClientKeyId, KeyAlgorithm, LastUse, Timestamp};

use super::{Backend, Maker, NOW, audit, cause, changed};
use crate::{AssertionUse, Changed, Conditions, Creation, NewClientKey, Store, StoreError, UsedKey};

fn key(id: &str, kid: Option<&str>) -> NewClientKey {
    NewClientKey {
        id: ClientKeyId::parse(id).expect("an id"),
        kid: kid.map(Into::into),
        algorithm: KeyAlgorithm::EdDsa,
        jwk: r#"{"kty":"OKP"}"#.into(),
        created_at: NOW,
    }
}

async fn added(store: &dyn Store, client: &Client, key: NewClientKey) -> Creation {
    store.add_key(cause(), client.id.clone(), key, Conditions::default()).await.expect("done")
}

fn used(client: &Client, key: &str, jti: u8, expires_at: Timestamp) -> AssertionUse {
    let last = LastUse { at: NOW, from: None, agent: Some("conformance/1".into()) };
    let key = UsedKey::Registered(ClientKeyId::parse(key).expect("an id"));
    AssertionUse { client: client.slot, key, jti: [jti; 32], expires_at, last }
}

pub(super) async fn at_most_three_keys_and_none_twice(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    assert!(matches!(added(&*store, &client, key("one", Some("a"))).await, Creation::Done(_)));
    for like_it in [key("one", None), key("two", Some("a")), key("two", Some("one")), key("a", None)] {
        assert!(matches!(added(&*store, &client, like_it).await, Creation::Taken));
    }
    assert!(matches!(added(&*store, &client, key("two", None)).await, Creation::Done(_)));
    assert!(matches!(added(&*store, &client, key("three", None)).await, Creation::Done(_)));
    assert!(matches!(added(&*store, &client, key("four", None)).await, Creation::TooMany));
    let of = |id: &str| (client.id.clone(), ClientKeyId::parse(id).expect("an id"));
    let removed = store.remove_key(cause(), of("two"), None).await.expect("done");
    assert!(matches!(removed, Changed::Done(client) if client.keys.len() == 2 && client.revision.0 == 4));
    assert!(matches!(store.remove_key(cause(), of("two"), None).await, Ok(Changed::Nothing)));
    let deeds: Vec<String> = audit(&*store).await.iter().map(|row| row.record.clone()).collect();
    assert!(deeds[1].contains("client_key.added") && deeds[4].contains("client_key.removed"), "{deeds:?}");
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    let kept = store.directory().find(&client.id).expect("the client");
    let names: Vec<_> = kept.keys.iter().map(|key| (key.id.as_str(), key.kid.as_deref())).collect();
    assert_eq!(names, [("one", Some("a")), ("three", None)]);
    changed(&*store, &client.id, ClientChange::Delete).await.expect("deleted");
    drop(store.close().await);
    drop(store);
    let gone = backend.open().directory().get(client.slot).expect("its place");
    assert!(gone.keys.is_empty(), "with the client");
}

pub(super) async fn an_assertion_is_used_once(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let (other, _) = maker.client(&*store).await;
    for of in [&client, &other] {
        assert!(matches!(added(&*store, of, key("one", None)).await, Creation::Done(_)));
    }
    let minute = NOW.after(Duration::from_secs(60));
    let deeds: Vec<_> = (0..20).map(|_| store.use_assertion(used(&client, "one", 1, minute))).collect();
    let mut taken = 0;
    for deed in deeds {
        taken += usize::from(deed.await.expect("done"));
    }
    assert_eq!(taken, 1, "however many come at once");
    let later = minute.after(Duration::from_secs(60));
    assert!(!store.use_assertion(used(&client, "one", 1, later)).await.expect("done"), "whatever else it says");
    assert!(store.use_assertion(used(&client, "one", 2, minute)).await.expect("done"));
    assert!(store.use_assertion(used(&other, "one", 1, minute)).await.expect("done"), "another client's is another");
    assert!(matches!(store.use_assertion(used(&client, "two", 3, minute)).await, Err(StoreError::Superseded)));
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    assert!(!store.use_assertion(used(&client, "one", 1, minute)).await.expect("done"), "a restart forgets nothing");
    let kept = store.directory().find(&client.id).expect("the client");
    let last = kept.keys[0].last_use.clone().expect("its last use");
    assert_eq!((kept.keys[0].use_count, last.at, last.agent.as_deref()), (2, NOW, Some("conformance/1")));
}
