//! A platform's token in a file, as Kubernetes puts it into a pod and writes it anew before it ends. There is no secret
//! then, neither here nor at the server.

use std::path::PathBuf;

use super::file::read_private;
use super::{ClientProof, CredentialSource, Credentials, PlatformToken, line_of};
use crate::{BoxFuture, Error};

/// The platform decides who may read the file: others in the pod may, by its mode (Kubernetes, `defaultMode`).
const ANYBODY: u32 = 0;

/// A platform's token in a file, and the id of the client that it is for. The file is read for every token request, so
/// that the platform can write it anew.
#[derive(Debug, Clone)]
pub struct IdentityFileCredentials {
    client_id: String,
    path: PathBuf,
}

impl IdentityFileCredentials {
    /// The token in the file at `path`, as in `/var/run/secrets/tokens/fuuffy`.
    pub fn new(client_id: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { client_id: client_id.into(), path: path.into() }
    }
}

impl CredentialSource for IdentityFileCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        Box::pin(async move {
            let path = self.path.clone();
            let text = tokio::task::spawn_blocking(move || read_private(&path, ANYBODY)).await;
            let text =
                text.map_err(|_| Error::credentials("the file with the platform's token could not be read"))??;
            let place = self.path.display().to_string();
            let token = PlatformToken::parse(line_of(&text, &place, "the platform's token")?);
            let token = token.map_err(|error| Error::credentials(format!("{place}: {error}")))?;
            Ok(Credentials { client_id: self.client_id.clone(), proof: ClientProof::Identity(token) })
        })
    }
}
