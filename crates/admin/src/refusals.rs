//! What operators were refused: the audit log hears of it, but no more than once a second for each actor and
//! code, so that nobody can fill it by asking for what is refused.

use std::collections::HashMap;
use std::time::Duration;

use fuuffy_domain::{Actor, AuditEvent, Cause, Timestamp};
use parking_lot::Mutex;

use crate::deed::Environment;

/// The time for which one record is enough.
const QUIET: Duration = Duration::from_secs(1);

/// Refusals by actor and code.
#[derive(Default)]
pub struct Refusals(Mutex<HashMap<(Actor, &'static str), Tally>>);

/// Those of one actor and code.
struct Tally {
    noted_at: Timestamp,
    /// Those that no record tells of yet, and the last of them.
    untold: u64,
    last: Option<(Cause, String)>,
}

/// A record to write.
type Record = (Cause, AuditEvent);

impl Refusals {
    /// Counts a refusal. Answers the record that is due now, if one is.
    fn count(&self, cause: Cause, code: &'static str, asked: String) -> Option<Record> {
        let mut tallies = self.0.lock();
        let now = cause.at;
        let Some(tally) = tallies.get_mut(&(cause.actor.clone(), code)) else {
            let tally = Tally { noted_at: now, untold: 0, last: None };
            tallies.insert((cause.actor.clone(), code), tally);
            return Some((cause, refused(code, asked, 1)));
        };
        tally.untold += 1;
        if now.since(tally.noted_at) < QUIET {
            tally.last = Some((cause, asked));
            return None;
        }
        Some((cause, tally.told(code, asked, now)))
    }

    /// The records that are due by now, and forgets who has long been quiet.
    fn due(&self, now: Timestamp) -> Vec<Record> {
        let mut due = Vec::new();
        self.0.lock().retain(|(_, code), tally| {
            if now.since(tally.noted_at) < QUIET {
                return true;
            }
            let Some((cause, asked)) = tally.last.take() else {
                return false;
            };
            due.push((cause, tally.told(code, asked, now)));
            true
        });
        due
    }
}

impl Tally {
    fn told(&mut self, code: &'static str, asked: String, now: Timestamp) -> AuditEvent {
        let event = refused(code, asked, self.untold);
        (self.noted_at, self.untold, self.last) = (now, 0, None);
        event
    }
}

fn refused(code: &'static str, asked: String, times: u64) -> AuditEvent {
    AuditEvent::Refused { code: code.to_owned(), asked, times }
}

/// Notes that somebody was refused a deed, if that is not noted already.
pub(crate) async fn note(environment: &Environment, cause: Cause, code: &'static str, asked: String) {
    if let Some(record) = environment.refusals.count(cause, code, asked) {
        write(environment, record).await;
    }
}

/// Notes the refusals that were only counted so far. Meant for once a second.
pub async fn note_refusals(environment: &Environment) {
    for record in environment.refusals.due(environment.clock.now()) {
        write(environment, record).await;
    }
}

async fn write(environment: &Environment, (cause, event): Record) {
    if let Err(error) = environment.store.note(cause, event).await {
        tracing::warn!(environment = %environment.name, %error, "A refusal could not be noted in the audit log");
    }
}
