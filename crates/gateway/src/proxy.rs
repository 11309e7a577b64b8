//! The life of a proxied request, top to bottom.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use fuuffy_domain::{
    Ended, Keyring, MatchedPath, Permit, PermitRefusal, Plan, Proofs, Reason, RefusalCounts, RequestContext,
    RouteMatch, Stage, Tally,
};
use fuuffy_protocol::{BodyShape, Refusal, RequestFault};
use fuuffy_store::{Explanations, Store};
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use crate::body::{BodyFate, CallerBody, ResponseBody};
use crate::fields::{self, Assertion, CallerFields};
use crate::findings::Findings;
use crate::forward::{forward, forward_late};
use crate::meter::{Meter, Meters, UnderWay};
use crate::overload::{RouteStanding, Turn};
use crate::reason::{note_at_once, note_shed};
use crate::record::{Outcome, Traffic};
use crate::snapshot::{RouteSettings, Snapshot, UpstreamProtocol};
use crate::times::TimesOfRoute;
use crate::trail::{Movement, Trail};
use crate::tunnel;
use crate::upstream::Pools;

/// Seconds after which one of the requests under way will likely have ended.
const ONE_ENDS: u64 = 1;

/// The gateway of one environment, shared by all threads.
pub struct Gateway {
    stage: Arc<Stage>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) proofs: Arc<Proofs>,
    snapshot: ArcSwap<Snapshot>,
    meters: Meters,
    traffic: Traffic,
    observed: AtomicU64,
    refusals: RefusalCounts,
    pub(crate) explanations: Arc<Explanations>,
}

/// A request that is ready for any upstream of its route.
pub(crate) struct UpstreamRequest {
    pub(crate) request: Request<CallerBody>,
    pub(crate) fate: BodyFate,
    /// The caller's head once more, where the request may be sent a second time.
    pub(crate) again: Option<Box<CallerHead>>,
    pub(crate) upgrade: Option<OnUpgrade>,
    pub(crate) passage: Passage,
}

/// What goes with an exchange for as long as anything of it moves.
#[derive(Debug)]
pub(crate) struct Passage {
    /// Counts the bytes of both bodies.
    pub(crate) mover: Movement,
    /// Where the plan limits how many there are.
    pub(crate) under_way: Option<UnderWay>,
}

/// What is kept of the caller's head: all but the fields of one hop.
#[derive(Clone)]
pub(crate) struct CallerHead {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    host: Option<HeaderValue>,
    takes_trailers: bool,
}

/// A request that may be forwarded, and what is said of it.
pub(crate) struct Admitted<'a> {
    pub(crate) settings: &'a RouteSettings,
    pub(crate) assertion: Assertion<'a>,
    pub(crate) request: UpstreamRequest,
}

impl Gateway {
    /// A gateway that reads tokens and clients from `store` and judges by `snapshot`.
    #[must_use]
    pub fn new(
        stage: Arc<Stage>,
        store: Arc<dyn Store>,
        proofs: Arc<Proofs>,
        explanations: Arc<Explanations>,
        snapshot: Snapshot,
    ) -> Self {
        let snapshot = ArcSwap::from_pointee(snapshot);
        Self {
            stage,
            store,
            keyring: Arc::clone(proofs.keyring()),
            proofs,
            snapshot,
            meters: Meters::default(),
            traffic: Traffic::default(),
            observed: AtomicU64::new(0),
            refusals: RefusalCounts::default(),
            explanations,
        }
    }

    /// The same, counting in a tally that others count in, too.
    #[must_use]
    pub fn counting_in(self, tally: Arc<Tally>) -> Self {
        Self { meters: Meters::counting_in(tally), ..self }
    }

    /// Puts a reloaded configuration in force. Requests under way finish by the one they began with.
    pub fn reload(&self, mut snapshot: Snapshot) {
        snapshot.go_on_from(&self.snapshot.load());
        self.snapshot.store(Arc::new(snapshot));
    }

    /// What was counted by outcome.
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Requests that limits that are only observed would have refused.
    pub fn observed(&self) -> u64 {
        self.observed.load(Ordering::Relaxed)
    }

    /// How many requests each route forwards, and how many it may.
    pub fn standings(&self) -> Vec<RouteStanding> {
        let snapshot = self.snapshot.load();
        let routes = snapshot.routes.iter().zip(&snapshot.loads);
        routes.map(|(settings, load)| load.standing(&settings.route.prefix)).collect()
    }

    /// How long requests on each route took.
    pub fn times(&self) -> Vec<TimesOfRoute> {
        let snapshot = self.snapshot.load();
        snapshot
            .routes
            .iter()
            .zip(&snapshot.times)
            .map(|(settings, times)| times.read(&settings.route.prefix))
            .collect()
    }

    /// How often callers were refused, by class.
    pub const fn refusals(&self) -> &RefusalCounts {
        &self.refusals
    }

    /// What clients used.
    pub const fn tally(&self) -> &Arc<Tally> {
        &self.meters.tally
    }

    /// Serves one request. `pools` are those of the calling thread.
    pub async fn respond(
        &self,
        context: &RequestContext,
        caller: &CallerFields,
        pools: &Pools,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let (began, snapshot) = (Instant::now(), self.snapshot.load_full());
        let path = self.tally().path(request.uri().path());
        let mut findings = Findings::along(request.extensions().get::<Arc<Trail>>().cloned());
        let admitted = self.admit(context, caller, &snapshot, (began, request), &mut findings);
        let asked = admitted.is_ok().then(Instant::now);
        let (result, turn) = match admitted {
            Ok((admitted, turn)) => match findings.delay() {
                None => (forward(admitted, &pools.of(&snapshot), &mut findings).await, Some(turn)),
                Some(delay) => {
                    // What a drill makes late is not the API's slowness.
                    drop(turn);
                    // Boxed, so that no other request carries room for it.
                    (Box::pin(forward_late(delay, admitted, &pools.of(&snapshot), &mut findings)).await, None)
                }
            },
            Err(refusal) => (Err(refusal), None),
        };
        let ended = Instant::now();
        if let Some(turn) = turn.filter(|_| matches!(result, Ok(_) | Err(Refusal::GatewayTimeout))) {
            turn.answered(ended, pools.late());
        }
        let outcome = match &result {
            Ok(response) => Outcome::Proxied(u8::try_from(response.status().as_u16() / 100).unwrap_or(5)),
            Err(Refusal::RateLimitExceeded(_) | Refusal::TooManyAtOnce(_)) => Outcome::Limited,
            Err(Refusal::BadGateway | Refusal::GatewayTimeout) => Outcome::UpstreamFailed,
            Err(Refusal::ServiceUnavailable(_)) => Outcome::Shed,
            Err(_) => Outcome::Refused,
        };
        let mut response = result.unwrap_or_else(|refusal| {
            tracing::debug!(request_id = %context.id, code = refusal.code(), "A request was refused");
            self.refusals.note(&refusal);
            self.explain(context, &refusal, findings.noted.take());
            refusal.to_response(BodyShape::Guide).map(ResponseBody::from)
        });
        if let (Some(trail), Some(asked)) = (&findings.trail, asked) {
            trail.forwarded(asked, ended);
        }
        let took = ended - began;
        findings.tell(response.headers_mut(), context.now.after(took));
        self.traffic.record(outcome);
        let status = response.status().as_u16();
        if let Some(times) = findings.route().and_then(|route| snapshot.times.get(route)) {
            times.note(status, took, asked.map(|asked| ended - asked));
        }
        let was_observed = findings.was_observed;
        let (was_limited, has_failed) = (outcome == Outcome::Limited, outcome == Outcome::UpstreamFailed);
        let ended = Ended { status, was_limited, was_observed, has_failed, took };
        findings.count(context, self.tally(), path, ended);
        response
    }

    /// Everything between a request and its forwarding: proofs, limits, the upstream's request, and last the
    /// drill: only what would be forwarded meets one.
    fn admit<'a>(
        &self,
        context: &'a RequestContext,
        caller: &'a CallerFields,
        snapshot: &'a Snapshot,
        (began, request): (Instant, Request<Incoming>),
        findings: &mut Findings,
    ) -> Result<(Admitted<'a>, Turn), Refusal> {
        let permit = self.permit(context, snapshot, &request, findings);
        let permit = permit.inspect_err(|refusal| self.look_into(context, &request, refusal, findings))?;
        let index = permit.route().index;
        let (Some(settings), Some(load)) = (snapshot.routes.get(index), snapshot.loads.get(index)) else {
            return Err(Refusal::NotFound);
        };
        let plan = snapshot.plan(&permit.client().plan);
        let meter = self.meters.of(permit.client());
        findings.used_by(&meter.tally, Some(&permit));
        findings.permitted(&permit);
        // Before anything is taken from the client's limits.
        let turn = load.enter(began).map_err(|shed| note_shed(shed, &permit, &request, findings))?;
        let own = permit.client().limits.as_ref().map(|limits| meter.own(limits));
        let windows = own.as_deref().unwrap_or(plan);
        let under_way = begin(&meter, &plan.plan).inspect_err(|_| {
            // It is told how it stands, and nothing is taken.
            findings.standing = Some((meter.take(&windows.plan, 0, context.now), windows.policy.clone()));
            note_at_once(&permit, &request, &plan.plan, findings);
        })?;
        let verdict = meter.take(&windows.plan, settings.cost, context.now);
        let wait = verdict.retry_after();
        findings.standing = Some((verdict, windows.policy.clone()));
        if let Some(wait) = wait {
            self.note_limit(&permit, &request, findings);
            return Err(Refusal::RateLimitExceeded(wait));
        }
        // Whoever has limits of its own would not be held to its plan's.
        if let Some(observed) = plan.observed.as_ref().filter(|_| own.is_none())
            && meter.observe(observed, settings.cost, context.now)
        {
            findings.was_observed = true;
            self.observed.fetch_add(1, Ordering::Relaxed);
        }
        let client = permit.client().slot;
        let assertion = Assertion { context, permit, meter, caller, environment: self.stage.name() };
        let request = prepare(request, settings, &assertion, under_way, findings)?;
        findings.meet(self.stage.meet_request(client, context.now)).inspect_err(|_| {
            let permit = &assertion.permit;
            let asked = (request.request.method(), permit.route().prefix());
            findings.note(Some(&permit.client().id), asked, Reason::Drill);
        })?;
        Ok((Admitted { settings, assertion, request }, turn))
    }

    /// Route, token, who holds it, scope: everything that must be proven before a request is forwarded.
    fn permit(
        &self,
        context: &RequestContext,
        snapshot: &Snapshot,
        request: &Request<Incoming>,
        findings: &mut Findings,
    ) -> Result<Permit, Refusal> {
        let (method, uri) = (request.method(), request.uri());
        let route = find_route(snapshot, method, uri)?;
        let caller = self.caller(context, (method, uri.path()), (request.headers(), request.extensions()))?;
        findings.next_nonce = caller.next_nonce;
        let lacks = |refusal: PermitRefusal| Refusal::InsufficientScope(refusal.token_type, refusal.needed.to_string());
        caller.token.authorise(route).map_err(lacks)
    }
}

/// Counts a request as under way, where its plan limits how many are.
fn begin(meter: &Arc<Meter>, plan: &Plan) -> Result<Option<UnderWay>, Refusal> {
    let Some(most) = plan.concurrency else {
        return Ok(None);
    };
    meter.begin(most).map(Some).ok_or(Refusal::TooManyAtOnce(ONE_ENDS))
}

fn find_route(snapshot: &Snapshot, method: &Method, uri: &Uri) -> Result<RouteMatch, Refusal> {
    // One asks for a tunnel, the other for what we said to the upstream; neither is for an API.
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    let path = MatchedPath::check(uri.path()).map_err(|_| Refusal::InvalidRequest(RequestFault::AmbiguousPath))?;
    snapshot.table.find(method, path).ok_or(Refusal::NotFound)
}

/// Turns the caller's request into the upstream's: the path as it was matched, the fields of one hop
/// removed, ours set.
fn prepare(
    request: Request<Incoming>,
    settings: &RouteSettings,
    assertion: &Assertion<'_>,
    under_way: Option<UnderWay>,
    findings: &mut Findings,
) -> Result<UpstreamRequest, Refusal> {
    let (mut parts, body) = request.into_parts();
    let mut refused = |parts: &Parts, refusal| {
        findings.note(Some(&assertion.permit.client().id), (&parts.method, parts.uri.path()), Reason::Told);
        Err(refusal)
    };
    let host = host_of(&parts);
    let wants_websocket = tunnel::is_requested(&parts.headers);
    if wants_websocket && (!settings.websocket || settings.protocol == UpstreamProtocol::Http2) {
        return refused(&parts, Refusal::InvalidRequest(RequestFault::UpgradeNotAllowed));
    }
    let upgrade = parts.extensions.remove::<OnUpgrade>().filter(|_| wants_websocket);
    if body.size_hint().exact().is_some_and(|length| length > settings.max_body) {
        return refused(&parts, Refusal::PayloadTooLarge);
    }
    let mover = assertion.meter.tally.mover(assertion.permit.route().prefix());
    let mover = Movement::new(mover, findings.trail.as_ref());
    let takes_trailers = fields::takes_trailers(&parts.headers);
    fields::remove_hop_by_hop(&mut parts.headers);
    fields::join_cookies(&mut parts.headers);
    let is_replayable = body.is_end_stream() && parts.method.is_idempotent() && upgrade.is_none();
    let head = CallerHead { method: parts.method, uri: parts.uri, headers: parts.headers, host, takes_trailers };
    let again = is_replayable.then(|| Box::new(head.clone()));
    let (body, fate) = if body.is_end_stream() {
        (CallerBody::empty(), BodyFate::default())
    } else {
        CallerBody::streaming(body, settings.max_body, settings.body_timeout, mover.clone())
    };
    let has_length = head.headers.contains_key(header::CONTENT_LENGTH);
    let mut request = head.assert(assertion, body);
    if !request.body().is_end_stream() && !has_length && settings.protocol == UpstreamProtocol::Http1 {
        // Said here, for hyper takes a GET without a length for one without a body.
        request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if upgrade.is_some() {
        tunnel::announce(request.headers_mut());
    }
    Ok(UpstreamRequest { request, fate, again, upgrade, passage: Passage { mover, under_way } })
}

impl CallerHead {
    /// The upstream's request: what the caller said, and what we say of it.
    pub(crate) fn assert(self, assertion: &Assertion<'_>, body: CallerBody) -> Request<CallerBody> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request.headers_mut().reserve(fields::ASSERTED);
        assertion.write(request.headers_mut(), self.host.as_ref());
        if self.takes_trailers {
            request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        }
        request
    }
}

fn host_of(parts: &Parts) -> Option<HeaderValue> {
    match parts.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => parts.headers.get(header::HOST).cloned(),
    }
}
