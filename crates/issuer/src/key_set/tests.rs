//! Sets as people publish them, each kind of wrong one, and sets of strangers.

use jsonwebtoken::EncodingKey;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
/// What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410 §7).
const PKCS8: [u8; 16] = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
/// The generator of P-256: a point of the curve.
const X: &str = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY";
const Y: &str = "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";

fn ed25519(seed: u8) -> Value {
    let private = EncodingKey::from_ed_der(&[&PKCS8[..], &[seed; 32]].concat());
    let jwk = Jwk::from_encoding_key(&private, Algorithm::EdDSA).unwrap();
    let jwk = serde_json::to_value(jwk).unwrap();
    json!({"kty": "OKP", "crv": "Ed25519", "x": jwk["x"], "kid": format!("ed {seed}")})
}

fn p256() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "ec", "alg": "ES256", "use": "sig"})
}

fn rsa(bytes: usize, first: u8) -> Value {
    let mut modulus = vec![0xAB; bytes];
    modulus[0] = first;
    json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB", "kid": "rsa", "alg": "RS256", "use": "sig"})
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

fn parse(keys: &[Value]) -> Result<KeySet, KeySetFault> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), NOW)
}

/// How many keys of the set can be used, and how many by clients.
fn counts(keys: &[Value]) -> Result<(usize, usize), KeySetFault> {
    parse(keys).map(|set| (set.keys.len(), set.of_clients.len()))
}

#[test]
fn keys_are_found_by_name_and_algorithm() {
    let set = parse(&[ed25519(1), p256(), rsa(256, 0xAB)]).unwrap();
    assert_eq!((set.keys.len(), set.of_clients.len()), (3, 3));
    let is_there = |kid, algorithm| set.find(kid, algorithm).is_some();
    assert!(is_there(Some("rsa"), Algorithm::RS256) && is_there(Some("ec"), Algorithm::ES256));
    assert!(is_there(None, Algorithm::RS256), "the only one");
    assert!(!is_there(Some("rsa"), Algorithm::ES256) && !is_there(Some("ec"), Algorithm::RS256), "for one algorithm");
    assert!(!is_there(Some("other"), Algorithm::EdDSA) && !is_there(Some(""), Algorithm::EdDSA));
    let two = parse(&[ed25519(1), ed25519(2)]).unwrap();
    assert!(two.find(None, Algorithm::EdDSA).is_none(), "one of two must be named");
    assert!(two.of_clients[0].is_called("ed 1") && two.of_clients[0].is_called(two.of_clients[0].id.as_str()));
}

/// A platform's RSA key may be of more kinds than a client's.
#[test]
fn a_clients_rsa_key_has_one_of_three_lengths_and_the_usual_exponent() {
    for (key, of_clients) in [
        (rsa(256, 0xAB), 1),
        (rsa(384, 0xAB), 1),
        (rsa(512, 0xAB), 1),
        (rsa(320, 0xAB), 0),
        (rsa(257, 0x01), 0),
        (rsa(1024, 0xAB), 0),
        (with(rsa(256, 0xAB), "e", json!("Aw")), 0),
    ] {
        assert_eq!(counts(std::slice::from_ref(&key)), Ok((1, of_clients)), "{key}");
    }
}

/// RFC 7517 §5: "Implementations SHOULD ignore JWKs within a JWK Set that use "kty" values that are not understood by them,
/// that are missing required members, or for which values are out of the supported ranges."
#[test]
fn what_is_not_understood_is_left_out() {
    let one = ed25519(1);
    for other in [
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}),
        json!({"kty": "EC", "crv": "P-384", "x": X, "y": Y}),
        json!({"kty": "EC", "crv": "P-256", "x": X}),
        json!({"kty": "OKP", "crv": "X25519", "x": X}),
        json!({"kty": 7}),
        json!({}),
        with(p256(), "use", json!("enc")),
        with(p256(), "key_ops", json!(["sign"])),
        with(p256(), "alg", json!("ES384")),
        with(p256(), "alg", json!("HS256")),
        with(p256(), "kid", json!(7)),
        with(p256(), "kid", json!("x".repeat(257))),
        with(rsa(256, 0xAB), "alg", json!("PS256")),
        with(rsa(256, 0xAB), "alg", json!("RS512")),
        rsa(256, 0x7F),
        rsa(128, 0xAB),
        rsa(2000, 0xAB),
        with(rsa(256, 0xAB), "n", json!("!")),
    ] {
        assert_eq!(counts(&[one.clone(), other.clone()]), Ok((1, 1)), "{other}");
        assert_eq!(counts(&[other]), Err(KeySetFault::Empty));
    }
    assert_eq!(counts(&[with(p256(), "key_ops", json!(["verify"]))]), Ok((1, 1)));
    assert_eq!(counts(&[with(ed25519(1), "alg", json!("Ed25519"))]), Ok((1, 1)));
    let padded = [vec![0], vec![0xAB; 256]].concat();
    assert_eq!(counts(&[with(rsa(256, 0xAB), "n", json!(URL_SAFE_NO_PAD.encode(padded)))]), Ok((1, 0)));
}

#[test]
fn a_set_that_cannot_be_trusted_is_refused_whole() {
    use KeySetFault as F;
    let one = ed25519(1);
    for (other, fault) in [
        (json!({"kty": "oct", "k": "c2VjcmV0"}), F::Symmetric),
        (json!({"kty": "oct"}), F::Symmetric),
        (with(ed25519(2), "k", json!("c2VjcmV0")), F::Symmetric),
        (with(ed25519(2), "d", json!("c2VjcmV0")), F::Private),
        (with(rsa(256, 0xAB), "p", json!("AA")), F::Private),
        (json!({"kty": "EC", "crv": "P-521", "d": "AA"}), F::Private),
        (with(ed25519(2), "alg", json!("none")), F::NoAlgorithm),
        (with(ed25519(2), "alg", json!("None")), F::NoAlgorithm),
        (with(ed25519(2), "kid", json!("ed 1")), F::Duplicate),
        (with(p256(), "kid", json!("ed 1")), F::Duplicate),
    ] {
        assert_eq!(counts(&[one.clone(), other.clone()]), Err(fault), "{other}");
        assert_eq!(counts(&[other, one.clone()]), Err(fault));
    }
    let many =
        |count: usize| (0..count).map(|number| with(p256(), "kid", json!(number.to_string()))).collect::<Vec<_>>();
    assert_eq!(counts(&many(100)), Ok((100, 100)));
    assert_eq!(counts(&many(101)), Err(F::TooMany));
    assert_eq!(counts(&vec![json!({}); 10_000]), Err(F::TooMany));
    assert_eq!(counts(&many(10_000)), Err(F::TooLarge));
    for junk in ["", "null", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, "<html>", "\u{0}", r#"{"keys":["#] {
        assert_eq!(KeySet::parse(junk.as_bytes(), NOW).err(), Some(F::Malformed), "{junk}");
    }
    assert_eq!(KeySet::parse(br#"{"keys":[]}"#, NOW).err(), Some(F::Empty));
    assert_eq!(KeySet::parse(&vec![b' '; 1_000_000], NOW).err(), Some(F::TooLarge));
    assert_eq!(KeySet::parse("[".repeat(60_000).as_bytes(), NOW).err(), Some(F::Malformed), "nested");
}

proptest! {
    #[test]
    fn sets_of_strangers_never_panic(
        kty in "(EC|RSA|OKP|oct|x)",
        crv in "(P-256|Ed25519|x)",
        text in "[A-Za-z0-9_=-]{0,100}",
        name in "(x|y|n|e|d|k|kid|alg|use|key_ops)",
    ) {
        let key = with(json!({"kty": kty, "crv": crv, "x": text, "y": text, "n": text, "e": text}), &name, json!(text));
        if let Ok(set) = parse(&[key.clone(), with(key, "kid", json!([text]))]) {
            prop_assert!(set.keys.len() <= 2 && set.of_clients.len() <= set.keys.len());
        }
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = KeySet::parse(&bytes, NOW);
    }
}
