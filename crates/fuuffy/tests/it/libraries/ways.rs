//! The ways in which libraries prove whose a client is, and what each looks like on the wire.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::DEEDS;
use crate::upstream::Seen;

/// What proves whose a client is, and to which key its tokens are bound, if to any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    /// As the registry of token endpoint authentication methods calls it.
    pub(super) method: &'static str,
    /// What the client signs by, as the header of an assertion says it.
    pub(super) signed_by: Option<&'static str>,
    /// What its proofs are signed by (RFC 9449), where its tokens are bound.
    pub(super) bound_by: Option<&'static str>,
}

pub(super) const BASIC: Way = Way { method: "client_secret_basic", signed_by: None, bound_by: None };
pub(super) const POST: Way = Way { method: "client_secret_post", signed_by: None, bound_by: None };
pub(super) const BY_ES256: Way = Way { method: "private_key_jwt", signed_by: Some("ES256"), bound_by: None };
/// By the name that RFC 9864 gave to `EdDSA` with such a key.
pub(super) const BY_ED25519: Way = Way { signed_by: Some("Ed25519"), ..BY_ES256 };
pub(super) const BY_RS256: Way = Way { signed_by: Some("RS256"), ..BY_ES256 };

/// By a certificate (RFC 8705): of an authority that is trusted, or one that is registered itself.
pub(super) const BY_CERTIFICATE: Way = Way { method: "tls_client_auth", signed_by: None, bound_by: None };
pub(super) const BY_SELF_SIGNED: Way = Way { method: "self_signed_tls_client_auth", ..BY_CERTIFICATE };

impl Way {
    /// Whether it is seen in the handshake, and not in what is sent.
    pub(super) fn is_by_certificate(self) -> bool {
        self == BY_CERTIFICATE || self == BY_SELF_SIGNED
    }

    pub(super) const fn bound_by(self, algorithm: &'static str) -> Self {
        Self { bound_by: Some(algorithm), ..self }
    }

    /// What the client's own key is for, if it has one.
    pub(super) fn algorithm(self) -> Option<Algorithm> {
        self.signed_by.map(|name| match name {
            "ES256" => Algorithm::ES256,
            "RS256" => Algorithm::RS256,
            _ => Algorithm::EdDSA,
        })
    }

    /// As the table has it.
    pub(super) fn shown(self) -> String {
        let signed = self.signed_by.map(|algorithm| format!(" by {algorithm}")).unwrap_or_default();
        let bound = self.bound_by.map(|algorithm| format!(", DPoP by {algorithm}")).unwrap_or_default();
        format!("`{}`{signed}{bound}", self.method)
    }

    /// What is not as it should be of the requests that a library sent, where something is not. For each deed that it did,
    /// there must be a request that shows this way, and none may show another.
    pub(super) fn missed_by(self, requests: &[Seen], done: &[bool; DEEDS.len()]) -> Option<String> {
        let mut seen = [false; DEEDS.len()];
        for request in requests {
            let (deed, is_as_said) = match (request.method.as_str(), request.target.as_str()) {
                ("POST", "/oauth/token") => (0, self.is_of_endpoint(request) && self.is_proof_of(request)),
                ("GET", "/v1/orders") => (1, self.is_of_call(request) && self.is_proof_of(request)),
                ("POST", "/oauth/introspect") => (2, self.is_of_endpoint(request)),
                ("POST", "/oauth/revoke") => (3, self.is_of_endpoint(request)),
                ("GET", target) if target.starts_with("/.well-known/") => continue,
                _ => return Some(format!("{} {} was not to be sent", request.method, request.target)),
            };
            if !is_as_said {
                return Some(format!("{} was not as {} looks", DEEDS[deed], self.shown()));
            }
            seen[deed] = true;
        }
        let missing = (0..seen.len()).find(|deed| done[*deed] != seen[*deed])?;
        Some(format!("{}: done is {}, sent is {}", DEEDS[missing], done[missing], seen[missing]))
    }

    /// Whether a request to the token service has what this way has, and nothing of another.
    fn is_of_endpoint(self, request: &Seen) -> bool {
        let form = form(&request.body);
        let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let is_basic = request.field("authorization").map(|value| value.starts_with("Basic "));
        let secret = field("client_secret").is_some();
        let by_assertion = field("client_assertion").map(algorithm_of);
        let signed_by = self.signed_by.map(Value::from);
        match self.method {
            "client_secret_basic" => is_basic == Some(true) && !secret && by_assertion.is_none(),
            "client_secret_post" => is_basic.is_none() && secret && by_assertion.is_none(),
            "private_key_jwt" => is_basic.is_none() && !secret && by_assertion.is_some() && by_assertion == signed_by,
            _ => false,
        }
    }

    /// Whether a call bears its token as one that is bound, or as one that is not.
    fn is_of_call(self, request: &Seen) -> bool {
        let scheme = request.field("authorization").and_then(|value| value.split_once(' ')).map(|(scheme, _)| scheme);
        scheme == Some(if self.bound_by.is_some() { "DPoP" } else { "Bearer" })
    }

    /// Whether a request has a proof by the right algorithm, or none where none is to be.
    fn is_proof_of(self, request: &Seen) -> bool {
        let algorithm = request.field("dpop").map(algorithm_of);
        algorithm == self.bound_by.map(Value::from)
    }
}

/// What a JWT says that it is signed by.
fn algorithm_of(jwt: &str) -> Value {
    let header = URL_SAFE_NO_PAD.decode(jwt.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["alg"].clone()
}

/// The fields of a form.
fn form(body: &[u8]) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pairs = std::str::from_utf8(body).unwrap().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}
