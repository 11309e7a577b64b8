//! What is kept for each client that calls: its windows, its count, and its fields.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuuffy_domain::{Client, ClientSlot, LimitState, Permit, Plan, ScopeSet, Timestamp, Verdict};
use http::HeaderValue;
use parking_lot::{Mutex, RwLock};

/// The meters of an environment, by the client's slot.
#[derive(Debug, Default)]
pub struct Meters(RwLock<Vec<Option<Arc<Meter>>>>);

/// One client's meter.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) client_id: HeaderValue,
    /// The scopes of the token that was used last, as they are told to upstreams.
    scopes: Mutex<Option<(Arc<ScopeSet>, HeaderValue)>>,
    windows: Mutex<LimitState>,
    requests: AtomicU64,
}

impl Meters {
    pub(crate) fn of(&self, permit: &Permit) -> Arc<Meter> {
        let slot = permit.client().slot.0 as usize;
        if let Some(Some(meter)) = self.0.read().get(slot) {
            return Arc::clone(meter);
        }
        let mut meters = self.0.write();
        if meters.len() <= slot {
            meters.resize(slot + 1, None);
        }
        Arc::clone(meters[slot].get_or_insert_with(|| Arc::new(Meter::new(permit.client()))))
    }

    /// Requests let through for a client since the start.
    #[must_use]
    pub fn requests(&self, slot: ClientSlot) -> u64 {
        let meters = self.0.read();
        let meter = meters.get(slot.0 as usize).and_then(Option::as_ref);
        meter.map_or(0, |meter| meter.requests.load(Ordering::Relaxed))
    }
}

impl Meter {
    fn new(client: &Client) -> Self {
        Self {
            client_id: HeaderValue::from_str(client.id.as_str()).unwrap_or(HeaderValue::from_static("")),
            scopes: Mutex::default(),
            windows: Mutex::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// `X-Scopes` of a token.
    pub(crate) fn scopes(&self, scopes: &Arc<ScopeSet>) -> Option<HeaderValue> {
        let mut last = self.scopes.lock();
        if let Some((known, field)) = &*last
            && Arc::ptr_eq(known, scopes)
        {
            return Some(field.clone());
        }
        let field = HeaderValue::try_from(scopes.to_string()).ok()?;
        *last = Some((Arc::clone(scopes), field.clone()));
        Some(field)
    }

    /// Takes one request from the plan's windows, or from none; counts those let through.
    pub(crate) fn take(&self, plan: &Plan, now: Timestamp) -> Verdict {
        let verdict = self.windows.lock().take(plan, now);
        if verdict.wait.is_none() {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        verdict
    }
}
