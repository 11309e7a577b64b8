//! Drills: what comes of a request that meets one, and the resource by which a client sets, sees and ends
//! its own. There are no [`Drills`] to be given to it but in the testing environment.

use std::time::Duration;

use bytes::Bytes;
use fuuffy_domain::{Drill, DrillEffect, DrillFault, DrillKind, Drills, MetDrill, PendingDrill, RequestContext};
use fuuffy_protocol::{BodyShape, Refusal, RequestFault, TokenFault};
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Gateway;

/// Seconds that a caller is told to wait by a drill.
const RETRY: u64 = 1;

/// A drill as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    drill: String,
    requests: Option<u64>,
    delay_ms: Option<u64>,
}

/// The refusal that a drill ends a request with, if it does.
pub(crate) fn refusal(met: MetDrill) -> Option<Refusal> {
    match met.effect {
        DrillEffect::TokenExpired => Some(Refusal::InvalidToken(TokenFault::Expired)),
        DrillEffect::TokenRevoked => Some(Refusal::InvalidToken(TokenFault::Unknown)),
        DrillEffect::Limited => Some(Refusal::RateLimitExceeded(RETRY)),
        DrillEffect::UpstreamFailed => Some(Refusal::BadGateway),
        DrillEffect::Delayed(_) | DrillEffect::Spared => None,
    }
}

/// How late a drill has a request forwarded, if it does.
pub(crate) fn delay(met: MetDrill) -> Option<Duration> {
    match met.effect {
        DrillEffect::Delayed(delay) => Some(delay),
        _ => None,
    }
}

impl Gateway {
    /// Serves one request for the drills of the client whose token it bears. `body` is the whole body, or the
    /// refusal that reading it met. No drill is met here, so that each can be seen and ended.
    pub fn drill(
        &self,
        drills: &Drills,
        context: &RequestContext,
        parts: &Parts,
        body: Result<Bytes, Refusal>,
    ) -> Response<Bytes> {
        match self.decide(drills, context, parts, body) {
            Ok(pending) => answer(pending.as_ref()),
            Err(refusal) => {
                tracing::debug!(request_id = %context.id, code = refusal.code(), "A request about drills was refused");
                self.note_refused(context, parts, &refusal);
                refusal.to_response(BodyShape::Guide)
            }
        }
    }

    fn decide(
        &self,
        drills: &Drills,
        context: &RequestContext,
        parts: &Parts,
        body: Result<Bytes, Refusal>,
    ) -> Result<Option<PendingDrill>, Refusal> {
        if !matches!(parts.method, Method::GET | Method::PUT | Method::DELETE) {
            return Err(Refusal::MethodNotAllowed("GET, PUT, DELETE"));
        }
        let Parts { method, uri, headers, extensions, .. } = parts;
        let caller = self.caller(context, (method, uri.path()), (headers, extensions))?;
        let client = caller.token.client().slot;
        let body = body?;
        match parts.method {
            Method::PUT => {
                let pending = drills.set(client, read(&body)?, context.now);
                pending.map(Some).map_err(|full| Refusal::ServiceUnavailable(full.wait.as_secs() + 1))
            }
            Method::DELETE => {
                drills.end(client, context.now);
                Ok(None)
            }
            _ => Ok(drills.pending(client, context.now)),
        }
    }
}

fn read(body: &[u8]) -> Result<Drill, Refusal> {
    let malformed = Refusal::InvalidRequest(RequestFault::MalformedDrill);
    // serde would take a list of the members' values too.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(malformed);
    }
    let Asked { drill, requests, delay_ms } = serde_json::from_slice(body).map_err(|_| malformed)?;
    let kind = DrillKind::find(&drill).ok_or(Refusal::InvalidRequest(RequestFault::UnknownDrill))?;
    Drill::new(kind, requests, delay_ms.map(Duration::from_millis)).map_err(|fault| {
        Refusal::InvalidRequest(match fault {
            DrillFault::Requests => RequestFault::DrillRequests,
            DrillFault::Delay => RequestFault::DrillDelay,
        })
    })
}

fn answer(pending: Option<&PendingDrill>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(json!({ "data": pending.map(shown) }).to_string()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn shown(pending: &PendingDrill) -> Value {
    let mut shown = json!({"drill": pending.kind().as_str(), "requests_left": pending.requests_left()});
    if let Some(delay) = pending.delay() {
        shown["delay_ms"] = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).into();
    }
    shown["lapses_at"] = pending.lapses_at().to_string().into();
    shown
}
