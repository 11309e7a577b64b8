//! How often a client may ask why it was refused: each look-up reads the disk. In memory that is let go of once a
//! minute, and has at most one entry for each client.

use std::collections::HashMap;
use std::time::Duration;

use fuuffy_domain::{ClientId, Timestamp};
use parking_lot::Mutex;

/// Look-ups of one client in a window.
pub(crate) const MOST: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);

/// The look-ups of the window that is on, which is the same for all.
pub(crate) struct LookUps(Mutex<Window>);

struct Window {
    started: Timestamp,
    taken: HashMap<ClientId, u32>,
}

impl Default for LookUps {
    fn default() -> Self {
        Self(Mutex::new(Window { started: Timestamp::from_unix_millis(0), taken: HashMap::new() }))
    }
}

impl LookUps {
    /// Takes one.
    ///
    /// # Errors
    /// There are none left: seconds until there are.
    pub(crate) fn take(&self, client: &ClientId, now: Timestamp) -> Result<(), u64> {
        let mut window = self.0.lock();
        if now.since(window.started) >= WINDOW {
            *window = Window { started: now, taken: HashMap::new() };
        }
        let left = window.started.after(WINDOW).since(now);
        let taken = window.taken.entry(client.clone()).or_default();
        if *taken >= MOST {
            return Err(u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1));
        }
        *taken += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
