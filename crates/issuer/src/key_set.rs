//! A set of keys that somebody publishes (RFC 7517 §5), from foreign bytes to keys that can check a signature. Whatever is
//! not understood is left out, as §5 asks for; whatever shows that the set cannot be trusted is refused with the set.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy_domain::{ClientKey, ClientKeyId, KeySetFault, Timestamp};
use fuuffy_protocol::rsa;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::assertion::algorithm_of_clients;

/// Bytes of a set.
pub(crate) const LARGEST: usize = 64 * 1024;
/// Keys in a set.
const MOST: usize = 100;
/// Bytes of a name.
const LONGEST_NAME: usize = 256;
/// Bits of an RSA modulus (RFC 7518 §3.3, and what the library verifies).
const MODULUS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Members that only private keys have (RFC 7518 §6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// The keys of a set that can be used.
pub struct KeySet {
    keys: Vec<SetKey>,
    /// Those that a client may sign by.
    of_clients: Vec<ClientKey>,
}

/// A public key.
struct SetKey {
    kid: Option<Arc<str>>,
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct UnverifiedSet {
    keys: Vec<Map<String, Value>>,
}

impl KeySet {
    /// Reads a set, as it was published at `now`.
    ///
    /// # Errors
    /// [`KeySetFault`]
    pub fn parse(bytes: &[u8], now: Timestamp) -> Result<Self, KeySetFault> {
        if bytes.len() > LARGEST {
            return Err(KeySetFault::TooLarge);
        }
        let UnverifiedSet { keys: found } = serde_json::from_slice(bytes).map_err(|_| KeySetFault::Malformed)?;
        if found.len() > MOST {
            return Err(KeySetFault::TooMany);
        }
        let (mut keys, mut of_clients, mut names) = (Vec::new(), Vec::new(), HashSet::new());
        for members in &found {
            refuse_what_is_no_public_key(members)?;
            let Some((algorithm, jwk)) = readable(members) else {
                continue;
            };
            let Ok(key) = DecodingKey::from_jwk(&jwk) else {
                continue;
            };
            let kid = members.get("kid").and_then(Value::as_str).map(Arc::<str>::from);
            if kid.as_ref().is_some_and(|kid| !names.insert(Arc::clone(kid))) {
                return Err(KeySetFault::Duplicate);
            }
            of_clients.extend(of_client(algorithm, &jwk, kid.clone(), now));
            keys.push(SetKey { kid, algorithm, key });
        }
        if keys.is_empty() { Err(KeySetFault::Empty) } else { Ok(Self { keys, of_clients }) }
    }

    /// The keys that a client may sign by.
    #[must_use]
    pub fn of_clients(&self) -> &[ClientKey] {
        &self.of_clients
    }

    /// The key that is called so, for this algorithm alone; where none is named, the only one there is for it.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let fits = |key: &&SetKey| key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == kid);
        let mut found = self.keys.iter().filter(fits);
        found.next().filter(|_| found.next().is_none()).map(|found| &found.key)
    }
}

/// A set with such a key was made by mistake: its owner must hear of it.
fn refuse_what_is_no_public_key(members: &Map<String, Value>) -> Result<(), KeySetFault> {
    let is = |name: &str, value: &str| members.get(name).and_then(Value::as_str).is_some_and(|it| it == value);
    if is("kty", "oct") || members.contains_key("k") {
        return Err(KeySetFault::Symmetric);
    }
    if PRIVATE.iter().any(|name| members.contains_key(*name)) {
        return Err(KeySetFault::Private);
    }
    match members.get("alg").and_then(Value::as_str) {
        Some(alg) if alg.eq_ignore_ascii_case("none") => Err(KeySetFault::NoAlgorithm),
        _ => Ok(()),
    }
}

/// The key, by the members that make it up and no others, and what it is for; none where it is for something else or not
/// understood.
fn readable(members: &Map<String, Value>) -> Option<(Algorithm, Jwk)> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let is_signature = members.get("use").is_none_or(|it| it == "sig");
    let may_verify =
        members.get("key_ops").is_none_or(|it| it.as_array().is_some_and(|all| all.contains(&json!("verify"))));
    let has_name = members.get("kid").is_none_or(|kid| kid.as_str().is_some_and(|kid| kid.len() <= LONGEST_NAME));
    if !is_signature || !may_verify || !has_name {
        return None;
    }
    let (algorithm, names, jwk) = match (text("kty")?, text("crv")) {
        ("RSA", None) if is_strong(text("n")?) => {
            (Algorithm::RS256, &["RS256"][..], json!({"kty": "RSA", "n": text("n")?, "e": text("e")?}))
        }
        ("EC", Some("P-256")) => {
            let jwk = json!({"kty": "EC", "crv": "P-256", "x": text("x")?, "y": text("y")?});
            (Algorithm::ES256, &["ES256"][..], jwk)
        }
        // RFC 9864 names it after its curve.
        ("OKP", Some("Ed25519")) => {
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": text("x")?});
            (Algorithm::EdDSA, &["EdDSA", "Ed25519"][..], jwk)
        }
        _ => return None,
    };
    let is_for_it = members.get("alg").is_none_or(|alg| names.iter().any(|name| alg == name));
    is_for_it.then_some((algorithm, serde_json::from_value(jwk).ok()?))
}

/// Whether a modulus has as many bits as it needs.
fn is_strong(modulus: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(modulus) else {
        return false;
    };
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let bits = bytes[first..].first().map_or(0, |high| 8 * (bytes.len() - first) - high.leading_zeros() as usize);
    MODULUS.contains(&bits)
}

/// The key as a client's own, where a client may sign so.
fn of_client(algorithm: Algorithm, jwk: &Jwk, kid: Option<Arc<str>>, now: Timestamp) -> Option<ClientKey> {
    let algorithm = algorithm_of_clients(algorithm)?;
    if let AlgorithmParameters::RSA(key) = &jwk.algorithm {
        rsa::modulus_length(&key.n).filter(|_| key.e == rsa::EXPONENT)?;
    }
    let id = ClientKeyId::parse(&jwk.thumbprint(ThumbprintHash::SHA256).ok()?).ok()?;
    let jwk = serde_json::to_string(jwk).ok()?.into();
    Some(ClientKey { id, kid, algorithm, jwk, created_at: now, last_use: None, use_count: 0 })
}

#[cfg(test)]
mod tests;
