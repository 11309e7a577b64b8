//! Those who vouch for the names in clients' certificates (RFC 8705 §2.1). Chains are checked by a library, along the one way
//! that there is: a caller could have it try thousands.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{CertificateFault, PresentedCertificate, Timestamp};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, Error, RootCertStore};

/// The authorities that an operator has named.
pub struct Authorities(Arc<dyn ClientCertVerifier>);

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorities")
    }
}

impl Authorities {
    /// All of these, at least one.
    ///
    /// # Errors
    /// The number of the one, from 1, that no authority can have.
    pub fn new(all: Vec<CertificateDer<'_>>) -> Result<Self, usize> {
        let (mut roots, count) = (RootCertStore::empty(), all.len());
        for (number, one) in all.into_iter().enumerate() {
            roots.add(one).map_err(|_| number + 1)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
        verifier.build().map(Self).map_err(|_| count)
    }

    /// Whether one of them has signed a certificate for a client that was good at a time, by however many steps.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn vouch_for(&self, shown: &PresentedCertificate, at: Timestamp) -> Result<(), CertificateFault> {
        let own = CertificateDer::from(shown.own());
        let others: Vec<CertificateDer<'_>> = shown.path().into_iter().map(CertificateDer::from).collect();
        let seconds = u64::try_from(at.unix_seconds()).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        self.0.verify_client_cert(&own, &others, at).map(drop).map_err(|error| match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                CertificateFault::OtherAuthority
            }
            Error::InvalidCertificate(
                CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
            ) => CertificateFault::Usage,
            Error::InvalidCertificate(CertificateError::BadEncoding) => CertificateFault::Malformed,
            _ => CertificateFault::Chain,
        })
    }
}
