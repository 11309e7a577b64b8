//! A SQLite file beside the store: damage of it is put aside, and stops nothing. Knows nothing of what is in it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

/// How a file is opened.
pub(crate) struct SideFile<'a> {
    pub(crate) path: &'a Path,
    /// What is in it, for the log.
    pub(crate) what: &'static str,
    /// Makes what is not there yet.
    pub(crate) schema: &'static str,
    /// How much a commit waits for the disk.
    pub(crate) synchronous: &'static str,
}

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

impl SideFile<'_> {
    /// Opens the file. One that is damaged is put aside, and another made.
    pub(crate) fn open_or_replace(&self) -> Result<Connection, Unopened> {
        match self.open() {
            Err(Unopened::Damaged(error)) => {
                let aside = self.put_aside()?;
                for ending in ["-wal", "-shm"] {
                    let mut name = self.path.as_os_str().to_owned();
                    name.push(ending);
                    // It belongs to the file that is gone.
                    let _ = std::fs::remove_file(name);
                }
                tracing::error!(file = %aside.display(), error, "{} were damaged and were put aside; new ones are kept", self.what);
                self.open()
            }
            opened => opened,
        }
    }

    fn open(&self) -> Result<Connection, Unopened> {
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.path, flags)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", self.synchronous)?;
        connection.execute_batch(self.schema)?;
        let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?;
        if verdict == "ok" { Ok(connection) } else { Err(Unopened::Damaged(verdict)) }
    }

    /// Puts the file aside under a name that is free.
    fn put_aside(&self) -> std::io::Result<PathBuf> {
        let name = |number: u32| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(format!(".damaged-{number}"));
            PathBuf::from(name)
        };
        let aside = (1..1000).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0));
        std::fs::rename(self.path, &aside)?;
        Ok(aside)
    }
}
