//! The RSA keys that an environment signs by, where it does: made, kept sealed in its store, and in force before the key of
//! the key file that they go with.

use anyhow::Context as _;
use fuuffy_domain::Keyring;
use fuuffy_issuer::{SigningAlgorithm, TokenFormat};
use fuuffy_store::pepper::MasterKeys;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use zeroize::Zeroizing;

use super::{Environment, Environments};
use crate::config::EnvironmentConfig;

/// What is sealed, so that it is taken for nothing else.
const WHAT: &[u8] = b"an RSA key in PKCS #8";
/// 128 bits of strength, as the other keys have (NIST SP 800-57 part 1, table 2).
const SIZE: RsaKeySize = RsaKeySize::_3072;

impl Environments {
    /// What is to sign by RSA now.
    pub(super) async fn open_rsa(&self) -> anyhow::Result<()> {
        for environment in self.iter() {
            environment.prepare_rsa(environment.keyring()).await.with_context(|| in_config(environment))?;
        }
        Ok(())
    }

    /// What is to sign by RSA from the moment on that these keys are in force.
    pub(super) async fn prepare_rsa(&self, keys: &MasterKeys) -> anyhow::Result<()> {
        for environment in self.iter() {
            let ring = Keyring::derive(environment.name, keys)?;
            environment.prepare_rsa(&ring).await.with_context(|| in_config(environment))?;
        }
        Ok(())
    }
}

impl Environment {
    /// Puts the RSA keys in force that go with keys of the key file, and makes one for the current key if need be. What is
    /// published goes on for as long as its key is in the file, even where nothing is signed by RSA any more.
    async fn prepare_rsa(&self, ring: &Keyring) -> anyhow::Result<()> {
        let mut kept = self.store.rsa_keys().await?;
        let mut opened = Vec::new();
        for (key, seal) in ring.seals() {
            let Some((_, sealed)) = kept.iter().find(|(known, _)| *known == key) else {
                continue;
            };
            match seal.open(WHAT, sealed) {
                Some(pkcs8) => opened.push((key, pkcs8)),
                None => {
                    tracing::error!(environment = %self.name, key = key.0, "The RSA key that is kept beside this key was not sealed by it; what it signed can be verified by nobody any more");
                }
            }
        }
        let current = ring.current();
        if signs_by_rsa(&self.settings) && !opened.iter().any(|(key, _)| *key == current) {
            let made = tokio::task::spawn_blocking(make).await.context("an RSA key cannot be made")??;
            let (_, seal) = ring.seal();
            kept.retain(|(key, _)| opened.iter().any(|(known, _)| known == key));
            kept.push((current, seal.close(WHAT, &made, &*self.entropy)?));
            self.store.keep_rsa_keys(kept).await.context("the RSA key that was made cannot be kept")?;
            tracing::info!(environment = %self.name, key = current.0, "An RSA key was made");
            opened.push((current, made));
        }
        self.issuer.rsa.put(&opened).context("an RSA key that is kept")
    }
}

fn in_config(environment: &Environment) -> String {
    format!("environments.{}", environment.name)
}

/// Whether anything is signed by RSA.
fn signs_by_rsa(settings: &EnvironmentConfig) -> bool {
    let by_rsa = |algorithm| algorithm == SigningAlgorithm::Rs256;
    by_rsa(settings.introspection_signing_alg)
        || (settings.token_format == TokenFormat::Jwt && by_rsa(settings.token_signing_alg))
}

/// Takes some tenths of a second.
fn make() -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, SIZE).context("an RSA key cannot be made")?;
    Ok(Zeroizing::new(pair.serialize_der()))
}
