//! The numbers of a server as OpenMetrics text. Labels are bounded: never a client, a path or a token.

use std::fmt;

use fuuffy_store::Store as _;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Environments;
use super::trails::Trails;

/// OpenMetrics 1.0.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, &'static str)>;
/// A route is named by its prefix, of which the configuration has only so many.
type RouteLabels = Vec<(&'static str, String)>;

/// Reads all counters and writes them down.
pub(super) fn text(environments: &Environments) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("fuuffy");
    let requests = Family::<Labels, Counter>::default();
    let observed = Family::<Labels, Counter>::default();
    let grants = Family::<Labels, Counter>::default();
    let tokens = Family::<Labels, Gauge>::default();
    let bytes = Family::<Labels, Gauge>::default();
    let dropped = Family::<Labels, Counter>::default();
    let lost = Family::<Labels, Counter>::default();
    let in_flight = Family::<RouteLabels, Gauge>::default();
    let in_flight_limit = Family::<RouteLabels, Gauge>::default();
    let shed = Family::<RouteLabels, Counter>::default();
    let access_lost = Family::<Labels, Counter>::default();
    let writable = Family::<Labels, Gauge>::default();
    let skew = Family::<Labels, Gauge>::default();
    let alerts = Family::<Labels, Counter>::default();
    let waiting = Family::<Labels, Gauge>::default();
    let dead = Family::<Labels, Gauge>::default();
    registry.register("requests", "Requests to the gateway by outcome", requests.clone());
    registry.register(
        "observed_refusals",
        "Requests that limits that are only observed would have refused",
        observed.clone(),
    );
    registry.register("route_in_flight", "Requests that wait for the head of an answer", in_flight.clone());
    registry.register(
        "route_in_flight_limit",
        "How many requests may wait for the head of an answer: fewer than configured while the API is slow because of them",
        in_flight_limit.clone(),
    );
    registry.register("route_shed", "Requests that were refused because too many waited already", shed.clone());
    registry.register("token_requests", "Token requests by outcome", grants.clone());
    registry.register("tokens", "Tokens in the index, those that expired lately included", tokens.clone());
    registry.register("token_index_bytes", "Bytes that the tokens take in the index", bytes.clone());
    registry.register("explanations_dropped", "Reasons of refusals that could not be kept", dropped.clone());
    registry.register("usage_lost", "Requests whose usage could not be kept", lost.clone());
    registry.register("alerts_delivered", "Attempts to deliver an alert by outcome", alerts.clone());
    registry.register("alerts_waiting", "Alerts that will be tried", waiting.clone());
    registry.register("alerts_dead", "Alerts that nobody took for a day", dead.clone());
    registry.register("access_log_lost", "Lines that the access log lost", access_lost.clone());
    registry.register("store_writable", "Whether the store can write", writable.clone());
    registry.register(
        "clock_ahead_milliseconds",
        "How far the machine's calendar is ahead of the server's clock",
        skew.clone(),
    );
    for environment in environments.iter() {
        let name = ("environment", environment.name.as_str());
        for (outcome, count) in environment.gateway.traffic().totals() {
            requests.get_or_create(&vec![name, ("outcome", outcome)]).inc_by(count);
        }
        observed.get_or_create(&vec![name]).inc_by(environment.gateway.observed());
        for standing in environment.gateway.standings() {
            let labels = vec![(name.0, name.1.to_owned()), ("route", standing.route)];
            in_flight.get_or_create(&labels).set(i64::from(standing.under_way));
            in_flight_limit.get_or_create(&labels).set(i64::from(standing.limit));
            shed.get_or_create(&labels).inc_by(standing.shed);
        }
        let outcome = environment.issuer.outcome();
        grants.get_or_create(&vec![name, ("outcome", "issued")]).inc_by(outcome.issued);
        grants.get_or_create(&vec![name, ("outcome", "refused")]).inc_by(outcome.refused);
        let index = environment.store.tokens();
        tokens.get_or_create(&vec![name]).set(gauge(index.len()));
        bytes.get_or_create(&vec![name]).set(gauge(index.memory_bytes()));
        dropped.get_or_create(&vec![name]).inc_by(environment.explanations.dropped());
        lost.get_or_create(&vec![name]).inc_by(environment.usage.lost());
        for (outcome, count) in environment.alerts.outcomes() {
            alerts.get_or_create(&vec![name, ("outcome", outcome)]).inc_by(count);
        }
        if let Some(log) = environment.trails.as_ref().and_then(Trails::access_log) {
            access_lost.get_or_create(&vec![name]).inc_by(log.dropped());
        }
        let standing = *environment.alerts.outbox.standing().borrow();
        waiting.get_or_create(&vec![name]).set(gauge(standing.waiting));
        dead.get_or_create(&vec![name]).set(gauge(standing.dead));
        writable.get_or_create(&vec![name]).set(i64::from(environment.store.is_writable()));
        skew.get_or_create(&vec![name]).set(environment.clock.wall_ahead_millis());
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
