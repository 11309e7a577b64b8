//! When a secret is safe to retire, and what is said for it.

use std::time::Duration;

use crate::{
    Client, ClientId, ClientSlot, ClientStatus, KeyId, LastUse, Lifetime, PlanName, Retirement, Revision, ScopeSet,
    Secret, SecretDigest, SecretId, Timestamp,
};

const MADE: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn secret(id: &str, used_at: Option<Timestamp>) -> Secret {
    let from = Some([10, 0, 0, 5].into());
    Secret {
        id: SecretId::parse(id).unwrap(),
        digest: SecretDigest { key: KeyId(1), bytes: [0; 32] },
        created_at: MADE,
        expires_at: None,
        retired_at: None,
        last_use: used_at.map(|at| LastUse { at, from, agent: Some("curl/8".into()) }),
        use_count: u64::from(used_at.is_some()),
        exposed_at: None,
        quarantined_at: None,
        is_pending: false,
        retiring: None,
        reminded: None,
    }
}

fn judged(secrets: Vec<Secret>, now: Timestamp) -> Retirement {
    let client = Client {
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
        created_at: MADE,
        secrets,
        keys: Vec::new(),
        jwks_uri: None,
        identities: Vec::new(),
        certificates: Vec::new(),
    };
    client.retirement(&client.secrets[0], Lifetime::HOUR, Lifetime::DAY, now)
}

#[test]
fn it_is_safe_when_it_is_long_unused_and_another_is_in_use() {
    let now = MADE.after(30 * HOUR);
    let safe =
        judged(vec![secret("sec_a", Some(MADE.after(5 * HOUR))), secret("sec_b", Some(MADE.after(29 * HOUR)))], now);
    let said = [
        "It was last used from 10.0.0.5 by curl/8, 25 h ago, and 1 times in all.",
        "Another live secret of the client was used 60 min ago.",
    ];
    assert_eq!((safe.is_safe, safe.evidence), (true, said.map(str::to_owned).to_vec()));
    let lately = judged(vec![secret("sec_a", Some(MADE.after(7 * HOUR))), secret("sec_b", Some(now))], now);
    assert!(!lately.is_safe && lately.evidence[1].contains("only after 24 h"), "{lately:?}");
}

#[test]
fn it_is_not_while_nothing_else_is_in_use() {
    let now = MADE.after(100 * HOUR);
    let used = secret("sec_a", Some(MADE.after(HOUR)));
    assert!(!judged(vec![used.clone()], now).is_safe, "the only one");
    assert!(!judged(vec![used.clone(), secret("sec_b", None)], now).is_safe, "the other was never used");
    let before = secret("sec_b", Some(MADE));
    assert!(!judged(vec![used.clone(), before], now).is_safe, "the other was last used before this one");
    let retired = Secret { retired_at: Some(MADE), ..secret("sec_b", Some(now)) };
    assert!(!judged(vec![used, retired], now).is_safe, "the other works no more");
    assert!(
        judged(vec![Secret { retired_at: Some(MADE), ..secret("sec_a", None) }], now).is_safe,
        "it works no more itself"
    );
}
