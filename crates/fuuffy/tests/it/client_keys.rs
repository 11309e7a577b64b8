//! `fuuffy clients keys`: what operators do about the public keys of clients.

use std::process::{Command, Stdio};

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::app::{BINARY, Place, config};
use crate::signing_client::SigningClient;
use crate::upstream::Upstream;

/// Writes a JWK down.
fn file(place: &Place, name: &str, jwk: &Value) -> String {
    let path = place.path(name);
    std::fs::write(&path, jwk.to_string()).unwrap();
    path.display().to_string()
}

#[test]
fn keys_are_added_listed_and_removed() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    // One in 64 thumbprints looks like a flag.
    let mut made = std::iter::repeat_with(|| SigningClient::new(Algorithm::EdDSA));
    let first = made.find(|client| client.thumbprint().starts_with('-')).unwrap();
    let second = SigningClient::new(Algorithm::ES256);
    let jwk = file(&place, "first.json", &first.jwk());
    let made = place.done(&["clients", "create", "--environment", "testing", "--name", "Acme", "--jwk", jwk.as_str()]);
    let members: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(members, ["client_id", "key_id", "environment", "name"]);
    let id = made["client_id"].as_str().unwrap();
    let of = ["--environment", "testing", "--client", id];
    let mut named = second.jwk();
    named["kid"] = json!("2026");
    named["ext"] = json!(true);
    let jwk = file(&place, "second.json", &named);
    let added = place.done(&[&["clients", "keys", "add", "--jwk", jwk.as_str()], &of[..]].concat());
    assert_eq!((&added["key_id"], &added["kid"]), (&second.thumbprint().into(), &"2026".into()));
    let twice = place.command(&[&["clients", "keys", "add", "--jwk", jwk.as_str()], &of[..]].concat());
    let said = String::from_utf8(twice.stderr).unwrap();
    assert!(twice.status.code() == Some(1) && said.contains("has that key already"), "{said}");
    let listed = place.done(&[&["clients", "keys", "list"], &of[..]].concat());
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|key| key["key_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [first.thumbprint(), second.thumbprint()]);
    let shown = place.done(&["clients", "show", "--environment", "testing", id]);
    assert_eq!((&shown["live_secrets"], &shown["keys"]), (&0.into(), &2.into()));
    place.done(&[&["clients", "keys", "remove", "--key", first.thumbprint().as_str()], &of[..]].concat());
    let again =
        place.command(&[&["clients", "keys", "remove", "--key", first.thumbprint().as_str()], &of[..]].concat());
    assert_eq!(again.status.code(), Some(1));
    assert!(server.stop().success());
    assert_eq!(place.done(&[&["clients", "keys", "list"], &of[..]].concat()).as_array().unwrap().len(), 1, "offline");
    let log = place.done(&["audit", "list", "--environment", "testing"]);
    let done = log.as_array().unwrap().iter().rev().map(|it| &it["record"]).filter(|it| it["deed"] != "refused");
    let deeds: Vec<(&str, &str)> =
        done.map(|it| (it["deed"].as_str().unwrap(), it["key_id"].as_str().unwrap())).collect();
    let (first, second) = (first.thumbprint(), second.thumbprint());
    let expected = [("client.created", &first), ("client_key.added", &second), ("client_key.removed", &first)];
    assert_eq!(deeds, expected.map(|(deed, key)| (deed, key.as_str())));
}

/// A private key stays where it is: the command does not even send it, and the server does not keep it.
#[test]
fn only_a_public_key_is_taken() {
    let place = Place::new(&config(Upstream::friendly().address));
    let client = place.client("testing");
    let mut private = SigningClient::new(Algorithm::EdDSA).jwk();
    private["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    let of = ["--environment", "testing", "--client", client.id.as_str()];
    let of_shared = json!({"kty": "oct", "k": "c2VjcmV0"});
    let of_rsa = |n: &str, e: &str| json!({"kty": "RSA", "n": n, "e": e});
    let (modulus, short_modulus) = (format!("g{}Q", "A".repeat(340)), format!("g{}B", "A".repeat(170)));
    let mut private_rsa = of_rsa(&modulus, "AQAB");
    private_rsa["qi"] = json!("nWGxne");
    let other_rsa = json!({"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "PS256"});
    let other_name = json!({"kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43), "alg": "Ed448"});
    let short = json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"});
    let other_curve = json!({"kty": "EC", "crv": "P-384", "x": "AAAA", "y": "AAAA"});
    let unknown = json!([1]);
    for (jwk, said) in [
        (&private, "that is a private key"),
        (&of_shared, "that is a private key"),
        (&of_rsa("AQAB", "AQAB"), "n: expected an RSA modulus of 2048, 3072 or 4096 bits"),
        (&of_rsa(&short_modulus, "AQAB"), "n: expected an RSA modulus"),
        (&of_rsa(&modulus.replace('Q', "A"), "AQAB"), "n: expected an RSA modulus"),
        (&of_rsa(&modulus, "Aw"), "e: expected AQAB"),
        (&other_rsa, "alg: expected RS256"),
        (&json!({"kty": "RSA", "e": "AQAB"}), "missing field `n`"),
        (&short, "32 bytes"),
        (&other_name, "alg: expected EdDSA"),
        (&other_curve, "expected P-256"),
        (&unknown, "expected a public key as a JWK"),
    ] {
        let file = file(&place, "jwk.json", jwk);
        let refused = place.command(&[&["clients", "keys", "add", "--jwk", file.as_str()], &of[..]].concat());
        let words = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{jwk}");
        assert!(words.contains(said) && !words.contains("nWGxne"), "{jwk}: {words}");
    }
    let mut child = Command::new(BINARY)
        .args(["clients", "keys", "add"])
        .args(of)
        .arg("--config")
        .arg(place.config_file())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut jwk = SigningClient::new(Algorithm::EdDSA).jwk();
    // As RFC 9864 calls it.
    jwk["alg"] = json!("Ed25519");
    serde_json::to_writer(child.stdin.take().unwrap(), &jwk).unwrap();
    assert!(child.wait().unwrap().success(), "from standard input");
}
