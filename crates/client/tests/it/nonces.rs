//! A client whose tokens are bound to a key, and a server that wants its nonces in the proofs (RFC 9449 §8): a body that cannot
//! be sent again is not lost to a nonce that was missing or too old.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use fuuffy_client::test_util::{Answer, Received};
use fuuffy_client::{Body, Client, PrivateKey};
use http_body_util::StreamBody;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::Value;

use crate::place::{ORDERS, Place};

/// What is asked for to learn a nonce.
const OWN: &str = "/v1/auth/usage";
const SECOND: Duration = Duration::from_secs(1);

async fn bound() -> (Place, Client) {
    let place = Place::new().await;
    let token = r#"{"data":{"access_token":"sk-1","token_type":"DPoP","expires_in":3600}}"#;
    place.server.always("/v1/auth/token", Answer::json(200, token));
    place.server.answer(OWN, r#"{"data":[]}"#);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let client = place.builder().dpop_key(PrivateKey::from_pem(key.as_bytes()).unwrap()).build().unwrap();
    (place, client)
}

fn wants(nonce: &str) -> Answer {
    Answer::new(401, "application/json", "")
        .field("www-authenticate", r#"DPoP realm="fuuffy", error="use_dpop_nonce", algs="ES256 EdDSA""#)
        .field("dpop-nonce", nonce)
}

/// The nonces of the proofs that the requests for a path bore.
fn nonces(place: &Place, path: &str) -> Vec<Option<String>> {
    let of = |received: &Received| {
        let claims = received.headers["dpop"].to_str().unwrap().split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert!(claims["ath"].is_string() && claims["htm"] == received.method.as_str(), "{claims}");
        claims["nonce"].as_str().map(str::to_owned)
    };
    place.server.received(path).iter().map(of).collect()
}

fn some(nonces: &[&str]) -> Vec<Option<String>> {
    nonces.iter().map(|nonce| Some((*nonce).to_owned()).filter(|nonce| !nonce.is_empty())).collect()
}

/// A body that comes in pieces, and can be sent once.
async fn stream(client: &Client) -> u16 {
    let pieces = ["a", "b"].map(|piece| Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from(piece))));
    let body = Body::streaming(StreamBody::new(futures_util::stream::iter(pieces)));
    let request = http::Request::post(ORDERS).body(body).unwrap();
    client.execute(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_nonce_is_learnt_before_a_body_goes_out_that_cannot_be_sent_again() {
    let (place, client) = bound().await;
    place.server.then(OWN, [wants("first"), wants("second")]);
    assert_eq!((stream(&client).await, stream(&client).await), (200, 200));
    assert_eq!((nonces(&place, OWN), nonces(&place, ORDERS)), (some(&[""]), some(&["first", "first"])));
    assert_eq!(place.server.received(ORDERS)[0].body, "ab");
    place.clock.pass(60 * SECOND);
    assert_eq!(stream(&client).await, 200);
    assert_eq!((nonces(&place, OWN), nonces(&place, ORDERS)[2..].to_vec()), (some(&["", "first"]), some(&["second"])));
    let [asked, _] = &place.server.received(OWN)[..] else { panic!("asked twice") };
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str(), asked.body.len()),
        ("GET", "/v1/auth/usage?per_page=1", 0)
    );
}

#[tokio::test]
async fn where_no_nonce_is_wanted_that_is_asked_once_a_minute_at_most() {
    let (place, client) = bound().await;
    assert_eq!((stream(&client).await, stream(&client).await), (200, 200));
    assert_eq!((nonces(&place, OWN).len(), nonces(&place, ORDERS)), (1, some(&["", ""])));
    place.clock.pass(60 * SECOND);
    assert_eq!((stream(&client).await, nonces(&place, OWN).len()), (200, 2));
    client.post("/orders").json(&[7]).send().await.unwrap();
    place.clock.pass(60 * SECOND);
    client.post("/orders").json(&[7]).send().await.unwrap();
    assert_eq!(nonces(&place, OWN).len(), 2, "what can be sent again is not asked for");
}

#[tokio::test]
async fn an_old_nonce_is_worse_than_none() {
    let (place, client) = bound().await;
    place.server.then(ORDERS, [wants("first")]);
    client.get("/orders").send().await.unwrap();
    place.clock.pass(100 * SECOND);
    client.get("/orders").send().await.unwrap();
    place.clock.pass(20 * SECOND);
    client.get("/orders").send().await.unwrap();
    assert_eq!(nonces(&place, ORDERS), some(&["", "first", "first", ""]));
}

#[tokio::test]
async fn whoever_has_no_key_asks_for_nothing() {
    let place = Place::new().await;
    assert_eq!(stream(&place.client()).await, 200);
    assert!(place.server.received(OWN).is_empty());
}
