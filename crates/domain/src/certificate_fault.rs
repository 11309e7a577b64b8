//! What is wrong with a certificate that somebody shows (RFC 8705), in words for the operator and for the client.

use serde::{Deserialize, Serialize};

/// Why a certificate was refused. The first that was found, in the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateFault {
    /// None was shown.
    Missing,
    /// It was named in a field by somebody who is no trusted proxy.
    Untrusted,
    /// What the trusted proxy wrote is no such field.
    Field,
    /// More than any chain of certificates.
    TooLong,
    /// It cannot be read.
    Malformed,
    /// The configuration names no authority that could have signed it.
    NoAuthorities,
    /// Nobody whom the configuration names has signed it.
    OtherAuthority,
    /// It is not for clients.
    Usage,
    /// Something between it and the authority is not what it must be.
    Chain,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// The registration by which the client was known was taken away meanwhile.
    Removed,
    /// The token is bound to another one.
    OtherCertificate,
}

impl CertificateFault {
    /// All there are.
    pub const ALL: [Self; 13] = [
        Self::Missing,
        Self::Untrusted,
        Self::Field,
        Self::TooLong,
        Self::Malformed,
        Self::NoAuthorities,
        Self::OtherAuthority,
        Self::Usage,
        Self::Chain,
        Self::Expired,
        Self::NotYetValid,
        Self::Removed,
        Self::OtherCertificate,
    ];

    /// What happened, and what to do.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Missing => (
                "No client certificate was shown, and one is needed: the token is bound to one, the client's tokens always are, or nothing else said who asks",
                "Show the certificate in the handshake of each connection; if a proxy speaks TLS in front, it must hand the certificate on in the field Client-Cert (RFC 9440)",
            ),
            Self::Untrusted => (
                "A client certificate was named in the field Client-Cert by somebody who is not believed",
                "Show the certificate in the handshake; only the trusted_proxies of an environment with tls = \"terminated\" and mutual_tls may name one, so look for who else sends that field",
            ),
            Self::Field => (
                "The field Client-Cert or Client-Cert-Chain of the proxy could not be read",
                "Have the proxy write one field Client-Cert as RFC 9440 §2.2 has it: DER in base64 between two colons",
            ),
            Self::TooLong => (
                "The client's chain had more than 8 certificates or 64 KiB",
                "Show the client's own certificate and those between it and the authority, and no others",
            ),
            Self::Malformed => (
                "The client certificate could not be read",
                "Use a certificate as RFC 5280 has it, version 3; openssl x509 -text shows what is in it",
            ),
            Self::NoAuthorities => (
                "The client is registered by a name in its certificate, and the configuration names no authority for that",
                "Name the authorities in the environment's mutual_tls, or register the certificate itself: fuuffy clients certificates add --file",
            ),
            Self::OtherAuthority => (
                "The client certificate has a name that the client is registered by, and nobody among the configured authorities has signed it",
                "Show a certificate of those authorities, with all between it and them; if nobody of yours has this one, somebody else has made it",
            ),
            Self::Usage => (
                "The client certificate is not for the authentication of clients",
                "Have the authority issue it for clientAuth (RFC 5280 §4.2.1.12)",
            ),
            Self::Chain => (
                "The client certificate's chain to its authority was not what it must be: too long, over, an authority's own, or constrained to other names",
                "Look at each certificate between the client's and the authority: openssl verify -purpose sslclient tells which",
            ),
            Self::Expired => (
                "The client certificate's time was over",
                "Renew the certificate, have the client read the new one, and check the clocks of both machines",
            ),
            Self::NotYetValid => {
                ("The client certificate's time had not come", "Check the clocks of the authority's and both machines")
            }
            Self::Removed => (
                "The certificate by which the client was known was just taken away",
                "An operator adds another: fuuffy clients certificates add",
            ),
            Self::OtherCertificate => (
                "The token is bound to another client certificate than the one that was shown",
                "Use the token over connections with the certificate that it was requested with; if nobody of yours has another, somebody else has seen the token",
            ),
        }
    }
}
