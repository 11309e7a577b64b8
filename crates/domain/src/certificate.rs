//! Certificates that callers show (RFC 8705): as they came, and what they say of whoever shows them. That their key is held
//! is known by the handshake; whether anybody vouches for them is for others to find out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Extensions;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::pem::Pem;

use crate::{Binding, CertificateFault, DistinguishedName, Thumbprint, Timestamp};

/// Certificates of a chain, the caller's own included.
const MOST: usize = 8;
/// Bytes of a chain.
const LONGEST: usize = 64 * 1024;

/// What a request shows by certificate. One that shows none has no such extension.
#[derive(Debug, Clone)]
pub enum Presented {
    /// A certificate whose key is held by whoever sends the request.
    Certificate(Arc<PresentedCertificate>),
    /// What cannot be used as one.
    Unusable(CertificateFault),
}

/// A certificate, and those that came with it. Made only by what has shaken hands with whoever holds its key, or believes
/// the proxy that has (RFC 9440).
pub struct PresentedCertificate {
    chain: Vec<Vec<u8>>,
    thumbprint: Thumbprint,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadCertificate {
    /// Whose it is; `None` where that is no text.
    pub subject: Option<DistinguishedName>,
    /// What it is for besides.
    pub names: Vec<AlternativeName>,
    /// Since when it is good.
    pub starts_at: Timestamp,
    /// Until when it is good.
    pub ends_at: Timestamp,
}

/// A name in a certificate besides its subject (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlternativeName {
    /// `dNSName`, in lower case.
    Dns(String),
    /// `uniformResourceIdentifier`
    Uri(String),
    /// `iPAddress`
    Ip(IpAddr),
    /// `rfc822Name`
    Email(String),
}

impl Presented {
    /// By a chain, the caller's own certificate first.
    #[must_use]
    pub fn new(chain: Vec<Vec<u8>>) -> Self {
        match PresentedCertificate::new(chain) {
            Some(certificate) => Self::Certificate(Arc::new(certificate)),
            None => Self::Unusable(CertificateFault::TooLong),
        }
    }

    /// What a request shows.
    #[must_use]
    pub fn by(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<Self>()
    }

    /// The certificate that a request shows, if it can be used.
    #[must_use]
    pub fn certificate(extensions: &Extensions) -> Option<&PresentedCertificate> {
        match Self::by(extensions)? {
            Self::Certificate(certificate) => Some(certificate),
            Self::Unusable(_) => None,
        }
    }
}

impl PresentedCertificate {
    fn new(chain: Vec<Vec<u8>>) -> Option<Self> {
        let bytes: usize = chain.iter().map(Vec::len).sum();
        let thumbprint = Thumbprint(Sha256::digest(chain.first()?).into());
        (chain.len() <= MOST && bytes <= LONGEST).then_some(Self { chain, thumbprint })
    }

    /// The caller's own, in DER.
    #[must_use]
    pub fn own(&self) -> &[u8] {
        &self.chain[0]
    }

    /// Those that may lead from it to an authority, in DER.
    pub fn others(&self) -> impl Iterator<Item = &[u8]> {
        self.chain[1..].iter().map(Vec::as_slice)
    }

    /// Those of them that lead from it to an authority, each the first that is named as the issuer of the one before it. No
    /// name comes twice, so there is one way at most, and whoever checks it has nothing to try out.
    #[must_use]
    pub fn path(&self) -> Vec<&[u8]> {
        let mut left: Vec<Link<'_>> = self.others().filter_map(Link::read).collect();
        let (mut path, mut last) = (Vec::new(), Link::read(self.own()));
        while let Some(at) = last.and_then(|last| left.iter().position(|next| next.subject == last.issuer)) {
            let next = left[at];
            left.retain(|other| other.subject != next.subject);
            path.push(next.der);
            last = Some(next);
        }
        path
    }

    /// Its thumbprint (RFC 8705 §3.1).
    #[must_use]
    pub const fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// What a token that is issued over its connection is bound to.
    #[must_use]
    pub const fn binding(&self) -> Binding {
        Binding::Certificate(self.thumbprint)
    }
}

/// A certificate by the names of both ends, as they are encoded.
#[derive(Clone, Copy)]
struct Link<'a> {
    der: &'a [u8],
    subject: &'a [u8],
    issuer: &'a [u8],
}

impl<'a> Link<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let certificate = certificate.tbs_certificate;
        Some(Self { der, subject: certificate.subject.as_raw(), issuer: certificate.issuer.as_raw() })
    }
}

impl fmt::Debug for PresentedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedCertificate({})", self.thumbprint)
    }
}

impl ReadCertificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`CertificateFault::Malformed`]
    pub fn read(der: &[u8]) -> Result<Self, CertificateFault> {
        let (rest, certificate) = parse_x509_certificate(der).map_err(|_| CertificateFault::Malformed)?;
        let alternatives = certificate.subject_alternative_name().map_err(|_| CertificateFault::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateFault::Malformed);
        }
        let alternatives = alternatives.iter().flat_map(|names| &names.value.general_names);
        let time = |seconds: i64| Timestamp::from_unix_millis(seconds.saturating_mul(1000));
        let validity = certificate.validity();
        Ok(Self {
            subject: subject(&certificate),
            names: alternatives.filter_map(alternative).collect(),
            starts_at: time(validity.not_before.timestamp()),
            // The last second is part of it (RFC 5280 §4.1.2.5).
            ends_at: time(validity.not_after.timestamp().saturating_add(1)),
        })
    }

    /// Reads the one certificate in a text of PEM: its DER, and what it says.
    ///
    /// # Errors
    /// There is none or more than one, something else is beside it, or it cannot be read.
    pub fn from_pem(text: &str) -> Result<(Vec<u8>, Self), CertificateFault> {
        let mut blocks = Pem::iter_from_buffer(text.as_bytes());
        let (Some(Ok(block)), None) = (blocks.next(), blocks.next()) else {
            return Err(CertificateFault::Malformed);
        };
        if block.label != "CERTIFICATE" || block.contents.len() > LONGEST {
            return Err(CertificateFault::Malformed);
        }
        let read = Self::read(&block.contents)?;
        Ok((block.contents, read))
    }

    /// Whether its time is now.
    ///
    /// # Errors
    /// It is over, or has not come.
    pub fn check_time(&self, now: Timestamp) -> Result<(), CertificateFault> {
        match () {
            () if now < self.starts_at => Err(CertificateFault::NotYetValid),
            () if now >= self.ends_at => Err(CertificateFault::Expired),
            () => Ok(()),
        }
    }

    /// The moment of its life that is nearest to now: by that it can be said who vouched for one that is over.
    #[must_use]
    pub fn in_its_time(&self, now: Timestamp) -> Timestamp {
        let last = Timestamp::from_unix_millis(self.ends_at.unix_millis().saturating_sub(1000));
        now.min(last).max(self.starts_at)
    }
}

fn subject(certificate: &X509Certificate<'_>) -> Option<DistinguishedName> {
    let parts = certificate.subject().iter_rdn().map(|part| {
        let attribute = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            Some((attribute.attr_type().to_id_string(), attribute.as_str().ok()?.to_owned()))
        };
        part.iter().map(attribute).collect::<Option<Vec<_>>>()
    });
    DistinguishedName::of_parts(parts.collect::<Option<Vec<_>>>()?)
}

fn alternative(name: &GeneralName<'_>) -> Option<AlternativeName> {
    match name {
        GeneralName::DNSName(name) => Some(AlternativeName::Dns(name.to_ascii_lowercase())),
        GeneralName::URI(uri) => Some(AlternativeName::Uri((*uri).to_owned())),
        GeneralName::RFC822Name(address) => Some(AlternativeName::Email((*address).to_owned())),
        GeneralName::IPAddress(bytes) => {
            let v4 = || <[u8; 4]>::try_from(*bytes).ok().map(IpAddr::from);
            <[u8; 16]>::try_from(*bytes).ok().map(IpAddr::from).or_else(v4).map(AlternativeName::Ip)
        }
        _ => None,
    }
}
