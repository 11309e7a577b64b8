//! Certificates: ten at most, none twice, each with its uses.

use fuuffy_domain::{
    CertificateId, CertificateName, CertificateRule, Client, ClientChange, LastUse, Thumbprint, Timestamp,
};

use super::{Backend, Maker, NOW, audit, cause, changed};
use crate::{CertificateUse, Changed, Conditions, Creation, NewCertificate, NewCredential, Store, StoreError};

fn of(id: &str, rule: CertificateRule) -> NewCertificate {
    NewCertificate { id: CertificateId::parse(id).expect("an id"), rule, created_at: NOW }
}

fn named(kind: &str, text: &str) -> CertificateRule {
    CertificateRule::Named(CertificateName::parse(kind, text).expect("a name"))
}

fn exact(byte: u8) -> CertificateRule {
    CertificateRule::Exact {
        thumbprint: Thumbprint([byte; 32]),
        ends_at: Timestamp::from_unix_millis(1_900_000_000_000),
    }
}

async fn added(store: &dyn Store, client: &Client, new: NewCertificate) -> Creation {
    store.add_certificate(cause(), client.id.clone(), new, Conditions::default()).await.expect("done")
}

fn used(client: &Client, id: &str) -> CertificateUse {
    let last = LastUse { at: NOW, from: None, agent: Some("conformance/1".into()) };
    CertificateUse { client: client.slot, certificate: CertificateId::parse(id).expect("an id"), last }
}

pub(super) async fn a_client_is_known_by_ten_at_most_and_none_twice(backend: &dyn Backend) {
    let (maker, store) = (Maker::new(), backend.open());
    let first = of("first", named("subject_dn", "CN=orders, O=Acme"));
    let client = maker.client_by(&*store, NewCredential::Certificate(first)).await;
    assert!(client.secrets.is_empty() && client.certificates.len() == 1);
    let again = added(&*store, &client, of("again", named("subject_dn", "CN=orders,O=Acme"))).await;
    assert!(matches!(again, Creation::Taken));
    let others = [
        ("dns", named("san_dns", "orders.example.com")),
        ("uri", named("san_uri", "spiffe://example.com/orders")),
        ("ip", named("san_ip", "2001:db8::7")),
        ("email", named("san_email", "orders@example.com")),
        ("exact", exact(1)),
    ];
    for (id, rule) in others.clone() {
        assert!(matches!(added(&*store, &client, of(id, rule)).await, Creation::Done(_)), "{id}");
    }
    assert!(matches!(added(&*store, &client, of("again", exact(1))).await, Creation::Taken));
    for byte in 2..6 {
        assert!(matches!(added(&*store, &client, of(&format!("exact{byte}"), exact(byte))).await, Creation::Done(_)));
    }
    assert!(matches!(added(&*store, &client, of("over", exact(9))).await, Creation::TooMany));
    for _ in 0..3 {
        store.use_certificate(used(&client, "dns")).await.expect("a use");
    }
    assert!(matches!(store.use_certificate(used(&client, "over")).await, Err(StoreError::Superseded)));
    let named = |id: &str| (client.id.clone(), CertificateId::parse(id).expect("an id"));
    let stale = store.remove_certificate(cause(), named("first"), Some(client.revision)).await;
    assert!(matches!(stale, Ok(Changed::Stale)));
    let removed = store.remove_certificate(cause(), named("first"), None).await.expect("done");
    assert!(matches!(removed, Changed::Done(client) if client.certificates.len() == 9 && client.revision.0 == 10));
    assert!(matches!(store.remove_certificate(cause(), named("first"), None).await, Ok(Changed::Nothing)));
    assert!(matches!(store.use_certificate(used(&client, "first")).await, Err(StoreError::Superseded)));
    let deeds: Vec<String> = audit(&*store).await.iter().map(|row| row.record.clone()).collect();
    let is_told = deeds[0].contains("\"certificate_id\":\"first\"") && deeds[1].contains("client_certificate.added");
    assert!(is_told && deeds[1].contains(r#""kind":"subject_dn","value":"CN=orders,O=Acme""#), "{deeds:?}");
    assert!(deeds[11].contains("client_certificate.removed"), "{deeds:?}");
    store.close().await.expect("closed");
    drop(store);
    let store = backend.open();
    let kept = store.directory().find(&client.id).expect("the client");
    assert_eq!(kept.certificates.len(), 9);
    for (id, rule) in others {
        let one = kept.certificates.iter().find(|one| one.id.as_str() == id).expect("as it was added");
        assert_eq!((&one.rule, one.use_count), (&rule, if id == "dns" { 3 } else { 0 }), "{id}");
        assert_eq!(one.last_use.as_ref().map(|last| last.at), (id == "dns").then_some(NOW), "{id}");
    }
    changed(&*store, &client.id, ClientChange::Delete).await.expect("deleted");
    drop(store.close().await);
    drop(store);
    assert!(backend.open().directory().get(client.slot).expect("its place").certificates.is_empty(), "with the client");
}
