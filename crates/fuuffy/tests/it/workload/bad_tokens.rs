//! Tokens of platforms that are not what they must be: each refused by `invalid_client` (RFC 7523 §3.2), in bounded time,
//! and said why to whoever may know.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{ask, bound, explained, form, happened};
use crate::app::{get, post_form};
use crate::platform::{KEYS, METADATA, Platform, PlatformKey};
use crate::signing_client::{ISSUER, SigningClient};
use crate::timed::Timed;

const BOUND: &str = "system:serviceaccount:shop:orders";

/// One that the client itself holds is explained to the client, too.
#[test]
fn each_claim_is_what_it_must_be() {
    let (platform, key) = (Platform::start(), PlatformKey::rsa("a"));
    platform.publish(&[&key]);
    let timed = Timed::start(&platform.trusted(""));
    let client = bound(&timed, &platform, &json!({ "sub": BOUND }));
    let seconds = timed.now().unix_millis() / 1000;
    let claims = |name: &str, value: Value| {
        let mut claims = platform.kubernetes_claims("shop:orders", timed.now());
        claims[name] = value;
        claims
    };
    let right = key.sign(&claims("jti", json!("a")));
    let access = ask(&timed, &client, &right).json()["access_token"].as_str().unwrap().to_owned();
    for (claims, said) in [
        (claims("exp", json!(seconds)), "had expired"),
        (claims("exp", json!(seconds - 1)), "had expired"),
        (claims("iat", json!(seconds + 31)), "in the future"),
        (claims("nbf", json!(seconds + 31)), "in the future"),
        (claims("exp", json!(seconds + 24 * 3600 + 1)), "lives longer"),
        (claims("exp", Value::Null), "no exp or no iat"),
        (claims("iat", Value::Null), "no exp or no iat"),
        (claims("aud", json!("https://kubernetes.default.svc")), "not for this token service alone"),
        (claims("aud", json!([ISSUER, "https://kubernetes.default.svc"])), "not for this token service alone"),
        (claims("aud", json!([])), "not for this token service alone"),
    ] {
        let refused = ask(&timed, &client, &key.sign(&claims));
        let told = explained(&timed, &refused);
        assert!(told["happened"].as_str().unwrap().contains(said), "{claims}: {told}");
        assert_eq!(told["client_id"], client, "whoever was given the token is the client");
        let own = format!("/v1/auth/explanations/{}", refused.field("x-request-id").unwrap());
        assert_eq!(get(timed.testing(), &own, &access).json()["data"]["happened"], told["happened"]);
    }
}

/// Whoever holds no right token of the client's is told nothing, and nobody is told that it was the client.
#[test]
fn only_what_the_platform_has_signed_is_believed() {
    let (platform, key, thief) = (Platform::start(), PlatformKey::rsa("a"), PlatformKey::rsa("a"));
    let other = PlatformKey::p256("other");
    platform.publish(&[&key]);
    let timed = Timed::start(&platform.trusted(""));
    let client = bound(&timed, &platform, &json!({ "sub": BOUND }));
    let claims = platform.kubernetes_claims("shop:orders", timed.now());
    let right = key.sign(&claims);
    let parts: Vec<&str> = right.split('.').collect();
    let header = |change: &dyn Fn(&mut Header)| {
        let mut header = key.header();
        change(&mut header);
        key.sign_with(&header, &claims)
    };
    let jku = Some("https://127.0.0.1/keys".to_owned());
    // The public key as if it were a shared secret.
    let shared = EncodingKey::from_secret(key.jwk()["n"].as_str().unwrap().as_bytes());
    let confused = Header { kid: Some("a".to_owned()), ..Header::new(Algorithm::HS256) };
    let elsewhere = {
        let mut claims = claims.clone();
        claims["iss"] = json!("https://evil.example");
        key.sign(&claims)
    };
    let nested = format!("{}.{}.{}", parts[0], "ImEuYi5jIg", parts[2]);
    for (token, said) in [
        (thief.sign(&claims), "not signed by the platform's key"),
        (other.sign(&claims), "a key that the platform does not publish"),
        (format!("{}.{}.", parts[0], parts[1]), "not signed by the platform's key"),
        (format!("eyJhbGciOiJub25lIn0.{}.", parts[1]), "an algorithm that is not taken"),
        (format!("eyJhbGciOiJub25lIn0.{}.{}", parts[1], parts[2]), "an algorithm that is not taken"),
        (encode(&confused, &claims, &shared).unwrap(), "an algorithm that is not taken"),
        (header(&|header| header.typ = Some("at+jwt".to_owned())), "a JWT of another type"),
        (header(&|header| header.crit = Some(vec!["exp".to_owned()])), "brought a key, or asked for more"),
        (header(&|header| header.jku.clone_from(&jku)), "brought a key, or asked for more"),
        (header(&|header| header.cty = Some("JWT".to_owned())), "brought a key, or asked for more"),
        (header(&|header| header.kid = Some("b".to_owned())), "a key that the platform does not publish"),
        (elsewhere, "an issuer that is not trusted here"),
        (nested, "no key of that name and algorithm"),
        (format!("{right}.a.b"), "no signed JWT"),
    ] {
        let refused = ask(&timed, &client, &token);
        let told = explained(&timed, &refused);
        assert!(told["happened"].as_str().unwrap().contains(said), "{said}: {told}");
        assert_eq!(told["client_id"], Value::Null, "{said}");
    }
    assert_eq!(
        ask(&timed, &client, &header(&|header| header.kid = None)).status,
        200,
        "the only key need not be named"
    );
    assert_eq!(ask(&timed, &client, &right).status, 200, "nothing of it has locked the client out");
    let huge = key.sign(&json!({"iss": platform.issuer(), "x": "x".repeat(1_000_000)}));
    let form = format!("grant_type=client_credentials&client_id={client}&{}", form(&huge));
    assert_eq!(post_form(timed.testing(), "/oauth/token", &form).status, 413);
}

/// A token is for the client that is named beside it; which that is, the token does not say.
#[test]
fn a_token_is_for_a_client_that_is_bound_to_it() {
    let (platform, key) = (Platform::start(), PlatformKey::p256("a"));
    platform.publish(&[&key]);
    let timed = Timed::start(&platform.trusted(""));
    let client = bound(&timed, &platform, &json!({ "sub": BOUND }));
    let other = bound(&timed, &platform, &json!({"sub": "system:serviceaccount:shop:other"}));
    let token = key.sign(&platform.kubernetes_claims("shop:orders", timed.now()));
    for whose in [other.as_str(), timed.client.id.as_str(), "app_nobody", "", BOUND] {
        let refused = ask(&timed, whose, &token);
        assert!(happened(&timed, &refused).contains("No identity of the client fits"), "{whose}");
    }
    let unnamed =
        post_form(timed.testing(), "/oauth/token", &format!("grant_type=client_credentials&{}", form(&token)));
    assert!(happened(&timed, &unnamed).contains("or there is no such client"));
    // With a key of its own nobody passes for the platform, and a platform for nobody's key.
    let signing = SigningClient::called(&client, Algorithm::EdDSA);
    let mut claims = signing.claims(timed.now(), "a");
    claims["iss"] = json!(platform.issuer());
    claims["sub"] = json!(BOUND);
    let forged = signing.sign(&signing.header(), &claims);
    assert!(happened(&timed, &ask(&timed, &client, &forged)).contains("a key that the platform does not publish"));
    assert_eq!(ask(&timed, &client, &token).status, 200);
}

/// A platform that publishes what cannot be trusted has no keys, and operators are told why.
#[test]
fn what_a_platform_publishes_must_be_its_own() {
    let (platform, key) = (Platform::start(), PlatformKey::p256("a"));
    let issuer = platform.issuer();
    let metadata = |issuer: &str, uri: &str| json!({"issuer": issuer, "jwks_uri": uri}).to_string();
    let right = metadata(&issuer, &platform.url(KEYS));
    let private = json!({"keys": [key.jwk(), {"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA"}]}).to_string();
    let other = metadata("https://other.example", &platform.url(KEYS));
    for (metadata, keys, said) in [
        (other.as_str(), None, "the metadata is that of another issuer"),
        (&metadata(&issuer, "http://localhost/keys"), None, "the metadata is that of another issuer"),
        (&metadata(&issuer, "https://169.254.169.254/keys"), None, "an address where no keys may be"),
        ("junk", None, "the metadata is that of another issuer"),
        (&" ".repeat(100_000), None, "longer than 64 KiB"),
        (&right, Some(private.as_str()), "a private key"),
        (&right, Some("junk"), "no JWK Set"),
        (&right, None, "the answer was not 200"),
    ] {
        platform.say(METADATA, metadata);
        match keys {
            Some(keys) => platform.say(KEYS, keys),
            None => platform.answer(KEYS, b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec()),
        }
        let timed = Timed::start(&platform.trusted(""));
        let client = bound(&timed, &platform, &json!({ "sub": BOUND }));
        let token = key.sign(&platform.kubernetes_claims("shop:orders", timed.now()));
        let happened = happened(&timed, &ask(&timed, &client, &token));
        assert!(happened.contains(&issuer) && happened.contains(said), "{said}: {happened}");
    }
}
