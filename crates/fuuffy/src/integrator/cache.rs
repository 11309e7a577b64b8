//! The cache of tokens on disk that all of a person's commands share, so that many at once cause one token
//! request. A file for each server, environment, client and scope, in a folder that only its owner can
//! open; read without a lock, for it is replaced whole; written under one.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fuuffy_client::{AccessToken, BoxFuture, Error, Grant, TokenCache};
use fuuffy_domain::TimeSource;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::server::SystemTime;

/// A token is replaced after so much of its life, so that whoever gets it has time to use it.
const REFRESH: f64 = 0.8;
/// The largest file that can be a token's, in bytes.
const LARGEST: u64 = 64 * 1024;
/// The longest wait for another process that asks for a token: longer than any request may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// One client's token on disk.
#[derive(Clone)]
pub(crate) struct DiskCache {
    folder: PathBuf,
    key: String,
    /// The thumbprint of the certificate that its token may be bound to.
    certificate: Option<String>,
    time: Arc<dyn TimeSource>,
    boot: String,
    is_anew: bool,
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The same as in the file's name, so that no file passes for another.
    key: String,
    /// Of which certificate the token is, where the client shows one. A later one takes the same place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    access_token: Zeroizing<String>,
    scope: Option<String>,
    life_millis: u64,
    refresh_after_millis: u64,
    /// When the token was asked for: since which boot, how long after it, and by the calendar.
    boot: String,
    after_boot_millis: u64,
    unix_millis: i64,
}

/// A cached token that lives.
struct Cached {
    grant: Grant,
    /// Whether it is too early to replace it.
    is_fresh: bool,
}

/// The right to replace the file, until it is dropped. Where there can be no file, all have it.
struct Lock {
    _file: Option<File>,
}

impl DiskCache {
    /// The token of whoever `identity` names.
    pub(super) fn new(folder: PathBuf, identity: &[&str]) -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self::by(folder, identity, (Arc::new(SystemTime), boot.trim().to_owned()))
    }

    fn by(folder: PathBuf, identity: &[&str], (time, boot): (Arc<dyn TimeSource>, String)) -> Self {
        let mut digest = Sha256::new();
        for part in identity {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        let key = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { folder, key, certificate: None, time, boot, is_anew: false }
    }

    /// Answers no token that was fetched before.
    pub(super) fn anew(self) -> Self {
        Self { is_anew: true, ..self }
    }

    /// The same file, for a token that may be bound to a certificate.
    fn of_certificate(&self, thumbprint: &str) -> Self {
        Self { certificate: Some(thumbprint.to_owned()), ..self.clone() }
    }

    async fn answer(
        &self,
        refused: Option<&AccessToken>,
        fetch: BoxFuture<'_, Result<Grant, Error>>,
    ) -> Result<Grant, Error> {
        if !self.open_folder()? {
            return fetch.await;
        }
        let find = || if self.is_anew { Ok(None) } else { self.read(refused) };
        let before = match find()? {
            Some(cached) if cached.is_fresh => return Ok(cached.grant),
            before => before,
        };
        let (lock, before) = match (self.try_lock()?, before) {
            (Some(lock), before) => (lock, before),
            // One process refreshes early; the others go on with what there is.
            (None, Some(cached)) => return Ok(cached.grant),
            (None, None) => (self.lock().await?, None),
        };
        // Another process may have fetched one while this one waited.
        if let Some(cached) = find()?.filter(|cached| cached.is_fresh) {
            return Ok(cached.grant);
        }
        let asked_at = (self.time.elapsed(), self.time.wall());
        let outcome = fetch.await;
        match (outcome, before) {
            (Ok(grant), _) => {
                self.keep(&grant, asked_at);
                drop(lock);
                Ok(grant)
            }
            (Err(error), Some(cached)) => {
                tracing::warn!(%error, "The token was not refreshed; it still lives and is used");
                Ok(cached.grant)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The cached token, if there is one that lives and was not refused. A damaged file is none: it is told
    /// of, and replaced.
    fn read(&self, refused: Option<&AccessToken>) -> Result<Option<Cached>, Error> {
        let path = self.path("json");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, &format!("cannot be opened ({error})"))),
        };
        check_owner(&file.metadata().map_err(|error| unusable(&path, &error.to_string()))?, &path)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        let read = file.take(LARGEST).read_to_end(&mut bytes);
        let kept =
            read.ok().and_then(|_| serde_json::from_slice::<Kept>(&bytes).ok()).filter(|kept| kept.key == self.key);
        let Some(kept) = kept else {
            tracing::warn!(file = %path.display(), "The cached token is damaged or of another kind; it is replaced");
            return Ok(None);
        };
        if kept.certificate != self.certificate {
            return Ok(None);
        }
        Ok(self
            .cached(kept)
            .filter(|cached| refused.is_none_or(|refused| refused.reveal() != cached.grant.access_token.reveal())))
    }

    /// What is left of a kept token. Its age is taken by time since boot, which nobody steps, and by the
    /// calendar only across boots.
    fn cached(&self, kept: Kept) -> Option<Cached> {
        let age = if kept.boot == self.boot && !self.boot.is_empty() {
            self.time.elapsed().checked_sub(Duration::from_millis(kept.after_boot_millis))?
        } else {
            let millis = self.time.wall().unix_millis().checked_sub(kept.unix_millis)?;
            Duration::from_millis(u64::try_from(millis).ok()?)
        };
        let after = |millis| Duration::from_millis(millis).checked_sub(age).filter(|left| !left.is_zero());
        let left = after(kept.life_millis)?;
        let access_token = AccessToken::granted(kept.access_token)?;
        let refresh_after = after(kept.refresh_after_millis);
        let is_fresh = refresh_after.is_some();
        Some(Cached { grant: Grant { access_token, life: Some(left), refresh_after, scope: kept.scope }, is_fresh })
    }

    /// Replaces the file whole. A disk that takes no cache costs a token request each time, and no more.
    fn keep(&self, grant: &Grant, (elapsed, wall): (Duration, fuuffy_domain::Timestamp)) {
        // A token whose life nobody told is not one to keep.
        let Some(life) = grant.life.filter(|life| *life > Duration::from_secs(1)) else {
            return;
        };
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let kept = Kept {
            key: self.key.clone(),
            certificate: self.certificate.clone(),
            access_token: Zeroizing::new(grant.access_token.reveal().to_owned()),
            scope: grant.scope.clone(),
            life_millis: millis(life),
            refresh_after_millis: millis(life.mul_f64(REFRESH)),
            boot: self.boot.clone(),
            after_boot_millis: millis(elapsed),
            unix_millis: wall.unix_millis(),
        };
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            let mut text = Zeroizing::new(Vec::with_capacity(16 * 1024));
            serde_json::to_writer(&mut *text, &kept)?;
            file.write_all(&text)?;
            file.persist(self.path("json"))?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::warn!(folder = %self.folder.display(), %error, "The token could not be cached");
        }
    }

    /// The folder, made if need be, that only its owner can open. `false` where there can be none, as for a
    /// service without a home.
    fn open_folder(&self) -> Result<bool, Error> {
        match DirBuilder::new().recursive(true).mode(0o700).create(&self.folder) {
            Ok(()) => {}
            Err(error) if takes_nothing(&error) => {
                tracing::warn!(folder = %self.folder.display(), %error, "Tokens are not cached; name a folder by XDG_CACHE_HOME");
                return Ok(false);
            }
            Err(error) => return Err(unusable(&self.folder, &format!("cannot be made ({error})"))),
        }
        let metadata = std::fs::metadata(&self.folder);
        let metadata = metadata.map_err(|error| unusable(&self.folder, &error.to_string()))?;
        check_owner(&metadata, &self.folder)?;
        Ok(true)
    }

    fn lock_file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.path("lock"))
    }

    fn try_lock(&self) -> Result<Option<Lock>, Error> {
        let file = match self.lock_file() {
            Ok(file) => file,
            // Nor can the token be kept, which is told then.
            Err(error) if takes_nothing(&error) => return Ok(Some(Lock { _file: None })),
            Err(error) => return Err(unusable(&self.path("lock"), &format!("cannot be opened ({error})"))),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(unusable(&self.path("lock"), &format!("cannot be locked ({error})")))
            }
        }
    }

    /// Waits for whoever asks for a token now.
    async fn lock(&self) -> Result<Lock, Error> {
        let path = self.path("lock");
        let file = self.lock_file().map_err(|error| unusable(&path, &format!("cannot be opened ({error})")))?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // A thread of its own, which the end of this process ends whatever it waits for.
        std::thread::spawn(move || {
            let locked = file.lock().map(|()| Lock { _file: Some(file) });
            // Whoever waited may have lost patience.
            let _ = sender.send(locked);
        });
        match tokio::time::timeout(PATIENCE, receiver).await {
            Ok(Ok(Ok(lock))) => Ok(lock),
            Ok(Ok(Err(error))) => Err(unusable(&path, &format!("cannot be locked ({error})"))),
            Ok(Err(_)) | Err(_) => Err(unusable(&path, "is held by another process that does not end")),
        }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.key))
    }
}

impl TokenCache for DiskCache {
    fn token<'a>(
        &'a self,
        refused: Option<&'a AccessToken>,
        fetch: BoxFuture<'a, Result<Grant, Error>>,
    ) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(self.answer(refused, fetch))
    }

    fn bound_token<'a>(
        &'a self,
        thumbprint: &'a str,
        refused: Option<&'a AccessToken>,
        fetch: BoxFuture<'a, Result<Grant, Error>>,
    ) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(async move { self.of_certificate(thumbprint).answer(refused, fetch).await })
    }
}

/// What is here is one's own, and nobody else can read it: a token that others could plant or take is none.
fn check_owner(metadata: &Metadata, path: &Path) -> Result<(), Error> {
    let (owner, me) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != me {
        return Err(unusable(path, &format!("belongs to the user with the number {owner}, and not to you ({me})")));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(unusable(path, &format!("can be opened by others (mode {:03o})", metadata.mode() & 0o777)));
    }
    Ok(())
}

/// Whether a disk does not take files here, of which a cache is in no danger.
fn takes_nothing(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(
        error.kind(),
        E::ReadOnlyFilesystem | E::StorageFull | E::QuotaExceeded | E::PermissionDenied | E::NotFound
    )
}

fn unusable(path: &Path, why: &str) -> Error {
    let path = path.display();
    Error::configuration(format!(
        "the token cache cannot be used: {path} {why}; remove it, name another folder by XDG_CACHE_HOME, or use --no-cache"
    ))
}

#[cfg(test)]
mod tests;
