//! A client's own private key, by which it proves itself without a secret (RFC 7523 §2.2). The key never leaves the
//! program: each token request bears a statement that is signed by it, and that works once.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy_protocol::{dpop, rsa};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::Error;

/// For so long an assertion is good: the time that a request takes, and some difference of clocks.
const LIFE: Duration = Duration::from_secs(60);

/// A private key on P-256 (ES256) or Ed25519 (EdDSA), or an RSA key (RS256) of 2048, 3072 or 4096 bits.
#[derive(Clone)]
pub struct PrivateKey {
    key: EncodingKey,
    algorithm: Algorithm,
    /// The key's thumbprint (RFC 7638), by which the server knows it.
    id: String,
    public: Jwk,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
}

/// What a proof is for.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) nonce: Option<&'a str>,
}

#[derive(Serialize)]
struct ProofClaims<'a> {
    jti: String,
    htm: &'a str,
    htu: &'a str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl PrivateKey {
    /// Reads a key in PKCS #8 as PEM, as `openssl genpkey` writes one; of RSA one in PKCS #1 (`BEGIN RSA PRIVATE KEY`), too.
    ///
    /// # Errors
    /// It is none, or one for other algorithms. Nothing of it is said.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| wrong())?;
        let (of_curve, of_rsa) = match &key {
            PrivateKeyDer::Pkcs1(der) => (None, Some(der.secret_pkcs1_der())),
            PrivateKeyDer::Pkcs8(der) => (Some(der.secret_pkcs8_der()), rsa::within_pkcs8(der.secret_pkcs8_der())),
            _ => (None, None),
        };
        let keys = [
            of_rsa.map(|der| (Algorithm::RS256, EncodingKey::from_rsa_der(der))),
            of_curve.map(|der| (Algorithm::ES256, EncodingKey::from_ec_der(der))),
            of_curve.map(|der| (Algorithm::EdDSA, EncodingKey::from_ed_der(der))),
        ];
        let known = keys.into_iter().flatten().find_map(|(algorithm, key)| {
            let public = Jwk::from_encoding_key(&key, algorithm).ok()?;
            let id = public.thumbprint(ThumbprintHash::SHA256).ok()?;
            Some(Self { key, algorithm, id, public })
        });
        let known = known.ok_or_else(wrong)?;
        match &known.public.algorithm {
            AlgorithmParameters::RSA(key) if rsa::modulus_length(&key.n).is_none() || key.e != rsa::EXPONENT => {
                Err(wrong())
            }
            _ => Ok(known),
        }
    }

    /// The key's thumbprint (RFC 7638), which is its id at the server.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half as a JWK (RFC 7517), for whoever registers the client.
    #[must_use]
    pub fn public_jwk(&self) -> String {
        serde_json::to_string(&self.public).unwrap_or_default()
    }

    /// A proof that this key is held, for one request (RFC 9449 §4.2). `token` is the one that the request bears.
    ///
    /// # Errors
    /// It is an RSA key: a proof bears its key, and that would be half of each request.
    pub(crate) fn dpop_proof(&self, asked: &Asked<'_>, now: SystemTime) -> Result<String, Error> {
        if self.algorithm == Algorithm::RS256 {
            return Err(Error::credentials(
                "proofs are signed by a key on P-256 or Ed25519, and this is an RSA key; fuuffy client-key new makes one",
            ));
        }
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let claims = ProofClaims {
            jti: format!("{:032x}", fastrand::u128(..)),
            htm: asked.method,
            htu: asked.target,
            iat: now.as_secs(),
            ath: asked.token.map(|token| URL_SAFE_NO_PAD.encode(Sha256::digest(token))),
            nonce: asked.nonce,
        };
        let (typ, jwk) = (Some(dpop::TYPE.to_owned()), Some(self.public.clone()));
        let header = Header { typ, jwk, ..Header::new(self.algorithm) };
        encode(&header, &claims, &self.key)
            .map_err(|_| Error::credentials("the private key of the proofs does not sign; make another"))
    }

    /// A statement for one token request to `issuer`.
    pub(crate) fn assertion(&self, client_id: &str, issuer: &str, now: SystemTime) -> Result<Zeroizing<String>, Error> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // It must only differ from all others of the same minute.
        let jti = format!("{:032x}", fastrand::u128(..));
        let (iat, exp) = (now.as_secs(), (now + LIFE).as_secs());
        let claims = Claims { iss: client_id, sub: client_id, aud: issuer, iat, exp, jti };
        let header = Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) };
        let signed = encode(&header, &claims, &self.key);
        signed.map(Zeroizing::new).map_err(|_| Error::credentials("the private key does not sign; make another"))
    }
}

fn wrong() -> Error {
    Error::credentials(
        "expected a private key on P-256 or Ed25519, or an RSA key of 2048, 3072 or 4096 bits with the exponent 65537, in \
         PKCS #8, between the lines BEGIN PRIVATE KEY and END PRIVATE KEY, or an RSA key between BEGIN RSA PRIVATE KEY and \
         END RSA PRIVATE KEY; fuuffy client-key new makes one",
    )
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.id)
    }
}

#[cfg(test)]
mod tests;
