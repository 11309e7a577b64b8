//! A certificate of the client's own and its key, by which TLS itself proves who asks (RFC 8705). The key never leaves the
//! program: the server sees the certificate, and a signature that is good for one handshake.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;
use zeroize::Zeroizing;

use crate::Error;

/// The length of a line in PEM (RFC 7468 §2).
const LINE: usize = 64;

/// A certificate and its key, checked to belong together.
#[derive(Clone)]
pub struct ClientCertificate(Arc<Parts>);

struct Parts {
    subject: String,
    thumbprint: String,
    starts_at: SystemTime,
    ends_at: SystemTime,
    pem: Zeroizing<String>,
}

/// What is wrong with a pair, by where it is.
pub(crate) enum Fault {
    Chain(&'static str),
    Key(&'static str),
    Apart,
}

impl ClientCertificate {
    /// Reads a chain, the client's own certificate first, and the key of that one; both as PEM.
    ///
    /// # Errors
    /// What is wrong with either. Nothing of the key is said.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        Self::read(chain, key).map_err(|fault| {
            Error::credentials(match fault {
                Fault::Chain(why) => format!("the client's certificate {why}"),
                Fault::Key(why) => format!("the key of the client's certificate {why}"),
                Fault::Apart => "the key is not that of the client's certificate".to_owned(),
            })
        })
    }

    pub(crate) fn read(chain: &[u8], key: &[u8]) -> Result<Self, Fault> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| Fault::Chain("is broken PEM; was it cut when it was copied?"))?;
        let own = chain.first().ok_or(Fault::Chain(
            "is not there: expected PEM, between the lines BEGIN CERTIFICATE and END CERTIFICATE",
        ))?;
        let (_, parsed) =
            parse_x509_certificate(own).map_err(|_| Fault::Chain("cannot be read: the first one is no X.509"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            Fault::Key(
                "is not there: expected PEM, between the lines BEGIN PRIVATE KEY and END PRIVATE KEY, not encrypted",
            )
        })?;
        let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(own));
        let (subject, validity) = (subject_of(&parsed), parsed.validity());
        let (starts_at, ends_at) = (time(validity.not_before), time(validity.not_after));
        let pem = pem_of(&chain, &key);
        CertifiedKey::from_der(chain, key, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Fault::Apart,
            rustls::Error::InvalidCertificate(_) => Fault::Chain("cannot be read: the first one is none for TLS"),
            _ => Fault::Key("is none that TLS can use: expected one on P-256, P-384 or Ed25519, or an RSA key"),
        })?;
        Ok(Self(Arc::new(Parts { subject, thumbprint, starts_at, ends_at, pem })))
    }

    /// Whose it is: its subject, or what it is called beside that where it has none.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What tokens that are bound to it name it by: `x5t#S256` (RFC 8705 §3.1).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.0.thumbprint
    }

    /// Since when it is good.
    #[must_use]
    pub fn starts_at(&self) -> SystemTime {
        self.0.starts_at
    }

    /// Until when it is good.
    #[must_use]
    pub fn ends_at(&self) -> SystemTime {
        self.0.ends_at
    }

    /// The chain and the key, for an HTTP client that is to show it. Callers say by this word that they mean it.
    #[must_use]
    pub fn reveal_pem(&self) -> &str {
        &self.0.pem
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({}, {})", self.0.subject, self.0.thumbprint)
    }
}

/// Whoever issues certificates to workloads often leaves the subject empty (as SPIFFE does).
fn subject_of(certificate: &X509Certificate<'_>) -> String {
    let subject = certificate.subject().to_string();
    if !subject.is_empty() {
        return subject;
    }
    let names = certificate.subject_alternative_name().ok().flatten();
    let first = names.and_then(|names| names.value.general_names.first().map(ToString::to_string));
    first.unwrap_or_else(|| "no name".to_owned())
}

fn time(at: ASN1Time) -> SystemTime {
    // What began before 1970 has begun.
    let since = Duration::from_secs(u64::try_from(at.timestamp()).unwrap_or_default());
    SystemTime::UNIX_EPOCH + since
}

/// The key and the chain, and nothing else that was in the files.
fn pem_of(chain: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>) -> Zeroizing<String> {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let certificates = chain.iter().map(|certificate| ("CERTIFICATE", certificate.as_ref()));
    let sections: Vec<(&str, &[u8])> = [(label, key.secret_der())].into_iter().chain(certificates).collect();
    // Room for all of it: growing would leave copies behind unwiped.
    let mut pem = Zeroizing::new(String::with_capacity(sections.iter().map(|(_, der)| 128 + 2 * der.len()).sum()));
    for (label, der) in sections {
        let encoded = Zeroizing::new(STANDARD.encode(der));
        pem.extend(["-----BEGIN ", label, "-----\n"]);
        for line in encoded.as_bytes().chunks(LINE) {
            pem.extend(line.iter().map(|byte| char::from(*byte)));
            pem.push('\n');
        }
        pem.extend(["-----END ", label, "-----\n"]);
    }
    pem
}

#[cfg(test)]
mod tests;
