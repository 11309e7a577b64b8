//! A SQLite file beside the store, that nothing else rests on: one that is damaged is put aside and another made.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

/// Why a file was not opened.
#[derive(Debug, Error)]
pub(crate) enum Unopened {
    /// What is in it is not what was written, and never will be again.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Anything else, as no room or no right. What is in it may be good.
    #[error("{0}")]
    Unusable(String),
}

impl From<rusqlite::Error> for Unopened {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Unusable(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Unopened {
    fn from(error: std::io::Error) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// Opens a file with these tables, for its one writer. A kill loses nothing of it; a power cut may lose the last moments.
pub(crate) fn open_or_replace(path: &Path, tables: &str) -> Result<Connection, Unopened> {
    match open(path, tables) {
        Err(Unopened::Damaged(error)) => {
            let aside = put_aside(path)?;
            for ending in ["-wal", "-shm"] {
                let mut name = path.as_os_str().to_owned();
                name.push(ending);
                // It belongs to the file that is gone.
                let _ = std::fs::remove_file(name);
            }
            tracing::error!(file = %aside.display(), error, "A file beside the store was damaged and was put aside; a new one was made in its place");
            open(path, tables)
        }
        opened => opened,
    }
}

fn open(path: &Path, tables: &str) -> Result<Connection, Unopened> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(tables)?;
    let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?;
    if verdict == "ok" { Ok(connection) } else { Err(Unopened::Damaged(verdict)) }
}

/// Puts a file aside under a name that is free.
fn put_aside(path: &Path) -> std::io::Result<PathBuf> {
    let name = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        PathBuf::from(name)
    };
    let aside = (1..1000).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
    std::fs::rename(path, &aside)?;
    Ok(aside)
}
