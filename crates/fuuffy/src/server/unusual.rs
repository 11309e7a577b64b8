//! What is unusual of clients: each minute of theirs beside their own history, and operators told of what comes of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{
    Alert, AlertKind, Change, ClientSlot, Clock as _, History, Minute, Sample, Severity, Timestamp, Usage,
};
use fuuffy_store::{Grouping, Step, Store as _, UsageQuery};
use serde_json::json;
use tokio::sync::Mutex;

use super::Environment;
use super::silences::Silences;

/// Minutes that are caught up with at most; beyond, nobody watched.
const CAUGHT_UP: i64 = 60;
/// How often what was learned is kept.
const KEPT: i64 = 60;

/// The histories of an environment's clients, once somebody watches: a command that opens the store does not.
#[derive(Default)]
pub(super) struct Watch(Mutex<Option<Histories>>);

/// Those that there are, and the last minute that they know.
#[derive(Default)]
struct Histories {
    of: HashMap<ClientSlot, History>,
    last: Option<Minute>,
    kept: Option<Minute>,
    /// What nobody is to be told of.
    silences: Arc<Silences>,
}

impl Histories {
    /// Those that were kept. The time since then was not watched.
    fn restored(kept: Vec<(ClientSlot, Vec<u8>)>, now: Timestamp) -> Self {
        let restored = kept.into_iter().filter_map(|(client, bytes)| {
            // What another version wrote is learned anew.
            let mut history = History::from_bytes(&bytes).ok()?;
            history.interrupt(now);
            Some((client, history))
        });
        Self { of: restored.collect(), ..Self::default() }
    }

    /// The minutes that are over and not looked at. Too many of them were not watched.
    fn due(&mut self, now: Timestamp) -> Vec<Minute> {
        let last = Minute(Minute::of(now).0 - 1);
        let first = match self.last {
            None => last,
            Some(known) if last.0 - known.0 <= CAUGHT_UP => Minute(known.0 + 1),
            Some(_) => {
                self.of.values_mut().for_each(|history| history.interrupt(last.start()));
                last
            }
        };
        (first.0..=last.0).map(Minute).collect()
    }

    /// Takes what was used in a minute; whoever has a history and used nothing stopped.
    fn minute(&mut self, minute: Minute, used: &HashMap<ClientSlot, Usage>) -> Vec<(ClientSlot, Change)> {
        for client in used.keys() {
            self.of.entry(*client).or_default();
        }
        self.last = Some(minute);
        let mut changes = Vec::new();
        for (client, history) in &mut self.of {
            let sample = used.get(client).map_or_else(Sample::default, sample);
            changes.extend(
                history
                    .observe(minute.start(), &sample, self.silences.of(*client))
                    .into_iter()
                    .map(|change| (*client, change)),
            );
        }
        changes
    }
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

impl Environment {
    /// Takes up what was learned before.
    fn learn_from_before(&self, now: Timestamp) -> Histories {
        let kept = self.usage.known().unwrap_or_else(|error| {
            tracing::warn!(environment = %self.name, %error, "What is usual of clients is learned anew");
            Vec::new()
        });
        Histories::restored(kept, now)
    }

    /// Looks at the minutes that are over, and tells of what is unusual in them.
    pub(super) async fn look_for_the_unusual(&self) {
        let now = self.clock.now();
        let mut watch = self.watch.0.lock().await;
        let histories = watch.get_or_insert_with(|| self.learn_from_before(now));
        histories.silences = self.silences(now).await;
        for minute in histories.due(now) {
            let Some(used) = self.used_in(minute, now).await else {
                return;
            };
            for (client, change) in histories.minute(minute, &used) {
                self.tell_of(client, change).await;
            }
        }
        let minute = Minute::of(now);
        if histories.kept.is_none_or(|kept| minute.0 - kept.0 >= KEPT) {
            histories.kept = Some(minute);
            self.usage.know(known(histories)).await;
        }
    }

    /// Keeps what was learned, if anything was.
    pub(super) async fn keep_what_is_usual(&self) {
        if let Some(histories) = &*self.watch.0.lock().await {
            self.usage.know(known(histories)).await;
        }
    }

    async fn used_in(&self, minute: Minute, now: Timestamp) -> Option<HashMap<ClientSlot, Usage>> {
        let time = minute.start()..minute.start().after(Duration::from_secs(60));
        let query = UsageQuery { client: None, by: Grouping::Client, time, step: Step::Minute };
        match self.usage.read(query, now).await {
            Ok(rows) => Some(rows.into_iter().filter_map(|row| Some((row.client?, row.usage))).collect()),
            Err(error) => {
                tracing::debug!(environment = %self.name, %error, "Nobody watches for the unusual without usage");
                None
            }
        }
    }

    async fn tell_of(&self, slot: ClientSlot, change: Change) {
        let Some(client) = self.store.directory().get(slot) else {
            return;
        };
        let (id, name) = (&client.id, &client.name);
        let told_as = |kind: AlertKind, opened_at| format!("unusual {id} {} {opened_at} opened", kind.name());
        let Some(change) = self.unsilenced(slot, change, told_as).await else {
            return;
        };
        let (kind, word, opened_at, data) = match &change {
            Change::Opened(Alert { kind, severity, opened_at, words }) => {
                tracing::warn!(environment = %self.name, client_id = %id, client_name = name, kind = kind.name(), "{words}");
                let data = json!({"client_id": id, "client_name": name, "kind": kind.name(), "opened_at": opened_at,
                    "severity": severity_name(*severity), "words": words});
                (kind, "opened", opened_at, data)
            }
            Change::Joined(alert) => {
                let words = &alert.words;
                tracing::info!(environment = %self.name, client_id = %id, kind = alert.kind.name(), "{words}");
                return;
            }
            Change::Silenced(_) => return,
            Change::Closed { kind, opened_at, closed_at } => {
                tracing::info!(environment = %self.name, client_id = %id, kind = kind.name(), "It is as usual again");
                let data = json!({"client_id": id, "client_name": name, "kind": kind.name(), "opened_at": opened_at,
                    "closed_at": closed_at});
                (kind, "closed", opened_at, data)
            }
        };
        let once = format!("unusual {id} {} {opened_at} {word}", kind.name());
        if let Err(error) = self.alerts.tell(&format!("unusual.{word}"), once, data).await {
            tracing::warn!(environment = %self.name, error = format!("{error:#}"), "An alert could not be sent");
        }
    }
}

fn known(histories: &Histories) -> Vec<(ClientSlot, Vec<u8>)> {
    histories.of.iter().map(|(client, history)| (*client, history.to_bytes())).collect()
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

#[cfg(test)]
mod tests;
