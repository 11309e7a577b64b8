//! A token for whoever needs one: acts on what `decide::TokenState` decides.
//!
//! Token requests run in tasks of their own, so that no caller who goes away takes one along, and all
//! callers that wait share one.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fuuffy_protocol::{AccessToken, TokenType};
use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::Error;
use crate::builder::chance;
use crate::clock::{BoxFuture, Clock};
use crate::decide::{Ask, Grant, HeldToken, Next, RETRIES, TokenState};
use crate::observe::{Event, Observer};
use crate::presenter::Shown;
use crate::prover::Prover;
use crate::rotation::Routine;
use crate::token_endpoint::TokenEndpoint;

/// A token that lives, as it was handed out.
#[derive(Debug, Clone)]
pub struct Token(pub(crate) Arc<HeldToken>, Duration, TokenType);

impl Token {
    /// The token itself. Callers say by this word that they mean to show it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.access_token.reveal()
    }

    /// How long it still lived when it was handed out.
    #[must_use]
    pub const fn expires_in(&self) -> Duration {
        self.1
    }

    /// How it is used: `Bearer`, or `DPoP` where each request with it needs a proof by the client's key (RFC 9449).
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        self.2
    }

    /// The granted scope, where the server told it: it differs then from the one asked for.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }
}

/// A token that processes share, as on disk: it stands around each token request and may answer it with a
/// token that another process fetched.
pub trait TokenCache: Send + Sync + 'static {
    /// Answers a token request, by what is cached or by `fetch`. `refused` is the token that a server
    /// refused last: it must not be answered again.
    ///
    /// # Errors
    /// Those of `fetch`; a cache that cannot be used should be passed by instead.
    fn token<'a>(
        &'a self,
        refused: Option<&'a AccessToken>,
        fetch: BoxFuture<'a, Result<Grant, Error>>,
    ) -> BoxFuture<'a, Result<Grant, Error>>;

    /// The same for a client that shows a certificate, which `thumbprint` names (`x5t#S256`, RFC 8705 §3.1): a token that was
    /// granted to whoever showed another must not be answered. Nothing is cached unless a cache says otherwise.
    ///
    /// # Errors
    /// Those of `fetch`.
    fn bound_token<'a>(
        &'a self,
        thumbprint: &'a str,
        refused: Option<&'a AccessToken>,
        fetch: BoxFuture<'a, Result<Grant, Error>>,
    ) -> BoxFuture<'a, Result<Grant, Error>> {
        let _ = (thumbprint, refused);
        fetch
    }
}

/// Fetches, keeps and refreshes the token of one client. Cheap to clone; clones share the token.
#[derive(Clone)]
pub struct TokenSource {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    endpoint: Arc<TokenEndpoint>,
    cache: Option<Arc<dyn TokenCache>>,
    /// What replaces the secret from time to time.
    routine: Option<Arc<Routine>>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    /// The longest that a caller waits for a back-off to end.
    patience: Duration,
    /// How many token requests have ended.
    landings: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    token: TokenState,
    flight: Option<watch::Receiver<Landing>>,
    refused: Option<Arc<HeldToken>>,
    chance: fastrand::Rng,
}

/// How a token request ended, once it has.
type Landing = Option<Result<Arc<HeldToken>, Error>>;

/// What a caller does next.
enum Step {
    Done(Result<Arc<HeldToken>, Error>),
    Join(watch::Receiver<Landing>),
    Hold(Duration, Error),
}

impl TokenSource {
    pub(crate) fn new(
        endpoint: Arc<TokenEndpoint>,
        (cache, routine): (Option<Arc<dyn TokenCache>>, Option<Arc<Routine>>),
        patience: Duration,
        seed: Option<u64>,
    ) -> Self {
        let (clock, observer) = (Arc::clone(endpoint.exchange.clock()), Arc::clone(endpoint.exchange.observer()));
        let state = Mutex::new(State { chance: chance(seed), ..State::default() });
        let landings = watch::Sender::default();
        Self { shared: Arc::new(Shared { state, endpoint, cache, routine, clock, observer, patience, landings }) }
    }

    /// A token that lives. While there is one nobody waits: it is refreshed in the background, and used to
    /// its last second where that fails. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// There is no token, and none could be had.
    pub async fn token(&self) -> Result<Token, Error> {
        let held = self.held().await?;
        let left = held.expires_at.saturating_sub(self.shared.clock.now());
        let token_type = self.prover().map_or(TokenType::Bearer, |_| TokenType::Dpop);
        Ok(Token(held, left, token_type))
    }

    /// What proves the key that the tokens are bound to, if they are.
    pub(crate) fn prover(&self) -> Option<&Prover> {
        self.shared.endpoint.exchange.prover.as_deref()
    }

    pub(crate) async fn held(&self) -> Result<Arc<HeldToken>, Error> {
        match self.shared.step() {
            Step::Done(outcome) => outcome,
            // Boxed, for few calls come to wait and all would pay its size.
            step => Box::pin(self.wait_for_token(step)).await,
        }
    }

    async fn wait_for_token(&self, mut step: Step) -> Result<Arc<HeldToken>, Error> {
        let (mut waited, mut failures, mut lost) = (Duration::ZERO, 0, 0);
        let mut last = None;
        loop {
            match step {
                Step::Done(outcome) => return outcome,
                Step::Join(mut flight) => match flight.wait_for(Option::is_some).await.map(|landing| landing.clone()) {
                    Ok(Some(Err(error))) if error.is_retryable() && failures < RETRIES => {
                        failures += 1;
                        last = Some(error);
                    }
                    Ok(Some(outcome)) => return outcome,
                    Ok(None) => {}
                    // It may have been another runtime's, which was shut down.
                    Err(_) if lost < RETRIES => lost += 1,
                    Err(_) => return Err(given_up()),
                },
                Step::Hold(wait, error) => {
                    // A failure that a caller has not seen yet may have been another one's to wait out.
                    if !error.is_retryable() || waited + wait > self.shared.patience {
                        return Err(last.unwrap_or(error).again_after(wait));
                    }
                    waited += wait;
                    self.shared.observer.on(&Event::Held { wait });
                    self.shared.clock.sleep(wait).await;
                }
            }
            step = self.shared.step();
        }
    }

    /// A server refused this token. Another that was fetched meanwhile stays.
    pub(crate) fn refused(&self, token: &Arc<HeldToken>) {
        let mut state = self.shared.state.lock();
        let dropped = state.token.refused(token.serial);
        // A refusal of an older one may come late.
        if state.refused.as_ref().is_none_or(|known| known.serial < token.serial) {
            state.refused = Some(Arc::clone(token));
        }
        drop(state);
        if dropped {
            self.shared.observer.on(&Event::TokenDropped);
        }
    }
}

impl Shared {
    fn step(self: &Arc<Self>) -> Step {
        let now = self.clock.now();
        let mut state = self.state.lock();
        match state.token.ask(now) {
            Ask::Use(token) => Step::Done(Ok(token)),
            Ask::UseAndFetch(token) => {
                // Without a runtime the token is used as long as it lives.
                let _ = self.fly(state);
                Step::Done(Ok(token))
            }
            Ask::Fetch => self.fly(state).map_or_else(|error| Step::Done(Err(error)), Step::Join),
            Ask::Join => match &state.flight {
                Some(flight) => Step::Join(flight.clone()),
                None => Step::Done(Err(no_runtime())),
            },
            Ask::Hold(wait, error) => Step::Hold(wait, error),
        }
    }

    /// Starts a token request in a task of its own. The state says already that one is under way.
    fn fly(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> Result<watch::Receiver<Landing>, Error> {
        let Ok(runtime) = Handle::try_current() else {
            state.token.abandoned();
            return Err(no_runtime());
        };
        let (sender, receiver) = watch::channel(None);
        state.flight = Some(receiver.clone());
        // A runtime that is being shut down drops the task at once, which takes the lock again.
        drop(state);
        let flight = Flight { shared: Arc::clone(self), has_landed: false };
        runtime.spawn(flight.run(sender).instrument(tracing::debug_span!("fuuffy.token")));
        if let Some(routine) = &self.routine {
            routine.start();
        }
        Ok(receiver)
    }

    async fn fetch(&self) -> Result<(Grant, Option<Shown>), Error> {
        let shown = match &self.endpoint.exchange.presenter {
            Some(presenter) => Some(presenter.look().await?),
            None => None,
        };
        let fetch = self.endpoint.fetch(shown.as_ref());
        let Some(cache) = &self.cache else {
            return Ok((fetch.await?, shown));
        };
        let refused = self.state.lock().refused.clone();
        let refused = refused.as_ref().map(|token| &token.access_token);
        let grant = match &shown {
            Some(shown) => cache.bound_token(shown.thumbprint(), refused, Box::pin(fetch)).await?,
            None => cache.token(refused, Box::pin(fetch)).await?,
        };
        Ok((grant, shown))
    }
}

/// One token request under way. However it ends, the state learns of it.
struct Flight {
    shared: Arc<Shared>,
    has_landed: bool,
}

impl Flight {
    async fn run(mut self, sender: watch::Sender<Landing>) {
        let asked_at = self.shared.clock.now();
        let outcome = self.shared.fetch().await.map_err(|error| error.about_token());
        let now = self.shared.clock.now();
        self.has_landed = true;
        let (landing, next, later) = {
            let mut state = self.shared.state.lock();
            state.flight = None;
            self.shared.landings.send_modify(|count| *count += 1);
            let later = self.shared.landings.subscribe();
            match outcome {
                Ok(grant) => {
                    let chance = state.chance.f64();
                    let (token, next) = state.token.granted(grant, asked_at, chance);
                    (Ok(token), next, later)
                }
                Err(error) => {
                    let chance = state.chance.u64(..);
                    let next = state.token.failed(&error, now, chance);
                    (Err(error), next, later)
                }
            }
        };
        // Told without the lock, which all callers take.
        self.tell(&landing, asked_at, now);
        // Nobody may be waiting any more.
        let _ = sender.send(Some(landing));
        let (shared, clock) = (Arc::downgrade(&self.shared), Arc::clone(&self.shared.clock));
        drop(self);
        refresh(shared, later, &*clock, next).await;
    }

    fn tell(&self, landing: &Result<Arc<HeldToken>, Error>, asked_at: Duration, now: Duration) {
        let event = match landing {
            Ok(token) => Event::TokenGranted { took: now.saturating_sub(asked_at), life: token.expires_at - asked_at },
            Err(error) => {
                tracing::warn!(%error, "No token was granted");
                Event::TokenFailed { code: error.code().map(str::to_owned) }
            }
        };
        self.shared.observer.on(&event);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.has_landed {
            let mut state = self.shared.state.lock();
            state.token.abandoned();
            state.flight = None;
        }
    }
}

/// Waits for the time to refresh, and starts a token request if the token was used. Ends with the client, and
/// when a later token request ends, which waits on its own.
async fn refresh(shared: Weak<Shared>, mut later: watch::Receiver<u64>, clock: &dyn Clock, next: Next) {
    let Next::At(at) = next else {
        return;
    };
    tokio::select! {
        () = clock.sleep(at.saturating_sub(clock.now())) => {}
        _ = later.changed() => return,
    }
    let Some(shared) = shared.upgrade() else {
        return;
    };
    let mut state = shared.state.lock();
    if state.token.is_due(clock.now()) {
        // Started from within a task, and so within a runtime.
        let _ = shared.fly(state);
    }
}

fn given_up() -> Error {
    Error::configuration(
        "token requests end before they have an answer, because the tokio runtime is being shut down or what reads \
         the secret panics; call the client from a runtime that lives on",
    )
}

fn no_runtime() -> Error {
    Error::configuration("the client was called outside of a tokio runtime; call it from within one")
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("endpoint", &self.shared.endpoint.url).finish_non_exhaustive()
    }
}
