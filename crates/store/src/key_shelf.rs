//! The keys that clients and platforms publish, as they were fetched last: a start while nobody answers knows them still.
//! One file for each set in a folder of the environment, replaced whole; it may be lost. Knows nothing of what is in a set.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use fuuffy_domain::{EnvironmentName, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::StoreError;
use crate::pepper::{bad, replace};

/// The largest file that is read, in bytes: a set of 64 KiB, as JSON writes it in a string, and what is told of it.
const MAX_BYTES: u64 = 512 * 1024;

/// The folder of one environment.
#[derive(Debug)]
pub struct KeyShelf {
    folder: PathBuf,
}

/// A set as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptKeys {
    /// What was published.
    pub text: String,
    /// When it was fetched.
    pub fetched_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Row {
    place: String,
    fetched_at: i64,
    keys: String,
}

impl KeyShelf {
    /// An environment's folder, which is made if need be.
    ///
    /// # Errors
    /// [`StoreError::BadFile`]: it cannot be made.
    pub fn open(data_dir: &Path, environment: EnvironmentName) -> Result<Self, StoreError> {
        let folder = data_dir.join("published-keys").join(environment.as_str());
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| bad(&folder, format!("the folder cannot be made: {error}")))?;
        Ok(Self { folder })
    }

    /// The set that is kept of a place, if one is.
    ///
    /// # Errors
    /// [`StoreError::BadFile`]: it cannot be read, or was not written here.
    pub fn read(&self, place: &str) -> Result<Option<KeptKeys>, StoreError> {
        let path = self.path(place);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(bad(&path, format!("it cannot be read: {error}"))),
        };
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| bad(&path, error))?;
        let row: Row = serde_json::from_str(&text).map_err(|_| bad(&path, "no published keys are in it"))?;
        if row.place != place {
            return Err(bad(&path, "the keys of another place are in it"));
        }
        Ok(Some(KeptKeys { text: row.keys, fetched_at: Timestamp::from_unix_millis(row.fetched_at) }))
    }

    /// Keeps a set, whole and on disk, in the place of the one before.
    ///
    /// # Errors
    /// [`StoreError::BadFile`]: it cannot be written.
    pub fn keep(&self, place: &str, kept: KeptKeys) -> Result<(), StoreError> {
        let path = self.path(place);
        let row = Row { place: place.to_owned(), fetched_at: kept.fetched_at.unix_millis(), keys: kept.text };
        let text = serde_json::to_vec(&row).map_err(|error| bad(&path, error))?;
        replace(&path, &text).map_err(|error| bad(&path, format!("it cannot be written: {error}")))
    }

    /// Lets go of the set of a place, if one is kept.
    ///
    /// # Errors
    /// [`StoreError::BadFile`]: it cannot be removed.
    pub fn forget(&self, place: &str) -> Result<(), StoreError> {
        let path = self.path(place);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(bad(&path, format!("it cannot be removed: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// A place is a URL, which is no name of a file.
    fn path(&self, place: &str) -> PathBuf {
        let digest = Sha256::digest(place.as_bytes());
        let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(name + ".json")
    }
}

#[cfg(test)]
mod tests;
