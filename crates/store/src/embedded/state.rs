//! How the last run ended: a small file beside the database, written in place, so that even a full disk
//! leaves room for the reason.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::bad_file;
use crate::StoreError;

const LENGTH: usize = 512;

/// How the last run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviousRun {
    /// There was none.
    New,
    /// It closed the store.
    Clean,
    /// It was killed, or the machine stopped.
    Unclean,
    /// It could not write any more; the reason.
    Failed(String),
}

/// The state file of an open store.
pub(super) struct StateFile(File);

impl StateFile {
    pub(super) fn open(store: &Path) -> Result<(Self, PreviousRun), StoreError> {
        let mut name = store.as_os_str().to_owned();
        name.push(".state");
        let path = Path::new(&name);
        let existed = path.exists();
        let has_store = std::fs::metadata(store).is_ok_and(|metadata| metadata.len() > 0);
        if existed && !has_store {
            return Err(bad_file(
                store,
                format!(
                    "missing or empty, though there was a store here; restore it from a backup, or remove {} to start with nothing",
                    path.display()
                ),
            ));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| bad_file(path, error))?;
        let mut bytes = [0; LENGTH];
        let length = file.read_at(&mut bytes, 0).map_err(|error| bad_file(path, error))?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        let previous = match text.trim_end().split_once(": ") {
            _ if !existed && !has_store => PreviousRun::New,
            Some(("failed", reason)) => PreviousRun::Failed(reason.to_owned()),
            _ if text.trim_end() == "clean" => PreviousRun::Clean,
            _ => PreviousRun::Unclean,
        };
        Ok((Self(file), previous))
    }

    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        let mut bytes = [b' '; LENGTH];
        let text = text.replace('\n', " ");
        let length = text.len().min(LENGTH - 1);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        bytes[LENGTH - 1] = b'\n';
        self.0.write_all_at(&bytes, 0)?;
        self.0.sync_data()
    }
}
