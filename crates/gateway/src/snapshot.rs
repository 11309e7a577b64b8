//! What a reload replaces as a whole: routes, upstreams and plans.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{Plan, PlanName, Route, RouteFault, RouteTable};
use http::HeaderValue;
use thiserror::Error;

use crate::overload::RouteLoad;
use crate::times::RouteTimes;

/// The configuration that requests are judged by. Immutable; a reload puts another in its place.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) table: RouteTable,
    pub(crate) routes: Vec<RouteSettings>,
    /// How each route stands.
    pub(crate) loads: Vec<Arc<RouteLoad>>,
    pub(crate) times: Vec<Arc<RouteTimes>>,
    pub(crate) plans: BTreeMap<PlanName, PlanFields>,
    pub(crate) fallback: PlanFields,
}

/// A plan, and the field that tells callers of it.
#[derive(Debug)]
pub(crate) struct PlanFields {
    pub(crate) plan: Plan,
    /// Its windows that refuse nothing, if it has any.
    pub(crate) observed: Option<Plan>,
    pub(crate) policy: Option<HeaderValue>,
}

/// How requests on a route are forwarded.
#[derive(Debug, Clone)]
pub struct RouteSettings {
    /// The prefix and scopes.
    pub route: Route,
    /// Where to; at least one.
    pub upstreams: Vec<Upstream>,
    /// Spoken to all of them.
    pub protocol: UpstreamProtocol,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for the head of an answer.
    pub response_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// The longest pause within a body, either way.
    pub body_timeout: Duration,
    /// Whether `Upgrade: websocket` passes.
    pub websocket: bool,
    /// What a request takes from the windows of its client's plan.
    pub cost: u32,
    /// The largest request body in bytes.
    pub max_body: u64,
    /// Requests that wait for the head of an answer at a time, at most.
    pub in_flight: u32,
    /// Whether fewer do where answers become slow because there are too many.
    pub adapts: bool,
}

/// One server of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// `host:port`
    pub authority: String,
}

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2 by prior knowledge
    Http2,
}

/// Settings that make no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotFault {
    /// A route at fault.
    #[error("route {0}: {1}")]
    Route(usize, RouteFault),
    /// A route with nowhere to go.
    #[error("route {0} has no upstream")]
    NoUpstream(usize),
}

impl Snapshot {
    /// Makes a snapshot.
    ///
    /// # Errors
    /// [`SnapshotFault`]
    pub fn new(routes: Vec<RouteSettings>, plans: BTreeMap<PlanName, Plan>) -> Result<Self, SnapshotFault> {
        if let Some(index) = routes.iter().position(|settings| settings.upstreams.is_empty()) {
            return Err(SnapshotFault::NoUpstream(index));
        }
        let table = RouteTable::new(routes.iter().map(|settings| settings.route.clone()).collect())
            .map_err(|(index, fault)| SnapshotFault::Route(index, fault))?;
        let plans = plans.into_iter().map(|(name, plan)| (name, PlanFields::new(plan))).collect();
        let load = |settings: &RouteSettings| Arc::new(RouteLoad::new(settings.in_flight, settings.adapts));
        let loads = routes.iter().map(load).collect();
        let times = routes.iter().map(|_| RouteTimes::new()).collect();
        Ok(Self { table, routes, loads, times, plans, fallback: PlanFields::new(Plan::standard()) })
    }

    /// Goes on from how the routes stood before, where they are the same to their load.
    pub(crate) fn go_on_from(&mut self, before: &Self) {
        for (settings, times) in self.routes.iter().zip(&mut self.times) {
            let is_same = |known: &RouteSettings| known.route.prefix == settings.route.prefix;
            if let Some(same) = before.routes.iter().position(is_same) {
                *times = Arc::clone(&before.times[same]);
            }
        }
        for (settings, load) in self.routes.iter().zip(&mut self.loads) {
            let is_same = |known: &RouteSettings| {
                known.route.prefix == settings.route.prefix
                    && known.upstreams == settings.upstreams
                    && (known.in_flight, known.adapts) == (settings.in_flight, settings.adapts)
            };
            if let Some(same) = before.routes.iter().position(is_same) {
                *load = Arc::clone(&before.loads[same]);
            }
        }
    }

    /// A client's plan. One whose plan is gone from the configuration is held to `standard`.
    pub(crate) fn plan(&self, name: &PlanName) -> &PlanFields {
        self.plans.get(name).unwrap_or(&self.fallback)
    }
}

impl PlanFields {
    pub(crate) fn new(plan: Plan) -> Self {
        let policy = crate::fields::policy_field(&plan);
        let observed = Some(Plan::of(plan.observe.clone())).filter(|observed| !observed.limits.is_empty());
        Self { plan, observed, policy }
    }
}
