//! Another secret in a file: written beside it, synced, and put in its place by a rename, so that a crash at any
//! moment leaves the old one or the new one, whole.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fuuffy_protocol::ClientSecret;
use zeroize::Zeroizing;

use super::{FileCredentials, read_private};
use crate::credentials::{CredentialSource as _, Credentials, Replacement, by_hand};
use crate::{BoxFuture, Error};

/// The longest wait for another process that replaces the same secret: longer than that may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at whether it has ended.
const LOOK: Duration = Duration::from_millis(100);
/// Room for any secret, taken on the disk before one is asked for.
const ROOM: usize = 4096;

/// The right to replace a file, by a lock on another one beside it.
struct FileReplacement {
    credentials: Credentials,
    spot: Spot,
    /// Made before a secret is asked for; gone once it has taken the place.
    beside: Option<Beside>,
    lock: Lock,
}

/// Keeps other processes out until whoever writes has ended, even if nobody waits for that any more.
type Lock = Arc<File>;

/// Where the file is, and what is beside it.
#[derive(Clone)]
struct Spot {
    path: PathBuf,
    folder: PathBuf,
    others: u32,
}

/// A file beside the secret's, which goes away unless it takes the secret's place.
struct Beside {
    path: PathBuf,
    file: File,
    /// What the secret's own file ends in.
    ending: &'static [u8],
    is_in_place: bool,
}

/// Takes the right to replace the secret in a file.
pub(super) async fn take(source: &FileCredentials) -> Result<Box<dyn Replacement>, Error> {
    let (path, others, is_of_systemd) = (source.path.clone(), source.others, source.is_of_systemd);
    let (spot, lock) = on_disk(move || {
        let spot = Spot::find(path, others, is_of_systemd)?;
        let lock = Arc::new(spot.lock_file()?);
        Ok((spot, lock))
    })
    .await?;
    wait_for(&lock, &spot).await?;
    // Read by whoever may write it, so that nobody replaces what another process has just written.
    let credentials = source.read().await?;
    let (at, held) = (spot.clone(), Arc::clone(&lock));
    let beside = on_disk(move || {
        let beside = Beside::make(&at);
        drop(held);
        beside
    })
    .await?;
    Ok(Box::new(FileReplacement { credentials, spot, beside: Some(beside), lock }))
}

impl Spot {
    fn find(path: PathBuf, others: u32, is_of_systemd: bool) -> Result<Self, Error> {
        let place = path.display();
        if is_of_systemd {
            return Err(by_hand("the secret is a credential that systemd passes on, which no program replaces"));
        }
        let metadata = path.symlink_metadata();
        let metadata = metadata.map_err(|error| Error::credentials(format!("cannot read {place}: {error}")))?;
        if metadata.is_symlink() {
            return Err(by_hand(format!("{place} is a link, as to a secret that is mounted from elsewhere")));
        }
        if is_mounted(&path) {
            return Err(by_hand(format!(
                "{place} is mounted from elsewhere, which nothing can be put in the place of"
            )));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Ok(Self { path, folder, others })
    }

    /// The file whose lock is the right to replace the secret. It stays, and is whose the secret is.
    fn lock_file(&self) -> Result<File, Error> {
        let path = self.beside("lock");
        let is_there = path.symlink_metadata().ok();
        if is_there.as_ref().is_some_and(|there| !there.is_file()) {
            return Err(Error::credentials(format!("{} is no file; remove it", path.display())));
        }
        let opened = private(OpenOptions::new().create(true).truncate(false).write(true)).open(&path);
        let file = opened.map_err(|error| match (is_there, error.kind()) {
            (Some(_), io::ErrorKind::PermissionDenied) => Error::unwritable(format!(
                "{} is another user's, and in the way of replacing the secret; remove it, or make it yours",
                path.display()
            )),
            _ => self.refused(&error),
        })?;
        let like = std::fs::metadata(&self.path).map_err(|error| self.refused(&error))?;
        belong(&file, &like).map_err(|error| self.refused(&error))?;
        Ok(file)
    }

    /// A file beside the secret's, by its ending.
    fn beside(&self, ending: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.folder.join(format!(".{name}.{ending}"))
    }

    /// The folder takes no file: for good, or as long as the disk is full.
    fn refused(&self, error: &io::Error) -> Error {
        use io::ErrorKind as E;

        let (place, folder) = (self.path.display(), self.folder.display());
        match error.kind() {
            E::PermissionDenied | E::ReadOnlyFilesystem => Error::unwritable(format!(
                "{place} cannot be replaced, since no file can be made in {folder} ({error}); let this program write \
                 there, or have a person do it (fuuffy secrets add gives another)"
            )),
            E::ResourceBusy | E::CrossesDevices => by_hand(format!("{place} cannot be replaced ({error})")),
            E::StorageFull | E::QuotaExceeded => Error::credentials(format!(
                "there is no room to keep another secret beside {place} ({error}); make room, and try again"
            )),
            _ => Error::credentials(format!("another secret cannot be kept at {place}: {error}")),
        }
    }
}

/// Waits for whoever replaces the same secret now. The lock ends with its file, and so with a process.
async fn wait_for(lock: &Lock, spot: &Spot) -> Result<(), Error> {
    for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
            Err(TryLockError::Error(error)) => return Err(spot.refused(&error)),
        }
    }
    let place = spot.path.display();
    Err(Error::credentials(format!("another process is about to replace {place} and does not end")))
}

impl Beside {
    /// Makes it, with room for a secret, so that a disk without any is known before there is one.
    fn make(spot: &Spot) -> Result<Self, Error> {
        let failed = |error| spot.refused(&error);
        let path = spot.beside("new");
        // One that a crash left behind.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let kept = read_private(&spot.path, spot.others)?;
        let ending: &[u8] = if kept.ends_with(b"\n") { b"\n" } else { b"" };
        let like = std::fs::metadata(&spot.path).map_err(failed)?;
        let file = private(OpenOptions::new().create_new(true).write(true)).open(&path).map_err(failed)?;
        let mut beside = Self { path, file, ending, is_in_place: false };
        beside.fill(&like).map_err(failed)?;
        Ok(beside)
    }

    fn fill(&mut self, like: &Metadata) -> io::Result<()> {
        self.file.write_all(&[0; ROOM])?;
        belong(&self.file, like)?;
        self.file.sync_all()
    }

    /// Puts the secret into the place of what is at `spot`.
    fn put(mut self, spot: &Spot, secret: &str) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(secret.as_bytes())?;
        self.file.write_all(self.ending)?;
        self.file.set_len((secret.len() + self.ending.len()) as u64)?;
        self.file.sync_all()?;
        std::fs::rename(&self.path, &spot.path)?;
        self.is_in_place = true;
        sync_folder(&spot.folder)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.is_in_place {
            // What stays behind is removed by the next one.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Replacement for FileReplacement {
    fn current(&self) -> &Credentials {
        &self.credentials
    }

    fn keep<'a>(&'a mut self, secret: &'a ClientSecret) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let secret = Zeroizing::new(secret.reveal().to_owned());
            let (spot, beside, held) = (self.spot.clone(), self.beside.take(), Arc::clone(&self.lock));
            on_disk(move || {
                let beside = beside.map_or_else(|| Beside::make(&spot), Ok)?;
                let put = beside.put(&spot, &secret).map_err(|error| spot.refused(&error));
                drop(held);
                put
            })
            .await
        })
    }
}

/// Waits for the disk where nobody else waits for it.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::credentials("the work on the secret's file broke off")))
}

/// Whether the file itself is where something is mounted, as containers are given secrets. Told by Linux alone.
fn is_mounted(path: &Path) -> bool {
    let (Ok(path), Ok(mounts)) = (path.canonicalize(), std::fs::read_to_string("/proc/self/mountinfo")) else {
        return false;
    };
    names_mount(&mounts, &path)
}

/// Whether a list of mounts (proc_pid_mountinfo(5)) has one at a path.
fn names_mount(mounts: &str, path: &Path) -> bool {
    // Blanks and the like are written as octal digits there.
    let at = |line: &str| {
        let written = line.split(' ').nth(4)?;
        let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
        Some(escapes.iter().fold(written.to_owned(), |text, (escape, is)| text.replace(escape, is)))
    };
    mounts.lines().filter_map(at).any(|mount| Path::new(&mount) == path)
}

/// Makes the file its owner's alone.
#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;

    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Gives a file the owner and the mode of another, as where root replaces a service's secret.
#[cfg(unix)]
fn belong(file: &File, like: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
        std::os::unix::fs::fchown(file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(like.permissions())
}

#[cfg(not(unix))]
fn belong(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// The rename itself is to outlast a power cut.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_mounted_is_told() {
        let mounts = "36 35 98:0 /mnt1 / rw,noatime master:1 - ext4 /dev/root rw\n\
                      41 36 0:30 /a /run/secrets/my\\040app rw - tmpfs tmpfs rw\n";
        assert!(names_mount(mounts, Path::new("/run/secrets/my app")));
        assert!(!names_mount(mounts, Path::new("/run/secrets/my")));
        assert!(!is_mounted(Path::new("/no/such/file")) && is_mounted(Path::new("/proc")));
    }
}
