//! A secret in the desktop's keyring: the freedesktop Secret Service (GNOME Keyring, KWallet, KeePassXC),
//! macOS's Keychain, or Windows' Credential Manager.

#[cfg(any(target_os = "macos", windows))]
mod native;
#[cfg(all(unix, not(target_os = "macos")))]
mod secret_service;

use std::time::Duration;

use fuuffy_protocol::ClientSecret;
use zeroize::Zeroizing;

use super::{CredentialSource, Credentials, Replacement, secret_of};
use crate::{BoxFuture, Error};

/// The longest that a keyring may take; somebody may have to unlock it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service that secrets are kept under unless another is said.
pub(super) const SERVICE: &str = "fuuffy";

/// A secret in the desktop's keyring, under a service and with the client's id as its user. It is read for
/// every token request. A keyring that is locked asks its owner to unlock it, for a minute.
///
/// On Linux it is stored so, and read from standard input:
/// `secret-tool store --label=Fuuffy service fuuffy username app_123`
///
/// ```no_run
/// # fn run() -> Result<(), fuuffy_client::Error> {
/// use fuuffy_client::{Client, KeyringCredentials};
///
/// let keyring = KeyringCredentials::new("app_123", "fuuffy");
/// let client = Client::builder().credential_source(keyring).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct KeyringCredentials {
    client_id: String,
    service: String,
    #[cfg(all(unix, not(target_os = "macos")))]
    bus: Option<String>,
}

/// Why a keyring gave no secret. Never has one in it.
enum Fault {
    /// There is no keyring, or it does not talk.
    Unreachable(String),
    Locked,
    /// Nothing came in time; somebody may have been asked for a password.
    Silent,
    Missing,
    /// There are so many that nobody can tell which is meant.
    Several(usize),
    Broken(String),
}

impl KeyringCredentials {
    /// The secret of a client, under a service: `fuuffy` by custom.
    pub fn new(client_id: impl Into<String>, service: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            service: service.into(),
            #[cfg(all(unix, not(target_os = "macos")))]
            bus: None,
        }
    }

    /// The D-Bus session that the keyring is in, as in `unix:path=/run/user/1000/bus`; the one that
    /// `DBUS_SESSION_BUS_ADDRESS` names unless said.
    #[cfg(all(unix, not(target_os = "macos")))]
    #[must_use]
    pub fn bus(self, address: impl Into<String>) -> Self {
        Self { bus: Some(address.into()), ..self }
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    async fn look(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        secret_service::secret(&self.service, &self.client_id, self.bus.as_deref()).await
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    async fn put(&self, secret: Zeroizing<String>) -> Result<(), Fault> {
        secret_service::replace(&self.service, &self.client_id, self.bus.as_deref(), &secret).await
    }

    #[cfg(any(target_os = "macos", windows))]
    async fn look(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let (service, client_id) = (self.service.clone(), self.client_id.clone());
        let read = tokio::task::spawn_blocking(move || native::secret(&service, &client_id)).await;
        read.unwrap_or_else(|_| Err(Fault::Broken("reading it broke off".to_owned())))
    }

    #[cfg(any(target_os = "macos", windows))]
    async fn put(&self, secret: Zeroizing<String>) -> Result<(), Fault> {
        let (service, client_id) = (self.service.clone(), self.client_id.clone());
        let put = tokio::task::spawn_blocking(move || native::replace(&service, &client_id, &secret)).await;
        put.unwrap_or_else(|_| Err(Fault::Broken("replacing it broke off".to_owned())))
    }

    #[cfg(not(any(unix, windows)))]
    async fn put(&self, _: Zeroizing<String>) -> Result<(), Fault> {
        Err(Fault::Unreachable("this system has none that is known here".to_owned()))
    }

    #[cfg(not(any(unix, windows)))]
    async fn look(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        Err(Fault::Unreachable("this system has none that is known here".to_owned()))
    }

    fn error(&self, fault: &Fault) -> Error {
        let (client_id, service) = (&self.client_id, &self.service);
        Error::credentials(match fault {
            Fault::Unreachable(why) => format!(
                "there is no keyring to be reached on this machine ({why}); log in to a desktop that has one, or keep \
                 the secret in a file: FUUFFY_CLIENT_SECRET_FILE"
            ),
            Fault::Locked => {
                format!("the keyring with the secret for {client_id} is locked; unlock it, then try again")
            }
            Fault::Silent => format!(
                "the keyring gave no secret for {client_id} within {} s; if it asks for a password, unlock it, then try \
                 again",
                PATIENCE.as_secs()
            ),
            Fault::Missing => format!(
                "there is no secret for {client_id} under {service} in the keyring; store it: {}",
                self.command_to_store()
            ),
            Fault::Several(count) => format!(
                "there are {count} secrets for {client_id} under {service} in the keyring; delete those that are out \
                 of date"
            ),
            Fault::Broken(why) => format!("the keyring gave no secret for {client_id}: {why}"),
        })
    }

    /// How the secret is stored, by what the system has. Each asks for it.
    fn command_to_store(&self) -> String {
        let quoted = |word: &str| shlex::try_quote(word).map_or_else(|_| "…".to_owned(), |word| word.into_owned());
        let (client_id, service) = (quoted(&self.client_id), quoted(&self.service));
        if cfg!(windows) {
            format!("cmdkey /generic:{client_id}.{service} /user:{client_id} /pass")
        } else if cfg!(target_os = "macos") {
            format!("security add-generic-password -s {service} -a {client_id} -w")
        } else {
            format!("secret-tool store --label=Fuuffy service {service} username {client_id}")
        }
    }
}

impl CredentialSource for KeyringCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        Box::pin(async move {
            // A prompt that nobody answers goes away with the connection that it was made for.
            let looked = tokio::time::timeout(PATIENCE, self.look()).await.unwrap_or(Err(Fault::Silent));
            let text = looked.map_err(|fault| self.error(&fault))?;
            let place = format!("the secret for {} in the keyring", self.client_id);
            Ok(Credentials::with_secret(self.client_id.clone(), secret_of(&text, &place)?))
        })
    }

    fn begin_replacement(&self) -> BoxFuture<'_, Result<Box<dyn Replacement>, Error>> {
        Box::pin(async move {
            let replacement = KeyringReplacement { credentials: self.read().await?, keyring: self.clone() };
            Ok(Box::new(replacement) as Box<dyn Replacement>)
        })
    }
}

/// A keyring lets whoever can read a secret replace it.
struct KeyringReplacement {
    credentials: Credentials,
    keyring: KeyringCredentials,
}

impl Replacement for KeyringReplacement {
    fn current(&self) -> &Credentials {
        &self.credentials
    }

    fn keep<'a>(&'a mut self, secret: &'a ClientSecret) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let put = self.keyring.put(Zeroizing::new(secret.reveal().to_owned()));
            let put = tokio::time::timeout(PATIENCE, put).await.unwrap_or(Err(Fault::Silent));
            put.map_err(|fault| self.keyring.error(&fault))
        })
    }
}
