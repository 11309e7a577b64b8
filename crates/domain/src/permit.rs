//! From a presented token to the permit that lets one request through.

use std::sync::Arc;

use thiserror::Error;

use crate::{Client, ClientSlot, ClientStatus, RouteMatch, ScopeSet, Timestamp, TokenDigest, TokenUsed};

/// What the token index knows of a token.
#[derive(Debug, Clone)]
pub struct TokenEntry {
    /// Its keyed digest.
    pub digest: TokenDigest,
    /// Whose it is.
    pub client: ClientSlot,
    /// The client's generation in which it was issued.
    pub generation: u32,
    /// What it is good for.
    pub scope: Arc<ScopeSet>,
    /// When its life began.
    pub issued_at: Timestamp,
    /// The first instant at which it is no longer accepted.
    pub expires_at: Timestamp,
}

/// Proof that a token is live and its client active. Made only by [`TokenEntry::verify`].
#[derive(Debug)]
pub struct VerifiedToken {
    client: Arc<Client>,
    scope: Arc<ScopeSet>,
    issued_at: Timestamp,
    token: TokenUsed,
}

/// Why a known token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidToken {
    /// Its life is over.
    #[error("the token expired")]
    Expired,
    /// It was revoked with all tokens of its generation, or its client may not call at all.
    #[error("the token was revoked")]
    Revoked,
}

impl TokenEntry {
    /// The generation of a token that was revoked alone: no client is ever in it.
    pub const REVOKED: u32 = u32::MAX;

    /// Checks the token's life and its client's standing. Revocation is said before expiry.
    ///
    /// # Errors
    /// [`InvalidToken`]
    pub fn verify(self, client: Arc<Client>, now: Timestamp) -> Result<VerifiedToken, InvalidToken> {
        if client.status != ClientStatus::Active || client.generation != self.generation {
            return Err(InvalidToken::Revoked);
        }
        if now >= self.expires_at {
            return Err(InvalidToken::Expired);
        }
        let token = TokenUsed::new(&self.digest, self.expires_at);
        Ok(VerifiedToken { client, scope: self.scope, issued_at: self.issued_at, token })
    }
}

/// Proof that a verified token may use a matched route. Made only by [`VerifiedToken::authorise`].
#[derive(Debug)]
pub struct Permit {
    client: Arc<Client>,
    scope: Arc<ScopeSet>,
    token: TokenUsed,
    route: RouteMatch,
}

/// The route needs scopes that the token lacks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the route needs the scope {needed}")]
pub struct PermitRefusal {
    /// What the route asks for.
    pub needed: ScopeSet,
    /// Who was refused.
    pub client: ClientSlot,
}

impl VerifiedToken {
    /// Checks the token's scopes against the route's for the request's method.
    ///
    /// # Errors
    /// [`PermitRefusal`]
    pub fn authorise(self, route: RouteMatch) -> Result<Permit, PermitRefusal> {
        if !self.scope.covers(route.needed_scope()) {
            return Err(PermitRefusal { needed: route.needed_scope().clone(), client: self.client.slot });
        }
        Ok(Permit { client: self.client, scope: self.scope, token: self.token, route })
    }

    /// Whose token it is.
    #[must_use]
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// What it is good for.
    #[must_use]
    pub const fn scope(&self) -> &Arc<ScopeSet> {
        &self.scope
    }

    /// When its life began.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// The first instant at which it is no longer accepted.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.token.until
    }
}

impl Permit {
    /// Who may.
    #[must_use]
    pub const fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// With what scopes.
    #[must_use]
    pub const fn scope(&self) -> &Arc<ScopeSet> {
        &self.scope
    }

    /// By which token.
    #[must_use]
    pub const fn token(&self) -> TokenUsed {
        self.token
    }

    /// Where to.
    #[must_use]
    pub const fn route(&self) -> &RouteMatch {
        &self.route
    }
}
