//! The client's certificate in two files, as whoever issues it writes them anew before it ends; and a client that is known
//! by it alone. There is no secret then, neither here nor at the server.

use std::path::PathBuf;

use super::file::{OTHERS, read_private};
use super::{ClientProof, CredentialSource, Credentials};
use crate::client_certificate::Fault;
use crate::{BoxFuture, ClientCertificate, Error};

/// A certificate is shown to whoever asks, so everybody may read it.
const ANYBODY: u32 = 0;

/// A client's certificate and its key, in two files.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
}

impl CertificateFiles {
    /// The chain in one file, the client's own certificate first, and its key in another, which nobody but its owner may
    /// be able to read; both as PEM. Both may be one file.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { certificate: certificate.into(), key: key.into() }
    }

    /// Reads both as they are now.
    ///
    /// # Errors
    /// Which file is wrong, and why. Nothing of the key is said.
    pub fn read(&self) -> Result<ClientCertificate, Error> {
        let (chain, key) = (read_private(&self.certificate, ANYBODY)?, read_private(&self.key, OTHERS)?);
        let (certificate_file, key_file) = (self.certificate.display(), self.key.display());
        ClientCertificate::read(&chain, &key).map_err(|fault| {
            Error::credentials(match fault {
                Fault::Chain(why) => format!("{certificate_file}: the client's certificate {why}"),
                Fault::Key(why) => format!("{key_file}: the key of the client's certificate {why}"),
                Fault::Apart => format!(
                    "the key in {key_file} is not that of the first certificate in {certificate_file}; are both files \
                     of the same order?"
                ),
            })
        })
    }
}

/// The id of a client that its certificate alone proves.
#[derive(Debug, Clone)]
pub struct CertificateCredentials {
    client_id: String,
}

impl CertificateCredentials {
    /// The client that has this id.
    pub fn new(client_id: impl Into<String>) -> Self {
        Self { client_id: client_id.into() }
    }
}

impl CredentialSource for CertificateCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        let credentials = Credentials { client_id: self.client_id.clone(), proof: ClientProof::Certificate };
        Box::pin(std::future::ready(Ok(credentials)))
    }
}
