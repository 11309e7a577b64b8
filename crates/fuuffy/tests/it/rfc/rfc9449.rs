//! OAuth 2.0 Demonstrating Proof of Possession: tokens that are of no use without a key.

use std::time::Duration;

use fuuffy_domain::Timestamp;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use super::error;
use crate::app::{self, get, post_form, token_form};
use crate::http1::{Reply, request};
use crate::prover::{Prover, ask_with, get_with};
use crate::timed::Timed;
use crate::upstream::Upstream;

/// Longer than after a start each proof needs a nonce.
const SETTLED: Duration = Duration::from_secs(11);

fn settled(of_environment: &str) -> Timed {
    let timed = Timed::serving(app::config_with(Upstream::friendly().address, of_environment, ""));
    timed.time.pass(SETTLED);
    timed
}

fn invalid_proof() -> (u16, String) {
    (400, "invalid_dpop_proof".to_owned())
}

/// The challenge of a refusal by the API, and its code.
fn challenged(reply: &Reply) -> (u16, String, String) {
    let challenge = reply.field("www-authenticate").unwrap_or_default().to_owned();
    (reply.status, reply.code(), challenge)
}

/// What an operator is told of a refusal, and of whose request it was.
fn explained(timed: &Timed, refused: &Reply) -> (Value, Value) {
    let path = format!("/admin/v1/testing/explanations/{}", refused.field("x-request-id").unwrap());
    let told = timed.shown(&path)["data"].clone();
    (told["client_id"].clone(), told["happened"].clone())
}

/// "A token_type of DPoP MUST be included in the access token response", by both endpoints and both algorithms.
#[test]
fn section_5_a_token_that_is_asked_for_with_a_proof_is_bound_to_its_key() {
    let timed = settled("");
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
        let prover = Prover::new(algorithm);
        let token = prover.token(timed.testing(), &timed.client, timed.now());
        assert_eq!(prover.get(timed.testing(), &token, timed.now()).status, 200);
        let proof = prover.sign(&prover.claims("POST", "/v1/auth/token", timed.now()));
        let fields = [("content-type", "application/x-www-form-urlencoded"), ("dpop", proof.as_str())];
        let reply = request(timed.testing(), "POST", "/v1/auth/token", &fields, &token_form(&timed.client));
        assert_eq!((reply.status, &reply.json()["data"]["token_type"]), (200, &"DPoP".into()));
    }
    let bearer = app::ask_for_token(timed.testing(), &timed.client);
    assert_eq!(bearer.json()["data"]["token_type"], "Bearer", "and nobody must");
}

/// "To validate a DPoP proof, the receiving server MUST ensure the following", each of which is wrong once.
#[test]
fn section_4_3_the_checks_of_a_proof() {
    let timed = settled("");
    let prover = Prover::new(Algorithm::ES256);
    let now = timed.now();
    let right = || prover.claims("POST", "/oauth/token", now);
    let with = |name: &str, value: Value| {
        let mut claims = right();
        claims[name] = value;
        prover.sign(&claims)
    };
    let headed = |change: &dyn Fn(&mut Header)| {
        let mut header = prover.header();
        change(&mut header);
        prover.key.sign(&header, &right())
    };
    let (proof, other) = (prover.sign(&right()), Prover::new(Algorithm::ES256));
    let (message, _) = proof.rsplit_once('.').unwrap();
    let (_, of_other) = other.sign(&right()).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let unsigned = |alg: &str, claims: &Value| {
        use base64::Engine as _;
        let encode = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"typ": "dpop+jwt", "alg": alg, "jwk": prover.key.jwk()});
        format!("{}.{}.", encode(&header), encode(claims))
    };
    let seconds = now.unix_seconds();
    let wrong = [
        (vec![proof.clone(), prover.sign(&right())], "twice"),
        (vec!["a.b.c".to_owned()], "no signed JWT"),
        (vec![format!("{proof}.{proof}")], "no signed JWT"),
        (vec!["x".repeat(5000)], "4096 bytes"),
        (vec![with("jti", json!(null))], "no jti"),
        (vec![headed(&|header| header.typ = Some("JWT".to_owned()))], "another type"),
        (vec![headed(&|header| header.typ = None)], "another type"),
        (vec![unsigned("none", &right())], "not signed"),
        (vec![unsigned("HS256", &right())], "not signed"),
        (vec![unsigned("EdDSA", &right())], "no public key of the algorithm"),
        (vec![headed(&|header| header.crit = Some(vec!["exp".to_owned()]))], "asked for more"),
        (vec![headed(&|header| header.jwk = None)], "no public key"),
        (vec![format!("{message}.{of_other}")], "not signed by its own key"),
        (vec![headed(&|header| header.jwk = other.header().jwk)], "not signed by its own key"),
        (vec![with("htm", json!("GET"))], "another method"),
        (vec![with("htu", json!("https://api-gateway.fuuffy.com/oauth/token"))], "another URI"),
        (vec![with("htu", json!(format!("http://{}/oauth/token", timed.testing())))], "another URI"),
        (vec![with("iat", json!(null))], "no iat"),
        (vec![with("iat", json!(seconds - 61))], "more than a minute before"),
        (vec![with("iat", json!(seconds + 12))], "in the future"),
        (vec![with("nonce", json!("x"))], "no nonce of the server's"),
    ];
    for (proofs, told) in wrong {
        let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
        let refused = ask_with(timed.testing(), &timed.client, &proofs);
        let code = if told.contains("nonce") { "use_dpop_nonce" } else { "invalid_dpop_proof" };
        assert_eq!(error(&refused), (400, code.to_owned()), "{told}");
        let (client, happened) = explained(&timed, &refused);
        assert_eq!(client, timed.client.id, "{told}");
        assert!(happened.as_str().unwrap().contains(told), "{told}: {happened}");
    }
    let private = {
        use base64::Engine as _;
        let mut jwk = prover.key.jwk();
        jwk["d"] = json!("AAAA");
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}).to_string();
        let (_, rest) = proof.split_once('.').unwrap();
        format!("{}.{rest}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header))
    };
    let refused = ask_with(timed.testing(), &timed.client, &[&private]);
    assert_eq!(error(&refused), invalid_proof());
    assert!(explained(&timed, &refused).1.as_str().unwrap().contains("private key"));
    assert_eq!(ask_with(timed.testing(), &timed.client, &[&proof]).status, 200, "none of these has used it up");
}

/// "the htu claim … matches the HTTP URI value for the HTTP request in which the JWT was received, ignoring any query and
/// fragment parts", after "syntax-based normalization and scheme-based normalization"; and never by the field Host.
#[test]
fn section_4_3_the_uri_is_compared_in_its_normal_form_and_never_with_the_host_field() {
    let timed = settled("hosts = [\"*\"]");
    let prover = Prover::new(Algorithm::EdDSA);
    let token = prover.token(timed.testing(), &timed.client, timed.now());
    let ask = |htu: &str, target: &str| {
        let mut claims = prover.claims_with(&token, timed.now());
        claims["htu"] = json!(htu);
        let proof = prover.sign(&claims);
        let authorization = format!("DPoP {token}");
        let fields = [("host", "evil.example"), ("authorization", authorization.as_str()), ("dpop", proof.as_str())];
        request(timed.testing(), "GET", target, &fields, "").status
    };
    let base = "https://testing-api-gateway.fuuffy.com";
    assert_eq!(ask(&format!("{base}/v1/orders"), "/v1/orders?page=2"), 200);
    assert_eq!(ask("HTTPS://Testing-API-gateway.fuuffy.com:443/v1/x/../%6frders?a=b#c", "/v1/orders"), 200);
    assert_eq!(ask("https://evil.example/v1/orders", "/v1/orders"), 401);
    assert_eq!(ask(&format!("{base}/v1/orders"), "/v1/orders/7"), 401);
    assert_eq!(ask(&format!("{base}/v1/orders/"), "/v1/orders"), 401);
}

/// "dpop_bound_access_tokens … If the value is true, the authorization server MUST reject token requests from the client
/// that do not contain the DPoP header."
#[test]
fn section_5_2_a_client_may_be_registered_to_get_bound_tokens_alone() {
    let timed = settled("");
    let before = timed.token();
    let clients = "/admin/v1/testing/clients";
    let made = timed.operate(clients, r#"{"name":"Bound","scope":"orders:read","dpop_bound_access_tokens":true}"#);
    let member = |name: &str| made["data"][name].as_str().unwrap().to_owned();
    let client = app::Registered { id: member("client_id"), secret: member("client_secret") };
    assert_eq!(timed.shown(&format!("{clients}/{}", client.id))["data"]["dpop_bound_access_tokens"], true);
    let refused = post_form(timed.testing(), "/oauth/token", &token_form(&client));
    assert_eq!(error(&refused), invalid_proof());
    assert_eq!(explained(&timed, &refused).0, client.id);
    assert_eq!(app::ask_for_token(timed.testing(), &client).code(), "invalid_dpop_proof");
    let prover = Prover::new(Algorithm::ES256);
    let token = prover.token(timed.testing(), &client, timed.now());
    assert_eq!(prover.get(timed.testing(), &token, timed.now()).status, 200);
    // Whoever is bound from now on has no token from before that works without.
    let changed = timed.patch(&format!("{clients}/{}", timed.client.id), r#"{"dpop_bound_access_tokens":true}"#);
    assert_eq!(changed["data"]["dpop_bound_access_tokens"], true, "{changed}");
    assert_eq!(timed.get(&before).code(), "invalid_token");
    assert_eq!(app::ask_for_token(timed.testing(), &timed.client).code(), "invalid_dpop_proof");
    timed.patch(&format!("{clients}/{}", timed.client.id), r#"{"dpop_bound_access_tokens":false}"#);
    assert_eq!(app::ask_for_token(timed.testing(), &timed.client).status, 200);
}

/// "The hash is conveyed using the same cnf content with jkt member structure"; "If the token_type member is included in the
/// introspection response, it MUST contain the value DPoP"; and the token stays bound, whatever happens to the server.
#[test]
fn section_6_2_introspection_tells_the_key() {
    let mut timed = settled("");
    let prover = Prover::new(Algorithm::ES256);
    let token = prover.token(timed.testing(), &timed.client, timed.now());
    for _ in 0..2 {
        let about = format!("token={token}&client_id={}&client_secret={}", timed.client.id, timed.client.secret);
        let told = post_form(timed.testing(), "/oauth/introspect", &about).json();
        assert_eq!((&told["active"], &told["token_type"]), (&true.into(), &"DPoP".into()));
        assert_eq!(told["cnf"], json!({"jkt": prover.key.thumbprint()}));
        assert_eq!(prover.get(timed.testing(), &token, timed.now()).status, 200);
        assert_eq!(timed.get(&token).code(), "invalid_token");
        timed.restart();
        timed.time.pass(SETTLED);
    }
}

/// "A resource server MUST check that a DPoP proof was also received …, check the DPoP proof according to the rules in
/// Section 4.3, and check that the public key of the DPoP proof matches the public key to which the access token is bound";
/// "An algs parameter SHOULD be included"; and what is checked goes no further.
#[test]
fn section_7_1_the_api_takes_a_bound_token_with_a_proof_for_it() {
    let upstream = Upstream::friendly();
    let timed = Timed::serving(app::config(upstream.address));
    timed.time.pass(SETTLED);
    let (prover, thief) = (Prover::new(Algorithm::EdDSA), Prover::new(Algorithm::EdDSA));
    let token = prover.token(timed.testing(), &timed.client, timed.now());
    assert_eq!(prover.get(timed.testing(), &token, timed.now()).status, 200);
    let [seen] = &upstream.seen()[..] else { panic!("one request") };
    assert_eq!((seen.field("dpop"), seen.field("authorization")), (None, None));
    assert_eq!(seen.field("x-client-id"), Some(timed.client.id.as_str()));

    let dpop = format!("DPoP {token}");
    let of_other_token = prover.sign(&prover.claims_with("sk-418e41a74ca2e7d941fa4456d73dbed7", timed.now()));
    let without_ath = prover.sign(&prover.claims("GET", "/v1/orders", timed.now()));
    let of_thief = thief.sign(&thief.claims_with(&token, timed.now()));
    let right = prover.sign(&prover.claims_with(&token, timed.now()));
    for (proofs, code, told) in [
        (vec![], "invalid_dpop_proof", "no DPoP proof"),
        (vec![right.as_str(), right.as_str()], "invalid_dpop_proof", "twice"),
        (vec![of_other_token.as_str()], "invalid_dpop_proof", "another token"),
        (vec![without_ath.as_str()], "invalid_dpop_proof", "another token"),
        (vec![of_thief.as_str()], "invalid_token", "another key"),
    ] {
        let refused = get_with(timed.testing(), &dpop, &proofs);
        let (status, said, challenge) = challenged(&refused);
        assert_eq!((status, said.as_str()), (401, code), "{told}");
        assert!(challenge.starts_with(&format!(r#"DPoP realm="fuuffy", error="{code}""#)), "{challenge}");
        assert!(
            challenge.contains(r#"algs="ES256 EdDSA Ed25519""#) && challenge.contains("resource_metadata="),
            "{challenge}"
        );
        let (client, happened) = explained(&timed, &refused);
        assert_eq!(client, timed.client.id, "its owner is told: {told}");
        assert!(happened.as_str().unwrap().contains(told), "{told}: {happened}");
    }
    let unknown = "sk-418e41a74ca2e7d941fa4456d73dbed7";
    let refused = prover.get(timed.testing(), unknown, timed.now());
    assert!(challenged(&refused).2.starts_with(r#"DPoP realm="fuuffy", error="invalid_token""#));
    let bearer = timed.token();
    assert_eq!(prover.get(timed.testing(), &bearer, timed.now()).code(), "invalid_token", "bound to none");
    assert_eq!(upstream.seen().len(), 1, "none of these went further");
    assert_eq!(get_with(timed.testing(), &dpop, &[&right]).status, 200, "or used the proof up");
    // What a client asks about itself is asked by the same rule.
    let usage = |authorization: &str| {
        request(timed.testing(), "GET", "/v1/auth/usage", &[("authorization", authorization)], "").code()
    };
    assert_eq!(usage(&format!("Bearer {token}")), "invalid_token");
    assert_eq!(usage(&dpop), "invalid_dpop_proof");
    let drills = |authorization: &str| {
        request(timed.testing(), "GET", "/v1/auth/drills", &[("authorization", authorization)], "").code()
    };
    assert_eq!(
        (drills(&format!("Bearer {token}")), drills(&dpop)),
        ("invalid_token".into(), "invalid_dpop_proof".into())
    );
}

/// "Such a protected resource MUST reject a DPoP-bound access token received as a bearer token".
#[test]
fn section_7_2_a_bound_token_is_no_bearer_token() {
    let timed = settled("");
    let prover = Prover::new(Algorithm::ES256);
    let token = prover.token(timed.testing(), &timed.client, timed.now());
    let proof = prover.sign(&prover.claims_with(&token, timed.now()));
    for proofs in [vec![], vec![proof.as_str()]] {
        let refused = get_with(timed.testing(), &format!("Bearer {token}"), &proofs);
        let (status, code, challenge) = challenged(&refused);
        assert_eq!((status, code.as_str()), (401, "invalid_token"));
        assert!(challenge.starts_with(r#"DPoP realm="fuuffy", error="invalid_token""#), "{challenge}");
        let (client, happened) = explained(&timed, &refused);
        assert_eq!(client, timed.client.id);
        assert!(happened.as_str().unwrap().contains("no DPoP proof"));
    }
    let with_proof = get_with(timed.testing(), &format!("Bearer {}", timed.token()), &[&proof]);
    assert_eq!(with_proof.status, 200, "a bearer token needs none, and none hurts");
}

/// "If the nonce claim in the DPoP proof does not exactly match a nonce recently supplied …, the authorization server MUST
/// reject the request"; "Resource servers use an HTTP 401 (Unauthorized) error code with an accompanying WWW-Authenticate:
/// DPoP value and DPoP-Nonce value"; "there MUST NOT be more than one DPoP-Nonce header".
#[test]
fn section_8_and_9_the_server_may_ask_for_nonces() {
    let timed = settled("dpop_nonces = \"always\"");
    let prover = Prover::new(Algorithm::ES256);
    let refused = prover.ask(timed.testing(), &timed.client, timed.now());
    assert_eq!(error(&refused), (400, "use_dpop_nonce".to_owned()));
    let nonce = refused.field("dpop-nonce").unwrap().to_owned();
    let mut claims = prover.claims("POST", "/oauth/token", timed.now());
    claims["nonce"] = json!(nonce);
    let granted = ask_with(timed.testing(), &timed.client, &[&prover.sign(&claims)]);
    assert_eq!((granted.status, granted.field("dpop-nonce")), (200, None), "{}", granted.text());
    let token = granted.json()["access_token"].as_str().unwrap().to_owned();

    let refused = prover.get(timed.testing(), &token, timed.now());
    let (status, code, challenge) = challenged(&refused);
    assert_eq!((status, code.as_str()), (401, "use_dpop_nonce"));
    assert!(challenge.starts_with(r#"DPoP realm="fuuffy", error="use_dpop_nonce""#), "{challenge}");
    assert_eq!(refused.headers.iter().filter(|(name, _)| name == "dpop-nonce").count(), 1);
    // "Responses that include the DPoP-Nonce HTTP header should be uncacheable" (§8.2).
    assert_eq!(refused.field("cache-control"), Some("no-store"));
    let nonce = refused.field("dpop-nonce").unwrap().to_owned();
    let ask = |nonce: &str| {
        let mut claims = prover.claims_with(&token, timed.now());
        claims["nonce"] = json!(nonce);
        get_with(timed.testing(), &format!("DPoP {token}"), &[&prover.sign(&claims)])
    };
    assert_eq!(ask(&nonce).status, 200);
    timed.time.pass(Duration::from_secs(61));
    let renewed = ask(&nonce);
    assert_eq!(renewed.status, 200);
    let next = renewed.field("dpop-nonce").expect("another before it ends (§8.2)").to_owned();
    timed.time.pass(Duration::from_secs(60));
    assert_eq!(ask(&nonce).code(), "use_dpop_nonce", "two minutes are over");
    assert_eq!(ask(&next).status, 200);
    let made_up: String = next.chars().rev().collect();
    assert_eq!(ask(&made_up).code(), "use_dpop_nonce");
}

/// "to prevent multiple uses of the same DPoP proof", whatever happens to the memory of it.
#[test]
fn section_11_1_a_proof_works_once_even_over_a_restart() {
    let mut timed = settled("");
    let prover = Prover::new(Algorithm::EdDSA);
    let token = prover.token(timed.testing(), &timed.client, timed.now());
    let proof = prover.sign(&prover.claims_with(&token, timed.now()));
    let again = |timed: &Timed| get_with(timed.testing(), &format!("DPoP {token}"), &[&proof]);
    assert_eq!(again(&timed).status, 200);
    let replayed = again(&timed);
    assert_eq!(challenged(&replayed).1, "invalid_dpop_proof");
    assert!(explained(&timed, &replayed).1.as_str().unwrap().contains("used before"));
    timed.restart();
    let replayed = again(&timed);
    assert_eq!(replayed.code(), "use_dpop_nonce");
    // Whoever holds the key goes on at once, with the nonce.
    let mut claims = prover.claims_with(&token, timed.now());
    claims["nonce"] = json!(replayed.field("dpop-nonce").unwrap());
    let with_nonce = prover.sign(&claims);
    timed.time.pass(Duration::from_millis(1));
    assert_eq!(
        get_with(timed.testing(), &format!("DPoP {token}"), &[&with_nonce]).code(),
        "use_dpop_nonce",
        "of the start itself"
    );
    let mut claims = prover.claims_with(&token, timed.now());
    claims["nonce"] = json!(again(&timed).field("dpop-nonce").unwrap());
    assert_eq!(get_with(timed.testing(), &format!("DPoP {token}"), &[&prover.sign(&claims)]).status, 200);
    timed.time.pass(Duration::from_secs(40));
    assert_eq!(again(&timed).code(), "use_dpop_nonce", "made before the start");
    timed.time.pass(Duration::from_secs(40));
    assert_eq!(again(&timed).code(), "invalid_dpop_proof", "and too old");
    let revoked = format!("token={token}&{}", token_form(&timed.client));
    assert_eq!(post_form(timed.testing(), "/oauth/revoke", &revoked).status, 200);
    assert_eq!(prover.get(timed.testing(), &token, timed.now()).code(), "invalid_token");
    assert_eq!(get(timed.testing(), "/v1/orders", &token).code(), "invalid_token");
}

/// The same where whoever opens the store next, another machine say, has another calendar.
#[test]
fn section_11_1_a_proof_that_was_used_is_used_by_every_clock() {
    for seconds in [-86_400, -30, 30] {
        let mut timed = settled("");
        let prover = Prover::new(Algorithm::ES256);
        let token = prover.token(timed.testing(), &timed.client, timed.now());
        let proof = prover.sign(&prover.claims_with(&token, timed.now()));
        let again = |timed: &Timed| get_with(timed.testing(), &format!("DPoP {token}"), &[&proof]);
        assert_eq!(again(&timed).status, 200);
        timed.stop();
        timed.time.step_wall(Timestamp::from_unix_millis(timed.now().unix_millis() + seconds * 1000));
        timed.restart();
        for _ in 0..3 {
            let code = again(&timed).code();
            assert!(["use_dpop_nonce", "invalid_dpop_proof"].contains(&code.as_str()), "{seconds} s: {code}");
            timed.time.pass(Duration::from_secs(15));
        }
    }
}

/// "dpop_signing_alg_values_supported", by the token service (§5.1) and by the API (RFC 9728 §2).
#[test]
fn section_5_1_the_metadata_names_the_algorithms() {
    let timed = settled("");
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/v1"] {
        let told = request(timed.testing(), "GET", path, &[], "").json();
        assert_eq!(told["dpop_signing_alg_values_supported"], json!(["ES256", "EdDSA", "Ed25519"]), "{path}");
    }
}

/// "The value of the jkt member MUST be the base64url encoding … of the JWK SHA-256 Thumbprint … of the DPoP public key" of a
/// token that is a JWT, too.
#[test]
fn section_6_1_a_jwt_tells_the_key() {
    use base64::Engine as _;
    let timed = settled("token_format = \"jwt\"");
    let prover = Prover::new(Algorithm::ES256);
    let token = prover.token(timed.testing(), &timed.client, timed.now());
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["cnf"], json!({"jkt": prover.key.thumbprint()}));
    assert_eq!(prover.get(timed.testing(), &token, timed.now()).status, 200);
    assert_eq!(timed.get(&token).code(), "invalid_token");
}
