//! The freedesktop Secret Service, over D-Bus. The secret crosses the bus encrypted, and each read has a
//! connection of its own: a keyring that was restarted is found again, and a prompt ends with the read.

use std::collections::HashMap;

use secret_service::{EncryptionType, Error as ServiceError, SecretService};
use zbus::connection::Builder;
use zeroize::Zeroizing;

use super::Fault;

/// Finds the one secret with these attributes, which are those of most keyring libraries.
pub(super) async fn secret(service: &str, user: &str, bus: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let builder = match bus {
        Some(address) => Builder::address(address),
        None => Builder::session(),
    };
    let connection = builder.map_err(unreachable)?.build().await.map_err(unreachable)?;
    let keyring = SecretService::connect_with_existing(EncryptionType::Dh, connection).await.map_err(unreachable)?;
    let found = keyring.search_items(HashMap::from([("service", service), ("username", user)])).await?;
    let (item, is_locked) = match (found.unlocked.as_slice(), found.locked.as_slice()) {
        ([], []) => return Err(Fault::Missing),
        ([item], []) => (item, false),
        ([], [item]) => (item, true),
        (unlocked, locked) => return Err(Fault::Several(unlocked.len() + locked.len())),
    };
    if is_locked {
        item.unlock().await?;
    }
    Ok(Zeroizing::new(item.get_secret().await?))
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
