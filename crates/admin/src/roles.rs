//! Which deed asks for which scope: the one table that the check, the documentation and the tests come from.
//! Whoever has an `admin:` scope is an operator, and only `admin:operators:write` reaches operators.

use std::sync::Arc;

use axum::http::Method;
use fuuffy_domain::{Client, Revision, ScopeSet};

use crate::deed::{DeedError, Environment, client_id};

/// What all scopes of operators begin with. Nothing else may.
const PREFIX: &str = "admin:";

/// The scope that reaches operators.
pub(crate) const OPERATORS: &str = "admin:operators:write";

/// All scopes that an operator can have.
pub const SCOPES: [&str; 13] = [
    "admin:alerts:read",
    "admin:alerts:write",
    "admin:audit:read",
    "admin:clients:read",
    "admin:clients:write",
    "admin:operators:read",
    OPERATORS,
    "admin:routes:read",
    "admin:secrets:read",
    "admin:secrets:write",
    "admin:tokens:read",
    "admin:tokens:write",
    "admin:usage:read",
];

/// What a deed is, and so what besides a scope it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Changes nothing that anybody sees.
    Read,
    /// Makes something, once for each idempotency key.
    Creation,
    /// The same, to a client whose state must have been seen.
    Addition,
    /// Changes a client whose state must have been seen.
    Change,
    /// Takes a token away, whatever the state of its client.
    Revocation,
    /// Is about no client.
    Errand,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Deed {
    /// The method.
    pub method: Method,
    /// The path below `/admin/v1/{environment}`.
    pub path: &'static str,
    /// The scope that it asks for.
    pub scope: &'static str,
    /// What it is.
    pub kind: Kind,
}

const fn deed(method: Method, path: &'static str, scope: &'static str, kind: Kind) -> Deed {
    Deed { method, path, scope, kind }
}

/// The table. What is not in it is not done, whoever asks.
pub static DEEDS: [Deed; 41] = [
    deed(Method::GET, "/alerts", "admin:alerts:read", Kind::Read),
    deed(Method::POST, "/alerts/redeliver", "admin:alerts:write", Kind::Errand),
    deed(Method::POST, "/alerts/test", "admin:alerts:write", Kind::Errand),
    deed(Method::POST, "/alerts/{message}/redeliver", "admin:alerts:write", Kind::Errand),
    deed(Method::GET, "/audit", "admin:audit:read", Kind::Read),
    deed(Method::POST, "/audit/checkpoint", "admin:audit:read", Kind::Read),
    deed(Method::GET, "/clients", "admin:clients:read", Kind::Read),
    deed(Method::POST, "/clients", "admin:clients:write", Kind::Creation),
    deed(Method::GET, "/clients/{client}", "admin:clients:read", Kind::Read),
    deed(Method::PATCH, "/clients/{client}", "admin:clients:write", Kind::Change),
    deed(Method::DELETE, "/clients/{client}", "admin:clients:write", Kind::Change),
    deed(Method::POST, "/clients/{client}/resume", "admin:clients:write", Kind::Change),
    deed(Method::POST, "/clients/{client}/suspend", "admin:clients:write", Kind::Change),
    deed(Method::GET, "/clients/{client}/keys", "admin:secrets:read", Kind::Read),
    deed(Method::POST, "/clients/{client}/keys", "admin:secrets:write", Kind::Addition),
    deed(Method::DELETE, "/clients/{client}/keys/{key}", "admin:secrets:write", Kind::Change),
    deed(Method::GET, "/clients/{client}/identities", "admin:secrets:read", Kind::Read),
    deed(Method::POST, "/clients/{client}/identities", "admin:secrets:write", Kind::Addition),
    deed(Method::DELETE, "/clients/{client}/identities/{identity}", "admin:secrets:write", Kind::Change),
    deed(Method::GET, "/clients/{client}/certificates", "admin:secrets:read", Kind::Read),
    deed(Method::POST, "/clients/{client}/certificates", "admin:secrets:write", Kind::Addition),
    deed(Method::DELETE, "/clients/{client}/certificates/{certificate}", "admin:secrets:write", Kind::Change),
    deed(Method::GET, "/clients/{client}/secrets", "admin:secrets:read", Kind::Read),
    deed(Method::POST, "/clients/{client}/secrets", "admin:secrets:write", Kind::Addition),
    deed(Method::GET, "/clients/{client}/secrets/{secret}", "admin:secrets:read", Kind::Read),
    deed(Method::POST, "/clients/{client}/secrets/{secret}/retire", "admin:secrets:write", Kind::Change),
    deed(Method::GET, "/clients/{client}/tokens", "admin:tokens:read", Kind::Read),
    deed(Method::POST, "/clients/{client}/tokens/revoke", "admin:tokens:write", Kind::Change),
    deed(Method::POST, "/tokens/revoke", "admin:tokens:write", Kind::Revocation),
    deed(Method::GET, "/explanations/{request}", "admin:audit:read", Kind::Read),
    deed(Method::GET, "/operators", "admin:operators:read", Kind::Read),
    deed(Method::POST, "/operators", OPERATORS, Kind::Creation),
    deed(Method::GET, "/operators/{client}", "admin:operators:read", Kind::Read),
    deed(Method::GET, "/plans", "admin:routes:read", Kind::Read),
    deed(Method::GET, "/routes", "admin:routes:read", Kind::Read),
    deed(Method::GET, "/scopes", "admin:routes:read", Kind::Read),
    deed(Method::GET, "/silences", "admin:alerts:read", Kind::Read),
    deed(Method::POST, "/silences", "admin:alerts:write", Kind::Errand),
    deed(Method::DELETE, "/silences/{silence}", "admin:alerts:write", Kind::Errand),
    deed(Method::GET, "/usage", "admin:usage:read", Kind::Read),
    deed(Method::GET, "/usage/tokens", "admin:usage:read", Kind::Read),
];

/// What somebody may do.
#[derive(Debug, Clone)]
pub(crate) enum May {
    /// Whatever there is: a local user who could change the files as well.
    Everything,
    /// What a token's scopes allow.
    Scopes(Arc<ScopeSet>),
}

impl May {
    /// Whether a scope is there.
    ///
    /// # Errors
    /// [`DeedError::Forbidden`]
    pub(crate) fn need(&self, scope: &'static str) -> Result<(), DeedError> {
        match self {
            Self::Everything => Ok(()),
            Self::Scopes(scopes) if scopes.iter().any(|known| known == scope) => Ok(()),
            Self::Scopes(_) => Err(DeedError::Forbidden(scope)),
        }
    }

    /// Whether somebody with these scopes can be reached, or be given them: there is no way up.
    ///
    /// # Errors
    /// [`DeedError::Forbidden`]
    pub(crate) fn reach(&self, scopes: &ScopeSet) -> Result<(), DeedError> {
        if is_operator(scopes) { self.need(OPERATORS) } else { Ok(()) }
    }
}

/// Whether these are an operator's scopes.
pub(crate) fn is_operator(scopes: &ScopeSet) -> bool {
    scopes.iter().any(|scope| scope.starts_with(PREFIX))
}

/// Whether a scope is called as those of operators are, and is none.
pub(crate) fn is_unknown(scope: &str) -> bool {
    scope.starts_with(PREFIX) && !SCOPES.contains(&scope)
}

/// The state of a client that somebody saw before changing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing was said of it.
    Unsaid,
    /// Any will do.
    Any,
    /// This one.
    At(Revision),
    /// One that this server never gave out.
    Foreign,
}

/// A client that may be changed by whoever asked. Made only by [`Target::find`].
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) client: Arc<Client>,
    pub(crate) seen: Option<Revision>,
}

impl Target {
    /// Finds a client, and checks that it can be reached.
    ///
    /// # Errors
    /// There is none, it is an operator and whoever asks may not change those, or it is not what was seen.
    pub(crate) fn find(environment: &Environment, may: &May, seen: Seen, id: &str) -> Result<Self, DeedError> {
        let client = environment.store.directory().find(&client_id(id)?).ok_or(DeedError::NotFound("client"))?;
        may.reach(&client.scopes)?;
        let seen = match (seen, may) {
            // By the time that it has come to that the client may be an operator.
            (Seen::At(revision), _) if revision.0 > client.revision.0 => return Err(DeedError::Stale),
            (Seen::At(revision), _) => Some(revision),
            (Seen::Foreign, _) => return Err(DeedError::Stale),
            (Seen::Unsaid | Seen::Any, May::Everything) => None,
            // It must still be no operator, or one, when the deed is done.
            (Seen::Unsaid | Seen::Any, May::Scopes(_)) => Some(client.revision),
        };
        Ok(Self { client, seen })
    }
}
