//! Which secrets were used lately without a token: each is written down once a minute, so that a secret in use never
//! looks unused, and asking costs no write of its own. In memory that is let go of once a minute, and has at most one
//! entry for each secret.

use std::collections::HashSet;
use std::time::Duration;

use fuuffy_domain::{AuthenticatedClient, LastUse, RequestContext, SecretId, Timestamp};
use fuuffy_store::SecretUse;
use http::header::HeaderMap;
use parking_lot::Mutex;

use crate::Issuer;
use crate::token::agent;

const WINDOW: Duration = Duration::from_secs(60);

/// The secrets of the window that is on.
pub(crate) struct Uses(Mutex<Window>);

struct Window {
    started: Timestamp,
    noted: HashSet<SecretId>,
}

impl Default for Uses {
    fn default() -> Self {
        Self(Mutex::new(Window { started: Timestamp::from_unix_millis(0), noted: HashSet::new() }))
    }
}

impl Uses {
    /// Whether it is the first use in the window.
    fn is_first(&self, secret: &SecretId, now: Timestamp) -> bool {
        let mut window = self.0.lock();
        if now.since(window.started) >= WINDOW {
            *window = Window { started: now, noted: HashSet::new() };
        }
        window.noted.insert(secret.clone())
    }
}

impl Issuer {
    /// Notes that a secret was used. Nobody waits for it: what is not written now is by the next use.
    pub(crate) fn note_use(&self, context: &RequestContext, headers: &HeaderMap, client: AuthenticatedClient) {
        // The use of a key was recorded with its assertion.
        if client.secret().is_some_and(|secret| self.uses.is_first(secret, context.now)) {
            let last = LastUse { at: context.now, from: Some(context.peer), agent: agent(headers) };
            drop(self.store.note_use(SecretUse { client, last }));
        }
    }
}

#[cfg(test)]
mod tests;
