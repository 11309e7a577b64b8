//! Public keys of a client: added, listed, removed. Whoever holds the private half needs no secret.

use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy_domain::{Cause, ClientKey, ClientKeyId, KeyAlgorithm, KeySetFault, Revision, Timestamp};
use fuuffy_protocol::rsa;
use fuuffy_store::{Changed, Creation, NewClientKey};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::clients;
use crate::deed::{DeedError, Environment};
use crate::once::{self, Made, OnceOnly, conditions};
use crate::roles::Target;

/// Gets the keys that are published at a client's URL.
pub type KeysOf =
    Arc<dyn Fn(Arc<str>) -> Pin<Box<dyn Future<Output = Result<Vec<ClientKey>, KeySetFault>> + Send>> + Send + Sync>;

/// Bytes of a coordinate, on either curve.
const COORDINATE: usize = 32;
/// Characters of a name that a key has from its holder.
const LONGEST_NAME: usize = 128;

/// A key to add.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewClientKey)]
#[serde(deny_unknown_fields)]
pub(crate) struct Add {
    jwk: PublicJwk,
}

/// A public key (RFC 7517), for ES256 (RFC 7518 §6.2), EdDSA (RFC 8037 §2) or RS256 (RFC 7518 §6.3).
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PublicKey)]
#[serde(tag = "kty", deny_unknown_fields)]
pub(crate) enum PublicJwk {
    /// A key on P-256.
    #[serde(rename = "EC")]
    Ec {
        #[schema(pattern = "^P-256$")]
        crv: String,
        #[schema(pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
        x: String,
        #[schema(pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
        y: String,
        /// What its holder calls it in the header of an assertion; its thumbprint does as well.
        #[schema(pattern = "^[!-~]{1,128}$")]
        kid: Option<String>,
        #[schema(pattern = "^ES256$")]
        alg: Option<String>,
        #[serde(rename = "use")]
        #[schema(pattern = "^sig$")]
        public_use: Option<String>,
        #[schema(ignore)]
        d: Option<IgnoredAny>,
    },
    /// A key on Ed25519.
    #[serde(rename = "OKP")]
    Okp {
        #[schema(pattern = "^Ed25519$")]
        crv: String,
        #[schema(pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
        x: String,
        /// What its holder calls it in the header of an assertion; its thumbprint does as well.
        #[schema(pattern = "^[!-~]{1,128}$")]
        kid: Option<String>,
        #[schema(pattern = "^(EdDSA|Ed25519)$")]
        alg: Option<String>,
        #[serde(rename = "use")]
        #[schema(pattern = "^sig$")]
        public_use: Option<String>,
        #[schema(ignore)]
        d: Option<IgnoredAny>,
    },
    /// An RSA key of 2048, 3072 or 4096 bits.
    #[serde(rename = "RSA")]
    Rsa {
        #[schema(
            pattern = "^[g-z0-9_-]([A-Za-z0-9_-]{340}[Qw]|[A-Za-z0-9_-]{510}[BDFHJLNPRTVXZbdfhjlnprtvxz13579_]|[A-Za-z0-9_-]{681}[EMUcks08])$"
        )]
        n: String,
        #[schema(pattern = "^AQAB$")]
        e: String,
        /// What its holder calls it in the header of an assertion; its thumbprint does as well.
        #[schema(pattern = "^[!-~]{1,128}$")]
        kid: Option<String>,
        #[schema(pattern = "^RS256$")]
        alg: Option<String>,
        #[serde(rename = "use")]
        #[schema(pattern = "^sig$")]
        public_use: Option<String>,
        #[schema(ignore)]
        d: Option<IgnoredAny>,
        #[schema(ignore)]
        p: Option<IgnoredAny>,
        #[schema(ignore)]
        q: Option<IgnoredAny>,
        #[schema(ignore)]
        dp: Option<IgnoredAny>,
        #[schema(ignore)]
        dq: Option<IgnoredAny>,
        #[schema(ignore)]
        qi: Option<IgnoredAny>,
    },
}

/// Members of a key that are as they must be.
type Members = Result<Value, DeedError>;

/// A public key of a client, for operators.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientKey)]
pub(crate) struct Shown {
    /// Its thumbprint (RFC 7638).
    key_id: String,
    /// What its holder calls it.
    #[schema(required = true)]
    kid: Option<String>,
    /// `ES256`, `EdDSA` or `RS256`.
    algorithm: &'static str,
    /// The public key itself, by the members that make it up.
    #[schema(value_type = Object)]
    jwk: Value,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Where it was published when it was fetched, at `created_at`; `null` for one that is registered here.
    #[schema(value_type = Option<String>, required = true)]
    jwks_uri: Option<Arc<str>>,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_used_at: Option<Timestamp>,
    /// Counted where the key is registered.
    #[schema(required = true)]
    use_count: Option<u64>,
}

impl Shown {
    /// One that is published.
    fn published(key: &ClientKey, jwks_uri: &Arc<str>) -> Self {
        Self { jwks_uri: Some(Arc::clone(jwks_uri)), use_count: None, ..Self::from(key) }
    }
}

impl From<&ClientKey> for Shown {
    fn from(key: &ClientKey) -> Self {
        Self {
            jwks_uri: None,
            key_id: key.id.to_string(),
            kid: key.kid.as_deref().map(str::to_owned),
            algorithm: key.algorithm.as_str(),
            jwk: members(&key.jwk),
            created_at: key.created_at,
            last_used_at: key.last_use.as_ref().map(|last| last.at),
            use_count: Some(key.use_count),
        }
    }
}

/// A JWK as it is kept, as JSON.
fn members(jwk: &str) -> Value {
    serde_json::from_str(jwk).unwrap_or_default()
}

impl PublicJwk {
    /// The key as it is kept: the members that make it up, and its thumbprint.
    pub(crate) fn checked(self, now: Timestamp) -> Result<NewClientKey, DeedError> {
        let (algorithm, other_name, members, kid, alg, public_use, is_private) = match self {
            Self::Ec { crv, x, y, kid, alg, public_use, d } => {
                let members = on_curve("EC", ("P-256", &crv), &[("x", &x), ("y", &y)]);
                (KeyAlgorithm::Es256, None, members, kid, alg, public_use, d.is_some())
            }
            // RFC 9864 §2.2 calls EdDSA by its curve.
            Self::Okp { crv, x, kid, alg, public_use, d } => {
                let members = on_curve("OKP", ("Ed25519", &crv), &[("x", &x)]);
                (KeyAlgorithm::EdDsa, Some("Ed25519"), members, kid, alg, public_use, d.is_some())
            }
            Self::Rsa { n, e, kid, alg, public_use, d, p, q, dp, dq, qi } => {
                let is_private = [d, p, q, dp, dq, qi].into_iter().any(|it| it.is_some());
                (KeyAlgorithm::Rs256, None, rsa_members(&n, &e), kid, alg, public_use, is_private)
            }
        };
        if is_private {
            return Err(invalid(
                "that is a private key; make another, for this one was sent, and give its public half",
            ));
        }
        let is_called = |alg: &str| alg == algorithm.as_str() || Some(alg) == other_name;
        let jwk = members?;
        if !alg.as_deref().is_none_or(is_called) {
            return Err(invalid(&format!("alg: expected {}", algorithm.as_str())));
        }
        if public_use.is_some_and(|it| it != "sig") {
            return Err(invalid("use: expected sig"));
        }
        let is_name =
            |kid: &String| (1..=LONGEST_NAME).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic());
        if !kid.as_ref().is_none_or(is_name) {
            return Err(invalid(&format!("kid: expected 1 to {LONGEST_NAME} visible characters")));
        }
        let text = jwk.to_string();
        let key = serde_json::from_value::<Jwk>(jwk).ok().and_then(|key| key.thumbprint(ThumbprintHash::SHA256).ok());
        let id = key.and_then(|thumbprint| ClientKeyId::parse(&thumbprint).ok());
        let id = id.ok_or_else(|| invalid("expected a public key on P-256 or Ed25519, or an RSA key"))?;
        Ok(NewClientKey { id, kid: kid.map(Arc::from), algorithm, jwk: text.into(), created_at: now })
    }
}

fn invalid(words: &str) -> DeedError {
    DeedError::Invalid(format!("jwk: {words}"))
}

/// The members of a key on a curve: as it must be called, as it is, and its coordinates.
fn on_curve(kty: &str, (curve, crv): (&str, &str), coordinates: &[(&str, &str)]) -> Members {
    if crv != curve {
        return Err(invalid(&format!("crv: expected {curve}")));
    }
    let mut jwk = json!({"kty": kty, "crv": curve});
    for (name, text) in coordinates {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == COORDINATE);
        bytes.ok_or_else(|| invalid(&format!("{name}: expected {COORDINATE} bytes in base64url")))?;
        jwk[name] = (*text).into();
    }
    Ok(jwk)
}

/// The members of an RSA key.
fn rsa_members(n: &str, e: &str) -> Members {
    if rsa::modulus_length(n).is_none() {
        return Err(invalid("n: expected an RSA modulus of 2048, 3072 or 4096 bits in base64url"));
    }
    if e != rsa::EXPONENT {
        return Err(invalid("e: expected AQAB, which is 65537"));
    }
    Ok(json!({"kty": "RSA", "n": n, "e": e}))
}

pub(crate) async fn add(
    environment: &Environment,
    cause: Cause,
    target: Target,
    wanted: Add,
    once: Option<&OnceOnly>,
) -> Result<Made<Shown>, DeedError> {
    if let Some(once) = once
        && let Some(kept) = once.before(environment).await?
    {
        return Ok(Made::Before(kept));
    }
    // Which of both it is, is fixed when a client is registered (RFC 7591 §2: never both).
    if target.client.jwks_uri.is_some() {
        return Err(DeedError::KeysPublished);
    }
    let key = wanted.jwk.checked(environment.clock.now())?;
    let key_id = key.id.clone();
    let shown = Shown {
        key_id: key_id.to_string(),
        kid: key.kid.as_deref().map(str::to_owned),
        algorithm: key.algorithm.as_str(),
        jwk: members(&key.jwk),
        created_at: key.created_at,
        jwks_uri: None,
        last_used_at: None,
        use_count: Some(0),
    };
    let on = conditions(environment, once, target.seen, &shown)?;
    let creation = environment.store.add_key(cause, target.client.id.clone(), key, on).await?;
    if let Creation::Done(client) = &creation {
        tracing::info!(environment = %environment.name, client_id = %client.id, %key_id, "A public key was added");
    }
    once::added((creation, once), shown, [DeedError::TooManyKeys, DeedError::KeyTaken])
}

/// All keys of a client, oldest first; those that it publishes as they were fetched last, or as they are now where they
/// never were.
pub(crate) async fn list(environment: &Environment, client: &str) -> Result<(Vec<Shown>, Revision), DeedError> {
    let client = clients::find(environment, client)?;
    if let Some(uri) = &client.jwks_uri {
        let published = (environment.keys_of)(Arc::clone(uri)).await.map_err(DeedError::KeysUnusable)?;
        return Ok((published.iter().map(|key| Shown::published(key, uri)).collect(), client.revision));
    }
    Ok((client.keys.iter().map(Shown::from).collect(), client.revision))
}

/// From the answer on nobody is known by the key. Tokens that were got by it live on, as with a secret.
pub(crate) async fn remove(
    environment: &Environment,
    cause: Cause,
    target: Target,
    key: &str,
) -> Result<(Shown, Revision), DeedError> {
    let known = target.client.keys.iter().find(|known| known.id.as_str() == key);
    let (id, shown) = known.map(|key| (key.id.clone(), Shown::from(key))).ok_or(DeedError::NotFound("key"))?;
    let of = (target.client.id.clone(), id.clone());
    match environment.store.remove_key(cause, of, target.seen).await? {
        Changed::Done(client) => {
            tracing::info!(environment = %environment.name, client_id = %client.id, key_id = %id, "A public key was removed");
            Ok((shown, client.revision))
        }
        Changed::Stale => Err(DeedError::Stale),
        Changed::Nothing => Err(DeedError::NotFound("key")),
    }
}
