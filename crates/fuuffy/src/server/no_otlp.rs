//! In place of `otlp.rs` where the program was built without it: there is no exporter, and no way to have one.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::bail;
use fuuffy_domain::EnvironmentName;
use fuuffy_gateway::Exchange;

use super::trails::SpanCounts;
use crate::config::OtlpConfig;

pub(super) struct Exporter(Infallible);

impl Exporter {
    pub(super) fn open(_: &OtlpConfig, _: EnvironmentName, _: Arc<SpanCounts>) -> anyhow::Result<Self> {
        bail!("telemetry.otlp: this fuuffy was built without the feature otlp")
    }

    pub(super) fn record(&self, _: &Exchange) -> u64 {
        match self.0 {}
    }

    pub(super) fn close(&self) {
        match self.0 {}
    }
}
