//! Clients that publish their keys at a URL: fetched with limits, kept while nobody answers, and each set that cannot be
//! used explained.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fuuffy::server::Names;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app::{Place, config, config_with};
use crate::http1::Reply;
use crate::platform::{KEYS, Platform};
use crate::signing_client::{SigningClient, ask};
use crate::timed::Timed;
use crate::upstream::Upstream;

/// A server whose clients publish their keys at a platform's.
fn served(platform: &Platform) -> Timed {
    let section = format!("\n[environments.testing.published_keys]\n{}", platform.within_reach());
    Timed::start(&section)
}

/// A client with a key that is called so.
fn registered(timed: &Timed, uri: &str) -> SigningClient {
    let mut client = SigningClient::new(Algorithm::EdDSA);
    let body = json!({"name": "Acme", "jwks_uri": uri});
    let made = timed.operate("/admin/v1/testing/clients", &body.to_string())["data"].clone();
    assert!(made["client_secret"].is_null() && made["jwks_uri"] == uri, "{made}");
    client.id = made["client_id"].as_str().unwrap().to_owned();
    client
}

/// Another key of the same client.
fn next_key(client: &SigningClient) -> SigningClient {
    SigningClient::called(&client.id, Algorithm::ES256)
}

fn publish(platform: &Platform, clients: &[&SigningClient]) {
    let keys: Vec<Value> = clients.iter().map(|client| client.jwk()).collect();
    platform.say(KEYS, &json!({ "keys": keys }).to_string());
}

/// Asks for a token by an assertion that names its key by the thumbprint.
fn ask_by(timed: &Timed, client: &SigningClient, jti: &str) -> Reply {
    let header = Header { kid: Some(client.thumbprint()), ..client.header() };
    ask(timed.testing(), &client.sign(&header, &client.claims(timed.now(), jti)))
}

fn explained(timed: &Timed, refused: &Reply) -> String {
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")), "{}", refused.text());
    let path = format!("/admin/v1/testing/explanations/{}", refused.field("x-request-id").unwrap());
    timed.shown(&path)["data"]["happened"].as_str().unwrap().to_owned()
}

#[test]
fn a_client_is_known_by_the_keys_that_it_publishes() {
    let platform = Platform::start();
    let timed = served(&platform);
    let client = registered(&timed, &platform.url(KEYS));
    publish(&platform, &[&client]);
    assert_eq!(ask_by(&timed, &client, "a").status, 200);
    let again = ask_by(&timed, &client, "a");
    assert_eq!(explained(&timed, &again), "The assertion had been used before");
    assert_eq!(ask(timed.testing(), &client.assertion(timed.now(), "b")).status, 200, "without a name, too");
    assert_eq!(platform.asked(KEYS), 1, "what is known is not asked for");
    let thief = SigningClient::called(&client.id, Algorithm::EdDSA);
    let stolen = ask(timed.testing(), &thief.assertion(timed.now(), "c"));
    assert_eq!(explained(&timed, &stolen), "The assertion was not signed by the client's key");
    let path = format!("/admin/v1/testing/clients/{}", client.id);
    let keys = timed.shown(&format!("{path}/keys"))["data"].clone();
    assert_eq!((&keys[0]["key_id"], &keys[0]["jwks_uri"]), (&json!(client.thumbprint()), &json!(platform.url(KEYS))));
    assert_eq!(timed.shown(&path)["data"]["jwks_uri"], platform.url(KEYS));
    let added = timed.operate(&format!("{path}/keys"), &json!({"jwk": next_key(&client).jwk()}).to_string());
    assert_eq!(added["error"]["code"], "keys_published", "never both (RFC 7591 §2)");
    timed.operate(&format!("{path}/suspend"), "");
    assert_eq!(ask_by(&timed, &client, "d").status, 403);
}

#[test]
fn a_new_key_is_fetched_when_it_is_met_and_an_old_one_goes() {
    let platform = Platform::start();
    let timed = served(&platform);
    let client = registered(&timed, &platform.url(KEYS));
    publish(&platform, &[&client]);
    assert_eq!(ask_by(&timed, &client, "a").status, 200);
    let next = next_key(&client);
    publish(&platform, &[&client, &next]);
    let early = ask_by(&timed, &next, "b");
    assert!(explained(&timed, &early).contains("no key of that name"), "a moment after the last time");
    assert_eq!(platform.asked(KEYS), 1);
    timed.time.pass(Duration::from_secs(30));
    assert_eq!(ask_by(&timed, &next, "c").status, 200);
    publish(&platform, &[&next]);
    assert_eq!(ask_by(&timed, &client, "d").status, 200, "until they are fetched anew");
    timed.time.pass(Duration::from_secs(600));
    timed.pass_minute();
    assert_eq!(platform.asked(KEYS), 3, "before anybody needs them");
    assert!(explained(&timed, &ask_by(&timed, &client, "e")).contains("no key of that name"));
    assert_eq!(ask_by(&timed, &next, "f").status, 200);
}

#[test]
fn a_publisher_that_is_down_stops_nobody_whose_key_is_known() {
    let platform = Platform::start();
    let timed = served(&platform);
    let client = registered(&timed, &platform.url(KEYS));
    platform.is_down(true);
    let unknown = ask_by(&timed, &client, "a");
    assert!(explained(&timed, &unknown).contains("there was no answer in time"), "none is known yet");
    let listed = timed.shown(&format!("/admin/v1/testing/clients/{}/keys", client.id));
    assert_eq!(listed["error"]["code"], "keys_unusable", "{listed}");
    platform.is_down(false);
    publish(&platform, &[&client]);
    timed.time.pass(Duration::from_secs(30));
    assert_eq!(ask_by(&timed, &client, "b").status, 200);
    platform.is_down(true);
    for day in 0..6 {
        timed.time.pass(Duration::from_secs(24 * 3600));
        timed.pass_minute();
        assert_eq!(ask_by(&timed, &client, &format!("day {day}")).status, 200);
    }
    timed.time.pass(Duration::from_secs(24 * 3600));
    assert_eq!(ask_by(&timed, &client, "too late").status, 401, "but not for ever");
}

#[test]
fn a_restart_while_the_publisher_is_down_stops_nobody_whose_key_is_known() {
    let platform = Platform::start();
    let mut timed = served(&platform);
    let client = registered(&timed, &platform.url(KEYS));
    publish(&platform, &[&client]);
    assert_eq!(ask_by(&timed, &client, "a").status, 200);
    platform.is_down(true);
    timed.time.pass(Duration::from_secs(3600));
    timed.restart();
    assert_eq!(ask_by(&timed, &client, "b").status, 200);
    let stranger = ask_by(&timed, &next_key(&client), "c");
    assert!(explained(&timed, &stranger).contains("no key of that name"), "and nobody else gets in");
}

/// Each is refused in bounded time, and said why: to operators in the explanation and where they list the keys.
#[test]
fn a_set_that_cannot_be_used_is_explained() {
    let platform = Platform::start();
    let timed = served(&platform);
    let key = |name: &str, value: Value| {
        let mut jwk = SigningClient::new(Algorithm::EdDSA).jwk();
        jwk[name] = value;
        jwk
    };
    let many = |count: usize| json!({"keys": (0..count).map(|number| key("kid", json!(number.to_string()))).collect::<Vec<_>>()});
    let twice = json!({"keys": [key("kid", json!("a")), key("kid", json!("a"))]});
    let moved = b"HTTP/1.1 302 Found\r\nlocation: /moved\r\ncontent-length: 0\r\n\r\n".to_vec();
    let page = |body: String| crate::upstream::ok(&body);
    // What it leads to would do.
    platform.answer("/moved", page(many(1).to_string()));
    for (number, (answer, said)) in [
        (page(json!({"keys": vec![json!({}); 10_000]}).to_string()), "more than 100"),
        (page(many(10_000).to_string()), "longer than 64 KiB"),
        (page(" ".repeat(1_000_000)), "longer than 64 KiB"),
        (page(many(101).to_string()), "more than 100"),
        (page(twice.to_string()), "two of them have one name"),
        (page("<html>".to_owned()), "no JWK Set"),
        (page("[".repeat(60_000)), "no JWK Set"),
        (page(json!({"keys": [key("alg", json!("none"))]}).to_string()), "algorithm none"),
        (page(json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).to_string()), "a symmetric key"),
        (page(json!({"keys": [key("d", json!("c2VjcmV0"))]}).to_string()), "a private key"),
        (page(json!({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}).to_string()), "none of them can be used"),
        (moved, "redirects are not followed"),
        (b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n".to_vec(), "the answer was not 200"),
        (b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), "there was no answer"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/keys/{number}");
        let client = registered(&timed, &platform.url(&path));
        platform.answer(&path, answer);
        let began = Instant::now();
        let refused = ask_by(&timed, &client, "a");
        assert!(began.elapsed() < Duration::from_secs(10), "{said}");
        let happened = explained(&timed, &refused);
        assert!(happened.contains(said), "{said}: {happened}");
        let listed = timed.shown(&format!("/admin/v1/testing/clients/{}/keys", client.id));
        assert!(listed["error"]["message"].as_str().unwrap().contains(said), "{said}: {listed}");
        assert_eq!(platform.asked(&path), 1, "{said}: asked once");
    }
    let silent = Upstream::start(|_, _| crate::upstream::Act::Silence);
    let tls = crate::tls::Terminator::start(&platform.authority().certify("localhost"), silent.address);
    let client = registered(&timed, &format!("https://localhost:{}/keys", tls.address.port()));
    let began = Instant::now();
    assert!(explained(&timed, &ask_by(&timed, &client, "a")).contains("there was no answer in time"));
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// Without a name only few keys are tried, so that a large set costs nothing.
#[test]
fn one_of_many_keys_must_be_named() {
    let platform = Platform::start();
    let timed = served(&platform);
    let client = registered(&timed, &platform.url(KEYS));
    let others: Vec<SigningClient> = (0..3).map(|_| SigningClient::called(&client.id, Algorithm::EdDSA)).collect();
    let rsa = SigningClient::called(&client.id, Algorithm::RS256);
    publish(&platform, &[&[&client, &rsa][..], &others.iter().collect::<Vec<_>>()].concat());
    assert!(
        explained(&timed, &ask(timed.testing(), &client.assertion(timed.now(), "a"))).contains("no key of that name")
    );
    assert_eq!(ask_by(&timed, &client, "b").status, 200);
    let only = ask(timed.testing(), &rsa.assertion(timed.now(), "c"));
    assert_eq!(only.status, 200, "one of many, and the only one that signs so: {}", only.text());
}

/// Never at a private address unless the operator allows it, whatever the name resolves to; and by TLS that is trusted.
#[test]
fn keys_are_fetched_from_nowhere_else() {
    let platform = Platform::start();
    let by = |lines: &str| format!("\n[environments.testing.published_keys]\n{lines}");
    let ca = format!("ca_file = {:?}\n", platform.ca_file());
    let timed = Timed::start(&by(&ca));
    let client = registered(&timed, &platform.url(KEYS));
    publish(&platform, &[&client]);
    assert!(explained(&timed, &ask_by(&timed, &client, "a")).contains("at an address where no keys may be"));
    let allowed = format!("{ca}allow_private = true\n");
    for (addresses, lines) in [(["93.184.215.14", "127.0.0.1"], &ca), (["127.0.0.1", "169.254.169.254"], &allowed)] {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let names: Names = Arc::new(move |_| {
            let addresses = addresses.clone();
            Box::pin(async move { Ok(addresses) })
        });
        let timed = Timed::start_with(&by(lines), names);
        let client = registered(&timed, &platform.url(KEYS));
        assert!(explained(&timed, &ask_by(&timed, &client, "a")).contains("at an address where no keys may be"));
    }
    let untrusted = Timed::start(&by("allow_private = true\n"));
    let client = registered(&untrusted, &platform.url(KEYS));
    assert!(explained(&untrusted, &ask_by(&untrusted, &client, "a")).contains("no connection by trusted TLS"));
    assert_eq!(platform.asked(KEYS), 0, "nothing was sent");
}

#[test]
fn the_command_registers_a_url_that_may_be_reached() {
    let platform = Platform::start();
    let section = format!("\n[environments.testing.published_keys]\n{}", platform.within_reach());
    let place = Place::new(&(config(Upstream::friendly().address) + &section));
    let server = place.serve();
    let create = ["clients", "create", "--environment", "testing", "--name", "Acme"];
    let url = platform.url(KEYS);
    let made = place.done(&[&create[..], &["--jwks-uri", &url]].concat());
    let members: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(members, ["client_id", "jwks_uri", "environment", "name"]);
    let id = made["client_id"].as_str().unwrap();
    let client = SigningClient::called(id, Algorithm::EdDSA);
    publish(&platform, &[&client]);
    let of = ["--environment", "testing", "--client", id];
    let listed = place.done(&[&["clients", "keys", "list"], &of[..]].concat());
    assert_eq!((&listed[0]["key_id"], &listed[0]["use_count"]), (&json!(client.thumbprint()), &Value::Null));
    assert!(server.stop().success());
    let offline = place.done(&["clients", "show", "--environment", "testing", id]);
    assert_eq!((&offline["jwks_uri"], &offline["keys"]), (&json!(url), &json!(0)));
    for wrong in
        ["http://client.example/keys", "https://169.254.169.254/keys", "https://user@client.example/keys", "keys"]
    {
        let refused = place.command(&[&create[..], &["--jwks-uri", wrong]].concat());
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(1) && said.contains("jwks_uri"), "{wrong}: {said}");
    }
    let elsewhere = Place::new(&config_with(Upstream::friendly().address, "", ""));
    let refused = elsewhere.command(&[&create[..], &["--jwks-uri", "https://10.0.0.1/keys"]].concat());
    assert_eq!(refused.status.code(), Some(1), "private, and not allowed");
    let both = place.command(&[&create[..], &["--jwks-uri", &url, "--jwk", "-"]].concat());
    assert_eq!(both.status.code(), Some(2));
}
