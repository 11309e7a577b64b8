//! Operators: the clients that have scopes of operators, by which their programs do what the commands do.

use fuuffy_domain::Cause;
use fuuffy_store::{Part, PartOf};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::clients::{self, Created, Shown};
use crate::configuration::cut;
use crate::deed::{DeedError, Environment};
use crate::once::{Made, OnceOnly};
use crate::roles;

/// An operator to make.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewOperator)]
#[serde(deny_unknown_fields)]
pub(crate) struct Create {
    /// What people call it.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    name: String,
    /// All that it may do: one or more scopes of operators, and others if need be.
    #[schema(
        max_length = 2048,
        pattern = r"^([!#-\[\]-~]+ )*admin:((clients|operators|secrets|tokens):(read|write)|(audit|routes):read)( [!#-\[\]-~]+)*$"
    )]
    scope: String,
    /// A life for its tokens, no longer than the environment's.
    #[schema(pattern = r"^[0-9]{1,6}[smhd]$", example = "15m")]
    token_lifetime: Option<String>,
}

/// Makes a client that is an operator.
pub(crate) async fn create(
    environment: &Environment,
    cause: Cause,
    wanted: Create,
    once: Option<&OnceOnly>,
) -> Result<Made<Created>, DeedError> {
    if !roles::is_operator(&clients::checked_scope(&wanted.scope)?) {
        let known = roles::SCOPES.join(", ");
        return Err(DeedError::Invalid(format!("scope: an operator has one or more of {known}")));
    }
    let Create { name, scope, token_lifetime } = wanted;
    let client = clients::Create {
        client_id: None,
        name,
        scope: Some(scope),
        plan: None,
        limits: None,
        token_lifetime,
        may_rotate: false,
        dpop_bound_access_tokens: false,
        tls_client_certificate_bound_access_tokens: false,
        jwk: None,
        jwks_uri: None,
        identity: None,
        certificate: None,
    };
    clients::create(environment, cause, client, once).await
}

/// A part of the operators, oldest first.
pub(crate) fn list(environment: &Environment, part: PartOf) -> Part<Shown> {
    let operators = environment.store.directory().filter(|client| roles::is_operator(&client.scopes));
    let Part { items, total } = cut(operators, part);
    Part { items: items.iter().map(|client| Shown::new(environment, client)).collect(), total }
}

pub(crate) fn show(environment: &Environment, id: &str) -> Result<Shown, DeedError> {
    let client = clients::find(environment, id)?;
    if !roles::is_operator(&client.scopes) {
        return Err(DeedError::NotFound("operator"));
    }
    Ok(Shown::new(environment, &client))
}
