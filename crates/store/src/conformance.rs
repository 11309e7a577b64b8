//! What every backend must do, as plain functions: each takes a way to open one store, again and again,
//! and panics where a promise is broken. A backend's tests call [`run_all`].

use std::sync::Arc;

use fuuffy_domain::{
    ApprovedGrant, Client, ClientId, ClientStatus, Entropy as _, EnvironmentName, KeyId, Keyring, Lifetime, PlanName,
    ScopeSet, SecretId, SeededEntropy, Timestamp,
};
use fuuffy_protocol::ClientSecret;
use zeroize::Zeroizing;

use crate::{AddSecret, NewClient, NewSecret, NewToken, SecretChange, Store, StoreError};

/// Opens the store under test; the same one every time, and empty the first time.
pub trait Backend: Sync {
    /// Opens the store, which nobody else has open.
    fn open(&self) -> Arc<dyn Store>;
}

/// The time of all deeds.
const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

/// Makes clients, secrets and tokens, all from one seed.
struct Maker {
    entropy: SeededEntropy,
    keyring: Keyring,
}

impl Maker {
    fn new() -> Self {
        let keys = [(KeyId(1), Zeroizing::new([7; 32]))];
        let keyring = Keyring::derive(EnvironmentName::Testing, &keys).expect("one key");
        Self { entropy: SeededEntropy::new(7), keyring }
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes).expect("a seed never fails");
        bytes
    }

    fn secret(&self) -> (ClientSecret, NewSecret) {
        let clear = ClientSecret::from_random(EnvironmentName::Testing.secret_kind(), &mut self.random());
        let digest = self.keyring.secret_digests(&clear)[0];
        let new = NewSecret { id: SecretId::from_random(self.random()), digest, created_at: NOW, expires_at: None };
        (clear, new)
    }

    async fn client(&self, store: &dyn Store) -> (Arc<Client>, ClientSecret) {
        let (clear, secret) = self.secret();
        let new = NewClient {
            id: ClientId::from_random(self.random()),
            name: "Acme".to_owned(),
            scopes: ScopeSet::parse("a b").expect("scopes"),
            plan: PlanName::parse("standard").expect("a plan"),
            token_lifetime: None,
            secret,
        };
        (store.create_client(new).await.expect("a client"), clear)
    }

    fn grant(&self, client: &Arc<Client>, secret: &ClientSecret) -> ApprovedGrant {
        let digests = self.keyring.secret_digests(secret);
        let known = Client::authenticate(Some(client), &digests, NOW).expect("the right secret");
        known.approve(None, Lifetime::HOUR).expect("an active client")
    }

    fn token(&self, grant: ApprovedGrant) -> NewToken {
        NewToken { grant, digest: self.random(), issued_at: NOW }
    }
}

/// Runs all of them, each on a store of its own.
pub async fn run_all<B: Backend>(fresh: impl Fn() -> B) {
    clients_last(&fresh()).await;
    tokens_last(&fresh()).await;
    a_burst_of_deeds_is_whole(&fresh()).await;
    suspension_revokes_and_supersedes(&fresh()).await;
    deletion_is_for_good(&fresh()).await;
    at_most_three_secrets_live(&fresh()).await;
    secrets_change_once(&fresh()).await;
    nobody_is_none(&fresh()).await;
    a_closed_store_takes_nothing(&fresh()).await;
}

async fn clients_last(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let (other, _) = maker.client(&*store).await;
    assert_ne!(client.slot, other.slot);
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    let listed: Vec<ClientId> = store.directory().list().iter().map(|client| client.id.clone()).collect();
    assert_eq!(listed, [client.id.clone(), other.id.clone()], "oldest first");
    let found = store.directory().find(&client.id).expect("the client");
    assert_eq!((&found.name, &found.scopes, &found.plan), (&client.name, &client.scopes, &client.plan));
    assert_eq!((found.slot, found.created_at, found.status), (client.slot, NOW, ClientStatus::Active));
    assert!(found.secrets[0].digest.matches(&client.secrets[0].digest));
    assert_eq!(store.newest_record().expect("a record"), NOW);
}

async fn tokens_last(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let token = maker.token(maker.grant(&client, &secret));
    let digest = token.digest;
    assert!(store.tokens().find(&digest).is_none());
    store.issue_token(token).await.expect("a token");
    let used = store.directory().find(&client.id).expect("the client").secrets[0].clone();
    assert_eq!((used.use_count, used.last_used_at), (1, Some(NOW)));
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    let entry = store.tokens().find(&digest).expect("an acknowledged token");
    assert_eq!((entry.client, entry.generation), (client.slot, 0));
    assert_eq!(*entry.scope, client.scopes);
    assert_eq!(entry.expires_at, NOW.after(Lifetime::HOUR.duration()));
    assert_eq!(store.directory().find(&client.id).expect("the client").secrets[0].use_count, 1);
}

async fn a_burst_of_deeds_is_whole(backend: &dyn Backend) {
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

async fn suspension_revokes_and_supersedes(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let waiting = maker.token(maker.grant(&client, &secret));
    let suspended = store.suspend_client(client.id.clone(), NOW).await.expect("done").expect("the client");
    assert_eq!((suspended.status, suspended.generation), (ClientStatus::Suspended, 1));
    let late = store.issue_token(waiting).await;
    assert!(matches!(late, Err(StoreError::Superseded)), "a grant from before the suspension: {late:?}");
    let again = store.suspend_client(client.id.clone(), NOW).await.expect("done").expect("the client");
    assert_eq!(again.generation, 1, "suspending twice revokes once");
    let resumed = store.resume_client(client.id.clone(), NOW).await.expect("done").expect("the client");
    assert_eq!((resumed.status, resumed.generation), (ClientStatus::Active, 1), "old tokens stay revoked");
    store.issue_token(maker.token(maker.grant(&resumed, &secret))).await.expect("a token");
}

async fn deletion_is_for_good(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let token = maker.token(maker.grant(&client, &secret));
    let digest = token.digest;
    store.issue_token(token).await.expect("a token");
    store.delete_client(client.id.clone(), NOW).await.expect("done").expect("the client");
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    assert!(store.directory().find(&client.id).is_none() && store.directory().list().is_empty());
    assert!(store.resume_client(client.id.clone(), NOW).await.expect("done").is_none());
    let gone = store.directory().get(client.slot).expect("its slot is never reused");
    assert!(gone.secrets.is_empty());
    let entry = store.tokens().find(&digest).expect("still known, to be refused");
    assert!(entry.verify(gone, NOW).is_err());
    let (next, _) = maker.client(&*store).await;
    assert_ne!(next.slot, client.slot);
}

async fn at_most_three_secrets_live(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let deeds: Vec<_> = (0..5).map(|_| store.add_secret(client.id.clone(), maker.secret().1)).collect();
    let mut added = 0;
    for deed in deeds {
        added += usize::from(matches!(deed.await.expect("done"), AddSecret::Added(_)));
    }
    assert_eq!(added, 2, "beside the first, however many are asked for at once");
    let first = client.secrets[0].id.clone();
    store.change_secret(client.id.clone(), first, SecretChange::Retire(NOW)).await.expect("done").expect("the secret");
    let room = store.add_secret(client.id.clone(), maker.secret().1).await.expect("done");
    assert!(matches!(room, AddSecret::Added(client) if client.secrets.len() == 4 && client.live_secrets(NOW) == 3));
}

async fn secrets_change_once(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let secret = client.secrets[0].id.clone();
    let later = NOW.after(Lifetime::HOUR.duration());
    for time in [NOW, later] {
        for change in [SecretChange::Retire(time), SecretChange::Expose(time)] {
            let changed = store.change_secret(client.id.clone(), secret.clone(), change).await;
            changed.expect("done").expect("the secret");
        }
    }
    store.close().await.expect("closed");
    drop(store);
    let kept = backend.open().directory().find(&client.id).expect("the client").secrets[0].clone();
    assert_eq!((kept.retired_at, kept.exposed_at), (Some(NOW), Some(NOW)), "the first time counts");
}

async fn nobody_is_none(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let nobody = ClientId::parse("app_nobody").expect("an id");
    assert!(store.suspend_client(nobody.clone(), NOW).await.expect("done").is_none());
    assert!(store.delete_client(nobody.clone(), NOW).await.expect("done").is_none());
    let added = store.add_secret(nobody.clone(), maker.secret().1).await.expect("done");
    assert!(matches!(added, AddSecret::NoClient));
    let (client, _) = maker.client(&*store).await;
    let unknown = SecretId::parse("sec_unknown").expect("an id");
    let changed = store.change_secret(client.id.clone(), unknown, SecretChange::Retire(NOW)).await;
    assert!(changed.expect("done").is_none());
}

async fn a_closed_store_takes_nothing(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let token = maker.token(maker.grant(&client, &secret));
    store.close().await.expect("closed");
    store.close().await.expect("closing twice is closing once");
    assert!(matches!(store.issue_token(token).await, Err(StoreError::Closed)));
    assert!(store.directory().find(&client.id).is_some(), "reading goes on");
}

/// Registers a client and issues it so many tokens at the time of all deeds here.
///
/// # Panics
/// Where the store does not.
pub async fn issue_some(store: &dyn Store, count: usize) {
    let mut maker = Maker::new();
    // Digests and ids differ from call to call.
    maker.entropy = SeededEntropy::new(1000 + store.directory().list().len() as u64);
    let (client, secret) = maker.client(store).await;
    let deeds: Vec<_> = (0..count).map(|_| store.issue_token(maker.token(maker.grant(&client, &secret)))).collect();
    for deed in deeds {
        deed.await.expect("a token");
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
        token_lifetime: None,
        secret,
    };
    let client = store.create_client(new).await.expect("a client");
    let digests = maker.keyring.secret_digests(&clear);
    let (mut issued, mut refused) = (0, 0);
    for from in (0..count).step_by(1000) {
        let deeds: Vec<_> = (from..count.min(from + 1000))
            .map(|bits| {
                let known = Client::authenticate(Some(&client), &digests, NOW).expect("the right secret");
                let grant = known.approve(Some(scopes(bits)), Lifetime::HOUR).expect("an active client");
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
