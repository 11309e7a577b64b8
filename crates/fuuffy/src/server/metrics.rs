//! The numbers of a server as OpenMetrics text, or as Prometheus wrote it before. Labels are bounded: never a client, a
//! path or a token. Names are Prometheus's: of base units, and `_total` for what only grows.

mod plain;
mod process;
mod routes;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use fuuffy_domain::{Clock as _, Timestamp};
use fuuffy_store::{Channel, Store as _};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::trails::Trails;
use super::{Environment, Environments};

pub(super) use plain::Format;

type Labels = Vec<(&'static str, &'static str)>;
/// A route is named by its prefix, of which the configuration has only so many.
type RouteLabels = Vec<(&'static str, String)>;
type Seconds = Gauge<f64, AtomicU64>;

/// Reads all numbers and writes them down.
pub(super) fn text(environments: &Environments, started: Timestamp, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("fuuffy");
    let build = Family::<Labels, Gauge>::default();
    build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
    registry.register("build_info", "Which release this is", build);
    let of_environments = OfEnvironments::registered(&mut registry);
    routes::register(&mut registry, environments);
    let certificates = Family::<Vec<(&'static str, String)>, Gauge>::default();
    let next_orders = Family::<Vec<(&'static str, String)>, Gauge>::default();
    let orders = Family::<Vec<(&'static str, String)>, Counter>::default();
    for certificate in environments.certificates() {
        let labels = vec![("listener", certificate.place.clone())];
        let shown = certificate.shown();
        if let Some(shown) = &shown {
            certificates.get_or_create(&labels).set(shown.ends_at.unix_seconds());
        }
        if let Some(ordering) = certificate.ordering() {
            next_orders.get_or_create(&labels).set(ordering.next_at(shown.as_deref()).unix_seconds());
            let (got, failed) = ordering.outcomes();
            for (outcome, count) in [("got", got), ("failed", failed)] {
                let labels = vec![labels[0].clone(), ("outcome", outcome.to_owned())];
                orders.get_or_create(&labels).inc_by(count);
            }
        }
    }
    registry.register(
        "certificate_expiry_timestamp_seconds",
        "When the certificate that a listener shows ends",
        certificates,
    );
    registry.register(
        "certificate_next_order_timestamp_seconds",
        "When the certificate of a listener that gets them by ACME is ordered next",
        next_orders,
    );
    registry.register("certificate_orders", "Orders of certificates by outcome", orders);
    for environment in environments.iter() {
        of_environments.read(environment);
    }
    let mut text = String::new();
    encode_registry(&mut text, &registry)?;
    encode_registry(&mut text, &process::registry(started))?;
    encode_eof(&mut text)?;
    Ok(format.of(text))
}

/// What every environment has.
#[derive(Default)]
struct OfEnvironments {
    connections: Family<Labels, Gauge>,
    requests: Family<Labels, Counter>,
    refusals: Family<Labels, Counter>,
    observed: Family<Labels, Counter>,
    grants: Family<Labels, Counter>,
    leaks: Family<Labels, Counter>,
    tokens: Family<Labels, Gauge>,
    bytes: Family<Labels, Gauge>,
    explanations_dropped: Family<Labels, Counter>,
    usage_lost: Family<Labels, Counter>,
    usage_lag: Family<Labels, Seconds>,
    access_lost: Family<Labels, Counter>,
    in_flight: Family<RouteLabels, Gauge>,
    in_flight_limit: Family<RouteLabels, Gauge>,
    shed: Family<RouteLabels, Counter>,
    spans: Family<Labels, Counter>,
    alerts: Family<Labels, Counter>,
    waiting: Family<Labels, Gauge>,
    oldest: Family<Labels, Seconds>,
    dead: Family<Labels, Gauge>,
    writable: Family<Labels, Gauge>,
    full: Family<Labels, Gauge>,
    skew: Family<Labels, Seconds>,
}

impl OfEnvironments {
    fn registered(registry: &mut Registry) -> Self {
        let all = Self::default();
        let counters = [
            ("requests", "Requests to the gateway by outcome", &all.requests),
            ("refusals", "Refusals by the code of the answer, and by what was asked for", &all.refusals),
            ("observed_refusals", "Requests that limits that are only observed would have refused", &all.observed),
            ("token_requests", "Token requests by outcome", &all.grants),
            ("leaks", "Secrets and tokens that were right and not where they belong, by what came of it", &all.leaks),
            ("explanations_dropped", "Reasons of refusals that could not be kept", &all.explanations_dropped),
            ("usage_lost", "Requests whose usage could not be kept", &all.usage_lost),
            ("access_log_lost", "Lines that the access log lost", &all.access_lost),
            (
                "spans",
                "Spans of requests that were recorded, that a collector took, and that it did not take",
                &all.spans,
            ),
            ("alerts_delivered", "Attempts to deliver an alert by outcome", &all.alerts),
        ];
        for (name, help, family) in counters {
            registry.register(name, help, family.clone());
        }
        let gauges = [
            ("connections", "Connections of callers that are open", &all.connections),
            ("tokens", "Tokens in the index, those that expired lately included", &all.tokens),
            ("token_index_bytes", "Bytes that the tokens take in the index", &all.bytes),
            ("alerts_waiting", "Alerts that will be tried", &all.waiting),
            ("alerts_dead", "Alerts that nobody took for a day", &all.dead),
            ("store_writable", "Whether the store can write", &all.writable),
            ("store_full", "Whether the disk of the store is full", &all.full),
        ];
        for (name, help, family) in gauges {
            registry.register(name, help, family.clone());
        }
        let seconds = [
            ("usage_lag_seconds", "How long ago usage was kept last", &all.usage_lag),
            ("alerts_oldest_waiting_seconds", "How long the oldest alert that waits has waited", &all.oldest),
            ("clock_ahead_seconds", "How far the machine's calendar is ahead of the server's clock", &all.skew),
        ];
        for (name, help, family) in seconds {
            registry.register(name, help, family.clone());
        }
        registry.register("route_in_flight", "Requests that wait for the head of an answer", all.in_flight.clone());
        registry.register(
            "route_in_flight_limit",
            "How many requests may wait for the head of an answer: fewer than configured while the API is slow because of them",
            all.in_flight_limit.clone(),
        );
        registry.register("route_shed", "Requests that were refused because too many waited already", all.shed.clone());
        all
    }

    fn read(&self, environment: &Environment) {
        let (name, now) = (("environment", environment.name.as_str()), environment.clock.now());
        let only = vec![name];
        self.connections.get_or_create(&only).set(gauge(environment.connections()));
        for (outcome, count) in environment.gateway.traffic().totals() {
            self.requests.get_or_create(&vec![name, ("outcome", outcome)]).inc_by(count);
        }
        for (asked, counts) in [("token", environment.issuer.refusals()), ("api", environment.gateway.refusals())] {
            for (code, count) in counts.totals() {
                self.refusals.get_or_create(&vec![name, ("asked", asked), ("code", code)]).inc_by(count);
            }
        }
        self.observed.get_or_create(&only).inc_by(environment.gateway.observed());
        for standing in environment.gateway.standings() {
            let labels = vec![(name.0, name.1.to_owned()), ("route", standing.route)];
            self.in_flight.get_or_create(&labels).set(i64::from(standing.under_way));
            self.in_flight_limit.get_or_create(&labels).set(i64::from(standing.limit));
            self.shed.get_or_create(&labels).inc_by(standing.shed);
        }
        let outcome = environment.issuer.outcome();
        self.grants.get_or_create(&vec![name, ("outcome", "issued")]).inc_by(outcome.issued);
        self.grants.get_or_create(&vec![name, ("outcome", "refused")]).inc_by(outcome.refused);
        for (kind, deed, count) in environment.leak_counts.totals() {
            self.leaks.get_or_create(&vec![name, ("kind", kind), ("deed", deed.name())]).inc_by(count);
        }
        let index = environment.store.tokens();
        self.tokens.get_or_create(&only).set(gauge(index.len()));
        self.bytes.get_or_create(&only).set(gauge(index.memory_bytes()));
        self.explanations_dropped.get_or_create(&only).inc_by(environment.explanations.dropped());
        self.usage_lost.get_or_create(&only).inc_by(environment.usage.lost());
        self.usage_lag.get_or_create(&only).set(environment.usage_lag(now).as_secs_f64());
        let access_log = environment.trails.as_ref().and_then(Trails::access_log);
        self.access_lost.get_or_create(&only).inc_by(access_log.map_or(0, |log| log.dropped()));
        for (outcome, count) in environment.trails.as_ref().and_then(Trails::spans).into_iter().flatten() {
            self.spans.get_or_create(&vec![name, ("outcome", outcome)]).inc_by(count);
        }
        for (channel, outcome, count) in environment.alerts.outcomes() {
            self.alerts.get_or_create(&vec![name, ("channel", channel.as_str()), ("outcome", outcome)]).inc_by(count);
        }
        let standings = *environment.alerts.outbox.standing().borrow();
        for channel in Channel::ALL {
            let (standing, labels) = (standings.of(channel), vec![name, ("channel", channel.as_str())]);
            self.waiting.get_or_create(&labels).set(gauge(standing.waiting));
            let oldest = standing.oldest.map_or(Duration::ZERO, |since| now.since(since));
            self.oldest.get_or_create(&labels).set(oldest.as_secs_f64());
            self.dead.get_or_create(&labels).set(gauge(standing.dead));
        }
        self.writable.get_or_create(&only).set(i64::from(environment.store.is_writable()));
        self.full.get_or_create(&only).set(i64::from(environment.store.is_full()));
        self.skew.get_or_create(&only).set(seconds(environment.clock.wall_ahead_millis()));
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a clock that is wrong by centuries is wrong enough")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}
