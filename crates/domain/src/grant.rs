//! From an authenticated client to an approved grant (RFC 6749 §4.4).

use thiserror::Error;

use crate::{
    AuthenticatedClient, Binding, BindingKind, Client, ClientStatus, Lifetime, ScopeSet, SecretDigest, SecretId,
};

/// Proof that a client may have a token, with what it will say. Made only by
/// [`AuthenticatedClient::approve`].
#[derive(Debug)]
pub struct ApprovedGrant {
    client: AuthenticatedClient,
    scope: ScopeSet,
    lifetime: Lifetime,
    narrowed_or_widened: bool,
    binding: Option<Binding>,
}

/// Why an authenticated client gets no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GrantRefusal {
    /// The client is suspended.
    #[error("the client is suspended")]
    Suspended,
    /// The secret can do nothing but replace itself.
    #[error("the secret is quarantined")]
    Quarantined,
    /// It asked for a scope that it does not have.
    #[error("the client does not have the scope it asked for")]
    Scope,
    /// Its tokens are bound to a key of this kind always, and it has shown none.
    #[error("the client's tokens must be bound to a key")]
    Unbound(BindingKind),
}

impl AuthenticatedClient {
    /// Approves the scope asked for, or all that the client has where it asked for none. The life of
    /// the token is the environment's or the client's, whichever is shorter. It will be bound to `binding`, if there is one.
    ///
    /// # Errors
    /// [`GrantRefusal`]
    pub fn approve(
        self,
        requested: Option<ScopeSet>,
        longest: Lifetime,
        binding: Option<Binding>,
    ) -> Result<ApprovedGrant, GrantRefusal> {
        let client = self.client();
        if client.status != ClientStatus::Active {
            return Err(GrantRefusal::Suspended);
        }
        if self.quarantined().is_some() {
            return Err(GrantRefusal::Quarantined);
        }
        if let Some(kind) = client.must_bind.filter(|kind| binding.map(|binding| binding.kind()) != Some(*kind)) {
            return Err(GrantRefusal::Unbound(kind));
        }
        let lifetime = client.token_lifetime.map_or(longest, |own| own.min(longest));
        let scope = match &requested {
            None => client.scopes.clone(),
            Some(requested) if client.scopes.covers(requested) => requested.clone(),
            Some(_) => return Err(GrantRefusal::Scope),
        };
        let narrowed_or_widened = requested.is_some_and(|requested| requested != scope);
        Ok(ApprovedGrant { client: self, scope, lifetime, narrowed_or_widened, binding })
    }
}

impl ApprovedGrant {
    /// Who gets the token.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.client.client()
    }

    /// The secret that it was asked with, if it was one.
    #[must_use]
    pub const fn secret(&self) -> Option<&SecretId> {
        self.client.secret()
    }

    /// Whether the client, as it is now, can still be known by what it was known by: that was not taken away meanwhile. Of what
    /// a client publishes elsewhere nothing is known here.
    #[must_use]
    pub fn is_still_proven(&self, now: &Client) -> bool {
        match (self.client.secret(), self.client.key(), self.client.identity(), self.client.certificate()) {
            (Some(secret), ..) => now.secrets.iter().any(|it| it.id == *secret && it.retired_at.is_none()),
            (_, Some(key), ..) => now.jwks_uri.is_some() || now.keys.iter().any(|it| it.id == *key),
            (_, _, Some(identity), _) => now.identities.iter().any(|it| it.id == *identity),
            (.., Some(certificate)) => now.certificates.iter().any(|it| it.id == *certificate),
            (None, None, None, None) => false,
        }
    }

    /// That secret's digest under the current key, if it is kept under an older one.
    #[must_use]
    pub const fn rekeyed(&self) -> Option<SecretDigest> {
        self.client.rekeyed()
    }

    /// What the token will be good for.
    #[must_use]
    pub const fn scope(&self) -> &ScopeSet {
        &self.scope
    }

    /// The scope to name in the answer: only where it differs from the one asked for.
    #[must_use]
    pub fn scope_to_report(&self) -> Option<ScopeSet> {
        self.narrowed_or_widened.then(|| self.scope.clone())
    }

    /// The key that the token will be bound to, if it is to one.
    #[must_use]
    pub const fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// How long the token will live.
    #[must_use]
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }
}
