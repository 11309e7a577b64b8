//! Which of the incidents that are open somebody is told of, where clients and their environment meet the same.
//!
//! Errors and slow answers come from the API, so the environment's alert tells them for all its clients. What clients do
//! is told of each by its name, but for those that come after three others within half an hour, if the environment shows
//! it too; and of the environment where no client, or many of them, account for it. Which of the two opens first is
//! chance, so that what may belong to another waits for it for five minutes.

use std::collections::HashMap;

use fuuffy_domain::{Alert, AlertKind, Change, ClientSlot, Direction, Measure, Minute};

/// So many clients are told of by name where the same befalls many.
const NAMED: usize = 3;
/// Minutes within which the same is thought to have one cause.
const TOGETHER: i64 = 30;
/// Minutes that an alert waits for another that tells the same better.
const HELD: i64 = 5;

/// Whose a change is: a client's, or the environment's.
pub(super) type Whose = Option<ClientSlot>;

/// What was told and is not over, and what waits to be told.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    open: HashMap<(Whose, AlertKind), Minute>,
    held: Vec<(Minute, Whose, Alert)>,
}

/// What becomes of an alert.
enum Fate {
    Told,
    Joined,
    Waits,
}

impl Incidents {
    /// Takes up what was open at the last restart. When it opened is not asked any more.
    pub(super) fn take_up(&mut self, whose: Whose, kind: AlertKind) {
        self.open.insert((whose, kind), Minute(0));
    }

    /// What is told of a minute's changes, `of_all` of which are what is open of the environment.
    pub(super) fn settle(
        &mut self,
        minute: Minute,
        of_all: &[AlertKind],
        changes: Vec<(Whose, Change)>,
    ) -> Vec<(Whose, Change)> {
        let mut told = Vec::new();
        let mut alerts = std::mem::take(&mut self.held);
        for (whose, change) in changes {
            match change {
                Change::Opened(alert) => alerts.push((minute, whose, alert)),
                // The end of what was not told is not told either.
                Change::Closed { kind, .. } => {
                    alerts.retain(|(_, waiting, alert)| (*waiting, alert.kind) != (whose, kind));
                    if self.open.remove(&(whose, kind)).is_some() {
                        told.push((whose, change));
                    }
                }
                Change::Joined(_) | Change::Silenced(_) => told.push((whose, change)),
            }
        }
        // What one client alone does is told by its name, and so the clients come first.
        alerts.sort_by_key(|(_, whose, _)| whose.is_none());
        for (since, whose, alert) in alerts {
            match self.fate(minute, of_all, (whose, alert.kind)) {
                Fate::Waits if minute.0 - since.0 < HELD => self.held.push((since, whose, alert)),
                Fate::Joined => told.push((whose, Change::Joined(alert))),
                Fate::Told | Fate::Waits => {
                    self.open.insert((whose, alert.kind), minute);
                    told.push((whose, Change::Opened(alert)));
                }
            }
        }
        told
    }

    fn fate(&self, minute: Minute, of_all: &[AlertKind], (whose, kind): (Whose, AlertKind)) -> Fate {
        let of_api = [Measure::ErrorShare, Measure::Latency].map(|it| AlertKind::Series(it, Direction::Jump));
        let is_of_api = of_api.contains(&kind);
        let named = self
            .open
            .iter()
            .filter(|((whose, open), since)| whose.is_some() && *open == kind && minute.0 - since.0 <= TOGETHER);
        match (whose, named.count()) {
            (Some(_), _) if is_of_api && of_api.iter().any(|kind| of_all.contains(kind)) => Fate::Joined,
            (Some(_), NAMED..) if !is_of_api && of_all.contains(&kind) => Fate::Joined,
            (Some(_), NAMED..) if !is_of_api => Fate::Waits,
            (None, 1..NAMED) if !is_of_api => Fate::Joined,
            (None, 0) if !is_of_api => Fate::Waits,
            _ => Fate::Told,
        }
    }
}
