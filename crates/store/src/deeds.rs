//! The deeds that a backend does, and how they fail. Knows no SQL.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{
    ApprovedGrant, AuditEvent, AuditHash, AuthenticatedClient, BindingKind, Cause, CertificateId, Checkpoint, Client,
    ClientChange, ClientId, ClientKeyId, ClientSlot, IdentityId, KeyId, LastUse, Lifetime, Limits, PlanName, Revision,
    ScopeSet, SecretDigest, SecretId, Timestamp, TokenDigest,
};
use thiserror::Error;

use crate::{
    AssertionUse, CertificateUse, Directory, IdentityUse, NewCertificate, NewClientKey, NewCredential, NewIdentity,
    TokenIndex,
};

/// A deed under way. It resolves when what it did is on disk and in memory, and not before.
pub type Deed<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'static>>;

/// What the product asks of a backend, for one environment.
///
/// Every deed is one transaction. A deed that fails changed nothing in memory, and left nothing behind; only
/// after [`StoreError::Unwritable`] may the next start find it done, for nobody knows what a failed sync wrote.
/// Dropping its future does not undo it.
pub trait Store: Send + Sync + 'static {
    /// The clients, as of the last deed on disk.
    fn directory(&self) -> &Directory;

    /// The tokens, as of the last deed on disk.
    fn tokens(&self) -> &TokenIndex;

    /// The latest time on record from earlier runs, so that the clock can start no earlier.
    fn newest_record(&self) -> Option<Timestamp>;

    /// Whether deeds can be done. Once a write or a sync failed they cannot, until a restart; while the disk is
    /// full, only those that take access away can.
    fn is_writable(&self) -> bool;

    /// Whether the disk is full. It passes when there is room again.
    fn is_full(&self) -> bool;

    /// Registers a client with what it proves itself by.
    fn create_client(&self, cause: Cause, new: NewClient, once: Option<Once>) -> Deed<Creation>;

    /// Changes a client. Suspending, deleting and revoking hold from the answer on: no token from before is
    /// accepted any more.
    fn change_client(&self, cause: Cause, id: ClientId, seen: Option<Revision>, change: ClientChange) -> Deed<Changed>;

    /// Gives a client one more secret, if it has fewer than three live ones. One that the client makes itself
    /// takes the place of another such that was never used, and fails with [`StoreError::Superseded`] where the client
    /// may make none by that secret any more.
    fn add_secret(&self, cause: Cause, id: ClientId, secret: NewSecret, on: Conditions) -> Deed<Creation>;

    /// Changes a secret's life.
    fn change_secret(
        &self,
        cause: Cause,
        of: (ClientId, SecretId),
        seen: Option<Revision>,
        change: SecretChange,
    ) -> Deed<Changed>;

    /// Gives a client one more public key, if it has fewer than three, none that is the same and none that is called
    /// the same ([`Creation::Taken`]).
    fn add_key(&self, cause: Cause, id: ClientId, key: NewClientKey, on: Conditions) -> Deed<Creation>;

    /// Takes a public key away: from the answer on nobody is known by it.
    fn remove_key(&self, cause: Cause, of: (ClientId, ClientKeyId), seen: Option<Revision>) -> Deed<Changed>;

    /// Binds a client to what a platform's token says, if it is bound to fewer than ten and to none that is the same
    /// ([`Creation::Taken`]).
    fn add_identity(&self, cause: Cause, id: ClientId, identity: NewIdentity, on: Conditions) -> Deed<Creation>;

    /// Unbinds a client: from the answer on nobody is known by such a token.
    fn remove_identity(&self, cause: Cause, of: (ClientId, IdentityId), seen: Option<Revision>) -> Deed<Changed>;

    /// Has a client known by another certificate, if it is by fewer than ten and by none that is the same
    /// ([`Creation::Taken`]).
    fn add_certificate(
        &self,
        cause: Cause,
        id: ClientId,
        certificate: NewCertificate,
        on: Conditions,
    ) -> Deed<Creation>;

    /// Takes a certificate away: from the answer on nobody is known by it.
    fn remove_certificate(&self, cause: Cause, of: (ClientId, CertificateId), seen: Option<Revision>) -> Deed<Changed>;

    /// Uses an assertion up (RFC 7523 §3, 7), and records that its key was used, if that is a registered one. `false`: one
    /// with the same `jti` was used before, and this is decided by the write itself.
    ///
    /// Fails with [`StoreError::Superseded`] where the client has the key no more.
    fn use_assertion(&self, used: AssertionUse) -> Deed<bool>;

    /// Records that a client was known by a platform's token. Such a token is used again and again until it ends.
    ///
    /// Fails with [`StoreError::Superseded`] where the client has the identity no more.
    fn use_identity(&self, used: IdentityUse) -> Deed<()>;

    /// Records that a client was known by a certificate.
    ///
    /// Fails with [`StoreError::Superseded`] where the client is known by it no more.
    fn use_certificate(&self, used: CertificateUse) -> Deed<()>;

    /// Revokes one token: from the answer on it is not accepted any more. `None`: there is no such token, or
    /// none that is still remembered.
    fn revoke_token(&self, cause: Cause, which: TokenName) -> Deed<Option<ListedToken>>;

    /// Whose token it is; `None` as where it cannot be revoked.
    fn owner(&self, which: TokenName) -> Deed<Option<ClientSlot>>;

    /// Records a token for a grant, and the use of the secret it was asked with, which is kept under the current
    /// key from then on.
    ///
    /// Fails with [`StoreError::Superseded`] where the client was suspended, deleted or its tokens
    /// were revoked since it authenticated, or the key is no longer taken.
    fn issue_token(&self, token: NewToken) -> Deed<()>;

    /// Records that a secret was used without a token, and keeps it under the current key from then on, as where a token
    /// is issued. The uses that are counted are tokens alone.
    fn note_use(&self, used: SecretUse) -> Deed<()>;

    /// Notes in the audit log what changed nothing, as a deed that was refused.
    fn note(&self, cause: Cause, event: AuditEvent) -> Deed<()>;

    /// Signs the audit log as it stands.
    fn checkpoint(&self, now: Timestamp) -> Deed<Checkpoint>;

    /// What the audit log has.
    fn audit(&self, wanted: AuditQuery) -> Deed<Part<AuditRow>>;

    /// The record of the deed by which a client lost what it could do before. `None`: the log does not say for sure.
    fn deed_behind(&self, client: ClientId, lost: Lost) -> Deed<Option<AuditRow>>;

    /// The tokens of a client that are live at a time, newest first. Reads the client's own and no others.
    fn list_tokens(&self, client: ClientSlot, now: Timestamp, part: PartOf) -> Deed<Part<ListedToken>>;

    /// What an answer was that was given for a key before, if one was.
    fn answered(&self, key: [u8; 32]) -> Deed<Option<Answered>>;

    /// Stops taking deeds, finishes those that wait, and closes the files. Idempotent.
    fn close(&self) -> Deed<()>;
}

/// A client to register.
#[derive(Debug)]
pub struct NewClient {
    /// Its id, made by the caller.
    pub id: ClientId,
    /// What people call it.
    pub name: String,
    /// All that it may be granted.
    pub scopes: ScopeSet,
    /// Its plan.
    pub plan: PlanName,
    /// Limits of its own, in place of its plan's.
    pub limits: Option<Limits>,
    /// A life for its tokens, if shorter than the environment's.
    pub token_lifetime: Option<Lifetime>,
    /// Whether it may rotate its own secrets.
    pub may_rotate: bool,
    /// What its tokens are always bound to.
    pub must_bind: Option<BindingKind>,
    /// What it proves itself by.
    pub credential: NewCredential,
}

/// A secret to keep, as its digest. Its creation time is the client's where it is the first.
#[derive(Debug)]
pub struct NewSecret {
    /// Its id, made by the caller.
    pub id: SecretId,
    /// Its keyed digest.
    pub digest: SecretDigest,
    /// When it is made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// By which secret the client makes it, where it makes it itself and so must confirm it.
    pub made_by: Option<SecretId>,
}

/// What must hold for a creation.
#[derive(Debug, Default)]
pub struct Conditions {
    /// The state of the client that was seen, if it matters.
    pub seen: Option<Revision>,
    /// That it is done once.
    pub once: Option<Once>,
}

/// What makes a creation happen once, however often it is asked for
/// (draft-ietf-httpapi-idempotency-key-header).
#[derive(Debug)]
pub struct Once {
    /// A digest of the key and of who said it.
    pub key: [u8; 32],
    /// The answer, if it is done now.
    pub answer: Answered,
}

/// An answer that is kept for a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// A digest of what was asked for.
    pub request: [u8; 32],
    /// What was answered, sealed: it may have a secret in it.
    pub sealed: Vec<u8>,
}

/// How a creation went.
#[derive(Debug)]
pub enum Creation {
    /// It is kept. The client as it is now.
    Done(Arc<Client>),
    /// It was done before under the same key.
    Before(Answered),
    /// The client changed since it was seen.
    Stale,
    /// The client has three live secrets, three keys, ten identities or ten certificates already.
    TooMany,
    /// There is no such client.
    NoClient,
    /// There is, or was, a client of that id; or the client has that key, or another that is called so, or that identity or certificate.
    Taken,
}

/// How a change went.
#[derive(Debug)]
pub enum Changed {
    /// It holds. The client as it is now.
    Done(Arc<Client>),
    /// The client changed since it was seen.
    Stale,
    /// There is no such client, or it has no such secret, key, identity or certificate.
    Nothing,
}

/// A change in a secret's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretChange {
    /// It works no more. Retiring it again changes nothing.
    Retire,
    /// It works no more, if it was to go when it is unused and that is so.
    RetireIfDue,
    /// It is to go when nobody has used it for so long.
    RetireWhenUnused(Duration),
    /// Its client has kept it; the client's others are to go when nobody has used them for so long.
    Confirm(Duration),
    /// It was seen where secrets do not belong; the first time counts.
    Expose,
    /// It was seen where secrets do not belong, and can do nothing any more but replace itself.
    Quarantine,
    /// Its operators were reminded of its end, so many days before it. Nothing that the audit log tells.
    Remind(u32),
}

/// How a token is named: by itself, as its digests under all keys, or by its number in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenName {
    /// Its digests.
    Digests(Vec<TokenDigest>),
    /// Its number.
    Number(i64),
}

/// A token, for operators: never the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedToken {
    /// Its number in the store; zero where only the index was asked.
    pub number: i64,
    /// Whose it is.
    pub client: ClientSlot,
    /// When it was issued, where the store was asked.
    pub issued_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Timestamp,
    /// What it is good for.
    pub scope: Arc<ScopeSet>,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub struct PartOf {
    /// So many are left out before it.
    pub skip: usize,
    /// So many at most.
    pub take: usize,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Part<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// How long the whole list is.
    pub total: usize,
}

/// Which records of the audit log, and in which order.
#[derive(Debug, Clone)]
pub struct AuditQuery {
    /// About this client alone.
    pub client: Option<ClientId>,
    /// Of these kinds alone, as `client.suspended`; none for all.
    pub deeds: Vec<String>,
    /// The newest first, or the oldest.
    pub newest_first: bool,
    /// Which part.
    pub part: PartOf,
}

/// A record of the audit log, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number.
    pub sequence: i64,
    /// One line of JSON.
    pub record: String,
    /// Its link of the chain.
    pub hash: AuditHash,
}

/// What a client could do before and cannot any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Use one token, which was revoked alone.
    Token {
        /// When the token would have expired.
        expires_at: Timestamp,
    },
    /// Use the tokens that were issued in this generation.
    Tokens {
        /// Which.
        generation: u32,
    },
    /// Anything: it is suspended or deleted.
    Standing {
        /// The generation in which it was found so.
        generation: u32,
    },
    /// Use a secret, which was retired.
    Secret(SecretId),
    /// Use a secret for anything but to replace it, which was quarantined.
    UseOfSecret(SecretId),
}

/// A token to record.
#[derive(Debug)]
pub struct NewToken {
    /// The grant it is for.
    pub grant: ApprovedGrant,
    /// The current key.
    pub key: KeyId,
    /// Its keyed digest under that key.
    pub digest: TokenDigest,
    /// When its life began.
    pub issued_at: Timestamp,
    /// From where it was asked for.
    pub from: Option<IpAddr>,
    /// What asked for it, by its `User-Agent`.
    pub agent: Option<Arc<str>>,
}

/// A use of a secret that left no token behind.
#[derive(Debug)]
pub struct SecretUse {
    /// Whose, and which.
    pub client: AuthenticatedClient,
    /// When, from where and by what.
    pub last: LastUse,
}

/// Why a deed was not done, or a store not opened. Messages name files and never secrets.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// A write or a sync failed, now or earlier; nothing was acknowledged.
    #[error("the store cannot write: {0}")]
    Unwritable(String),
    /// There is no room on the disk; nothing was changed.
    #[error("the disk is full; make room, and deeds are done again within seconds (revoking goes on meanwhile)")]
    Full,
    /// Tokens with more sets of scopes than can be kept in mind.
    #[error("there are too many different scopes")]
    TooManyScopes,
    /// More deeds wait than will be done soon.
    #[error("the store is overloaded")]
    Overloaded,
    /// The server is stopping.
    #[error("the store is closed")]
    Closed,
    /// The client changed since it was read.
    #[error("the client was changed meanwhile")]
    Superseded,
    /// Another process holds the data directory.
    #[error("{0} is in use by another fuuffy; stop it first, or name another data_dir")]
    InUse(String),
    /// A file is not what it should be.
    #[error("{file}: {problem}")]
    BadFile {
        /// Its path.
        file: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}
