//! Keys that are published elsewhere, as they were fetched last: when they are fetched again, and for how long those that
//! are known do while nobody answers. Knows no HTTP; it is given what fetches.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fuuffy_domain::{KeySetFault, Timestamp};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::key_set::KeySet;

/// Keys are fetched anew when they are older than this, before anybody needs them: so long one that was withdrawn works.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// No sooner after one attempt there is another, whatever key somebody names.
const PAUSE: Duration = Duration::from_secs(30);
/// For so long keys do that cannot be fetched any more.
pub(crate) const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
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
    known: Mutex<Known>,
    /// When they were last asked for; held while they are, so that many who miss a key ask once.
    asked: Arc<Turn<Option<Timestamp>>>,
}

struct Known {
    keys: Option<(Arc<KeySet>, Timestamp)>,
    /// Why the last attempt came to nothing, if it did.
    fault: Option<KeySetFault>,
    asked_at: Option<Timestamp>,
    used_at: Timestamp,
}

impl KeySource {
    /// Keys that are fetched once somebody needs them.
    #[must_use]
    pub fn new(place: Place, fetch: Fetch) -> Self {
        let used_at = Timestamp::from_unix_millis(0);
        let known = Mutex::new(Known { keys: None, fault: None, asked_at: None, used_at });
        Self { place, fetch, known, asked: Arc::default() }
    }

    /// The keys that are known; they are fetched first where none of them will do, unless that was tried a moment ago.
    /// A set that will do is answered without waiting for anything.
    ///
    /// # Errors
    /// None is known, and why.
    pub async fn find(
        self: &Arc<Self>,
        will_do: impl Fn(&KeySet) -> bool,
        now: Timestamp,
    ) -> Result<Arc<KeySet>, KeySetFault> {
        self.known.lock().used_at = now;
        if let Some(keys) = self.known_at(now).filter(|keys| will_do(keys)) {
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
        let fetched = self.published(now).await;
        let mut known = self.known.lock();
        known.asked_at = Some(now);
        match fetched {
            Ok(keys) => (known.keys, known.fault) = (Some((Arc::new(keys), now)), None),
            Err(fault) => {
                let (place, why) = (self.place.url(), fault.words().0);
                tracing::warn!(place, why, "Published keys could not be used; those that are known stay");
                known.fault = Some(fault);
            }
        }
    }

    async fn published(&self, now: Timestamp) -> Result<KeySet, KeySetFault> {
        let url = match &self.place {
            Place::Keys(url) => url.clone(),
            Place::MetadataOf(issuer) => {
                let metadata = (self.fetch)(format!("{}{DISCOVERY}", issuer.trim_end_matches('/'))).await?;
                keys_in(&metadata, issuer)?
            }
        };
        KeySet::parse(&(self.fetch)(url).await?, now)
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
