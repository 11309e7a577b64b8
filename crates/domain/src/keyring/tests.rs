//! What the keys keep apart.

use super::*;

fn master() -> Vec<(KeyId, Zeroizing<[u8; 32]>)> {
    vec![(KeyId(2), Zeroizing::new([2; 32])), (KeyId(1), Zeroizing::new([1; 32]))]
}

fn ring(environment: EnvironmentName) -> Keyring {
    Keyring::derive(environment, &master()).unwrap()
}

#[test]
fn the_environments_have_no_digest_in_common() {
    let (testing, production) = (ring(EnvironmentName::Testing), ring(EnvironmentName::Production));
    let secret = ClientSecret::presented("a secret");
    for one in testing.secret_digests(&secret) {
        assert!(production.secret_digests(&secret).iter().all(|other| !one.matches(other)));
    }
    let token = AccessToken::parse("sk-418e41a74ca2e7d941fa4456d73dbed7").unwrap();
    for one in testing.token_digests(&token) {
        assert!(production.token_digests(&token).all(|other| one != other));
    }
}

#[test]
fn secrets_and_tokens_have_keys_of_their_own() {
    let text = "sk-418e41a74ca2e7d941fa4456d73dbed7";
    let ring = ring(EnvironmentName::Testing);
    let as_secret = ring.secret_digests(&ClientSecret::presented(text));
    let as_token: Vec<TokenDigest> = ring.token_digests(&AccessToken::parse(text).unwrap()).collect();
    assert!(as_secret.iter().zip(as_token).all(|(secret, token)| secret.bytes[..16] != token));
}

#[test]
fn the_first_key_is_the_current_one_and_ids_are_unique() {
    let ring = ring(EnvironmentName::Testing);
    assert_eq!(ring.current(), KeyId(2));
    assert_eq!(ring.ids(), [KeyId(2), KeyId(1)]);
    let secret = ClientSecret::presented("a secret");
    let alone = Keyring::derive(EnvironmentName::Testing, &master()[1..]).unwrap();
    assert!(
        alone.secret_digests(&secret)[0].matches(&ring.secret_digests(&secret)[1]),
        "a key makes the same in any ring"
    );
    assert_eq!(Keyring::derive(EnvironmentName::Testing, &[]).err(), Some(KeyringFault::Empty));
    let twice = [master(), master()].concat();
    assert_eq!(Keyring::derive(EnvironmentName::Testing, &twice).err(), Some(KeyringFault::Repeated));
}

#[test]
fn keys_change_for_all_who_share_the_ring_and_never_under_their_ids() {
    let ring = Keyring::derive(EnvironmentName::Testing, &master()[1..]).unwrap();
    let token = AccessToken::parse("sk-418e41a74ca2e7d941fa4456d73dbed7").unwrap();
    let (key, before) = ring.token_digest(&token);
    assert_eq!(key, KeyId(1));
    ring.replace(&master()).unwrap();
    assert_eq!(ring.token_digest(&token).0, KeyId(2));
    assert_eq!(ring.token_digests(&token).position(|digest| digest == before), Some(1), "older digests are found");
    let other = vec![(KeyId(2), Zeroizing::new([3; 32]))];
    assert_eq!(ring.replace(&other), Err(KeyringFault::Changed));
    assert_eq!(ring.replace(&[]), Err(KeyringFault::Empty));
    assert_eq!(ring.ids(), [KeyId(2), KeyId(1)], "what was refused changed nothing");
}

#[test]
fn a_fingerprint_tells_keys_apart() {
    let [two, one] = [0, 1].map(|place| key_fingerprint(&master()[place].1));
    assert_ne!(one, two);
    assert_eq!(one, key_fingerprint(&Zeroizing::new([1; 32])));
}

/// Neither the environment, nor who said the key, nor the key itself can be left out.
#[test]
fn an_answer_is_found_and_opened_by_what_was_said_alone() {
    let keys = |environment, who, said| {
        let keys: Vec<_> = ring(environment).answer_keys(who, said).map(|key| (key.name, *key.seal.0)).collect();
        assert_eq!(keys.len(), 2, "one for each key of the ring");
        keys[0]
    };
    let (testing, production) = (EnvironmentName::Testing, EnvironmentName::Production);
    let first = keys(testing, "operator a", "order-7");
    assert_ne!(first.0, first.1, "what it is found by opens nothing");
    assert_eq!(first, keys(testing, "operator a", "order-7"));
    for other in [
        keys(production, "operator a", "order-7"),
        keys(testing, "operator b", "order-7"),
        keys(testing, "operator a", "order-8"),
    ] {
        assert!(first.0 != other.0 && first.1 != other.1);
    }
}

/// An RSA key of one environment, or of one key, is opened by no other.
#[test]
fn what_an_rsa_key_is_sealed_with_follows_from_the_key_and_the_environment() {
    let seals = |environment| ring(environment).seals().into_iter().map(|(id, seal)| (id, *seal.0));
    let testing: Vec<_> = seals(EnvironmentName::Testing).collect();
    assert_eq!(testing.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ring(EnvironmentName::Testing).ids());
    assert_eq!(testing, seals(EnvironmentName::Testing).collect::<Vec<_>>());
    let all: std::collections::BTreeSet<_> =
        testing.into_iter().chain(seals(EnvironmentName::Production)).map(|(_, seal)| seal).collect();
    assert_eq!(all.len(), 4);
}
