//! Secrets that move to a newer key when they are used, and keys that are closed before they go.

use std::sync::Arc;

use fuuffy_domain::{
    Actor, AuditKeys, Cause, Client, ClientId, Entropy as _, EnvironmentName, Keyring, Lifetime, PlanName, RequestId,
    ScopeSet, SecretId, SeededEntropy,
};
use fuuffy_protocol::ClientSecret;
use zeroize::Zeroizing;

use super::*;
use crate::embedded::{AuditOptions, OpenOptions};
use crate::{Creation, NewClient, NewCredential, NewSecret, NewToken, Store as _, StoreError};

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

fn master(newest: u32) -> Vec<(KeyId, Zeroizing<[u8; 32]>)> {
    (1..=newest).rev().map(|id| (KeyId(id), Zeroizing::new([u8::try_from(id).unwrap(); 32]))).collect()
}

fn open(folder: &tempfile::TempDir) -> EmbeddedStore {
    let path = folder.path().join("testing.sqlite3");
    let (environment, longest_lifetime) = (EnvironmentName::Testing, Lifetime::HOUR);
    let keys = AuditKeys::derive(environment, &[(KeyId(1), Zeroizing::new([9; 32]))]).unwrap();
    let audit = AuditOptions { keys, retention: None };
    EmbeddedStore::open(OpenOptions { path, environment, longest_lifetime, now: NOW, audit }).unwrap().0
}

fn cause() -> Cause {
    Cause { actor: Actor::Server, from: None, request: RequestId::generate(NOW, [7; 10]), at: NOW, why: None }
}

fn new_client(ring: &Keyring, name: &str) -> (ClientSecret, NewClient) {
    let mut random = [0; 32];
    SeededEntropy::new(name.len() as u64).fill(&mut random).unwrap();
    let clear = ClientSecret::from_random(EnvironmentName::Testing.secret_kind(), &mut random);
    let digest = ring.secret_digests(&clear)[0];
    let id = SecretId::parse(name).unwrap();
    let secret = NewSecret { id, digest, created_at: NOW, expires_at: None, made_by: None };
    let client = NewClient {
        id: ClientId::parse(name).unwrap(),
        name: name.to_owned(),
        scopes: ScopeSet::default(),
        plan: PlanName::parse("standard").unwrap(),
        limits: None,
        token_lifetime: None,
        may_rotate: false,
        must_bind: None,
        credential: NewCredential::Secret(secret),
    };
    (clear, client)
}

/// A token as the issuer asks for one, by a client as it was read at some moment.
fn token(ring: &Keyring, client: &Arc<Client>, clear: &ClientSecret) -> NewToken {
    let known = Client::authenticate(Some(client), &ring.secret_digests(clear), NOW).unwrap();
    let grant = known.approve(None, Lifetime::HOUR, None).unwrap();
    NewToken { grant, key: ring.current(), digest: [1; 16], issued_at: NOW, from: None, agent: None }
}

#[tokio::test]
async fn a_secret_moves_to_the_newest_key_when_it_is_used_and_never_back() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ring) = (open(&folder), Keyring::derive(EnvironmentName::Testing, &master(1)).unwrap());
    let (clear, new) = new_client(&ring, "one");
    let Creation::Done(first) = store.create_client(cause(), new, None).await.unwrap() else { panic!("made") };
    let key_of_secret = || store.directory().find(&first.id).unwrap().secrets[0].digest.key;

    // Two requests that were authenticated under different keys, the later one kept first.
    ring.replace(&master(2)).unwrap();
    let early = token(&ring, &first, &clear);
    ring.replace(&master(3)).unwrap();
    store.issue_token(token(&ring, &first, &clear)).await.unwrap();
    assert_eq!(key_of_secret(), KeyId(3));
    store.issue_token(early).await.unwrap();
    assert_eq!(key_of_secret(), KeyId(3), "a key may be gone that a late request knew");
    let needs = store.key_needs(NOW).await.unwrap();
    let counts = |key: u32| needs.get(&KeyId(key)).map(|needs| (needs.secrets, needs.tokens));
    assert_eq!((counts(1), counts(2), counts(3)), (None, Some((0, 1)), Some((1, 1))));
    store.close().await.unwrap();

    let store = open(&folder);
    let kept = store.directory().find(&first.id).unwrap();
    assert_eq!(kept.secrets[0].digest.key, KeyId(3));
    ring.replace(&master(3)[..1]).unwrap();
    store.issue_token(token(&ring, &kept, &clear)).await.unwrap();
}

#[tokio::test]
async fn nothing_new_comes_under_a_closed_key() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ring) = (open(&folder), Keyring::derive(EnvironmentName::Testing, &master(1)).unwrap());
    let (clear, new) = new_client(&ring, "one");
    let Creation::Done(client) = store.create_client(cause(), new, None).await.unwrap() else { panic!("made") };
    store.close_key(KeyId(1)).await.unwrap();
    let refused = store.issue_token(token(&ring, &client, &clear)).await;
    assert!(matches!(refused, Err(StoreError::Superseded)), "{refused:?}");
    let refused = store.create_client(cause(), new_client(&ring, "other").1, None).await;
    assert!(matches!(refused, Err(StoreError::Superseded)), "{refused:?}");
    // A request that knew the closed key as the newest, and draws its token after that.
    ring.replace(&master(2)).unwrap();
    let known = token(&ring, &client, &clear);
    store.close_key(KeyId(2)).await.unwrap();
    store.issue_token(NewToken { key: KeyId(3), ..known }).await.unwrap();
    assert_eq!(store.directory().find(&client.id).unwrap().secrets[0].digest.key, KeyId(1));
    store.reopen_key(KeyId(1)).await.unwrap();
    ring.replace(&master(1)).unwrap();
    store.issue_token(token(&ring, &client, &clear)).await.unwrap();
    let (_, again) = new_client(&ring, "one");
    assert!(matches!(store.create_client(cause(), again, None).await, Ok(Creation::Taken)));
    assert!(store.is_writable(), "what is refused harms nothing");
}
