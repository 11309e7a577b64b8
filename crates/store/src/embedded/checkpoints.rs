//! The file of checkpoints beside the store: a line each, to be copied elsewhere. It outlives the log: what was
//! cut from the end of a log is known by it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use fuuffy_domain::Checkpoint;

use super::load;

/// The longest line that is read, in bytes.
const LONGEST: u64 = 4096;

/// Where the checkpoints of a store are.
#[must_use]
pub fn checkpoints_path(store: &Path) -> PathBuf {
    store.with_extension("audit-checkpoints")
}

/// The file beside a store, with those to come that the database has and it has not. Told where it knows of more than the
/// database has: rows were lost.
pub(super) fn beside(
    connection: &rusqlite::Connection,
    options: &super::OpenOptions,
    last_row: i64,
) -> rusqlite::Result<CheckpointFile> {
    // What cannot be read is told when it cannot be written.
    let known = File::open(checkpoints_path(&options.path)).and_then(read_checkpoints);
    let known = known.map_or(Vec::new(), |(known, _)| known);
    let newest = known.iter().map(|checkpoint| checkpoint.state.sequence).max().unwrap_or(-1);
    if newest > last_row {
        tracing::error!(environment = %options.environment, last_row, signed = newest, "The audit log ends before a row that a checkpoint was signed after: it was cut, or the store was restored from a backup");
    }
    let missing = load::checkpoints_after(connection, options.environment, newest)?;
    Ok(CheckpointFile::new(&options.path, missing))
}

/// Reads a file of checkpoints, and how many of its lines are none.
///
/// # Errors
/// It cannot be read.
pub fn read_checkpoints(file: impl io::Read) -> io::Result<(Vec<Checkpoint>, usize)> {
    let (mut found, mut others) = (Vec::new(), 0);
    let mut file = BufReader::new(file);
    loop {
        let mut line = String::new();
        // A line that is longer is read in pieces, none of which is a checkpoint.
        match file.by_ref().take(LONGEST).read_line(&mut line) {
            Ok(0) => return Ok((found, others)),
            Ok(_) => match Checkpoint::parse(line.trim_end()) {
                Some(checkpoint) => found.push(checkpoint),
                None => others += 1,
            },
            // What is no text is no checkpoint.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => others += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The file, open for more lines.
pub(super) struct CheckpointFile {
    path: PathBuf,
    /// What is in the database and not yet here.
    waiting: Vec<Checkpoint>,
    /// Whether it was told that they wait.
    is_told: bool,
}

impl CheckpointFile {
    pub(super) fn new(store: &Path, waiting: Vec<Checkpoint>) -> Self {
        Self { path: checkpoints_path(store), waiting, is_told: false }
    }

    pub(super) fn push(&mut self, new: Vec<Checkpoint>) {
        self.waiting.extend(new);
    }

    /// Writes what waits. A disk that is full gets it later; the database has it anyway.
    pub(super) fn write(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        match self.append() {
            Ok(()) => {
                self.waiting.clear();
                self.is_told = false;
            }
            Err(_) if self.is_told => {}
            Err(error) => {
                self.is_told = true;
                tracing::warn!(%error, file = %self.path.display(), "A checkpoint of the audit log could not be written beside the store; it will be tried again");
            }
        }
    }

    fn append(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        // A line that broke off stays alone.
        let mut lines = if ends_whole(&self.path)? { String::new() } else { "\n".to_owned() };
        for checkpoint in &self.waiting {
            lines.push_str(&checkpoint.to_line());
            lines.push('\n');
        }
        file.write_all(lines.as_bytes())?;
        file.sync_data()
    }
}

fn ends_whole(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last == [b'\n'])
}
