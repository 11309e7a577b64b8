//! The lock that keeps a second server out of a data directory.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::bad_file;
use crate::StoreError;

/// A data directory held by this process. The kernel lets go of it however the process ends.
#[derive(Debug)]
pub struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Makes the directory, readable by its owner alone, if it is missing, and holds it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where another process holds it.
    pub fn acquire(data_dir: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|error| bad_file(data_dir, error))?;
        let path = data_dir.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| bad_file(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(data_dir.display().to_string())),
            Err(TryLockError::Error(error)) => Err(bad_file(&path, error)),
        }
    }
}

impl Drop for DirectoryLock {
    /// Let go of at once: closing alone would leave it to a process that is just being started, until it runs.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}
