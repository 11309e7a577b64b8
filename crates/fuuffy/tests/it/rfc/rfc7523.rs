//! JWT Profile for OAuth 2.0 Client Authentication: a client with a key of its own, and no secret anywhere.

use std::thread;
use std::time::Duration;

use fuuffy_domain::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::RsaKeySize;
use serde_json::{Value, json};

use super::error;
use crate::app::{get, post_form};
use crate::http1::{Connection, Reply, message, request};
use crate::signing_client::{ISSUER, SigningClient, ask, form};
use crate::timed::Timed;

fn registered(timed: &Timed, algorithm: Algorithm) -> SigningClient {
    let mut client = SigningClient::new(algorithm);
    let body = json!({"name": "Acme", "scope": "orders:read introspect", "jwk": client.jwk()});
    let made = timed.operate("/admin/v1/testing/clients", &body.to_string())["data"].clone();
    assert!(made["client_secret"].is_null() && made["key_id"] == client.thumbprint(), "{made}");
    client.id = made["client_id"].as_str().unwrap().to_owned();
    client
}

fn invalid_client() -> (u16, String) {
    (401, "invalid_client".to_owned())
}

fn token_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

/// What the client itself is told of a refusal, if anything.
fn told(timed: &Timed, client: &SigningClient, refused: &Reply, jti: &str) -> Option<String> {
    let token = token_of(&ask(timed.testing(), &client.assertion(timed.now(), jti)));
    let path = format!("/v1/auth/explanations/{}", refused.field("x-request-id").unwrap());
    get(timed.testing(), &path, &token).json()["data"]["happened"].as_str().map(str::to_owned)
}

/// What an operator is told of it.
fn explained(timed: &Timed, refused: &Reply) -> Value {
    timed.shown(&format!("/admin/v1/testing/explanations/{}", refused.field("x-request-id").unwrap()))["data"].clone()
}

/// "The value of the client_assertion_type is urn:ietf:params:oauth:client-assertion-type:jwt-bearer", at each endpoint
/// at which clients authenticate.
#[test]
fn section_2_2_an_assertion_does_what_a_secret_does() {
    let timed = Timed::start("");
    for (algorithm, shape) in
        [(Algorithm::EdDSA, "/oauth/token"), (Algorithm::ES256, "/v1/auth/token"), (Algorithm::RS256, "/oauth/token")]
    {
        let client = registered(&timed, algorithm);
        let form_by = |jti: &str| form(&client.assertion(timed.now(), jti));
        let named = format!("grant_type=client_credentials&client_id={}&{}", client.id, form_by("a"));
        let granted = post_form(timed.testing(), shape, &named);
        assert_eq!(granted.status, 200, "{}", granted.text());
        let token = token_of(&ask(timed.testing(), &client.assertion(timed.now(), "b")));
        assert_eq!(timed.get(&token).status, 200);
        let about =
            |path: &str, jti: &str| post_form(timed.testing(), path, &format!("token={token}&{}", form_by(jti)));
        assert_eq!(about("/oauth/introspect", "c").json()["client_id"], client.id);
        assert_eq!(about("/oauth/revoke", "d").status, 200);
        assert_eq!(timed.get(&token).code(), "invalid_token");
        let keys = timed.shown(&format!("/admin/v1/testing/clients/{}/keys", client.id))["data"].clone();
        assert_eq!((&keys[0]["use_count"], &keys[0]["last_used_at"]), (&4.into(), &json!(timed.now())));
    }
}

/// RFC 7521 §4.2: the client_id "MUST identify the same client as is identified by the client assertion"; and RFC 6749
/// §2.3: "The client MUST NOT use more than one authentication method in each request".
#[test]
fn section_2_2_one_client_by_one_method() {
    let timed = Timed::start("");
    let client = registered(&timed, Algorithm::EdDSA);
    let grant = "grant_type=client_credentials";
    let post = |more: &str| post_form(timed.testing(), "/oauth/token", &format!("{grant}&{more}"));
    let assertion = form(&client.assertion(timed.now(), "a"));
    assert_eq!(error(&post(&format!("{assertion}&client_id={}", timed.client.id))), invalid_client());
    let secret = &timed.client.secret;
    assert_eq!(error(&post(&format!("{assertion}&client_secret={secret}"))), (400, "invalid_request".to_owned()));
    // "It MUST NOT contain more than one JWT."
    let two = format!("{}%20{}", client.assertion(timed.now(), "c"), client.assertion(timed.now(), "d"));
    assert_eq!(error(&post(&form(&two))), invalid_client());
    let twice = format!("{assertion}&client_assertion={}", client.assertion(timed.now(), "c"));
    assert_eq!(error(&post(&twice)), (400, "invalid_request".to_owned()));
    let saml = assertion.replace("jwt-bearer", "saml2-bearer");
    assert_eq!(error(&post(&saml)), invalid_client());
    assert_eq!(post(&assertion).status, 200, "none of that has used it up");
    let in_query = format!("/oauth/token?{}", form(&client.assertion(timed.now(), "b")));
    assert_eq!(error(&post_form(timed.testing(), &in_query, grant)), (400, "invalid_request".to_owned()));
}

/// Each rule of the list, broken by one that holds the key: refused, for "the value of the "error" parameter MUST be the
/// "invalid_client" error code" (§3.2), and told to the client itself and to operators.
#[test]
fn section_3_each_claim_is_required() {
    let timed = Timed::start("");
    let client = registered(&timed, Algorithm::ES256);
    let seconds = timed.now().unix_millis() / 1000;
    let claims = |name: &str, value: Value| {
        let mut claims = client.claims(timed.now(), "x");
        claims[name] = value;
        claims
    };
    let typed = Header { typ: Some("at+jwt".to_owned()), ..client.header() };
    let critical = Header { crit: Some(vec!["exp".to_owned()]), ..client.header() };
    let other_key = Header { jku: Some("https://127.0.0.1/keys".to_owned()), ..client.header() };
    for (number, (header, claims, said)) in [
        (client.header(), claims("aud", json!([ISSUER, "https://other.example"])), "not for this token service alone"),
        (client.header(), claims("aud", json!("https://api-gateway.fuuffy.com")), "not for this token service alone"),
        (client.header(), claims("iss", json!("https://other.example")), "of another client"),
        (client.header(), claims("exp", json!(seconds - 1)), "had expired"),
        (client.header(), claims("exp", json!(seconds + 3600)), "more than five minutes"),
        (client.header(), claims("iat", json!(seconds + 60)), "in the future"),
        (client.header(), claims("jti", json!("x".repeat(129))), "no jti"),
        (client.header(), claims("exp", json!(null)), "no exp"),
        (typed, claims("x", json!(1)), "JWT of another type"),
        (critical, claims("x", json!(1)), "more than is understood"),
        (other_key, claims("x", json!(1)), "a key of its own"),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = ask(timed.testing(), &client.sign(&header, &claims));
        assert_eq!(error(&refused), invalid_client(), "{claims}");
        let own = told(&timed, &client, &refused, &format!("told {number}")).expect("an explanation");
        assert!(own.contains(said), "{claims}: {own}");
        assert_eq!(explained(&timed, &refused)["happened"], own);
    }
}

/// "The JWT MUST be digitally signed or have a Message Authentication Code (MAC) applied by the issuer": signed, by a key of the client, and by an algorithm that is its key's. Whoever does not
/// hold the key learns nothing, and nobody is told that it was the client.
#[test]
fn section_3_only_the_clients_key_signs() {
    let timed = Timed::start("");
    let client = registered(&timed, Algorithm::EdDSA);
    let now = timed.now();
    let thief = SigningClient::called(&client.id, Algorithm::EdDSA);
    let other_kind = SigningClient::called(&client.id, Algorithm::ES256);
    let third_kind = SigningClient::called(&client.id, Algorithm::RS256);
    let of_rsa = registered(&timed, Algorithm::RS256);
    let for_rsa = SigningClient::called(&of_rsa.id, Algorithm::ES256);
    // Signed by the public key as if it were a shared secret.
    let confused = EncodingKey::from_secret(of_rsa.jwk()["n"].as_str().unwrap().as_bytes());
    let confused = encode(&Header::new(Algorithm::HS256), &of_rsa.claims(now, "a"), &confused).unwrap();
    let right = client.assertion(now, "a");
    let (message, signature) = right.rsplit_once('.').unwrap();
    let none = format!("eyJhbGciOiJub25lIn0.{}.", message.split('.').nth(1).unwrap());
    let named = Header { kid: Some("another".to_owned()), ..client.header() };
    let nobody = SigningClient::called("app_nobody", Algorithm::EdDSA);
    for (assertion, said) in [
        (thief.assertion(now, "a"), "not signed by the client's key"),
        (other_kind.assertion(now, "a"), "no key of that name and algorithm"),
        (third_kind.assertion(now, "a"), "no key of that name and algorithm"),
        (for_rsa.assertion(now, "a"), "no key of that name and algorithm"),
        (confused, "an algorithm that is not taken"),
        (client.sign(&named, &client.claims(now, "a")), "no key of that name and algorithm"),
        (nobody.assertion(now, "a"), "no key of that name and algorithm"),
        (none, "an algorithm that is not taken"),
        (format!("{message}.{}", signature.chars().rev().collect::<String>()), "not signed by the client's key"),
        (format!("{right}.a.b"), "no signed JWT"),
    ] {
        let refused = ask(timed.testing(), &assertion);
        assert_eq!(error(&refused), invalid_client(), "{assertion}");
        let explanation = explained(&timed, &refused);
        assert!(explanation["happened"].as_str().unwrap().contains(said), "{assertion}: {explanation}");
        assert_eq!(explanation["client_id"], Value::Null, "{assertion}");
    }
    let kid = Header { kid: Some(client.thumbprint()), ..client.header() };
    assert_eq!(ask(timed.testing(), &client.sign(&kid, &client.claims(now, "a"))).status, 200);
    let huge = form(&right).repeat(1_000_000 / right.len());
    assert_eq!(post_form(timed.testing(), "/oauth/token", &huge).status, 413);
}

/// "The "RS256" algorithm, from [JWA], is a mandatory-to-implement JWS algorithm for this profile": by keys of each size
/// that a client may have, named or not, and none of its kin.
#[test]
fn section_5_rs256_is_taken() {
    let timed = Timed::start("");
    let metadata = request(timed.testing(), "GET", "/.well-known/oauth-authorization-server", &[], "").json();
    let supported = metadata["token_endpoint_auth_signing_alg_values_supported"].as_array().unwrap();
    assert!(supported.contains(&json!("RS256")), "{metadata}");
    let mut client = SigningClient::of_rsa(RsaKeySize::_2048);
    let body = json!({"name": "Acme", "scope": "orders:read", "jwk": client.jwk()});
    let made = timed.operate("/admin/v1/testing/clients", &body.to_string())["data"].clone();
    client.id = made["client_id"].as_str().unwrap().to_owned();
    let path = format!("/admin/v1/testing/clients/{}/keys", client.id);
    let others = [RsaKeySize::_3072, RsaKeySize::_4096].map(SigningClient::of_rsa);
    let others = others.map(|other| other.of(&client.id));
    for other in &others {
        let added = timed.operate(&path, &json!({"jwk": other.jwk()}).to_string())["data"].clone();
        assert_eq!((&added["algorithm"], &added["key_id"]), (&json!("RS256"), &json!(other.thumbprint())));
    }
    let now = timed.now();
    for (number, signer) in [&client, &others[0], &others[1]].into_iter().enumerate() {
        let named = Header { kid: Some(signer.thumbprint()), ..signer.header() };
        for (header, jti) in [(signer.header(), "a"), (named, "b")] {
            let assertion = signer.sign(&header, &signer.claims(now, &format!("{jti}{number}")));
            assert_eq!(timed.get(&token_of(&ask(timed.testing(), &assertion))).status, 200);
        }
        for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
            let refused = ask(timed.testing(), &signer.sign(&Header::new(algorithm), &signer.claims(now, "c")));
            assert_eq!(error(&refused), invalid_client(), "{algorithm:?}");
            let happened = explained(&timed, &refused)["happened"].as_str().unwrap().to_owned();
            assert!(happened.contains("an algorithm that is not taken"), "{happened}");
        }
        // One key's name over another's signature, be it as long or not.
        for other in [&client, &others[0], &others[1]].into_iter().filter(|other| other.jwk() != signer.jwk()) {
            let misnamed = Header { kid: Some(other.thumbprint()), ..signer.header() };
            let refused = ask(timed.testing(), &signer.sign(&misnamed, &signer.claims(now, "d")));
            assert_eq!(error(&refused), invalid_client());
        }
        let thief = SigningClient::called(&client.id, Algorithm::RS256);
        assert_eq!(error(&ask(timed.testing(), &thief.assertion(now, "e"))), invalid_client());
    }
    let nobody = SigningClient::called("app_nobody", Algorithm::RS256);
    assert_eq!(error(&ask(timed.testing(), &nobody.assertion(now, "f"))), invalid_client());
    let shown = timed.shown(&path)["data"].clone();
    assert!(shown.as_array().unwrap().iter().all(|key| key["use_count"] == 2), "{shown}");
}

/// "The authorization server MAY ensure that JWTs are not replayed by maintaining the set of used "jti" values for the
/// length of time for which the JWT would be considered valid": it does, over a restart.
#[test]
fn section_3_an_assertion_is_used_once() {
    let mut timed = Timed::start("");
    let client = registered(&timed, Algorithm::EdDSA);
    let assertion = client.assertion(timed.now(), "once");
    let at_once = |timed: &Timed| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (address, assertion) = (timed.testing(), assertion.clone());
                thread::spawn(move || ask(address, &assertion).status)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|status| *status == 200).count()
    };
    assert_eq!(at_once(&timed), 1);
    let again = ask(timed.testing(), &assertion);
    assert_eq!(error(&again), invalid_client());
    assert_eq!(told(&timed, &client, &again, "told").unwrap(), "The assertion had been used before");
    timed.restart();
    assert_eq!(at_once(&timed), 0, "a restart forgets nothing");
    timed.time.pass(Duration::from_secs(59));
    timed.pass_minute();
    assert_eq!(at_once(&timed), 0, "to its last second");
    timed.time.pass(Duration::from_secs(1));
    let late = ask(timed.testing(), &assertion);
    assert_eq!(told(&timed, &client, &late, "told later").unwrap(), "The assertion had expired");
}

/// The same where whoever opens the store next, another machine say, has another calendar.
#[test]
fn section_3_a_used_assertion_is_used_by_every_clock() {
    for seconds in [-86_400, -30, 30] {
        let mut timed = Timed::start("");
        let client = registered(&timed, Algorithm::ES256);
        let assertion = client.assertion(timed.now(), "once");
        assert_eq!(ask(timed.testing(), &assertion).status, 200);
        timed.stop();
        timed.time.step_wall(Timestamp::from_unix_millis(timed.now().unix_millis() + seconds * 1000));
        timed.restart();
        let again = ask(timed.testing(), &assertion);
        assert_eq!(error(&again), invalid_client(), "{seconds} s");
        let path = format!("/admin/v1/testing/explanations/{}", again.field("x-request-id").unwrap());
        assert_eq!(timed.shown(&path)["data"]["happened"], "The assertion had been used before", "{seconds} s");
    }
}

/// "The authorization server MUST reject any JWT with an expiration time that has passed": by then it is there, and not when
/// somebody began to send it.
#[test]
fn section_3_a_body_that_is_long_in_coming_does_not_make_it_younger() {
    let timed = Timed::start("");
    let client = registered(&timed, Algorithm::EdDSA);
    let body = format!("grant_type=client_credentials&{}", form(&client.assertion(timed.now(), "a")));
    let fields = [("content-type", "application/x-www-form-urlencoded")];
    let whole = message(timed.testing(), "POST", "/oauth/token", &fields, &body);
    let (first, rest) = whole.split_at(whole.len() - 10);
    let mut connection = Connection::open(timed.testing());
    connection.send(first);
    // Another request on the way shows that the first one has arrived.
    assert_eq!(timed.get("nonsense").status, 401);
    timed.time.pass(Duration::from_secs(60));
    connection.send(rest);
    let refused = connection.reply().unwrap();
    assert_eq!(error(&refused), invalid_client());
    assert_eq!(explained(&timed, &refused)["happened"], "The assertion had expired");
}

/// As with secrets, a flood of wrong ones locks nobody out, and is refused as such.
#[test]
fn a_flood_of_wrong_assertions_locks_nobody_out() {
    let timed = Timed::start("");
    let client = registered(&timed, Algorithm::EdDSA);
    let thief = SigningClient::called(&client.id, Algorithm::EdDSA);
    let wrong = thief.assertion(timed.now(), "a");
    let statuses: Vec<u16> = (0..301).map(|_| ask(timed.testing(), &wrong).status).collect();
    assert!(statuses[..300].iter().all(|status| *status == 401) && statuses[300] == 429, "{statuses:?}");
    assert_eq!(ask(timed.testing(), "nonsense").status, 429, "by the address");
    assert_eq!(ask(timed.testing(), &client.assertion(timed.now(), "a")).status, 200);
}

/// What is taken away works no more from the answer on, and whoever is suspended gets nothing by a key either.
#[test]
fn a_key_that_was_removed_works_no_more() {
    let timed = Timed::start("");
    let client = registered(&timed, Algorithm::EdDSA);
    let path = format!("/admin/v1/testing/clients/{}", client.id);
    timed.operate(&format!("{path}/suspend"), "");
    let suspended = ask(timed.testing(), &client.assertion(timed.now(), "a"));
    assert_eq!(error(&suspended), (403, "unauthorized_client".to_owned()));
    timed.operate(&format!("{path}/resume"), "");
    assert_eq!(ask(timed.testing(), &client.assertion(timed.now(), "b")).status, 200);
    timed.delete(&format!("{path}/keys/{}", client.thumbprint()));
    assert_eq!(error(&ask(timed.testing(), &client.assertion(timed.now(), "c"))), invalid_client());
}
