//! What is beneath the client: something that sends one HTTP request. It decides nothing.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::{Request, Response};

use crate::{Body, BoxFuture, TlsFault};

/// Sends HTTP requests. It must not follow redirects, for a secret or a token would go along.
pub trait HttpClient: Send + Sync + 'static {
    /// Sends one request and answers with the head of its response; the body may still be on its way.
    ///
    /// # Errors
    /// There was no response.
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>>;
}

/// There was no response. What it says never has a secret in it, since it has nothing of the request.
#[derive(Debug)]
pub struct TransportError {
    stage: Stage,
    source: Box<dyn StdError + Send + Sync>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connect,
    Tls(TlsFault),
    Stale,
    Exchange,
    TimedOut,
}

impl TransportError {
    /// There was no connection: nothing was sent, so sending it again is safe.
    pub fn connect(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { stage: Stage::Connect, source: source.into() }
    }

    /// TLS came to nothing: nothing was sent, and sending it again would change nothing.
    pub fn tls(fault: TlsFault, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { stage: Stage::Tls(fault), source: source.into() }
    }

    /// A connection that had served before was closed as the request set out. Most likely it was closed for
    /// being idle, so a request that is idempotent is sent again (RFC 9112 §9.3.1).
    pub fn stale(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { stage: Stage::Stale, source: source.into() }
    }

    /// The connection broke off; nobody knows how far the request came.
    pub fn exchange(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { stage: Stage::Exchange, source: source.into() }
    }

    /// The answer did not come in time; nobody knows how far the request came.
    pub fn timed_out(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { stage: Stage::TimedOut, source: source.into() }
    }

    /// What it came from.
    pub(crate) fn into_source(self) -> Arc<dyn StdError + Send + Sync> {
        self.source.into()
    }

    /// Whether there was no connection, though there may be one soon.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.stage == Stage::Connect
    }

    /// What was wrong with the server's end of TLS, if that was it.
    #[must_use]
    pub fn tls_fault(&self) -> Option<TlsFault> {
        match self.stage {
            Stage::Tls(fault) => Some(fault),
            _ => None,
        }
    }

    /// Whether it was a kept connection that had been closed meanwhile.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stage == Stage::Stale
    }

    /// Whether time ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.stage == Stage::TimedOut
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Connect => "no connection",
            Stage::Tls(fault) => return write!(f, "no connection, for {fault}"),
            Stage::Stale | Stage::Exchange => "the connection broke off",
            Stage::TimedOut => "no answer in time",
        })
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
