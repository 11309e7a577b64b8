//! Clients: kept, changed by whoever saw them last, and gone for good.

use fuuffy_domain::{ClientChange, ClientId, ClientPatch, ClientStatus, ScopeSet, SecretId};

use super::{Backend, Maker, NOW, added, cause, changed, done, secret_changed};
use crate::{Changed, Conditions, Creation, PartOf, SecretChange, StoreError, TokenName};

pub(super) async fn clients_last(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let (other, _) = maker.client(&*store).await;
    assert_ne!(client.slot, other.slot);
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    let all = store.directory().list(PartOf { skip: 0, take: 10 });
    assert_eq!(all.total, 2);
    let listed: Vec<ClientId> = all.items.iter().map(|client| client.id.clone()).collect();
    assert_eq!(listed, [client.id.clone(), other.id.clone()], "oldest first");
    let found = store.directory().find(&client.id).expect("the client");
    assert_eq!((&found.name, &found.scopes, &found.plan), (&client.name, &client.scopes, &client.plan));
    assert_eq!((found.slot, found.created_at, found.status), (client.slot, NOW, ClientStatus::Active));
    assert!(found.secrets[0].digest.matches(&client.secrets[0].digest));
    assert_eq!(store.newest_record().expect("a record"), NOW);
}

pub(super) async fn suspension_revokes_and_supersedes(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let waiting = maker.token(maker.grant(&client, &secret));
    let suspended = changed(&*store, &client.id, ClientChange::Suspend).await.expect("the client");
    assert_eq!((suspended.status, suspended.generation), (ClientStatus::Suspended, 1));
    let late = store.issue_token(waiting).await;
    assert!(matches!(late, Err(StoreError::Superseded)), "a grant from before the suspension: {late:?}");
    let again = changed(&*store, &client.id, ClientChange::Suspend).await.expect("the client");
    assert_eq!(again.generation, 1, "suspending twice revokes once");
    let resumed = changed(&*store, &client.id, ClientChange::Resume).await.expect("the client");
    assert_eq!((resumed.status, resumed.generation), (ClientStatus::Active, 1), "old tokens stay revoked");
    store.issue_token(maker.token(maker.grant(&resumed, &secret))).await.expect("a token");
}

pub(super) async fn deletion_is_for_good(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let token = maker.token(maker.grant(&client, &secret));
    let digest = token.digest;
    store.issue_token(token).await.expect("a token");
    changed(&*store, &client.id, ClientChange::Delete).await.expect("the client");
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    assert!(store.directory().find(&client.id).is_none() && store.directory().is_empty());
    assert!(changed(&*store, &client.id, ClientChange::Resume).await.is_none());
    let gone = store.directory().get(client.slot).expect("its slot is never reused");
    assert!(gone.secrets.is_empty());
    let entry = store.tokens().find(&digest).expect("still known, to be refused");
    assert!(entry.verify(gone, NOW).is_err());
    let (next, _) = maker.client(&*store).await;
    assert_ne!(next.slot, client.slot);
}

pub(super) async fn nobody_is_none(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let nobody = ClientId::parse("app_nobody").expect("an id");
    assert!(changed(&*store, &nobody, ClientChange::Suspend).await.is_none());
    assert!(changed(&*store, &nobody, ClientChange::Delete).await.is_none());
    assert!(matches!(added(&*store, &nobody, maker.secret().1).await, Creation::NoClient));
    let (client, _) = maker.client(&*store).await;
    let unknown = SecretId::parse("sec_unknown").expect("an id");
    assert!(secret_changed(&*store, &client, &unknown, SecretChange::Retire).await.is_none());
    let nowhere = TokenName::Digests(vec![[9; 16]]);
    assert!(store.revoke_token(cause(), nowhere).await.expect("done").is_none());
}

pub(super) async fn what_was_not_seen_is_not_changed(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let change = |seen, change| store.change_client(cause(), client.id.clone(), Some(seen), change);
    let suspended = done(change(client.revision, ClientChange::Suspend).await.expect("done")).expect("the client");
    assert_ne!(suspended.revision, client.revision);
    let late = change(client.revision, ClientChange::Delete).await.expect("done");
    assert!(matches!(late, Changed::Stale));
    let on = Conditions { seen: Some(client.revision), once: None };
    let late = store.add_secret(cause(), client.id.clone(), maker.secret().1, on).await.expect("done");
    assert!(matches!(late, Creation::Stale));
    let of = (client.id.clone(), client.secrets[0].id.clone());
    let late = store.change_secret(cause(), of, Some(client.revision), SecretChange::Retire).await.expect("done");
    assert!(matches!(late, Changed::Stale));
    done(change(suspended.revision, ClientChange::Resume).await.expect("done")).expect("the client");
}

pub(super) async fn taking_a_scope_away_revokes(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let scopes = |text: &str| Some(ScopeSet::parse(text).expect("scopes"));
    let patch = |scopes| ClientChange::Patch(ClientPatch { scopes, ..ClientPatch::default() });
    let wider = changed(&*store, &client.id, patch(scopes("a b c"))).await.expect("the client");
    assert_eq!(wider.generation, client.generation);
    let narrower = changed(&*store, &client.id, patch(scopes("a"))).await.expect("the client");
    assert_eq!(narrower.generation, client.generation + 1);
    let same = changed(&*store, &client.id, patch(scopes("a"))).await.expect("the client");
    assert_eq!(same.revision, narrower.revision, "what changes nothing is no change");
    store.close().await.expect("closed");
    drop(store);
    let kept = backend.open().directory().find(&client.id).expect("the client");
    assert_eq!((kept.scopes.to_string(), kept.revision), ("a".to_owned(), narrower.revision));
}

pub(super) async fn a_closed_store_takes_nothing(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let token = maker.token(maker.grant(&client, &secret));
    store.close().await.expect("closed");
    store.close().await.expect("closing twice is closing once");
    assert!(matches!(store.issue_token(token).await, Err(StoreError::Closed)));
    assert!(store.directory().find(&client.id).is_some(), "reading goes on");
}
