//! What a registered client proves itself by where it has no secret: public keys, where it publishes them, and what
//! platforms say of it. Nothing of it is secret.

mod certificate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use fuuffy_domain::{ClaimRules, MAX_CERTIFICATES, MAX_CLIENT_KEYS, MAX_IDENTITIES};
use fuuffy_protocol::rsa;
use serde::{Deserialize, Serialize};

use super::super::table::Table;
use super::super::{EnvironmentConfig, keys};
pub use certificate::KnownCertificate;

/// The kinds of keys (RFC 7518 §6, RFC 8037 §2): the type of each, its curve, and the numbers that make it up.
const KINDS: [(&str, Option<&str>, &[&str]); 3] =
    [("EC", Some("P-256"), &["x", "y"]), ("OKP", Some("Ed25519"), &["x"]), ("RSA", None, &["n", "e"])];
/// A coordinate in base64url.
const COORDINATE: usize = 43;

/// What a client proves itself by, beside its secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proofs {
    /// Its registered public keys.
    pub keys: BTreeSet<PublicKey>,
    /// Where it publishes its keys instead.
    pub jwks_uri: Option<String>,
    /// What platforms say of it.
    pub identities: BTreeSet<PlatformIdentity>,
    /// The certificates that it is known by.
    pub certificates: BTreeSet<KnownCertificate>,
}

/// A public key as a JWK (RFC 7517): the members that make it up, and what its holder calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublicKey {
    /// Its type.
    pub kty: String,
    /// Its curve, where it is on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// Its first coordinate there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Its second one, where the curve has two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Its modulus, where it is an RSA key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// Its exponent then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// What its holder calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

/// What a platform's token must say for the client to be known by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlatformIdentity {
    /// The platform, by its issuer.
    pub issuer: String,
    /// Claims, and the exact value of each.
    pub claims: BTreeMap<String, String>,
}

impl PublicKey {
    /// The number by which it is told from any other.
    fn number(&self) -> Option<&str> {
        self.x.as_deref().or(self.n.as_deref())
    }

    /// Whether another is the same key, whatever both are called.
    #[must_use]
    pub fn is_the_key(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Proofs {
    /// Reads what is said of them in a client's table.
    pub(super) fn read(client: &Table<'_>, environment: &EnvironmentConfig) -> Self {
        let keys: Vec<PublicKey> = client.tables("keys", &keys::REGISTERED_KEY).iter().filter_map(key).collect();
        let rules = client.tables("identities", &keys::REGISTERED_IDENTITY);
        let identities: Vec<PlatformIdentity> = rules.iter().filter_map(|table| identity(table, environment)).collect();
        let jwks_uri = client.parsed("jwks_uri", |text| text.starts_with("https://").then(|| text.to_owned()));
        if client.has("jwks_uri") && client.has("keys") {
            client.mistake("keys", "a client either publishes its keys or registers them; leave one out");
        }
        if keys.len() > MAX_CLIENT_KEYS {
            client.mistake("keys", format!("a client has {MAX_CLIENT_KEYS} keys at most"));
        }
        if identities.len() > MAX_IDENTITIES {
            client.mistake("identities", format!("a client has {MAX_IDENTITIES} identities at most"));
        }
        let numbers: BTreeSet<Option<&str>> = keys.iter().map(PublicKey::number).collect();
        let (names, named): (BTreeSet<&str>, _) = {
            let names = || keys.iter().filter_map(|key| key.kid.as_deref());
            (names().collect(), names().count())
        };
        if numbers.len() < keys.len() || names.len() < named {
            client.mistake("keys", "the same key, or the same kid, is there twice");
        }
        let count = identities.len();
        let identities: BTreeSet<_> = identities.into_iter().collect();
        if identities.len() < count {
            client.mistake("identities", "the same identity is there twice");
        }
        let certificates = certificate::read(client, environment);
        if certificates.len() > MAX_CERTIFICATES {
            client.mistake("certificates", format!("a client has {MAX_CERTIFICATES} certificates at most"));
        }
        Self { keys: keys.into_iter().collect(), jwks_uri, identities, certificates }
    }

    /// Writes them down, and nothing where there are none.
    pub(super) fn write(&self, text: &mut String) {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        if let Some(uri) = &self.jwks_uri {
            let _ = writeln!(text, "jwks_uri = {}", quoted(uri));
        }
        list(text, "keys", self.keys.iter().map(inline));
        list(text, "identities", self.identities.iter().map(inline));
        list(text, "certificates", self.certificates.iter().map(inline));
    }
}

fn key(table: &Table<'_>) -> Option<PublicKey> {
    let coordinate = |text: &str| {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == COORDINATE && text.bytes().all(is_base64url)).then(|| text.to_owned())
    };
    let kty = table.required("kty", |text| KINDS.into_iter().find(|(kty, ..)| *kty == text));
    let crv = table.parsed("crv", |text| KINDS.into_iter().find_map(|(_, crv, _)| crv.filter(|crv| *crv == text)));
    let [x, y] = ["x", "y"].map(|name| table.parsed(name, coordinate));
    let n = table.parsed("n", |text| rsa::modulus_length(text).map(|_| text.to_owned()));
    let e = table.parsed("e", |text| (text == rsa::EXPONENT).then(|| text.to_owned()));
    let is_name = |text: &&str| (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let kid = table.parsed("kid", |text| Some(text).filter(is_name).map(str::to_owned));
    let (kty, its_curve, members) = kty?;
    let has = ["x", "y", "n", "e"].into_iter().filter(|name| table.has(name));
    if table.has("crv") != its_curve.is_some()
        || (crv.is_some() && crv != its_curve)
        || !has.eq(members.iter().copied())
    {
        table.whole("expected a key on P-256, with x and y, one on Ed25519, with x alone, or an RSA key, with n and e");
        return None;
    }
    let is_whole = members.len() == [&x, &y, &n, &e].into_iter().flatten().count() && crv == its_curve;
    is_whole.then(|| PublicKey { kty: kty.to_owned(), crv: crv.map(str::to_owned), x, y, n, e, kid })
}

fn identity(table: &Table<'_>, environment: &EnvironmentConfig) -> Option<PlatformIdentity> {
    let trusted = |text: &str| environment.identity_issuers.iter().find(|known| *known.trusted.issuer == *text);
    let issuer = table.required("issuer", trusted);
    let claims = table.texts("claims")?;
    let rules = match ClaimRules::parse(claims.clone()) {
        Ok(rules) => rules,
        Err(fault) => {
            table.mistake("claims", fault.to_string());
            return None;
        }
    };
    let issuer = issuer?;
    if !rules.name_one_of(&issuer.trusted.binding_claims) {
        let names = issuer.trusted.binding_claims.join(", ");
        table.mistake("claims", format!("expected one of {names} among them; without it everybody could be meant"));
    }
    Some(PlatformIdentity { issuer: issuer.trusted.issuer.to_string(), claims })
}

/// One line of a list.
fn inline(value: &impl Serialize) -> String {
    toml::Value::try_from(value).map(|value| value.to_string()).unwrap_or_default()
}

fn list(text: &mut String, name: &str, lines: impl ExactSizeIterator<Item = String>) {
    if lines.len() == 0 {
        return;
    }
    let _ = writeln!(text, "{name} = [");
    for line in lines {
        let _ = writeln!(text, "    {line},");
    }
    text.push_str("]\n");
}
