//! What is unusual of clients and of the environment: each minute beside its own history, where clients come from and
//! with what, and operators told of what comes of it.

mod histories;
mod incidents;
mod origins;
mod told;

use std::collections::HashMap;
use std::time::Duration;

use fuuffy_domain::{
    AlertKind, Change, Client, ClientSlot, ClientStatus, Clock as _, Minute, Timestamp, Usage, old_secret,
};
use fuuffy_store::Store as _;
use tokio::sync::Mutex;

use super::Environment;
use histories::{Histories, Used};

/// How often what was learned is kept, in minutes.
const KEPT: i64 = 60;
/// Clients of whom it is kept at once.
const KEPT_AT_ONCE: usize = 1000;
/// Minutes that are read at once, where there are several to catch up with.
const READ: usize = 20;

/// What an environment's watch knows, once somebody watches: a command that opens the store does not.
#[derive(Default)]
pub(super) struct Watch(Mutex<Option<Watching>>);

#[derive(Default)]
struct Watching {
    histories: Histories,
    kept: Option<Minute>,
    /// Since when clients use a secret that has a successor.
    old_secrets: HashMap<ClientSlot, Timestamp>,
}

impl Environment {
    /// Takes up what was learned before.
    async fn learn_from_before(&self, now: Timestamp) -> Watching {
        let kept = self.usage.known().unwrap_or_else(|error| {
            tracing::warn!(environment = %self.name, %error, "What is usual of clients is learned anew");
            Vec::new()
        });
        let directory = self.store.directory();
        let is_gone = |slot| directory.get(slot).is_some_and(|client| client.status == ClientStatus::Deleted);
        let kept = kept.into_iter().filter(|(slot, _)| !is_gone(*slot)).collect();
        let mut watching = Watching::default();
        watching.histories.apart(move |histories| *histories = Histories::restored(kept, now)).await;
        watching
    }

    /// Looks at the minutes that are over, and tells of what is unusual in them.
    pub(super) async fn look_for_the_unusual(&self) {
        let now = self.clock.now();
        let mut watch = self.watch.0.lock().await;
        if watch.is_none() {
            *watch = Some(self.learn_from_before(now).await);
        }
        let Some(watching) = &mut *watch else { return };
        watching.histories.silences = self.silences(now).await;
        let seen = self.gateway.tally().take_seen();
        let mut changes = watching.histories.apart(move |histories| histories.seen(now, seen)).await;
        // Of whom nobody knows, it is not known in which of the minutes they came.
        let mut strangers = self.gateway.tally().take_strangers();
        for minutes in watching.histories.due(now).chunks(READ) {
            let Some(mut used) = self.used_in(minutes, now).await else {
                break;
            };
            for minute in minutes.iter().copied() {
                let mut used = used.remove(&minute).unwrap_or_default();
                used.all.add(&std::mem::take(&mut strangers));
                changes.extend(watching.histories.apart(move |histories| histories.minute(minute, &used)).await);
            }
        }
        for (whose, change) in changes {
            self.tell_of(whose, change).await;
        }
        self.look_for_old_secrets(&mut watching.old_secrets, now).await;
        let minute = Minute::of(now);
        if watching.kept.is_none_or(|kept| minute.0 - kept.0 >= KEPT) {
            watching.kept = Some(minute);
            self.keep(&watching.histories).await;
        }
    }

    /// Keeps what was learned, if anything was.
    pub(super) async fn keep_what_is_usual(&self) {
        if let Some(watching) = &*self.watch.0.lock().await {
            self.keep(&watching.histories).await;
        }
    }

    /// Keeps what was learned, of some clients at a time, so that it is not in memory twice.
    async fn keep(&self, histories: &Histories) {
        let mut known = histories.known().peekable();
        while known.peek().is_some() {
            self.usage.know(known.by_ref().take(KEPT_AT_ONCE).collect()).await;
        }
    }

    /// What was used in some minutes in a row.
    async fn used_in(&self, minutes: &[Minute], now: Timestamp) -> Option<HashMap<Minute, Used>> {
        let (first, last) = (minutes.first()?.start(), minutes.last()?.start());
        let add = |used: &mut HashMap<Minute, Used>, minute, client, usage: &Usage| {
            used.entry(minute).or_default().add(client, usage);
        };
        match self.usage.each_client(first..last.after(Duration::from_secs(60)), now, add).await {
            Ok(used) => Some(used),
            Err(error) => {
                tracing::debug!(environment = %self.name, %error, "Nobody watches for the unusual without usage");
                None
            }
        }
    }

    /// Tells of secrets that have a successor and are used all the same, once for each successor, and when they are not.
    async fn look_for_old_secrets(&self, known: &mut HashMap<ClientSlot, Timestamp>, now: Timestamp) {
        let uses_one = |client: &Client| client.live_secrets(now) > 1 && old_secret(client, now).is_some();
        let mut over = std::mem::take(known);
        for client in self.store.directory().filter(uses_one) {
            let Some(alert) = old_secret(&client, now) else {
                continue;
            };
            known.insert(client.slot, alert.opened_at);
            if over.remove(&client.slot) != Some(alert.opened_at) {
                self.tell_of(Some(client.slot), Change::Opened(alert)).await;
            }
        }
        for (client, opened_at) in over {
            let kind = AlertKind::OldSecret;
            self.tell_of(Some(client), Change::Closed { kind, opened_at, closed_at: now }).await;
        }
    }
}
