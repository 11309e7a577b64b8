//! Lives that end in time, and hosts.

use std::collections::BTreeSet;
use std::time::Duration;

use fuuffy_domain::{SeededEntropy, Timestamp};
use proptest::prelude::*;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use super::authority::{Authority, Issued};
use super::host::Host;

const START: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn hosts() -> BTreeSet<Host> {
    ["localhost", "127.0.0.1"].map(|host| Host::parse(host).unwrap()).into()
}

fn certify(authority: &Authority, now: Timestamp) -> anyhow::Result<Issued> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    authority.certify(&key, &hosts(), (now, &SeededEntropy::new(2)))
}

#[test]
fn lives_end_in_time() {
    let (authority, _) = Authority::make(&hosts(), (START, &SeededEntropy::new(1))).unwrap();
    assert_eq!(authority.ends_at.since(START), 730 * DAY - Duration::from_secs(3600));
    assert_eq!(certify(&authority, START).unwrap().ends_at.since(START), 90 * DAY - Duration::from_secs(3600));
    // No longer than the authority.
    let late = START.after(700 * DAY);
    assert_eq!(certify(&authority, late).unwrap().ends_at, authority.ends_at);
    let over = certify(&authority, START.after(730 * DAY)).err().unwrap().to_string();
    assert!(over.contains("time was over") && over.contains("--new-ca"), "{over}");
}

#[test]
fn hosts_have_one_spelling() {
    for (text, host) in [
        ("API.Example.", Some("api.example")),
        ("[::1]", Some("::1")),
        ("0:0:0:0:0:0:0:1", Some("::1")),
        ("127.0.0.1", Some("127.0.0.1")),
        ("localhost", Some("localhost")),
        ("a:80", None),
        ("*.example", None),
        ("", None),
        (".", None),
        ("bücher.example", None),
    ] {
        assert_eq!(Host::parse(text).ok().as_ref().map(Host::as_str), host, "{text}");
    }
}

proptest! {
    /// Whatever is taken for a host can be certified.
    #[test]
    fn hosts_can_be_certified(text in "[a-zA-Z0-9.:_\\[\\]-]{0,80}|\\PC{0,20}") {
        if let Ok(host) = Host::parse(&text) {
            let (hosts, random) = (BTreeSet::from([host]), SeededEntropy::new(1));
            let (authority, _) = Authority::make(&hosts, (START, &random)).unwrap();
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
            prop_assert!(authority.certify(&key, &hosts, (START, &random)).is_ok(), "{hosts:?}");
        }
    }
}
