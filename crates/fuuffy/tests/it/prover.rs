//! A caller as a test owns it that holds a key, and proves it as right or as wrong as the test wants (RFC 9449).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy_domain::Timestamp;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::app::{Registered, token_form};
use crate::http1::{Reply, request};
use crate::signing_client::{ISSUER, SigningClient};

/// A key, and the proofs by it.
pub(crate) struct Prover {
    pub(crate) key: SigningClient,
    made: AtomicU32,
}

impl Prover {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self { key: SigningClient::new(algorithm), made: AtomicU32::new(0) }
    }

    /// The claims of a right proof, with a name of its own.
    pub(crate) fn claims(&self, method: &str, path: &str, now: Timestamp) -> Value {
        let jti = self.made.fetch_add(1, Ordering::Relaxed).to_string();
        json!({"jti": jti, "htm": method, "htu": format!("{ISSUER}{path}"), "iat": now.unix_seconds()})
    }

    /// The claims of a right proof for the API.
    pub(crate) fn claims_with(&self, token: &str, now: Timestamp) -> Value {
        let mut claims = self.claims("GET", "/v1/orders", now);
        claims["ath"] = json!(URL_SAFE_NO_PAD.encode(Sha256::digest(token)));
        claims
    }

    pub(crate) fn header(&self) -> Header {
        let jwk = Some(serde_json::from_value(self.key.jwk()).unwrap());
        Header { typ: Some("dpop+jwt".to_owned()), jwk, ..self.key.header() }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.key.sign(&self.header(), claims)
    }

    /// A token that is asked for with a right proof.
    pub(crate) fn ask(&self, address: SocketAddr, client: &Registered, now: Timestamp) -> Reply {
        ask_with(address, client, &[&self.sign(&self.claims("POST", "/oauth/token", now))])
    }

    pub(crate) fn token(&self, address: SocketAddr, client: &Registered, now: Timestamp) -> String {
        let reply = self.ask(address, client, now);
        assert_eq!((reply.status, &reply.json()["token_type"]), (200, &"DPoP".into()), "{}", reply.text());
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// A right request to the API.
    pub(crate) fn get(&self, address: SocketAddr, token: &str, now: Timestamp) -> Reply {
        get_with(address, &format!("DPoP {token}"), &[&self.sign(&self.claims_with(token, now))])
    }
}

/// A token request with these proofs.
pub(crate) fn ask_with(address: SocketAddr, client: &Registered, proofs: &[&str]) -> Reply {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let fields: Vec<(&str, &str)> = form.into_iter().chain(proofs.iter().map(|proof| ("dpop", *proof))).collect();
    request(address, "POST", "/oauth/token", &fields, &token_form(client))
}

/// A request to the API with these credentials and proofs.
pub(crate) fn get_with(address: SocketAddr, authorization: &str, proofs: &[&str]) -> Reply {
    let bears = [("authorization", authorization)];
    let fields: Vec<(&str, &str)> = bears.into_iter().chain(proofs.iter().map(|proof| ("dpop", *proof))).collect();
    request(address, "GET", "/v1/orders", &fields, "")
}
