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

/// The largest key file that is read, in bytes: some hundred keys.
const MAX_BYTES: u64 = 16 * 1024;

/// The keys of a key file, the current one first.
pub type MasterKeys = Vec<(KeyId, Zeroizing<[u8; 32]>)>;

/// Reads the key file, or makes one with a first key where there is none and no store needs one.
///
/// # Errors
/// [`StoreError::BadFile`]: missing though stores exist, open to others, or not a key file.
pub fn load_or_create(path: &Path, stores_exist: bool, entropy: &dyn Entropy) -> Result<MasterKeys, StoreError> {
    match File::open(path) {
        Ok(file) => load(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound && stores_exist => Err(bad(
            path,
            "the key file is missing, and without it no secret and no token works; restore it from its backup, or name it by FUUFFY_PEPPER_FILE",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, entropy),
        Err(error) => Err(bad(path, format!("the key file cannot be read: {error}"))),
    }
}

pub(crate) fn load(path: &Path, file: File) -> Result<MasterKeys, StoreError> {
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
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(&mut *key).map_err(|error| bad(path, error))?;
    let mut line = Zeroizing::new(String::from("1 "));
    for byte in key.iter() {
        line.push_str(&format!("{byte:02x}"));
    }
    line.push('\n');
    let write = || -> io::Result<()> {
        let half = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&half, path)?;
        File::open(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|error| bad(path, format!("the key file cannot be made: {error}")))?;
    Ok(vec![(KeyId(1), key)])
}

pub(crate) fn bad(path: &Path, problem: impl ToString) -> StoreError {
    StoreError::BadFile { file: path.display().to_string(), problem: problem.to_string() }
}
