//! Which deed it was by which a client lost what it could do before: by what the records say, never by which came
//! last, so that nobody is named for what another did.

use fuuffy_domain::{ClientId, Timestamp};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::{AuditRow, Lost};

/// A client's deeds that began a new generation of it, as [`fuuffy_domain::Client::change`] does.
const MOVES: &str = "(record ->> 'deed' IN ('client.suspended', 'client.deleted', 'client.tokens_revoked')
     OR record ->> 'deed' = 'client.changed' AND record ->> 'tokens_revoked')";
/// So many generations are looked back.
const LOOKED_BACK: u32 = 10_000;

/// The record of the deed, if there is one that it must have been.
pub(super) fn deed_behind(
    connection: &Connection,
    client: &ClientId,
    lost: &Lost,
) -> rusqlite::Result<Option<AuditRow>> {
    match lost {
        Lost::Token { expires_at } => {
            let named = "record ->> 'deed' = 'token.revoked' AND record ->> 'expires_at' = ?2";
            only(connection, client, named, &Timestamp::to_string(expires_at))
        }
        Lost::Secret(id) => {
            let named = "record ->> 'deed' = 'secret.retired' AND record ->> 'secret_id' = ?2";
            only(connection, client, named, &id.as_str())
        }
        Lost::UseOfSecret(id) => {
            let named = "record ->> 'deed' = 'secret.quarantined' AND record ->> 'secret_id' = ?2";
            only(connection, client, named, &id.as_str())
        }
        Lost::Tokens { generation } => moves(connection, client, |begun, _| begun == generation + 1),
        Lost::Standing { generation } => moves(connection, client, |begun, deed| {
            begun <= *generation && matches!(deed, "client.suspended" | "client.deleted")
        }),
    }
}

/// The record that fits, if it is the only one. Two tokens may expire in the same millisecond, and a record does not
/// say which of them it is about.
fn only(
    connection: &Connection,
    client: &ClientId,
    named: &str,
    name: &dyn ToSql,
) -> rusqlite::Result<Option<AuditRow>> {
    let query = format!("SELECT seq, record, hash FROM audit WHERE client_id = ?1 AND {named} LIMIT 2");
    let mut statement = connection.prepare(&query)?;
    let mut rows = statement.query([&client.as_str() as &dyn ToSql, name])?;
    let Some(first) = rows.next()?.map(row).transpose()? else {
        return Ok(None);
    };
    Ok(rows.next()?.is_none().then_some(first))
}

/// The newest deed that fits, by the generation that it began and its name. Generations are counted back from the
/// one that the client is in, in the same transaction, so that no deed that comes meanwhile shifts them.
fn moves(
    connection: &Connection,
    client: &ClientId,
    fits: impl Fn(u32, &str) -> bool,
) -> rusqlite::Result<Option<AuditRow>> {
    let transaction = connection.unchecked_transaction()?;
    let now = "SELECT generation FROM clients WHERE client_id = ?1";
    let Some(now) = transaction.query_row(now, [client.as_str()], |row| row.get::<_, u32>(0)).optional()? else {
        return Ok(None);
    };
    let query = format!(
        "SELECT seq, record, hash, record ->> 'deed' FROM audit WHERE client_id = ?1 AND {MOVES}
         ORDER BY seq DESC LIMIT {LOOKED_BACK}"
    );
    let mut statement = transaction.prepare(&query)?;
    let mut rows = statement.query([client.as_str()])?;
    let mut begun = now;
    while let Some(found) = rows.next()? {
        if fits(begun, found.get_ref(3)?.as_str()?) {
            return row(found).map(Some);
        }
        // A record too many would mean that others were counted wrongly, too.
        let Some(before) = begun.checked_sub(1) else {
            return Ok(None);
        };
        begun = before;
    }
    Ok(None)
}

fn row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow { sequence: row.get(0)?, record: row.get(1)?, hash: row.get(2)? })
}
