//! What every backend must do, as plain functions: each takes a way to open one store, again and again,
//! and panics where a promise is broken. A backend's tests call [`run_all`].

mod audit;
mod certificates;
mod client_keys;
mod clients;
mod identities;
mod secrets;
mod tokens;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use fuuffy_domain::{
    Actor, ApprovedGrant, Cause, Client, ClientChange, ClientId, Entropy as _, EnvironmentName, KeyId, Keyring,
    Lifetime, PlanName, RequestId, ScopeSet, SecretId, SeededEntropy, Timestamp,
};
use fuuffy_protocol::ClientSecret;
use zeroize::Zeroizing;

use crate::{
    AuditQuery, AuditRow, Changed, Conditions, Creation, NewClient, NewCredential, NewSecret, NewToken, Once, PartOf,
    SecretChange, Store,
};

pub use tokens::{flood, issue_in_turn, issue_some, issue_subsets, revoke_in_a_flood};

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
        let new = NewSecret { id, digest, created_at: NOW, expires_at: None, made_by: None };
        (clear, new)
    }

    async fn client(&self, store: &dyn Store) -> (Arc<Client>, ClientSecret) {
        let (clear, secret) = self.secret();
        let new = NewClient {
            id: ClientId::from_random(self.random()),
            name: "Acme".to_owned(),
            scopes: ScopeSet::parse("a b").expect("scopes"),
            plan: PlanName::parse("standard").expect("a plan"),
            limits: None,
            token_lifetime: None,
            may_rotate: true,
            must_bind: None,
            credential: NewCredential::Secret(secret),
        };
        (created(store, new, None).await, clear)
    }

    /// A client that proves itself by something else than a secret.
    async fn client_by(&self, store: &dyn Store, credential: NewCredential) -> Arc<Client> {
        let new = NewClient {
            id: ClientId::from_random(self.random()),
            name: "Acme".to_owned(),
            scopes: ScopeSet::default(),
            plan: PlanName::parse("standard").expect("a plan"),
            limits: None,
            token_lifetime: None,
            may_rotate: false,
            must_bind: None,
            credential,
        };
        created(store, new, None).await
    }

    fn grant(&self, client: &Arc<Client>, secret: &ClientSecret) -> ApprovedGrant {
        let digests = self.keyring.secret_digests(secret);
        let known = Client::authenticate(Some(client), &digests, NOW).expect("the right secret");
        known.approve(None, Lifetime::HOUR, None).expect("an active client")
    }

    fn token(&self, grant: ApprovedGrant) -> NewToken {
        let from = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let (key, digest, agent) = (KeyId(1), self.random(), Some("conformance/1".into()));
        NewToken { grant, key, digest, issued_at: NOW, from, agent }
    }
}

/// What every deed here comes from.
fn cause() -> Cause {
    cause_at(NOW)
}

fn cause_at(at: Timestamp) -> Cause {
    Cause { actor: Actor::Server, from: None, request: RequestId::generate(at, [7; 10]), at, why: None }
}

fn done(changed: Changed) -> Option<Arc<Client>> {
    match changed {
        Changed::Done(client) => Some(client),
        Changed::Nothing => None,
        Changed::Stale => panic!("nothing was seen"),
    }
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

async fn added(store: &dyn Store, id: &ClientId, secret: NewSecret) -> Creation {
    store.add_secret(cause_at(secret.created_at), id.clone(), secret, Conditions::default()).await.expect("done")
}

/// All records, the oldest first.
async fn audit(store: &dyn Store) -> Vec<AuditRow> {
    let part = PartOf { skip: 0, take: 1000 };
    let wanted = AuditQuery { client: None, deeds: Vec::new(), newest_first: false, part };
    store.audit(wanted).await.expect("the audit log").items
}

/// Runs all of them, each on a store of its own.
pub async fn run_all<B: Backend>(fresh: impl Fn() -> B) {
    clients::clients_last(&fresh()).await;
    tokens::tokens_last(&fresh()).await;
    tokens::a_burst_of_deeds_is_whole(&fresh()).await;
    clients::suspension_revokes_and_supersedes(&fresh()).await;
    clients::deletion_is_for_good(&fresh()).await;
    secrets::at_most_three_secrets_live(&fresh()).await;
    secrets::secrets_change_once(&fresh()).await;
    clients::nobody_is_none(&fresh()).await;
    tokens::a_revoked_token_stays_revoked(&fresh()).await;
    tokens::what_was_taken_away_meanwhile_gets_no_token(&fresh()).await;
    clients::what_was_not_seen_is_not_changed(&fresh()).await;
    clients::taking_a_scope_away_revokes(&fresh()).await;
    secrets::a_key_creates_once(&fresh()).await;
    secrets::a_pending_secret_takes_the_place_of_an_unused_one(&fresh()).await;
    secrets::a_retiring_secret_goes_when_it_is_unused(&fresh()).await;
    secrets::a_retired_secret_sends_no_other_away(&fresh()).await;
    secrets::whoever_may_not_rotate_any_more_makes_no_secret(&fresh()).await;
    secrets::a_use_without_a_token_keeps_a_retiring_secret(&fresh()).await;
    secrets::a_quarantined_secret_gets_no_token_and_goes_once_it_is_replaced(&fresh()).await;
    client_keys::at_most_three_keys_and_none_twice(&fresh()).await;
    client_keys::an_assertion_is_used_once(&fresh()).await;
    identities::a_client_is_bound_to_ten_at_most_and_none_twice(&fresh()).await;
    identities::published_keys_last_with_their_client(&fresh()).await;
    certificates::a_client_is_known_by_ten_at_most_and_none_twice(&fresh()).await;
    audit::every_change_is_in_the_chain(&fresh()).await;
    audit::a_deed_is_named_only_for_what_it_did(&fresh()).await;
    audit::a_checkpoint_says_how_the_chain_stands(&fresh()).await;
    clients::a_closed_store_takes_nothing(&fresh()).await;
}
