//! The file of explanations: one table, in the order of the ids, which is that of time.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use fuuffy_domain::{ClientId, Reason, Refused, RequestId, Timestamp};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row, params};
use thiserror::Error;

use super::{Owner, put_aside};
use crate::StoreError;
use crate::embedded::bad_file;

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS refusals (
        id BLOB PRIMARY KEY,
        at INTEGER NOT NULL,
        client_id TEXT,
        peer TEXT NOT NULL,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        status INTEGER NOT NULL,
        code TEXT NOT NULL,
        message TEXT NOT NULL,
        details TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS refusals_of_client ON refusals (client_id, id);
";

/// So many rows are taken out at once where there are too many.
const PIECE: i64 = 500;

/// Why a file was not opened.
#[derive(Debug, Error)]
pub(super) enum Unopened {
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

/// Opens the file. One that is damaged is put aside, and another made.
pub(super) fn open_or_replace(path: &Path) -> Result<Connection, Unopened> {
    match open(path) {
        Err(Unopened::Damaged(error)) => {
            let aside = put_aside(path)?;
            for ending in ["-wal", "-shm"] {
                let mut name = path.as_os_str().to_owned();
                name.push(ending);
                // It belongs to the file that is gone.
                let _ = std::fs::remove_file(name);
            }
            tracing::error!(file = %aside.display(), error, "The explanations of refusals were damaged and were put aside; new ones are kept");
            open(path)
        }
        opened => opened,
    }
}

fn open(path: &Path) -> Result<Connection, Unopened> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // The last moments before a power cut may be lost; nothing rests on them.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(TABLE)?;
    let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?;
    if verdict == "ok" { Ok(connection) } else { Err(Unopened::Damaged(verdict)) }
}

pub(super) fn insert(connection: &Connection, refused: &Refused) -> rusqlite::Result<()> {
    let reason = serde_json::to_string(&refused.reason).unwrap_or_default();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO refusals
                 (id, at, client_id, peer, method, path, status, code, message, details, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            refused.request.to_bytes(),
            refused.at.unix_millis(),
            refused.client.as_ref().map(ClientId::as_str),
            refused.peer.to_string(),
            refused.method,
            refused.path,
            refused.status,
            refused.code,
            refused.message,
            refused.details,
            reason,
        ])?;
    Ok(())
}

pub(super) fn find(path: &Path, request: RequestId) -> Result<Option<Refused>, StoreError> {
    let read = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        let mut statement = connection.prepare(
            "SELECT at, client_id, peer, method, path, status, code, message, details, reason FROM refusals WHERE id = ?1",
        )?;
        statement.query_row([request.to_bytes()], |row| refused(request, row)).optional()
    };
    read().map_err(|error: rusqlite::Error| bad_file(path, format!("cannot be read ({error})")))
}

fn refused(request: RequestId, row: &Row<'_>) -> rusqlite::Result<Refused> {
    Ok(Refused {
        request,
        at: Timestamp::from_unix_millis(row.get(0)?),
        client: row.get::<_, Option<String>>(1)?.and_then(|id| ClientId::parse(&id).ok()),
        peer: row.get::<_, String>(2)?.parse().unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into()),
        method: row.get(3)?,
        path: row.get(4)?,
        status: row.get(5)?,
        code: row.get(6)?,
        message: row.get(7)?,
        details: row.get(8)?,
        // A reason that a newer version wrote is told by the public words.
        reason: serde_json::from_str(&row.get::<_, String>(9)?).unwrap_or(Reason::Told),
    })
}

/// How many refusals of whom there are.
#[derive(Default)]
pub(super) struct Rooms {
    each: HashMap<Owner, i64>,
    all: i64,
}

pub(super) fn rooms(connection: &Connection) -> rusqlite::Result<Rooms> {
    let mut statement = connection.prepare("SELECT client_id, count(*) FROM refusals GROUP BY client_id")?;
    let mut rows = statement.query([])?;
    let mut rooms = Rooms::default();
    while let Some(row) = rows.next()? {
        let owner = row.get::<_, Option<String>>(0)?.and_then(|id| ClientId::parse(&id).ok());
        let count: i64 = row.get(1)?;
        *rooms.each.entry(owner).or_default() += count;
        rooms.all += count;
    }
    Ok(rooms)
}

impl Rooms {
    /// Notes one more refusal. Where its owner has too many, the oldest of them go.
    pub(super) fn take(
        &mut self,
        connection: &Connection,
        owner: Option<&ClientId>,
        most: i64,
    ) -> rusqlite::Result<()> {
        let count = self.each.entry(owner.cloned()).or_default();
        *count += 1;
        self.all += 1;
        if *count <= most {
            return Ok(());
        }
        let gone = connection
            .prepare_cached(
                "DELETE FROM refusals WHERE id IN
                     (SELECT id FROM refusals WHERE client_id IS ?1 ORDER BY id LIMIT ?2)",
            )?
            .execute(params![owner.map(ClientId::as_str), PIECE.min(most)])?;
        let gone = i64::try_from(gone).unwrap_or(0);
        *count -= gone;
        self.all -= gone;
        Ok(())
    }

    /// The oldest go where they are too old, or too many in all: a piece at a time.
    pub(super) fn clear_old(&mut self, connection: &Connection, before: Timestamp, most: i64) -> rusqlite::Result<()> {
        let oldest = "SELECT id, at, client_id FROM refusals ORDER BY id LIMIT ?1";
        let mut statement = connection.prepare_cached(oldest)?;
        let mut rows = statement.query([PIECE])?;
        let mut leaving: Vec<([u8; 16], Owner)> = Vec::new();
        while let Some(row) = rows.next()? {
            let is_over = row.get::<_, i64>(1)? < before.unix_millis();
            if !is_over && self.all - i64::try_from(leaving.len()).unwrap_or(0) <= most {
                break;
            }
            let owner = row.get::<_, Option<String>>(2)?.and_then(|id| ClientId::parse(&id).ok());
            leaving.push((row.get(0)?, owner));
        }
        for (id, owner) in leaving {
            connection.prepare_cached("DELETE FROM refusals WHERE id = ?1")?.execute([id])?;
            self.all -= 1;
            if let Some(count) = self.each.get_mut(&owner) {
                *count -= 1;
                if *count == 0 {
                    self.each.remove(&owner);
                }
            }
        }
        Ok(())
    }
}
