//! The freedesktop Secret Service, over D-Bus. The secret crosses the bus encrypted, and each read has a
//! connection of its own: a keyring that was restarted is found again, and a prompt ends with the read.

use std::collections::HashMap;

use secret_service::{EncryptionType, Error as ServiceError, Item, SecretService};
use zbus::connection::Builder;
use zeroize::Zeroizing;

use super::Fault;

/// Reads the one secret with these attributes, which are those of most keyring libraries.
pub(super) async fn secret(service: &str, user: &str, bus: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let keyring = connect(bus).await?;
    Ok(Zeroizing::new(item(&keyring, service, user).await?.get_secret().await?))
}

/// Replaces it where it is.
pub(super) async fn replace(service: &str, user: &str, bus: Option<&str>, secret: &str) -> Result<(), Fault> {
    let keyring = connect(bus).await?;
    Ok(item(&keyring, service, user).await?.set_secret(secret.as_bytes(), "text/plain").await?)
}

async fn connect(bus: Option<&str>) -> Result<SecretService<'static>, Fault> {
    let builder = match bus {
        Some(address) => Builder::address(address),
        None => Builder::session(),
    };
    let connection = builder.map_err(unreachable)?.build().await.map_err(unreachable)?;
    SecretService::connect_with_existing(EncryptionType::Dh, connection).await.map_err(unreachable)
}

/// The one item that is meant, unlocked.
async fn item<'a>(keyring: &'a SecretService<'static>, service: &str, user: &str) -> Result<Item<'a>, Fault> {
    let mut found = keyring.search_items(HashMap::from([("service", service), ("username", user)])).await?;
    let count = found.unlocked.len() + found.locked.len();
    if count > 1 {
        return Err(Fault::Several(count));
    }
    if let Some(item) = found.unlocked.pop() {
        return Ok(item);
    }
    let item = found.locked.pop().ok_or(Fault::Missing)?;
    item.unlock().await?;
    Ok(item)
}

fn unreachable(why: impl std::fmt::Display) -> Fault {
    Fault::Unreachable(why.to_string())
}

impl From<ServiceError> for Fault {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Locked | ServiceError::Prompt | ServiceError::PromptDisconnected => Self::Locked,
            ServiceError::NoResult => Self::Missing,
            error => Self::Broken(error.to_string()),
        }
    }
}
