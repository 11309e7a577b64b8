//! The keys that clients publish at URLs of their own, each set fetched once somebody needs it. In memory that is bounded by
//! the clients: a set that nobody has needed for a week is let go of.

use std::collections::HashMap;
use std::sync::Arc;

use fuuffy_domain::{ClientKey, KeySetFault, Timestamp};
use fuuffy_store::KeyShelf;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::key_source::{Fetch, KEPT, KeySource, Place};

/// Sets that are fetched anew within a minute, the oldest first.
const AT_ONCE: usize = 64;

/// The sets, by their URLs.
pub struct PublishedKeys {
    fetch: Fetch,
    shelf: Option<Arc<KeyShelf>>,
    sources: Mutex<HashMap<Arc<str>, Arc<KeySource>>>,
}

impl PublishedKeys {
    /// None yet; `fetch` gets them, and `shelf` keeps them over a restart.
    #[must_use]
    pub fn new(fetch: Fetch, shelf: Arc<KeyShelf>) -> Self {
        Self { fetch, shelf: Some(shelf), sources: Mutex::default() }
    }

    /// None ever.
    pub(crate) fn nowhere() -> Self {
        let fetch: Fetch = Arc::new(|_| Box::pin(std::future::ready(Err(KeySetFault::Unreachable))));
        Self { fetch, shelf: None, sources: Mutex::default() }
    }

    /// The set at the URL of a registered client. Only such a URL may be given, for each is kept in mind.
    pub(crate) fn at(&self, url: &Arc<str>) -> Arc<KeySource> {
        let mut sources = self.sources.lock();
        let new = || {
            let source = KeySource::new(Place::Keys(url.to_string()), Arc::clone(&self.fetch));
            Arc::new(match &self.shelf {
                Some(shelf) => source.kept_on(Arc::clone(shelf)),
                None => source,
            })
        };
        Arc::clone(sources.entry(Arc::clone(url)).or_insert_with(new))
    }

    /// The keys of a client, for its operators. They are fetched unless they are known.
    ///
    /// # Errors
    /// None is known, and why.
    pub async fn shown(&self, url: &Arc<str>, now: Timestamp) -> Result<Vec<ClientKey>, KeySetFault> {
        let keys = self.at(url).find(|_| true, now).await?;
        Ok(keys.of_clients().to_vec())
    }

    /// Fetches anew what grows old and is used. Meant for once a minute.
    pub async fn refresh(&self, now: Timestamp) {
        let (unused, mut due): (Vec<_>, Vec<(Timestamp, Arc<KeySource>)>) = {
            let mut sources = self.sources.lock();
            // One that somebody holds is about to be used.
            let unused = sources
                .extract_if(|_, source| now.since(source.used_at()) >= KEPT && Arc::strong_count(source) == 1)
                .map(|(_, source)| source);
            let unused = unused.collect();
            (unused, sources.values().filter_map(|source| Some((source.is_due(now)?, Arc::clone(source)))).collect())
        };
        for source in unused {
            source.forget().await;
        }
        due.sort_by_key(|(asked_at, _)| *asked_at);
        let mut fetching = JoinSet::new();
        for (_, source) in due.into_iter().take(AT_ONCE) {
            fetching.spawn(async move { source.refresh(now).await });
        }
        while fetching.join_next().await.is_some() {}
    }
}
