//! The audit key file: what checkpoints of the audit log are signed with, outside of every database.
//!
//! It looks like the key file of the digests, and has keys of its own.

use std::fs::File;
use std::io;
use std::path::Path;

use fuuffy_domain::Entropy;

use crate::StoreError;
use crate::pepper::{self, MasterKeys, bad, create};

/// Reads the audit key file, or makes one with a first key where there is none and nothing was signed yet.
///
/// # Errors
/// [`StoreError::BadFile`]: missing though checkpoints were signed, open to others, or not a key file.
pub fn load_or_create(path: &Path, signed_before: bool, entropy: &dyn Entropy) -> Result<MasterKeys, StoreError> {
    match File::open(path) {
        Ok(file) => pepper::read(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound && signed_before => Err(bad(
            path,
            "the audit key file is missing, and checkpoints were signed with it; restore it from its backup, or name it by FUUFFY_AUDIT_KEY_FILE",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, entropy),
        Err(error) => Err(bad(path, format!("the audit key file cannot be read: {error}"))),
    }
}

/// Reads the audit key file, which must be there.
///
/// # Errors
/// [`StoreError::BadFile`]: missing, open to others, or not a key file.
pub fn read(path: &Path) -> Result<MasterKeys, StoreError> {
    let file = File::open(path).map_err(|error| bad(path, format!("the audit key file cannot be read: {error}")))?;
    pepper::read(path, file)
}
