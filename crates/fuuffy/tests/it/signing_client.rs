//! A client as a test owns it that has a private key and no secret, and signs what the test wants.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fuuffy_domain::Timestamp;
use fuuffy_protocol::rsa;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use crate::app::{Place, post_form};
use crate::http1::Reply;

const KIND: &str = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
pub(crate) const ISSUER: &str = "https://testing-api-gateway.fuuffy.com";

/// A private key, and whose it is once it is registered.
pub(crate) struct SigningClient {
    pub(crate) id: String,
    algorithm: Algorithm,
    /// PKCS #8.
    der: Vec<u8>,
    key: EncodingKey,
}

impl SigningClient {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        if algorithm == Algorithm::RS256 {
            return Self::of_rsa(RsaKeySize::_2048);
        }
        let kind = if algorithm == Algorithm::ES256 { &PKCS_ECDSA_P256_SHA256 } else { &PKCS_ED25519 };
        let der = KeyPair::generate_for(kind).unwrap().serialize_der();
        let (der, key) = if algorithm == Algorithm::ES256 {
            let key = EncodingKey::from_ec_der(&der);
            (der, key)
        } else {
            // Libraries want PKCS #8 as RFC 8410 §7 has it first, without the public half.
            let (head, seed) = ([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32], &der[16..48]);
            let der = [&head[..], seed].concat();
            let key = EncodingKey::from_ed_der(&der);
            (der, key)
        };
        Self { id: String::new(), algorithm, der, key }
    }

    /// An RSA key, for RS256.
    pub(crate) fn of_rsa(size: RsaKeySize) -> Self {
        let der = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap().serialize_der();
        let key = EncodingKey::from_rsa_der(rsa::within_pkcs8(&der).unwrap());
        Self { id: String::new(), algorithm: Algorithm::RS256, der, key }
    }

    /// A key of somebody who says to be another.
    pub(crate) fn called(id: &str, algorithm: Algorithm) -> Self {
        Self::new(algorithm).of(id)
    }

    /// The same key as another's who says to be this one.
    pub(crate) fn of(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }

    /// Registered in the testing environment as a command does it.
    pub(crate) fn registered(place: &Place, algorithm: Algorithm) -> Self {
        let mut client = Self::new(algorithm);
        let file = place.path(format!("{}.json", client.thumbprint()));
        std::fs::write(&file, client.jwk().to_string()).unwrap();
        let create = ["clients", "create", "--environment", "testing", "--name", "Acme", "--jwk"];
        let made = place.done(&[&create[..], &[file.to_str().unwrap()]].concat());
        client.id = made["client_id"].as_str().unwrap().to_owned();
        client
    }

    /// The public half, as it is registered.
    pub(crate) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        serde_json::to_value(jwk).unwrap()
    }

    /// The private key as a file has it.
    pub(crate) fn pem(&self) -> String {
        pem("PRIVATE KEY", &self.der)
    }

    /// An RSA private key as files had it before PKCS #8.
    pub(crate) fn pkcs1_pem(&self) -> String {
        pem("RSA PRIVATE KEY", rsa::within_pkcs8(&self.der).unwrap())
    }

    pub(crate) fn thumbprint(&self) -> String {
        Jwk::from_encoding_key(&self.key, self.algorithm).unwrap().thumbprint(ThumbprintHash::SHA256).unwrap()
    }

    /// The claims of a right assertion.
    pub(crate) fn claims(&self, now: Timestamp, jti: &str) -> Value {
        let seconds = now.unix_millis() / 1000;
        json!({"iss": self.id, "sub": self.id, "aud": ISSUER, "exp": seconds + 60, "iat": seconds, "jti": jti})
    }

    pub(crate) fn header(&self) -> Header {
        Header::new(self.algorithm)
    }

    pub(crate) fn sign(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }

    /// A right assertion.
    pub(crate) fn assertion(&self, now: Timestamp, jti: &str) -> String {
        self.sign(&self.header(), &self.claims(now, jti))
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The form of an assertion.
pub(crate) fn form(assertion: &str) -> String {
    format!("{KIND}&client_assertion={assertion}")
}

/// The standard's token request.
pub(crate) fn ask(address: SocketAddr, assertion: &str) -> Reply {
    post_form(address, "/oauth/token", &format!("grant_type=client_credentials&{}", form(assertion)))
}
