//! JWT Response for OAuth Token Introspection.

use std::net::SocketAddr;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::{Value, json};

use super::{FORM, basic, error, post_as, served};
use crate::app::{Registered, config_with, get, token};
use crate::http1::{Reply, request};
use crate::timed::{START, Timed};
use crate::upstream::Upstream;

const PATH: &str = "/oauth/introspect";
const KEYS: &str = "/oauth/jwks";
const MEDIA_TYPE: &str = "application/token-introspection+jwt";

fn ask(client: &Registered, address: SocketAddr, accept: &str, token: &str) -> Reply {
    let fields = [FORM, ("authorization", &basic(client)), ("accept", accept)];
    request(address, "POST", PATH, &fields, &format!("token={token}"))
}

fn keys(address: SocketAddr) -> JwkSet {
    serde_json::from_slice(&request(address, "GET", KEYS, &[], "").body).unwrap()
}

/// Reads a signed answer as an API would: by the keys that the server publishes, for itself, from its issuer.
fn read(reply: &Reply, keys: &JwkSet, client: &Registered) -> (Header, Value) {
    read_by(Algorithm::EdDSA, reply, keys, client)
}

fn read_by(algorithm: Algorithm, reply: &Reply, keys: &JwkSet, client: &Registered) -> (Header, Value) {
    assert_eq!((reply.status, reply.field("content-type")), (200, Some(MEDIA_TYPE)), "{}", reply.text());
    let header = decode_header(reply.text()).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).expect("a published key");
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[&client.id]);
    validation.set_issuer(&["https://testing-api-gateway.fuuffy.com"]);
    validation.set_required_spec_claims(&["iss", "aud"]);
    validation.validate_exp = false;
    let decoded = decode::<Value>(reply.text(), &DecodingKey::from_jwk(key).unwrap(), &validation);
    (header, decoded.expect("a signature that holds").claims)
}

/// "A resource server requests a JWT introspection response by sending an introspection request with an Accept HTTP
/// header field set to application/token-introspection+jwt"; "The authorization server MUST ... authenticate the
/// caller": nothing is signed for whoever does not.
#[test]
fn section_4_it_is_asked_for_by_accept() {
    let (place, server) = served();
    let client = place.client("testing");
    let token = token(server.testing, &client);
    for accept in ["application/json", "*/*", "application/token-introspection+jwt;q=0"] {
        let reply = ask(&client, server.testing, accept, &token);
        assert_eq!((reply.field("content-type"), &reply.json()["active"]), (Some("application/json"), &true.into()));
    }
    let accept = "application/json;q=0.5, application/token-introspection+jwt";
    assert_eq!(ask(&client, server.testing, accept, &token).field("content-type"), Some(MEDIA_TYPE));
    let wrong = Registered { id: client.id, secret: "wrong".to_owned() };
    assert_eq!(error(&ask(&wrong, server.testing, MEDIA_TYPE, &token)), (401, "invalid_client".to_owned()));
}

/// The header's "typ" "MUST be set to token-introspection+jwt"; iss, aud and iat "MUST be included", the audience being
/// "the resource server receiving the token introspection response"; "token_introspection" has what the plain answer
/// has; and "sub and exp claims MUST NOT be present" beside it.
#[test]
fn section_5_the_claims() {
    let timed = Timed::start("");
    let token = token(timed.testing(), &timed.client);
    timed.time.pass(Duration::from_secs(60));
    let plain = post_as(&timed.client, timed.testing(), PATH, &format!("token={token}")).json();
    let reply = ask(&timed.client, timed.testing(), MEDIA_TYPE, &token);
    let (header, claims) = read(&reply, &keys(timed.testing()), &timed.client);
    assert_eq!((header.typ.as_deref(), header.alg), (Some("token-introspection+jwt"), Algorithm::EdDSA));
    let expected = json!({
        "iss": "https://testing-api-gateway.fuuffy.com",
        "aud": timed.client.id,
        "iat": START.unix_millis() / 1000 + 60,
        "token_introspection": plain,
    });
    assert_eq!(claims, expected);
    assert_eq!(reply.field("cache-control"), Some("no-store"));
}

/// "If the access token is invalid, expired, revoked, or not intended for the calling resource server, the authorization
/// server MUST set the value of the active member to false ... Other members MUST NOT be included".
#[test]
fn section_5_what_is_not_active_is_exactly_that() {
    let (place, server) = served();
    let (client, other) = (place.client("testing"), place.client("testing"));
    let others = token(server.testing, &other);
    for presented in ["sk-00000000000000000000000000000000", "nonsense", others.as_str()] {
        let reply = ask(&client, server.testing, MEDIA_TYPE, presented);
        let (_, claims) = read(&reply, &keys(server.testing), &client);
        assert_eq!(claims["token_introspection"], json!({"active": false}), "{presented}");
    }
}

/// The algorithm is one that "introspection_signing_alg_values_supported" tells, and may be RS256, which §6 has where
/// nothing else is agreed on.
#[test]
fn section_6_the_algorithm_is_the_one_that_is_told() {
    for (algorithm, name) in [(Algorithm::RS256, "RS256"), (Algorithm::ES256, "ES256")] {
        let timed = Timed::serving(config_with(
            Upstream::friendly().address,
            &format!("introspection_signing_alg = \"{name}\""),
            "",
        ));
        let metadata = request(timed.testing(), "GET", "/.well-known/oauth-authorization-server", &[], "").json();
        assert_eq!(metadata["introspection_signing_alg_values_supported"], json!([name]));
        let reply = ask(&timed.client, timed.testing(), MEDIA_TYPE, &timed.token());
        let (header, claims) = read_by(algorithm, &reply, &keys(timed.testing()), &timed.client);
        assert_eq!((header.alg, &claims["token_introspection"]["active"]), (algorithm, &json!(true)));
        assert!(timed.token().starts_with("sk-"), "tokens are as they were");
    }
}

/// A changed answer, and one of the other environment, do not pass.
#[test]
fn section_8_1_a_signature_holds_for_one_answer_of_one_environment() {
    let (place, server) = served();
    let client = place.client("testing");
    let reply = ask(&client, server.testing, MEDIA_TYPE, "nonsense");
    let (testing, production) = (keys(server.testing), keys(server.production));
    let kid = decode_header(reply.text()).unwrap().kid.unwrap();
    assert!(testing.find(&kid).is_some() && production.find(&kid).is_none());
    let whole = reply.text();
    let parts: Vec<&str> = whole.split('.').collect();
    let lie = ask(&client, server.testing, MEDIA_TYPE, &token(server.testing, &client)).text();
    let forged = format!("{}.{}.{}", parts[0], lie.split('.').nth(1).unwrap(), parts[2]);
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[&client.id]);
    validation.set_required_spec_claims(&["aud"]);
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(testing.find(&kid).unwrap()).unwrap();
    assert!(decode::<Value>(&whole, &key, &validation).is_ok());
    assert!(decode::<Value>(&forged, &key, &validation).is_err());
}

/// The public keys (RFC 7517): the current one first, and after a rotation the one before as well, so that what it
/// signed can still be checked. No private part is among them.
#[test]
fn section_7_keys_are_published_and_rotate() {
    let (place, server) = served();
    let client = place.client("testing");
    let before = ask(&client, server.testing, MEDIA_TYPE, "nonsense");
    let published = request(server.testing, "GET", KEYS, &[], "");
    assert_eq!(published.field("content-type"), Some("application/jwk-set+json"));
    assert_eq!(published.field("cache-control"), Some("max-age=300"));
    let one = published.json()["keys"][0].clone();
    let mut names: Vec<&String> = one.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"]);
    assert_eq!((&one["alg"], &one["crv"], &one["use"]), (&json!("EdDSA"), &json!("Ed25519"), &json!("sig")));
    place.done(&["keys", "rotate"]);
    let after = ask(&client, server.testing, MEDIA_TYPE, "nonsense");
    let both = keys(server.testing);
    assert_eq!(both.keys.len(), 4, "two of answers, and two of tokens");
    assert_eq!(both.keys[0].common.key_id, read(&after, &both, &client).0.kid, "the current one first");
    assert_eq!(both.keys[1].common.key_id, read(&before, &both, &client).0.kid);
    assert_eq!(get(server.testing, "/oauth/jwks/", "x").status, 404);
    let refused = request(server.testing, "POST", KEYS, &[FORM], "x=1");
    assert_eq!((refused.status, refused.field("allow")), (405, Some("GET, HEAD")));
    assert_eq!(error(&refused).1, "method_not_allowed");
}
