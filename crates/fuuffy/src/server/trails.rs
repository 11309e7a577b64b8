//! Who wants to know of each request of an environment when it is over: its access log, and a collector of spans. Where
//! nobody does, no request leaves a trail, and none pays for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fuuffy_domain::{EnvironmentName, RequestContext, SpanId, TraceId, TraceParent};
use fuuffy_gateway::{Exchange, OnEnd, Spans, Traced, Trail, set_trace};
use http::Request;

use super::access_log::AccessLog;
use super::otlp::Exporter;
use crate::config::{EnvironmentConfig, OtlpConfig};

/// Random bytes for the ids of a trace and of two spans.
pub(super) const RANDOM: usize = 32;

/// What writes down the requests of an environment.
#[derive(Clone)]
pub(super) struct Trails {
    access_log: Option<Arc<AccessLog>>,
    collector: Option<Arc<Collector>>,
    on_end: OnEnd,
}

/// Where spans go, and which are recorded.
struct Collector {
    exporter: Exporter,
    /// Of so many traces that begin here one is recorded.
    one_in: u64,
    counts: Arc<SpanCounts>,
}

/// What became of spans, since the start.
#[derive(Debug, Default)]
pub(super) struct SpanCounts {
    pub(super) recorded: AtomicU64,
    pub(super) exported: AtomicU64,
    pub(super) failed: AtomicU64,
    /// How many failed ones the log was told of.
    told: AtomicU64,
}

impl Trails {
    /// Opens what an environment is configured to have; `None` where that is nothing.
    pub(super) fn open(settings: &EnvironmentConfig, otlp: Option<&OtlpConfig>) -> anyhow::Result<Option<Self>> {
        let open = |target| AccessLog::open(target, settings.name).map(Arc::new);
        let access_log = settings.access_log.as_ref().map(open).transpose()?;
        let collector = otlp.map(|otlp| Collector::open(otlp, settings.name).map(Arc::new)).transpose()?;
        if access_log.is_none() && collector.is_none() {
            return Ok(None);
        }
        let (log, spans) = (access_log.clone(), collector.clone());
        let on_end = Arc::new(move |exchange| {
            if let Some(spans) = &spans {
                spans.record(&exchange);
            }
            if let Some(log) = &log {
                log.write(exchange);
            }
        });
        Ok(Some(Self { access_log, collector, on_end }))
    }

    /// Begins the trail of a request, which goes with it as an extension. Where its spans are recorded the upstream is
    /// told so, by `traceparent`. `random` is asked only where ids are needed.
    pub(super) fn begin<B>(
        &self,
        context: &RequestContext,
        request: &mut Request<B>,
        parent: Option<TraceParent>,
        random: impl FnOnce() -> [u8; RANDOM],
    ) -> Arc<Trail> {
        let mut exchange =
            Exchange::new(context, request.method().as_str(), request.uri().path()).by(request.headers());
        exchange.traced = match &self.collector {
            Some(collector) => collector.place(parent, random).map(|(traced, ours)| {
                if let Some(ours) = ours {
                    set_trace(request.headers_mut(), ours);
                }
                traced
            }),
            None => parent.map(unrecorded),
        };
        let trail = Trail::new(exchange, &self.on_end);
        request.extensions_mut().insert(Arc::clone(&trail));
        trail
    }

    /// Notes what never became a request.
    pub(super) fn note(&self, exchange: Exchange) {
        (self.on_end)(exchange);
    }

    /// The access log, if there is one.
    pub(super) fn access_log(&self) -> Option<&Arc<AccessLog>> {
        self.access_log.as_ref()
    }

    /// What became of spans, if there are any.
    pub(super) fn spans(&self) -> Option<[(&'static str, u64); 3]> {
        let SpanCounts { recorded, exported, failed, .. } = &*self.collector.as_ref()?.counts;
        let read = |(name, count): (&'static str, &AtomicU64)| (name, count.load(Ordering::Relaxed));
        Some([("recorded", recorded), ("exported", exported), ("failed", failed)].map(read))
    }

    /// Opens files anew.
    pub(super) fn reopen(&self) {
        if let Some(log) = &self.access_log {
            log.reopen();
        }
    }

    /// Says what was lost in the last minute.
    pub(super) fn each_minute(&self, environment: EnvironmentName) {
        if let Some(log) = &self.access_log {
            log.tell_dropped(environment);
        }
        if let Some(Collector { counts, .. }) = self.collector.as_deref() {
            let failed = counts.failed.load(Ordering::Relaxed);
            let spans = failed - counts.told.swap(failed, Ordering::Relaxed);
            if spans > 0 {
                tracing::warn!(%environment, spans, "The collector did not take spans; look whether telemetry.otlp.endpoint answers");
            }
        }
    }

    /// Writes and sends what waits. No request is under way any more.
    pub(super) async fn close(&self) {
        if let Some(log) = &self.access_log {
            log.close().await;
        }
        if let Some(collector) = self.collector.clone() {
            // Its thread may wait for the network.
            let _ = tokio::task::spawn_blocking(move || collector.exporter.close()).await;
        }
    }
}

impl Collector {
    fn open(otlp: &OtlpConfig, environment: EnvironmentName) -> anyhow::Result<Self> {
        let counts = Arc::new(SpanCounts::default());
        let exporter = Exporter::open(otlp, environment, Arc::clone(&counts))?;
        Ok(Self { exporter, one_in: u64::from(otlp.one_in), counts })
    }

    fn record(&self, exchange: &Exchange) {
        let spans = self.exporter.record(exchange);
        self.counts.recorded.fetch_add(spans, Ordering::Relaxed);
    }

    /// Where a request is in a trace, and what the upstream is told of it where that is not what the caller said: who
    /// has begun a trace decides whether it is recorded. `None` where an id would be nothing but zeros.
    fn place(
        &self,
        parent: Option<TraceParent>,
        random: impl FnOnce() -> [u8; RANDOM],
    ) -> Option<(Traced, Option<TraceParent>)> {
        if let Some(parent) = parent.filter(|parent| !parent.is_sampled()) {
            return Some((unrecorded(parent), None));
        }
        let random = random();
        let (trace, server, client) = ids(&random)?;
        let trace = parent.map_or(trace, |parent| parent.trace);
        let chance = u64::from_be_bytes(*random.last_chunk()?);
        let is_recorded = parent.is_some() || chance % self.one_in == 0;
        let flags = if is_recorded { TraceParent::SAMPLED } else { 0 };
        let spans = is_recorded.then_some(Spans { server, client });
        let traced = Traced { trace, parent: parent.map(|parent| parent.span), spans };
        Some((traced, Some(TraceParent { trace, span: client, flags })))
    }
}

/// A trace that is somebody else's alone.
fn unrecorded(TraceParent { trace, span, .. }: TraceParent) -> Traced {
    Traced { trace, parent: Some(span), spans: None }
}

fn ids(random: &[u8; RANDOM]) -> Option<(TraceId, SpanId, SpanId)> {
    let (trace, rest) = random.split_first_chunk()?;
    let (server, rest) = rest.split_first_chunk()?;
    Some((TraceId::new(*trace)?, SpanId::new(*server)?, SpanId::new(*rest.first_chunk()?)?))
}
