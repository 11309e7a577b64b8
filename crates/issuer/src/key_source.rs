//! Keys that are published elsewhere, as they were fetched last: when they are fetched again, and for how long those that
//! are known do while nobody answers, over a restart, too. Knows no HTTP; it is given what fetches.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fuuffy_domain::{KeySetFault, Timestamp};
use fuuffy_store::{KeptKeys, KeyShelf};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::{Mutex as Turn, OnceCell, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use crate::key_set::KeySet;

/// Keys are fetched anew when they are older than this, before anybody needs them: so long one that was withdrawn works.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// No sooner after one attempt there is another, whatever key somebody names.
const PAUSE: Duration = Duration::from_secs(30);
/// For so long keys do that cannot be fetched any more.
pub(crate) const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// A set that has not changed is written down again after this, so that it is known how old it is.
const NOTED: Duration = Duration::from_secs(3600);
/// Where an issuer tells of itself (OpenID Connect Discovery 1.0 §4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Gets what is at a URL or a path: at most 64 KiB, within seconds, and never from where it may not be.
pub type Fetch = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Bytes, KeySetFault>> + Send>> + Send + Sync>;

/// Where a set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Here.
    Keys(String),
    /// Where the metadata of this issuer says.
    MetadataOf(String),
}

/// One set of keys that somebody publishes.
pub struct KeySource {
    place: Place,
    fetch: Fetch,
    /// Where they are kept over a restart, if they are.
    shelf: Option<Arc<KeyShelf>>,
    known: Mutex<Known>,
    /// Whether it was looked what was kept.
    recalled: OnceCell<()>,
    /// When they were last asked for; held while they are, so that many who miss a key ask once.
    asked: Arc<Turn<Option<Timestamp>>>,
}

struct Known {
    keys: Option<(Arc<KeySet>, Timestamp)>,
    /// Why the last attempt came to nothing, if it did.
    fault: Option<KeySetFault>,
    asked_at: Option<Timestamp>,
    used_at: Timestamp,
    /// What was written down last.
    kept: Option<KeptKeys>,
}

impl KeySource {
    /// Keys that are fetched once somebody needs them.
    #[must_use]
    pub fn new(place: Place, fetch: Fetch) -> Self {
        let used_at = Timestamp::from_unix_millis(0);
        let known = Mutex::new(Known { keys: None, fault: None, asked_at: None, used_at, kept: None });
        Self { place, fetch, shelf: None, known, recalled: OnceCell::new(), asked: Arc::default() }
    }

    /// The same, where they are kept over a restart.
    #[must_use]
    pub fn kept_on(self, shelf: Arc<KeyShelf>) -> Self {
        Self { shelf: Some(shelf), ..self }
    }

    /// The keys that are known; they are fetched first where none of them will do, unless that was tried a moment ago.
    /// A set that will do is answered without waiting for anything, but for one of a run before that has grown old.
    ///
    /// # Errors
    /// None is known, and why.
    pub async fn find(
        self: &Arc<Self>,
        will_do: impl Fn(&KeySet) -> bool,
        now: Timestamp,
    ) -> Result<Arc<KeySet>, KeySetFault> {
        self.recalled.get_or_init(|| self.recall()).await;
        self.known.lock().used_at = now;
        let known = self.known_at(now).filter(|keys| will_do(keys) && !self.is_stale(now));
        if let Some(keys) = known {
            return Ok(keys);
        }
        self.ask(now, PAUSE).await;
        let fault = self.known.lock().fault.unwrap_or(KeySetFault::Unreachable);
        self.known_at(now).ok_or(fault)
    }

    /// Fetches the keys before they are needed, where those that are known grow old.
    pub async fn refresh(self: &Arc<Self>, now: Timestamp) {
        self.ask(now, FRESH).await;
    }

    /// Whether it is time for that, and when it was last asked.
    pub(crate) fn is_due(&self, now: Timestamp) -> Option<Timestamp> {
        let asked_at = self.known.lock().asked_at.unwrap_or(Timestamp::from_unix_millis(0));
        (now.since(asked_at) >= FRESH).then_some(asked_at)
    }

    /// When somebody last wanted them.
    pub(crate) fn used_at(&self) -> Timestamp {
        self.known.lock().used_at
    }

    /// Whether what is known is an old set of a run before, which nobody has asked about since: what was withdrawn meanwhile
    /// is in it still.
    fn is_stale(&self, now: Timestamp) -> bool {
        let known = self.known.lock();
        known.asked_at.is_none() && known.keys.as_ref().is_some_and(|(_, fetched)| now.since(*fetched) >= FRESH)
    }

    fn known_at(&self, now: Timestamp) -> Option<Arc<KeySet>> {
        let known = self.known.lock();
        known.keys.as_ref().filter(|(_, fetched)| now.since(*fetched) < KEPT).map(|(keys, _)| Arc::clone(keys))
    }

    async fn ask(self: &Arc<Self>, now: Timestamp, pause: Duration) {
        match Arc::clone(&self.asked).try_lock_owned() {
            Ok(asked) if asked.is_some_and(|last| now.since(last) < pause) => {}
            Ok(asked) => {
                // A task of its own: whoever asked may go away, and the attempt counts all the same.
                let fetching = tokio::spawn(Arc::clone(self).fetch(asked, now));
                let _ = fetching.await;
            }
            // Somebody is at it; what comes of that will do.
            Err(_) => drop(self.asked.lock().await),
        }
    }

    async fn fetch(self: Arc<Self>, mut asked: OwnedMutexGuard<Option<Timestamp>>, now: Timestamp) {
        *asked = Some(now);
        match self.published(now).await {
            Ok((keys, text)) => {
                let noted = {
                    let mut known = self.known.lock();
                    (known.keys, known.fault, known.asked_at) = (Some((Arc::new(keys), now)), None, Some(now));
                    known.note(&text, now)
                };
                if let Some(noted) = noted {
                    self.keep(noted).await;
                }
            }
            Err(fault) => {
                let (place, why) = (self.place.url(), fault.words().0);
                let are_withdrawn = fault == KeySetFault::Empty;
                {
                    let mut known = self.known.lock();
                    (known.fault, known.asked_at) = (Some(fault), Some(now));
                    if are_withdrawn {
                        (known.keys, known.kept) = (None, None);
                    }
                }
                if are_withdrawn {
                    tracing::warn!(
                        place,
                        "Of the published keys none can be used any more; those from before are not taken either"
                    );
                    self.forget().await;
                } else {
                    tracing::warn!(place, why, "Published keys could not be used; those that are known stay");
                }
            }
        }
    }

    /// Takes what was kept of a run before, where nothing newer is known.
    async fn recall(&self) {
        let Some(shelf) = self.shelf.clone() else {
            return;
        };
        let place = self.place.url().to_owned();
        let read = spawn_blocking(move || shelf.read(&place)).await;
        let kept = match read {
            Ok(Ok(Some(kept))) => kept,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(%error, "Published keys that were kept cannot be read; they are fetched");
                return;
            }
        };
        if let Ok(keys) = KeySet::parse(kept.text.as_bytes(), kept.fetched_at) {
            let mut known = self.known.lock();
            known.keys.get_or_insert((Arc::new(keys), kept.fetched_at));
            known.kept.get_or_insert(kept);
        }
    }

    /// Writes down what was fetched. Without it all works on until the next start.
    async fn keep(&self, kept: KeptKeys) {
        let Some(shelf) = self.shelf.clone() else {
            return;
        };
        let place = self.place.url().to_owned();
        let written = spawn_blocking(move || shelf.keep(&place, kept)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "Published keys could not be kept; a start while nobody answers will not know them");
        }
    }

    /// Lets go of what is kept, where nobody has needed it for long.
    pub(crate) async fn forget(&self) {
        let Some(shelf) = self.shelf.clone() else {
            return;
        };
        let place = self.place.url().to_owned();
        let forgotten = spawn_blocking(move || shelf.forget(&place)).await;
        if let Ok(Err(error)) = forgotten {
            tracing::warn!(%error, "Published keys that nobody needs any more stay on disk");
        }
    }

    async fn published(&self, now: Timestamp) -> Result<(KeySet, Bytes), KeySetFault> {
        let url = match &self.place {
            Place::Keys(url) => url.clone(),
            Place::MetadataOf(issuer) => {
                let metadata = (self.fetch)(format!("{}{DISCOVERY}", issuer.trim_end_matches('/'))).await?;
                keys_in(&metadata, issuer)?
            }
        };
        let text = (self.fetch)(url).await?;
        Ok((KeySet::parse(&text, now)?, text))
    }
}

impl Known {
    /// What is to be written down of a set that was fetched, if anything is.
    fn note(&mut self, text: &[u8], now: Timestamp) -> Option<KeptKeys> {
        let is_kept = |kept: &KeptKeys| kept.text.as_bytes() == text && now.since(kept.fetched_at) < NOTED;
        if self.kept.as_ref().is_some_and(is_kept) {
            return None;
        }
        // A set that could be read is text.
        let text = String::from_utf8(text.to_vec()).ok()?;
        self.kept = Some(KeptKeys { text, fetched_at: now });
        self.kept.clone()
    }
}

impl Place {
    fn url(&self) -> &str {
        match self {
            Self::Keys(url) | Self::MetadataOf(url) => url,
        }
    }
}

/// Where an issuer's metadata says that its keys are. It must be this issuer's and no other's (OpenID Connect Discovery
/// 1.0 §4.3).
///
/// # Errors
/// It is none, or another's.
pub fn keys_in(metadata: &[u8], issuer: &str) -> Result<String, KeySetFault> {
    #[derive(Deserialize)]
    struct UnverifiedMetadata {
        issuer: String,
        jwks_uri: String,
    }
    let read = serde_json::from_slice(metadata).map_err(|_| KeySetFault::Metadata);
    let UnverifiedMetadata { issuer: said, jwks_uri } = read?;
    if said != issuer || !jwks_uri.starts_with("https://") {
        return Err(KeySetFault::Metadata);
    }
    Ok(jwks_uri)
}

#[cfg(test)]
mod tests;
