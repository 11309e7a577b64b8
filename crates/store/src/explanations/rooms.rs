//! Who has how much of the room for refusals, and whose oldest go where there are too many: the client's own where
//! it has more than its share, and otherwise those of whoever has most. Whoever has little loses nothing to the loud.

use std::collections::{BTreeSet, HashMap};

use fuuffy_domain::{ClientId, Timestamp};
use rusqlite::{Connection, params};

/// So many rows are taken out at once at most.
const PIECE: i64 = 500;
/// That part of an owner's rows is taken out at once, so that those who have much stay about even.
const PART: i64 = 20;

/// Whose room a refusal takes: a client's, or that of all callers whom nobody knows.
pub(super) type Owner = Option<ClientId>;

/// How many refusals are kept at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    /// Of one owner.
    pub(super) each: i64,
    /// In all.
    pub(super) all: i64,
}

/// How many refusals of whom there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rooms {
    each: HashMap<Owner, i64>,
    /// The same the other way round: whoever has most comes last.
    by_count: BTreeSet<(i64, Owner)>,
    all: i64,
}

impl Rooms {
    /// Counts what is in the file.
    pub(super) fn count(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare("SELECT client_id, count(*) FROM refusals GROUP BY client_id")?;
        let mut rows = statement.query([])?;
        let mut rooms = Self::default();
        while let Some(row) = rows.next()? {
            rooms.add(&owner(row.get(0)?), row.get(1)?);
        }
        Ok(rooms)
    }

    /// Notes one more refusal, and makes room for it.
    pub(super) fn take(&mut self, connection: &Connection, owner: &Owner, most: Most) -> rusqlite::Result<()> {
        self.add(owner, 1);
        if self.of(owner) > most.each {
            self.clear_oldest(connection, owner)?;
        }
        while self.all > most.all {
            let Some((_, fullest)) = self.by_count.last().cloned() else {
                break;
            };
            self.clear_oldest(connection, &fullest)?;
        }
        Ok(())
    }

    /// Those that are too old go, a piece at a time.
    pub(super) fn clear_old(&mut self, connection: &Connection, before: Timestamp) -> rusqlite::Result<()> {
        let oldest = "SELECT id, at, client_id FROM refusals ORDER BY id LIMIT ?1";
        let mut statement = connection.prepare_cached(oldest)?;
        let mut rows = statement.query([PIECE])?;
        let mut leaving: Vec<([u8; 16], Owner)> = Vec::new();
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? >= before.unix_millis() {
                break;
            }
            leaving.push((row.get(0)?, owner(row.get(2)?)));
        }
        for (id, owner) in leaving {
            connection.prepare_cached("DELETE FROM refusals WHERE id = ?1")?.execute([id])?;
            self.add(&owner, -1);
        }
        Ok(())
    }

    fn clear_oldest(&mut self, connection: &Connection, owner: &Owner) -> rusqlite::Result<()> {
        let count = self.of(owner);
        let gone = connection
            .prepare_cached(
                "DELETE FROM refusals WHERE id IN
                     (SELECT id FROM refusals WHERE client_id IS ?1 ORDER BY id LIMIT ?2)",
            )?
            .execute(params![owner.as_ref().map(ClientId::as_str), (count / PART).clamp(1, PIECE)])?;
        // Where there was none, the count was wrong.
        self.add(owner, if gone == 0 { -count } else { -i64::try_from(gone).unwrap_or(count) });
        Ok(())
    }

    fn of(&self, owner: &Owner) -> i64 {
        self.each.get(owner).copied().unwrap_or(0)
    }

    fn add(&mut self, owner: &Owner, more: i64) {
        let before = self.each.remove(owner).unwrap_or(0);
        self.by_count.remove(&(before, owner.clone()));
        let count = (before + more).max(0);
        self.all += count - before;
        if count > 0 {
            self.each.insert(owner.clone(), count);
            self.by_count.insert((count, owner.clone()));
        }
    }
}

fn owner(client: Option<String>) -> Owner {
    client.and_then(|id| ClientId::parse(&id).ok())
}
