//! Who wants to know of each request of an environment when it is over: its access log. Where nobody does, no request
//! leaves a trail, and none pays for one.

use std::sync::Arc;

use fuuffy_domain::{EnvironmentName, RequestContext, TraceParent};
use fuuffy_gateway::{Exchange, OnEnd, Traced, Trail};
use http::Request;

use super::access_log::AccessLog;
use crate::config::EnvironmentConfig;

/// What writes down the requests of an environment.
#[derive(Clone)]
pub(super) struct Trails {
    access_log: Option<Arc<AccessLog>>,
    on_end: OnEnd,
}

impl Trails {
    /// Opens what an environment is configured to have; `None` where that is nothing.
    pub(super) fn open(settings: &EnvironmentConfig) -> anyhow::Result<Option<Self>> {
        let open = |target| AccessLog::open(target, settings.name).map(Arc::new);
        let access_log = settings.access_log.as_ref().map(open).transpose()?;
        if access_log.is_none() {
            return Ok(None);
        }
        let log = access_log.clone();
        let on_end = Arc::new(move |exchange| {
            if let Some(log) = &log {
                log.write(exchange);
            }
        });
        Ok(Some(Self { access_log, on_end }))
    }

    /// Begins the trail of a request. It goes with the request, as an extension of it.
    pub(super) fn begin<B>(
        &self,
        context: &RequestContext,
        request: &mut Request<B>,
        parent: Option<TraceParent>,
    ) -> Arc<Trail> {
        let mut exchange =
            Exchange::new(context, request.method().as_str(), request.uri().path()).by(request.headers());
        exchange.traced =
            parent.map(|TraceParent { trace, span, .. }| Traced { trace, parent: Some(span), spans: None });
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
    }

    /// Writes what waits. No request is under way any more.
    pub(super) async fn close(&self) {
        if let Some(log) = &self.access_log {
            log.close().await;
        }
    }
}
