//! From a presented token to the permit that lets one request through.

use std::sync::Arc;

use fuuffy_protocol::TokenType;
use thiserror::Error;

use crate::{
    Binding, Client, ClientSlot, ClientStatus, PresentedCertificate, ProvenKey, RouteMatch, ScopeSet, Timestamp,
    TokenDigest, TokenUsed,
};

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
    /// The key without which it is not accepted, if it is bound to one.
    pub binding: Option<Binding>,
}

/// Proof that a token is live and its client active. Made only by [`TokenEntry::verify`].
#[derive(Debug)]
pub struct VerifiedToken {
    client: Arc<Client>,
    scope: Arc<ScopeSet>,
    issued_at: Timestamp,
    token: TokenUsed,
    binding: Option<Binding>,
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
        Ok(VerifiedToken { client, scope: self.scope, issued_at: self.issued_at, token, binding: self.binding })
    }
}

/// What a request shows of who sends it, besides the token.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// Nothing: whoever has the token may use it (RFC 6750 §1.2).
    Nothing,
    /// That the sender holds a key (RFC 9449 §7.1).
    Key(&'a ProvenKey),
    /// That the sender holds the key of a certificate (RFC 8705 §3).
    Certificate(&'a PresentedCertificate),
}

/// Proof that a verified token is presented by whoever it was issued to, as far as it is bound to a key. Made only by
/// [`VerifiedToken::held`].
#[derive(Debug)]
pub struct HeldToken(VerifiedToken);

/// Why a live token is not accepted from whoever presents it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotHeld {
    /// It is bound to a key, and nothing shows that the sender holds any.
    #[error("the token is bound to a key, and no key was proven")]
    Unproven,
    /// It is bound to another key.
    #[error("the token is bound to another key")]
    OtherKey,
    /// It is bound to a certificate, and none was shown.
    #[error("the token is bound to a certificate, and none was shown")]
    NoCertificate,
    /// It is bound to another certificate.
    #[error("the token is bound to another certificate")]
    OtherCertificate,
    /// It is bound to none: what comes with a proof is no bearer token (RFC 9449 §7.1).
    #[error("the token is bound to no key")]
    Unbound,
}

/// Proof that a held token may use a matched route. Made only by [`HeldToken::authorise`].
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
    /// How the token is used that was refused.
    pub token_type: TokenType,
}

impl HeldToken {
    /// Checks the token's scopes against the route's for the request's method.
    ///
    /// # Errors
    /// [`PermitRefusal`]
    pub fn authorise(self, route: RouteMatch) -> Result<Permit, PermitRefusal> {
        if !self.0.scope.covers(route.needed_scope()) {
            let token_type = self.0.binding.map_or(TokenType::Bearer, |binding| binding.token_type());
            let (needed, client) = (route.needed_scope().clone(), self.0.client.slot);
            return Err(PermitRefusal { needed, client, token_type });
        }
        let VerifiedToken { client, scope, token, .. } = self.0;
        Ok(Permit { client, scope, token, route })
    }

    /// Whose token it is.
    #[must_use]
    pub const fn client(&self) -> &Arc<Client> {
        &self.0.client
    }
}

impl VerifiedToken {
    /// Checks that the token is presented by whoever holds the key that it is bound to, and is bound to none where none
    /// is shown.
    ///
    /// # Errors
    /// [`NotHeld`]
    pub fn held(self, shown: Shown<'_>) -> Result<HeldToken, NotHeld> {
        match (&self.binding, shown) {
            // A bearer token may come over any connection.
            (None, Shown::Nothing | Shown::Certificate(_)) => Ok(HeldToken(self)),
            (None, Shown::Key(_)) => Err(NotHeld::Unbound),
            (Some(binding), Shown::Certificate(shown)) if binding.is_certificate(shown) => Ok(HeldToken(self)),
            (Some(Binding::Certificate(_)), Shown::Certificate(_)) => Err(NotHeld::OtherCertificate),
            (Some(Binding::Certificate(_)), Shown::Nothing) => Err(NotHeld::NoCertificate),
            (Some(Binding::DpopKey(_)), Shown::Nothing | Shown::Certificate(_)) => Err(NotHeld::Unproven),
            (Some(binding), Shown::Key(key)) if binding.is_of(key) => Ok(HeldToken(self)),
            (Some(_), Shown::Key(_)) => Err(NotHeld::OtherKey),
        }
    }

    /// The key that it is bound to, if it is to one.
    #[must_use]
    pub const fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
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
