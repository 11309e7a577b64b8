//! A whole copy of a store, made beside the writer, and what a store has in it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use fuuffy_domain::{EnvironmentName, KeyId, Timestamp};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{bad_file, schema, state};
use crate::StoreError;

/// Pages that are copied between two reports.
const PIECE: std::ffi::c_int = 1000;

/// What a store has in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The version that it was brought to.
    pub version: i64,
    /// How much there is.
    pub rows: Rows,
    /// The keys that its secrets and tokens need, as far as they still work, and what is sealed.
    pub keys: Vec<KeyId>,
}

/// Rows of the tables that matter to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Clients, deleted ones included.
    pub clients: i64,
    /// Secrets, retired ones included.
    pub secrets: i64,
    /// Tokens, expired ones included as long as they are kept.
    pub tokens: i64,
    /// Records of the audit log.
    pub audit: i64,
}

/// Copies a store as it is at one moment, whoever writes to it meanwhile; the writer waits for nothing. Tells how
/// many pages are done, of how many.
///
/// # Errors
/// [`StoreError::BadFile`]
pub fn copy(from: &Path, to: &Path, mut tell: impl FnMut(u64, u64)) -> Result<(), StoreError> {
    let unreadable = |error: rusqlite::Error| schema::unreadable(from, &error);
    let unwritable = |error: rusqlite::Error| bad_file(to, format!("cannot be written ({error})"));
    let source = read_only(from)?;
    // A transaction that stays open holds the moment: the copy never starts over, however busy the writer is.
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;").map_err(unreadable)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let file = file.map_err(|error| bad_file(to, error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags).map_err(unwritable)?;
    {
        let backup = Backup::new(&source, &mut target).map_err(unwritable)?;
        loop {
            let step = backup.step(PIECE).map_err(unwritable)?;
            let progress = backup.progress();
            let (all, left) = (progress.pagecount.unsigned_abs(), progress.remaining.unsigned_abs());
            tell(u64::from(all.saturating_sub(left)), u64::from(all));
            match step {
                StepResult::More => {}
                StepResult::Done => break,
                _ => return Err(bad_file(from, "is held by another program; try again when that is done")),
            }
        }
    }
    // One file, with nothing beside it.
    target.pragma_update(None, "journal_mode", "DELETE").map_err(unwritable)?;
    drop(target);
    file.sync_all().map_err(|error| bad_file(to, error))
}

/// Looks at every page of a store that nobody writes to, and tells what is in it.
///
/// # Errors
/// [`StoreError::BadFile`] for a file that is foreign, damaged, newer, or the other environment's.
pub fn inspect(path: &Path, environment: EnvironmentName, now: Timestamp) -> Result<Inventory, StoreError> {
    let ours = |error: rusqlite::Error| schema::unreadable(path, &error);
    let connection = read_only(path)?;
    let version = schema::version(&connection, path)?;
    if version == 0 {
        return Err(bad_file(path, "there is nothing in it"));
    }
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(ours)?;
    if verdict != "ok" {
        return Err(bad_file(path, format!("damaged ({verdict})")));
    }
    schema::refuse_other(&connection, environment, path)?;
    let count = |table: &str| {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).map_err(ours)
    };
    let audit = if version < 2 { 0 } else { count("audit")? };
    let rows = Rows { clients: count("clients")?, secrets: count("secrets")?, tokens: count("tokens")?, audit };
    let has_sealed = "SELECT count(*) > 0 FROM sqlite_master WHERE name = 'acme_items'";
    let has_sealed: bool = connection.query_row(has_sealed, [], |row| row.get(0)).map_err(ours)?;
    let sealed = if has_sealed { " UNION SELECT key FROM acme_items" } else { "" };
    let mut statement = connection
        .prepare(&format!(
            "SELECT key FROM secrets WHERE retired_at IS NULL AND (expires_at IS NULL OR expires_at > ?1)
             UNION SELECT key FROM tokens WHERE expires_at > ?1{sealed} ORDER BY 1",
        ))
        .map_err(ours)?;
    let keys = statement.query_map([now.unix_millis()], |row| row.get(0).map(KeyId)).map_err(ours)?;
    let keys = keys.collect::<Result<_, _>>().map_err(ours)?;
    Ok(Inventory { version, rows, keys })
}

/// The version of a store, and the version that opening it would bring it to.
///
/// # Errors
/// [`StoreError::BadFile`]
pub fn versions(path: &Path) -> Result<(i64, i64), StoreError> {
    Ok((schema::version(&read_only(path)?, path)?, schema::newest_version()))
}

/// The time that was noted last beside a store, if one was.
#[must_use]
pub fn noted_time(store: &Path) -> Option<Timestamp> {
    state::read(&std::fs::read_to_string(state::path_of(store)).ok()?).0
}

/// Notes a time beside a store that is not open, so that the clock starts no earlier.
///
/// # Errors
/// [`StoreError::BadFile`]
pub fn note_time(store: &Path, at: Timestamp) -> Result<(), StoreError> {
    let path = state::path_of(store);
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        std::io::Write::write_all(&mut file, format!("{} clean\n", at.unix_millis()).as_bytes())?;
        File::sync_all(&file)
    };
    write().map_err(|error: std::io::Error| bad_file(&path, error))
}

fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(connection)
    });
    opened.map_err(|error| schema::unreadable(path, &error))
}
