//! Spans of requests, for a collector: one for each request that is recorded, and one beneath it for the upstream's
//! part. Sent by OTLP over HTTP from a thread of its own, out of a bounded queue: a collector that hangs costs nobody
//! anything but its spans.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use fuuffy_domain::{EnvironmentName, SpanId};
use fuuffy_gateway::{Exchange, Spans as OurSpans, Traced};
use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanExporter, SpanLinks, SpanProcessor,
};

use super::trails::SpanCounts;
use crate::config::OtlpConfig;

/// Spans that wait to be sent at most, and that are sent at once.
const QUEUE: (usize, usize) = (4096, 512);
/// How long they wait at most for others to be sent with.
const DELAY: Duration = Duration::from_secs(2);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest file of header fields, in bytes.
const LARGEST: u64 = 16 * 1024;

/// What sends the spans of one environment.
pub(super) struct Exporter {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
}

/// Counts what becomes of spans.
#[derive(Debug)]
struct Counting<E> {
    inner: E,
    counts: Arc<SpanCounts>,
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let outcome = self.inner.export(batch).await;
        let place: &AtomicU64 = if outcome.is_ok() { &self.counts.exported } else { &self.counts.failed };
        place.fetch_add(count, Ordering::Relaxed);
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl Exporter {
    /// Starts sending.
    pub(super) fn open(
        config: &OtlpConfig,
        environment: EnvironmentName,
        counts: Arc<SpanCounts>,
    ) -> anyhow::Result<Self> {
        let headers = config.headers_file.as_deref().map(read_headers).transpose()?.unwrap_or_default();
        let inner = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&config.endpoint)
            .with_timeout(PATIENCE)
            .with_headers(headers)
            .build()
            .context("telemetry.otlp")?;
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE.0)
            .with_max_export_batch_size(QUEUE.1)
            .with_scheduled_delay(DELAY)
            .build();
        let mut processor = BatchSpanProcessor::builder(Counting { inner, counts }).with_batch_config(batch).build();
        let of = [
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("deployment.environment.name", environment.as_str()),
        ];
        processor.set_resource(&Resource::builder_empty().with_service_name("fuuffy").with_attributes(of).build());
        let scope = InstrumentationScope::builder("fuuffy").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self { processor, scope })
    }

    /// Has the spans of an exchange sent, where they are recorded. Answers how many there are.
    pub(super) fn record(&self, exchange: &Exchange) -> u64 {
        let Some(Traced { trace, parent, spans: Some(OurSpans { server, client }) }) = exchange.traced else {
            return 0;
        };
        let span = |id, parent: Option<SpanId>, kind, (from, to): (Duration, Duration), attributes| {
            let began = SystemTime::UNIX_EPOCH
                + Duration::from_millis(u64::try_from(exchange.context.now.unix_millis()).unwrap_or(0));
            SpanData {
                span_context: SpanContext::new(
                    opentelemetry::TraceId::from_bytes(trace.bytes()),
                    opentelemetry::SpanId::from_bytes(SpanId::bytes(id)),
                    TraceFlags::SAMPLED,
                    false,
                    TraceState::NONE,
                ),
                parent_span_id: parent
                    .map_or(opentelemetry::SpanId::INVALID, |id| opentelemetry::SpanId::from_bytes(id.bytes())),
                parent_span_is_remote: kind == SpanKind::Server && parent.is_some(),
                name: name_of(exchange).into(),
                span_kind: kind,
                start_time: began + from,
                end_time: began + to,
                attributes,
                dropped_attributes_count: 0,
                events: SpanEvents::default(),
                links: SpanLinks::default(),
                status: status_of(exchange),
                instrumentation_scope: self.scope.clone(),
            }
        };
        self.processor.on_end(span(server, parent, SpanKind::Server, (Duration::ZERO, exchange.took), told(exchange)));
        let Some(part) = exchange.upstream else {
            return 1;
        };
        let mut attributes = vec![KeyValue::new("http.request.method", method_of(exchange))];
        attributes.extend(exchange.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))));
        self.processor.on_end(span(client, Some(server), SpanKind::Client, part, attributes));
        2
    }

    /// Sends what waits, for as long as that may take.
    pub(super) fn close(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(PATIENCE) {
            tracing::warn!(%error, "The last spans could not be sent");
        }
    }
}

/// By method and route, of which there are few.
fn name_of(exchange: &Exchange) -> String {
    match &exchange.route {
        Some(route) => format!("{} {route}", method_of(exchange)),
        None => method_of(exchange).to_owned(),
    }
}

/// The methods that there are; whatever else is asked is called as the conventions say.
fn method_of(exchange: &Exchange) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    known.into_iter().find(|known| *known == exchange.method).unwrap_or("_OTHER")
}

fn status_of(exchange: &Exchange) -> Status {
    match exchange.status {
        Some(status) if status < 500 => Status::Unset,
        _ => Status::error(""),
    }
}

/// What is told of a request, by the names of the conventions for HTTP spans; no field, no query and no body.
fn told(exchange: &Exchange) -> Vec<KeyValue> {
    let mut told = vec![
        KeyValue::new("http.request.method", method_of(exchange)),
        KeyValue::new("url.path", exchange.path.clone()),
        KeyValue::new("client.address", exchange.context.peer.to_string()),
        KeyValue::new("fuuffy.request_id", exchange.context.id.to_string()),
        KeyValue::new("http.request.body.size", i64::try_from(exchange.bytes_in).unwrap_or(i64::MAX)),
        KeyValue::new("http.response.body.size", i64::try_from(exchange.bytes_out).unwrap_or(i64::MAX)),
    ];
    let text = |name: &'static str, value: Option<String>| value.map(|value| KeyValue::new(name, value));
    told.extend(text("http.route", exchange.route.clone()));
    told.extend(text("user_agent.original", exchange.agent.clone()));
    told.extend(text("fuuffy.client_id", exchange.client.as_ref().map(ToString::to_string)));
    told.extend(text("error.type", exchange.code.map(str::to_owned)));
    told.extend(exchange.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))));
    told
}

/// Header fields for the collector, one a line as `name: value`.
fn read_headers(path: &Path) -> anyhow::Result<HashMap<String, String>> {
    let place = format!("telemetry.otlp.headers_file: {}", path.display());
    let file = File::open(path).with_context(|| format!("{place} cannot be opened"))?;
    ensure!(file.metadata()?.mode() & 0o077 == 0, "{place} can be read by others; make it private with chmod 600");
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).with_context(|| format!("{place} cannot be read"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate();
    lines
        .map(|(number, line)| {
            let field = line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
            field.with_context(|| format!("{place}: field {} is not of the form name: value", number + 1))
        })
        .collect()
}
