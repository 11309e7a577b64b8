//! Mutual TLS (RFC 8705): that callers are asked for a certificate, and whose word is believed on which one they have. What
//! a certificate is good for is for the token service to say, so that whoever is refused learns why; the handshake shows
//! only that its key is held.

use std::path::Path;

use anyhow::{Context as _, ensure};
use fuuffy_domain::Presented;
use fuuffy_gateway::take_client_cert;
use fuuffy_issuer::Authorities;
use http::Request;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::Environment;
use super::transport::Transport;
use crate::config::{MutualTlsConfig, TlsMode};

/// Takes any certificate that can be read, if its key is held.
#[derive(Debug)]
pub(super) struct AnyCertificate(WebPkiSupportedAlgorithms);

/// Whence it is known which certificate the callers of one connection have.
#[derive(Debug, Clone)]
pub(super) enum CertificateSource {
    /// From nowhere: none is asked for, or none was shown.
    Nowhere,
    /// From the handshake.
    Handshake(Presented),
    /// From the trusted proxy at the other end, request by request (RFC 9440).
    Proxy,
}

impl AnyCertificate {
    pub(super) fn new() -> Self {
        Self(default_provider().signature_verification_algorithms)
    }
}

impl ClientCertVerifier for AnyCertificate {
    /// Whoever has none goes on without.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No authority is named: a certificate that signs itself would not be offered then.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        ParsedCertificate::try_from(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

impl CertificateSource {
    /// Of a connection to an environment, whose other end was found to be trusted where that must be.
    pub(super) fn of(environment: &Environment, stream: &Transport) -> Self {
        match (&environment.settings.mutual_tls, &environment.settings.tls) {
            (None, _) | (_, TlsMode::Loopback) => Self::Nowhere,
            (Some(_), TlsMode::Terminated { .. }) => Self::Proxy,
            (Some(_), TlsMode::Own(_) | TlsMode::Acme { .. }) => match stream.certificates() {
                Some(chain) => Self::Handshake(Presented::new(chain.iter().map(|der| der.to_vec()).collect())),
                None => Self::Nowhere,
            },
        }
    }

    /// Notes on a request which certificate its sender has.
    pub(super) fn note_on<B>(&self, request: &mut Request<B>) {
        let presented = match self {
            Self::Nowhere => return,
            Self::Handshake(presented) => Some(presented.clone()),
            Self::Proxy => take_client_cert(request.headers_mut()),
        };
        if let Some(presented) = presented {
            request.extensions_mut().insert(presented);
        }
    }
}

impl Environment {
    /// Reads the authorities that vouch for clients' names, if the configuration names any. Commands need none.
    pub(super) fn open_authorities(&self) -> anyhow::Result<()> {
        if let Some(MutualTlsConfig { authorities: Some(file) }) = &self.settings.mutual_tls {
            let place = || format!("environments.{}.mutual_tls.authorities", self.name);
            self.issuer.trust(read(file).with_context(place)?);
        }
        Ok(())
    }

    /// Reads them anew; what cannot be used is said, and those from before go on.
    pub(super) fn reload_authorities(&self) {
        if let Err(error) = self.open_authorities() {
            let error = format!("{error:#}");
            tracing::error!(environment = %self.name, error, "The new authorities of clients were refused; those from before go on");
        }
    }
}

/// The certificates in a file, all of which must be usable.
fn read(file: &Path) -> anyhow::Result<Authorities> {
    let cannot = || format!("cannot read {}", file.display());
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.with_context(cannot)?;
    ensure!(
        !all.is_empty(),
        "{} holds no certificate; expected PEM, as in -----BEGIN CERTIFICATE-----",
        file.display()
    );
    Authorities::new(all).map_err(|number| {
        anyhow::anyhow!("certificate {number} in {} is none that an authority can have, version 3", file.display())
    })
}
