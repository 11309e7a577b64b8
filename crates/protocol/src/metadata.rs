//! What a token service and an API tell of themselves to whoever asks (RFC 8414, RFC 9728). Made of the configuration,
//! and of nothing that a request says.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

use crate::{AuthMethod, Identifiers, dpop};

/// Where the token service's is. The issuer has no path, so there is no other place (RFC 8414 §3.1).
const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
/// What assertions may be signed by (RFC 7518 §3.1, RFC 8037 §3.1). Two of them are one, as RFC 9864 §2.2 calls it by its
/// curve.
const ASSERTION_ALGORITHMS: [&str; 4] = ["ES256", "EdDSA", "Ed25519", "RS256"];
/// Where the API's is, before the path of its identifier (RFC 9728 §3.1).
const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// How far clients are known by certificate (RFC 8705 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MutualTls {
    /// Not at all: callers are not asked for certificates.
    #[default]
    Off,
    /// By certificates that are registered themselves.
    SelfSigned,
    /// By those, and by names in certificates that an authority has signed.
    Authorities,
}

impl MutualTls {
    /// The methods of authentication that it adds.
    const fn methods(self) -> &'static [AuthMethod] {
        match self {
            Self::Off => &[],
            Self::SelfSigned => &[AuthMethod::SelfSignedTlsClientAuth],
            Self::Authorities => &[AuthMethod::TlsClientAuth, AuthMethod::SelfSignedTlsClientAuth],
        }
    }
}

/// Both documents, written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    authorization_server: Bytes,
    protected_resource: Bytes,
    /// The path of the API's identifier.
    resource_path: String,
    /// What a challenge says besides: where the API's metadata is (RFC 9728 §5.1).
    of_challenge: String,
}

/// RFC 8414 §2, with the member of RFC 9728 §4.
#[derive(Serialize)]
struct AuthorizationServer<'a> {
    issuer: &'a str,
    token_endpoint: String,
    token_endpoint_auth_methods_supported: &'a [&'static str],
    token_endpoint_auth_signing_alg_values_supported: [&'static str; ASSERTION_ALGORITHMS.len()],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: &'a [&'static str],
    revocation_endpoint_auth_signing_alg_values_supported: [&'static str; ASSERTION_ALGORITHMS.len()],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: &'a [&'static str],
    introspection_endpoint_auth_signing_alg_values_supported: [&'static str; ASSERTION_ALGORITHMS.len()],
    /// RFC 9701 §7.
    introspection_signing_alg_values_supported: [&'a str; 1],
    /// RFC 9449 §5.1.
    dpop_signing_alg_values_supported: [&'static str; dpop::ALGORITHMS.len()],
    /// RFC 8705 §3.3.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tls_client_certificate_bound_access_tokens: bool,
    jwks_uri: String,
    grant_types_supported: [&'static str; 1],
    /// There is no authorization endpoint and so no response type. The member is required all the same (§2), though one
    /// without elements should be left out (§3.2): of the two, libraries miss what is required.
    response_types_supported: [&'static str; 0],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    scopes_supported: &'a [&'a str],
    protected_resources: [&'a str; 1],
}

/// RFC 9728 §2.
#[derive(Serialize)]
struct ProtectedResource<'a> {
    resource: &'a str,
    authorization_servers: [&'a str; 1],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    scopes_supported: &'a [&'a str],
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tls_client_certificate_bound_access_tokens: bool,
    dpop_signing_alg_values_supported: [&'static str; dpop::ALGORITHMS.len()],
}

impl Metadata {
    /// Where the keys are that signed answers are checked by. They change by themselves, and are no part of this.
    pub const PUBLIC_KEYS: &str = "/oauth/jwks";

    /// Writes the documents of an environment whose routes ask for these scopes, and whose answers are signed so.
    #[must_use]
    pub fn new(identifiers: &Identifiers, scopes: &[&str], mutual_tls: MutualTls, answers: &str) -> Self {
        let issuer = identifiers.issuer();
        let methods = AuthMethod::ALWAYS.iter().chain(mutual_tls.methods()).map(|method| method.as_str());
        let methods = &methods.collect::<Vec<_>>()[..];
        let binds_to_certificates = mutual_tls != MutualTls::Off;
        let authorization_server = AuthorizationServer {
            issuer,
            token_endpoint: format!("{issuer}/oauth/token"),
            token_endpoint_auth_methods_supported: methods,
            token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
            revocation_endpoint: format!("{issuer}/oauth/revoke"),
            revocation_endpoint_auth_methods_supported: methods,
            revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
            introspection_endpoint: format!("{issuer}/oauth/introspect"),
            introspection_endpoint_auth_methods_supported: methods,
            introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
            introspection_signing_alg_values_supported: [answers],
            dpop_signing_alg_values_supported: dpop::ALGORITHMS,
            tls_client_certificate_bound_access_tokens: binds_to_certificates,
            jwks_uri: format!("{issuer}{}", Self::PUBLIC_KEYS),
            grant_types_supported: ["client_credentials"],
            response_types_supported: [],
            scopes_supported: scopes,
            protected_resources: [identifiers.resource()],
        };
        let protected_resource = ProtectedResource {
            resource: identifiers.resource(),
            authorization_servers: [issuer],
            scopes_supported: scopes,
            bearer_methods_supported: ["header"],
            tls_client_certificate_bound_access_tokens: binds_to_certificates,
            dpop_signing_alg_values_supported: dpop::ALGORITHMS,
        };
        let resource_path = identifiers.resource_path().to_owned();
        let of_challenge = format!(r#", resource_metadata="{issuer}{PROTECTED_RESOURCE}{resource_path}""#);
        Self {
            authorization_server: in_json(&authorization_server),
            protected_resource: in_json(&protected_resource),
            resource_path,
            of_challenge,
        }
    }

    /// Whether a path is one under which metadata is looked for, be there any or not.
    #[must_use]
    pub fn is_asked_for(path: &str) -> bool {
        let is_under = |name| path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        path == Self::PUBLIC_KEYS || is_under(AUTHORIZATION_SERVER) || is_under(PROTECTED_RESOURCE)
    }

    /// The document at a path. The API's is also where it would be if its identifier had no path, since many look there
    /// first.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Bytes> {
        if path == AUTHORIZATION_SERVER {
            return Some(&self.authorization_server);
        }
        let rest = path.strip_prefix(PROTECTED_RESOURCE)?;
        (rest.is_empty() || rest == self.resource_path).then_some(&self.protected_resource)
    }

    /// Adds to the challenge for a token of an answer, if it has one, where the API's metadata is (RFC 9728 §5.1).
    pub fn name_in_challenge(&self, headers: &mut HeaderMap) {
        let challenge = headers.get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let of_token = |challenge: &&str| challenge.starts_with("Bearer ") || challenge.starts_with("DPoP ");
        let Some(challenge) = challenge.filter(of_token) else {
            return;
        };
        if let Ok(longer) = HeaderValue::try_from(format!("{challenge}{}", self.of_challenge)) {
            headers.insert(header::WWW_AUTHENTICATE, longer);
        }
    }
}

fn in_json(document: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(document).unwrap_or_default())
}
