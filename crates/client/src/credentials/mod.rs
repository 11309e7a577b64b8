//! Where a client's id and secret come from. They are read when a token is asked for and wiped right
//! after, so that a rotated secret is taken up and none lies about in memory.

#[cfg(feature = "client-certificate")]
mod certificate;
mod exec;
mod file;
mod github_actions;
mod identity_file;
#[cfg(feature = "private-key")]
mod key_file;
#[cfg(feature = "keyring")]
mod keyring;
mod variables;
#[cfg(feature = "vault")]
mod vault;

use std::fmt;
use std::sync::Arc;

use fuuffy_protocol::ClientSecret;
use zeroize::Zeroizing;

use crate::{BoxFuture, Error};

#[cfg(feature = "client-certificate")]
pub use certificate::{CertificateCredentials, CertificateFiles};
pub use exec::ExecCredentials;
pub use file::FileCredentials;
pub use github_actions::GithubActionsCredentials;
pub use identity_file::IdentityFileCredentials;
#[cfg(feature = "private-key")]
pub use key_file::KeyFileCredentials;
#[cfg(feature = "keyring")]
pub use keyring::KeyringCredentials;
pub use variables::Variables;
#[cfg(feature = "vault")]
pub use vault::{VaultCredentials, VaultLogin};

/// An id, and what proves that it is one's own.
#[derive(Debug)]
pub struct Credentials {
    /// The client's public id.
    pub client_id: String,
    /// What proves it.
    pub proof: ClientProof,
}

/// What a client proves itself by.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientProof {
    /// A secret that the server knows, too.
    Secret(ClientSecret),
    /// A private key that nobody else has.
    #[cfg(feature = "private-key")]
    Key(Box<crate::PrivateKey>),
    /// What the platform that the program runs on says of it.
    Identity(PlatformToken),
    /// The certificate that its connections show, and nothing else.
    #[cfg(feature = "client-certificate")]
    Certificate,
}

/// A platform's own token (Kubernetes, GitHub Actions, any OpenID provider) that says which workload this is. Until it ends
/// it works like a secret, and so does not print.
pub struct PlatformToken(Zeroizing<String>);

impl PlatformToken {
    /// Reads a token in its compact form, as a platform gives it.
    ///
    /// # Errors
    /// It is none. Nothing of it is said.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts = text.split('.').filter(|part| !part.is_empty()).count();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if parts != 3 || text.matches('.').count() != 2 || !is_plain {
            return Err(Error::credentials("expected a platform's token: a JWT of three parts"));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlatformToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformToken")
    }
}

impl Credentials {
    /// An id and its secret.
    #[must_use]
    pub const fn with_secret(client_id: String, client_secret: ClientSecret) -> Self {
        Self { client_id, proof: ClientProof::Secret(client_secret) }
    }

    /// The secret, for what is asked for by a secret alone.
    ///
    /// # Errors
    /// The client has a key, an identity or a certificate, and no secret.
    pub fn secret(&self) -> Result<&ClientSecret, Error> {
        match &self.proof {
            ClientProof::Secret(secret) => Ok(secret),
            #[cfg(feature = "private-key")]
            ClientProof::Key(_) => Err(no_secret()),
            ClientProof::Identity(_) => Err(no_secret()),
            #[cfg(feature = "client-certificate")]
            ClientProof::Certificate => Err(no_secret()),
        }
    }

    /// The secret, to keep.
    ///
    /// # Errors
    /// The client has a key, an identity or a certificate, and no secret.
    pub fn into_secret(self) -> Result<ClientSecret, Error> {
        match self.proof {
            ClientProof::Secret(secret) => Ok(secret),
            #[cfg(feature = "private-key")]
            ClientProof::Key(_) => Err(no_secret()),
            ClientProof::Identity(_) => Err(no_secret()),
            #[cfg(feature = "client-certificate")]
            ClientProof::Certificate => Err(no_secret()),
        }
    }

    /// Whether both are the same. Both are one's own, so nobody learns from how long this takes.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_same_proof = match (&self.proof, &other.proof) {
            (ClientProof::Secret(one), ClientProof::Secret(other)) => one.reveal() == other.reveal(),
            #[cfg(feature = "private-key")]
            (ClientProof::Key(one), ClientProof::Key(other)) => one.id() == other.id(),
            #[cfg(feature = "private-key")]
            (ClientProof::Key(_), _) => false,
            (ClientProof::Identity(one), ClientProof::Identity(other)) => one.reveal() == other.reveal(),
            #[cfg(feature = "client-certificate")]
            (ClientProof::Certificate, other) => matches!(other, ClientProof::Certificate),
            (ClientProof::Secret(_) | ClientProof::Identity(_), _) => false,
        };
        self.client_id == other.client_id && is_same_proof
    }
}

/// A place that secrets come from: a file, a command, a vault.
pub trait CredentialSource: Send + Sync + 'static {
    /// Reads the credentials as they are now.
    ///
    /// # Errors
    /// [`Error::credentials`], with where and why, and never with the secret.
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>>;

    /// Takes the right to replace the secret, where a program can: alone, if the place knows how to keep others
    /// out, and when it is sure, as far as can be known before, that another secret can be kept there.
    ///
    /// # Errors
    /// [`Error::unwritable`] where a person must do it, as it is unless a source says otherwise; or why it cannot
    /// be done now.
    fn begin_replacement(&self) -> BoxFuture<'_, Result<Box<dyn Replacement>, Error>> {
        Box::pin(std::future::ready(Err(by_hand("the secret is where no program can replace it"))))
    }
}

/// The right to replace a secret where it is kept, until it is dropped.
pub trait Replacement: Send + Sync {
    /// What is kept there, as it was when the right was taken.
    fn current(&self) -> &Credentials;

    /// Keeps another secret of the same client in its place. It outlasts a crash once this is done; before that the
    /// old one or the new one is there, and whole.
    ///
    /// # Errors
    /// Why it may not have been kept.
    fn keep<'a>(&'a mut self, secret: &'a ClientSecret) -> BoxFuture<'a, Result<(), Error>>;
}

/// An id and a secret that the program has anyway.
pub(crate) struct FixedCredentials {
    pub(crate) client_id: String,
    pub(crate) client_secret: Zeroizing<String>,
    /// Why it cannot be replaced.
    pub(crate) place: &'static str,
}

impl CredentialSource for FixedCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        let client_secret = ClientSecret::presented(&self.client_secret);
        let credentials = Credentials::with_secret(self.client_id.clone(), client_secret);
        Box::pin(std::future::ready(Ok(credentials)))
    }

    fn begin_replacement(&self) -> BoxFuture<'_, Result<Box<dyn Replacement>, Error>> {
        Box::pin(std::future::ready(Err(by_hand(self.place))))
    }
}

impl<S: CredentialSource + ?Sized> CredentialSource for Arc<S> {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        (**self).read()
    }

    fn begin_replacement(&self) -> BoxFuture<'_, Result<Box<dyn Replacement>, Error>> {
        (**self).begin_replacement()
    }
}

fn no_secret() -> Error {
    Error::configuration(
        "this is asked for by a secret, and the client has a private key, a certificate or a platform's token instead; ask \
         whoever runs the gateway",
    )
}

/// A secret whose place no program can write, and what a person does about it.
fn by_hand(why: impl std::fmt::Display) -> Error {
    Error::unwritable(format!(
        "{why}, so a person must: ask whoever runs the gateway for another secret (fuuffy secrets add), and put it there; \
         the old one works until it is retired"
    ))
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
