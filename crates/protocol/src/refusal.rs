//! Every way the product says no: the one table from a reason to status, code and words.
//!
//! The words are for the caller and never tell more than the contract's table; what an operator may
//! know besides goes to the log, elsewhere.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::{AuthMethod, CredentialsFault, FormFault, ProofFault, RequestFault, TokenType, dpop};

/// Which of the two error bodies a path speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyShape {
    /// `{"error":{"code":…,"message":…,"details":…}}`
    Guide,
    /// `{"error":…,"error_description":…}` (RFC 6749 §5.2), for `/oauth/…`.
    Standard,
}

/// A refusal, with all that its public answer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 400 `invalid_request`
    InvalidRequest(RequestFault),
    /// 400 `unsupported_grant_type`
    UnsupportedGrantType,
    /// 400 `invalid_scope`
    InvalidScope,
    /// 400 `invalid_target` (RFC 8707 §2)
    InvalidTarget,
    /// 401 `invalid_client`; how the caller tried to authenticate, if it did.
    InvalidClient(Option<AuthMethod>),
    /// 403 `unauthorized_client`
    UnauthorizedClient,
    /// Known and authenticated, by a secret that was seen where it does not belong: it can only replace itself.
    SecretQuarantined,
    /// 401 `missing_token`
    MissingToken,
    /// 401 `invalid_token`
    InvalidToken(TokenFault),
    /// 401 `invalid_token`, of a token that is bound to a key or came with a proof (RFC 9449 §7.1)
    InvalidBoundToken(BoundTokenFault),
    /// `invalid_dpop_proof` (RFC 9449 §5, §7.1); what is wrong, which the answer does not say.
    InvalidProof(ProofPlace, ProofFault),
    /// `use_dpop_nonce`; the nonce to use (RFC 9449 §8, §9)
    UseNonce(ProofPlace, String),
    /// 403 `insufficient_scope`; how the token is used, and the scopes that the route asks for.
    InsufficientScope(TokenType, String),
    /// 404 `not_found`
    NotFound,
    /// 405 `method_not_allowed`; the value of `Allow`.
    MethodNotAllowed(&'static str),
    /// 413 `payload_too_large`
    PayloadTooLarge,
    /// 414 `uri_too_long`
    UriTooLong,
    /// 431 `headers_too_large`
    HeadersTooLarge,
    /// 421 `misdirected_request`
    MisdirectedRequest,
    /// 429 `rate_limit_exceeded`; seconds to wait.
    RateLimitExceeded(u64),
    /// 429 `rate_limit_exceeded` for tokens; seconds to wait.
    TooManyTokens(u64),
    /// 429 `rate_limit_exceeded` for requests that are under way; seconds to wait.
    TooManyAtOnce(u64),
    /// 502 `bad_gateway`
    BadGateway,
    /// 504 `gateway_timeout`
    GatewayTimeout,
    /// 409 `too_many_secrets`
    TooManySecrets,
    /// 503 `service_unavailable`; seconds to wait.
    ServiceUnavailable(u64),
}

/// The code of a refusal, as an extension of its answer: for whoever writes down how requests ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusalCode(pub &'static str);

/// What is wrong with a presented token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Not a token at all.
    Malformed,
    /// Unknown or revoked: callers cannot tell which.
    Unknown,
    /// Past `issued_at + expires_in`.
    Expired,
}

/// What is wrong with a token that is bound to a key, or that came with a proof of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundTokenFault {
    /// The token itself, whoever presents it.
    Token(TokenFault),
    /// It is bound to a key, and came as a bearer token.
    Unproven,
    /// It is bound to another key.
    OtherKey,
    /// It is bound to none, and came with a proof.
    Unbound,
    /// It is bound to a certificate, and came without one (RFC 8705 §3).
    NoCertificate,
    /// It is bound to another certificate.
    OtherCertificate,
}

/// Where a proof is sent to, which decides how it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofPlace {
    /// The token endpoint: 400 (RFC 9449 §5).
    TokenEndpoint,
    /// The API: 401, with a challenge (RFC 9449 §7.1).
    Api,
}

struct Words {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    details: &'static str,
}

const fn words(status: StatusCode, code: &'static str, message: &'static str, details: &'static str) -> Words {
    Words { status, code, message, details }
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.words().status
    }

    /// The `code` of the answer: for programs, and never changed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.words().code
    }

    /// What the answer says happened.
    #[must_use]
    pub fn message(&self) -> &'static str {
        self.words().message
    }

    /// What the answer says to do next.
    #[must_use]
    pub fn details(&self) -> &'static str {
        self.words().details
    }

    /// The whole answer but for the fields that every response of a server bears.
    #[must_use]
    pub fn to_response(&self, shape: BodyShape) -> Response<Bytes> {
        let Words { status, code, message, details } = self.words();
        let body = match shape {
            // Written by hand and in the guide's order; the words are ours and need no escaping.
            BodyShape::Guide => {
                format!(r#"{{"error":{{"code":"{code}","message":"{message}","details":"{details}"}}}}"#)
            }
            BodyShape::Standard => json!({"error": code, "error_description": message}).to_string(),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.field() {
            headers.insert(name, value);
        }
        if let Self::UseNonce(_, nonce) = self
            && let Ok(nonce) = HeaderValue::try_from(nonce)
        {
            headers.insert(dpop::NONCE, nonce);
        }
        response.extensions_mut().insert(RefusalCode(code));
        response
    }

    /// Whether it is the token that is refused.
    #[must_use]
    pub const fn is_of_token(&self) -> bool {
        matches!(self, Self::InvalidToken(_) | Self::InvalidBoundToken(_))
    }

    fn field(&self) -> Option<(HeaderName, HeaderValue)> {
        let challenge = |value: String| {
            let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("Bearer realm=\"fuuffy\""));
            Some((header::WWW_AUTHENTICATE, value))
        };
        let Words { code, message, .. } = self.words();
        match self {
            Self::InvalidClient(Some(AuthMethod::ClientSecretBasic)) => challenge(r#"Basic realm="fuuffy""#.to_owned()),
            Self::MissingToken | Self::InvalidClient(None) => challenge(r#"Bearer realm="fuuffy""#.to_owned()),
            // A token that may be right enables nothing where there are two of them (RFC 6750 §3, §3.1).
            Self::InvalidClient(Some(
                AuthMethod::ClientSecretPost
                | AuthMethod::PrivateKeyJwt
                | AuthMethod::TlsClientAuth
                | AuthMethod::SelfSignedTlsClientAuth,
            ))
            | Self::InvalidToken(_)
            // Such a token goes as a bearer token (RFC 8705 §3).
            | Self::InvalidBoundToken(BoundTokenFault::NoCertificate | BoundTokenFault::OtherCertificate)
            | Self::InvalidRequest(RequestFault::RepeatedAuthorization) => {
                challenge(format!(r#"Bearer realm="fuuffy", error="{code}", error_description="{message}""#))
            }
            Self::InsufficientScope(TokenType::Bearer, scope) => challenge(format!(
                r#"Bearer realm="fuuffy", error="{code}", error_description="{message}", scope="{scope}""#
            )),
            Self::InsufficientScope(TokenType::Dpop, scope) => {
                let algorithms = dpop::ALGORITHMS.join(" ");
                challenge(format!(
                    r#"DPoP realm="fuuffy", error="{code}", error_description="{message}", scope="{scope}", algs="{algorithms}""#
                ))
            }
            Self::InvalidBoundToken(_)
            | Self::InvalidProof(ProofPlace::Api, _)
            | Self::UseNonce(ProofPlace::Api, _) => {
                let algorithms = dpop::ALGORITHMS.join(" ");
                challenge(format!(
                    r#"DPoP realm="fuuffy", error="{code}", error_description="{message}", algs="{algorithms}""#
                ))
            }
            Self::MethodNotAllowed(allow) => Some((header::ALLOW, HeaderValue::from_static(allow))),
            Self::RateLimitExceeded(seconds)
            | Self::TooManyTokens(seconds)
            | Self::TooManyAtOnce(seconds)
            | Self::ServiceUnavailable(seconds) => Some((header::RETRY_AFTER, HeaderValue::from(*seconds))),
            Self::InvalidRequest(_)
            | Self::UnsupportedGrantType
            | Self::InvalidScope
            | Self::InvalidTarget
            | Self::UnauthorizedClient
            | Self::SecretQuarantined
            | Self::InvalidProof(ProofPlace::TokenEndpoint, _)
            | Self::UseNonce(ProofPlace::TokenEndpoint, _)
            | Self::NotFound
            | Self::PayloadTooLarge
            | Self::UriTooLong
            | Self::HeadersTooLarge
            | Self::MisdirectedRequest
            | Self::TooManySecrets
            | Self::BadGateway
            | Self::GatewayTimeout => None,
        }
    }

    fn words(&self) -> Words {
        use StatusCode as S;
        match self {
            Self::InvalidRequest(fault) => {
                let (message, details) = fault.words();
                words(S::BAD_REQUEST, "invalid_request", message, details)
            }
            Self::UnsupportedGrantType => words(
                S::BAD_REQUEST,
                "unsupported_grant_type",
                "The grant type is not supported",
                "Send grant_type=client_credentials",
            ),
            Self::InvalidScope => words(
                S::BAD_REQUEST,
                "invalid_scope",
                "The requested scope is malformed or not granted to this client",
                "Ask for scopes that this client has, or leave scope out",
            ),
            Self::InvalidTarget => words(
                S::BAD_REQUEST,
                "invalid_target",
                "The requested resource is malformed or not served here",
                "Send the base URL of this environment as resource, or leave resource out",
            ),
            Self::InvalidClient(Some(AuthMethod::PrivateKeyJwt)) => words(
                S::UNAUTHORIZED,
                "invalid_client",
                "Client authentication failed",
                "Check the key and each claim of the assertion, and that both belong to this environment",
            ),
            Self::InvalidClient(Some(AuthMethod::TlsClientAuth | AuthMethod::SelfSignedTlsClientAuth)) => words(
                S::UNAUTHORIZED,
                "invalid_client",
                "Client authentication failed",
                "Check client_id and the certificate: its name, its time and its authority, and that the client is known by it in this environment",
            ),
            Self::InvalidClient(_) => words(
                S::UNAUTHORIZED,
                "invalid_client",
                "Client authentication failed",
                "Check client_id and client_secret, and that both belong to this environment",
            ),
            Self::UnauthorizedClient => words(
                S::FORBIDDEN,
                "unauthorized_client",
                "This client may not get a token",
                "Ask the operator of the API to resume this client",
            ),
            Self::SecretQuarantined => words(
                S::FORBIDDEN,
                "unauthorized_client",
                "This secret was seen where it does not belong, and can only be used to replace itself",
                "Replace it (fuuffy rotate), or ask the operator of the API for another one",
            ),
            Self::MissingToken => words(
                S::UNAUTHORIZED,
                "missing_token",
                "An access token is required",
                "Send Authorization: Bearer with an access token",
            ),
            Self::InvalidToken(TokenFault::Expired) => {
                words(S::UNAUTHORIZED, "invalid_token", "The access token expired", "Please request a new access token")
            }
            Self::InvalidToken(TokenFault::Malformed | TokenFault::Unknown) => words(
                S::UNAUTHORIZED,
                "invalid_token",
                "The access token is invalid",
                "Please request a new access token",
            ),
            Self::InvalidBoundToken(BoundTokenFault::Token(fault)) => Self::InvalidToken(*fault).words(),
            Self::InvalidBoundToken(BoundTokenFault::Unproven) => words(
                S::UNAUTHORIZED,
                "invalid_token",
                "The access token is bound to a key, and no proof of that came with it",
                "Send Authorization: DPoP with the token, and a proof for this request in the field DPoP",
            ),
            Self::InvalidBoundToken(BoundTokenFault::OtherKey | BoundTokenFault::Unbound) => words(
                S::UNAUTHORIZED,
                "invalid_token",
                "The access token is not bound to the key of the proof",
                "Prove the key that the token was requested with; a token that is bound to none goes without a proof, as Bearer",
            ),
            Self::InvalidBoundToken(BoundTokenFault::NoCertificate) => words(
                S::UNAUTHORIZED,
                "invalid_token",
                "The access token is bound to a client certificate, and none came with it",
                "Use the token over a connection with the certificate that it was requested with",
            ),
            Self::InvalidBoundToken(BoundTokenFault::OtherCertificate) => words(
                S::UNAUTHORIZED,
                "invalid_token",
                "The access token is bound to another client certificate",
                "Use the token over a connection with the certificate that it was requested with, or request a new one",
            ),
            Self::InvalidProof(place, _) => words(
                place.status(),
                "invalid_dpop_proof",
                "The DPoP proof is missing or invalid",
                "Send one field DPoP with a proof that is signed for this request and no other; the request's id tells the client what is wrong",
            ),
            Self::UseNonce(place, _) => words(
                place.status(),
                "use_dpop_nonce",
                "The DPoP proof must have a nonce of this server",
                "Send the request again with a proof that has the value of the field DPoP-Nonce as its nonce",
            ),
            Self::InsufficientScope(..) => words(
                S::FORBIDDEN,
                "insufficient_scope",
                "The access token lacks a scope that this route needs",
                "Request a token with the scope that WWW-Authenticate names",
            ),
            Self::NotFound => {
                words(S::NOT_FOUND, "not_found", "There is no such route", "Check the path against the API's reference")
            }
            Self::MethodNotAllowed(_) => words(
                S::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path does not take that method",
                "Use a method that Allow names",
            ),
            Self::PayloadTooLarge => {
                words(S::PAYLOAD_TOO_LARGE, "payload_too_large", "The request body is too large", "Send a smaller body")
            }
            Self::UriTooLong => words(
                S::URI_TOO_LONG,
                "uri_too_long",
                "The request target is too long",
                "Shorten the path or the query string",
            ),
            Self::HeadersTooLarge => words(
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "The header fields are too large",
                "Send fewer or shorter header fields",
            ),
            Self::MisdirectedRequest => words(
                S::MISDIRECTED_REQUEST,
                "misdirected_request",
                "This listener does not serve that host",
                "Check the base URL of the environment",
            ),
            Self::TooManyTokens(_) => words(
                S::TOO_MANY_REQUESTS,
                "rate_limit_exceeded",
                "Too many tokens were requested; use each until it expires",
                "Keep the token for as long as expires_in says instead of requesting one for each call, and wait for the seconds that Retry-After names",
            ),
            Self::TooManyAtOnce(_) => words(
                S::TOO_MANY_REQUESTS,
                "rate_limit_exceeded",
                "Too many requests at once",
                "Wait for the answers to those that are under way, or for the seconds that Retry-After names, before sending more",
            ),
            Self::RateLimitExceeded(_) => words(
                S::TOO_MANY_REQUESTS,
                "rate_limit_exceeded",
                "Too many requests",
                "Wait for the seconds that Retry-After names",
            ),
            Self::TooManySecrets => words(
                S::CONFLICT,
                "too_many_secrets",
                "The client has three live secrets already",
                "Wait ten minutes if a rotation was just broken off, or ask the operator of the API to retire one that is no longer used",
            ),
            Self::BadGateway => words(
                S::BAD_GATEWAY,
                "bad_gateway",
                "The API behind the gateway failed",
                "Try again later; your request was well-formed",
            ),
            Self::GatewayTimeout => words(
                S::GATEWAY_TIMEOUT,
                "gateway_timeout",
                "The API behind the gateway did not answer in time",
                "Try again later; your request was well-formed",
            ),
            Self::ServiceUnavailable(_) => words(
                S::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "The service cannot take the request now",
                "Try again after the seconds that Retry-After names",
            ),
        }
    }
}

impl ProofPlace {
    const fn status(self) -> StatusCode {
        match self {
            Self::TokenEndpoint => StatusCode::BAD_REQUEST,
            Self::Api => StatusCode::UNAUTHORIZED,
        }
    }
}

impl From<FormFault> for Refusal {
    fn from(fault: FormFault) -> Self {
        Self::InvalidRequest(match fault {
            FormFault::Malformed | FormFault::TooManyFields => RequestFault::MalformedForm,
            FormFault::Repeated => RequestFault::RepeatedParameter,
        })
    }
}

impl From<CredentialsFault> for Refusal {
    fn from(fault: CredentialsFault) -> Self {
        match fault {
            CredentialsFault::Missing => Self::InvalidClient(None),
            CredentialsFault::UnsupportedAssertion => Self::InvalidClient(Some(AuthMethod::PrivateKeyJwt)),
            CredentialsFault::MalformedBasic => Self::InvalidClient(Some(AuthMethod::ClientSecretBasic)),
            CredentialsFault::Several => Self::InvalidRequest(RequestFault::SeveralAuthentications),
            CredentialsFault::Form(fault) => fault.into(),
        }
    }
}

#[cfg(test)]
mod tests;
