//! Secrets: three at most, each with a life that goes one way, and made once for one key.

use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{Client, ClientChange, ClientPatch, GrantRefusal, IN_FLIGHT, LastUse, Lifetime, SecretStatus};

use super::{Backend, Maker, NOW, added, cause, changed, secret_changed, secret_changed_at};
use crate::{Answered, Conditions, Creation, Lost, NewSecret, NewToken, Once, SecretChange, SecretUse, StoreError};

pub(super) async fn at_most_three_secrets_live(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let deeds: Vec<_> =
        (0..5).map(|_| store.add_secret(cause(), client.id.clone(), maker.secret().1, Conditions::default())).collect();
    let mut count = 0;
    for deed in deeds {
        count += usize::from(matches!(deed.await.expect("done"), Creation::Done(_)));
    }
    assert_eq!(count, 2, "beside the first, however many are asked for at once");
    let first = client.secrets[0].id.clone();
    secret_changed(&*store, &client, &first, SecretChange::Retire).await.expect("the secret");
    let room = added(&*store, &client.id, maker.secret().1).await;
    assert!(matches!(room, Creation::Done(client) if client.secrets.len() == 4 && client.live_secrets(NOW) == 3));
}

pub(super) async fn secrets_change_once(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let secret = client.secrets[0].id.clone();
    let later = NOW.after(Lifetime::HOUR.duration());
    for time in [NOW, later] {
        for change in [SecretChange::Retire, SecretChange::Expose] {
            secret_changed_at(time, &*store, &client, &secret, change).await.expect("the secret");
        }
    }
    store.close().await.expect("closed");
    drop(store);
    let kept = backend.open().directory().find(&client.id).expect("the client").secrets[0].clone();
    assert_eq!((kept.retired_at, kept.exposed_at), (Some(NOW), Some(NOW)), "the first time counts");
}

pub(super) async fn a_key_creates_once(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let answer = Answered { request: [1; 32], sealed: vec![2; 99] };
    let once = || Some(Once { key: [3; 32], answer: answer.clone() });
    assert!(store.answered([3; 32]).await.expect("done").is_none());
    let deeds: Vec<_> = (0..3)
        .map(|_| {
            let on = Conditions { seen: None, once: once() };
            store.add_secret(cause(), client.id.clone(), maker.secret().1, on)
        })
        .collect();
    let mut outcomes = Vec::new();
    for deed in deeds {
        outcomes.push(deed.await.expect("done"));
    }
    assert!(matches!(&outcomes[0], Creation::Done(client) if client.secrets.len() == 2));
    assert!(outcomes[1..].iter().all(|outcome| matches!(outcome, Creation::Before(before) if *before == answer)));
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    assert_eq!(store.answered([3; 32]).await.expect("done"), Some(answer.clone()));
    assert_eq!(store.directory().find(&client.id).expect("the client").secrets.len(), 2);
}

pub(super) async fn a_pending_secret_takes_the_place_of_an_unused_one(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let first = client.secrets[0].id.clone();
    let pending = |created_at| {
        let (clear, secret) = maker.secret();
        (clear, NewSecret { made_by: Some(first.clone()), created_at, ..secret })
    };
    let (later, last) = (NOW.after(IN_FLIGHT), NOW.after(2 * IN_FLIGHT));
    added(&*store, &client.id, pending(NOW).1).await;
    let (clear, used) = pending(NOW);
    let Creation::Done(now) = added(&*store, &client.id, used).await else { panic!("room") };
    assert_eq!(now.live_secrets(NOW), 3, "what may be kept at this moment stays");
    assert!(matches!(added(&*store, &client.id, pending(NOW).1).await, Creation::TooMany));
    let Creation::Done(now) = added(&*store, &client.id, pending(later).1).await else { panic!("room") };
    assert_eq!((now.secrets.len(), now.live_secrets(later)), (4, 3), "the first pending one is retired");
    store.issue_token(maker.token(maker.grant(&now, &clear))).await.expect("a token");
    let Creation::Done(now) = added(&*store, &client.id, pending(last).1).await else { panic!("room") };
    assert_eq!(now.live_secrets(last), 3, "one that was used stays");
    let confirm = SecretChange::Confirm(Lifetime::HOUR.duration());
    let confirmed = now.secrets[2].id.clone();
    let now = secret_changed_at(last, &*store, &now, &confirmed, confirm).await.expect("the secret");
    let status: Vec<SecretStatus> = now.secrets.iter().map(|secret| secret.status(last)).collect();
    use SecretStatus as S;
    assert_eq!(status, [S::Retiring, S::Retired, S::Live, S::Retired, S::Pending]);
}

/// What was taken away while a secret was being made keeps that one from working.
pub(super) async fn whoever_may_not_rotate_any_more_makes_no_secret(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let first = client.secrets[0].id.clone();
    let made = || NewSecret { made_by: Some(first.clone()), ..maker.secret().1 };
    let add = || store.add_secret(cause(), client.id.clone(), made(), Conditions::default());
    let may_rotate =
        |may_rotate| ClientChange::Patch(ClientPatch { may_rotate: Some(may_rotate), ..Default::default() });
    for (taken, given) in [(ClientChange::Suspend, ClientChange::Resume), (may_rotate(false), may_rotate(true))] {
        changed(&*store, &client.id, taken).await.expect("the client");
        assert!(matches!(add().await, Err(StoreError::Superseded)));
        changed(&*store, &client.id, given).await.expect("the client");
    }
    assert!(matches!(add().await, Ok(Creation::Done(_))), "all was given back");
    secret_changed(&*store, &client, &first, SecretChange::Retire).await.expect("the secret");
    assert!(matches!(add().await, Err(StoreError::Superseded)));
    assert_eq!(store.directory().find(&client.id).expect("the client").secrets.len(), 2);
}

/// Whoever confirms what is gone has not replaced anything.
pub(super) async fn a_retired_secret_sends_no_other_away(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let pending = NewSecret { made_by: Some(client.secrets[0].id.clone()), ..maker.secret().1 };
    let id = pending.id.clone();
    let Creation::Done(now) = added(&*store, &client.id, pending).await else { panic!("room") };
    let now = secret_changed_at(NOW, &*store, &now, &id, SecretChange::Retire).await.expect("the secret");
    let confirm = SecretChange::Confirm(Lifetime::HOUR.duration());
    let now = secret_changed_at(NOW, &*store, &now, &id, confirm).await.unwrap_or(now);
    assert!(now.secrets[0].retiring.is_none(), "{:?}", now.secrets[0]);
}

pub(super) async fn a_retiring_secret_goes_when_it_is_unused(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, clear) = maker.client(&*store).await;
    let (id, hour) = (client.secrets[0].id.clone(), Lifetime::HOUR.duration());
    let change = |at, change| secret_changed_at(at, &*store, &client, &id, change);
    let is_live = |client: Option<Arc<Client>>| client.expect("the secret").secrets[0].retired_at.is_none();
    assert!(is_live(change(NOW.after(2 * hour), SecretChange::RetireIfDue).await), "it is not to go");
    change(NOW, SecretChange::RetireWhenUnused(hour)).await.expect("the secret");
    // A use in the same transaction counts.
    let token = NewToken { issued_at: NOW.after(hour), ..maker.token(maker.grant(&client, &clear)) };
    let used = store.issue_token(token);
    assert!(is_live(change(NOW.after(hour), SecretChange::RetireIfDue).await));
    used.await.expect("a token");
    let almost = NOW.after(2 * hour - Duration::from_millis(1));
    assert!(is_live(change(almost, SecretChange::RetireIfDue).await));
    assert!(!is_live(change(NOW.after(2 * hour), SecretChange::RetireIfDue).await));
    assert_eq!(store.directory().find(&client.id).expect("the client").secrets[0].use_count, 1);
}

pub(super) async fn a_use_without_a_token_keeps_a_retiring_secret(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, clear) = maker.client(&*store).await;
    let (id, hour) = (client.secrets[0].id.clone(), Lifetime::HOUR.duration());
    let change = |at, change| secret_changed_at(at, &*store, &client, &id, change);
    let is_live = |client: Option<Arc<Client>>| client.expect("the secret").secrets[0].retired_at.is_none();
    change(NOW, SecretChange::RetireWhenUnused(hour)).await.expect("the secret");
    let known = Client::authenticate(Some(&client), &maker.keyring.secret_digests(&clear), NOW).expect("the secret");
    let last = LastUse { at: NOW.after(hour), from: None, agent: Some("conformance/1".into()) };
    store.note_use(SecretUse { client: known, last: last.clone() }).await.expect("done");
    let used = store.directory().find(&client.id).expect("the client").secrets[0].clone();
    assert_eq!((used.use_count, used.last_use), (0, Some(last)), "tokens are what is counted");
    let almost = NOW.after(2 * hour - Duration::from_millis(1));
    assert!(is_live(change(almost, SecretChange::RetireIfDue).await));
    assert!(!is_live(change(NOW.after(2 * hour), SecretChange::RetireIfDue).await));
}

pub(super) async fn a_quarantined_secret_gets_no_token_and_goes_once_it_is_replaced(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, clear) = maker.client(&*store).await;
    let digests = maker.keyring.secret_digests(&clear);
    assert_eq!(store.directory().find_by_secret(&digests).expect("the client").id, client.id);
    // Approved before, and asked for after: the deed itself refuses.
    let (grant, id) = (maker.grant(&client, &clear), client.secrets[0].id.clone());
    let later = NOW.after(Lifetime::HOUR.duration());
    for time in [NOW, later] {
        secret_changed_at(time, &*store, &client, &id, SecretChange::Quarantine).await.expect("the secret");
    }
    assert!(matches!(store.issue_token(maker.token(grant)).await, Err(StoreError::Superseded)));
    assert!(store.deed_behind(client.id.clone(), Lost::UseOfSecret(id)).await.expect("the audit log").is_some());
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    let kept = store.directory().find_by_secret(&digests).expect("the client");
    assert_eq!((kept.secrets[0].quarantined_at, kept.secrets[0].exposed_at), (Some(NOW), Some(NOW)));
    let known = Client::authenticate(Some(&kept), &digests, NOW).expect("it proves who it is");
    assert!(matches!(known.approve(None, Lifetime::HOUR, None), Err(GrantRefusal::Quarantined)));
    let new = NewSecret { made_by: Some(kept.secrets[0].id.clone()), ..maker.secret().1 };
    let confirmed = new.id.clone();
    added(&*store, &client.id, new).await;
    let confirm = SecretChange::Confirm(Lifetime::HOUR.duration());
    let now = secret_changed_at(later, &*store, &kept, &confirmed, confirm).await.expect("the secret");
    assert_eq!(now.secrets[0].retired_at, Some(later), "at once, and not when it is unused");
    changed(&*store, &client.id, ClientChange::Delete).await.expect("the client");
    assert!(store.directory().find_by_secret(&digests).is_none());
}
