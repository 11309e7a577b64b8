//! A registered client, the life of its secrets, and the proof that one of them was presented.

use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use crate::{ClientId, ClientSlot, KeyId, Lifetime, PlanName, ScopeSet, SecretDigest, SecretId, Timestamp};

/// Live secrets that a client may have at once.
pub const MAX_LIVE_SECRETS: usize = 3;

/// A registered application.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its public id.
    pub id: ClientId,
    /// Its place in memory.
    pub slot: ClientSlot,
    /// What people call it.
    pub name: String,
    /// All that it may be granted.
    pub scopes: ScopeSet,
    /// Its plan; the configuration tells what that means.
    pub plan: PlanName,
    /// A life for its tokens shorter than the environment's.
    pub token_lifetime: Option<Lifetime>,
    /// Whether it may get tokens.
    pub status: ClientStatus,
    /// Counts revocations: a token is good only in the generation in which it was issued.
    pub generation: u32,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Its secrets, retired and expired ones included.
    pub secrets: Vec<Secret>,
}

/// Whether a client may get and use tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientStatus {
    /// It may.
    Active,
    /// It may not, until resumed.
    Suspended,
    /// It is gone; only its old tokens still find it, to be refused.
    Deleted,
}

/// One secret, as far as it is kept.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Its public id.
    pub id: SecretId,
    /// Its keyed digest.
    pub digest: SecretDigest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
    /// When a token was last issued for it.
    pub last_used_at: Option<Timestamp>,
    /// How many tokens were issued for it.
    pub use_count: u64,
    /// When it was seen where secrets do not belong.
    pub exposed_at: Option<Timestamp>,
}

impl Secret {
    /// Whether the secret works at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.retired_at.is_none() && self.expires_at.is_none_or(|expiry| now < expiry)
    }
}

/// Proof that a live secret of a client was presented. Made only by [`Client::authenticate`].
#[derive(Debug)]
pub struct AuthenticatedClient {
    client: Arc<Client>,
    secret: SecretId,
}

/// Nobody, or the wrong secret: there is deliberately no way to tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("client authentication failed")]
pub struct AuthenticationFailure;

impl Client {
    /// Looks for a live secret with one of the presented digests. An unknown client is passed as
    /// `None` and costs the same: always [`MAX_LIVE_SECRETS`] comparisons for each digest, none cut short.
    ///
    /// # Errors
    /// [`AuthenticationFailure`]
    pub fn authenticate(
        client: Option<&Arc<Self>>,
        presented: &[SecretDigest],
        now: Timestamp,
    ) -> Result<AuthenticatedClient, AuthenticationFailure> {
        let nobody = SecretDigest { key: KeyId(u32::MAX), bytes: [0; 32] };
        let secrets = client.map_or(&[][..], |client| &client.secrets[..]);
        let mut live = secrets.iter().filter(|secret| secret.is_live(now));
        let mut found = None;
        for _ in 0..MAX_LIVE_SECRETS {
            let secret = live.next();
            let digest = secret.map_or(&nobody, |secret| &secret.digest);
            for candidate in presented {
                if digest.matches(candidate) {
                    found = secret;
                }
            }
        }
        match (client, found) {
            (Some(client), Some(secret)) => {
                Ok(AuthenticatedClient { client: Arc::clone(client), secret: secret.id.clone() })
            }
            _ => Err(AuthenticationFailure),
        }
    }

    /// How many secrets work at `now`.
    #[must_use]
    pub fn live_secrets(&self, now: Timestamp) -> usize {
        self.secrets.iter().filter(|secret| secret.is_live(now)).count()
    }
}

impl AuthenticatedClient {
    /// Who it is.
    #[must_use]
    pub const fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Which of its secrets was presented.
    #[must_use]
    pub const fn secret(&self) -> &SecretId {
        &self.secret
    }
}
