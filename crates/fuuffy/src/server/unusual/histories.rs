//! The histories of an environment: each client's, and one of all requests together.

use std::collections::HashMap;
use std::sync::Arc;

use fuuffy_domain::{
    AlertKind, Change, ClientSlot, History, Measure, Minute, Networks, Sample, Seen, Timestamp, Usage,
};

use super::super::silences::Silences;
use super::incidents::{Incidents, Whose};
use super::origins::Origins;

/// Minutes that are caught up with at most; beyond, nobody watched.
const CAUGHT_UP: i64 = 60;
/// Where the environment's history is kept among those of its clients.
const ALL: ClientSlot = ClientSlot(u32::MAX);

/// Those that there are, and the last minute that they know.
#[derive(Default)]
pub(super) struct Histories {
    of: HashMap<ClientSlot, Watched>,
    environment: Option<History>,
    incidents: Incidents,
    /// What nobody is to be told of.
    pub(super) silences: Arc<Silences>,
    last: Option<Minute>,
}

/// What was used in a minute.
#[derive(Default)]
pub(super) struct Used {
    /// By whom: as much as a history asks for.
    clients: HashMap<ClientSlot, Sample>,
    /// By all together, and by nobody known.
    pub(super) all: Usage,
}

impl Used {
    /// Adds all that a client used.
    pub(super) fn add(&mut self, client: ClientSlot, usage: &Usage) {
        self.clients.insert(client, sample(usage));
        self.all.add(usage);
    }
}

/// What is known of one client.
#[derive(Default)]
struct Watched {
    /// Apart, for a table that grows has room for more than there are.
    history: Box<History>,
    origins: Origins,
}

impl Histories {
    /// Those that were kept. The time since then was not watched. What another version wrote is learned anew.
    pub(super) fn restored(kept: Vec<(ClientSlot, Vec<u8>)>, now: Timestamp) -> Self {
        let mut histories = Self::default();
        for (slot, bytes) in kept {
            let (history, networks) = bytes.split_at_checked(History::BYTES).unwrap_or((&bytes, &[]));
            let Ok(mut history) = History::from_bytes(history) else {
                continue;
            };
            history.interrupt(now);
            let whose = (slot != ALL).then_some(slot);
            open_kinds(&history).for_each(|kind| histories.incidents.take_up(whose, kind));
            if whose.is_none() {
                histories.environment = Some(history.of_the_environment());
                continue;
            }
            let networks = Networks::from_bytes(networks).unwrap_or_default();
            histories.of.insert(slot, Watched { history: Box::new(history), origins: Origins::of(networks) });
        }
        histories
    }

    /// What is to be kept.
    pub(super) fn known(&self) -> impl Iterator<Item = (ClientSlot, Vec<u8>)> {
        let bytes = |watched: &Watched| [watched.history.to_bytes(), watched.origins.networks.to_bytes()].concat();
        let clients = self.of.iter().map(move |(client, watched)| (*client, bytes(watched)));
        clients.chain(self.environment.iter().map(|history| (ALL, history.to_bytes())))
    }

    /// The minutes that are over and not looked at. Too many of them were not watched.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Minute> {
        let last = Minute(Minute::of(now).0 - 1);
        let first = match self.last {
            None => last,
            Some(known) if last.0 - known.0 <= CAUGHT_UP => Minute(known.0 + 1),
            Some(_) => {
                let of_clients = self.of.values_mut().map(|watched| &mut *watched.history);
                of_clients.chain(&mut self.environment).for_each(|history| history.interrupt(last.start()));
                last
            }
        };
        (first.0..=last.0).map(Minute).collect()
    }

    /// Takes what was used in a minute, by clients and by nobody known; whoever has a history and used nothing stopped.
    pub(super) fn minute(&mut self, minute: Minute, used: &Used) -> Vec<(Whose, Change)> {
        for client in used.clients.keys() {
            self.of.entry(*client).or_default();
        }
        self.last = Some(minute);
        let silences = Arc::clone(&self.silences);
        let observed =
            |whose, history: &mut History, sample: &Sample| history.observe(minute.start(), sample, silences.of(whose));
        let environment = self.environment.get_or_insert_with(|| History::new().of_the_environment());
        let of_all = observed(None, environment, &sample(&used.all));
        let kinds: Vec<AlertKind> = open_kinds(environment).collect();
        let mut changes: Vec<_> = of_all.into_iter().map(|change| (None, change)).collect();
        let nothing = Sample::default();
        for (client, watched) in &mut self.of {
            let of_client = observed(Some(*client), &mut watched.history, used.clients.get(client).unwrap_or(&nothing));
            changes.extend(of_client.into_iter().map(|change| (Some(*client), change)));
        }
        self.incidents.settle(minute, &kinds, changes)
    }

    /// Takes from where and by what clients were seen since the last time.
    pub(super) fn seen(&mut self, now: Timestamp, seen: &[Seen]) -> Vec<(Whose, Change)> {
        let mut changes = Vec::new();
        for seen in seen {
            let told = self.of.entry(seen.client).or_default().origins.take(now, seen);
            changes.extend(told.into_iter().map(|change| (Some(seen.client), change)));
        }
        for (client, watched) in &mut self.of {
            changes.extend(watched.origins.tick(now).map(|change| (Some(*client), change)));
        }
        changes
    }
}

fn open_kinds(history: &History) -> impl Iterator<Item = AlertKind> {
    let open = |measure: Measure| Some(AlertKind::Series(measure, history.open(measure)?.0));
    Measure::ALL.into_iter().filter_map(open)
}

fn sample(usage: &Usage) -> Sample {
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let latency = usage.latency.quantile(0.95).map(|took| count(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)));
    Sample {
        requests: count(usage.requests),
        forbidden: count(usage.forbidden),
        not_found: count(usage.not_found),
        limited: count(usage.limited),
        server_errors: count(usage.classes[4]),
        bytes_in: usage.bytes_in,
        bytes_out: usage.bytes_out,
        latency,
    }
}

#[cfg(test)]
mod tests;
