//! One call, from the caller's request to the response it gets: token, gates, retries. Acts on what
//! `decide` decides, by whatever sends HTTP requests.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use parking_lot::Mutex;
use tracing::Instrument as _;

use crate::builder::chance;
use crate::clock::Clock;
use crate::decide::{
    Budget, Escalation, Gates, Head, HeldToken, Hold, Pace, RETRIES, Turn, Verdict, is_repeatable, names_invalid_token,
};
use crate::http_client::TransportError;
use crate::observe::{Event, Observer, Reason};
use crate::prover::Moment;
use crate::token_source::TokenSource;
use crate::{Body, Error};

/// The largest body of a 401 that is read to learn what it is about, in bytes.
const LARGEST_REFUSAL: usize = 64 * 1024;
/// What is the server's own and the client's alone, below the base URL, and asked for at little cost.
const OWN: &str = "/auth/usage?per_page=1";
/// The longest that such a body may take.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(10);

/// What all calls of one client share.
pub(crate) struct Session {
    pub(crate) tokens: TokenSource,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    /// The longest that one call may be held up, all waits together.
    pub(crate) patience: Duration,
    pub(crate) retries: bool,
    pub(crate) pace: Option<Mutex<Pace>>,
    state: Mutex<State>,
    base_path: String,
}

#[derive(Default)]
struct State {
    gates: Gates,
    budget: Budget,
    chance: fastrand::Rng,
}

/// What one call has spent.
struct Call {
    retries: u32,
    waited: Duration,
    was_refreshed: bool,
    was_given_nonce: bool,
    connect: Escalation,
}

/// A turn of a call that is paced. A call that ends before it is sent gives it back.
struct TakenTurn<'a> {
    pace: &'a Mutex<Pace>,
    turn: Turn,
    is_used: bool,
}

/// What to do after a response, or after none.
enum Next {
    Done,
    /// The response's body says whether the token was refused.
    ReadBody,
    TokenRefused,
    Again(Reason),
}

impl Session {
    pub(crate) fn new(
        tokens: TokenSource,
        (clock, observer): (Arc<dyn Clock>, Arc<dyn Observer>),
        patience: Duration,
        base_path: String,
        seed: Option<u64>,
    ) -> Self {
        let chance = chance(seed);
        let state = Mutex::new(State { chance, ..State::default() });
        Self { tokens, clock, observer, patience, retries: true, pace: None, state, base_path }
    }

    /// Sends a request with a token, and again where that helps and is safe. A refusal is a response.
    pub(crate) fn call<F, Fut>(
        &self,
        parts: &Parts,
        body: Body,
        send: F,
    ) -> impl Future<Output = Result<Response<Body>, Error>>
    where
        F: FnMut(Request<Body>) -> Fut,
        Fut: Future<Output = Result<Response<Body>, TransportError>>,
    {
        let span = tracing::debug_span!("fuuffy.request", method = %parts.method, path = parts.uri.path());
        self.attempts(parts, body, send).instrument(span)
    }

    /// Every call pays for this future's size, and few come to wait: those waits are boxed.
    async fn attempts<F, Fut>(&self, parts: &Parts, body: Body, mut send: F) -> Result<Response<Body>, Error>
    where
        F: FnMut(Request<Body>) -> Fut,
        Fut: Future<Output = Result<Response<Body>, TransportError>>,
    {
        let (mut body, mut call) = (Some(body), Call::new());
        self.state.lock().budget.deposit();
        loop {
            let turn = match &self.pace {
                Some(pace) => Some(Box::pin(self.wait_for_turn(pace, &mut call)).await?),
                None => None,
            };
            // A gate may have been closed while a token was waited for, and a token may end at a gate.
            let (token, sent_at) = loop {
                let token = self.tokens.held().await?;
                let now = self.clock.now();
                match self.closed_gate(parts, now) {
                    Some((wait, status)) => Box::pin(self.hold(wait, status, &mut call)).await?,
                    None => break (token, now),
                }
            };
            let Some(now_sent) = body.take() else {
                return Err(Error::configuration("a body was to be sent twice"));
            };
            if !now_sent.is_whole() {
                Box::pin(self.make_sure(parts, &token, &mut send)).await?;
            }
            body = now_sent.again();
            if let Some(turn) = turn {
                turn.used();
            }
            let head = self.head(parts, &token)?;
            let because = match send(Request::from_parts(head, now_sent)).await {
                Ok(mut response) => {
                    let mut next = self.judge(&response, parts, sent_at, body.is_some(), &mut call);
                    if matches!(next, Next::ReadBody) && Box::pin(self.is_about_token(&mut response)).await {
                        next = Next::TokenRefused;
                    }
                    if matches!(next, Next::TokenRefused) {
                        next = self.token_refused(&token, body.is_some(), &mut call);
                    }
                    match next {
                        Next::Again(because) => because,
                        _ => return Ok(response),
                    }
                }
                Err(error) => Box::pin(self.without_response(error, parts, body.is_some(), &mut call)).await?,
            };
            self.observer.on(&Event::Retried { because });
        }
    }

    /// The head of a request, with the token and what goes with it.
    fn head(&self, parts: &Parts, token: &HeldToken) -> Result<Parts, Error> {
        let mut head = parts.clone();
        match self.tokens.prover() {
            None => drop(head.headers.insert(header::AUTHORIZATION, token.authorization.clone())),
            Some(prover) => {
                let at = Moment { wall: self.clock.wall(), now: self.clock.now() };
                prover.authorize(&mut head, token.access_token.reveal(), at)?;
            }
        }
        if let Some(shown) = &token.shown {
            shown.go_along(&mut head.extensions);
        }
        Ok(head)
    }

    /// Before a body goes out that cannot be sent again: learns by a request without one whether the server wants a nonce
    /// in the proof, unless it told a moment ago. What else comes of it the call itself will meet.
    async fn make_sure<F, Fut>(&self, parts: &Parts, token: &HeldToken, send: &mut F) -> Result<(), Error>
    where
        F: FnMut(Request<Body>) -> Fut,
        Fut: Future<Output = Result<Response<Body>, TransportError>>,
    {
        let Some(prover) = self.tokens.prover().filter(|prover| !prover.is_sure(self.clock.now())) else {
            return Ok(());
        };
        let target = format!("{}{OWN}", self.base_path);
        let mut uri = parts.uri.clone().into_parts();
        uri.path_and_query =
            Some(target.try_into().map_err(|_| Error::configuration("the base URL makes no request"))?);
        let uri = Uri::from_parts(uri).map_err(|_| Error::configuration("the base URL makes no request"))?;
        let (asked, ()) = Request::get(uri)
            .body(())
            .map(Request::into_parts)
            .map_err(|_| Error::configuration("the base URL makes no request"))?;
        let head = self.head(&asked, token)?;
        if let Ok(response) = send(Request::from_parts(head, Body::empty())).await
            && !prover.learn(response.headers(), self.clock.now())
            && response.status().is_success()
        {
            prover.was_taken(self.clock.now());
        }
        Ok(())
    }

    /// Waits for the call's turn.
    async fn wait_for_turn<'a>(&'a self, pace: &'a Mutex<Pace>, call: &mut Call) -> Result<TakenTurn<'a>, Error> {
        let turn = TakenTurn { pace, turn: pace.lock().reserve(self.clock.now()), is_used: false };
        if !turn.turn.wait.is_zero() {
            self.hold(turn.turn.wait, StatusCode::TOO_MANY_REQUESTS, call).await?;
        }
        Ok(turn)
    }

    /// How long the gate of the request's endpoint is still closed, if it is, and by which status.
    fn closed_gate(&self, parts: &Parts, now: Duration) -> Option<(Duration, StatusCode)> {
        let state = &mut *self.state.lock();
        let chance = state.chance.f64();
        let wait = state.gates.wait(self.below_base(parts), now, chance)?;
        Some((wait, state.gates.closed_by(now)))
    }

    async fn hold(&self, wait: Duration, because: StatusCode, call: &mut Call) -> Result<(), Error> {
        if call.waited.saturating_add(wait) > self.patience {
            return Err(Error::held(wait, because));
        }
        call.waited += wait;
        self.observer.on(&Event::Held { wait });
        self.clock.sleep(wait).await;
        Ok(())
    }

    /// What a response means, and what follows from it for everybody else.
    fn judge(
        &self,
        response: &Response<Body>,
        parts: &Parts,
        sent_at: Duration,
        has_body: bool,
        call: &mut Call,
    ) -> Next {
        let head = Head { status: response.status(), headers: response.headers() };
        let has_nonce = self.tokens.prover().is_some_and(|prover| prover.learn(head.headers, self.clock.now()));
        if let Some(pace) = &self.pace
            && let Some(window) = head.window(self.clock.wall())
        {
            pace.lock().told(window, self.clock.now());
        }
        match head.verdict(|| self.clock.wall()) {
            Verdict::Pass => {
                if head.status.is_success() {
                    self.state.lock().gates.passed(self.below_base(parts), sent_at);
                }
                Next::Done
            }
            Verdict::TokenRefused => Next::TokenRefused,
            // Once: a server that goes on asking would do so for ever.
            Verdict::UseNonce if has_nonce && has_body && !std::mem::replace(&mut call.was_given_nonce, true) => {
                Next::Again(Reason::Nonce)
            }
            Verdict::UseNonce => Next::Done,
            Verdict::ReadBody => Next::ReadBody,
            Verdict::Hold(hold, retry_after) => {
                let (path, now) = (self.below_base(parts), self.clock.now());
                let is_safe = hold == Hold::Limited || is_repeatable(&parts.method, &parts.headers);
                let may_repeat = self.retries && has_body && is_safe && call.retries < RETRIES;
                let state = &mut *self.state.lock();
                let chance = state.chance.u64(..);
                state.gates.refused(hold, path, (sent_at, now), retry_after, chance);
                let wait = state.gates.wait(path, now, 1.0).unwrap_or_default();
                if !may_repeat || call.waited + wait > self.patience || !state.budget.withdraw() {
                    return Next::Done;
                }
                call.retries += 1;
                Next::Again(if hold == Hold::Limited { Reason::RateLimited } else { Reason::Unavailable })
            }
        }
    }

    /// The token is dropped, and the request sent once more with another if it can be. A second refusal is
    /// final.
    fn token_refused(&self, token: &Arc<HeldToken>, has_body: bool, call: &mut Call) -> Next {
        self.tokens.refused(token);
        if !has_body || std::mem::replace(&mut call.was_refreshed, true) {
            return Next::Done;
        }
        Next::Again(Reason::TokenRefused)
    }

    /// A request is sent again if nothing of it was sent, or if it is idempotent and its connection was an old one.
    async fn without_response(
        &self,
        error: TransportError,
        parts: &Parts,
        has_body: bool,
        call: &mut Call,
    ) -> Result<Reason, Error> {
        let is_safe = error.is_connect() || error.is_stale() && is_repeatable(&parts.method, &parts.headers);
        let may_repeat = self.retries && is_safe && has_body && call.retries < RETRIES;
        let wait = {
            let state = &mut *self.state.lock();
            let wait = call.connect.fail(state.chance.u64(..));
            (may_repeat && call.waited + wait <= self.patience && state.budget.withdraw()).then_some(wait)
        };
        let Some(wait) = wait else {
            return Err(Error::transport(&format!("{} {}", parts.method, parts.uri.path()), &place(parts), error));
        };
        call.retries += 1;
        self.hold(wait, StatusCode::SERVICE_UNAVAILABLE, call).await?;
        Ok(Reason::NoConnection)
    }

    /// Reads a refusal's body to learn whether the token is meant; it is whole in memory then. One that is
    /// no refusal of an API, too long or too slow, is left out.
    async fn is_about_token(&self, response: &mut Response<Body>) -> bool {
        let body = std::mem::replace(response.body_mut(), Body::empty());
        let whole = tokio::select! {
            whole = Limited::new(body, LARGEST_REFUSAL).collect() => whole.ok(),
            () = self.clock.sleep(REFUSAL_PATIENCE) => None,
        };
        if whole.is_none() {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        let bytes = whole.map(|whole| whole.to_bytes()).unwrap_or_default();
        let is_about_token = names_invalid_token(&bytes);
        *response.body_mut() = Body::from(bytes);
        is_about_token
    }

    fn below_base<'a>(&self, parts: &'a Parts) -> &'a str {
        let path = parts.uri.path();
        path.strip_prefix(self.base_path.as_str()).unwrap_or(path)
    }
}

impl Call {
    const fn new() -> Self {
        let connect = Escalation::new(Duration::from_millis(100), Duration::from_secs(5));
        Self { retries: 0, waited: Duration::ZERO, was_refreshed: false, was_given_nonce: false, connect }
    }
}

impl TakenTurn<'_> {
    fn used(mut self) {
        self.is_used = true;
    }
}

impl Drop for TakenTurn<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            self.pace.lock().give_back(&self.turn);
        }
    }
}

fn place(parts: &Parts) -> String {
    parts.uri.authority().map(ToString::to_string).unwrap_or_default()
}
