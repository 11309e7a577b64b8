//! Identities: ten at most, none twice, each with its uses; and keys that a client publishes.

use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{ClaimRules, Client, ClientChange, IdentityId, LastUse};

use super::{Backend, Maker, NOW, audit, cause, changed};
use crate::{
    AssertionUse, Changed, Conditions, Creation, IdentityUse, NewCredential, NewIdentity, Store, StoreError, UsedKey,
};

const PLATFORM: &str = "https://platform.example";

fn identity(id: &str, subject: &str) -> NewIdentity {
    NewIdentity {
        id: IdentityId::parse(id).expect("an id"),
        issuer: PLATFORM.into(),
        rules: ClaimRules::parse([("sub".to_owned(), subject.to_owned())].into()).expect("rules"),
        created_at: NOW,
    }
}

async fn added(store: &dyn Store, client: &Client, new: NewIdentity) -> Creation {
    store.add_identity(cause(), client.id.clone(), new, Conditions::default()).await.expect("done")
}

fn used(client: &Client, id: &str) -> IdentityUse {
    let last = LastUse { at: NOW, from: None, agent: Some("conformance/1".into()) };
    IdentityUse { client: client.slot, identity: IdentityId::parse(id).expect("an id"), last }
}

pub(super) async fn a_client_is_bound_to_ten_at_most_and_none_twice(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let client = maker.client_by(&*store, NewCredential::Identity(identity("first", "a"))).await;
    assert!(client.secrets.is_empty() && client.identities.len() == 1);
    assert!(matches!(added(&*store, &client, identity("again", "a")).await, Creation::Taken));
    for number in 1..10 {
        let new = identity(&format!("more{number}"), &number.to_string());
        assert!(matches!(added(&*store, &client, new).await, Creation::Done(_)));
    }
    assert!(matches!(added(&*store, &client, identity("over", "b")).await, Creation::TooMany));
    for _ in 0..3 {
        store.use_identity(used(&client, "more1")).await.expect("a use");
    }
    assert!(matches!(store.use_identity(used(&client, "over")).await, Err(StoreError::Superseded)));
    let of = |id: &str| (client.id.clone(), IdentityId::parse(id).expect("an id"));
    let removed = store.remove_identity(cause(), of("first"), None).await.expect("done");
    assert!(matches!(removed, Changed::Done(client) if client.identities.len() == 9 && client.revision.0 == 10));
    assert!(matches!(store.remove_identity(cause(), of("first"), None).await, Ok(Changed::Nothing)));
    assert!(matches!(store.use_identity(used(&client, "first")).await, Err(StoreError::Superseded)));
    let deeds: Vec<String> = audit(&*store).await.iter().map(|row| row.record.clone()).collect();
    let is_told = deeds[0].contains("\"identity_id\":\"first\"") && deeds[1].contains("client_identity.added");
    assert!(is_told && deeds[1].contains(r#""claims":{"sub":"a"}"#), "{deeds:?}");
    assert!(deeds[11].contains("client_identity.removed"), "{deeds:?}");
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    let kept = store.directory().find(&client.id).expect("the client");
    let first = &kept.identities[0];
    assert_eq!((kept.identities.len(), first.id.as_str(), &*first.issuer, first.use_count), (9, "more1", PLATFORM, 3));
    assert_eq!(first.last_use.as_ref().map(|last| last.at), Some(NOW));
    changed(&*store, &client.id, ClientChange::Delete).await.expect("deleted");
    drop(store.close().await);
    drop(store);
    assert!(backend.open().directory().get(client.slot).expect("its place").identities.is_empty(), "with the client");
}

pub(super) async fn published_keys_last_with_their_client(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let uri: Arc<str> = "https://client.example/keys".into();
    let client = maker.client_by(&*store, NewCredential::KeysAt(Arc::clone(&uri))).await;
    let (other, _) = maker.client(&*store).await;
    let used = |client: &Client, jti: u8| AssertionUse {
        client: client.slot,
        key: UsedKey::Published,
        jti: [jti; 32],
        expires_at: NOW.after(Duration::from_secs(60)),
        last: LastUse { at: NOW, from: None, agent: None },
    };
    assert!(store.use_assertion(used(&client, 1)).await.expect("done"));
    assert!(!store.use_assertion(used(&client, 1)).await.expect("done"), "once");
    assert!(matches!(store.use_assertion(used(&other, 2)).await, Err(StoreError::Superseded)), "it publishes none");
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    assert_eq!(store.directory().find(&client.id).expect("the client").jwks_uri, Some(uri));
    changed(&*store, &client.id, ClientChange::Delete).await.expect("deleted");
    assert!(matches!(store.use_assertion(used(&client, 3)).await, Err(StoreError::Superseded)));
    drop(store.close().await);
    drop(store);
    assert_eq!(backend.open().directory().get(client.slot).expect("its place").jwks_uri, None);
}
