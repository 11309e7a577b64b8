//! What can go wrong, told so that a person knows what to do and a program whether to try again.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_protocol::Refused;
use http::StatusCode;

use crate::http_client::TransportError;

/// Why there is no result. Cheap to clone, for one failure may be many callers'. Never has a secret or a
/// token in it.
#[derive(Clone)]
pub struct Error(Arc<Fault>);

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The client was set up wrongly; nothing was sent.
    Configuration,
    /// The secret could not be had.
    Credentials,
    /// The secret is where no program can replace it: a person must.
    Unwritable,
    /// There was no answer.
    Transport,
    /// The server could not show who it is, or does not speak TLS; nothing was sent.
    Tls,
    /// The answer did not come in time.
    Timeout,
    /// There was an answer, but not what it should be.
    Answer,
    /// The server refused.
    Refused,
    /// The server asked for patience, for longer than the caller has.
    Held,
}

#[derive(Debug, Clone)]
struct Fault {
    kind: ErrorKind,
    message: String,
    status: Option<StatusCode>,
    refused: Option<Refused>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    is_about_token: bool,
}

impl Fault {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            kind,
            message,
            status: None,
            refused: None,
            request_id: None,
            retry_after: None,
            source: None,
            is_about_token: false,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self(Arc::new(fault))
    }
}

impl Error {
    /// Something that was set up wrongly, in a whole sentence that says what to do.
    pub fn configuration(message: impl Into<String>) -> Self {
        Fault::new(ErrorKind::Configuration, message).into()
    }

    /// A secret that could not be had. For sources of one's own: say where from and why, never the secret.
    pub fn credentials(message: impl Into<String>) -> Self {
        Fault::new(ErrorKind::Credentials, message).into()
    }

    /// A secret that no program can replace. For sources of one's own: say in a whole sentence why, and what a person
    /// does.
    pub fn unwritable(message: impl Into<String>) -> Self {
        Fault::new(ErrorKind::Unwritable, message).into()
    }

    pub(crate) fn transport(what: &str, target: &str, error: TransportError) -> Self {
        let message = format!("{what} to {target}: {error}");
        let kind = match error.tls_fault() {
            Some(_) => ErrorKind::Tls,
            None if error.is_timeout() => ErrorKind::Timeout,
            None => ErrorKind::Transport,
        };
        // Its words are the message's already; its cause says more.
        Fault { source: Some(error.into_source()), ..Fault::new(kind, message) }.into()
    }

    pub(crate) fn timeout(what: &str, target: &str, limit: Duration) -> Self {
        let message = format!("{what} to {target}: no whole answer within {} s", limit.as_secs_f64());
        Fault::new(ErrorKind::Timeout, message).into()
    }

    pub(crate) fn answer(message: impl Into<String>, status: StatusCode, request_id: Option<String>) -> Self {
        Fault { status: Some(status), request_id, ..Fault::new(ErrorKind::Answer, message) }.into()
    }

    pub(crate) fn refused(
        what: &str,
        status: StatusCode,
        refused: Option<Refused>,
        request_id: Option<String>,
        retry_after: Option<Duration>,
    ) -> Self {
        let message = match &refused {
            Some(Refused { code, message, details }) => {
                let details = if details.is_empty() { String::new() } else { format!(". {details}") };
                format!("{what} was refused with {} {code}: {message}{details}", status.as_u16())
            }
            None => format!("{what} was refused with {status}"),
        };
        let status = Some(status);
        Fault { status, refused, request_id, retry_after, ..Fault::new(ErrorKind::Refused, message) }.into()
    }

    /// The wait that the server asked for by `status` is longer than the caller may wait.
    pub(crate) fn held(wait: Duration, status: StatusCode) -> Self {
        let seconds = wait.as_secs_f64().ceil();
        let message = format!("the server asked for {seconds} s of patience, which is longer than this call may wait");
        Fault { status: Some(status), retry_after: Some(wait), ..Fault::new(ErrorKind::Held, message) }.into()
    }

    /// The same failure, known to have been met on the way to a token.
    pub(crate) fn about_token(&self) -> Self {
        Fault { is_about_token: true, ..Fault::clone(&self.0) }.into()
    }

    /// The same failure, with what to do about it.
    #[cfg(feature = "client-certificate")]
    pub(crate) fn advised(&self, advice: &str) -> Self {
        Fault { message: format!("{}. {advice}", self.0.message), ..Fault::clone(&self.0) }.into()
    }

    /// The same failure, met again while the back-off after it goes on.
    pub(crate) fn again_after(&self, wait: Duration) -> Self {
        Fault { retry_after: Some(wait), ..Fault::clone(&self.0) }.into()
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether there was no token, so that nothing of the call itself was sent.
    #[must_use]
    pub fn is_about_token(&self) -> bool {
        self.0.is_about_token
    }

    /// Whether the same call may succeed later. Those that a server asks to be repeated were repeated
    /// already, as far as patience and the retry budget went.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Transport | ErrorKind::Timeout | ErrorKind::Held => true,
            ErrorKind::Configuration | ErrorKind::Credentials | ErrorKind::Unwritable | ErrorKind::Tls => false,
            ErrorKind::Refused | ErrorKind::Answer => {
                matches!(self.0.status.map_or(0, |status| status.as_u16()), 429 | 502..=504)
            }
        }
    }

    /// How long to wait before trying again, where the server or the back-off says so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The status of the answer, where there was one; of an earlier one, where that asked for patience.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The refusal's code, as in `invalid_token`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.refused.as_ref().map(|refused| refused.code.as_str()).filter(|code| !code.is_empty())
    }

    /// The refusal, in the server's words.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refused> {
        self.0.refused.as_ref()
    }

    /// What to tell the operator: the request's id.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(id) = &self.0.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("kind", &self.0.kind).field("message", &self.to_string()).finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}
