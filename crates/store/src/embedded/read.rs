//! Reading what is not in memory: the audit log and the list of a client's tokens. A connection of its own,
//! which sees what was committed and never holds up the writer.

use std::path::PathBuf;
use std::sync::Arc;

use fuuffy_domain::{ClientSlot, ScopeSet, Timestamp};
use parking_lot::Mutex;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OpenFlags, Row, params_from_iter};

use crate::{AuditQuery, AuditRow, Deed, ListedToken, Part, PartOf, StoreError};

/// Opens a connection when it is first needed, and keeps it.
#[derive(Clone)]
pub(super) struct Reader {
    path: PathBuf,
    connection: Arc<Mutex<Option<Connection>>>,
}

impl Reader {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, connection: Arc::default() }
    }

    /// Reads on a thread that may wait for the disk.
    pub(super) fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Deed<T> {
        let reader = self.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || reader.now(work)).await;
            done.unwrap_or_else(|_| Err(StoreError::Closed))
        })
    }

    fn now<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let unreadable = |error: rusqlite::Error| super::schema::unreadable(&self.path, &error);
        let mut place = self.connection.lock();
        let connection = match &mut *place {
            Some(connection) => connection,
            empty => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                empty.insert(Connection::open_with_flags(&self.path, flags).map_err(unreadable)?)
            }
        };
        work(connection).map_err(unreadable)
    }
}

/// A part of the audit log.
pub(super) fn audit(connection: &Connection, wanted: &AuditQuery) -> rusqlite::Result<Part<AuditRow>> {
    let mut conditions = vec!["1".to_owned()];
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    if let Some(client) = &wanted.client {
        values.push(Box::new(client.as_str().to_owned()));
        conditions.push(format!("client_id = ?{}", values.len()));
    }
    if !wanted.deeds.is_empty() {
        let places: Vec<String> = wanted
            .deeds
            .iter()
            .map(|deed| {
                values.push(Box::new(deed.clone()));
                format!("?{}", values.len())
            })
            .collect();
        conditions.push(format!("record ->> 'deed' IN ({})", places.join(", ")));
    }
    let conditions = conditions.join(" AND ");
    let parameters = || params_from_iter(values.iter().map(|value| &**value));
    let total: i64 =
        connection
            .query_row(&format!("SELECT count(*) FROM audit WHERE {conditions}"), parameters(), |row| row.get(0))?;
    let order = if wanted.newest_first { "DESC" } else { "ASC" };
    let (take, skip) = limits(wanted.part);
    let query = format!(
        "SELECT seq, record, hash FROM audit WHERE {conditions} ORDER BY seq {order} LIMIT {take} OFFSET {skip}"
    );
    let row = |row: &Row<'_>| Ok(AuditRow { sequence: row.get(0)?, record: row.get(1)?, hash: row.get(2)? });
    let items = connection.prepare(&query)?.query_map(parameters(), row)?.collect::<Result<_, _>>()?;
    Ok(Part { items, total: usize::try_from(total).unwrap_or(0) })
}

/// Rows between two: the numbers of a client's live tokens, newest first.
pub(super) const LIVE_TOKENS: &str = "SELECT seq FROM tokens
     WHERE seq BETWEEN ?1 AND ?2 AND client = ?3 AND generation = ?4 AND expires_at > ?5
       AND NOT EXISTS (SELECT 1 FROM revoked_tokens AS gone
                       WHERE gone.expires_at = tokens.expires_at AND gone.digest = tokens.digest)
     ORDER BY seq DESC";
const TOKEN: &str = "SELECT tokens.issued_at, tokens.expires_at, coalesce(scopes.scope, '')
     FROM tokens LEFT JOIN scopes ON scopes.id = tokens.scope WHERE tokens.seq = ?1";
/// Looking for a row costs about as much as reading so many that lie one after the other.
const LOOK: i64 = 8;

/// A part of a client's live tokens. `rows` are all that may be such, newest first.
pub(super) fn tokens(
    connection: &Connection,
    rows: &[i64],
    (client, generation): (ClientSlot, u32),
    now: Timestamp,
    part: PartOf,
) -> rusqlite::Result<Part<ListedToken>> {
    let (Some(newest), Some(oldest)) = (rows.first().copied(), rows.last().copied()) else {
        return Ok(Part { items: Vec::new(), total: 0 });
    };
    let are_most = i64::try_from(rows.len()).unwrap_or(i64::MAX).saturating_mul(LOOK) > newest - oldest;
    let stretches = if are_most { vec![(oldest, newest)] } else { rows.iter().map(|row| (*row, *row)).collect() };
    let (mut items, mut total) = (Vec::new(), 0);
    let at_one_moment = connection.unchecked_transaction()?;
    let mut live = at_one_moment.prepare_cached(LIVE_TOKENS)?;
    let mut whole = at_one_moment.prepare_cached(TOKEN)?;
    for (from, to) in stretches {
        let mut found = live.query((from, to, client.0, generation, now.unix_millis()))?;
        while let Some(row) = found.next()? {
            if (part.skip..part.skip.saturating_add(part.take)).contains(&total) {
                let number = row.get(0)?;
                items.push(whole.query_row([number], |row| listed(client, number, row))?);
            }
            total += 1;
        }
    }
    Ok(Part { items, total })
}

fn listed(client: ClientSlot, number: i64, row: &Row<'_>) -> rusqlite::Result<ListedToken> {
    Ok(ListedToken {
        number,
        client,
        issued_at: Some(Timestamp::from_unix_millis(row.get(0)?)),
        expires_at: Timestamp::from_unix_millis(row.get(1)?),
        scope: Arc::new(ScopeSet::parse(row.get_ref(2)?.as_str()?).unwrap_or_default()),
    })
}

fn limits(part: PartOf) -> (i64, i64) {
    let number = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    (number(part.take), number(part.skip))
}
