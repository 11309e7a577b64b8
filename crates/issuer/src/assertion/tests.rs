//! Assertions, right ones and each kind of wrong one, by real keys and a clock of the test's own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy_domain::ClientKeyId;
use fuuffy_protocol::{ClientAuthentication, Form};
use http::HeaderMap;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::{EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
const SECONDS: i64 = 1_800_000_000;
const ISSUER: &str = "https://gateway.example";
/// What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410 §7).
const PKCS8: [u8; 16] = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];

fn private(seed: u8) -> EncodingKey {
    EncodingKey::from_ed_der(&[&PKCS8[..], &[seed; 32]].concat())
}

fn public(seed: u8) -> ClientKey {
    let jwk = Jwk::from_encoding_key(&private(seed), Algorithm::EdDSA).unwrap();
    ClientKey {
        id: ClientKeyId::parse("key").unwrap(),
        kid: None,
        algorithm: KeyAlgorithm::EdDsa,
        jwk: serde_json::to_string(&jwk).unwrap().into(),
        created_at: NOW,
        last_use: None,
        use_count: 0,
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
    json!({"iss": "app_1", "sub": "app_1", "aud": ISSUER, "exp": SECONDS + 60, "iat": SECONDS, "jti": "one"})
}

fn header() -> Header {
    Header::new(Algorithm::EdDSA)
}

fn signed(header: &Header, claims: &Value) -> UnverifiedAssertion {
    sent(&encode(header, claims, &private(1)).unwrap())
}

fn checked(header: &Header, claims: &Value) -> Result<CheckedClaims, AssertionFault> {
    let assertion = signed(header, claims);
    let read = ReadAssertion::read(&assertion).unwrap();
    assert!(read.is_signed_by(Some(&public(1))));
    read.check("app_1", ISSUER, NOW)
}

/// The claims with one of them changed.
fn with(name: &str, value: Value) -> Value {
    let mut all = claims();
    all[name] = value;
    all
}

fn without(name: &str) -> Value {
    let mut all = claims();
    all.as_object_mut().unwrap().remove(name);
    all
}

#[test]
fn a_right_one_holds() {
    let expires_at = NOW.after(Duration::from_secs(60));
    assert_eq!(checked(&header(), &claims()), Ok(CheckedClaims { jti: "one".to_owned(), expires_at }));
    for typ in [None, Some("JWT"), Some("jwt"), Some("client-authentication+jwt")] {
        let header = Header { typ: typ.map(str::to_owned), ..header() };
        assert!(checked(&header, &claims()).is_ok(), "{typ:?}");
    }
    let ahead = with("iat", json!(SECONDS + 30));
    assert!(checked(&header(), &ahead).is_ok(), "a clock may be ahead of ours");
    assert!(checked(&header(), &without("iat")).is_ok());
    assert!(checked(&header(), &with("exp", json!(SECONDS as f64 + 0.5))).is_ok(), "a date with a fraction");
}

#[test]
fn each_claim_is_what_it_must_be() {
    use AssertionFault as F;
    let far = "x".repeat(129);
    for (claims, fault) in [
        (with("sub", json!("app_2")), F::Client),
        (with("iss", json!("app_2")), F::Client),
        (without("iss"), F::Client),
        (with("aud", json!([ISSUER])), F::Audience),
        (with("aud", json!([ISSUER, "https://other.example"])), F::Audience),
        (with("aud", json!("https://gateway.example/")), F::Audience),
        (with("aud", json!("https://gateway.example/oauth/token")), F::Audience),
        (without("aud"), F::Audience),
        (without("exp"), F::NoExpiry),
        (with("exp", json!(SECONDS)), F::Expired),
        (with("exp", json!(SECONDS - 1)), F::Expired),
        (with("exp", json!(-1e300)), F::Expired),
        (with("exp", json!(SECONDS + 331)), F::TooLong),
        (with("exp", json!(1e300)), F::TooLong),
        (with("iat", json!(SECONDS + 31)), F::TooEarly),
        (with("nbf", json!(SECONDS + 31)), F::TooEarly),
        (without("jti"), F::NoId),
        (with("jti", json!("")), F::NoId),
        (with("jti", json!(far)), F::NoId),
        (with("jti", json!(7)), F::Malformed),
        (with("exp", json!("soon")), F::Malformed),
    ] {
        assert_eq!(checked(&header(), &claims), Err(fault), "{claims}");
    }
}

#[test]
fn a_header_brings_no_key_and_asks_for_nothing() {
    use AssertionFault as F;
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
        (Header { typ: Some("token-introspection+jwt".to_owned()), ..header() }, F::Type),
    ] {
        assert_eq!(checked(&header, &claims()), Err(fault), "{header:?}");
    }
}

#[test]
fn only_the_clients_own_key_signs() {
    let assertion = signed(&header(), &claims());
    let read = ReadAssertion::read(&assertion).unwrap();
    assert!(read.is_signed_by(Some(&public(1))));
    assert!(!read.is_signed_by(Some(&public(2))) && !read.is_signed_by(None));
    // A key of another kind under a name that fits.
    let broken = ClientKey { jwk: r#"{"kty":"oct","k":"AAAA"}"#.into(), ..public(1) };
    assert!(!read.is_signed_by(Some(&broken)));
    let text = assertion.reveal();
    let (message, signature) = text.rsplit_once('.').unwrap();
    let (head, _) = message.split_once('.').unwrap();
    let other = signed(&header(), &with("jti", json!("two")));
    let others = other.reveal().split('.').nth(1).unwrap().to_owned();
    for changed in [format!("{head}.{others}.{signature}"), format!("{message}."), format!("{message}.AAAA")] {
        let changed = sent(&changed);
        assert!(!ReadAssertion::read(&changed).unwrap().is_signed_by(Some(&public(1))));
    }
}

#[test]
fn an_algorithm_is_one_of_three() {
    use AssertionFault as F;
    let payload = "eyJzdWIiOiJhcHBfMSJ9";
    // {"alg":"none"}, {"alg":"HS256"}, {"alg":"PS256"}, {"alg":"ES256","alg":"EdDSA"}, {}
    for header in [
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJhbGciOiJQUzI1NiJ9",
        "eyJhbGciOiJFUzI1NiIsImFsZyI6IkVkRFNBIn0",
        "e30",
        "",
    ] {
        let assertion = sent(&format!("{header}.{payload}.AAAA"));
        assert_eq!(ReadAssertion::read(&assertion).err(), Some(F::Algorithm), "{header}");
    }
    for text in ["a", "a.b", "a.b.c.d", "!.!.!", &"x".repeat(9000)] {
        assert_eq!(ReadAssertion::read(&sent(text)).err(), Some(F::Malformed), "{text}");
    }
    // Signed by the public key as if it were a shared secret.
    let confused = EncodingKey::from_secret(public(1).jwk.as_bytes());
    let confused = sent(&encode(&Header::new(Algorithm::HS256), &claims(), &confused).unwrap());
    assert_eq!(ReadAssertion::read(&confused).err(), Some(F::Algorithm));
}

/// As RFC 9864 has it, which calls `EdDSA` by its curve.
#[test]
fn a_key_on_ed25519_may_be_called_by_its_curve() {
    let parts =
        [r#"{"alg":"Ed25519","typ":"JWT"}"#.to_owned(), claims().to_string()].map(|it| URL_SAFE_NO_PAD.encode(it));
    let message = parts.join(".");
    let signature = sign(message.as_bytes(), &private(1), Algorithm::EdDSA).unwrap();
    let assertion = sent(&format!("{message}.{signature}"));
    let read = ReadAssertion::read(&assertion).unwrap();
    assert_eq!(read.algorithm, KeyAlgorithm::EdDsa);
    assert!(read.is_signed_by(Some(&public(1))) && !read.is_signed_by(Some(&public(2))));
    assert!(read.check("app_1", ISSUER, NOW).is_ok());
}

#[test]
fn nobodys_keys_can_be_read() {
    assert!([KeyAlgorithm::Es256, KeyAlgorithm::EdDsa].into_iter().all(|it| nobodys_key(it, 64).is_some()));
    assert!(rsa::MODULI.into_iter().all(|length| nobodys_key(KeyAlgorithm::Rs256, length).is_some()));
}

/// A key as the client registers it, of so many bytes.
fn of_rsa(length: usize, fill: u8) -> ClientKey {
    let mut modulus = vec![fill; length];
    modulus[length - 1] |= 1;
    let jwk = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(modulus), "e": rsa::EXPONENT});
    ClientKey { algorithm: KeyAlgorithm::Rs256, jwk: jwk.to_string().into(), ..public(1) }
}

/// What a signature is checked by is as long as it is; a key of another length is not the one, whatever comes out.
#[test]
fn an_rsa_signature_has_a_length_that_a_key_can_have() {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
    let with = |bytes: usize| {
        let claims = URL_SAFE_NO_PAD.encode(claims().to_string());
        sent(&format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(vec![1; bytes])))
    };
    for length in [0, 64, 255, 257, 320, 513, 1024] {
        assert_eq!(ReadAssertion::read(&with(length)).err(), Some(AssertionFault::Signature), "{length}");
    }
    for length in rsa::MODULI {
        let assertion = with(length);
        let read = ReadAssertion::read(&assertion).unwrap();
        assert_eq!((read.algorithm, read.signature.len()), (KeyAlgorithm::Rs256, length));
        for other in rsa::MODULI {
            let jwk: Jwk = serde_json::from_str(&of_rsa(other, 0x99).jwk).unwrap();
            assert_eq!(read.may_be_by(&jwk), other == length);
            assert!(!read.is_signed_by(Some(&of_rsa(other, 0x99))));
        }
        assert!(!read.is_signed_by(None));
        // One that is not below the modulus costs what one does that nobody could have made.
        let jwk: Jwk = serde_json::from_str(&of_rsa(length, 1).jwk).unwrap();
        assert!(!read.may_be_by(&jwk), "they are equal");
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
        if let Ok(read) = ReadAssertion::read(&assertion) {
            let _ = (read.is_signed_by(None), read.check("app_1", ISSUER, NOW));
        }
    }
}
