//! The keyrings that come with macOS and Windows. Their calls block.

use keyring_core::Error;
use keyring_core::api::CredentialStoreApi as _;
use zeroize::Zeroizing;

use super::Fault;

#[cfg(target_os = "macos")]
use apple_native_keyring_store::keychain::Store;
#[cfg(windows)]
use windows_native_keyring_store::Store;

/// Reads a secret, as text: Windows keeps it in UTF-16.
pub(super) fn secret(service: &str, user: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let store = Store::new().map_err(|error| Fault::Unreachable(error.to_string()))?;
    let entry = store.build(service, user, None)?;
    Ok(Zeroizing::new(entry.get_password()?.into_bytes()))
}

/// Replaces a secret.
pub(super) fn replace(service: &str, user: &str, secret: &str) -> Result<(), Fault> {
    let store = Store::new().map_err(|error| Fault::Unreachable(error.to_string()))?;
    Ok(store.build(service, user, None)?.set_password(secret)?)
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::NoEntry => Self::Missing,
            Error::NoStorageAccess(_) => Self::Locked,
            Error::Ambiguous(entries) => Self::Several(entries.len()),
            // What they read is in some of the others.
            Error::PlatformFailure(why) => Self::Broken(why.to_string()),
            _ => Self::Broken("it is not text".to_owned()),
        }
    }
}
