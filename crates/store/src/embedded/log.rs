//! The audit log of a store, read for proof or export: by a connection of its own that writes nothing, whether
//! or not a server has the store open.

use std::path::{Path, PathBuf};

use fuuffy_domain::{AuditHash, Checkpoint, EnvironmentName, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::audit::checkpoint;
use super::{bad_file, schema};
use crate::StoreError;

/// The log as it was when it was opened, however long it is read.
pub struct AuditLog {
    connection: Connection,
    path: PathBuf,
    environment: EnvironmentName,
}

/// What a log has, in its order.
#[derive(Debug)]
pub enum LogEntry<'a> {
    /// A row.
    Record {
        /// Its number.
        sequence: i64,
        /// One line of JSON.
        record: &'a str,
        /// Its link of the chain.
        hash: AuditHash,
    },
    /// A checkpoint, after the row that it was made after.
    Checkpoint(Checkpoint),
}

/// From where a log is read.
#[derive(Debug, Clone, Copy)]
pub enum LogStart {
    /// From its beginning.
    Beginning,
    /// From the checkpoint before this row.
    Row(i64),
    /// From the checkpoint before the first row of this time or later.
    Time(Timestamp),
}

impl AuditLog {
    /// Opens the log of a store.
    ///
    /// # Errors
    /// [`StoreError::BadFile`]
    pub fn open(path: &Path, environment: EnvironmentName) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(bad_file(path, "there is no store here"));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let unreadable = |error| schema::unreadable(path, &error);
        let connection = Connection::open_with_flags(path, flags).map_err(unreadable)?;
        // One transaction: what the server writes meanwhile is not seen.
        connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;").map_err(unreadable)?;
        Ok(Self { connection, path: path.to_owned(), environment })
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// [`StoreError::BadFile`]
    pub fn rows(&self) -> Result<u64, StoreError> {
        let count = self.connection.query_row("SELECT count(*) FROM audit", [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(|error| schema::unreadable(&self.path, &error))
    }

    /// Reads on, row by row, until the end or until `visit` has had enough.
    ///
    /// # Errors
    /// [`StoreError::BadFile`], or what `visit` says.
    pub fn read<E: From<StoreError>>(
        &self,
        start: LogStart,
        mut visit: impl FnMut(LogEntry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let unreadable = |error| E::from(schema::unreadable(&self.path, &error));
        let before = self.checkpoint_before(start).map_err(unreadable)?;
        let mut last = before.as_ref().map_or(i64::MIN, |checkpoint| checkpoint.state.sequence);
        if let Some(before) = before {
            visit(LogEntry::Checkpoint(before))?;
        }
        let mut statement = self
            .connection
            .prepare(
                "SELECT a.seq, a.record, a.hash, c.seq, c.at, c.hash, c.key, c.signature, c.removed_by
                 FROM audit AS a LEFT JOIN audit_checkpoints AS c ON c.seq = a.seq WHERE a.seq > ?1 ORDER BY a.seq",
            )
            .map_err(unreadable)?;
        let mut rows = statement.query([last]).map_err(unreadable)?;
        while let Some(row) = rows.next().map_err(unreadable)? {
            last = row.get(0).map_err(unreadable)?;
            let unusual = |_| {
                E::from(bad_file(
                    &self.path,
                    format!("row {last} of the audit log is not text and hash; it was changed"),
                ))
            };
            let record = row.get_ref(1).map_err(unreadable)?.as_str().map_err(|_| unusual(()))?;
            let hash = row.get(2).map_err(|_| unusual(()))?;
            visit(LogEntry::Record { sequence: last, record, hash })?;
            if row.get::<_, Option<i64>>(3).map_err(unreadable)?.is_some() {
                visit(LogEntry::Checkpoint(checkpoint(row, 3, self.environment).map_err(|_| unusual(()))?))?;
            }
        }
        // Beyond the last row there are only checkpoints of rows that are gone.
        let beyond = self.newest_checkpoint("seq > ?1", last).map_err(unreadable)?;
        beyond.map_or(Ok(()), |beyond| visit(LogEntry::Checkpoint(beyond)))
    }

    /// The checkpoint that reading begins at, so that what follows can be proven.
    fn checkpoint_before(&self, start: LogStart) -> rusqlite::Result<Option<Checkpoint>> {
        let first_of = |condition: &str, value: i64| {
            let query = format!("SELECT min(seq) FROM audit WHERE {condition}");
            self.connection.query_row(&query, [value], |row| row.get::<_, Option<i64>>(0))
        };
        let first = match start {
            LogStart::Beginning => first_of("seq >= ?1", i64::MIN)?,
            LogStart::Row(row) => first_of("seq >= ?1", row)?,
            LogStart::Time(time) => first_of("at >= ?1", time.unix_millis())?,
        };
        // A key that hands on signs nothing after it: what begins there would need two keys.
        let hands_on = "EXISTS (SELECT 1 FROM audit AS a WHERE a.seq = audit_checkpoints.seq
             AND instr(a.record, '\"deed\":\"audit_key.rotated\"'))";
        match (first, start) {
            (Some(first), _) => self.newest_checkpoint(&format!("seq < ?1 AND NOT {hands_on}"), first),
            // There are no rows at all; the checkpoints that there are tell of what is gone.
            (None, LogStart::Beginning) => Ok(None),
            (None, _) => self.newest_checkpoint("seq <= ?1", i64::MAX),
        }
    }

    fn newest_checkpoint(&self, condition: &str, value: i64) -> rusqlite::Result<Option<Checkpoint>> {
        let query = format!(
            "SELECT seq, at, hash, key, signature, removed_by FROM audit_checkpoints
             WHERE {condition} ORDER BY seq DESC LIMIT 1"
        );
        self.connection.query_row(&query, [value], |row| checkpoint(row, 0, self.environment)).optional()
    }
}
