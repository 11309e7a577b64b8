//! How many tokens may be asked for, by client and by address: a token lasts, and whoever fetches one for each call is
//! told so. Counted are requests whose secret was right, so nobody uses up another's share by guessing.
//!
//! Memory is bounded: one entry for each client, and one for each address of the last window, up to a number.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use fuuffy_domain::{ApprovedGrant, Lifetime, LimitState, Plan, Reason, RequestContext, Timestamp, Verdict};
use fuuffy_protocol::Refusal;
use parking_lot::Mutex;

/// So many addresses are counted at once. Where all of them are busy another one is let through: it is its client's
/// limit that holds it.
const MOST_ADDRESSES: usize = 65_536;
/// Addresses that are busy no more are let go of at most so often.
const CLEANED: Duration = Duration::from_secs(1);

/// The limits of an environment; none unless set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenLimits {
    /// Of one client. One whose tokens live shorter than the environment's may ask as many times more.
    pub by_client: Plan,
    /// Of all clients at one address together.
    pub by_address: Plan,
}

/// What was asked for.
#[derive(Default)]
pub(crate) struct TokenRequests(Mutex<Asked>);

#[derive(Default)]
struct Asked {
    by_client: Vec<LimitState>,
    addresses: Addresses,
}

#[derive(Default)]
struct Addresses {
    busy: HashMap<IpAddr, LimitState>,
    /// When there was no room the last time.
    cleaned: Option<Timestamp>,
}

impl TokenRequests {
    /// Counts one, for its client and its address or for neither.
    ///
    /// # Errors
    /// There were too many, with the reason.
    pub(crate) fn take(
        &self,
        limits: &TokenLimits,
        longest: Lifetime,
        context: &RequestContext,
        grant: &ApprovedGrant,
    ) -> Result<(), (Refusal, Reason)> {
        if limits.by_client.limits.is_empty() && limits.by_address.limits.is_empty() {
            return Ok(());
        }
        let (now, slot) = (context.now, grant.client().slot.0 as usize);
        let times = longest.seconds().div_ceil(grant.lifetime().seconds());
        let own = Plan::of(limits.by_client.limits.iter().map(|limit| limit.times(times)).collect());
        let mut asked = self.0.lock();
        if asked.by_client.len() <= slot {
            asked.by_client.resize(slot + 1, LimitState::default());
        }
        let Asked { by_client, addresses } = &mut *asked;
        let by_client = &mut by_client[slot];
        let mut by_address = addresses.of(network(context.peer), now);
        let own_wait = by_client.wait(&own, 1, now);
        let shared_wait = by_address.as_deref_mut().and_then(|shared| shared.wait(&limits.by_address, 1, now));
        // None before any: of two waits the longer one is told.
        match by_address.filter(|_| shared_wait > own_wait) {
            Some(shared) => return Err(refused(&shared.take(&limits.by_address, 1, now), true)),
            None if own_wait.is_some() => return Err(refused(&by_client.take(&own, 1, now), false)),
            None => {}
        }
        by_client.take(&own, 1, now);
        if let Some(shared) = addresses.of(network(context.peer), now) {
            shared.take(&limits.by_address, 1, now);
        }
        Ok(())
    }
}

impl Addresses {
    /// What is counted of an address, if there is room for it.
    fn of(&mut self, address: IpAddr, now: Timestamp) -> Option<&mut LimitState> {
        if self.busy.len() >= MOST_ADDRESSES && !self.busy.contains_key(&address) {
            let is_recent = self.cleaned.is_some_and(|cleaned| cleaned <= now && now.since(cleaned) < CLEANED);
            if !is_recent {
                self.cleaned = Some(now);
                self.busy.retain(|_, state| !state.is_unused(now));
            }
            if self.busy.len() >= MOST_ADDRESSES {
                return None;
            }
        }
        Some(self.busy.entry(address).or_default())
    }
}

/// Who holds one address of IPv6 holds its network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(whole) => IpAddr::V6(Ipv6Addr::from_bits(whole.to_bits() & (u128::MAX << 64))),
    }
}

fn refused(verdict: &Verdict, by_address: bool) -> (Refusal, Reason) {
    let (window, until) = verdict
        .tightest()
        .map_or_else(Default::default, |standing| (String::from(standing.limit), standing.resets_at.unix_millis()));
    let wait = verdict.retry_after().unwrap_or(1);
    (Refusal::TooManyTokens(wait), Reason::TokensLimited { window, until, by_address })
}

#[cfg(test)]
mod tests;
