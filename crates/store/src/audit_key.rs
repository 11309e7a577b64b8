//! The audit key file: what checkpoints of the audit log are signed with, outside of every database.
//!
//! It looks like the key file of the digests, and has keys of its own.

use std::fs::File;
use std::io;
use std::path::Path;

use fuuffy_domain::Entropy;

use crate::StoreError;
use crate::pepper::{self, MasterKeys, bad, create};

/// Keys that an audit key file has at most: as many as fit in a key file. They cost nothing but the reading of it.
const MAX_KEYS: usize = 200;

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

/// Puts another key last into the audit key file, where it signs nothing yet, and answers all keys as they are to be:
/// that one first. A key that was put there before and never came to sign is taken instead.
///
/// # Errors
/// [`StoreError::BadFile`]
pub fn prepare(path: &Path, entropy: &dyn Entropy) -> Result<MasterKeys, StoreError> {
    let mut keys = read(path)?;
    let current = keys.first().map_or(0, |(id, _)| id.0);
    let prepared = keys.iter().position(|(id, _)| id.0 > current);
    let place = match prepared {
        Some(place) => place,
        None if keys.len() >= MAX_KEYS => {
            return Err(bad(
                path,
                format!(
                    "there are {MAX_KEYS} keys in it already, and what each signed is checked by it; take out the oldest ones, if neither a log nor a backup nor an export that they signed is kept any more"
                ),
            ));
        }
        None => {
            let next = pepper::next_key(path, &keys, entropy)?;
            keys.push(next);
            pepper::write(path, &keys)?;
            keys.len() - 1
        }
    };
    keys[..=place].rotate_right(1);
    Ok(keys)
}
