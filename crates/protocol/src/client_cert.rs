//! The fields by which a proxy that speaks TLS tells which certificate a client has shown it (RFC 9440 §2). Whoever may say
//! so is decided elsewhere.

use http::HeaderName;

/// The client's own certificate.
pub const CERTIFICATE: HeaderName = HeaderName::from_static("client-cert");
/// Those that came with it.
pub const CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
