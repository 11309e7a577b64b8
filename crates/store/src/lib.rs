//! Where clients, secrets and tokens last. The only crate that knows a database or a data directory.
//!
//! [`Store`] is what the product asks of a backend, in deeds: each is atomic, and durable before its
//! future resolves. What the request path reads, it reads from memory: the [`TokenIndex`] and the
//! [`Directory`], which a backend loads at start and changes only after a deed is on disk. Knows
//! nothing of HTTP.

pub mod audit_key;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod credentials;
mod deeds;
mod directory;
pub mod embedded;
mod explanations;
mod index;
mod key_shelf;
mod outbox;
pub mod pepper;
mod side_file;
mod usage;
mod verify;

pub use credentials::{
    AssertionUse, CertificateUse, IdentityUse, NewCertificate, NewClientKey, NewCredential, NewIdentity, UsedKey,
};
pub use deeds::{
    Answered, AuditQuery, AuditRow, Changed, Conditions, Creation, Deed, ListedToken, Lost, NewClient, NewSecret,
    NewToken, Once, Part, PartOf, SecretChange, SecretUse, Store, StoreError, TokenName,
};
pub use directory::Directory;
pub use explanations::Explanations;
pub use index::{IndexedToken, TokenIndex};
pub use key_shelf::{KeptKeys, KeyShelf};
pub use outbox::{
    Alert, AlertState, Channel, Delivery, Failed, KeptSilence, MOST_SILENCES, NewAlert, NewSilence, Outbox,
    OutboxError, Standing, Standings, Which,
};
pub use usage::{BusyRow, Grouping, Step, UsageBook, UsageQuery, UsageRow};
pub use verify::verify;
