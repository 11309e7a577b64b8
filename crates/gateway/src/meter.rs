//! What is kept for each client that calls: its windows, its usage, and its fields.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fuuffy_domain::{Client, ClientTally, LimitState, Limits, Plan, Tally, Timestamp, Verdict};
use parking_lot::{Mutex, RwLock};

use crate::snapshot::PlanFields;

/// The meters of an environment, by the client's slot.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    by_slot: RwLock<Vec<Option<Arc<Meter>>>>,
    pub(crate) tally: Arc<Tally>,
}

/// One client's meter.
#[derive(Debug)]
pub(crate) struct Meter {
    windows: Mutex<LimitState>,
    under_way: AtomicU32,
    rare: Mutex<Option<Box<Rare>>>,
    /// What it uses.
    pub(crate) tally: Arc<ClientTally>,
}

/// What most clients have nothing of.
#[derive(Debug, Default)]
struct Rare {
    /// Windows that refuse nothing, of a plan that has any.
    observed: LimitState,
    /// The plan that its own limits make, if it has any.
    own: Option<Arc<PlanFields>>,
}

impl Meters {
    pub(crate) fn counting_in(tally: Arc<Tally>) -> Self {
        Self { by_slot: RwLock::default(), tally }
    }

    pub(crate) fn of(&self, client: &Client) -> Arc<Meter> {
        let slot = client.slot.0 as usize;
        if let Some(Some(meter)) = self.by_slot.read().get(slot) {
            return Arc::clone(meter);
        }
        let mut meters = self.by_slot.write();
        if meters.len() <= slot {
            meters.resize(slot + 1, None);
        }
        let new = || Arc::new(Meter::new(self.tally.of(client.slot)));
        Arc::clone(meters[slot].get_or_insert_with(new))
    }
}

impl Meter {
    fn new(tally: Arc<ClientTally>) -> Self {
        Self { windows: Mutex::default(), under_way: AtomicU32::new(0), rare: Mutex::default(), tally }
    }

    /// Counts a request as under way, unless as many are as there may be.
    pub(crate) fn begin(self: &Arc<Self>, most: u32) -> Option<UnderWay> {
        let more = |under_way: u32| (under_way < most).then_some(under_way + 1);
        self.under_way.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(UnderWay(Arc::clone(self)))
    }

    /// A plan with the client's own limits.
    pub(crate) fn own(&self, limits: &Limits) -> Arc<PlanFields> {
        let mut rare = self.rare.lock();
        let own = &mut rare.get_or_insert_default().own;
        if let Some(known) = own.as_ref().filter(|known| known.plan.limits == limits.as_slice()) {
            return Arc::clone(known);
        }
        let new = Arc::new(PlanFields::new(Plan::of(limits.as_slice().to_vec())));
        *own = Some(Arc::clone(&new));
        new
    }

    /// Whether the windows of a plan that is only observed would have refused a request.
    pub(crate) fn observe(&self, plan: &Plan, cost: u32, now: Timestamp) -> bool {
        self.rare.lock().get_or_insert_default().observed.take(plan, cost, now).wait.is_some()
    }

    /// Takes what a request costs from all of the plan's windows, or from none.
    pub(crate) fn take(&self, plan: &Plan, cost: u32, now: Timestamp) -> Verdict {
        self.windows.lock().take(plan, cost, now)
    }
}

/// A request that is under way, until this is dropped: with its answer's last byte, or however else it ends.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Meter>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}
