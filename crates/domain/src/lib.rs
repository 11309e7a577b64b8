//! What the product believes: ids, time, clients and the life of their secrets, scopes, plans and
//! the arithmetic of their limits, routes, the permit that lets one request through, and drills.
//!
//! Pure: no async, no I/O, no system clock. Proofs are types with private constructors, made here and
//! only here: [`AuthenticatedClient`], [`ProvenKey`], [`ApprovedGrant`], [`VerifiedToken`], [`HeldToken`], [`Permit`].

mod assertion_fault;
mod audit;
mod binding;
mod certificate;
mod certificate_fault;
mod chain;
mod checkpoint;
mod client;
mod client_certificate;
mod client_key;
mod context;
mod distinguished_name;
mod dpop;
mod drill;
mod environment;
mod explanation;
mod grant;
mod identity;
mod identity_fault;
mod ids;
mod key_set_fault;
mod keyring;
mod leak;
mod limit;
mod permit;
mod random;
mod refusals;
mod retirement;
mod route;
mod seal;
mod sightings;
mod stage;
mod tally;
mod tampering;
mod time;
mod trace;
mod unusual;
mod usage;

pub use assertion_fault::AssertionFault;
pub use audit::{AUDIT_START, Actor, AuditEvent, AuditHash, Cause, MemberChange, audit_hash, audit_record};
pub use binding::{Binding, BindingKind, ProvenKey, Thumbprint};
pub use certificate::{AlternativeName, Presented, PresentedCertificate, ReadCertificate};
pub use certificate_fault::CertificateFault;
pub use chain::{AuditChain, Beginning, CHECKPOINT_EVERY, Proof};
pub use checkpoint::{AuditKeys, AuditPublicKey, ChainState, Checkpoint, from_hex, to_hex};
pub use client::{
    AuthenticatedClient, AuthenticationFailure, Client, ClientChange, ClientPatch, ClientStatus, IN_FLIGHT, LastUse,
    MAX_LIVE_SECRETS, REMINDERS, Retiring, Revision, Secret, SecretStatus,
};
pub use client_certificate::{
    CertificateName, CertificateNameFault, CertificateRule, ClientCertificate, MAX_CERTIFICATES, NotKnown,
};
pub use client_key::{ClientKey, KeyAlgorithm, MAX_CLIENT_KEYS, SignatureFailure};
pub use context::RequestContext;
pub use distinguished_name::{DistinguishedName, DistinguishedNameFault};
pub use dpop::{AHEAD, BEHIND, KEPT, MOST_USED, NonceUse, ProofRefusal, Proofs, Proving, UsedProof};
pub use drill::{Drill, DrillEffect, DrillFault, DrillKind, MetDrill, PendingDrill};
pub use environment::EnvironmentName;
pub use explanation::{Audience, Reason, Refused, StoreProblem, UpstreamProblem, shown};
pub use fuuffy_protocol::ScopeSet;
pub use grant::{ApprovedGrant, GrantRefusal};
pub use identity::{ClaimRules, ClaimRulesFault, Identity, MAX_IDENTITIES, TrustedIssuer};
pub use identity_fault::IdentityFault;
pub use ids::{
    CertificateId, ClientId, ClientKeyId, ClientSlot, IdFault, IdentityId, KeyId, MessageId, PlanName, RequestId,
    SecretId, SilenceId,
};
pub use key_set_fault::KeySetFault;
pub use keyring::{AnswerKey, Keyring, KeyringFault, SecretDigest, SigningSeeds, TokenDigest, key_fingerprint};
pub use leak::{Grade, LeakGrades, LeakPlace};
pub use limit::{Limit, LimitFault, LimitState, Limits, LimitsFault, Plan, Standing, Verdict};
pub use permit::{HeldToken, InvalidToken, NotHeld, Permit, PermitRefusal, Shown, TokenEntry, VerifiedToken};
pub use random::{Entropy, NoEntropy, SeededEntropy};
pub use refusals::{REFUSAL_CODES, RefusalCounts};
pub use retirement::Retirement;
pub use route::{AmbiguousPath, MatchedPath, Route, RouteFault, RouteMatch, RouteTable};
pub use seal::Seal;
pub use sightings::{PathKey, Seen, Sighting, TokenUsed};
pub use stage::{Drills, Stage, TooManyDrills};
pub use tally::{Call, ClientTally, Counted, Minute, Mover, Tally};
pub use tampering::Tampering;
pub use time::{Clock, Lifetime, LifetimeFault, ManualTime, SteadyClock, TimeSource, Timestamp};
pub use trace::{SpanId, TraceId, TraceParent};
pub use unusual::{
    Alert, AlertKind, Change, Direction, ForeignBytes, History, Kept, Measure, Network, Networks, RefusedPaths, Sample,
    Scan, Severity, Silence, Subject, TokenUse, old_secret, secret_near_its_end,
};
pub use usage::{Ended, Latency, Usage};
