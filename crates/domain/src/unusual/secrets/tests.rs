//! Which secret is old and in use, and which one ends.

use std::time::Duration;

use super::{old_secret, secret_near_its_end};
use crate::{
    Client, ClientId, ClientSlot, ClientStatus, KeyId, LastUse, PlanName, Revision, ScopeSet, Secret, SecretDigest,
    SecretId, Severity, Timestamp,
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// So long after everything began.
fn after(duration: Duration) -> Timestamp {
    Timestamp::from_unix_millis(1_800_000_000_000).after(duration)
}

fn secret(id: &str, made: Duration, used: Option<Duration>, ends: Option<Duration>) -> Secret {
    Secret {
        id: SecretId::parse(id).unwrap(),
        digest: SecretDigest { key: KeyId(1), bytes: [0; 32] },
        created_at: after(made),
        expires_at: ends.map(after),
        retired_at: None,
        last_use: used.map(|used| LastUse { at: after(used), from: Some([10, 0, 0, 5].into()), agent: None }),
        use_count: u64::from(used.is_some()),
        exposed_at: None,
        quarantined_at: None,
        is_pending: false,
        retiring: None,
        reminded: None,
    }
}

fn client(secrets: Vec<Secret>) -> Client {
    Client {
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
        created_at: after(Duration::ZERO),
        secrets,
        keys: Vec::new(),
        jwks_uri: None,
        identities: Vec::new(),
        certificates: Vec::new(),
    }
}

#[test]
fn an_old_secret_in_use_beside_its_successor_is_told_with_its_address() {
    let now = after(30 * DAY);
    let old = secret("sec_old", Duration::ZERO, Some(30 * DAY - 3 * HOUR), None);
    let new = secret("sec_new", 20 * DAY, Some(30 * DAY), None);
    let alert = old_secret(&client(vec![new.clone(), old.clone()]), now).unwrap();
    let words = "The secret sec_old was used 3 hours ago from 10.0.0.5, although its successor sec_new has been there for 10 \
                 days.";
    assert!(alert.words.starts_with(words), "{}", alert.words);
    assert_eq!(alert.opened_at, after(27 * DAY), "since the time to change was over");

    let unused = secret("sec_old", Duration::ZERO, Some(28 * DAY), None);
    assert_eq!(old_secret(&client(vec![unused, new.clone()]), now), None, "nobody uses it any more");
    let fresh = secret("sec_new", 25 * DAY, Some(30 * DAY), None);
    assert_eq!(old_secret(&client(vec![old.clone(), fresh]), now), None, "five days are not enough to change");
    let idle = secret("sec_new", 20 * DAY, None, None);
    assert_eq!(old_secret(&client(vec![old.clone(), idle]), now), None, "a successor that nobody took up is none");
    let retired = Secret { retired_at: Some(now), ..old };
    assert_eq!(old_secret(&client(vec![retired, new]), now), None);
    assert_eq!(old_secret(&client(Vec::new()), now), None);
}

#[test]
fn a_secret_that_ends_is_told_the_more_the_nearer() {
    let of = |days: u32, hours: u32| {
        let ends = 60 * DAY + days * DAY + hours * HOUR;
        secret_near_its_end(&client(vec![secret("sec_a", Duration::ZERO, Some(60 * DAY), Some(ends))]), after(60 * DAY))
            .map(|(_, alert)| alert)
    };
    assert_eq!(of(15, 0), None);
    assert_eq!(of(14, 0).unwrap().severity, Severity::Notice);
    assert_eq!(of(3, 0).unwrap().severity, Severity::Warning);
    let last = of(0, 20).unwrap();
    assert_eq!(last.severity, Severity::Critical);
    assert!(last.words.starts_with("The secret sec_a ends in 20 hours, on 20"), "{}", last.words);
    assert_eq!(of(0, 0), None, "what has ended is no warning");
}

#[test]
fn a_secret_with_a_successor_in_use_or_that_nobody_uses_may_end() {
    let now = after(60 * DAY);
    let ending = secret("sec_a", Duration::ZERO, Some(60 * DAY), Some(62 * DAY));
    let lasting = secret("sec_b", 50 * DAY, Some(59 * DAY), None);
    assert_eq!(secret_near_its_end(&client(vec![ending.clone(), lasting]), now), None);
    let untouched = secret("sec_b", 50 * DAY, None, None);
    assert!(secret_near_its_end(&client(vec![ending, untouched]), now).is_some(), "nobody took the new one up");
    let unused = secret("sec_a", Duration::ZERO, Some(20 * DAY), Some(62 * DAY));
    assert_eq!(secret_near_its_end(&client(vec![unused]), now), None);
}
