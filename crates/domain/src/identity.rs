//! Workload identity: what a platform's own token must say for a client to be known by it, so that nothing secret exists.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{AuthenticatedClient, Client, IdentityId, LastUse, Lifetime, Timestamp};

/// Identities that a client may have at once.
pub const MAX_IDENTITIES: usize = 10;
/// Rules of an identity.
const MAX_RULES: usize = 10;
/// Bytes of the name of a claim, and of its value.
const LONGEST: usize = 256;
/// Claims that are checked whatever a rule says, or differ from token to token: they tell nobody from anybody else.
const NO_RULES: [&str; 7] = ["iss", "aud", "exp", "nbf", "iat", "jti", "auth_time"];

/// A platform whose tokens are believed, as an operator has configured it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// What it calls itself: an `https://` URL, and so never a client's id.
    pub issuer: Arc<str>,
    /// Whom its tokens must be for.
    pub audience: String,
    /// Claims of which each identity names one, for they tell whose workload it is.
    pub binding_claims: Vec<String>,
    /// The longest life of its tokens: for so long one that is seen by others could be used by them.
    pub longest_life: Lifetime,
}

/// What a client is known by at one platform.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its public id.
    pub id: IdentityId,
    /// The platform, by its issuer.
    pub issuer: Arc<str>,
    /// What its token must say.
    pub rules: ClaimRules,
    /// When it was added.
    pub created_at: Timestamp,
    /// The last token that was taken by it.
    pub last_use: Option<LastUse>,
    /// How many were taken by it.
    pub use_count: u64,
}

/// Claims that a token must have, each with exactly this value; at least one, and none that all tokens share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ClaimRules(Arc<BTreeMap<String, String>>);

/// Claims that do not make up an identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClaimRulesFault {
    /// None or too many.
    #[error("expected 1 to {MAX_RULES} claims")]
    Count,
    /// A name or a value is none.
    #[error("a claim has a name and a value of 1 to {LONGEST} bytes without control characters")]
    Text,
    /// One by which nobody is told from anybody else.
    #[error("{0} is checked anyway, and says nothing of whose token it is")]
    NoRule(String),
}

impl ClaimRules {
    /// Reads rules, for whichever platform they are.
    ///
    /// # Errors
    /// [`ClaimRulesFault`]
    pub fn parse(rules: BTreeMap<String, String>) -> Result<Self, ClaimRulesFault> {
        if !(1..=MAX_RULES).contains(&rules.len()) {
            return Err(ClaimRulesFault::Count);
        }
        let is_text = |text: &str| (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control);
        if !rules.iter().all(|(name, value)| is_text(name) && is_text(value)) {
            return Err(ClaimRulesFault::Text);
        }
        match rules.keys().find(|name| NO_RULES.contains(&name.as_str())) {
            Some(name) => Err(ClaimRulesFault::NoRule(name.clone())),
            None => Ok(Self(Arc::new(rules))),
        }
    }

    /// Reads rules as they were written down.
    ///
    /// # Errors
    /// [`ClaimRulesFault`]
    pub fn from_json(text: &str) -> Result<Self, ClaimRulesFault> {
        Self::parse(serde_json::from_str(text).map_err(|_| ClaimRulesFault::Text)?)
    }

    /// They, written down.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// Each claim and its value, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether one of the claims is among these.
    #[must_use]
    pub fn name_one_of(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.0.contains_key(name))
    }

    /// Whether a token with these claims is meant. Texts are compared exactly, byte by byte; numbers and truths as JSON
    /// writes them; lists and objects never fit.
    #[must_use]
    pub fn fit(&self, claims: &Map<String, Value>) -> bool {
        self.iter().all(|(name, wanted)| match claims.get(name) {
            Some(Value::String(said)) => said == wanted,
            Some(Value::Bool(said)) => said.to_string() == wanted,
            Some(Value::Number(said)) => said.to_string() == wanted,
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
        })
    }
}

impl Client {
    /// The proof that a token of a trusted platform is of this client. The caller has checked who signed it.
    #[must_use]
    pub fn authenticate_by_identity(
        client: &Arc<Self>,
        issuer: &str,
        claims: &Map<String, Value>,
    ) -> Option<AuthenticatedClient> {
        let fits = |identity: &&Identity| &*identity.issuer == issuer && identity.rules.fit(claims);
        let identity = client.identities.iter().find(fits)?;
        Some(AuthenticatedClient::by_identity(Arc::clone(client), identity.id.clone()))
    }
}

#[cfg(test)]
mod tests;
