//! A secret in a file that its owner alone can read: one's own, systemd's, or a mounted one.

mod replacement;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{CredentialSource, Credentials, Replacement, secret_of};
use crate::{BoxFuture, Error};

/// The largest file that can be a secret's, in bytes.
const LARGEST: u64 = 64 * 1024;
/// The bits of a mode that let others in.
pub(super) const OTHERS: u32 = 0o077;

/// A secret in a file, and the id that it belongs to. The file is read for every token request, so that a
/// new secret takes effect by being written there. It can be replaced by a program that may make files in its
/// folder: a lock beside it (`.NAME.lock`, which stays) keeps other processes out meanwhile. A link is not written
/// through, for it is what mounts of secrets are made of.
#[derive(Debug, Clone)]
pub struct FileCredentials {
    client_id: String,
    path: PathBuf,
    others: u32,
    is_of_systemd: bool,
}

impl FileCredentials {
    /// The secret in the file at `path`, which nobody but its owner may be able to read.
    pub fn new(client_id: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { client_id: client_id.into(), path: path.into(), others: OTHERS, is_of_systemd: false }
    }

    /// The secret in a file that systemd made for this service alone. Where it lets the service's user in by
    /// an access list, the list's mask shows as the group's mode, though the group cannot read it.
    pub(super) fn of_systemd(client_id: String, path: PathBuf) -> Self {
        Self { client_id, path, others: OTHERS & 0o007, is_of_systemd: true }
    }
}

impl CredentialSource for FileCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        Box::pin(async move {
            let (path, others) = (self.path.clone(), self.others);
            let text = tokio::task::spawn_blocking(move || read_private(&path, others)).await;
            let text = text.map_err(|_| Error::credentials("the file with the secret could not be read"))??;
            let client_secret = secret_of(&text, &self.path.display().to_string())?;
            Ok(Credentials::with_secret(self.client_id.clone(), client_secret))
        })
    }

    fn begin_replacement(&self) -> BoxFuture<'_, Result<Box<dyn Replacement>, Error>> {
        Box::pin(replacement::take(self))
    }
}

/// Reads a file that `others`, by the bits of its mode, cannot read. The check is of the file that was opened, not of its name.
pub(super) fn read_private(path: &Path, others: u32) -> Result<Zeroizing<Vec<u8>>, Error> {
    let place = path.display();
    let failed = |error: std::io::Error| Error::credentials(format!("cannot read {place}: {error}"));
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::credentials(format!("{place} is not a file")));
    }
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check_private(&metadata, path, others)?;
    if metadata.len() > LARGEST {
        return Err(Error::credentials(format!("{place} is too large to be a secret's file")));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(4096));
    file.by_ref().take(LARGEST).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

#[cfg(unix)]
fn check_private(metadata: &std::fs::Metadata, path: &Path, others: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = metadata.permissions().mode();
    if mode & others == 0 {
        return Ok(());
    }
    let place = path.display();
    Err(Error::credentials(format!(
        "{place} can be read by others (mode {:03o}); make it yours alone: chmod 600 {place}",
        mode & 0o777
    )))
}

#[cfg(not(unix))]
fn check_private(_: &std::fs::Metadata, _: &Path, _: u32) -> Result<(), Error> {
    Ok(())
}
