//! The audit log's words: who did what to whom, when and from where, and the chain that shows tampering.
//!
//! A record is one line of JSON, and the text that is hashed is the text that is kept: each link is SHA-256
//! over the link before it and the record, so that whoever has the lines can follow the chain with any tool.

use std::net::IpAddr;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    CertificateId, ClaimRules, ClientId, ClientKeyId, EnvironmentName, IdentityId, KeyId, MessageId, PlanName,
    RequestId, SecretId, SilenceId, Timestamp,
};

/// What a link's hash begins with, so that it is a hash of nothing else.
const LABEL: &[u8] = b"fuuffy audit 1\n";

/// Who did a deed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Actor {
    /// An operator's program, which proved itself with a token.
    Operator {
        /// Its client.
        client_id: ClientId,
    },
    /// A client, about itself.
    Client {
        /// Itself.
        client_id: ClientId,
    },
    /// A local user, through the server's socket.
    Socket {
        /// The user's number.
        uid: u32,
    },
    /// A local user who opened the data directory while no server ran.
    Local {
        /// The user's number.
        uid: u32,
    },
    /// The product itself, by what somebody had set.
    Server,
}

/// Where a deed comes from: the first argument of each.
#[derive(Debug, Clone)]
pub struct Cause {
    /// Who.
    pub actor: Actor,
    /// From which address, where there is one.
    pub from: Option<IpAddr>,
    /// By which request.
    pub request: RequestId,
    /// When.
    pub at: Timestamp,
    /// Why, in the words of whoever did it.
    pub why: Option<String>,
}

/// What was done, or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "deed")]
pub enum AuditEvent {
    /// A client was registered.
    #[serde(rename = "client.created")]
    ClientCreated {
        /// Which.
        client_id: ClientId,
        /// What people call it.
        name: String,
        /// All that it may be granted.
        scope: String,
        /// Its plan.
        plan: PlanName,
        /// Its first secret, if it has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret_id: Option<SecretId>,
        /// Its first public key, if it has one.
        #[serde(skip_serializing_if = "Option::is_none")]
        key_id: Option<ClientKeyId>,
        /// Where it publishes its keys, if it does.
        #[serde(skip_serializing_if = "Option::is_none")]
        jwks_uri: Option<String>,
        /// Its first identity, if it has one; a record of its own tells of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        identity_id: Option<IdentityId>,
        /// The first certificate that it is known by, if there is one; a record of its own tells of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate_id: Option<CertificateId>,
    },
    /// What is known of a client was changed.
    #[serde(rename = "client.changed")]
    ClientChanged {
        /// Which.
        client_id: ClientId,
        /// Each member that changed, as it was and as it is.
        changes: Vec<MemberChange>,
        /// Whether its tokens were revoked with it, as when a scope was taken away.
        tokens_revoked: bool,
    },
    /// A client was suspended, and its tokens revoked.
    #[serde(rename = "client.suspended")]
    ClientSuspended {
        /// Which.
        client_id: ClientId,
    },
    /// A client may get tokens again.
    #[serde(rename = "client.resumed")]
    ClientResumed {
        /// Which.
        client_id: ClientId,
    },
    /// A client was removed.
    #[serde(rename = "client.deleted")]
    ClientDeleted {
        /// Which.
        client_id: ClientId,
    },
    /// All tokens of a client were revoked.
    #[serde(rename = "client.tokens_revoked")]
    TokensRevoked {
        /// Whose.
        client_id: ClientId,
    },
    /// One token was revoked.
    #[serde(rename = "token.revoked")]
    TokenRevoked {
        /// Whose.
        client_id: ClientId,
        /// When it would have expired.
        expires_at: Timestamp,
    },
    /// A secret was added.
    #[serde(rename = "secret.added")]
    SecretAdded {
        /// Whose.
        client_id: ClientId,
        /// Which.
        secret_id: SecretId,
        /// When it stops working, if ever.
        expires_at: Option<Timestamp>,
    },
    /// A client confirmed the secret that it made itself; its others are to go when they are unused.
    #[serde(rename = "secret.confirmed")]
    SecretConfirmed {
        /// Whose.
        client_id: ClientId,
        /// Which.
        secret_id: SecretId,
        /// Those that are to go.
        retiring: Vec<SecretId>,
    },
    /// A secret is to go when it is unused.
    #[serde(rename = "secret.retiring")]
    SecretRetiring {
        /// Whose.
        client_id: ClientId,
        /// Which.
        secret_id: SecretId,
        /// For so many seconds.
        unused_for: u64,
    },
    /// A secret works no more.
    #[serde(rename = "secret.retired")]
    SecretRetired {
        /// Whose.
        client_id: ClientId,
        /// Which.
        secret_id: SecretId,
    },
    /// A secret was seen where secrets do not belong.
    #[serde(rename = "secret.exposed")]
    SecretExposed {
        /// Whose.
        client_id: ClientId,
        /// Which.
        secret_id: SecretId,
    },
    /// A secret was seen where secrets do not belong, and can do nothing any more but replace itself.
    #[serde(rename = "secret.quarantined")]
    SecretQuarantined {
        /// Whose.
        client_id: ClientId,
        /// Which.
        secret_id: SecretId,
    },
    /// A public key was added.
    #[serde(rename = "client_key.added")]
    ClientKeyAdded {
        /// Whose.
        client_id: ClientId,
        /// Which: its thumbprint.
        key_id: ClientKeyId,
    },
    /// A public key was taken away.
    #[serde(rename = "client_key.removed")]
    ClientKeyRemoved {
        /// Whose.
        client_id: ClientId,
        /// Which: its thumbprint.
        key_id: ClientKeyId,
    },
    /// A client was bound to what a platform's token says.
    #[serde(rename = "client_identity.added")]
    ClientIdentityAdded {
        /// Whose.
        client_id: ClientId,
        /// Which.
        identity_id: IdentityId,
        /// Whose tokens.
        issuer: String,
        /// What they must say.
        claims: ClaimRules,
    },
    /// A client is known by such a token no more.
    #[serde(rename = "client_identity.removed")]
    ClientIdentityRemoved {
        /// Whose.
        client_id: ClientId,
        /// Which.
        identity_id: IdentityId,
    },
    /// A client is known by another certificate.
    #[serde(rename = "client_certificate.added")]
    ClientCertificateAdded {
        /// Whose.
        client_id: ClientId,
        /// Which.
        certificate_id: CertificateId,
        /// The kind of name that it must have, or `certificate` for exactly one.
        kind: &'static str,
        /// The name, or the thumbprint of that one.
        value: String,
    },
    /// A client is known by such a certificate no more.
    #[serde(rename = "client_certificate.removed")]
    ClientCertificateRemoved {
        /// Whose.
        client_id: ClientId,
        /// Which.
        certificate_id: CertificateId,
    },
    /// Digests are made with another key from now on.
    #[serde(rename = "key.rotated")]
    KeyRotated {
        /// The new one.
        key: KeyId,
    },
    /// Checkpoints are signed with another key after the one that covers this record.
    #[serde(rename = "audit_key.rotated")]
    AuditKeyRotated {
        /// The new one.
        key: KeyId,
        /// What its checkpoints are checked by, in hexadecimal digits.
        public_key: String,
    },
    /// A key was taken out of the key file.
    #[serde(rename = "key.retired")]
    KeyRetired {
        /// Which.
        key: KeyId,
        /// Secrets that work no more by it.
        secrets_lost: u64,
        /// Tokens that are accepted no more by it.
        tokens_lost: u64,
    },
    /// The store was put back as it was when a backup was made.
    #[serde(rename = "store.restored")]
    StoreRestored {
        /// When the backup was made.
        backup_made_at: Timestamp,
        /// Whether all tokens were revoked with it.
        tokens_revoked: bool,
    },
    /// Alerts are sent once more.
    #[serde(rename = "alerts.redelivered")]
    AlertsRedelivered {
        /// Which one, or every dead letter.
        message_id: Option<MessageId>,
        /// By which channel, or by all.
        channel: Option<&'static str>,
        /// How many deliveries they were.
        alerts: u64,
    },
    /// A test alert was sent.
    #[serde(rename = "alerts.tested")]
    AlertTested {
        /// Whether it was taken.
        taken: bool,
    },
    /// Nobody is told of something for a while.
    #[serde(rename = "alerts.silenced")]
    AlertsSilenced {
        /// Which silence.
        silence_id: SilenceId,
        /// Whose alerts, or everybody's.
        client_id: Option<ClientId>,
        /// Alerts of which kind, or of every kind.
        kind: Option<&'static str>,
        /// Until when.
        until: Timestamp,
    },
    /// A silence was ended.
    #[serde(rename = "alerts.unsilenced")]
    AlertsUnsilenced {
        /// Which one.
        silence_id: SilenceId,
        /// Whose alerts it kept back, or everybody's.
        client_id: Option<ClientId>,
    },
    /// Somebody was refused a deed.
    #[serde(rename = "refused")]
    Refused {
        /// The class of the refusal: the `code` of its answer.
        code: String,
        /// What was asked for: method and path.
        asked: String,
        /// How often, since the last such record.
        times: u64,
    },
    /// Old records left the log.
    #[serde(rename = "audit.removed")]
    Removed {
        /// By which rule.
        rule: String,
        /// All up to this one.
        up_to: i64,
    },
}

/// One member of a client, as it was and as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberChange {
    /// Which.
    pub member: &'static str,
    /// As it was.
    pub from: String,
    /// As it is.
    pub to: String,
}

/// One link of the chain.
pub type AuditHash = [u8; 32];

/// The hash before the first record.
pub const AUDIT_START: AuditHash = [0; 32];

/// The text of a record: one line of JSON, with its number in the chain.
#[must_use]
pub fn audit_record(sequence: i64, environment: EnvironmentName, cause: &Cause, event: &AuditEvent) -> String {
    #[derive(Serialize)]
    struct Record<'a> {
        seq: i64,
        at: Timestamp,
        environment: EnvironmentName,
        actor: &'a Actor,
        from: Option<IpAddr>,
        request_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
        #[serde(flatten)]
        event: &'a AuditEvent,
    }
    let Cause { actor, from, request, at, why } = cause;
    let (request_id, why) = (request.to_string(), why.as_deref());
    let record = Record { seq: sequence, at: *at, environment, actor, from: *from, request_id, why, event };
    serde_json::to_string(&record).expect("a record has nothing that JSON has not")
}

/// The link after `previous` for a record.
#[must_use]
pub fn audit_hash(previous: &AuditHash, record: &str) -> AuditHash {
    Sha256::new().chain_update(LABEL).chain_update(previous).chain_update(record).finalize().into()
}

impl AuditEvent {
    /// Whom it is about.
    #[must_use]
    pub const fn client(&self) -> Option<&ClientId> {
        match self {
            Self::ClientCreated { client_id, .. }
            | Self::ClientChanged { client_id, .. }
            | Self::ClientSuspended { client_id }
            | Self::ClientResumed { client_id }
            | Self::ClientDeleted { client_id }
            | Self::TokensRevoked { client_id }
            | Self::TokenRevoked { client_id, .. }
            | Self::SecretAdded { client_id, .. }
            | Self::SecretConfirmed { client_id, .. }
            | Self::SecretRetiring { client_id, .. }
            | Self::SecretRetired { client_id, .. }
            | Self::SecretQuarantined { client_id, .. }
            | Self::SecretExposed { client_id, .. }
            | Self::ClientKeyAdded { client_id, .. }
            | Self::ClientKeyRemoved { client_id, .. }
            | Self::ClientIdentityAdded { client_id, .. }
            | Self::ClientIdentityRemoved { client_id, .. }
            | Self::ClientCertificateAdded { client_id, .. }
            | Self::ClientCertificateRemoved { client_id, .. } => Some(client_id),
            Self::AlertsSilenced { client_id, .. } | Self::AlertsUnsilenced { client_id, .. } => client_id.as_ref(),
            Self::KeyRotated { .. }
            | Self::AuditKeyRotated { .. }
            | Self::KeyRetired { .. }
            | Self::StoreRestored { .. }
            | Self::AlertsRedelivered { .. }
            | Self::AlertTested { .. }
            | Self::Refused { .. }
            | Self::Removed { .. } => None,
        }
    }
}
