//! The key file: the keys of all digests, outside of every database.
//!
//! A line a key, `<id> <64 hexadecimal digits>`, the current one first. Readable by its owner alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use fuuffy_domain::{Entropy, KeyId};
use zeroize::Zeroizing;

use crate::StoreError;

/// The largest key file that is read, in bytes: some two hundred keys.
const MAX_BYTES: u64 = 16 * 1024;
/// Keys that a key file has at most: each costs every check of a token and a secret.
const MAX_KEYS: usize = 16;
/// The longest line of a key file, in bytes.
const LONGEST_LINE: usize = 80;

/// The keys of a key file, the current one first.
pub type MasterKeys = Vec<(KeyId, Zeroizing<[u8; 32]>)>;

/// Reads the key file, or makes one with a first key where there is none and no store needs one.
///
/// # Errors
/// [`StoreError::BadFile`]: missing though stores exist, open to others, or not a key file.
pub fn load_or_create(path: &Path, stores_exist: bool, entropy: &dyn Entropy) -> Result<MasterKeys, StoreError> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound && stores_exist => Err(bad(
            path,
            "the key file is missing, and without it no secret and no token works; restore it from its backup, or name it by FUUFFY_PEPPER_FILE",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, entropy),
        Err(error) => Err(bad(path, format!("the key file cannot be read: {error}"))),
    }
}

/// Reads a key file that must be there.
///
/// # Errors
/// [`StoreError::BadFile`]
pub fn load(path: &Path) -> Result<MasterKeys, StoreError> {
    let file = File::open(path).map_err(|error| bad(path, format!("the key file cannot be read: {error}")))?;
    read(path, file)
}

/// Puts a new key first into the key file, and answers all of its keys. On an error the file is as it was, or
/// has the new key; either opens everything.
///
/// # Errors
/// [`StoreError::BadFile`]
pub fn add_key(path: &Path, entropy: &dyn Entropy) -> Result<MasterKeys, StoreError> {
    let mut keys = load(path)?;
    if keys.len() >= MAX_KEYS {
        return Err(bad(path, format!("there are {MAX_KEYS} keys in it already; take out those that nothing needs")));
    }
    let next = next_key(path, &keys, entropy)?;
    keys.insert(0, next);
    write(path, &keys)?;
    Ok(keys)
}

/// A key that the file has not.
pub(crate) fn next_key(
    path: &Path,
    keys: &MasterKeys,
    entropy: &dyn Entropy,
) -> Result<(KeyId, Zeroizing<[u8; 32]>), StoreError> {
    let newest = keys.iter().map(|(id, _)| id.0).max().unwrap_or(0);
    let id = newest.checked_add(1).ok_or_else(|| bad(path, "there is no number left for another key"))?;
    Ok((KeyId(id), new_key(path, entropy)?))
}

/// Takes a key out of the key file, and answers those that are left. The current key stays.
///
/// # Errors
/// [`StoreError::BadFile`]
pub fn remove_key(path: &Path, id: KeyId) -> Result<MasterKeys, StoreError> {
    let mut keys = load(path)?;
    if keys.first().is_some_and(|(current, _)| *current == id) {
        return Err(bad(path, "the current key cannot be taken out; rotate first"));
    }
    keys.retain(|(known, _)| *known != id);
    write(path, &keys)?;
    Ok(keys)
}

/// Writes a key file, whole and on disk, in the place of the one before.
///
/// # Errors
/// [`StoreError::BadFile`]
pub fn write(path: &Path, keys: &MasterKeys) -> Result<(), StoreError> {
    let mut text = Zeroizing::new(String::with_capacity(keys.len() * LONGEST_LINE));
    for (KeyId(id), key) in keys {
        text.push_str(&format!("{id} "));
        for byte in key.iter() {
            let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        text.push('\n');
    }
    replace(path, text.as_bytes()).map_err(|error| bad(path, format!("the key file cannot be written: {error}")))
}

/// A crash at any step leaves the old file or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let half = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&half, path)?;
    File::open(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
}

pub(crate) fn read(path: &Path, file: File) -> Result<MasterKeys, StoreError> {
    let metadata = file.metadata().map_err(|error| bad(path, error))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(bad(path, "the key file can be read by others; make it private with chmod 600"));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| bad(path, error))?;
    let keys: Option<MasterKeys> = text.lines().map(parse_line).collect();
    keys.filter(|keys| !keys.is_empty())
        .ok_or_else(|| bad(path, "not a key file: each line must be a number and 64 hexadecimal digits"))
}

fn parse_line(line: &str) -> Option<(KeyId, Zeroizing<[u8; 32]>)> {
    let (id, digits) = line.split_once(' ')?;
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (place, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some((KeyId(id.parse().ok()?), key))
}

/// The file is whole and on disk before anything is made with its key.
pub(crate) fn create(path: &Path, entropy: &dyn Entropy) -> Result<MasterKeys, StoreError> {
    let keys = vec![(KeyId(1), new_key(path, entropy)?)];
    write(path, &keys)?;
    Ok(keys)
}

fn new_key(path: &Path, entropy: &dyn Entropy) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(&mut *key).map_err(|error| bad(path, error))?;
    Ok(key)
}

pub(crate) fn bad(path: &Path, problem: impl ToString) -> StoreError {
    StoreError::BadFile { file: path.display().to_string(), problem: problem.to_string() }
}
