//! Platforms' tokens, right ones and each kind of wrong one, by real keys and a clock of the test's own.

use fuuffy_domain::Lifetime;
use fuuffy_protocol::{ClientAuthentication, Form};
use http::HeaderMap;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
const SECONDS: i64 = 1_800_000_000;
const AUDIENCE: &str = "https://gateway.example";
/// What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410 §7).
const PKCS8: [u8; 16] = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];

fn private(seed: u8) -> EncodingKey {
    EncodingKey::from_ed_der(&[&PKCS8[..], &[seed; 32]].concat())
}

fn public(seed: u8) -> DecodingKey {
    DecodingKey::from_jwk(&Jwk::from_encoding_key(&private(seed), Algorithm::EdDSA).unwrap()).unwrap()
}

fn trusted() -> TrustedIssuer {
    TrustedIssuer {
        issuer: "https://platform.example".into(),
        audience: AUDIENCE.to_owned(),
        binding_claims: vec!["sub".to_owned()],
        longest_life: Lifetime::DAY,
    }
}

/// As it comes in a form.
fn sent(text: &str) -> UnverifiedAssertion {
    let form = format!("client_assertion_type={}&client_assertion={text}", ClientAuthentication::ASSERTION_TYPE);
    match ClientAuthentication::parse(&HeaderMap::new(), &Form::parse(form.as_bytes()).unwrap()).unwrap() {
        ClientAuthentication::Assertion(claimed) => claimed.assertion,
        ClientAuthentication::Secret(_) | ClientAuthentication::Name(_) => panic!("an assertion"),
    }
}

fn claims() -> Value {
    json!({"iss": "https://platform.example", "sub": "system:serviceaccount:shop:orders", "aud": [AUDIENCE],
        "exp": SECONDS + 3000, "nbf": SECONDS - 600, "iat": SECONDS - 600})
}

fn with(name: &str, value: Value) -> Value {
    let mut all = claims();
    all[name] = value;
    all
}

fn checked(header: &Header, claims: &Value) -> Result<(), IdentityFault> {
    let assertion = sent(&encode(header, claims, &private(1)).unwrap());
    let token = UnverifiedToken::read(&assertion)?;
    assert!(token.verify(&public(1)).is_ok());
    token.check(&trusted(), NOW)
}

fn header() -> Header {
    Header::new(Algorithm::EdDSA)
}

#[test]
fn a_right_one_holds_again_and_again() {
    for typ in [None, Some("JWT"), Some("JOSE")] {
        let header = Header { typ: typ.map(str::to_owned), ..header() };
        assert_eq!(checked(&header, &claims()), Ok(()), "{typ:?}");
    }
    assert_eq!(checked(&header(), &with("aud", json!(AUDIENCE))), Ok(()));
    assert_eq!(checked(&header(), &with("iat", json!(SECONDS + 30))), Ok(()), "a clock may be ahead of ours");
    let a_day = with("exp", json!(SECONDS - 600 + 24 * 3600));
    assert_eq!(checked(&header(), &a_day), Ok(()));
    let mut without = claims();
    without.as_object_mut().unwrap().remove("nbf");
    assert_eq!(checked(&header(), &without), Ok(()));
}

#[test]
fn each_claim_is_what_it_must_be() {
    use IdentityFault as F;
    for (claims, fault) in [
        (with("aud", json!([AUDIENCE, "https://kubernetes.default.svc"])), F::Audience),
        (with("aud", json!([])), F::Audience),
        (with("aud", json!([[AUDIENCE]])), F::Audience),
        (with("aud", json!(null)), F::Audience),
        (with("aud", json!("https://gateway.example/")), F::Audience),
        (with("aud", json!("https://GATEWAY.example")), F::Audience),
        (with("exp", json!(SECONDS)), F::Expired),
        (with("exp", json!(SECONDS - 1)), F::Expired),
        (with("exp", json!(-1e300)), F::Expired),
        (with("exp", json!(SECONDS - 599 + 24 * 3600)), F::TooLong),
        (with("exp", json!(1e300)), F::TooLong),
        (with("exp", json!(null)), F::NoTimes),
        (with("exp", json!("soon")), F::NoTimes),
        (with("iat", json!(null)), F::NoTimes),
        (with("nbf", json!("now")), F::NoTimes),
        (with("iat", json!(SECONDS + 31)), F::TooEarly),
        (with("nbf", json!(SECONDS + 31)), F::TooEarly),
        (with("nbf", json!(1e300)), F::TooEarly),
    ] {
        assert_eq!(checked(&header(), &claims), Err(fault), "{claims}");
    }
}

#[test]
fn a_header_brings_no_key_and_asks_for_nothing() {
    use IdentityFault as F;
    let some = || Some("https://keys.example".to_owned());
    let own = Jwk::from_encoding_key(&private(1), Algorithm::EdDSA).unwrap();
    for (header, fault) in [
        (Header { jku: some(), ..header() }, F::Header),
        (Header { x5u: some(), ..header() }, F::Header),
        (Header { x5c: Some(vec![]), ..header() }, F::Header),
        (Header { jwk: Some(own), ..header() }, F::Header),
        (Header { crit: Some(vec!["exp".to_owned()]), ..header() }, F::Header),
        (Header { cty: Some("JWT".to_owned()), ..header() }, F::Header),
        (Header { typ: Some("at+jwt".to_owned()), ..header() }, F::Type),
        (Header { typ: Some("logout+jwt".to_owned()), ..header() }, F::Type),
    ] {
        assert_eq!(checked(&header, &claims()), Err(fault), "{header:?}");
    }
    // By what x5t names a certificate is no key that it brings: GitHub and Entra send it.
    assert_eq!(checked(&Header { x5t: Some("AAAA".to_owned()), ..header() }, &claims()), Ok(()));
}

#[test]
fn only_the_platforms_key_signs_and_by_its_own_algorithm() {
    use IdentityFault as F;
    let right = sent(&encode(&header(), &claims(), &private(1)).unwrap());
    let token = UnverifiedToken::read(&right).unwrap();
    assert!(token.verify(&public(1)).is_ok_and(|claims| claims.subject() == "system:serviceaccount:shop:orders"));
    assert_eq!(token.verify(&public(2)).err(), Some(F::Signature));
    // A key of another kind never checks it.
    let shared = DecodingKey::from_secret(b"secret");
    assert_eq!(token.verify(&shared).err(), Some(F::Signature));
    let (message, signature) = right.reveal().rsplit_once('.').unwrap();
    let other = encode(&header(), &with("sub", json!("system:serviceaccount:shop:admin")), &private(1)).unwrap();
    let others = other.split('.').nth(1).unwrap();
    let head = message.split('.').next().unwrap();
    for changed in [format!("{head}.{others}.{signature}"), format!("{message}."), format!("{message}.AAAA")] {
        let changed = sent(&changed);
        assert_eq!(UnverifiedToken::read(&changed).unwrap().verify(&public(1)).err(), Some(F::Signature));
    }
    let confused = EncodingKey::from_secret(&serde_json::to_vec(&claims()).unwrap());
    for algorithm in [Algorithm::HS256, Algorithm::HS512] {
        let confused = sent(&encode(&Header::new(algorithm), &claims(), &confused).unwrap());
        assert_eq!(UnverifiedToken::read(&confused).err(), Some(F::Algorithm));
    }
    // {"alg":"none"}, {"alg":"RS512"}, {"alg":"PS256"}, {}
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJSUzUxMiJ9", "eyJhbGciOiJQUzI1NiJ9", "e30"] {
        let assertion = sent(&format!("{header}.{others}.AAAA"));
        assert_eq!(UnverifiedToken::read(&assertion).err(), Some(F::Algorithm), "{header}");
    }
    // Claims that are none: another token within, and a list.
    for payload in ["ImV5SmhiR2NpIg", "WzFd", "e30x", ""] {
        let assertion = sent(&format!("{head}.{payload}.AAAA"));
        assert_eq!(UnverifiedToken::read(&assertion).err(), Some(F::Malformed), "{payload}");
    }
}

proptest! {
    #[test]
    fn foreign_claims_never_panic(name in "(iss|sub|aud|exp|nbf|iat|jti|x)", text in "[ -~]{0,200}", number in any::<f64>()) {
        for value in [json!(text), json!(number), json!([text]), json!({"a": number}), json!(null)] {
            let _ = checked(&header(), &with(&name, value));
        }
    }

    #[test]
    fn foreign_text_never_panics(text in "[A-Za-z0-9_.-]{0,300}") {
        let assertion = sent(&format!("x{text}"));
        if let Ok(token) = UnverifiedToken::read(&assertion) {
            let _ = (token.verify(&public(1)).is_ok(), token.check(&trusted(), NOW));
        }
    }
}
