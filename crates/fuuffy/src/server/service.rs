//! One request, from its head to its answer: the stages that every request goes through, and the one
//! fork between the token service, the drills of the testing environment, and the gateway.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fuuffy_domain::{ClientSlot, Clock as _, Drills, Reason, Refused, RequestContext, Stage};
use fuuffy_gateway::{CallerFields, ResponseBody, Trail, Tunnel, trace_of};
use fuuffy_issuer::{Leak, OAuthEndpoint, SecretDeed};
use fuuffy_protocol::{BodyShape, Metadata, Refusal, RefusalCode, RequestFault};
use fuuffy_store::Store as _;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::Environment;
use super::busy::Busy;
use super::connection::Caller;
use super::reports::{self, Reports};
use super::{leaks, own, well_known};
use crate::config::EnvironmentConfig;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A year of nothing but HTTPS (RFC 6797 §6.1).
pub(super) const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// The largest body that is read whole, in bytes: a token request's, or a drill's.
const WHOLE_BODY: usize = 8 * 1024;

/// What a path leads to.
enum Endpoint<'a> {
    /// An endpoint of the token service.
    OAuth(OAuthEndpoint),
    /// A client's own secrets.
    Secrets(SecretDeed),
    /// What a client asks about itself.
    Own,
    /// What the environment tells of itself.
    Metadata,
    /// Reports of leaks, where they are taken.
    Reports(&'a Reports),
    /// A client's drills, where there are any.
    Drills(&'a Drills),
    /// The API behind the gateway.
    Api,
}

/// Answers one request. Every answer bears `X-Request-Id`, and the connection counts as busy until its
/// last byte is taken.
pub(super) async fn answer(
    caller: Arc<Caller>,
    mut request: Request<Incoming>,
) -> Result<Response<Busy<ResponseBody>>, Infallible> {
    let traced = trace_of(request.headers_mut());
    caller.certificates.note_on(&mut request);
    let (busy, version) = (caller.shared.begin(), request.version());
    let proxied = caller.proxied_for(request.headers()).map(|address| (address, CallerFields::new(address, "https")));
    let (address, fields) = proxied.as_ref().map_or((caller.peer.ip(), &caller.fields), |(at, fields)| (*at, fields));
    let context = caller.worker.context(address);
    let environment = &caller.worker.environment;
    let trail = environment
        .trails
        .as_ref()
        .map(|trails| trails.begin(&context, &mut request, traced, || caller.worker.random()));
    let strays = leaks::find(request.uri(), request.headers(), caller.came_in_clear(request.headers()));
    if !strays.is_empty() {
        // Boxed, so that no other request carries room for it.
        Box::pin(environment.look_into(&context, strays)).await;
    }
    let endpoint = endpoint(environment, request.uri().path());
    if let Some(trail) = &trail
        && !matches!(endpoint, Endpoint::Api | Endpoint::OAuth(_))
        && let Some(client) = environment.gateway.owner_of(&context, request.headers())
    {
        trail.used_by(&client);
    }
    let mut response = match (check_head(&environment.settings, &request), endpoint) {
        (Err(refusal), endpoint) => {
            environment.gateway.refusals().note(&refusal);
            environment.gateway.tally().note_stranger(refusal.status().as_u16());
            let asked = (request.method().as_str(), request.uri().path());
            let client = environment.gateway.owner_of(&context, request.headers());
            let refused = Refused::new(&context, asked, &refusal, Reason::Told);
            if let (Some(trail), Some(client)) = (&trail, &client) {
                trail.used_by(client);
            }
            environment.explanations.record(Refused { client, ..refused });
            let is_oauth = request.uri().path() == Metadata::PUBLIC_KEYS;
            let shape = match endpoint {
                Endpoint::OAuth(asked) => asked.shape(),
                Endpoint::Metadata if is_oauth => BodyShape::Standard,
                _ => BodyShape::Guide,
            };
            refusal.to_response(shape).map(ResponseBody::from)
        }
        // Boxed, so that a proxied request does not carry room for a token request.
        (Ok(()), Endpoint::OAuth(asked)) => Box::pin(oauth(environment, &context, asked, request)).await,
        (Ok(()), Endpoint::Secrets(deed)) => Box::pin(secrets(environment, &context, deed, request)).await,
        (Ok(()), Endpoint::Own) => Box::pin(own(environment, &context, request)).await,
        (Ok(()), Endpoint::Metadata) => {
            let (parts, _) = request.into_parts();
            well_known::answer(environment, &context, &parts).map(ResponseBody::from)
        }
        (Ok(()), Endpoint::Reports(reports)) => Box::pin(report(environment, reports, &context, request)).await,
        (Ok(()), Endpoint::Drills(drills)) => Box::pin(drill(environment, drills, &context, request)).await,
        (Ok(()), Endpoint::Api) => environment.gateway.respond(&context, fields, &caller.worker.pools, request).await,
    };
    if response.extensions().get::<RefusalCode>().is_some() {
        // A flood of what is refused must not keep the core from who writes for those who are let in.
        if environment.store.is_waited_for() {
            std::thread::yield_now();
        }
        // An upstream's challenge is its own.
        environment.metadata.load().name_in_challenge(response.headers_mut());
    }
    let mut text = [0; 36];
    if let Ok(id) = HeaderValue::from_str(context.id.encode(&mut text)) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    if caller.is_secure {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if let Some(trail) = &trail {
        note_answer(environment, trail, &response);
    }
    if let Some(tunnel) = response.extensions_mut().remove::<Tunnel>() {
        caller.shared.upgrade_to(tunnel);
    }
    Ok(response.map(|body| busy.until_the_end_of(body, version, trail)))
}

/// Notes on a trail the head of the answer, and its body where that is ours.
fn note_answer(environment: &Environment, trail: &Trail, response: &Response<ResponseBody>) {
    let extensions = response.extensions();
    let client = extensions.get::<ClientSlot>().and_then(|slot| environment.store.directory().get(*slot));
    if let Some(client) = client {
        trail.used_by(&client.id);
    }
    if let ResponseBody::Whole(Some(bytes)) = response.body() {
        trail.moved_out(bytes.len() as u64);
    }
    trail.answered(response.status().as_u16(), extensions.get::<RefusalCode>().map(|code| code.0));
}

/// A request to the token service.
async fn oauth(
    environment: &Environment,
    context: &RequestContext,
    asked: OAuthEndpoint,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (parts, body) = request.into_parts();
    let body = read_whole(&parts, body, environment.settings.limits.body_timeout).await;
    let context = &judged_now(environment, context);
    let mut response = environment.issuer.respond(context, &parts, body, asked).await;
    if let Some(leak) = response.extensions_mut().remove::<Leak>() {
        environment.tell_of_leak(context, &leak).await;
    }
    response.map(ResponseBody::from)
}

/// A request of a client about its own secrets.
async fn secrets(
    environment: &Environment,
    context: &RequestContext,
    deed: SecretDeed,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (parts, body) = request.into_parts();
    let body = read_whole(&parts, body, environment.settings.limits.body_timeout).await;
    let context = &judged_now(environment, context);
    environment.issuer.secrets(context, &parts, body, deed).await.map(ResponseBody::from)
}

/// A body may be long in coming. What stands in it is judged by the time at which it is there: a secret or an assertion that
/// has ended meanwhile is no more than one that had ended before.
fn judged_now(environment: &Environment, context: &RequestContext) -> RequestContext {
    RequestContext { now: environment.clock.now(), ..*context }
}

/// A request of a client about itself.
async fn own(
    environment: &Environment,
    context: &RequestContext,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (parts, _) = request.into_parts();
    own::answer(environment, context, &parts).await.map(ResponseBody::from)
}

/// A report of leaks.
async fn report(
    environment: &Environment,
    reports: &Reports,
    context: &RequestContext,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (parts, body) = request.into_parts();
    let body = read(body, environment.settings.limits.body_timeout, reports::LARGEST).await;
    environment.report(reports, context, &parts, body).await.map(ResponseBody::from)
}

/// A request for a client's drills.
async fn drill(
    environment: &Environment,
    drills: &Drills,
    context: &RequestContext,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (parts, body) = request.into_parts();
    let body = read_whole(&parts, body, environment.settings.limits.body_timeout).await;
    environment.gateway.drill(drills, context, &parts, body).map(ResponseBody::from)
}

fn endpoint<'a>(environment: &'a Environment, path: &str) -> Endpoint<'a> {
    if let (reports::PATH, Some(reports)) = (path, &environment.reports) {
        return Endpoint::Reports(reports);
    }
    match (path, &*environment.stage) {
        ("/v1/auth/token", _) => Endpoint::OAuth(OAuthEndpoint::Token(BodyShape::Guide)),
        ("/oauth/token", _) => Endpoint::OAuth(OAuthEndpoint::Token(BodyShape::Standard)),
        ("/oauth/revoke", _) => Endpoint::OAuth(OAuthEndpoint::Revocation),
        ("/oauth/introspect", _) => Endpoint::OAuth(OAuthEndpoint::Introspection),
        ("/v1/auth/secrets", _) => Endpoint::Secrets(SecretDeed::ListOrAdd),
        ("/v1/auth/secrets/confirm", _) => Endpoint::Secrets(SecretDeed::Confirm),
        (own::USAGE, _) => Endpoint::Own,
        (path, _) if path.starts_with(own::EXPLANATIONS) => Endpoint::Own,
        (path, _) if Metadata::is_asked_for(path) => Endpoint::Metadata,
        ("/v1/auth/drills", Stage::Testing(drills)) => Endpoint::Drills(drills),
        _ => Endpoint::Api,
    }
}

/// Limits of the head, for HTTP/2 too, and the host.
fn check_head(settings: &EnvironmentConfig, request: &Request<Incoming>) -> Result<(), Refusal> {
    let (limits, uri, headers) = (&settings.limits, request.uri(), request.headers());
    if uri.path_and_query().map_or(0, |target| target.as_str().len()) > limits.max_uri {
        return Err(Refusal::UriTooLong);
    }
    let bytes = || headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    if request.version() == http::Version::HTTP_2
        && (headers.len() > limits.max_headers || bytes() > limits.max_header_bytes)
    {
        return Err(Refusal::HeadersTooLarge);
    }
    let Some(served) = &settings.hosts else {
        return Ok(());
    };
    let named = match uri.authority() {
        Some(authority) => Some(authority.host()),
        None => headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(host_without_port),
    };
    if named.is_some_and(|named| served.iter().any(|served| served.eq_ignore_ascii_case(named))) {
        Ok(())
    } else {
        Err(Refusal::MisdirectedRequest)
    }
}

fn host_without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Reads a body whole, at most [`WHOLE_BODY`] bytes of it, and not for longer than `patience`.
async fn read_whole(parts: &Parts, body: Incoming, patience: Duration) -> Result<Bytes, Refusal> {
    let whole = read(body, patience, WHOLE_BODY).await;
    if let (Some(trail), Ok(bytes)) = (parts.extensions.get::<Arc<Trail>>(), &whole) {
        trail.moved_in(bytes.len() as u64);
    }
    whole
}

async fn read(mut body: Incoming, patience: Duration, most: usize) -> Result<Bytes, Refusal> {
    let broken = Refusal::InvalidRequest(RequestFault::MalformedMessage);
    if body.size_hint().lower() > most as u64 {
        return Err(Refusal::PayloadTooLarge);
    }
    let deadline = Instant::now() + patience;
    let mut whole = BytesMut::new();
    loop {
        match timeout_at(deadline, body.frame()).await {
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap_or_default();
                if whole.len() + data.len() > most {
                    return Err(Refusal::PayloadTooLarge);
                }
                if whole.is_empty() && body.is_end_stream() {
                    return Ok(data);
                }
                whole.extend_from_slice(&data);
            }
            Ok(Some(Err(_))) | Err(_) => return Err(broken),
        }
    }
}
