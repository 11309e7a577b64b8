//! What clients prove themselves by, as it is to be kept, and as it is used. Knows no SQL.

use std::sync::Arc;

use fuuffy_domain::{
    CertificateId, CertificateRule, ClaimRules, ClientKeyId, ClientSlot, IdentityId, KeyAlgorithm, LastUse, Timestamp,
};

use crate::NewSecret;

/// What a new client proves itself by. Its creation time is the client's.
#[derive(Debug)]
pub enum NewCredential {
    /// A secret.
    Secret(NewSecret),
    /// A key of its own, so that there is no secret.
    Key(NewClientKey),
    /// The keys that it publishes at a URL.
    KeysAt(Arc<str>),
    /// A platform's token.
    Identity(NewIdentity),
    /// A certificate.
    Certificate(NewCertificate),
}

/// What a certificate must be for a client to be known by it, to keep.
#[derive(Debug)]
pub struct NewCertificate {
    /// Its id, made by the caller.
    pub id: CertificateId,
    /// What it must be.
    pub rule: CertificateRule,
    /// When it is added.
    pub created_at: Timestamp,
}

/// A use of a certificate.
#[derive(Debug)]
pub struct CertificateUse {
    /// Whose.
    pub client: ClientSlot,
    /// By which of its registrations.
    pub certificate: CertificateId,
    /// When, from where and by what.
    pub last: LastUse,
}

/// What a platform's token must say, to keep.
#[derive(Debug)]
pub struct NewIdentity {
    /// Its id, made by the caller.
    pub id: IdentityId,
    /// The platform, by its issuer.
    pub issuer: Arc<str>,
    /// What its token must say.
    pub rules: ClaimRules,
    /// When it is added.
    pub created_at: Timestamp,
}

/// A public key to keep.
#[derive(Debug)]
pub struct NewClientKey {
    /// Its thumbprint (RFC 7638).
    pub id: ClientKeyId,
    /// What its holder calls it, if anything.
    pub kid: Option<Arc<str>>,
    /// What it is for.
    pub algorithm: KeyAlgorithm,
    /// The key, as a JWK without members that do not make it up.
    pub jwk: Arc<str>,
    /// When it is added.
    pub created_at: Timestamp,
}

/// An assertion that is used, and by that used up.
#[derive(Debug)]
pub struct AssertionUse {
    /// Whose.
    pub client: ClientSlot,
    /// By which of its keys.
    pub key: UsedKey,
    /// SHA-256 of its `jti`, which is remembered until it has expired.
    pub jti: [u8; 32],
    /// When it expires.
    pub expires_at: Timestamp,
    /// When, from where and by what.
    pub last: LastUse,
}

/// Which key signed an assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsedKey {
    /// One that is registered.
    Registered(ClientKeyId),
    /// One that its client publishes. Its uses are not counted, for it is kept nowhere.
    Published,
}

/// A use of a platform's token.
#[derive(Debug)]
pub struct IdentityUse {
    /// Whose.
    pub client: ClientSlot,
    /// By which of its identities.
    pub identity: IdentityId,
    /// When, from where and by what.
    pub last: LastUse,
}
