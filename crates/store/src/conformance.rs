//! What every backend must do, as plain functions: each takes a way to open one store, again and again,
//! and panics where a promise is broken. A backend's tests call [`run_all`].

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{
    AUDIT_START, Actor, ApprovedGrant, AuditEvent, Cause, Client, ClientChange, ClientId, ClientPatch, ClientStatus,
    Entropy as _, EnvironmentName, KeyId, Keyring, Lifetime, PlanName, RequestId, ScopeSet, SecretId, SecretStatus,
    SeededEntropy, Timestamp, audit_hash,
};
use fuuffy_protocol::ClientSecret;
use zeroize::Zeroizing;

use crate::{
    Answered, AuditQuery, AuditRow, Changed, Conditions, Creation, NewClient, NewSecret, NewToken, Once, PartOf,
    SecretChange, Store, StoreError, TokenName,
};

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
        let id = SecretId::from_random(self.random());
        let new = NewSecret { id, digest, created_at: NOW, expires_at: None, is_pending: false };
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
            may_rotate: false,
            secret,
        };
        (created(store, new, None).await, clear)
    }

    fn grant(&self, client: &Arc<Client>, secret: &ClientSecret) -> ApprovedGrant {
        let digests = self.keyring.secret_digests(secret);
        let known = Client::authenticate(Some(client), &digests, NOW).expect("the right secret");
        known.approve(None, Lifetime::HOUR).expect("an active client")
    }

    fn token(&self, grant: ApprovedGrant) -> NewToken {
        let from = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        NewToken {
            grant,
            key: KeyId(1),
            digest: self.random(),
            issued_at: NOW,
            from,
            agent: Some("conformance/1".into()),
        }
    }
}

/// What every deed here comes from.
fn cause() -> Cause {
    cause_at(NOW)
}

fn cause_at(at: Timestamp) -> Cause {
    Cause { actor: Actor::Server, from: None, request: RequestId::generate(at, [7; 10]), at, why: None }
}

async fn created(store: &dyn Store, new: NewClient, once: Option<Once>) -> Arc<Client> {
    match store.create_client(cause(), new, once).await.expect("done") {
        Creation::Done(client) => client,
        other => panic!("{other:?}"),
    }
}

async fn changed(store: &dyn Store, id: &ClientId, change: ClientChange) -> Option<Arc<Client>> {
    done(store.change_client(cause(), id.clone(), None, change).await.expect("done"))
}

async fn secret_changed(
    store: &dyn Store,
    client: &Client,
    secret: &SecretId,
    change: SecretChange,
) -> Option<Arc<Client>> {
    secret_changed_at(NOW, store, client, secret, change).await
}

async fn secret_changed_at(
    at: Timestamp,
    store: &dyn Store,
    client: &Client,
    secret: &SecretId,
    change: SecretChange,
) -> Option<Arc<Client>> {
    let of = (client.id.clone(), secret.clone());
    done(store.change_secret(cause_at(at), of, None, change).await.expect("done"))
}

fn done(changed: Changed) -> Option<Arc<Client>> {
    match changed {
        Changed::Done(client) => Some(client),
        Changed::Nothing => None,
        Changed::Stale => panic!("nothing was seen"),
    }
}

async fn added(store: &dyn Store, id: &ClientId, secret: NewSecret) -> Creation {
    store.add_secret(cause(), id.clone(), secret, Conditions::default()).await.expect("done")
}

/// All records, the oldest first.
async fn audit(store: &dyn Store) -> Vec<AuditRow> {
    let part = PartOf { skip: 0, take: 1000 };
    let wanted = AuditQuery { client: None, deeds: Vec::new(), newest_first: false, part };
    store.audit(wanted).await.expect("the audit log").items
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
    a_revoked_token_stays_revoked(&fresh()).await;
    what_was_not_seen_is_not_changed(&fresh()).await;
    taking_a_scope_away_revokes(&fresh()).await;
    a_key_creates_once(&fresh()).await;
    a_pending_secret_takes_the_place_of_an_unused_one(&fresh()).await;
    a_retiring_secret_goes_when_it_is_unused(&fresh()).await;
    every_change_is_in_the_chain(&fresh()).await;
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

async fn tokens_last(backend: &dyn Backend) {
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

async fn deletion_is_for_good(backend: &dyn Backend) {
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

async fn at_most_three_secrets_live(backend: &dyn Backend) {
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

async fn secrets_change_once(backend: &dyn Backend) {
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

async fn nobody_is_none(backend: &dyn Backend) {
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

async fn a_revoked_token_stays_revoked(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, secret) = maker.client(&*store).await;
    let tokens = [maker.token(maker.grant(&client, &secret)), maker.token(maker.grant(&client, &secret))];
    let digests = [tokens[0].digest, tokens[1].digest];
    for token in tokens {
        store.issue_token(token).await.expect("a token");
    }
    let by_itself = TokenName::Digests(vec![[9; 16], digests[0]]);
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
    store.revoke_token(cause(), number).await.expect("done").expect("the token");
    assert!(is_refused(&*store, &digests[1]));
    assert_eq!(audit(&*store).await.len(), 3, "a client and two revocations");
}

async fn what_was_not_seen_is_not_changed(backend: &dyn Backend) {
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

async fn taking_a_scope_away_revokes(backend: &dyn Backend) {
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

async fn a_key_creates_once(backend: &dyn Backend) {
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

async fn a_pending_secret_takes_the_place_of_an_unused_one(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    let pending = || {
        let (clear, secret) = maker.secret();
        (clear, NewSecret { is_pending: true, ..secret })
    };
    added(&*store, &client.id, pending().1).await;
    let (clear, second) = pending();
    let Creation::Done(now) = added(&*store, &client.id, second).await else { panic!("room") };
    assert_eq!((now.secrets.len(), now.live_secrets(NOW)), (3, 2), "the first pending one is retired");
    store.issue_token(maker.token(maker.grant(&now, &clear))).await.expect("a token");
    let Creation::Done(now) = added(&*store, &client.id, pending().1).await else { panic!("room") };
    assert_eq!(now.live_secrets(NOW), 3, "one that was used stays");
    let confirmed = now.secrets[2].id.clone();
    let unused_for = Lifetime::HOUR.duration();
    let now = secret_changed(&*store, &now, &confirmed, SecretChange::Confirm(unused_for)).await.expect("the secret");
    let status: Vec<SecretStatus> = now.secrets.iter().map(|secret| secret.status(NOW)).collect();
    use SecretStatus as S;
    assert_eq!(status, [S::Retiring, S::Retired, S::Live, S::Retiring]);
}

async fn a_retiring_secret_goes_when_it_is_unused(backend: &dyn Backend) {
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

async fn every_change_is_in_the_chain(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let (client, _) = maker.client(&*store).await;
    for change in [ClientChange::Suspend, ClientChange::Suspend, ClientChange::Resume, ClientChange::RevokeTokens] {
        changed(&*store, &client.id, change).await.expect("the client");
    }
    added(&*store, &client.id, maker.secret().1).await;
    secret_changed(&*store, &client, &client.secrets[0].id, SecretChange::Retire).await.expect("the secret");
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    let refused = AuditEvent::Refused { code: "not_found".to_owned(), asked: "GET /".to_owned(), times: 1 };
    store.note(cause(), refused).await.expect("done");
    changed(&*store, &client.id, ClientChange::Delete).await.expect("the client");
    let (rows, mut previous) = (audit(&*store).await, AUDIT_START);
    for (row, sequence) in rows.iter().zip(1..) {
        assert_eq!(row.sequence, sequence);
        assert_eq!(row.hash, audit_hash(&previous, &row.record), "{}", row.record);
        previous = row.hash;
    }
    let deed = |row: &AuditRow| {
        row.record.split(r#""deed":""#).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned)
    };
    let deeds: Vec<String> = rows.iter().filter_map(deed).collect();
    let expected = [
        "client.created",
        "client.suspended",
        "client.resumed",
        "client.tokens_revoked",
        "secret.added",
        "secret.retired",
        "refused",
        "client.deleted",
    ];
    assert_eq!(deeds, expected, "what changes nothing is not written down");
    let wanted = AuditQuery {
        client: Some(client.id.clone()),
        deeds: vec!["client.suspended".to_owned(), "refused".to_owned()],
        newest_first: true,
        part: PartOf { skip: 0, take: 10 },
    };
    assert_eq!(store.audit(wanted).await.expect("the audit log").total, 1);
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
    maker.entropy = SeededEntropy::new(1000 + store.directory().len() as u64);
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
        may_rotate: false,
        secret,
    };
    let client = created(store, new, None).await;
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
