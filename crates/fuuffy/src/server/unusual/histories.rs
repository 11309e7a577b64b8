//! The histories of an environment: each client's, and one of all requests together.

use std::collections::HashMap;
use std::sync::Arc;

use fuuffy_domain::{AlertKind, Change, ClientSlot, History, Kept, Measure, Minute, Sample, Seen, Timestamp, Usage};

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
    /// What is kept of each client, as bytes: most of the time nobody looks at it.
    of: HashMap<ClientSlot, Vec<u8>>,
    /// Of the few of whom there is anything.
    origins: HashMap<ClientSlot, Origins>,
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

impl Histories {
    /// Those that were kept. The time since then was not watched. What another version wrote is learned anew.
    pub(super) fn restored(kept: Vec<(ClientSlot, Vec<u8>)>, now: Timestamp) -> Self {
        let mut histories = Self::default();
        for (slot, bytes) in kept {
            let Ok(mut kept) = Kept::from_bytes(&bytes) else {
                continue;
            };
            kept.history.interrupt(now);
            let whose = (slot != ALL).then_some(slot);
            open_kinds(&kept.history).for_each(|kind| histories.incidents.take_up(whose, kind));
            if whose.is_some() {
                histories.of.insert(slot, kept.to_bytes());
            } else {
                histories.environment = Some(kept.history.of_the_environment());
            }
        }
        histories
    }

    /// Has a long look on a thread of its own: requests of operators are answered meanwhile.
    pub(super) async fn apart<T: Default + Send + 'static>(
        &mut self,
        look: impl FnOnce(&mut Self) -> T + Send + 'static,
    ) -> T {
        let mut taken = std::mem::take(self);
        let looked = tokio::task::spawn_blocking(move || {
            let seen = look(&mut taken);
            (taken, seen)
        });
        match looked.await {
            Ok((taken, seen)) => {
                *self = taken;
                seen
            }
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // The server stops.
            Err(_) => T::default(),
        }
    }

    /// What is to be kept.
    pub(super) fn known(&self) -> impl Iterator<Item = (ClientSlot, Vec<u8>)> {
        let clients = self.of.iter().map(|(client, bytes)| (*client, bytes.clone()));
        let of_all = |history: &History| Kept { history: history.clone(), ..Kept::default() }.to_bytes();
        clients.chain(self.environment.iter().map(move |history| (ALL, of_all(history))))
    }

    /// The minutes that are over and not looked at. Too many of them were not watched.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Minute> {
        let last = Minute(Minute::of(now).0 - 1);
        let first = match self.last {
            None => last,
            Some(known) if last.0 - known.0 <= CAUGHT_UP => Minute(known.0 + 1),
            Some(_) => {
                let interrupt = |history: &mut History| history.interrupt(last.start());
                self.of.values_mut().for_each(|bytes| Kept::with(bytes, |kept| interrupt(&mut kept.history)));
                self.environment.iter_mut().for_each(interrupt);
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
        for (client, bytes) in &mut self.of {
            let sample = used.clients.get(client).unwrap_or(&nothing);
            let of_client = Kept::with(bytes, |kept| observed(Some(*client), &mut kept.history, sample));
            changes.extend(of_client.into_iter().map(|change| (Some(*client), change)));
        }
        self.incidents.settle(minute, &kinds, changes)
    }

    /// Takes from where and by what clients were seen since the last time.
    pub(super) fn seen(&mut self, now: Timestamp, seen: impl Iterator<Item = Seen>) -> Vec<(Whose, Change)> {
        let mut changes = Vec::new();
        for seen in seen {
            let mut origins = self.origins.remove(&seen.client).unwrap_or_default();
            let bytes = self.of.entry(seen.client).or_default();
            let told = Kept::with_networks(bytes, |networks| origins.take(now, &seen, networks));
            changes.extend(told.into_iter().map(|change| (Some(seen.client), change)));
            // Of most there is nothing, and a table has room for all that were ever in it.
            if !origins.is_empty() {
                self.origins.insert(seen.client, origins);
            }
        }
        for (client, origins) in &mut self.origins {
            changes.extend(origins.tick(now).map(|change| (Some(*client), change)));
        }
        self.origins.retain(|_, origins| !origins.is_empty());
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
