//! Tokens: listed by client, revoked one by one. All of a client's at once are a change of the client.

use fuuffy_domain::{Cause, Timestamp};
use fuuffy_protocol::AccessToken;
use fuuffy_store::{ListedToken, Part, PartOf, TokenName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::clients;
use crate::deed::{DeedError, Environment};
use crate::roles::May;

/// A token, for operators: never the token itself.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct Shown {
    /// What it is revoked by.
    token_id: String,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    issued_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    scope: String,
}

/// A token that was revoked.
#[derive(Serialize, ToSchema)]
#[schema(as = RevokedToken)]
pub(crate) struct Revoked {
    client_id: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// A token, not verified by anyone yet.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String)]
pub(crate) struct Presented(Zeroizing<String>);

/// Which token to revoke.
#[derive(Deserialize, ToSchema)]
#[schema(as = Revocation)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Revoke {
    /// By itself, as whoever found it would.
    Token(Presented),
    /// By the id that the list shows.
    TokenId(String),
}

impl From<ListedToken> for Shown {
    fn from(token: ListedToken) -> Self {
        Self {
            token_id: format!("tok_{}", token.number),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            scope: token.scope.to_string(),
        }
    }
}

/// A part of a client's live tokens, newest first.
pub(crate) async fn list(environment: &Environment, client: &str, part: PartOf) -> Result<Part<Shown>, DeedError> {
    let client = clients::find(environment, client)?;
    let Part { items, total } = environment.store.list_tokens(client.slot, environment.clock.now(), part).await?;
    Ok(Part { items: items.into_iter().map(Shown::from).collect(), total })
}

/// From the answer on the token is not accepted any more.
pub(crate) async fn revoke(
    environment: &Environment,
    cause: Cause,
    may: &May,
    wanted: Revoke,
) -> Result<Revoked, DeedError> {
    let which = match wanted {
        Revoke::Token(Presented(token)) => {
            let token = AccessToken::parse(token.trim()).ok_or(DeedError::NotFound("token"))?;
            TokenName::Digests(environment.keyring.token_digests(&token).collect())
        }
        Revoke::TokenId(id) => {
            let number = id.strip_prefix("tok_").and_then(|number| number.parse().ok());
            TokenName::Number(number.ok_or(DeedError::NotFound("token"))?)
        }
    };
    let owner = environment.store.owner(which.clone()).await?.ok_or(DeedError::NotFound("token"))?;
    let owner = environment.store.directory().get(owner).ok_or(DeedError::NotFound("token"))?;
    may.reach(&owner.scopes)?;
    let revoked = environment.store.revoke_token(cause, which).await?.ok_or(DeedError::NotFound("token"))?;
    let client = environment.store.directory().get(revoked.client).ok_or(DeedError::NotFound("token"))?;
    tracing::info!(environment = %environment.name, client_id = %client.id, "A token was revoked");
    Ok(Revoked { client_id: client.id.to_string(), expires_at: revoked.expires_at })
}
