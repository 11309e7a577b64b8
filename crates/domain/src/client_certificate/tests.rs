//! Certificates by which a client is known, and those by which it is not.

use fuuffy_protocol::ScopeSet;

use super::*;
use crate::{ClientId, ClientSlot, ClientStatus, PlanName, Presented, Revision};

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

fn name(kind: &str, text: &str) -> CertificateName {
    CertificateName::parse(kind, text).unwrap()
}

fn certificate(lasting: (i64, i64)) -> ReadCertificate {
    let at = |seconds: i64| Timestamp::from_unix_millis(NOW.unix_millis() + seconds * 1000);
    ReadCertificate {
        subject: Some(DistinguishedName::parse("CN=orders,O=Acme").unwrap()),
        names: vec![
            AlternativeName::Dns("orders.example.com".to_owned()),
            AlternativeName::Uri("spiffe://example.com/orders".to_owned()),
            AlternativeName::Ip([192, 0, 2, 7].into()),
            AlternativeName::Email("orders@example.com".to_owned()),
        ],
        starts_at: at(lasting.0),
        ends_at: at(lasting.1),
    }
}

fn shown(der: &[u8]) -> Arc<PresentedCertificate> {
    match Presented::new(vec![der.to_vec()]) {
        Presented::Certificate(certificate) => certificate,
        Presented::Unusable(fault) => panic!("{fault:?}"),
    }
}

fn known_by(rule: CertificateRule) -> Arc<Client> {
    let id = CertificateId::parse("crt_1").unwrap();
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
        keys: Vec::new(),
        jwks_uri: None,
        identities: Vec::new(),
        certificates: vec![ClientCertificate { id, rule, created_at: NOW, last_use: None, use_count: 0 }],
    })
}

fn ask(
    client: &Arc<Client>,
    der: &[u8],
    read: &ReadCertificate,
    vouched: Result<(), CertificateFault>,
) -> Result<CertificateId, NotKnown> {
    let known = Client::authenticate_by_certificate(Some(client), (&shown(der), read), vouched, NOW)?;
    Ok(known.certificate().unwrap().clone())
}

#[test]
fn a_name_needs_an_authority_and_its_time() {
    let good = certificate((-1, 1));
    for (kind, text, other) in [
        ("subject_dn", "CN=orders, O=Acme", "CN=orders"),
        ("san_dns", "Orders.Example.com", "example.com"),
        ("san_uri", "spiffe://example.com/orders", "spiffe://example.com/Orders"),
        ("san_ip", "192.0.2.7", "192.0.2.70"),
        ("san_email", "orders@example.com", "orders@example.org"),
    ] {
        let client = known_by(CertificateRule::Named(name(kind, text)));
        assert!(ask(&client, b"a", &good, Ok(())).is_ok(), "{kind}");
        let other_authority = Err(CertificateFault::OtherAuthority);
        let refused = NotKnown::Fault(CertificateFault::OtherAuthority, false);
        assert_eq!(ask(&client, b"a", &good, other_authority), Err(refused), "{kind}");
        let over = ask(&client, b"a", &certificate((-2, 0)), Ok(()));
        assert_eq!(over, Err(NotKnown::Fault(CertificateFault::Expired, true)), "{kind}");
        let early = ask(&client, b"a", &certificate((1, 2)), Ok(()));
        assert_eq!(early, Err(NotKnown::Fault(CertificateFault::NotYetValid, true)), "{kind}");
        let of_other_name = known_by(CertificateRule::Named(name(kind, other)));
        assert_eq!(ask(&of_other_name, b"a", &good, Ok(())), Err(NotKnown::Unbound(true)), "{kind}");
        assert_eq!(ask(&of_other_name, b"a", &good, other_authority), Err(NotKnown::Unbound(false)), "{kind}");
        assert_eq!(CertificateName::parse(kind, &name(kind, text).text()), Ok(name(kind, text)), "{kind}");
    }
    let nobody = Client::authenticate_by_certificate(None, (&shown(b"a"), &good), Ok(()), NOW);
    assert_eq!(nobody.unwrap_err(), NotKnown::Unbound(true));
}

#[test]
fn a_registered_certificate_needs_nobody_to_vouch_for_it_but_its_time() {
    let rule = CertificateRule::Exact { thumbprint: *shown(b"a").thumbprint(), ends_at: NOW };
    let (client, stranger) = (known_by(rule), Err(CertificateFault::OtherAuthority));
    assert!(ask(&client, b"a", &certificate((-1, 1)), stranger).is_ok());
    assert_eq!(ask(&client, b"b", &certificate((-1, 1)), stranger), Err(NotKnown::Unbound(false)), "of the same name");
    let over = ask(&client, b"a", &certificate((-2, 0)), stranger);
    assert_eq!(over, Err(NotKnown::Fault(CertificateFault::Expired, true)));
}

#[test]
fn what_is_no_name_is_refused() {
    for (kind, text) in [
        ("subject_dn", "orders"),
        ("san_dns", ""),
        ("san_dns", "*.example.com"),
        ("san_dns", "a b"),
        ("san_uri", "orders"),
        ("san_ip", "192.0.2"),
        ("san_email", "orders"),
        ("san_other", "a"),
    ] {
        let fault = CertificateName::parse(kind, text).unwrap_err().to_string();
        assert!(fault.starts_with(&format!("{kind}: expected ")), "{fault}");
    }
    assert!(CertificateName::parse("san_dns", &"a".repeat(257)).is_err());
}

#[test]
fn a_chain_is_bounded() {
    let is_usable = |chain| matches!(Presented::new(chain), Presented::Certificate(_));
    assert!(is_usable(vec![vec![0]; 8]) && is_usable(vec![vec![0; 64 * 1024]]));
    for chain in [vec![], vec![vec![0]; 9], vec![vec![0; 64 * 1024], vec![0]]] {
        assert!(!is_usable(chain));
    }
}
