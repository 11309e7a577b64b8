//! What is kept of an authority that gives certificates by ACME: the account, and for each environment the certificate
//! with its key, and how ordering goes. Files that their owner alone can read, each replaced whole. Knows nothing of
//! what is in them.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use fuuffy_domain::EnvironmentName;
use zeroize::Zeroizing;

use crate::StoreError;
use crate::pepper::{bad, replace};

/// The largest file that is read, in bytes: a chain of certificates for a hundred names takes a tenth of it.
const MAX_BYTES: u64 = 256 * 1024;

/// The folder of one authority.
#[derive(Debug, Clone)]
pub struct AcmeShelf {
    folder: PathBuf,
}

/// One thing on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeItem {
    /// Who we are to the authority, with the key that proves it.
    Account,
    /// An environment's certificate, in one file with its key, so that neither is ever beside another's.
    Certificate(EnvironmentName),
    /// How ordering goes for it.
    Progress(EnvironmentName),
}

impl AcmeShelf {
    /// The folder for the authority of this name, which is made if need be.
    ///
    /// # Errors
    /// [`StoreError::BadFile`]: it cannot be made.
    pub fn open(data_dir: &Path, authority: &str) -> Result<Self, StoreError> {
        let folder = data_dir.join("acme").join(authority);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| bad(&folder, format!("the folder cannot be made: {error}")))?;
        Ok(Self { folder })
    }

    /// What is kept, if anything is.
    ///
    /// # Errors
    /// [`StoreError::BadFile`]: it cannot be read, is too large, no text, or others can read it.
    pub fn read(&self, item: AcmeItem) -> Result<Option<Zeroizing<String>>, StoreError> {
        let path = self.path(item);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(bad(&path, format!("it cannot be read: {error}"))),
        };
        let metadata = file.metadata().map_err(|error| bad(&path, error))?;
        if metadata.mode() & 0o077 != 0 {
            return Err(bad(&path, "it can be read by others; make it private with chmod 600"));
        }
        if metadata.len() > MAX_BYTES {
            return Err(bad(&path, "it is too large"));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| bad(&path, error))?;
        Ok(Some(text))
    }

    /// Keeps a text, whole and on disk, in the place of the one before.
    ///
    /// # Errors
    /// [`StoreError::BadFile`]: it cannot be written.
    pub fn keep(&self, item: AcmeItem, text: &str) -> Result<(), StoreError> {
        let path = self.path(item);
        replace(&path, text.as_bytes()).map_err(|error| bad(&path, format!("it cannot be written: {error}")))
    }

    /// Lets go of what is kept, if anything is.
    ///
    /// # Errors
    /// [`StoreError::BadFile`]: it cannot be removed.
    pub fn forget(&self, item: AcmeItem) -> Result<(), StoreError> {
        let path = self.path(item);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(bad(&path, format!("it cannot be removed: {error}")))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, item: AcmeItem) -> PathBuf {
        self.folder.join(match item {
            AcmeItem::Account => "account.json".to_owned(),
            AcmeItem::Certificate(environment) => format!("{environment}.pem"),
            AcmeItem::Progress(environment) => format!("{environment}.json"),
        })
    }
}

#[cfg(test)]
mod tests;
