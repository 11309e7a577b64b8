//! One gate for all callers of an endpoint: closed while the server asks for patience.
//!
//! A 429 closes the gate of the whole API, because limits are a client's; a 503 only that of the first
//! segment of the path, because what is behind it may be down alone.

use std::collections::HashMap;
use std::time::Duration;

use http::StatusCode;

use super::Escalation;

/// Endpoints that are remembered as unavailable at once.
const ENDPOINTS: usize = 256;
/// The most that waiting callers are spread by.
const SPREAD: Duration = Duration::from_secs(1);

/// The gates of one API.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    limited: Gate,
    unavailable: HashMap<String, Gate>,
}

/// Which gate a refusal closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// 429: all of the API.
    Limited,
    /// 503: one endpoint.
    Unavailable,
}

#[derive(Debug)]
struct Gate {
    open_at: Duration,
    closed_at: Duration,
    escalation: Escalation,
}

impl Default for Gate {
    fn default() -> Self {
        let escalation = Escalation::new(Duration::from_millis(250), Duration::from_secs(30));
        Self { open_at: Duration::ZERO, closed_at: Duration::ZERO, escalation }
    }
}

impl Gates {
    /// How long a request to a path must wait, if it must. `chance` spreads those that wait together.
    pub(crate) fn wait(&self, path: &str, now: Duration, chance: f64) -> Option<Duration> {
        let endpoint = self.unavailable.get(endpoint(path)).map_or(Duration::ZERO, |gate| gate.open_at);
        let wait = self.limited.open_at.max(endpoint).checked_sub(now).filter(|wait| !wait.is_zero())?;
        Some(wait + (wait.mul_f64(0.1)).min(SPREAD).mul_f64(chance))
    }

    /// By which status the gate that callers wait at was closed.
    pub(crate) fn closed_by(&self, now: Duration) -> StatusCode {
        if self.limited.open_at > now { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::SERVICE_UNAVAILABLE }
    }

    /// A request that was sent at `sent_at` was refused: the gate is closed for as long as the server
    /// says, or by back-off. Requests that were under way together count as one failure.
    pub(crate) fn refused(
        &mut self,
        hold: Hold,
        path: &str,
        (sent_at, now): (Duration, Duration),
        retry_after: Option<Duration>,
        chance: u64,
    ) {
        let gate = match hold {
            Hold::Limited => &mut self.limited,
            Hold::Unavailable => {
                let endpoint = endpoint(path);
                if self.unavailable.len() >= ENDPOINTS && !self.unavailable.contains_key(endpoint) {
                    self.unavailable.retain(|_, gate| gate.open_at > now);
                }
                if self.unavailable.len() >= ENDPOINTS {
                    return;
                }
                self.unavailable.entry(endpoint.to_owned()).or_default()
            }
        };
        let is_news = gate.closed_at == Duration::ZERO || sent_at >= gate.closed_at;
        let wait = match retry_after {
            Some(told) => told,
            None if is_news => gate.escalation.fail(chance),
            None => return,
        };
        gate.closed_at = now;
        gate.open_at = gate.open_at.max(now + wait);
    }

    /// A request that was sent at `sent_at` went through. One that was under way when a gate was closed says
    /// nothing of how it will be after.
    pub(crate) fn passed(&mut self, path: &str, sent_at: Duration) {
        if self.limited.open_at <= sent_at {
            self.limited.escalation.succeed();
        }
        if !self.unavailable.is_empty() {
            let endpoint = endpoint(path);
            if self.unavailable.get(endpoint).is_some_and(|gate| gate.open_at <= sent_at) {
                self.unavailable.remove(endpoint);
            }
        }
    }
}

/// The first segment of a path below the base URL.
fn endpoint(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}
