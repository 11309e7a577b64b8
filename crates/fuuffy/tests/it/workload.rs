//! Workload identity: clients that are known by a platform's own token, with no secret anywhere; by real signatures of an
//! OpenID provider on loopback, of the shapes that Kubernetes and GitHub Actions have.

mod bad_tokens;
mod commands;
mod configuration;
mod integrator;

use std::time::Duration;

use serde_json::{Value, json};

use crate::app::post_form;
use crate::http1::Reply;
use crate::platform::{KEYS, METADATA, Platform, PlatformKey};
use crate::signing_client::form;
use crate::timed::Timed;

/// A client that is bound to these claims at a platform.
fn bound(timed: &Timed, platform: &Platform, claims: &Value) -> String {
    let identity = json!({"issuer": platform.issuer(), "claims": claims});
    let body = json!({"name": "Acme", "scope": "orders:read introspect", "identity": identity});
    let made = timed.operate("/admin/v1/testing/clients", &body.to_string())["data"].clone();
    assert!(made["client_secret"].is_null() && made["identity_id"].is_string(), "{made}");
    made["client_id"].as_str().unwrap().to_owned()
}

/// The token request of a client with a platform's token.
fn ask(timed: &Timed, client: &str, token: &str) -> Reply {
    let form = format!("grant_type=client_credentials&client_id={client}&{}", form(token));
    post_form(timed.testing(), "/oauth/token", &form)
}

/// What an operator is told of a refusal, which callers are told nothing of.
fn explained(timed: &Timed, refused: &Reply) -> Value {
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")), "{}", refused.text());
    timed.shown(&format!("/admin/v1/testing/explanations/{}", refused.field("x-request-id").unwrap()))["data"].clone()
}

fn happened(timed: &Timed, refused: &Reply) -> String {
    explained(timed, refused)["happened"].as_str().unwrap().to_owned()
}

#[test]
fn a_restart_while_the_platform_is_down_stops_no_pod() {
    let (platform, key) = (Platform::start(), PlatformKey::rsa("cluster-1"));
    platform.publish(&[&key]);
    let mut timed = Timed::start(&platform.trusted(""));
    let client = bound(&timed, &platform, &json!({"sub": "system:serviceaccount:shop:orders"}));
    let token = key.sign(&platform.kubernetes_claims("shop:orders", timed.now()));
    assert_eq!(ask(&timed, &client, &token).status, 200);
    platform.is_down(true);
    timed.time.pass(Duration::from_secs(1800));
    timed.restart();
    assert_eq!(ask(&timed, &client, &token).status, 200);
    let elsewhere = PlatformKey::rsa("cluster-1").sign(&platform.kubernetes_claims("shop:orders", timed.now()));
    assert_eq!(ask(&timed, &client, &elsewhere).status, 401);
}

#[test]
fn a_pod_gets_a_token_by_its_service_account() {
    let (platform, key) = (Platform::start(), PlatformKey::rsa("cluster-1"));
    platform.publish(&[&key]);
    let timed = Timed::start(&platform.trusted(""));
    let client = bound(&timed, &platform, &json!({"sub": "system:serviceaccount:shop:orders"}));
    let token = key.sign(&platform.kubernetes_claims("shop:orders", timed.now()));
    let granted = ask(&timed, &client, &token);
    assert_eq!(granted.status, 200, "{}", granted.text());
    let access = granted.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(timed.get(&access).status, 200);
    // A file of the kubelet's lives an hour, and is used again and again until then.
    for _ in 0..5 {
        timed.time.pass(Duration::from_secs(600));
        assert_eq!(ask(&timed, &client, &token).status, 200);
    }
    assert_eq!((platform.asked(METADATA), platform.asked(KEYS)), (1, 1), "keys are fetched once");
    timed.time.pass(Duration::from_secs(607));
    let late = ask(&timed, &client, &token);
    assert_eq!(happened(&timed, &late), "The platform's token had expired");
    let next = key.sign(&platform.kubernetes_claims("shop:orders", timed.now()));
    assert_eq!(ask(&timed, &client, &next).status, 200);
    let listed = timed.shown(&format!("/admin/v1/testing/clients/{client}/identities"))["data"].clone();
    assert_eq!((&listed[0]["use_count"], &listed[0]["last_used_at"]), (&json!(7), &json!(timed.now())));
    let other = key.sign(&platform.kubernetes_claims("shop:admin", timed.now()));
    let refused = explained(&timed, &ask(&timed, &client, &other));
    assert!(refused["happened"].as_str().unwrap().contains("system:serviceaccount:shop:admin"), "{refused}");
    assert_eq!(refused["client_id"], Value::Null, "nothing proves that it was the client");
}

/// Two clusters have service accounts of one name, and a client is known by that of one of them.
#[test]
fn another_platform_that_is_trusted_says_nothing_of_it() {
    let [one, other] = [Platform::start(), Platform::start()];
    let key = PlatformKey::rsa("cluster-1");
    one.publish(&[&key]);
    other.publish(&[&key]);
    let timed = Timed::start(&(one.trusted("") + &other.trusted("")));
    let client = bound(&timed, &one, &json!({"sub": "system:serviceaccount:shop:orders"}));
    let by = |platform: &Platform| key.sign(&platform.kubernetes_claims("shop:orders", timed.now()));
    let refused = ask(&timed, &client, &by(&other));
    let happened = happened(&timed, &refused);
    assert!(happened.contains(&other.issuer()), "{happened}");
    assert_eq!(ask(&timed, &client, &by(&one)).status, 200);
}

#[test]
fn a_workflow_gets_a_token_by_its_repository_and_branch() {
    let (platform, key) = (Platform::start(), PlatformKey::rsa("github-1"));
    platform.publish(&[&key]);
    let timed = Timed::start(&platform.trusted("binding_claims = [\"sub\", \"repository\"]"));
    let client = bound(&timed, &platform, &json!({"repository": "acme/shop", "ref": "refs/heads/main"}));
    let token =
        |repository: &str, reference: &str| key.sign(&platform.github_claims(repository, reference, timed.now()));
    assert_eq!(ask(&timed, &client, &token("acme/shop", "refs/heads/main")).status, 200);
    for (repository, reference) in
        [("acme/shop", "refs/pull/7/merge"), ("evil/shop", "refs/heads/main"), ("acme/shop2", "refs/heads/main")]
    {
        let refused = ask(&timed, &client, &token(repository, reference));
        let happened = happened(&timed, &refused);
        assert!(happened.contains(&format!("repo:{repository}:ref:{reference}")), "{happened}");
    }
    let wrong = json!({"issuer": platform.issuer(), "claims": {"ref": "refs/heads/main"}});
    let path = format!("/admin/v1/testing/clients/{client}/identities");
    let refused = timed.operate(&path, &wrong.to_string());
    assert!(refused["error"]["details"].as_str().unwrap().contains("everybody at"), "{refused}");
    let introspected = {
        let access = ask(&timed, &client, &token("acme/shop", "refs/heads/main")).json()["access_token"].clone();
        let by = form(&token("acme/shop", "refs/heads/main"));
        let about = format!("token={}&client_id={client}&{by}", access.as_str().unwrap());
        post_form(timed.testing(), "/oauth/introspect", &about)
    };
    assert_eq!(introspected.json()["client_id"], client, "at each endpoint where clients prove themselves");
}

#[test]
fn a_platform_that_is_down_stops_nobody_whose_key_is_known_and_its_keys_rotate() {
    let platform = Platform::start();
    let (first, second) = (PlatformKey::rsa("first"), PlatformKey::p256("second"));
    platform.publish(&[&first]);
    let timed = Timed::start(&platform.trusted(""));
    let client = bound(&timed, &platform, &json!({"sub": "system:serviceaccount:shop:orders"}));
    let token = |key: &PlatformKey| key.sign(&platform.kubernetes_claims("shop:orders", timed.now()));
    platform.is_down(true);
    let unknown = happened(&timed, &ask(&timed, &client, &token(&first)));
    assert!(unknown.contains(&platform.issuer()) && unknown.contains("there was no answer in time"), "{unknown}");
    platform.is_down(false);
    timed.time.pass(Duration::from_secs(30));
    assert_eq!(ask(&timed, &client, &token(&first)).status, 200);
    platform.is_down(true);
    timed.time.pass(Duration::from_secs(24 * 3600));
    timed.pass_minute();
    assert_eq!(ask(&timed, &client, &token(&first)).status, 200, "a day later");
    platform.is_down(false);
    platform.publish(&[&first, &second]);
    timed.time.pass(Duration::from_secs(30));
    assert_eq!(ask(&timed, &client, &token(&second)).status, 200, "a new key is fetched when it is met");
    platform.publish(&[&second]);
    timed.time.pass(Duration::from_secs(600));
    timed.pass_minute();
    let old = happened(&timed, &ask(&timed, &client, &token(&first)));
    assert_eq!(old, "The platform's token was signed by a key that the platform does not publish");
    assert_eq!(ask(&timed, &client, &token(&second)).status, 200);
}

/// What is taken away works no more from the answer on, and whoever is suspended gets nothing by it either.
#[test]
fn an_identity_that_was_removed_works_no_more() {
    let (platform, key) = (Platform::start(), PlatformKey::p256("a"));
    platform.publish(&[&key]);
    let mut timed = Timed::start(&platform.trusted(""));
    let client = bound(&timed, &platform, &json!({"sub": "system:serviceaccount:shop:orders"}));
    let path = format!("/admin/v1/testing/clients/{client}");
    let ask = |timed: &Timed| {
        let token = key.sign(&platform.kubernetes_claims("shop:orders", timed.now()));
        ask(timed, &client, &token)
    };
    assert_eq!(ask(&timed).status, 200);
    timed.restart();
    assert_eq!(ask(&timed).status, 200, "it lasts");
    timed.operate(&format!("{path}/suspend"), "");
    assert_eq!(ask(&timed).status, 403);
    timed.operate(&format!("{path}/resume"), "");
    assert_eq!(ask(&timed).status, 200);
    let listed = timed.shown(&format!("{path}/identities"))["data"].clone();
    let identity = listed[0]["identity_id"].as_str().unwrap();
    assert_eq!(timed.delete(&format!("{path}/identities/{identity}"))["data"]["identity_id"], identity);
    assert!(happened(&timed, &ask(&timed)).contains("No identity of the client fits"));
    assert_eq!(timed.delete(&format!("{path}/identities/{identity}"))["error"]["code"], "not_found");
}

/// As with secrets, a flood of wrong ones locks nobody out.
#[test]
fn a_flood_of_wrong_tokens_locks_nobody_out() {
    let (platform, key, thief) = (Platform::start(), PlatformKey::p256("a"), PlatformKey::p256("a"));
    platform.publish(&[&key]);
    let timed = Timed::start(&platform.trusted(""));
    let client = bound(&timed, &platform, &json!({"sub": "system:serviceaccount:shop:orders"}));
    let claims = platform.kubernetes_claims("shop:orders", timed.now());
    let (right, wrong) = (key.sign(&claims), thief.sign(&claims));
    let statuses: Vec<u16> = (0..301).map(|_| ask(&timed, &client, &wrong).status).collect();
    assert!(statuses[..300].iter().all(|status| *status == 401) && statuses[300] == 429, "{statuses:?}");
    assert_eq!(ask(&timed, &client, &right).status, 200);
}
