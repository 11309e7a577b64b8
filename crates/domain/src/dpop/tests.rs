//! Proofs with real signatures, each wrong in one way.

use std::time::Duration;

use fuuffy_protocol::{AccessToken, ProofFault as F};
use jsonwebtoken::crypto::sign;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::*;
use crate::{EnvironmentName, KeyId, Thumbprint};

const START: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

fn at(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

/// A key pair on Ed25519 whose private half is all one byte.
fn key(byte: u8) -> EncodingKey {
    let head = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
    EncodingKey::from_ed_der(&[&head[..], &[byte; 32]].concat())
}

fn public(key: &EncodingKey) -> Jwk {
    Jwk::from_encoding_key(key, Algorithm::EdDSA).unwrap()
}

fn thumbprint(key: &EncodingKey) -> Thumbprint {
    Thumbprint::parse(&public(key).thumbprint(ThumbprintHash::SHA256).unwrap()).unwrap()
}

fn keyring(byte: u8) -> Arc<Keyring> {
    let master = [(KeyId(1), Zeroizing::new([byte; 32]))];
    Arc::new(Keyring::derive(EnvironmentName::Testing, &master).unwrap())
}

fn proofs(nonces: NonceUse) -> Proofs {
    Proofs::new("https://api.example.com/v1", keyring(1), nonces, START)
}

fn claims(now: Timestamp, jti: &str) -> Value {
    json!({"jti": jti, "htm": "GET", "htu": "https://api.example.com/v1/orders", "iat": now.unix_seconds()})
}

fn header(key: &EncodingKey) -> Header {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("dpop+jwt".to_owned());
    header.jwk = Some(public(key));
    header
}

fn signed(key: &EncodingKey, claims: &Value) -> String {
    encode(&header(key), claims, key).unwrap()
}

fn prove(proofs: &Proofs, proof: &str, now: Timestamp) -> Result<UsedProof, ProofRefusal> {
    let asked = Proving { method: &Method::GET, path: "/v1/orders", token: None, now };
    proofs.prove(ProofField::Unverified(proof), asked)
}

fn nonce_of(refused: Result<UsedProof, ProofRefusal>) -> String {
    match refused {
        Err(ProofRefusal::UseNonce(nonce)) => nonce,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_right_proof_proves_its_key_once() {
    let (proofs, key) = (proofs(NonceUse::WhereNeeded), key(7));
    let proof = signed(&key, &claims(at(100), "a"));
    let used = prove(&proofs, &proof, at(100)).unwrap();
    assert_eq!(used.key.binding(), Binding::DpopKey(thumbprint(&key)));
    assert_eq!(prove(&proofs, &proof, at(100)).unwrap_err(), F::Replayed.into());
    // Another serialisation of the same statement is the same statement.
    let mut again = claims(at(101), "a");
    again["more"] = json!(1);
    assert_eq!(prove(&proofs, &signed(&key, &again), at(101)).unwrap_err(), F::Replayed.into());
    // Another key's statement of the same name is another.
    assert!(prove(&proofs, &signed(&super::tests::key(8), &claims(at(101), "a")), at(101)).is_ok());
}

/// As RFC 9864 has it, which calls `EdDSA` by its curve.
#[test]
fn a_key_on_ed25519_may_be_called_by_its_curve() {
    let key = key(7);
    let mut head = serde_json::to_value(header(&key)).unwrap();
    head["alg"] = json!("Ed25519");
    let parts = [head, claims(at(100), "a")].map(|part| encoded(part.to_string().as_bytes()));
    let message = parts.join(".");
    let signature = sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
    let used = prove(&proofs(NonceUse::WhereNeeded), &format!("{message}.{signature}"), at(100)).unwrap();
    assert_eq!(used.key.binding(), Binding::DpopKey(thumbprint(&key)));
}

#[test]
fn a_proof_is_for_one_request_at_one_time() {
    let (proofs, key) = (proofs(NonceUse::WhereNeeded), key(7));
    let with = |name: &str, value: Value| {
        let mut claims = claims(at(100), name);
        claims[name] = value;
        prove(&proofs, &signed(&key, &claims), at(100)).map(|_| ()).map_err(|refused| refused.fault())
    };
    for (name, value, expected) in [
        ("htm", json!("POST"), Err(F::Method)),
        ("htm", json!("get"), Err(F::Method)),
        ("htm", json!(null), Err(F::Method)),
        ("htu", json!("https://api.example.com/v1/order"), Err(F::Target)),
        ("htu", json!("https://other.example.com/v1/orders"), Err(F::Target)),
        ("htu", json!("/v1/orders"), Err(F::Target)),
        ("htu", json!("https://API.example.com:443/v1/%6frders?a#b"), Ok(())),
        ("iat", json!(null), Err(F::NoTime)),
        ("iat", json!(at(111).unix_seconds()), Err(F::TooEarly)),
        ("iat", json!(1e300), Err(F::TooEarly)),
        ("iat", json!(at(39).unix_seconds()), Err(F::Expired)),
        ("exp", json!(at(100).unix_seconds()), Err(F::Expired)),
        ("nbf", json!(at(111).unix_seconds()), Err(F::TooEarly)),
        ("jti", json!(""), Err(F::NoId)),
        ("jti", json!("x".repeat(257)), Err(F::NoId)),
        ("jti", json!(7), Err(F::Malformed)),
        ("nonce", json!("AAAA"), Err(F::Nonce)),
    ] {
        assert_eq!(with(name, value.clone()), expected, "{name}: {value}");
    }
}

#[test]
fn a_header_says_one_thing() {
    let (proofs, key) = (proofs(NonceUse::WhereNeeded), key(7));
    let proof = signed(&key, &claims(at(100), "a"));
    let (message, signature) = proof.rsplit_once('.').unwrap();
    let (head, payload) = message.split_once('.').unwrap();
    let head: Value = serde_json::from_slice(&decoded(head)).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut head = head.clone();
        change(&mut head);
        let proof = format!("{}.{payload}.{signature}", encoded(head.to_string().as_bytes()));
        prove(&proofs, &proof, at(100)).unwrap_err().fault()
    };
    assert_eq!(with(&|head| head["typ"] = json!("JWT")), F::Type);
    assert_eq!(with(&|head| head["typ"] = json!(null)), F::Type);
    for alg in ["none", "HS256", "RS256", "ES384", "es256", ""] {
        assert_eq!(with(&|head| head["alg"] = json!(alg)), F::Algorithm, "{alg}");
    }
    assert_eq!(with(&|head| head["alg"] = json!("ES256")), F::Key, "a key is for one algorithm");
    assert_eq!(with(&|head| head["jwk"] = json!(null)), F::Key);
    assert_eq!(with(&|head| head["jwk"]["crv"] = json!("X25519")), F::Key);
    assert_eq!(with(&|head| head["jwk"] = json!({"kty": "oct", "k": "AAAA"})), F::PrivateKey);
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert_eq!(with(&|head| head["jwk"][member] = json!("AAAA")), F::PrivateKey, "{member}");
    }
    for member in ["crit", "b64", "enc", "zip", "cty", "jku", "x5u", "x5c"] {
        assert_eq!(with(&|head| head[member] = json!(["exp"])), F::Header, "{member}");
    }
    assert_eq!(with(&|head| head["kid"] = json!("a")), F::Signature, "nothing of it can be changed");
    let twice = format!("{}.{payload}.{signature}", encoded(br#"{"typ":"dpop+jwt","typ":"dpop+jwt"}"#));
    assert_eq!(prove(&proofs, &twice, at(100)).unwrap_err(), F::Malformed.into());
    let other = super::tests::key(8);
    assert_eq!(with(&|head| head["jwk"] = serde_json::to_value(public(&other)).unwrap()), F::Signature);
    for text in ["", "a", "a.b", "a.b.c", "..", "a.b.c.d"] {
        assert_eq!(prove(&proofs, text, at(100)).unwrap_err(), F::Malformed.into(), "{text}");
    }
    assert_eq!(prove(&proofs, &"x".repeat(1 << 20), at(100)).unwrap_err(), F::TooLong.into());
    assert!(prove(&proofs, &proof, at(100)).is_ok(), "none of these has used it up");
}

#[test]
fn a_proof_is_for_one_token_and_its_key() {
    let (proofs, key) = (proofs(NonceUse::WhereNeeded), key(7));
    let (token, other) = (AccessToken::from_random(&mut [1; 16]), AccessToken::from_random(&mut [2; 16]));
    let bound = Binding::DpopKey(thumbprint(&key));
    let mut claims = claims(at(100), "a");
    let ask = |claims: &Value, token: &AccessToken, bound: Option<&Binding>| {
        let asked = Proving { method: &Method::GET, path: "/v1/orders", token: Some((token, bound)), now: at(100) };
        let proof = signed(&key, claims);
        proofs.prove(ProofField::Unverified(&proof), asked).map(|_| ()).map_err(|refused| refused.fault())
    };
    assert_eq!(ask(&claims, &token, Some(&bound)), Err(F::TokenHash));
    claims["ath"] = json!(encoded(&Sha256::digest(token.reveal())));
    assert_eq!(ask(&claims, &other, Some(&bound)), Err(F::TokenHash));
    assert_eq!(ask(&claims, &token, None), Err(F::Unbound));
    for other in [Binding::DpopKey(Thumbprint([0; 32])), Binding::Certificate(thumbprint(&key))] {
        assert_eq!(ask(&claims, &token, Some(&other)), Err(F::OtherKey));
    }
    assert_eq!(ask(&claims, &token, Some(&bound)), Ok(()));
}

#[test]
fn after_a_start_a_proof_needs_a_nonce_that_was_given_since() {
    let (proofs, key) = (proofs(NonceUse::WhereNeeded), key(7));
    let proof = signed(&key, &claims(at(5), "a"));
    let nonce = nonce_of(prove(&proofs, &proof, at(5)));
    let with = |nonce: &str, jti: &str, now: Timestamp| {
        let mut claims = claims(now, jti);
        claims["nonce"] = json!(nonce);
        prove(&proofs, &signed(&key, &claims), now)
    };
    let used = with(&nonce, "a", at(6)).unwrap();
    assert_eq!(used.next_nonce, None);
    assert_eq!(with(&nonce, "a", at(7)).unwrap_err(), F::Replayed.into());
    assert!(with(&nonce, "b", at(65)).unwrap().next_nonce.is_some(), "a newer one before it ends");
    assert!(with(&nonce, "c", at(124)).is_ok());
    nonce_of(with(&nonce, "d", at(125)));
    let before = keyring(1).nonce(START);
    nonce_of(with(&before, "e", at(6)));
    let foreign = keyring(2).nonce(at(6));
    nonce_of(with(&foreign, "f", at(6)));
    let later = keyring(1).nonce(at(60));
    nonce_of(with(&later, "g", at(6)));
    assert!(prove(&proofs, &signed(&key, &claims(at(11), "h")), at(11)).is_ok(), "and then none");
}

/// The server's word on the time counts more than a clock that is wrong.
#[test]
fn with_a_nonce_the_clock_of_whoever_signs_does_not_matter() {
    let (proofs, key) = (proofs(NonceUse::Always), key(7));
    let nonce = nonce_of(prove(&proofs, &signed(&key, &claims(at(100), "a")), at(100)));
    let mut claims = claims(at(86_400), "a");
    claims["nonce"] = json!(nonce);
    assert!(prove(&proofs, &signed(&key, &claims), at(101)).is_ok());
}

/// RFC 9449 §4.2 has `iat` in each proof, and RFC 7519 §4.1.4 takes nothing "on or after" its `exp`, whatever else is said.
#[test]
fn with_a_nonce_the_other_times_are_what_they_are() {
    let (proofs, key) = (proofs(NonceUse::Always), key(7));
    let nonce = nonce_of(prove(&proofs, &signed(&key, &claims(at(100), "a")), at(100)));
    for (name, value, fault) in [
        ("iat", Value::Null, ProofFault::NoTime),
        ("exp", json!(claims(at(101), "a")["iat"]), ProofFault::Expired),
        ("nbf", json!(claims(at(200), "a")["iat"]), ProofFault::TooEarly),
    ] {
        let mut claims = claims(at(100), name);
        claims["nonce"] = json!(nonce);
        claims[name] = value;
        assert_eq!(prove(&proofs, &signed(&key, &claims), at(101)).unwrap_err(), fault.into(), "{name}");
    }
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

proptest! {
    #[test]
    fn nothing_panics(head in ".{0,60}", payload in ".{0,60}", signature in "[A-Za-z0-9_-]{0,90}") {
        let proofs = proofs(NonceUse::WhereNeeded);
        let proof = format!("{}.{}.{signature}", encoded(head.as_bytes()), encoded(payload.as_bytes()));
        prop_assert!(prove(&proofs, &proof, at(100)).is_err());
        prop_assert!(prove(&proofs, &payload, at(100)).is_err());
    }
}
