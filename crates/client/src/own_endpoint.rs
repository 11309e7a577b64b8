//! What a client asks of the server about itself: which secrets it has, another one, that it is kept, and why a
//! request of its own was refused. It proves itself by a secret (HTTP Basic, RFC 6749 §2.3.1), for a token may have
//! been found by anybody, and a client that is suspended has none.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fuuffy_protocol::ClientSecret;
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::credentials::{CredentialSource, Credentials};
use crate::decide::{LiveSecret, Stage};
use crate::exchange::{Exchange, Granted};
use crate::{BaseUrl, Body, Data, ESCAPED, Error};

/// What is asked, as errors name it, and the status that grants it.
const STANDING: (&str, StatusCode) = ("asking which secrets there are", StatusCode::OK);
const ANOTHER: (&str, StatusCode) = ("asking for another secret", StatusCode::CREATED);
const EXPLANATION: (&str, StatusCode) = ("asking why a request was refused", StatusCode::OK);
const CONFIRMATION: (&str, StatusCode) = ("confirming the new secret", StatusCode::OK);

/// Where a client asks.
pub(crate) struct OwnEndpoint {
    exchange: Arc<Exchange>,
    credentials: Arc<dyn CredentialSource>,
    base_url: BaseUrl,
    secrets: Uri,
    confirm: Uri,
}

/// The secret that a request bore, and what time it is for the server.
pub(crate) struct Standing {
    pub(crate) secret: LiveSecret,
    pub(crate) now: SystemTime,
    /// Whether the client may replace it.
    pub(crate) may_replace: bool,
}

/// What became of the client's secrets when one was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmed {
    /// The secret that is kept.
    pub secret_id: String,
    /// Those that work until nobody uses them.
    pub retiring: Vec<String>,
    /// For how long nobody must have used those.
    pub unused_for: Duration,
}

/// The client's secrets, and beside them what it may do about them.
#[derive(Deserialize)]
struct AllShown {
    data: Vec<Shown>,
    #[serde(default = "yes")]
    may_rotate: bool,
}

/// A server that does not tell is asked.
const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Shown {
    secret_id: String,
    created_at: Moment,
    expires_at: Option<Moment>,
    status: String,
    presented: bool,
}

/// A time, as in `2026-11-26T08:00:00.000Z` (RFC 3339).
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Moment(SystemTime);

#[derive(Deserialize)]
struct Added {
    client_secret: Zeroizing<String>,
}

#[derive(Deserialize)]
struct Kept {
    secret_id: String,
    retiring: Vec<String>,
    unused_for: String,
}

impl OwnEndpoint {
    /// Below a base URL.
    pub(crate) fn at(
        base_url: &BaseUrl,
        exchange: Arc<Exchange>,
        credentials: Arc<dyn CredentialSource>,
    ) -> Result<Self, Error> {
        Ok(Self {
            exchange,
            credentials,
            base_url: base_url.clone(),
            secrets: base_url.join("/auth/secrets")?,
            confirm: base_url.join("/auth/secrets/confirm")?,
        })
    }

    /// How the secret stands that is presented.
    pub(crate) async fn standing(&self, credentials: &Credentials) -> Result<Standing, Error> {
        let answer = self.ask(STANDING, Method::GET, &self.secrets, credentials).await?;
        let AllShown { data, may_rotate } = parse(&answer)?;
        let presented = data.into_iter().find(|shown| shown.presented);
        let presented = presented.ok_or_else(|| answer.wrong("it does not say which secret was presented"))?;
        let stage = match presented.status.as_str() {
            "live" => Stage::Live,
            "pending" => Stage::Pending,
            "retiring" => Stage::Retiring,
            _ => return Err(answer.wrong("a secret has a status that is not known here")),
        };
        let secret = LiveSecret {
            secret_id: presented.secret_id,
            created_at: presented.created_at.0,
            expires_at: presented.expires_at.map(|end| end.0),
            stage,
        };
        // The secret's age is told by the calendar that it was made by.
        let now = answer.head().date().unwrap_or_else(|| self.exchange.clock().wall());
        Ok(Standing { secret, now, may_replace: may_rotate })
    }

    /// Another secret, which works at once.
    pub(crate) async fn add(&self, credentials: &Credentials) -> Result<ClientSecret, Error> {
        let answer = self.ask(ANOTHER, Method::POST, &self.secrets, credentials).await?;
        let added: Added = data(&answer)?;
        if added.client_secret.is_empty() || added.client_secret.contains(['\r', '\n', '\0']) {
            return Err(answer.wrong("its secret is none"));
        }
        Ok(ClientSecret::presented(&added.client_secret))
    }

    /// The secret that is presented is kept: the others are to go.
    pub(crate) async fn confirm(&self, credentials: &Credentials) -> Result<Confirmed, Error> {
        let answer = self.ask(CONFIRMATION, Method::POST, &self.confirm, credentials).await?;
        let Kept { secret_id, retiring, unused_for } = data(&answer)?;
        let seconds = unused_for.strip_suffix('s').and_then(|seconds| seconds.parse().ok());
        let unused_for = seconds.map(Duration::from_secs);
        let unused_for = unused_for.ok_or_else(|| answer.wrong("it does not say when the old secrets go"))?;
        Ok(Confirmed { secret_id, retiring, unused_for })
    }

    /// Why a request was refused, if that is kept and was this client's.
    pub(crate) async fn explanation(&self, request: &str) -> Result<Option<Value>, Error> {
        let credentials = self.credentials.read().await?;
        let url = self.base_url.join(&format!("/auth/explanations/{}", utf8_percent_encode(request, ESCAPED)))?;
        match self.ask(EXPLANATION, Method::GET, &url, &credentials).await {
            Ok(answer) => data(&answer).map(Some),
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) && error.code().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn ask(
        &self,
        (what, by): (&'static str, StatusCode),
        method: Method,
        url: &Uri,
        credentials: &Credentials,
    ) -> Result<Granted, Error> {
        let request = Request::builder()
            .method(method)
            .uri(url.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, basic(credentials)?)
            .body(Body::empty())
            .map_err(|_| Error::configuration("the base URL makes no request"))?;
        self.exchange.send(what, request, by).await
    }
}

impl TryFrom<String> for Moment {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        let millis = text.parse::<jiff::Timestamp>()?.as_millisecond();
        // Before 1970 there were no secrets.
        let since = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
        Ok(Self(SystemTime::UNIX_EPOCH + since))
    }
}

fn data<T: DeserializeOwned>(answer: &Granted) -> Result<T, Error> {
    parse::<Data<T>>(answer).map(|parsed| parsed.data)
}

/// What serde says of a mistake may quote what it read.
fn parse<T: DeserializeOwned>(answer: &Granted) -> Result<T, Error> {
    serde_json::from_slice(&answer.body).map_err(|_| answer.wrong("it is not what such an answer looks like"))
}

/// `Basic …`, wiped when it was sent.
fn basic(credentials: &Credentials) -> Result<HeaderValue, Error> {
    let (id, secret) = (&credentials.client_id, credentials.secret()?.reveal());
    // Room for all of it: growing would leave copies behind unwiped.
    let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
    pair.extend(utf8_percent_encode(id, ESCAPED));
    pair.push(':');
    pair.extend(utf8_percent_encode(secret, ESCAPED));
    let mut field = Zeroizing::new(String::with_capacity(16 + pair.len() / 3 * 4 + 4));
    field.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut field);
    let field = Bytes::from_owner(Zeroizing::new(field.as_bytes().to_vec()));
    let mut value = HeaderValue::from_maybe_shared(field)
        .map_err(|_| Error::credentials("the client's id or its secret has characters that none has"))?;
    value.set_sensitive(true);
    Ok(value)
}
