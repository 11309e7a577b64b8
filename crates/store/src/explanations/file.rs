//! The file of explanations: one table, in the order of the ids, which is that of time.

use std::path::Path;

use fuuffy_domain::{ClientId, Reason, Refused, RequestId, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use crate::StoreError;
use crate::embedded::bad_file;
use crate::side_file::{SideFile, Unopened};

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

/// Opens the file. One that is damaged is put aside, and another made. The last moments before a power cut may be
/// lost; nothing rests on them.
pub(super) fn open_or_replace(path: &Path) -> Result<Connection, Unopened> {
    SideFile { path, what: "The explanations of refusals", schema: TABLE, synchronous: "NORMAL" }.open_or_replace()
}

/// Writes a refusal down. False: there is one of that request already, which stays.
pub(super) fn insert(connection: &Connection, refused: &Refused) -> rusqlite::Result<bool> {
    let reason = serde_json::to_string(&refused.reason).unwrap_or_default();
    let written = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO refusals
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
    Ok(written > 0)
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
