//! The RSA keys that an environment signs by, one beside each key of the key file that needs one. Where they are kept, and
//! when another is made, is whoever's who has the files.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use fuuffy_domain::KeyId;
use fuuffy_protocol::rsa;
use jsonwebtoken::errors::Result;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use zeroize::Zeroizing;

use crate::signed::Pair;

/// The keys that are in force.
#[derive(Default)]
pub struct RsaKeys(ArcSwap<BTreeMap<KeyId, Arc<Pair>>>);

impl RsaKeys {
    /// Puts keys in force, each in PKCS #8 and beside the key that it goes with, and no others.
    ///
    /// # Errors
    /// One of them is no RSA key; then those from before stay in force.
    pub fn put(&self, keys: &[(KeyId, Zeroizing<Vec<u8>>)]) -> Result<()> {
        let pair = |(key, pkcs8): &(KeyId, Zeroizing<Vec<u8>>)| {
            let der = EncodingKey::from_rsa_der(rsa::within_pkcs8(pkcs8).unwrap_or_default());
            Ok((*key, Arc::new(Pair::new(der, Algorithm::RS256)?)))
        };
        let keys = keys.iter().map(pair).collect::<Result<_>>()?;
        self.0.store(Arc::new(keys));
        Ok(())
    }

    /// The one beside a key.
    pub(crate) fn beside(&self, key: KeyId) -> Option<Arc<Pair>> {
        self.0.load().get(&key).cloned()
    }

    /// The public halves of those beside some keys, in their order.
    pub(crate) fn public(&self, keys: impl Iterator<Item = KeyId>) -> Vec<Jwk> {
        keys.filter_map(|key| self.beside(key)).map(|pair| pair.public.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_rsa_key_is_refused_and_changes_nothing() {
        let keys = RsaKeys::default();
        for bytes in [&[][..], &[48; 25], &[48; 26], &[0; 2_000]] {
            assert!(keys.put(&[(KeyId(1), Zeroizing::new(bytes.to_vec()))]).is_err());
        }
        assert!(keys.beside(KeyId(1)).is_none());
    }
}
