//! How the last run ended, and when it was last heard of: a small file beside the database, written in
//! place, so that even a full disk leaves room for the reason.
//!
//! One line of fixed length: the time in milliseconds since the Unix epoch, then `running`, `clean` or
//! `failed: ` and the reason.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use fuuffy_domain::Timestamp;

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
pub(super) struct StateFile {
    file: File,
    now: Timestamp,
}

/// What a state file says.
pub(super) struct Found {
    pub(super) previous: PreviousRun,
    /// The last time that the run noted.
    pub(super) at: Option<Timestamp>,
}

/// Where the state file of a store is.
pub(super) fn path_of(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".state");
    PathBuf::from(name)
}

/// The time that a state file's text notes, and the words after it.
pub(super) fn read(text: &str) -> (Option<Timestamp>, &str) {
    let (time, words) = text.trim_end().split_once(' ').unwrap_or_default();
    (time.parse().ok().map(Timestamp::from_unix_millis), words)
}

impl StateFile {
    pub(super) fn open(store: &Path, now: Timestamp) -> Result<(Self, Found), StoreError> {
        let path = &*path_of(store);
        // An empty one was made by a run that ended before there was a store.
        let [existed, has_store] =
            [path, store].map(|file| std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0));
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
        let (at, words) = read(&text);
        let previous = match words.split_once(": ") {
            _ if !existed && !has_store => PreviousRun::New,
            Some(("failed", reason)) => PreviousRun::Failed(reason.to_owned()),
            _ if words == "clean" => PreviousRun::Clean,
            _ => PreviousRun::Unclean,
        };
        Ok((Self { file, now }, Found { previous, at }))
    }

    /// Writes down how the run stands, durably.
    pub(super) fn write(&self, words: &str) -> io::Result<()> {
        self.put(words)?;
        self.file.sync_data()
    }

    /// Notes the time, so that the clock never starts behind it. Not synced: it needs to outlive the
    /// process, not the machine.
    pub(super) fn note(&mut self, now: Timestamp) -> io::Result<()> {
        self.now = now;
        self.put("running")
    }

    fn put(&self, words: &str) -> io::Result<()> {
        let line = format!("{} {}", self.now.unix_millis(), words.replace('\n', " "));
        let mut bytes = [b' '; LENGTH];
        let length = line.len().min(LENGTH - 1);
        bytes[..length].copy_from_slice(&line.as_bytes()[..length]);
        bytes[LENGTH - 1] = b'\n';
        self.file.write_all_at(&bytes, 0)
    }
}
