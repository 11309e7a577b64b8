//! From a presented token to whose it is: what the gateway and the operators' API both ask, in one place.

use fuuffy_domain::{InvalidToken, Keyring, Timestamp, VerifiedToken};
use fuuffy_protocol::{AccessToken, TokenFault};

use crate::Store;

/// Whose token it is: its digest under every key, the index, and its client's standing and generation.
///
/// # Errors
/// The token is unknown, revoked (callers cannot tell which), or expired.
pub fn verify(
    store: &dyn Store,
    keyring: &Keyring,
    token: &AccessToken,
    now: Timestamp,
) -> Result<VerifiedToken, TokenFault> {
    let entry = keyring.token_digests(token).find_map(|digest| store.tokens().find(&digest));
    let entry = entry.ok_or(TokenFault::Unknown)?;
    let client = store.directory().get(entry.client).ok_or(TokenFault::Unknown)?;
    entry.verify(client, now).map_err(|invalid| match invalid {
        InvalidToken::Expired => TokenFault::Expired,
        InvalidToken::Revoked => TokenFault::Unknown,
    })
}
