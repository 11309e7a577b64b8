//! The life of one token: when it is used, when it is fetched anew, and when nobody asks for a while.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fuuffy_protocol::AccessToken;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::Escalation;
use crate::Error;
use crate::presenter::Shown;

/// The life of a token whose answer tells none.
const UNTOLD_LIFE: Duration = Duration::from_secs(60);
/// No token is trusted for longer, whatever its answer tells.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
/// A token is refreshed after so much of its life, give or take [`SPREAD`] of it.
const REFRESH: f64 = 0.8;
const SPREAD: f64 = 0.05;
/// A token that is refreshed this soon after the last one would be a loop.
const SHORTEST_REFRESH: Duration = Duration::from_millis(500);

/// A token as it was granted.
#[derive(Debug)]
pub struct Grant {
    /// The token.
    pub access_token: AccessToken,
    /// How long it lives from when it was asked for; `None` where the answer does not tell.
    pub life: Option<Duration>,
    /// When it should be replaced, counted like `life`; by default after about 80 % of it.
    pub refresh_after: Option<Duration>,
    /// The granted scope, where the answer tells.
    pub scope: Option<String>,
}

/// A token in use.
#[derive(Debug)]
pub(crate) struct HeldToken {
    pub(crate) access_token: AccessToken,
    /// `Bearer …`, wiped when the last request that bears it is gone.
    pub(crate) authorization: HeaderValue,
    pub(crate) serial: u64,
    pub(crate) expires_at: Duration,
    pub(crate) scope: Option<String>,
    /// The certificate that it may be bound to, and the connections that show it.
    pub(crate) shown: Option<Shown>,
}

/// What a caller that needs a token is to do.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Use this one.
    Use(Arc<HeldToken>),
    /// Use this one, and start a token request in the background.
    UseAndFetch(Arc<HeldToken>),
    /// Start a token request and wait for it.
    Fetch,
    /// Wait for the one under way.
    Join,
    /// Nobody asks now: the last request failed, and the back-off ends after this.
    Hold(Duration, Error),
}

/// What to do after a token request has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look again at this time.
    At(Duration),
    /// Nothing, until somebody asks.
    Rest,
}

/// The state of one token source.
#[derive(Debug)]
pub(crate) struct TokenState {
    held: Option<Held>,
    serial: u64,
    is_fetching: bool,
    escalation: Escalation,
    quiet: Option<(Duration, Error)>,
}

#[derive(Debug)]
struct Held {
    token: Arc<HeldToken>,
    refresh_at: Duration,
    was_used: bool,
}

impl Default for TokenState {
    fn default() -> Self {
        let escalation = Escalation::new(Duration::from_millis(500), Duration::from_secs(60));
        Self { held: None, serial: 0, is_fetching: false, escalation, quiet: None }
    }
}

impl TokenState {
    /// A caller needs a token.
    pub(crate) fn ask(&mut self, now: Duration) -> Ask {
        let may_fetch = !self.is_fetching && self.quiet(now).is_none();
        if let Some(held) = self.held.as_mut().filter(|held| now < held.token.expires_at) {
            held.was_used = true;
            let token = Arc::clone(&held.token);
            if now < held.refresh_at || !may_fetch {
                return Ask::Use(token);
            }
            self.is_fetching = true;
            return Ask::UseAndFetch(token);
        }
        self.held = None;
        if self.is_fetching {
            return Ask::Join;
        }
        if let Some((wait, error)) = self.quiet(now) {
            return Ask::Hold(wait, error.again_after(wait));
        }
        self.is_fetching = true;
        Ask::Fetch
    }

    /// The time that [`Next::At`] named has come. True: start a token request.
    pub(crate) fn is_due(&mut self, now: Duration) -> bool {
        let wanted = self.held.as_ref().is_some_and(|held| held.was_used && now >= held.refresh_at);
        let due = wanted && !self.is_fetching && self.quiet(now).is_none();
        self.is_fetching |= due;
        due
    }

    /// A token request that began at `asked_at` was granted. `chance`, from 0 to 1, spreads refreshes.
    pub(crate) fn granted(
        &mut self,
        (grant, shown): (Grant, Option<Shown>),
        asked_at: Duration,
        chance: f64,
    ) -> (Arc<HeldToken>, Next) {
        self.is_fetching = false;
        self.quiet = None;
        self.escalation.succeed();
        self.serial += 1;
        let life = grant.life.filter(|life| !life.is_zero()).unwrap_or(UNTOLD_LIFE).min(LONGEST_LIFE);
        let part = REFRESH + SPREAD * (2.0 * chance - 1.0);
        let refresh_after = grant.refresh_after.unwrap_or(life.mul_f64(part)).max(SHORTEST_REFRESH);
        let token = Arc::new(HeldToken {
            authorization: authorization(&grant.access_token),
            access_token: grant.access_token,
            serial: self.serial,
            expires_at: asked_at + life,
            scope: grant.scope,
            shown,
        });
        let refresh_at = asked_at.saturating_add(refresh_after);
        self.held = Some(Held { token: Arc::clone(&token), refresh_at, was_used: false });
        (token, Next::At(refresh_at))
    }

    /// A token request failed. A token that still lives stays as it is.
    pub(crate) fn failed(&mut self, error: &Error, now: Duration, chance: u64) -> Next {
        self.is_fetching = false;
        let back_off = self.escalation.fail(chance);
        // No patience at all, asked for again and again, would be a loop.
        let wait = error.retry_after().filter(|told| !told.is_zero()).unwrap_or(back_off);
        self.quiet = Some((now + wait, error.clone()));
        match &self.held {
            Some(held) if now + wait < held.token.expires_at => Next::At(now + wait),
            _ => Next::Rest,
        }
    }

    /// A token request ended without an outcome, as when its runtime was shut down.
    pub(crate) fn abandoned(&mut self) {
        self.is_fetching = false;
    }

    /// A server refused a token as invalid. It is dropped only if it is still the one that is held. True:
    /// it was.
    pub(crate) fn refused(&mut self, serial: u64) -> bool {
        let is_held = self.held.as_ref().is_some_and(|held| held.token.serial == serial);
        if is_held {
            self.held = None;
        }
        is_held
    }

    fn quiet(&self, now: Duration) -> Option<(Duration, &Error)> {
        let (until, error) = self.quiet.as_ref()?;
        Some((until.checked_sub(now).filter(|wait| !wait.is_zero())?, error))
    }
}

fn authorization(token: &AccessToken) -> HeaderValue {
    let text = Zeroizing::new(format!("Bearer {}", token.reveal()).into_bytes());
    // A granted token has only characters that a field can carry.
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text)).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests;
