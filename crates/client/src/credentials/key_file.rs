//! A private key in a file that its owner alone can read. There is no secret then, neither here nor at the server.

use std::path::{Path, PathBuf};

use super::file::{OTHERS, read_private};
use super::{ClientProof, CredentialSource, Credentials};
use crate::private_key::PrivateKey;
use crate::{BoxFuture, Error};

/// A client's private key in a file, and the id that it belongs to. The file is read for every token request, so that
/// a new key takes effect by being written there.
#[derive(Debug, Clone)]
pub struct KeyFileCredentials {
    client_id: String,
    path: PathBuf,
}

impl KeyFileCredentials {
    /// The key in the file at `path` (PKCS #8 as PEM), which nobody but its owner may be able to read.
    pub fn new(client_id: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { client_id: client_id.into(), path: path.into() }
    }
}

impl CredentialSource for KeyFileCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        Box::pin(async move {
            let path = self.path.clone();
            let key = tokio::task::spawn_blocking(move || read_key(&path)).await;
            let key = key.map_err(|_| Error::credentials("the file with the key could not be read"))??;
            Ok(Credentials { client_id: self.client_id.clone(), proof: ClientProof::Key(Box::new(key)) })
        })
    }
}

/// Reads a key from a file that nobody but its owner can read.
pub(super) fn read_key(path: &Path) -> Result<PrivateKey, Error> {
    let key = PrivateKey::from_pem(&read_private(path, OTHERS)?);
    key.map_err(|error| Error::credentials(format!("{}: {error}", path.display())))
}
