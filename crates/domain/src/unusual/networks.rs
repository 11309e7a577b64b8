//! Where a client comes from: a network that it never came from, and a token that is used from two at once.
//!
//! A network is the first 24 bits of an IPv4 address or the first 48 of an IPv6 address, the least that is routed on
//! the Internet and so what one site has. Networks of different families are never compared: one machine has both.

use std::net::IpAddr;
use std::time::Duration;

use super::alert::{Alert, AlertKind, Severity};
use crate::Timestamp;

/// So many networks are known of a client; a client with more comes from everywhere.
const KNOWN: usize = 4;
/// A client has settled when no network was new for so long.
const SETTLED: Duration = Duration::from_secs(7 * 86_400);
/// A network that was not used for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(30 * 86_400);
/// Requests from the known networks before a new one says anything.
const ENOUGH: u32 = 100;
/// Within so long, there and back again is at once.
const AT_ONCE: Duration = Duration::from_secs(60);

/// A /24 of IPv4 or a /48 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    V4([u8; 3]),
    V6([u8; 6]),
}

impl Network {
    fn of(address: IpAddr) -> Self {
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
    since: Timestamp,
    last: Timestamp,
}

/// The networks that a client comes from: at most four, or the knowledge that there are more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    known: [Option<Known>; KNOWN],
    uses: u32,
}

impl Networks {
    /// Takes the address of a request, and says if it is the first from its network by a client that has come from
    /// the same few for seven days or more, in at least a hundred requests.
    pub fn seen(&mut self, now: Timestamp, address: IpAddr) -> Option<Alert> {
        let network = Network::of(address);
        self.uses = self.uses.saturating_add(1);
        for place in &mut self.known {
            if place.is_some_and(|known| known.network != network && now.since(known.last) > FORGOTTEN) {
                *place = None;
            }
        }
        if let Some(known) = self.known.iter_mut().flatten().find(|known| known.network == network) {
            known.last = known.last.max(now);
            return None;
        }
        let alert = self.is_settled(now, network).then(|| self.explained(now, network));
        let oldest = self.known.iter_mut().min_by_key(|place| place.map(|known| known.last))?;
        *oldest = Some(Known { network, since: now, last: now });
        alert
    }

    /// Whether it is full, as it is of a client that comes from everywhere, says nothing; nor does a young one, nor
    /// the first of the other family.
    fn is_settled(&self, now: Timestamp, network: Network) -> bool {
        self.uses > ENOUGH
            && self.known.iter().any(Option::is_none)
            && self.known.iter().flatten().all(|known| now.since(known.since) >= SETTLED)
            && self.known.iter().flatten().any(|known| known.network.is_beside(network))
    }

    /// Whether the address is in a network that the client has settled in.
    #[must_use]
    pub fn is_usual(&self, now: Timestamp, address: IpAddr) -> bool {
        let network = Network::of(address);
        self.known.iter().flatten().any(|known| known.network == network && now.since(known.since) >= SETTLED)
    }

    fn explained(&self, now: Timestamp, network: Network) -> Alert {
        let usual: Vec<String> = self.known.iter().flatten().map(|known| known.network.to_string()).collect();
        let since = self.known.iter().flatten().map(|known| known.since).max().unwrap_or(now);
        let days = now.since(since).as_secs() / 86_400;
        let requests = self.uses - 1;
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
    /// Takes the address of a request, and says once if the token was used from one network, from another, and from
    /// the first one again, all within a minute. A machine that moves changes once and does not come back; a client
    /// that has settled in both networks has two ways out, and is meant to.
    pub fn seen(&mut self, now: Timestamp, address: IpAddr, usual: &Networks) -> Option<Alert> {
        let network = Network::of(address);
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
        if !is_at_once || self.is_told || (usual.is_usual(now, address) && usual.has_settled_in(now, last)) {
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

impl Networks {
    fn has_settled_in(&self, now: Timestamp, network: Network) -> bool {
        self.known.iter().flatten().any(|known| known.network == network && now.since(known.since) >= SETTLED)
    }
}

#[cfg(test)]
mod tests;
