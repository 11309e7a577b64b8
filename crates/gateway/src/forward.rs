//! From a request that may be forwarded to the head of its answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{Reason, UpstreamProblem};
use fuuffy_protocol::Refusal;
use http::header;
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use crate::body::{CallerBody, ResponseBody};
use crate::fields::{self, Assertion};
use crate::findings::Findings;
use crate::proxy::{Admitted, Passage};
use crate::reason;
use crate::snapshot::{RouteSettings, UpstreamProtocol};
use crate::tunnel::{self, Tunnel};
use crate::upstream::{ConnectFailure, Lease, Pool, RoutePools};

/// An answer whose head has come.
struct Answer {
    response: Response<Incoming>,
    lease: Lease,
}

/// Sends a request, and once more where that is safe: nothing of it was sent, or it is idempotent,
/// without a body, and the connection died before an answer.
pub(crate) async fn forward(
    admitted: Admitted<'_>,
    pools: &RoutePools,
    findings: &mut Findings,
) -> Result<Response<ResponseBody>, Refusal> {
    let Admitted { settings, assertion, request: mut prepared } = admitted;
    let Assertion { permit, context, .. } = &assertion;
    let route = permit.route().index;
    let mut tried: Option<Arc<Pool>> = None;
    let mut request = prepared.request;
    let method = request.method().clone();
    let mut note = |reason| findings.note(Some(&permit.client().id), (&method, permit.route().prefix()), reason);
    loop {
        let other = tried.as_ref().and_then(|tried| pools.choose(route, Some(tried)));
        let Some(pool) = other.or_else(|| pools.choose(route, None)) else {
            note(reason::upstream("", UpstreamProblem::Missing));
            return Err(Refusal::BadGateway);
        };
        let is_first = tried.replace(Arc::clone(&pool)).is_none();
        let failed = |what: &'static str| {
            tracing::warn!(request_id = %context.id, upstream = pool.authority, route = permit.route().prefix(), "{what}");
        };
        let mut lease = match pool.lease().await {
            Ok(lease) => lease,
            Err(failure) => {
                pool.note_failure();
                failed("No connection to the upstream");
                if is_first {
                    continue;
                }
                let (problem, refusal) = match failure {
                    ConnectFailure::Refused => (UpstreamProblem::Refused, Refusal::BadGateway),
                    ConnectFailure::TimedOut => (UpstreamProblem::ConnectTimedOut, Refusal::GatewayTimeout),
                };
                note(reason::upstream(&pool.authority, problem));
                return Err(refusal);
            }
        };
        let was_reused = lease.is_reused();
        address(&mut request, lease.pool());
        let Some(answer) = lease.send(request) else {
            note(reason::upstream(&pool.authority, UpstreamProblem::BrokeOff));
            return Err(Refusal::BadGateway);
        };
        let answer = lease.watch().within(settings.response_timeout, &prepared.fate, pin!(answer)).await;
        let mut failure = match answer {
            Ok(Ok(response)) => {
                pool.note_success();
                return respond(Answer { response, lease }, settings, prepared.upgrade, prepared.passage)
                    .inspect_err(|_| note(reason::upstream(&pool.authority, UpstreamProblem::Unreadable)));
            }
            Ok(Err(failure)) => failure,
            Err(_) => {
                if let Some(refusal) = prepared.fate.refusal() {
                    note(Reason::Told);
                    return Err(refusal);
                }
                pool.note_failure();
                note(reason::upstream(&pool.authority, UpstreamProblem::AnswerTimedOut));
                failed("The upstream did not answer in time");
                return Err(Refusal::GatewayTimeout);
            }
        };
        if let Some(refusal) = prepared.fate.refusal() {
            note(Reason::Told);
            return Err(refusal);
        }
        // What comes back was never sent; what does not may have been seen.
        let again = match failure.take_message() {
            Some(unsent) => Some(unsent),
            None if was_reused => prepared.again.take().map(|again| again.assert(&assertion, CallerBody::empty())),
            None => None,
        };
        match again {
            Some(again) if is_first => request = again,
            _ => {
                pool.note_failure();
                let error = failure.into_error();
                note(reason::upstream(&pool.authority, UpstreamProblem::BrokeOff));
                tracing::warn!(request_id = %context.id, upstream = pool.authority, %error, "The upstream broke off");
                return Err(Refusal::BadGateway);
            }
        }
    }
}

/// Forwards after the delay that a drill asks for.
pub(crate) async fn forward_late(
    delay: Duration,
    admitted: Admitted<'_>,
    pools: &RoutePools,
    findings: &mut Findings,
) -> Result<Response<ResponseBody>, Refusal> {
    tokio::time::sleep(delay).await;
    forward(admitted, pools, findings).await
}

/// Addresses a request to one upstream, in the version that it speaks.
fn address(request: &mut Request<CallerBody>, pool: &Pool) {
    match pool.protocol {
        UpstreamProtocol::Http1 => {
            *request.version_mut() = Version::HTTP_11;
            if request.uri().authority().is_some()
                && let Some(target) = request.uri().path_and_query().cloned()
            {
                *request.uri_mut() = Uri::from(target);
            }
            request.headers_mut().insert(header::HOST, pool.host.clone());
        }
        UpstreamProtocol::Http2 => {
            *request.version_mut() = Version::HTTP_2;
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
            let uri = Uri::builder().scheme("http").authority(pool.authority.as_str()).path_and_query(target).build();
            if let Ok(uri) = uri {
                *request.uri_mut() = uri;
            }
            request.headers_mut().remove(header::HOST);
        }
    }
}

/// Passes an upstream's answer on as it is, but for the fields of one hop.
fn respond(
    answer: Answer,
    settings: &RouteSettings,
    upgrade: Option<OnUpgrade>,
    passage: Passage,
) -> Result<Response<ResponseBody>, Refusal> {
    let Answer { mut response, lease } = answer;
    *response.version_mut() = Version::HTTP_11;
    let headers = response.headers_mut();
    if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
        // Two lengths: nobody can say which of them the body will keep.
        return Err(Refusal::BadGateway);
    }
    fields::remove_hop_by_hop(headers);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response.map(|body| ResponseBody::streamed(body, settings.body_timeout, lease, passage)));
    }
    // An upstream that changes the protocol though nobody asked is broken.
    let caller = upgrade.ok_or(Refusal::BadGateway)?;
    let upstream = hyper::upgrade::on(&mut response);
    tunnel::announce(response.headers_mut());
    response.extensions_mut().insert(Tunnel { caller, upstream, passage: Arc::new(passage) });
    Ok(response.map(|_| ResponseBody::Whole(None)))
}
