//! What is kept of an authority: the account, an environment's certificate with its key, and how ordering goes. In the
//! environment's store, so that it is where the store is and in its backups, and sealed by what follows from the key file,
//! so that without that nobody reads it.

use fuuffy_store::embedded::{AcmeItem, SealedItem};
use zeroize::Zeroizing;

use crate::server::Environment;

/// What an environment keeps of one authority.
#[derive(Clone, Copy)]
pub(super) struct Shelf<'a> {
    pub(super) authority: &'a str,
    pub(super) environment: &'a Environment,
}

impl Shelf<'_> {
    /// What is kept, if anything is. What cannot be opened is said, and is nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn read(self, item: AcmeItem) -> anyhow::Result<Option<Zeroizing<String>>> {
        let kept = self.environment.store.acme_items().await?;
        let kept = kept.iter().find(|kept| kept.authority == self.authority && kept.item == item);
        let text = kept.and_then(|kept| self.environment.open_acme_item(kept));
        Ok(text.and_then(|text| Some(Zeroizing::new(std::str::from_utf8(&text).ok()?.to_owned()))))
    }

    /// Says what went wrong here and stops nothing.
    pub(super) fn tell(self, what: &str, error: &anyhow::Error) {
        tracing::warn!(environment = %self.environment.name, error = format!("{error:#}"), "{what}");
    }

    /// Keeps texts, sealed and on disk, each in the place of the one before: all of them or none.
    ///
    /// # Errors
    /// There is no randomness, or the store cannot write.
    pub(super) async fn keep(self, texts: &[(AcmeItem, &str)]) -> anyhow::Result<()> {
        let _turn = self.environment.acme_turn.lock().await;
        let seal = |(item, text): &(AcmeItem, &str)| {
            self.environment.seal_acme_item(self.authority.to_owned(), *item, text.as_bytes())
        };
        let sealed = texts.iter().map(seal).collect::<anyhow::Result<_>>()?;
        Ok(self.environment.store.keep_acme_items(sealed).await?)
    }
}

impl Environment {
    /// Seals by the current key what another one sealed: that one may be gone soon.
    ///
    /// # Errors
    /// There is no randomness, or the store cannot be read or written.
    pub(in crate::server) async fn seal_acme_items_anew(&self) -> anyhow::Result<()> {
        let _turn = self.acme_turn.lock().await;
        let mut anew = Vec::new();
        for kept in self.store.acme_items().await? {
            let text = (kept.key != self.keyring().current()).then(|| self.open_acme_item(&kept)).flatten();
            if let Some(text) = text {
                anew.push(self.seal_acme_item(kept.authority, kept.item, &text)?);
            }
        }
        if !anew.is_empty() {
            self.store.keep_acme_items(anew).await?;
        }
        Ok(())
    }

    fn seal_acme_item(&self, authority: String, item: AcmeItem, text: &[u8]) -> anyhow::Result<SealedItem> {
        let (key, seal) = self.keyring().seal();
        let sealed = seal.close(what(&authority, item).as_bytes(), text, &*self.entropy)?;
        Ok(SealedItem { authority, item, key, sealed })
    }

    fn open_acme_item(&self, kept: &SealedItem) -> Option<Zeroizing<Vec<u8>>> {
        let seals = self.keyring().seals();
        let seal = seals.iter().find(|(key, _)| *key == kept.key);
        let text = seal.and_then(|(_, seal)| seal.open(what(&kept.authority, kept.item).as_bytes(), &kept.sealed));
        if text.is_none() {
            tracing::error!(environment = %self.name, item = kept.item.name(), key = kept.key.0, "What is kept of the authority for certificates was not sealed by a key of the key file; it is as if it had never been there");
        }
        text
    }
}

/// What is sealed, so that it is taken for nothing else.
fn what(authority: &str, item: AcmeItem) -> String {
    format!("of the ACME authority {authority}: {}", item.name())
}
