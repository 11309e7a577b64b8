//! What operators silenced, as the watch for the unusual needs it: by client, in memory, read anew each minute.

use std::collections::HashMap;
use std::sync::Arc;

use fuuffy_domain::{Alert, AlertKind, Change, ClientSlot, Clock as _, Silence, SilenceId, Timestamp};
use fuuffy_store::{KeptSilence, Store as _};

use super::Environment;

/// The silences that held when they were read.
#[derive(Debug, Default)]
pub(super) struct Silences {
    /// Of all clients.
    of_all: Vec<Silence>,
    /// Of those that have some of their own: these, and those of all.
    of: HashMap<ClientSlot, Vec<Silence>>,
    kept: Vec<(Option<ClientSlot>, SilenceId, Silence)>,
}

impl Silences {
    fn new(kept: Vec<KeptSilence>, slot_of: impl Fn(&KeptSilence) -> Option<ClientSlot>) -> Self {
        let mut silences = Self::default();
        for kept in kept {
            let slot = slot_of(&kept);
            if kept.made.client.is_some() && slot.is_none() {
                // The client is gone.
                continue;
            }
            silences.kept.push((slot, kept.made.id, kept.made.silence));
        }
        let own = silences.kept.iter().filter_map(|(slot, _, _)| *slot);
        silences.of_all = silences.kept.iter().filter(|(slot, ..)| slot.is_none()).map(|(.., it)| *it).collect();
        silences.of = own.map(|slot| (slot, silences.of_all.clone())).collect();
        for (slot, _, silence) in &silences.kept {
            if let Some(of) = slot.and_then(|slot| silences.of.get_mut(&slot)) {
                of.push(*silence);
            }
        }
        silences
    }

    /// Those of a client, or of the environment, for which those of all hold.
    pub(super) fn of(&self, whose: Option<ClientSlot>) -> &[Silence] {
        whose.and_then(|client| self.of.get(&client)).unwrap_or(&self.of_all)
    }

    /// The one that covers an alert, a client's own before one of all.
    fn covering(&self, whose: Option<ClientSlot>, kind: AlertKind, now: Timestamp) -> Option<&SilenceId> {
        let covers = |of: Option<ClientSlot>| {
            self.kept.iter().find(move |(slot, _, silence)| *slot == of && silence.covers(kind, now))
        };
        covers(whose).or_else(|| covers(None)).map(|(_, id, _)| id)
    }
}

impl Environment {
    /// Reads the silences. Where they cannot be read, those that were known hold on.
    pub(super) async fn silences(&self, now: Timestamp) -> Arc<Silences> {
        match self.alerts.outbox.silences(now).await {
            Ok(kept) => {
                let directory = self.store.directory();
                let slot_of = |kept: &KeptSilence| Some(directory.find(kept.made.client.as_ref()?)?.slot);
                self.silenced.store(Arc::new(Silences::new(kept, slot_of)));
            }
            Err(error) => {
                tracing::warn!(environment = %self.name, %error, "Silences cannot be read for now; those that were known hold on");
            }
        }
        self.silenced.load_full()
    }

    /// What of a change is to be told: nothing of what a silence covers, which is logged and counted instead, and no
    /// end of what nobody was told of. `name` is what the alert is known by in the outbox once it is told.
    pub(super) async fn unsilenced(
        &self,
        whose: Option<ClientSlot>,
        change: Change,
        name: impl Fn(AlertKind, Timestamp) -> String,
    ) -> Option<Change> {
        match &change {
            Change::Silenced(alert) => self.keep_back(whose, alert).await,
            // A history knows of silences itself; what else there is does not.
            Change::Opened(alert) if !matches!(alert.kind, AlertKind::Series(..)) => {
                if self.silenced.load().covering(whose, alert.kind, self.clock.now()).is_none() {
                    return Some(change);
                }
                self.keep_back(whose, alert).await;
            }
            Change::Closed { kind, opened_at, .. } if !matches!(kind, AlertKind::Series(..)) => {
                let told = self.alerts.outbox.knows(name(*kind, *opened_at)).await;
                return told.unwrap_or(true).then_some(change);
            }
            Change::Opened(_) | Change::Joined(_) | Change::Closed { .. } => return Some(change),
        }
        None
    }

    async fn keep_back(&self, whose: Option<ClientSlot>, alert: &Alert) {
        let now = self.clock.now();
        let silence = self.silenced.load().covering(whose, alert.kind, now).cloned();
        let (words, kind) = (&alert.words, alert.kind.name());
        let client = whose.and_then(|slot| self.store.directory().get(slot));
        let client_id = client.map(|client| client.id.to_string());
        let silence_id = silence.as_ref().map(SilenceId::as_str);
        tracing::warn!(environment = %self.name, client_id, kind, silence_id, "Nobody is told, for it is silenced: {words}");
        if let Some(id) = silence
            && let Err(error) = self.alerts.outbox.count_silenced(id, now).await
        {
            tracing::warn!(environment = %self.name, %error, "A silenced alert could not be counted");
        }
    }
}

#[cfg(test)]
mod tests;
