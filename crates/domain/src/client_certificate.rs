//! What a client's certificates are known by (RFC 8705 §2), and the proof that one of them was shown.

use std::net::IpAddr;
use std::sync::Arc;

use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::{
    AlternativeName, AuthenticatedClient, CertificateFault, CertificateId, Client, DistinguishedName, LastUse,
    PresentedCertificate, ReadCertificate, Thumbprint, Timestamp,
};

/// Registrations that a client may have at once.
pub const MAX_CERTIFICATES: usize = 10;
/// Bytes of a name.
const LONGEST: usize = 256;

/// One way in which a client is known by certificate.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// Its public id.
    pub id: CertificateId,
    /// What the certificate must be.
    pub rule: CertificateRule,
    /// When it was added.
    pub created_at: Timestamp,
    /// The last time that the client was known by it.
    pub last_use: Option<LastUse>,
    /// How many times it was.
    pub use_count: u64,
}

/// What a certificate must be for a client to be known by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateRule {
    /// Signed by an authority that is configured, with this name (`tls_client_auth`, RFC 8705 §2.1).
    Named(CertificateName),
    /// Exactly this one, whoever signed it (`self_signed_tls_client_auth`, RFC 8705 §2.2).
    Exact {
        /// Which.
        thumbprint: Thumbprint,
        /// Until when it is good.
        ends_at: Timestamp,
    },
}

/// The name by which a certificate of an authority is known: one of those of RFC 8705 §2.1.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// Its subject.
    SubjectDn(DistinguishedName),
    /// A name of DNS, in lower case; none stands for others.
    SanDns(Arc<str>),
    /// A URI.
    SanUri(Arc<str>),
    /// An address.
    SanIp(IpAddr),
    /// An address of electronic mail.
    SanEmail(Arc<str>),
}

/// Text that is no such name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct CertificateNameFault(String);

/// Why nobody is known by a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotKnown {
    /// It is what the client is known by, and cannot be used now; whose it is where that is proven.
    #[error("the certificate cannot be used")]
    Fault(CertificateFault, bool),
    /// It is none that the client is known by; whether an authority that is configured has signed it.
    #[error("the client is not known by that certificate")]
    Unbound(bool),
}

impl CertificateName {
    /// What each kind of name is called (RFC 8705 §2.1.2, without `tls_client_auth_`).
    pub const KINDS: [&'static str; 5] = ["subject_dn", "san_dns", "san_uri", "san_ip", "san_email"];

    /// Reads a name of a kind.
    ///
    /// # Errors
    /// [`CertificateNameFault`]
    pub fn parse(kind: &str, text: &str) -> Result<Self, CertificateNameFault> {
        let is_text = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let fault = |expected: &str| Err(CertificateNameFault(format!("{kind}: expected {expected}")));
        match kind {
            "subject_dn" => DistinguishedName::parse(text)
                .map(Self::SubjectDn)
                .map_err(|fault| CertificateNameFault(format!("{kind}: {fault}"))),
            "san_dns" if is_text && !text.contains('*') => Ok(Self::SanDns(text.to_ascii_lowercase().into())),
            "san_dns" => fault("a name of DNS of up to 256 letters, without a wildcard, as in \"orders.example.com\""),
            "san_uri" if is_text && text.contains(':') => Ok(Self::SanUri(text.into())),
            "san_uri" => fault("a URI of up to 256 letters, as in \"spiffe://example.com/orders\""),
            "san_ip" => text.parse().map(Self::SanIp).or_else(|_| fault("an IP address, as in \"192.0.2.7\"")),
            "san_email" if is_text && text.contains('@') => Ok(Self::SanEmail(text.into())),
            "san_email" => fault("an address of electronic mail, as in \"orders@example.com\""),
            _ => fault("a kind of name that there is"),
        }
    }

    /// Of which kind it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SubjectDn(_) => Self::KINDS[0],
            Self::SanDns(_) => Self::KINDS[1],
            Self::SanUri(_) => Self::KINDS[2],
            Self::SanIp(_) => Self::KINDS[3],
            Self::SanEmail(_) => Self::KINDS[4],
        }
    }

    /// As text that is read as the same.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::SubjectDn(name) => name.to_string(),
            Self::SanDns(text) | Self::SanUri(text) | Self::SanEmail(text) => text.as_ref().to_owned(),
            Self::SanIp(address) => address.to_string(),
        }
    }

    /// Whether a certificate has it.
    #[must_use]
    pub fn is_of(&self, certificate: &ReadCertificate) -> bool {
        let has = |is_it: &dyn Fn(&AlternativeName) -> bool| certificate.names.iter().any(is_it);
        match self {
            Self::SubjectDn(name) => certificate.subject.as_ref() == Some(name),
            Self::SanDns(name) => has(&|known| matches!(known, AlternativeName::Dns(known) if *known == **name)),
            Self::SanUri(uri) => has(&|known| matches!(known, AlternativeName::Uri(known) if *known == **uri)),
            Self::SanIp(address) => has(&|known| matches!(known, AlternativeName::Ip(known) if known == address)),
            Self::SanEmail(one) => has(&|known| matches!(known, AlternativeName::Email(known) if *known == **one)),
        }
    }
}

impl Client {
    /// The proof that a client has shown a certificate that it is known by: exactly one that is registered, or one with a
    /// registered name of which `vouched` says that an authority has signed it. That its key is held the handshake has
    /// shown. Its time counts last, so that whoever holds one that is over is told of that.
    ///
    /// # Errors
    /// [`NotKnown`]
    pub fn authenticate_by_certificate(
        client: Option<&Arc<Self>>,
        (shown, read): (&PresentedCertificate, &ReadCertificate),
        vouched: Result<(), CertificateFault>,
        now: Timestamp,
    ) -> Result<AuthenticatedClient, NotKnown> {
        let registered = client.map_or(&[][..], |client| &client.certificates[..]);
        let is_exact = |known: &&ClientCertificate| matches!(&known.rule, CertificateRule::Exact { thumbprint, .. } if thumbprint.0.ct_eq(&shown.thumbprint().0).into());
        let is_named =
            |known: &&ClientCertificate| matches!(&known.rule, CertificateRule::Named(name) if name.is_of(read));
        let exact = registered.iter().find(is_exact);
        let found = match (exact, registered.iter().find(is_named), vouched) {
            (Some(exact), ..) => exact,
            (None, Some(named), Ok(())) => named,
            (None, Some(_), Err(fault)) => return Err(NotKnown::Fault(fault, false)),
            (None, None, vouched) => return Err(NotKnown::Unbound(vouched.is_ok())),
        };
        read.check_time(now).map_err(|fault| NotKnown::Fault(fault, true))?;
        let client = client.ok_or(NotKnown::Unbound(false))?;
        Ok(AuthenticatedClient::by_certificate(Arc::clone(client), found.id.clone()))
    }
}

#[cfg(test)]
mod tests;
