//! Where a client's id and secret come from. They are read when a token is asked for and wiped right
//! after, so that a rotated secret is taken up and none lies about in memory.

mod exec;
mod file;
#[cfg(feature = "keyring")]
mod keyring;
mod variables;
#[cfg(feature = "vault")]
mod vault;

use std::sync::Arc;

use fuuffy_protocol::ClientSecret;
use zeroize::Zeroizing;

use crate::{BoxFuture, Error};

pub use exec::ExecCredentials;
pub use file::FileCredentials;
#[cfg(feature = "keyring")]
pub use keyring::KeyringCredentials;
pub use variables::Variables;
#[cfg(feature = "vault")]
pub use vault::{VaultCredentials, VaultLogin};

/// An id and its secret.
#[derive(Debug)]
pub struct Credentials {
    /// The client's public id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: ClientSecret,
}

/// A place that secrets come from: a file, a command, a vault.
pub trait CredentialSource: Send + Sync + 'static {
    /// Reads the credentials as they are now.
    ///
    /// # Errors
    /// [`Error::credentials`], with where and why, and never with the secret.
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>>;
}

/// An id and a secret that the program has anyway.
pub(crate) struct FixedCredentials {
    pub(crate) client_id: String,
    pub(crate) client_secret: Zeroizing<String>,
}

impl CredentialSource for FixedCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        let client_secret = ClientSecret::presented(&self.client_secret);
        let credentials = Credentials { client_id: self.client_id.clone(), client_secret };
        Box::pin(std::future::ready(Ok(credentials)))
    }
}

impl<S: CredentialSource + ?Sized> CredentialSource for Arc<S> {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        (**self).read()
    }
}

/// A secret as text that somebody wrote: without the line's end that editors and `echo` leave.
fn secret_of(text: &[u8], place: &str) -> Result<ClientSecret, Error> {
    line_of(text, place, "the client's secret").map(ClientSecret::presented)
}

/// The one line that should be there, without its end.
fn line_of<'a>(text: &'a [u8], place: &str, what: &str) -> Result<&'a str, Error> {
    let text = std::str::from_utf8(text).map_err(|_| Error::credentials(format!("{place} is not text")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Error::credentials(format!("{place} is empty; it should hold {what}")));
    }
    if text.contains(['\r', '\n', '\0']) {
        return Err(Error::credentials(format!("{place} has more than one line; it should hold {what} alone")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
