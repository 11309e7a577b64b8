//! How long requests took, by route and class of answer.

use fuuffy_gateway::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::RouteLabels;
use crate::server::Environments;

/// Histograms that were read, under one name.
#[derive(Debug)]
struct Histograms {
    name: &'static str,
    help: &'static str,
    all: Vec<(RouteLabels, Histogram)>,
}

/// Registers the times of all routes.
pub(super) fn register(registry: &mut Registry, environments: &Environments) {
    let (mut requests, mut upstreams) = (Vec::new(), Vec::new());
    for environment in environments.iter() {
        for times in environment.gateway.times() {
            let labels = vec![("environment", environment.name.as_str().to_owned()), ("route", times.route)];
            for (class, histogram) in times.requests {
                let labels = [labels.clone(), vec![("status", class.to_owned())]].concat();
                requests.push((labels, histogram));
            }
            upstreams.push((labels, times.upstream));
        }
    }
    registry.register_collector(Box::new(Histograms {
        name: "request_duration_seconds",
        help: "From a request that its client may make to the head of the answer",
        all: requests,
    }));
    registry.register_collector(Box::new(Histograms {
        name: "upstream_duration_seconds",
        help: "From when the upstream was asked to the head of its answer, or until it was given up",
        all: upstreams,
    }));
}

impl Collector for Histograms {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if self.all.is_empty() {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(self.name, self.help, None, MetricType::Histogram)?;
        for (labels, Histogram { buckets, sum, count }) in &self.all {
            family.encode_family(labels)?.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)?;
        }
        Ok(())
    }
}
