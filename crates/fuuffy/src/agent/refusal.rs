//! What the agent itself answers, in the guide's shape: the one table from a reason to status, code and words.
//! `X-Fuuffy-Agent` tells these answers from the API's.

use std::borrow::Cow;
use std::time::Duration;

use fuuffy_client::{Body, Error, ErrorKind};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

/// On every answer of the agent's own, and on no other.
pub(super) const AGENT: HeaderName = HeaderName::from_static("x-fuuffy-agent");
const VERSION: HeaderValue = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));

/// Why the agent passed a request on to nobody, or has no answer to pass on.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A field that browsers add.
    FromBrowser(HeaderName),
    /// A `Host` that is not the agent's.
    ForeignHost,
    /// The local key is missing or wrong.
    WrongKey,
    /// A WebSocket or a tunnel.
    Upgrade,
    /// A path at which tokens are asked for.
    TokenEndpoint,
    /// A path outside of the API; where that is.
    Outside(String),
    /// Nothing of the agent's own is there.
    NotHere,
    /// Another method than GET for what the agent itself has.
    ReadOnly,
    /// A path that says `.` or `..`.
    DotSegments,
    /// The caller's body broke off or came to a halt.
    Body,
    /// An answer that no proxy can pass on.
    Unexpected,
    /// The client has no answer.
    NoAnswer(Error),
}

/// Where the server cannot show who it is.
const ON_TLS: &str = "Run fuuffy doctor, which says what to do; neither a secret nor a token was sent";

struct Words {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    details: Cow<'static, str>,
}

fn words(
    status: StatusCode,
    code: &'static str,
    message: impl Into<Cow<'static, str>>,
    details: impl Into<Cow<'static, str>>,
) -> Words {
    Words { status, code, message: message.into(), details: details.into() }
}

impl Refusal {
    /// The whole answer.
    pub(super) fn to_response(&self) -> Response<Body> {
        let Words { status, code, message, details } = self.words();
        let body = json!({"error": {"code": code, "message": message, "details": details}});
        let mut response = own(status, "application/json", body.to_string());
        let headers = response.headers_mut();
        match self {
            // RFC 9110 §15.5.2 asks for a challenge with each 401.
            Self::WrongKey => drop(headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(r#"X-Fuuffy-Agent-Key realm="fuuffy agent""#),
            )),
            Self::ReadOnly => drop(headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"))),
            Self::NoAnswer(error) => set_retry_after(headers, status, error.retry_after()),
            _ => {}
        }
        response
    }

    fn words(&self) -> Words {
        use StatusCode as S;
        match self {
            Self::FromBrowser(name) => words(
                S::FORBIDDEN,
                "browser_refused",
                format!("The request has the field {name}, so a browser sent it; the agent serves programs alone"),
                "Call the agent from a program of this machine; a web page must call a server of your own",
            ),
            Self::ForeignHost => words(
                S::MISDIRECTED_REQUEST,
                "misdirected_request",
                "The request's Host is not the agent's",
                "Call the agent by its address, as in http://127.0.0.1:7443, and leave the Host field alone",
            ),
            Self::WrongKey => words(
                S::UNAUTHORIZED,
                "invalid_agent_key",
                "The agent's local key is missing or wrong",
                "Send X-Fuuffy-Agent-Key with what is in the file that --key-file names",
            ),
            Self::Upgrade => words(
                S::NOT_IMPLEMENTED,
                "not_implemented",
                "The agent passes on no WebSocket and no tunnel",
                "Call the API itself for these, with a token that fuuffy token prints",
            ),
            Self::TokenEndpoint => words(
                S::NOT_FOUND,
                "not_found",
                "Tokens are not asked for through the agent",
                "Leave this step out: callers of the agent need no token and no secret, for it adds its own token",
            ),
            Self::Outside(base_path) => words(
                S::NOT_FOUND,
                "not_found",
                "The path is not below the API's base URL",
                format!("Use a path that begins with {base_path}/, as in the API's reference"),
            ),
            Self::NotHere => words(
                S::NOT_FOUND,
                "not_found",
                "The agent has nothing at this path",
                "The agent's own paths are /-/health and /-/metrics",
            ),
            Self::ReadOnly => {
                words(S::METHOD_NOT_ALLOWED, "method_not_allowed", "This path does not take that method", "Use GET")
            }
            Self::DotSegments => words(
                S::BAD_REQUEST,
                "invalid_request",
                "The path has a segment . or .., which can be read in two ways",
                "Write the path without such segments",
            ),
            Self::Body => words(
                S::BAD_REQUEST,
                "invalid_request",
                "The request's body broke off or came to a halt",
                "Send the body whole and without long pauses",
            ),
            Self::Unexpected => words(
                S::BAD_GATEWAY,
                "bad_gateway",
                "The API switched to another protocol, which nobody asked for",
                "Tell the operator of the API",
            ),
            Self::NoAnswer(error) => for_error(error),
        }
    }
}

/// What callers are told when the client has no answer. Its errors never have a secret in them.
fn for_error(error: &Error) -> Words {
    use StatusCode as S;
    let no_token = format!("The agent has no access token: {error}");
    if error.is_about_token() {
        return match error.kind() {
            ErrorKind::Credentials => words(
                S::BAD_GATEWAY,
                "bad_gateway",
                no_token,
                "Repair what is named there; the agent reads it again for its next token request",
            ),
            ErrorKind::Refused if !is_passing(error) => words(
                S::BAD_GATEWAY,
                "bad_gateway",
                no_token,
                "Check the base URL, the id, the secret, the scope and the environment that the agent was started with; \
                 fuuffy token tries them out",
            ),
            ErrorKind::Tls => words(S::BAD_GATEWAY, "bad_gateway", no_token, ON_TLS),
            ErrorKind::Configuration => {
                words(S::BAD_GATEWAY, "bad_gateway", no_token, "Correct that, and start the agent again")
            }
            _ => words(
                S::SERVICE_UNAVAILABLE,
                "service_unavailable",
                no_token,
                "The agent goes on asking for one; try again after the seconds that Retry-After names",
            ),
        };
    }
    let message = format!("The API gave no answer: {error}");
    match error.kind() {
        ErrorKind::Timeout => words(
            S::GATEWAY_TIMEOUT,
            "gateway_timeout",
            message,
            "It may have done what was asked; look before you send this again",
        ),
        ErrorKind::Tls => words(S::BAD_GATEWAY, "bad_gateway", message, ON_TLS),
        ErrorKind::Held if error.status() == Some(S::TOO_MANY_REQUESTS) => words(
            S::TOO_MANY_REQUESTS,
            "rate_limit_exceeded",
            format!("The agent holds calls back: {error}"),
            "Try again after the seconds that Retry-After names, or start the agent with --paced",
        ),
        ErrorKind::Held => words(
            S::SERVICE_UNAVAILABLE,
            "service_unavailable",
            format!("The agent holds calls back: {error}"),
            "Try again after the seconds that Retry-After names",
        ),
        _ => words(
            S::BAD_GATEWAY,
            "bad_gateway",
            message,
            "Check the base URL and the network; the agent's log on standard error says more",
        ),
    }
}

/// Whether a refusal ends by itself.
fn is_passing(error: &Error) -> bool {
    error.is_retryable() || error.status().is_some_and(|status| status.is_server_error())
}

/// Whole seconds, never too few; at least one, where nobody knows.
fn set_retry_after(headers: &mut HeaderMap, status: StatusCode, wait: Option<Duration>) {
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        let seconds = wait.unwrap_or_default().as_millis().div_ceil(1000).max(1);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
    }
}

/// An answer of the agent's own.
pub(super) fn own(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(AGENT, VERSION);
    response
}
