//! Which key is asked about, and that nobody is known by none.

use std::cell::RefCell;

use super::*;
use crate::{ClientId, ClientSlot, ClientStatus, PlanName, Revision, ScopeSet};

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

fn key(id: &str, kid: Option<&str>, algorithm: KeyAlgorithm) -> ClientKey {
    ClientKey {
        id: ClientKeyId::parse(id).unwrap(),
        kid: kid.map(Arc::from),
        algorithm,
        jwk: Arc::from("{}"),
        created_at: NOW,
        last_use: None,
        use_count: 0,
    }
}

fn client(keys: Vec<ClientKey>) -> Arc<Client> {
    Arc::new(Client {
        id: ClientId::parse("app_1").unwrap(),
        slot: ClientSlot(0),
        name: "Acme".to_owned(),
        scopes: ScopeSet::default(),
        plan: PlanName::parse("standard").unwrap(),
        limits: None,
        token_lifetime: None,
        status: ClientStatus::Active,
        generation: 0,
        revision: Revision(0),
        may_rotate: false,
        must_bind: None,
        created_at: NOW,
        secrets: Vec::new(),
        keys,
        jwks_uri: None,
        identities: Vec::new(),
        certificates: Vec::new(),
    })
}

/// The keys that were asked about, and who was found where `right` is the one that signed.
fn asked(
    client: Option<&Arc<Client>>,
    kid: Option<&str>,
    right: &str,
) -> (Vec<Option<String>>, Result<String, SignatureFailure>) {
    let asked = RefCell::new(Vec::new());
    let found = Client::authenticate_by_key(client, None, (kid, KeyAlgorithm::EdDsa), |key| {
        let id = key.map(|key| key.id.to_string());
        asked.borrow_mut().push(id.clone());
        // Whoever signs with the key that stands for nobody is nobody.
        id.is_none_or(|id| id == right)
    });
    let found = found.map(|known| known.key().unwrap().to_string());
    (asked.into_inner(), found)
}

#[test]
fn a_named_key_is_asked_about_alone() {
    let of = client(vec![
        key("one", Some("2026"), KeyAlgorithm::EdDsa),
        key("two", None, KeyAlgorithm::EdDsa),
        key("three", None, KeyAlgorithm::Es256),
    ]);
    let id = |text: &str| Some(text.to_owned());
    assert_eq!(asked(Some(&of), Some("2026"), "one"), (vec![id("one")], Ok("one".to_owned())));
    assert_eq!(asked(Some(&of), Some("two"), "one"), (vec![id("two")], Err(SignatureFailure::Wrong)));
    assert_eq!(asked(Some(&of), Some("four"), "one"), (vec![None], Err(SignatureFailure::NoKey)));
    assert_eq!(
        asked(Some(&of), Some("three"), "three"),
        (vec![None], Err(SignatureFailure::NoKey)),
        "another algorithm"
    );
    assert_eq!(asked(Some(&of), None, "two"), (vec![id("one"), id("two")], Ok("two".to_owned())));
    assert_eq!(
        asked(Some(&of), None, "four"),
        (vec![id("one"), id("two"), None], Err(SignatureFailure::Wrong)),
        "a wrong one costs the same whatever keys there are"
    );
}

#[test]
fn nobody_costs_as_much_as_somebody() {
    let nobody = (vec![None; 3], Err(SignatureFailure::NoKey));
    assert_eq!(asked(None, None, "one"), nobody);
    assert_eq!(asked(Some(&client(Vec::new())), None, "one"), nobody);
    assert_eq!(asked(None, Some("one"), "one"), (vec![None], Err(SignatureFailure::NoKey)));
}
