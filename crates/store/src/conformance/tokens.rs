//! Tokens: acknowledged when they last, revoked for good, and as many at once as there may be.

use std::task::{Context, Waker};

use fuuffy_domain::{Client, ClientChange, ClientId, Lifetime, PlanName, ScopeSet, SeededEntropy};

use super::{Backend, Maker, NOW, added, audit, cause, created, secret_changed_at};
use crate::{Changed, NewClient, NewCredential, NewToken, PartOf, SecretChange, Store, StoreError, TokenName};

pub(super) async fn tokens_last(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let token = maker.token(maker.grant(&client, &secret));
    let digest = token.digest;
    assert!(store.tokens().find(&digest).is_none());
    store.issue_token(token).await.expect("a token");
    let used = store.directory().find(&client.id).expect("the client").secrets[0].clone();
    let last = used.last_use.expect("a use");
    assert_eq!((used.use_count, last.at, last.agent.as_deref()), (1, NOW, Some("conformance/1")));
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    let entry = store.tokens().find(&digest).expect("an acknowledged token");
    assert_eq!((entry.client, entry.generation), (client.slot, 0));
    assert_eq!(*entry.scope, client.scopes);
    assert_eq!(entry.expires_at, NOW.after(Lifetime::HOUR.duration()));
    assert_eq!(store.directory().find(&client.id).expect("the client").secrets[0].use_count, 1);
    let part = PartOf { skip: 0, take: 10 };
    let listed = store.list_tokens(client.slot, NOW, part).await.expect("a list");
    assert_eq!((listed.total, listed.items[0].issued_at), (1, Some(NOW)));
}

pub(super) async fn a_burst_of_deeds_is_whole(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let tokens: Vec<NewToken> = (0..3000).map(|_| maker.token(maker.grant(&client, &secret))).collect();
    let digests: Vec<_> = tokens.iter().map(|token| token.digest).collect();
    let deeds: Vec<_> = tokens.into_iter().map(|token| store.issue_token(token)).collect();
    for deed in deeds {
        deed.await.expect("a token");
    }
    assert!(digests.iter().all(|digest| store.tokens().find(digest).is_some()));
    assert_eq!(store.directory().find(&client.id).expect("the client").secrets[0].use_count, 3000);
}

pub(super) async fn a_revoked_token_stays_revoked(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let tokens = [maker.token(maker.grant(&client, &secret)), maker.token(maker.grant(&client, &secret))];
    let digests = [tokens[0].digest, tokens[1].digest];
    for token in tokens {
        store.issue_token(token).await.expect("a token");
    }
    let by_itself = TokenName::Digests(vec![[9; 16], digests[0]]);
    assert_eq!(store.owner(by_itself.clone()).await.expect("done"), Some(client.slot));
    assert_eq!(store.owner(TokenName::Digests(vec![[9; 16]])).await.expect("done"), None);
    for _ in 0..2 {
        let revoked = store.revoke_token(cause(), by_itself.clone()).await.expect("done").expect("the token");
        assert_eq!(revoked.client, client.slot, "revoking twice is revoking once");
    }
    let is_refused = |store: &dyn Store, digest| {
        let entry = store.tokens().find(digest).expect("still known, to be refused");
        entry.verify(store.directory().get(client.slot).expect("the client"), NOW).is_err()
    };
    assert!(is_refused(&*store, &digests[0]) && !is_refused(&*store, &digests[1]));
    let part = PartOf { skip: 0, take: 10 };
    let listed = store.list_tokens(client.slot, NOW, part).await.expect("a list");
    assert_eq!(listed.total, 1, "a revoked token is not listed");
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    assert!(is_refused(&*store, &digests[0]) && !is_refused(&*store, &digests[1]), "after a restart, too");
    let number = TokenName::Number(listed.items[0].number);
    assert_eq!(store.owner(number.clone()).await.expect("done"), Some(client.slot));
    assert_eq!(store.owner(TokenName::Number(4_000_000)).await.expect("done"), None);
    store.revoke_token(cause(), number).await.expect("done").expect("the token");
    assert!(is_refused(&*store, &digests[1]));
    assert_eq!(audit(&*store).await.len(), 3, "a client and two revocations");
}

/// Registers a client and issues it so many tokens at the time of all deeds here.
///
/// # Panics
/// Where the store does not.
pub async fn issue_some(store: &dyn Store, count: usize) {
    let mut maker = Maker::new();
    // Digests and ids differ from call to call.
    maker.entropy = SeededEntropy::new(1000 + store.directory().len() as u64);
    let (client, secret) = maker.client(store).await;
    let deeds: Vec<_> = (0..count).map(|_| store.issue_token(maker.token(maker.grant(&client, &secret)))).collect();
    for deed in deeds {
        deed.await.expect("a token");
    }
}

/// Registers so many clients and issues each of them so many tokens, one after the other in turn.
///
/// # Panics
/// Where the store does not.
pub async fn issue_in_turn(store: &dyn Store, clients: usize, rounds: usize) {
    let mut maker = Maker::new();
    maker.entropy = SeededEntropy::new(1000 + store.directory().len() as u64);
    let mut registered = Vec::new();
    for _ in 0..clients {
        registered.push(maker.client(store).await);
    }
    for _ in 0..rounds {
        for (client, secret) in &registered {
            store.issue_token(maker.token(maker.grant(client, secret))).await.expect("a token");
        }
    }
}

/// Asks for so many tokens before waiting for any; answers how many were issued, and how many refused.
///
/// # Panics
/// Where a refusal is for anything but overload.
pub async fn flood(store: &dyn Store, count: usize) -> (usize, usize) {
    let maker = Maker::new();
    let (client, secret) = maker.client(store).await;
    let tokens: Vec<NewToken> = (0..count).map(|_| maker.token(maker.grant(&client, &secret))).collect();
    let deeds: Vec<_> = tokens.into_iter().map(|token| store.issue_token(token)).collect();
    let (mut done, mut refused) = (0, 0);
    for deed in deeds {
        match deed.await {
            Ok(()) => done += 1,
            Err(StoreError::Overloaded) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    (done, refused)
}

/// What a token was asked for with may be taken away before it is there.
pub(super) async fn what_was_taken_away_meanwhile_gets_no_token(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, clear) = maker.client(&*store).await;
    let (other, id) = (maker.secret(), client.secrets[0].id.clone());
    let token = maker.token(maker.grant(&client, &clear));
    added(&*store, &client.id, other.1).await;
    secret_changed_at(NOW, &*store, &client, &id, SecretChange::Retire).await.expect("the secret");
    assert!(matches!(store.issue_token(token).await, Err(StoreError::Superseded)));
    let now = store.directory().find(&client.id).expect("the client");
    store.issue_token(maker.token(maker.grant(&now, &other.0))).await.expect("by the one that is left");
}

/// While as many tokens wait as may, revokes all of a client's: that is taken, and done before the tokens that were asked
/// for first, so that none of these is issued. After `hold` the store writes nothing until what that answered is dropped.
///
/// # Panics
/// Where it is not.
pub async fn revoke_in_a_flood<H>(store: &dyn Store, count: usize, hold: impl FnOnce() -> H) {
    let maker = Maker::new();
    let (client, secret) = maker.client(store).await;
    let held = hold();
    let mut asked = Vec::new();
    while asked.len() < count {
        let mut deed = store.issue_token(maker.token(maker.grant(&client, &secret)));
        if deed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            break;
        }
        asked.push(deed);
    }
    assert!(asked.len() < count, "none was refused");
    let revocation = store.change_client(cause(), client.id.clone(), None, ClientChange::RevokeTokens);
    drop(held);
    let revoked = revocation.await;
    assert!(matches!(revoked, Ok(Changed::Done(_))), "{revoked:?}");
    for deed in asked {
        let issued = deed.await;
        assert!(matches!(issued, Err(StoreError::Superseded)), "before the revocation: {issued:?}");
    }
}

/// Asks for so many tokens, each with another subset of a client's scopes; answers how many were issued, and
/// how many refused.
///
/// # Panics
/// Where a refusal is for anything but too many scopes.
pub async fn issue_subsets(store: &dyn Store, count: usize) -> (usize, usize) {
    let maker = Maker::new();
    let (clear, secret) = maker.secret();
    let names = |bits: usize| (0..20).filter(move |bit| bits >> bit & 1 == 1).map(|bit| format!("s{bit}"));
    let scopes = |bits| ScopeSet::parse(&names(bits).collect::<Vec<_>>().join(" ")).expect("scopes");
    let new = NewClient {
        id: ClientId::from_random(maker.random()),
        name: "Subsets".to_owned(),
        scopes: scopes((1 << 20) - 1),
        plan: PlanName::parse("standard").expect("a plan"),
        limits: None,
        token_lifetime: None,
        may_rotate: false,
        must_bind: None,
        credential: NewCredential::Secret(secret),
    };
    let client = created(store, new, None).await;
    let digests = maker.keyring.secret_digests(&clear);
    let (mut issued, mut refused) = (0, 0);
    for from in (0..count).step_by(1000) {
        let deeds: Vec<_> = (from..count.min(from + 1000))
            .map(|bits| {
                let known = Client::authenticate(Some(&client), &digests, NOW).expect("the right secret");
                let grant = known.approve(Some(scopes(bits)), Lifetime::HOUR, None).expect("an active client");
                store.issue_token(maker.token(grant))
            })
            .collect();
        for deed in deeds {
            match deed.await {
                Ok(()) => issued += 1,
                Err(StoreError::TooManyScopes) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    (issued, refused)
}
