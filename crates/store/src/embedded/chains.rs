//! Which rows of tokens are whose, newest first: for each row how far before it the same client's one before
//! lies. In memory, since an index in the file would be written at random places for each token that is issued.
//! A row costs four bytes, and about an eighth of them more.

use std::collections::{HashMap, VecDeque};

use fuuffy_domain::ClientSlot;
use parking_lot::RwLock;

/// Steps that are taken before the writer has its turn.
const STEPS: usize = 4096;
/// Rows that may be missing between two. Nothing makes such a hole but a hand; what lies before a larger one is not
/// listed, and lives its life all the same.
const LARGEST_HOLE: i64 = 1 << 24;

/// The chains of all clients.
#[derive(Default)]
pub(crate) struct Chains(RwLock<Rows>);

#[derive(Default)]
struct Rows {
    /// The number of the first row that there is a distance for.
    first: i64,
    /// How far back the same client's row before lies; zero where there is none.
    distances: VecDeque<u32>,
    newest: HashMap<ClientSlot, i64>,
}

impl Chains {
    /// Takes in rows of ascending numbers.
    pub(crate) fn append(&self, rows: impl IntoIterator<Item = (i64, ClientSlot)>) {
        let mut chains = self.0.write();
        for (row, client) in rows {
            chains.push(row, client);
        }
    }

    /// Lets go of all rows up to one.
    pub(crate) fn forget(&self, up_to: i64) {
        let mut chains = self.0.write();
        while chains.first <= up_to && chains.distances.pop_front().is_some() {
            chains.first += 1;
        }
        // Clients whose rows are all gone, when there are many: never a scan for each row.
        if chains.newest.len() > 2 * chains.distances.len() + 1024 {
            let first = chains.first;
            chains.newest.retain(|_, row| *row >= first);
        }
    }

    /// The rows of a client, newest first.
    pub(crate) fn of(&self, client: ClientSlot) -> Vec<i64> {
        let mut rows: Vec<i64> = self.0.read().newest(client).into_iter().collect();
        while let Some(mut row) = rows.last().copied() {
            let chains = self.0.read();
            let (length, mut steps) = (rows.len(), 0..STEPS);
            while let Some(before) = steps.next().and_then(|_| chains.before(row)) {
                rows.push(before);
                row = before;
            }
            if rows.len() < length + STEPS {
                break;
            }
        }
        rows
    }
}

impl Rows {
    fn push(&mut self, row: i64, client: ClientSlot) {
        let next = self.first.saturating_add_unsigned(self.distances.len() as u64);
        if self.distances.is_empty() || row.saturating_sub(next) > LARGEST_HOLE {
            (self.first, self.distances) = (row, VecDeque::new());
        }
        while self.first.saturating_add_unsigned(self.distances.len() as u64) < row {
            self.put(0);
        }
        let before = self.newest(client).and_then(|before| u32::try_from(row - before).ok());
        self.put(before.unwrap_or(0));
        self.newest.insert(client, row);
    }

    fn put(&mut self, distance: u32) {
        if self.distances.len() == self.distances.capacity() {
            // Growing by an eighth instead of doubling keeps the unused room small.
            self.distances.reserve_exact(self.distances.len() / 8 + 256);
        }
        self.distances.push_back(distance);
    }

    fn newest(&self, client: ClientSlot) -> Option<i64> {
        self.newest.get(&client).copied().filter(|row| *row >= self.first)
    }

    fn before(&self, row: i64) -> Option<i64> {
        let place = usize::try_from(row.checked_sub(self.first)?).ok()?;
        let distance = self.distances.get(place).copied().filter(|distance| *distance > 0)?;
        Some(row - i64::from(distance)).filter(|before| *before >= self.first)
    }
}

#[cfg(test)]
mod tests;
