//! A client replaces its own secret, from end to end: it asks for another with the one that it has, keeps it where
//! the old one was, proves it by a token, and confirms it. The old one works until nobody uses it.
//!
//! Wherever this breaks off, the secret that is kept works, and the next run goes on from what the server says of
//! that secret. So nothing is written down but the secret itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::credentials::{Credentials, Replacement};
use crate::decide::{Beginning, Schedule};
use crate::observe::Event;
use crate::own_endpoint::{Confirmed, OwnEndpoint};
use crate::token_endpoint::TokenEndpoint;
use crate::{Error, ErrorKind};

/// What became of a secret that was to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// Another secret is kept in its place, proven and confirmed.
    Replaced(Confirmed),
    /// It had been replaced by a run that broke off. Now it is proven and confirmed.
    Finished(Confirmed),
    /// Another process has replaced it while this one waited for its turn.
    ByAnother {
        /// The secret that is kept now.
        secret_id: String,
    },
    /// It is too early.
    NotDue {
        /// The secret that is kept.
        secret_id: String,
        /// How long it stays.
        due_in: Duration,
    },
}

impl Rotation {
    /// The secret that is kept now.
    #[must_use]
    pub fn secret_id(&self) -> &str {
        match self {
            Self::Replaced(Confirmed { secret_id, .. })
            | Self::Finished(Confirmed { secret_id, .. })
            | Self::ByAnother { secret_id }
            | Self::NotDue { secret_id, .. } => secret_id,
        }
    }

    /// What became of the client's other secrets, where one was confirmed.
    #[must_use]
    pub const fn confirmed(&self) -> Option<&Confirmed> {
        match self {
            Self::Replaced(confirmed) | Self::Finished(confirmed) => Some(confirmed),
            Self::ByAnother { .. } | Self::NotDue { .. } => None,
        }
    }
}

/// Replaces the secret of one client.
pub(crate) struct Rotator {
    tokens: Arc<TokenEndpoint>,
    own: Arc<OwnEndpoint>,
}

impl Rotator {
    pub(crate) const fn new(tokens: Arc<TokenEndpoint>, own: Arc<OwnEndpoint>) -> Self {
        Self { tokens, own }
    }

    /// Replaces the secret if it is older than that, and goes on with what broke off in any case.
    pub(crate) async fn rotate(&self, older_than: Option<Duration>) -> Result<Rotation, Error> {
        let outcome = self.attempt(older_than).await;
        match &outcome {
            Ok(Rotation::Replaced(confirmed) | Rotation::Finished(confirmed)) => {
                let (secret_id, retiring) = (&confirmed.secret_id, confirmed.retiring.len());
                tracing::info!(secret_id, retiring, "The client's secret was replaced");
                self.tell(&Event::SecretRotated);
            }
            Ok(Rotation::ByAnother { .. } | Rotation::NotDue { .. }) => {}
            Err(error) => self.failed(error),
        }
        outcome
    }

    async fn attempt(&self, older_than: Option<Duration>) -> Result<Rotation, Error> {
        let held = self.tokens.credentials.read().await?;
        let standing = self.own.standing(&held).await?;
        if !standing.may_replace {
            return Err(Error::unwritable(
                "the client may not replace its own secret; whoever runs the gateway lets it: fuuffy clients update \
                 --allow-rotation",
            ));
        }
        match standing.secret.beginning(older_than, standing.now) {
            Beginning::Wait(due_in) => return Ok(Rotation::NotDue { secret_id: standing.secret.secret_id, due_in }),
            Beginning::Finish => return self.finish(&held).await.map(Rotation::Finished),
            Beginning::Replace => {}
        }
        let mut place = self.tokens.credentials.begin_replacement().await?;
        if !place.current().is_same(&held) {
            return self.after_another(place.current()).await;
        }
        let secret = self.own.add(&held).await?;
        let kept = match place.keep(&secret).await {
            Ok(()) => self.read_back(&held).await,
            Err(error) => Err(error),
        };
        let finished = match kept {
            Ok(kept) => self.finish(&kept).await,
            Err(error) => Err(error),
        };
        match finished {
            Ok(confirmed) => Ok(Rotation::Replaced(confirmed)),
            Err(error) => Err(self.mend(&mut *place, &held, error).await),
        }
    }

    /// Something went wrong once another secret was to be kept. Whatever is kept now must work: the old one is worth
    /// more than what does not.
    async fn mend(&self, place: &mut dyn Replacement, old: &Credentials, error: Error) -> Error {
        let works = match self.tokens.credentials.read().await {
            Ok(kept) if kept.is_same(old) => true,
            Ok(_) if error.code() == Some("invalid_client") => false,
            Ok(kept) => match self.own.standing(&kept).await {
                Err(refused) => refused.code() != Some("invalid_client"),
                Ok(_) => true,
            },
            // What cannot be reached may be whole; what was read and is no secret is not.
            Err(unread) => unread.kind() != ErrorKind::Credentials,
        };
        if works {
            return error;
        }
        let kept = match old.secret() {
            Ok(secret) => place.keep(secret).await,
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => {
                tracing::warn!("What was kept in the secret's place does not work; the old one is there again");
                error
            }
            Err(second) => Error::credentials(format!(
                "{error}; and what is kept there now does not work, for the old secret could not be put back ({second}): \
                 ask whoever runs the gateway for another (fuuffy secrets add)"
            )),
        }
    }

    /// What is kept now: the new secret, or one that another process kept at the same moment.
    async fn read_back(&self, old: &Credentials) -> Result<Credentials, Error> {
        let kept = self.tokens.credentials.read().await?;
        if kept.client_id != old.client_id || kept.is_same(old) {
            return Err(Error::credentials(
                "another secret was to be kept, and the old one is still there; look into what keeps it, and try again",
            ));
        }
        Ok(kept)
    }

    /// Proves the secret that is kept by a token, and confirms it.
    async fn finish(&self, kept: &Credentials) -> Result<Confirmed, Error> {
        self.tokens.request(kept, None).await?;
        self.own.confirm(kept).await
    }

    /// Another process has replaced the secret, perhaps not to the end.
    async fn after_another(&self, kept: &Credentials) -> Result<Rotation, Error> {
        let secret = self.own.standing(kept).await?.secret;
        match secret.beginning(Some(Duration::MAX), secret.created_at) {
            Beginning::Finish => self.finish(kept).await.map(Rotation::Finished),
            Beginning::Replace | Beginning::Wait(_) => Ok(Rotation::ByAnother { secret_id: secret.secret_id }),
        }
    }

    fn failed(&self, error: &Error) {
        match error.kind() {
            ErrorKind::Unwritable => tracing::warn!(%error, "The client's secret is to be replaced by a person"),
            _ => tracing::warn!(%error, "The client's secret was not replaced"),
        }
        self.tell(&Event::RotationFailed { kind: error.kind(), why: error.to_string() });
    }

    fn tell(&self, event: &Event) {
        self.tokens.exchange.observer().on(event);
    }
}

/// Replaces the secret again and again, for as long as the client lives.
pub(crate) struct Routine {
    rotator: Arc<Rotator>,
    schedule: Mutex<(Schedule, fastrand::Rng)>,
    runs: AtomicBool,
    /// Gone with the client, which ends the task.
    alive: watch::Sender<()>,
}

/// The task, while there is one.
struct Run {
    routine: std::sync::Weak<Routine>,
}

impl Routine {
    pub(crate) fn new(rotator: Arc<Rotator>, every: Duration, mut chance: fastrand::Rng) -> Self {
        let schedule = Mutex::new((Schedule::new(every, chance.f64()), chance));
        Self { rotator, schedule, runs: AtomicBool::new(false), alive: watch::Sender::default() }
    }

    /// Starts in a task of its own, unless it runs already. Does nothing outside of a runtime.
    pub(crate) fn start(self: &Arc<Self>) {
        if self.runs.load(Ordering::Relaxed) || self.runs.swap(true, Ordering::Relaxed) {
            return;
        }
        let run = Run { routine: Arc::downgrade(self) };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(run.go(self.alive.subscribe()).instrument(tracing::debug_span!("fuuffy.rotation")));
        }
    }

    /// Looks once, and says when to look again.
    async fn turn(&self) -> Duration {
        let older_than = self.schedule.lock().0.older_than();
        let outcome = self.rotator.rotate(Some(older_than)).await;
        let mut guard = self.schedule.lock();
        let (schedule, chance) = &mut *guard;
        let wait = match outcome {
            Ok(Rotation::NotDue { due_in, .. }) => {
                self.rotator.tell(&Event::SecretLives { due_in });
                schedule.succeeded(due_in)
            }
            Ok(Rotation::ByAnother { .. }) => {
                self.rotator.tell(&Event::SecretLives { due_in: older_than });
                schedule.succeeded(older_than)
            }
            Ok(Rotation::Replaced(_) | Rotation::Finished(_)) => schedule.succeeded(older_than),
            Err(error) => schedule.failed(&error, chance.u64(..)),
        };
        drop(guard);
        wait
    }
}

impl Run {
    async fn go(self, mut alive: watch::Receiver<()>) {
        // A person who must do it knows that from the start on, and not when it is too late.
        if let Some(routine) = self.routine.upgrade()
            && let Err(error) = routine.rotator.tokens.credentials.begin_replacement().await.map(drop)
            && error.kind() == ErrorKind::Unwritable
        {
            routine.rotator.failed(&error);
        }
        loop {
            let Some(routine) = self.routine.upgrade() else {
                return;
            };
            let wait = routine.turn().await;
            let clock = Arc::clone(routine.rotator.tokens.exchange.clock());
            drop(routine);
            tokio::select! {
                () = clock.sleep(wait) => {}
                _ = alive.changed() => return,
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Its runtime may have been shut down: the next one starts it anew.
        if let Some(routine) = self.routine.upgrade() {
            routine.runs.store(false, Ordering::Relaxed);
        }
    }
}
