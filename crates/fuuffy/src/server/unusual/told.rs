//! How what is unusual is told: in the log, and by an alert where it begins and where it ends.

use fuuffy_domain::{Alert, AlertKind, Change, ClientStatus, Timestamp};
use fuuffy_store::Store as _;
use serde_json::json;

use super::super::Environment;
use super::incidents::Whose;

impl Environment {
    /// Tells of what opened and of what closed. What belongs to an incident that was told of is in the log alone.
    pub(super) async fn tell_of(&self, whose: Whose, change: Change) {
        let client = whose.and_then(|slot| self.store.directory().get(slot));
        // Nobody needs to hear that a client that is gone has stopped.
        if whose.is_some() && client.as_ref().is_none_or(|client| client.status == ClientStatus::Deleted) {
            return;
        }
        let whose_id = client.as_ref().map_or("", |client| client.id.as_str());
        let name_of = |kind: AlertKind, opened_at: Timestamp, word: &str| {
            format!("unusual {whose_id} {} {opened_at} {word}", kind.name())
        };
        let told_as = |kind, opened_at| name_of(kind, opened_at, "opened");
        let Some(change) = self.unsilenced(whose, change, told_as).await else {
            return;
        };
        let (id, name) = (client.as_ref().map(|client| &client.id), client.as_ref().map(|client| &client.name));
        let client_id = id.map(tracing::field::display);
        let (word, kind, opened_at, news) = match &change {
            Change::Opened(Alert { kind, severity, opened_at, words }) => {
                tracing::warn!(environment = %self.name, client_id, client_name = name, kind = kind.name(), "{words}");
                ("opened", kind, opened_at, json!({"severity": severity.name(), "words": words}))
            }
            Change::Joined(Alert { kind, words, .. }) => {
                tracing::info!(environment = %self.name, client_id, kind = kind.name(), "{words}");
                return;
            }
            Change::Silenced(_) => return,
            Change::Closed { kind, opened_at, closed_at } => {
                tracing::info!(environment = %self.name, client_id, kind = kind.name(), "It is as usual again");
                ("closed", kind, opened_at, json!({"closed_at": closed_at}))
            }
        };
        let mut data = serde_json::Map::new();
        if let Some(client) = &client {
            data.insert("client_id".to_owned(), json!(client.id));
            data.insert("client_name".to_owned(), json!(client.name));
        }
        data.insert("kind".to_owned(), json!(kind.name()));
        data.insert("opened_at".to_owned(), json!(opened_at));
        if let serde_json::Value::Object(news) = news {
            data.extend(news);
        }
        let once = name_of(*kind, *opened_at, word);
        if let Err(error) = self.alerts.tell(&format!("unusual.{word}"), once, data).await {
            tracing::warn!(environment = %self.name, error = format!("{error:#}"), "An alert could not be sent");
        }
    }
}
