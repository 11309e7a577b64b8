//! A platform as a test owns it: an OpenID provider over HTTPS on loopback, with metadata, keys and tokens of its own. It
//! publishes whatever a test wants, and can be down. Clients that publish their keys do it here, too.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fuuffy_domain::Timestamp;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parking_lot::Mutex;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::signing_client::ISSUER;
use crate::tls::{Authority, Terminator};
use crate::upstream::{Act, Upstream, ok};

pub(crate) const METADATA: &str = "/.well-known/openid-configuration";
pub(crate) const KEYS: &str = "/keys";

/// Whoever publishes keys.
pub(crate) struct Platform {
    folder: TempDir,
    authority: Authority,
    tls: Terminator,
    behind: Upstream,
    pages: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    is_down: Arc<AtomicBool>,
}

/// A key that it signs by.
pub(crate) struct PlatformKey {
    kid: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Platform {
    /// With its metadata, and without keys.
    pub(crate) fn start() -> Self {
        let (pages, is_down) =
            (Arc::new(Mutex::new(HashMap::<String, Vec<u8>>::new())), Arc::new(AtomicBool::new(false)));
        let (kept, down) = (Arc::clone(&pages), Arc::clone(&is_down));
        let behind = Upstream::start(move |seen, _| {
            if down.load(Ordering::Relaxed) {
                return Act::AnswerAndClose(Vec::new());
            }
            let missing = || b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
            Act::Answer(kept.lock().get(&seen.target).cloned().unwrap_or_else(missing))
        });
        let authority = Authority::new();
        let tls = Terminator::start(&authority.certify("localhost"), behind.address);
        let folder = tempfile::tempdir().unwrap();
        authority.write_to(&folder.path().join("ca.pem"));
        let platform = Self { folder, authority, tls, behind, pages, is_down };
        platform.say(METADATA, &json!({"issuer": platform.issuer(), "jwks_uri": platform.url(KEYS)}).to_string());
        platform
    }

    pub(crate) fn issuer(&self) -> String {
        format!("https://localhost:{}", self.tls.address.port())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.issuer() + path
    }

    /// The authority that it is trusted by.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The lines of a configuration by which it may be reached and is trusted.
    pub(crate) fn within_reach(&self) -> String {
        format!("allow_private = true\nca_file = {:?}\n", self.ca_file())
    }

    /// A configuration's section in which it is trusted as an issuer.
    pub(crate) fn trusted(&self, more: &str) -> String {
        let (issuer, reach) = (self.issuer(), self.within_reach());
        format!("\n[[environments.testing.identity_issuers]]\nissuer = \"{issuer}\"\n{reach}{more}\n")
    }

    /// Publishes a page.
    pub(crate) fn say(&self, path: &str, body: &str) {
        self.answer(path, ok(body));
    }

    /// Answers at a path with these bytes.
    pub(crate) fn answer(&self, path: &str, answer: Vec<u8>) {
        self.pages.lock().insert(path.to_owned(), answer);
    }

    /// Publishes these keys and no others.
    pub(crate) fn publish(&self, keys: &[&PlatformKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.say(KEYS, &json!({ "keys": keys }).to_string());
    }

    /// Answers nobody until it is up again.
    pub(crate) fn is_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    /// How often somebody asked for a path.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.behind.seen().iter().filter(|seen| seen.target == path).count()
    }

    /// Another one, that has the same authority.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What a token of Kubernetes says for a pod of a service account (bound service account tokens).
    pub(crate) fn kubernetes_claims(&self, subject: &str, now: Timestamp) -> Value {
        let seconds = now.unix_millis() / 1000;
        let (namespace, account) = subject.split_once(':').unwrap();
        json!({
            "aud": [ISSUER],
            "exp": seconds + 3607,
            "iat": seconds,
            "iss": self.issuer(),
            "jti": "7d3f4a2e-3b5e-4c51-9a77-5d2f1d1f0c11",
            "kubernetes.io": {
                "namespace": namespace,
                "node": {"name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
                "pod": {"name": "orders-7c9f", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
                "serviceaccount": {"name": account, "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"}
            },
            "nbf": seconds,
            "sub": format!("system:serviceaccount:{subject}")
        })
    }

    /// What a token of a workflow of GitHub Actions says.
    pub(crate) fn github_claims(&self, repository: &str, reference: &str, now: Timestamp) -> Value {
        let seconds = now.unix_millis() / 1000;
        json!({
            "jti": "example-id",
            "sub": format!("repo:{repository}:ref:{reference}"),
            "aud": ISSUER,
            "ref": reference,
            "sha": "38e7dd5d0ef9e1f2c6dd8d1c3f6a1d1f1a1b1c1d",
            "repository": repository,
            "repository_owner": repository.split('/').next().unwrap(),
            "repository_id": "74",
            "run_attempt": "2",
            "actor": "octocat",
            "workflow": "deploy",
            "event_name": "push",
            "ref_type": "branch",
            "runner_environment": "github-hosted",
            "iss": self.issuer(),
            "nbf": seconds - 600,
            "exp": seconds + 300,
            "iat": seconds - 1
        })
    }
}

impl PlatformKey {
    /// RSA of 2048 bits, as platforms have it.
    pub(crate) fn rsa(kid: &'static str) -> Self {
        let der = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap().serialize_der();
        // The library that signs wants the key itself, without the head of PKCS #8.
        Self { kid, algorithm: Algorithm::RS256, key: EncodingKey::from_rsa_der(&der[26..]) }
    }

    pub(crate) fn p256(kid: &'static str) -> Self {
        let der = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_der();
        Self { kid, algorithm: Algorithm::ES256, key: EncodingKey::from_ec_der(&der) }
    }

    /// As it is published.
    pub(crate) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = self.kid.into();
        jwk["use"] = "sig".into();
        jwk
    }

    pub(crate) fn header(&self) -> Header {
        Header { kid: Some(self.kid.to_owned()), ..Header::new(self.algorithm) }
    }

    /// A token that says these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&self.header(), claims)
    }

    pub(crate) fn sign_with(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }
}
