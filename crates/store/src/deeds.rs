//! The deeds that a backend does, and how they fail. Knows no SQL.

use std::pin::Pin;
use std::sync::Arc;

use fuuffy_domain::{
    ApprovedGrant, Client, ClientId, Lifetime, PlanName, ScopeSet, SecretDigest, SecretId, Timestamp, TokenDigest,
};
use thiserror::Error;

use crate::{Directory, TokenIndex};

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

    /// Whether deeds can still be done. Once a write or a sync failed they cannot, until a restart.
    fn is_writable(&self) -> bool;

    /// Registers a client with its first secret.
    fn create_client(&self, new: NewClient) -> Deed<Arc<Client>>;

    /// Suspends an active client and revokes all its tokens. `None`: there is no such client.
    fn suspend_client(&self, id: ClientId, now: Timestamp) -> Deed<Option<Arc<Client>>>;

    /// Lets a suspended client get tokens again; its old ones stay revoked.
    fn resume_client(&self, id: ClientId, now: Timestamp) -> Deed<Option<Arc<Client>>>;

    /// Removes a client for good, with its secrets and tokens. Answers as it was last.
    fn delete_client(&self, id: ClientId, now: Timestamp) -> Deed<Option<Arc<Client>>>;

    /// Gives a client one more secret, if it has fewer than three live ones.
    fn add_secret(&self, id: ClientId, secret: NewSecret) -> Deed<AddSecret>;

    /// Retires or marks a secret. `None`: no such client, or it has no such secret.
    fn change_secret(&self, id: ClientId, secret: SecretId, change: SecretChange) -> Deed<Option<Arc<Client>>>;

    /// Records a token for a grant, and the use of the secret it was asked with.
    ///
    /// Fails with [`StoreError::Superseded`] where the client was suspended, deleted or its tokens
    /// were revoked since it authenticated.
    fn issue_token(&self, token: NewToken) -> Deed<()>;

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
    /// A life for its tokens, if shorter than the environment's.
    pub token_lifetime: Option<Lifetime>,
    /// Its first secret.
    pub secret: NewSecret,
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
}

/// How adding a secret went.
#[derive(Debug)]
pub enum AddSecret {
    /// It is kept.
    Added(Arc<Client>),
    /// The client has three live ones already.
    TooMany,
    /// There is no such client.
    NoClient,
}

/// A change in a secret's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretChange {
    /// It works no more. Retiring it again changes nothing.
    Retire(Timestamp),
    /// It was seen where secrets do not belong; the first time counts.
    Expose(Timestamp),
}

/// A token to record.
#[derive(Debug)]
pub struct NewToken {
    /// The grant it is for.
    pub grant: ApprovedGrant,
    /// Its keyed digest under the current key.
    pub digest: TokenDigest,
    /// When its life began.
    pub issued_at: Timestamp,
}

/// Why a deed was not done, or a store not opened. Messages name files and never secrets.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// A write or a sync failed, now or earlier; nothing was acknowledged.
    #[error("the store cannot write: {0}")]
    Unwritable(String),
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
