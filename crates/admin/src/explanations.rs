//! Why a request was refused, in words: what is kept of the refusal, and what the audit log knows besides.

use std::net::IpAddr;

use fuuffy_domain::{Audience, ClientId, EnvironmentName, Reason, Refused, RequestId, Timestamp};
use fuuffy_store::Lost;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::deed::{DeedError, Environment};

/// A refusal, explained.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
pub struct Explanation {
    request_id: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = String)]
    environment: EnvironmentName,
    /// Whose request it was, if that is known.
    #[schema(required = true)]
    client_id: Option<String>,
    #[schema(value_type = String)]
    peer: IpAddr,
    method: String,
    path: String,
    status: u16,
    code: String,
    /// What happened.
    happened: String,
    /// What to do.
    advice: String,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// An operator, who may see all.
    Operator,
    /// A client, which may see what was refused to itself.
    Client(ClientId),
}

impl Reader {
    fn may_see(&self, refused: &Refused) -> bool {
        match self {
            Self::Operator => true,
            Self::Client(client) => refused.client.as_ref() == Some(client),
        }
    }

    const fn audience(&self) -> Audience {
        match self {
            Self::Operator => Audience::Operator,
            Self::Client(_) => Audience::Client,
        }
    }
}

/// The explanation of a request's refusal, for whoever may see it.
///
/// # Errors
/// There is none, or what is kept cannot be read.
pub async fn explain(environment: &Environment, request: &str, reader: &Reader) -> Result<Explanation, DeedError> {
    let request = RequestId::parse(request).ok_or(DeedError::NotFound("explanation"))?;
    let refused = environment
        .explanations
        .find(request, environment.clock.now())
        .await?
        .filter(|refused| reader.may_see(refused));
    let refused = refused.ok_or(DeedError::NotFound("explanation"))?;
    let (mut happened, advice) = (refused.happened(reader.audience()), refused.advice(reader.audience()));
    if let Some(by) = taken_by(environment, &refused).await? {
        happened.push_str(&by);
    }
    Ok(Explanation {
        request_id: request.to_string(),
        at: refused.at,
        environment: environment.name,
        client_id: refused.client.as_ref().map(ToString::to_string),
        peer: refused.peer,
        happened,
        advice,
        method: refused.method,
        path: refused.path,
        status: refused.status,
        code: refused.code,
    })
}

/// Who took away what the refused request rested on, when and why; that nobody knows, where the audit log does not
/// say for sure; and nothing, where nothing was taken away.
async fn taken_by(environment: &Environment, refused: &Refused) -> Result<Option<String>, DeedError> {
    #[derive(Deserialize)]
    struct Record {
        at: String,
        actor: Actor,
        why: Option<String>,
    }
    #[derive(Deserialize)]
    struct Actor {
        kind: String,
        client_id: Option<String>,
        uid: Option<u32>,
    }
    let lost = match &refused.reason {
        Reason::TokenRevoked { expires_at } => Lost::Token { expires_at: Timestamp::from_unix_millis(*expires_at) },
        Reason::TokensRevoked { generation } => Lost::Tokens { generation: *generation },
        Reason::ClientStopped { generation } | Reason::ClientSuspended { generation } => {
            Lost::Standing { generation: *generation }
        }
        Reason::SecretRetired { secret_id } => Lost::Secret(secret_id.clone()),
        Reason::SecretQuarantined { secret_id } => Lost::UseOfSecret(secret_id.clone()),
        _ => return Ok(None),
    };
    let row = match &refused.client {
        Some(client) => environment.store.deed_behind(client.clone(), lost).await?,
        None => None,
    };
    let Some(Record { at, actor, why }) = row.and_then(|row| serde_json::from_str(&row.record).ok()) else {
        return Ok(Some("; by whom is not known".to_owned()));
    };
    let who = match (actor.kind.as_str(), actor.client_id, actor.uid) {
        ("operator", Some(client), _) => format!("the operator {client}"),
        ("client", ..) => "the client itself".to_owned(),
        ("server", ..) => "the server, as it was set to".to_owned(),
        (_, _, Some(uid)) => format!("the local user {uid}"),
        _ => "somebody".to_owned(),
    };
    let why = why.map(|why| format!(", because: {why}")).unwrap_or_default();
    Ok(Some(format!("; by {who} at {at}{why}")))
}
