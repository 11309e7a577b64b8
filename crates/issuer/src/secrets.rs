//! What a client does about its own secrets: asks for a new one, sees them, and confirms that it has kept one.
//!
//! It proves itself by a secret and never by a token, so that whoever has only found a token gets nothing
//! that lasts. A new secret works at once and is pending until it is confirmed with itself: then the others
//! are to go, each when nobody has used it for a while. At no moment does the client hold nothing that works.

use bytes::Bytes;
use fuuffy_domain::{
    AuthenticatedClient, ClientId, ClientStatus, Lifetime, NoEntropy, Reason, RequestContext, Secret, SecretStatus,
    Timestamp,
};
use fuuffy_protocol::{BodyShape, Credentials, Refusal};
use fuuffy_store::{Changed, Conditions, Creation, NewSecret, SecretChange, StoreError};
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::Issuer;
use crate::authentication::cause;
use crate::reason::Refusing;

/// What is asked for, by the path of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretDeed {
    /// `GET` shows the client's live secrets, `POST` makes a new one.
    ListOrAdd,
    /// `POST`, with the new secret: it is kept.
    Confirm,
}

#[derive(Serialize)]
struct Added {
    secret_id: String,
    client_secret: Zeroizing<String>,
    expires_at: Option<Timestamp>,
}

/// All of them, and beside them whether the client may replace them.
#[derive(Serialize)]
struct AllShown {
    data: Vec<Shown>,
    may_rotate: bool,
}

#[derive(Serialize)]
struct Shown {
    secret_id: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    use_count: u64,
    status: SecretStatus,
    /// Since when it can do nothing but replace itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantined_at: Option<Timestamp>,
    /// Whether the request was authenticated by it.
    presented: bool,
}

#[derive(Serialize)]
struct Confirmed {
    secret_id: String,
    retiring: Vec<String>,
    /// How long nobody must have used those.
    unused_for: String,
}

impl Issuer {
    /// Answers one request of a client about its own secrets. `body` is what reading it met; there need be none.
    pub async fn secrets(
        &self,
        context: &RequestContext,
        parts: &Parts,
        body: Result<Bytes, Refusal>,
        deed: SecretDeed,
    ) -> Response<Bytes> {
        let answered = match body {
            Ok(_) => self.do_secret_deed(context, parts, deed).await,
            Err(refusal) => Err(refusal.into()),
        };
        answered.unwrap_or_else(|Refusing { refusal, reason }| {
            self.note_refused_for(context, parts, &refusal, reason);
            tracing::debug!(request_id = %context.id, code = refusal.code(), "A request about secrets was refused");
            refusal.to_response(BodyShape::Guide)
        })
    }

    /// Counts a refusal of a request that bears a secret by Basic, and keeps its reason.
    pub fn note_refused(&self, context: &RequestContext, parts: &Parts, refusal: &Refusal) {
        self.note_refused_for(context, parts, refusal, None);
    }

    /// The same, for a reason that is known already, if one is.
    fn note_refused_for(&self, context: &RequestContext, parts: &Parts, refusal: &Refusal, known: Option<Reason>) {
        self.refusals().note(refusal);
        let claimed = Credentials::parse_basic(&parts.headers).ok();
        let reason = claimed.map(|claimed| {
            let (client, reason) = self.reason(context, &claimed, refusal);
            (client, known.unwrap_or(reason))
        });
        self.explain(context, parts, refusal, reason);
    }

    async fn do_secret_deed(
        &self,
        context: &RequestContext,
        parts: &Parts,
        deed: SecretDeed,
    ) -> Result<Response<Bytes>, Refusing> {
        match (deed, &parts.method) {
            (SecretDeed::ListOrAdd, &Method::GET) => {
                let client = self.presented(context, parts).await?;
                let shown =
                    AllShown { data: live_secrets(&client, context.now), may_rotate: client.client().may_rotate };
                Ok(in_json(StatusCode::OK, &shown))
            }
            (SecretDeed::ListOrAdd, &Method::POST) => {
                let client = self.rotator(context, parts).await?;
                Ok(answer(StatusCode::CREATED, &self.add_secret(context, &client).await?))
            }
            (SecretDeed::Confirm, &Method::POST) => {
                let client = self.rotator(context, parts).await?;
                Ok(answer(StatusCode::OK, &self.confirm_secret(context, &client).await?))
            }
            (SecretDeed::ListOrAdd, _) => Err(Refusal::MethodNotAllowed("GET, POST").into()),
            (SecretDeed::Confirm, _) => Err(Refusal::MethodNotAllowed("POST").into()),
        }
    }

    /// Whose secret a request bears by Basic, be the client suspended or not; a secret that is quarantined says nothing.
    ///
    /// # Errors
    /// As for a token request.
    pub async fn client_of(&self, context: &RequestContext, headers: &HeaderMap) -> Result<ClientId, Refusal> {
        let client = self.in_turn(self.authenticate(context, &Credentials::parse_basic(headers)?)).await?;
        if client.quarantined().is_some() {
            return Err(Refusal::SecretQuarantined);
        }
        Ok(client.client().id.clone())
    }

    async fn presented(&self, context: &RequestContext, parts: &Parts) -> Result<AuthenticatedClient, Refusal> {
        let client = self.in_turn(self.authenticate(context, &Credentials::parse_basic(&parts.headers)?)).await?;
        if client.client().status != ClientStatus::Active {
            return Err(Refusal::UnauthorizedClient);
        }
        Ok(client)
    }

    /// A client that may rotate its secrets by itself.
    async fn rotator(&self, context: &RequestContext, parts: &Parts) -> Result<AuthenticatedClient, Refusal> {
        let client = self.presented(context, parts).await?;
        if !client.client().may_rotate {
            return Err(Refusal::UnauthorizedClient);
        }
        Ok(client)
    }

    async fn add_secret(&self, context: &RequestContext, known: &AuthenticatedClient) -> Result<Added, Refusing> {
        let made = self.keyring.new_secret(self.stage.name(), &*self.entropy);
        let (clear, id, digest) = made.map_err(|NoEntropy| Refusal::ServiceUnavailable(1))?;
        // A secret that was given a life hands it on.
        let life = |secret: &Secret| Some(context.now.after(secret.expires_at?.since(secret.created_at)));
        let expires_at = presented_secret(known).and_then(life);
        // This is asked for by a secret alone.
        let made_by = Some(known.secret().cloned().ok_or(Refusal::InvalidClient(None))?);
        let new = NewSecret { id: id.clone(), digest, created_at: context.now, expires_at, made_by };
        let client = known.client().id.clone();
        let added = self.store.add_secret(cause(context, known), client, new, Conditions::default()).await;
        match added? {
            Creation::Done(client) => {
                tracing::info!(client_id = %client.id, secret_id = %id, "A client made itself a secret");
                let client_secret = Zeroizing::new(clear.reveal().to_owned());
                Ok(Added { secret_id: id.to_string(), client_secret, expires_at })
            }
            Creation::TooMany => Err(Refusal::TooManySecrets.into()),
            Creation::Stale | Creation::Before(_) | Creation::Taken | Creation::NoClient => {
                Err(StoreError::Superseded.into())
            }
        }
    }

    /// Confirming again changes nothing.
    async fn confirm_secret(
        &self,
        context: &RequestContext,
        known: &AuthenticatedClient,
    ) -> Result<Confirmed, Refusing> {
        let unused_for = self.quiet_of(known);
        // This is asked for by a secret alone.
        let secret = known.secret().cloned().ok_or(Refusal::InvalidClient(None))?;
        let of = (known.client().id.clone(), secret.clone());
        let change = SecretChange::Confirm(unused_for.duration());
        let changed = self.store.change_secret(cause(context, known), of, None, change).await;
        let Changed::Done(client) = changed? else {
            return Err(StoreError::Superseded.into());
        };
        tracing::info!(client_id = %client.id, secret_id = %secret, "A client confirmed its secret");
        let retiring = client.secrets.iter().filter(|secret| secret.status(context.now) == SecretStatus::Retiring);
        Ok(Confirmed {
            secret_id: secret.to_string(),
            retiring: retiring.map(|secret| secret.id.to_string()).collect(),
            unused_for: unused_for.to_string(),
        })
    }

    /// After two lives of a token every program that runs has asked for another.
    fn quiet_of(&self, known: &AuthenticatedClient) -> Lifetime {
        let life = known.client().token_lifetime.unwrap_or(self.token_lifetime).min(self.token_lifetime);
        let two_lives = Lifetime::from_seconds(life.seconds().saturating_mul(2)).unwrap_or(life);
        self.retire_unused_after.max(two_lives)
    }
}

fn presented_secret(known: &AuthenticatedClient) -> Option<&Secret> {
    known.client().secrets.iter().find(|secret| Some(&secret.id) == known.secret())
}

fn live_secrets(known: &AuthenticatedClient, now: Timestamp) -> Vec<Shown> {
    let live = known.client().secrets.iter().filter(|secret| secret.is_live(now));
    let shown = |secret: &Secret| Shown {
        secret_id: secret.id.to_string(),
        created_at: secret.created_at,
        expires_at: secret.expires_at,
        last_used_at: secret.last_use.as_ref().map(|last| last.at),
        use_count: secret.use_count,
        status: secret.status(now),
        quarantined_at: secret.quarantined_at,
        presented: Some(&secret.id) == known.secret(),
    };
    live.map(shown).collect()
}

fn answer(status: StatusCode, data: &impl Serialize) -> Response<Bytes> {
    #[derive(Serialize)]
    struct Data<'a, T> {
        data: &'a T,
    }
    in_json(status, &Data { data })
}

fn in_json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(serde_json::to_vec(body).unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
