//! Reading usage: by client, by route or by time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use fuuffy_domain::{ClientSlot, Minute, Timestamp, Usage};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row};

use super::tables::ALL;
pub use super::tables::Step;
use crate::StoreError;
use crate::embedded::bad_file;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// Of one client; of all, unless given.
    pub client: Option<ClientSlot>,
    /// Rows for what.
    pub by: Grouping,
    /// The steps that begin in this time, and the one that its beginning is in.
    pub time: Range<Timestamp>,
    /// How finely time is told, or how exactly its beginning and end are kept to.
    pub step: Step,
}

/// What makes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// A client.
    Client,
    /// A route.
    Route,
    /// A step of time.
    Time,
}

/// What was used by a client, of a route or in a step of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Who, where that makes the row.
    pub client: Option<ClientSlot>,
    /// Of what, where that makes the row.
    pub route: Option<String>,
    /// When the step began, where that makes the row.
    pub at: Option<Timestamp>,
    /// How much.
    pub usage: Usage,
}

/// What a client asked for of some routes, and how long it was busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusyRow {
    /// Who.
    pub client: ClientSlot,
    /// In how many steps it used anything at all.
    pub steps: u64,
    /// How many requests it sent to those routes.
    pub requests: u64,
    /// How many of them were one too many.
    pub limited: u64,
}

/// For each client that is asked about: its requests to `routes`, and the steps in which it was busy.
pub(super) fn busy(path: &Path, query: &UsageQuery, routes: &[&str]) -> Result<Vec<BusyRow>, StoreError> {
    if query.time.is_empty() {
        return Ok(Vec::new());
    }
    let connection = open(path)?;
    let rows = (|| {
        let mut ids: Vec<i64> = Vec::new();
        let mut id = connection.prepare("SELECT id FROM routes WHERE prefix = ?1")?;
        for route in routes {
            ids.extend(id.query_row([route], |row| row.get::<_, i64>(0)).optional()?);
        }
        let mut busy: BTreeMap<i64, (BTreeSet<i64>, Usage)> = BTreeMap::new();
        each(&connection, query, |row| {
            let (steps, asked) = busy.entry(row.get("client")?).or_default();
            steps.insert(row.get("at")?);
            if ids.contains(&row.get("route")?) {
                asked.add(&usage(row)?);
            }
            Ok(())
        })?;
        Ok(busy)
    })();
    let row = |(client, (steps, asked)): (i64, (BTreeSet<i64>, Usage))| {
        let client = u32::try_from(client).ok().map(ClientSlot)?;
        let Usage { requests, limited, .. } = asked;
        Some(BusyRow { client, steps: steps.len() as u64, requests, limited })
    };
    Ok(rows.map_err(|error| unreadable(path, error))?.into_iter().filter_map(row).collect())
}

fn unreadable(path: &Path, error: rusqlite::Error) -> StoreError {
    bad_file(path, format!("cannot be read ({error})"))
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| unreadable(path, error))
}

/// Rows, those with the most requests first; by time, the oldest first.
pub(super) fn read(path: &Path, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
    if query.time.is_empty() {
        return Ok(Vec::new());
    }
    let connection = open(path)?;
    let mut rows = match query.by {
        Grouping::Client => by_client(&connection, query),
        Grouping::Route => by_route(&connection, query),
        Grouping::Time => by_time(&connection, query),
    }
    .map_err(|error| unreadable(path, error))?;
    if query.by != Grouping::Time {
        rows.sort_by_key(|row| std::cmp::Reverse(row.usage.requests));
    }
    Ok(rows)
}

/// Tells what each client used in each minute of some time, in order, and keeps none of it.
pub(super) fn each_client(
    path: &Path,
    time: &Range<Timestamp>,
    mut tell: impl FnMut(Minute, ClientSlot, &Usage),
) -> Result<(), StoreError> {
    let connection = open(path)?;
    let (first, end) = (Minute::of(time.start).0, Minute::of(time.end).0);
    let mut read = || {
        let columns = "SELECT at, client, route, usage FROM minutes WHERE at >= ?1 AND at < ?2 AND client != ?3";
        let mut statement = connection.prepare(&format!("{columns} ORDER BY at, client"))?;
        let mut rows = statement.query([first, end, ALL])?;
        // A client has a row for each route.
        let mut sum: Option<((i64, u32), Usage)> = None;
        while let Some(row) = rows.next()? {
            let (of, usage) = ((row.get("at")?, row.get("client")?), usage(row)?);
            match &mut sum {
                Some((known, sum)) if *known == of => sum.add(&usage),
                _ => {
                    if let Some(((minute, client), sum)) = sum.replace((of, usage)) {
                        tell(Minute(minute), ClientSlot(client), &sum);
                    }
                }
            }
        }
        if let Some(((minute, client), sum)) = sum {
            tell(Minute(minute), ClientSlot(client), &sum);
        }
        Ok(())
    };
    read().map_err(|error| unreadable(path, error))
}

/// What is known of clients.
pub(super) fn known(path: &Path) -> Result<Vec<(ClientSlot, Vec<u8>)>, StoreError> {
    let read = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        let mut statement = connection.prepare("SELECT client, bytes FROM known")?;
        let rows = statement.query_map([], |row| Ok((ClientSlot(row.get(0)?), row.get(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(|error: rusqlite::Error| bad_file(path, format!("cannot be read ({error})")))
}

fn by_client(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Vec<UsageRow>> {
    let mut sums: BTreeMap<i64, Usage> = BTreeMap::new();
    each(connection, query, |row| {
        sums.entry(row.get("client")?).or_default().add(&usage(row)?);
        Ok(())
    })?;
    let row = |(client, usage): (i64, Usage)| {
        let client = u32::try_from(client).ok().map(ClientSlot)?;
        Some(UsageRow { client: Some(client), route: None, at: None, usage })
    };
    Ok(sums.into_iter().filter_map(row).collect())
}

fn by_route(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Vec<UsageRow>> {
    let mut sums: BTreeMap<i64, Usage> = BTreeMap::new();
    each(connection, query, |row| {
        sums.entry(row.get("route")?).or_default().add(&usage(row)?);
        Ok(())
    })?;
    let mut prefix = connection.prepare("SELECT prefix FROM routes WHERE id = ?1")?;
    let rows = sums.into_iter().map(|(id, usage)| {
        let route = prefix.query_row([id], |row| row.get(0))?;
        Ok(UsageRow { client: None, route: Some(route), at: None, usage })
    });
    rows.collect()
}

fn by_time(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Vec<UsageRow>> {
    let mut sums: BTreeMap<i64, Usage> = BTreeMap::new();
    each(connection, query, |row| {
        sums.entry(row.get("at")?).or_default().add(&usage(row)?);
        Ok(())
    })?;
    let row = |(number, usage)| UsageRow { client: None, route: None, at: Some(query.step.start(number)), usage };
    Ok(sums.into_iter().map(row).collect())
}

/// Reads the rows that are asked for: one client's, those of all together, or each client's where that makes a row.
fn each(
    connection: &Connection,
    query: &UsageQuery,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let (table, number) = (query.step.table(), |at: Timestamp| query.step.of(Minute::of(at)));
    let last = Timestamp::from_unix_millis(query.time.end.unix_millis().saturating_sub(1));
    let (first, last) = (number(query.time.start), number(last));
    let columns = format!("SELECT at, client, route, usage FROM {table}");
    let client = match (query.client, query.by) {
        (Some(client), _) => i64::from(client.0),
        (None, Grouping::Route | Grouping::Time) => ALL,
        (None, Grouping::Client) => {
            let mut statement =
                connection.prepare(&format!("{columns} WHERE at BETWEEN ?1 AND ?2 AND client != {ALL}"))?;
            let mut rows = statement.query([first, last])?;
            while let Some(row) = rows.next()? {
                take(row)?;
            }
            return Ok(());
        }
    };
    // One look for each step: no more than there are kept.
    let mut statement = connection.prepare(&format!("{columns} WHERE at = ?1 AND client = ?2"))?;
    for number in first..=last {
        let mut rows = statement.query([number, client])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
    }
    Ok(())
}

fn usage(row: &Row<'_>) -> rusqlite::Result<Usage> {
    let bytes: Vec<u8> = row.get("usage")?;
    // What no version of this wrote counts as nothing.
    Ok(Usage::from_bytes(&bytes).unwrap_or_default())
}
