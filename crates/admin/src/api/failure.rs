//! The one place where what went wrong with a request of an operator becomes its answer.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fuuffy_domain::KeySetFault;
use fuuffy_protocol::{BodyShape, Refusal, TokenType};
use fuuffy_store::{OutboxError, StoreError};
use serde_json::json;

use super::answer::json_response;
use crate::alerts::Untold;
use crate::deed::DeedError;

/// The `code` of an answer that is a refusal, among its extensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code(pub(super) &'static str);

/// Every way in which a request of an operator fails.
pub(super) enum Failure {
    Invalid(String),
    NotFound(&'static str),
    /// With what `Allow` says.
    Method(String),
    TooLarge,
    /// By what the contract refuses callers with, too.
    Refused(Refusal),
    /// A web page asks, by somebody's browser.
    Browser,
    Precondition,
    Stale,
    Taken,
    KeyReused,
    TooManySecrets,
    TooManyKeys,
    KeyTaken,
    KeysPublished,
    KeysUnusable(KeySetFault),
    IssuerUntrusted,
    TooManyIdentities,
    IdentityTaken,
    NoMutualTls,
    NoAuthorities,
    TooManyCertificates,
    CertificateTaken,
    TooManySilences(String),
    NoChannel,
    /// An alert was not taken, and why.
    Undelivered(String),
    Unavailable(String),
}

impl Failure {
    pub(super) fn page() -> Self {
        Self::Invalid("expected page from 1 and per_page from 1 to 100".to_owned())
    }
}

impl From<DeedError> for Failure {
    fn from(error: DeedError) -> Self {
        match error {
            DeedError::Invalid(words) => Self::Invalid(words),
            DeedError::NotFound(what) => Self::NotFound(what),
            DeedError::Stale => Self::Stale,
            DeedError::Taken => Self::Taken,
            DeedError::TooManySecrets => Self::TooManySecrets,
            DeedError::TooManyKeys => Self::TooManyKeys,
            DeedError::KeyTaken => Self::KeyTaken,
            DeedError::KeysPublished => Self::KeysPublished,
            DeedError::KeysUnusable(fault) => Self::KeysUnusable(fault),
            DeedError::IssuerUntrusted => Self::IssuerUntrusted,
            DeedError::TooManyIdentities => Self::TooManyIdentities,
            DeedError::IdentityTaken => Self::IdentityTaken,
            DeedError::NoMutualTls => Self::NoMutualTls,
            DeedError::NoAuthorities => Self::NoAuthorities,
            DeedError::TooManyCertificates => Self::TooManyCertificates,
            DeedError::CertificateTaken => Self::CertificateTaken,
            DeedError::Forbidden(scope) => {
                Self::Refused(Refusal::InsufficientScope(TokenType::Bearer, scope.to_owned()))
            }
            DeedError::KeyReused => Self::KeyReused,
            DeedError::Unreadable => Self::Unavailable(DeedError::Unreadable.to_string()),
            DeedError::Untold(Untold::NoChannel) => Self::NoChannel,
            DeedError::Untold(Untold::Refused(words)) => Self::Undelivered(words),
            DeedError::Outbox(error @ OutboxError::TooManySilences) => Self::TooManySilences(error.to_string()),
            DeedError::Outbox(error) => Self::Unavailable(error.to_string()),
            DeedError::Entropy(error) => Self::Unavailable(error.to_string()),
            DeedError::Store(
                error @ (StoreError::Unwritable(_)
                | StoreError::Full
                | StoreError::Overloaded
                | StoreError::TooManyScopes
                | StoreError::Closed
                | StoreError::Superseded
                | StoreError::InUse(_)
                | StoreError::BadFile { .. }),
            ) => Self::Unavailable(error.to_string()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut allow = None;
        let (status, code, message, details) = match self {
            Self::Refused(refusal) => {
                let mut response = refusal.to_response(BodyShape::Guide).map(Body::from);
                response.extensions_mut().insert(Code(refusal.code()));
                return response;
            }
            Self::Invalid(words) => {
                (StatusCode::BAD_REQUEST, "invalid_request", "The request is not what it must be".to_owned(), words)
            }
            Self::NotFound(what) => (
                StatusCode::NOT_FOUND,
                "not_found",
                format!("There is no such {what}"),
                "List what there is, and mind the environment".to_owned(),
            ),
            Self::Method(methods) => {
                allow = HeaderValue::from_str(&methods).ok();
                (
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    "This path does not take that method".to_owned(),
                    "Use a method that Allow names".to_owned(),
                )
            }
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "The request body is too large".to_owned(),
                "Send at most 64 KiB".to_owned(),
            ),
            Self::Browser => (
                StatusCode::FORBIDDEN,
                "browser_refused",
                "Browsers are not served here".to_owned(),
                "Call from a program that sends neither Origin nor Sec-Fetch fields".to_owned(),
            ),
            Self::Precondition => (
                StatusCode::PRECONDITION_REQUIRED,
                "precondition_required",
                "A change must say which state was seen".to_owned(),
                "Send the client's ETag as If-Match, or * for any".to_owned(),
            ),
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "This idempotency key stands for another request".to_owned(),
                "Send the same request again, or use another key".to_owned(),
            ),
            Self::Stale => (
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "The client was changed since it was seen".to_owned(),
                "Read it again, and send its ETag as If-Match".to_owned(),
            ),
            Self::Taken => (
                StatusCode::CONFLICT,
                "client_exists",
                "There is, or was, a client of that id".to_owned(),
                "Choose another id; one that was deleted never comes back".to_owned(),
            ),
            Self::TooManySecrets => (
                StatusCode::CONFLICT,
                "too_many_secrets",
                "The client has three live secrets already".to_owned(),
                "Retire one that is no longer used, then add another".to_owned(),
            ),
            Self::TooManyKeys => (
                StatusCode::CONFLICT,
                "too_many_keys",
                "The client has three keys already".to_owned(),
                "Remove one that is no longer used, then add another".to_owned(),
            ),
            Self::KeyTaken => (
                StatusCode::CONFLICT,
                "key_exists",
                "The client has that key already, or another that is called so".to_owned(),
                "List the keys of the client; give a new one a kid of its own".to_owned(),
            ),
            Self::KeysPublished => (
                StatusCode::CONFLICT,
                "keys_published",
                "The client publishes its keys".to_owned(),
                "Publish the key where the client's others are: clients show tells the jwks_uri".to_owned(),
            ),
            Self::KeysUnusable(fault) => {
                let (why, advice) = fault.words();
                let message = format!("The keys that the client publishes cannot be used: {why}");
                (StatusCode::BAD_GATEWAY, "keys_unusable", message, advice.to_owned())
            }
            Self::IssuerUntrusted => (
                StatusCode::CONFLICT,
                "issuer_untrusted",
                "The configuration trusts no such issuer".to_owned(),
                "Name the issuer in the environment's identity_issuers, written exactly so, and restart the server"
                    .to_owned(),
            ),
            Self::TooManyIdentities => (
                StatusCode::CONFLICT,
                "too_many_identities",
                "The client has ten identities already".to_owned(),
                "Remove one that is no longer used, then add another".to_owned(),
            ),
            Self::IdentityTaken => (
                StatusCode::CONFLICT,
                "identity_exists",
                "The client has that identity already".to_owned(),
                "List the identities of the client".to_owned(),
            ),
            Self::NoMutualTls => (
                StatusCode::CONFLICT,
                "mutual_tls_off",
                "The environment asks nobody for a certificate".to_owned(),
                "Give the environment a table mutual_tls, and restart the server".to_owned(),
            ),
            Self::NoAuthorities => (
                StatusCode::CONFLICT,
                "authorities_missing",
                "The configuration names no authority that vouches for names in certificates".to_owned(),
                "Name authorities in the environment's mutual_tls and restart the server, or register the certificate itself"
                    .to_owned(),
            ),
            Self::TooManyCertificates => (
                StatusCode::CONFLICT,
                "too_many_certificates",
                "The client has ten certificates already".to_owned(),
                "Remove one that is no longer used, then add another".to_owned(),
            ),
            Self::CertificateTaken => (
                StatusCode::CONFLICT,
                "certificate_exists",
                "The client is known by that certificate already".to_owned(),
                "List the certificates of the client".to_owned(),
            ),
            Self::TooManySilences(words) => {
                (StatusCode::CONFLICT, "too_many_silences", "Nothing more can be silenced".to_owned(), words)
            }
            Self::NoChannel => (
                StatusCode::CONFLICT,
                "no_webhook",
                "The configuration names nobody to tell".to_owned(),
                "Set webhook and webhook_key_file in the environment's reminders, or its email".to_owned(),
            ),
            Self::Undelivered(words) => {
                (StatusCode::BAD_GATEWAY, "alert_undelivered", "The test alert was not taken".to_owned(), words)
            }
            Self::Unavailable(words) => {
                (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", "Nothing was changed".to_owned(), words)
            }
        };
        let mut response =
            json_response(status, &json!({"error": {"code": code, "message": message, "details": details}}));
        response.extensions_mut().insert(Code(code));
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(1));
        }
        response
    }
}
