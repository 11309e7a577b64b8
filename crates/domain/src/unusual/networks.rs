//! Where a client comes from: a network that it never came from, and a token that is used from two at once.
//!
//! Times are kept in whole minutes where a week is what matters, so that all networks of a client are 68 bytes.
//!
//! A network is the first 24 bits of an IPv4 address or the first 48 of an IPv6 address, the least that is routed on
//! the Internet and so what one site has. Networks of different families are never compared: one machine has both.

mod bytes;

use std::net::IpAddr;
use std::time::Duration;

use super::alert::{Alert, AlertKind, Severity};
use crate::Timestamp;

/// So many networks are known of a client; a client with more comes from everywhere.
const KNOWN: usize = 4;
/// A client has settled when no network was new for so long, in minutes.
const SETTLED: u32 = 7 * 24 * 60;
/// A network that was not used for so long is forgotten.
const FORGOTTEN: u32 = 30 * 24 * 60;
/// Requests from the known networks before a new one says anything.
const ENOUGH: u32 = 100;
/// Within so long, there and back again is at once.
const AT_ONCE: Duration = Duration::from_secs(60);

/// A /24 of IPv4 or a /48 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The first 24 bits.
    V4([u8; 3]),
    /// The first 48 bits.
    V6([u8; 6]),
}

impl Network {
    /// The network that an address is in.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, ..] = address.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }

    fn is_beside(self, other: Self) -> bool {
        matches!((self, other), (Self::V4(_), Self::V4(_)) | (Self::V6(_), Self::V6(_)))
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6([a, b, c, d, e, g]) => {
                let group = |high: u8, low: u8| u16::from_be_bytes([high, low]);
                let start = std::net::Ipv6Addr::new(group(*a, *b), group(*c, *d), group(*e, *g), 0, 0, 0, 0, 0);
                write!(f, "{start}/48")
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    network: Network,
    /// Minutes since 1970.
    since: u32,
    last: u32,
}

impl Known {
    fn has_settled(&self, minute: u32) -> bool {
        minute.saturating_sub(self.since) >= SETTLED
    }
}

/// The networks that a client comes from: at most four, or the knowledge that there are more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    known: [Option<Known>; KNOWN],
    uses: u32,
}

fn minute_of(now: Timestamp) -> u32 {
    u32::try_from(now.unix_millis().div_euclid(60_000).max(0)).unwrap_or(u32::MAX)
}

impl Networks {
    /// Takes the network of some requests, and says if they are the first from it by a client that has come from the
    /// same few for seven days or more, in at least a hundred requests.
    pub fn seen(&mut self, now: Timestamp, network: Network, requests: u32) -> Option<Alert> {
        let (minute, before) = (minute_of(now), self.uses);
        self.uses = self.uses.saturating_add(requests);
        for place in &mut self.known {
            if place.is_some_and(|known| known.network != network && minute.saturating_sub(known.last) > FORGOTTEN) {
                *place = None;
            }
        }
        if let Some(known) = self.known.iter_mut().flatten().find(|known| known.network == network) {
            known.last = known.last.max(minute);
            return None;
        }
        let alert = self.is_settled(minute, before, network).then(|| self.explained(now, before, network));
        let oldest = self.known.iter_mut().min_by_key(|place| place.map(|known| known.last))?;
        *oldest = Some(Known { network, since: minute, last: minute });
        alert
    }

    /// How many networks are known.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known.iter().flatten().count()
    }

    /// Whether it is full, as it is of a client that comes from everywhere, says nothing; nor does a young one, nor
    /// the first of the other family.
    fn is_settled(&self, minute: u32, before: u32, network: Network) -> bool {
        before >= ENOUGH
            && self.known.iter().any(Option::is_none)
            && self.known.iter().flatten().all(|known| known.has_settled(minute))
            && self.known.iter().flatten().any(|known| known.network.is_beside(network))
    }

    /// Whether the client has settled in a network.
    #[must_use]
    pub fn is_usual(&self, now: Timestamp, network: Network) -> bool {
        let minute = minute_of(now);
        self.known.iter().flatten().any(|known| known.network == network && known.has_settled(minute))
    }

    fn explained(&self, now: Timestamp, requests: u32, network: Network) -> Alert {
        let usual: Vec<String> = self.known.iter().flatten().map(|known| known.network.to_string()).collect();
        let since = self.known.iter().flatten().map(|known| known.since).max();
        let days = since.map_or(0, |since| minute_of(now).saturating_sub(since)) / (24 * 60);
        let words = format!(
            "The client made a request from {network}, which it never came from. For {days} days all its requests, \
             {requests} of them, came from {}. Ask its owner whether it moved; if not, rotate its secret and revoke its \
             tokens.",
            usual.join(" and ")
        );
        Alert { kind: AlertKind::NewNetwork, severity: Severity::Warning, opened_at: now, words }
    }
}

/// The last two networks that one token was used from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenUse {
    last: Option<(Network, Timestamp)>,
    before: Option<(Network, Timestamp)>,
    is_told: bool,
}

impl TokenUse {
    /// Takes the network of a request, and says once if the token was used from one network, from another, and from
    /// the first one again, all within a minute. A machine that moves changes once and does not come back; a client
    /// that has settled in both networks has two ways out, and is meant to.
    pub fn seen(&mut self, now: Timestamp, network: Network, usual: &Networks) -> Option<Alert> {
        let Some((last, at)) = self.last else {
            self.last = Some((network, now));
            return None;
        };
        if !last.is_beside(network) {
            return None;
        }
        if last == network {
            self.last = Some((network, now));
            return None;
        }
        let came_back = self.before.filter(|(before, _)| *before == network).map(|(_, at)| now.since(at));
        (self.before, self.last) = (Some((last, at)), Some((network, now)));
        let is_at_once = came_back.is_some_and(|after| after <= AT_ONCE);
        if !is_at_once || self.is_told || (usual.is_usual(now, network) && usual.is_usual(now, last)) {
            return None;
        }
        self.is_told = true;
        let words = format!(
            "One token was used from {network}, from {last} and from {network} again within {} seconds. A token belongs \
             to one program in one place. Ask the client's owner whether it hands its token on; if not, revoke the \
             client's tokens and rotate its secret.",
            came_back.unwrap_or_default().as_secs().max(1)
        );
        Some(Alert { kind: AlertKind::TokenFromTwoNetworks, severity: Severity::Critical, opened_at: now, words })
    }
}

#[cfg(test)]
mod tests;
