//! A client with a key of its own, from making the key to the call: there is no secret anywhere.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::app::{BINARY, Place, config};
use crate::signing_client::{ISSUER, SigningClient};
use crate::upstream::Upstream;

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An integrator's command, with these variables and no others.
fn run(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .current_dir(place.path(""))
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn a_client_is_served_by_its_own_key_with_no_secret_anywhere() {
    let upstream = Upstream::friendly();
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let file = place.path("acme.key");
    let file = file.to_str().unwrap();
    let made = run(&place, &["client-key", "new", file], &[]);
    assert!(made.status.success() && words(&made).contains("stays where it is"), "{}", words(&made));
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = run(&place, &["client-key", "new", file], &[]);
    assert!(again.status.code() == Some(1) && again.stdout.is_empty(), "a key is never written over another");
    assert_eq!(run(&place, &["client-key", "public", file], &[]).stdout, made.stdout);
    std::fs::write(place.path("acme.json"), &made.stdout).unwrap();
    let jwk = place.path("acme.json");
    let create = ["clients", "create", "--environment", "testing", "--name", "Acme", "--scope", "orders:read", "--jwk"];
    let client = place.done(&[&create[..], &[jwk.to_str().unwrap()]].concat());
    assert!(client.get("client_secret").is_none());
    let base_url = format!("http://{}/v1", server.testing);
    let id = client["client_id"].as_str().unwrap();
    let variables = [
        ("FUUFFY_BASE_URL", base_url.as_str()),
        ("FUUFFY_CLIENT_ID", id),
        ("FUUFFY_CLIENT_KEY_FILE", file),
        // The test reaches the server by another URL than its own.
        ("FUUFFY_ISSUER", ISSUER),
    ];
    for _ in 0..2 {
        let token = run(&place, &["token", "--no-cache"], &variables);
        assert!(token.stdout.starts_with(b"sk-"), "{}", words(&token));
    }
    let orders = run(&place, &["request", "GET", "/orders", "--no-cache"], &variables);
    assert!(orders.status.success(), "{}", words(&orders));
    let elsewhere = run(&place, &["token", "--no-cache"], &variables[..3]);
    assert_eq!(elsewhere.status.code(), Some(1), "an assertion is for one token service");
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o644)).unwrap();
    let shared = run(&place, &["token", "--no-cache"], &variables);
    assert!(words(&shared).contains("chmod 600"), "{}", words(&shared));
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(file, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n").unwrap();
    let broken = run(&place, &["token", "--no-cache"], &variables);
    assert!(words(&broken).contains("expected a private key") && !words(&broken).contains("c2VjcmV0"));
}

/// A key that somebody has already, of RSA, in either form of PEM; for proofs it is too large.
#[test]
fn an_rsa_key_does_as_well() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let base_url = format!("http://{}/v1", server.testing);
    let client = SigningClient::registered(&place, Algorithm::RS256);
    let path = place.path("acme.key");
    let file = path.to_str().unwrap();
    let variables = [
        ("FUUFFY_BASE_URL", base_url.as_str()),
        ("FUUFFY_CLIENT_ID", client.id.as_str()),
        ("FUUFFY_CLIENT_KEY_FILE", file),
        ("FUUFFY_ISSUER", ISSUER),
    ];
    for pem in [client.pem(), client.pkcs1_pem()] {
        std::fs::write(file, pem).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
        let token = run(&place, &["token", "--no-cache"], &variables);
        assert!(token.stdout.starts_with(b"sk-"), "{}", words(&token));
        let public = run(&place, &["client-key", "public", file], &[]).stdout;
        assert_eq!(serde_json::from_slice::<Value>(&public).unwrap(), client.jwk());
        let bound =
            run(&place, &["token", "--no-cache"], &[&variables[..], &[("FUUFFY_DPOP_KEY_FILE", file)]].concat());
        assert_eq!((bound.status.code(), bound.stdout.is_empty()), (Some(1), true));
        assert!(words(&bound).contains("proofs are signed by a key on P-256 or Ed25519"), "{}", words(&bound));
    }
    // One of a length that the token service does not take.
    let short = "-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n";
    std::fs::write(file, short).unwrap();
    let refused = run(&place, &["client-key", "public", file], &[]);
    assert!(words(&refused).contains("an RSA key of 2048, 3072 or 4096 bits"), "{}", words(&refused));
}
