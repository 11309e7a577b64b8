//! How far an address reaches, and so whether a webhook may be there: nothing that the gateway is made to call is on
//! a private network, unless the operator says so. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use thiserror::Error;

/// From where an address is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// From anywhere.
    Public,
    /// From this machine or its own network.
    Private,
    /// By no webhook: groups, links, examples, and what is reserved.
    Never,
}

/// Where a webhook may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MayReach {
    /// Private addresses, which the operator allowed.
    pub(crate) private: bool,
    /// Public ones, over TLS alone.
    pub(crate) public: bool,
}

/// An address where no webhook may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Unreachable {
    #[error("{0} is a private address, and webhook_allow_private is not true")]
    Private(IpAddr),
    #[error("{0} is a public address, to which an alert goes by https:// alone")]
    InClear(IpAddr),
    #[error("{0} is an address at which no webhook can be")]
    Never(IpAddr),
}

impl MayReach {
    /// # Errors
    /// A webhook may not be there.
    pub(crate) fn check(self, address: IpAddr) -> Result<(), Unreachable> {
        match Reach::of(address) {
            Reach::Public if self.public => Ok(()),
            Reach::Private if self.private => Ok(()),
            Reach::Public => Err(Unreachable::InClear(address)),
            Reach::Private => Err(Unreachable::Private(address)),
            Reach::Never => Err(Unreachable::Never(address)),
        }
    }
}

impl Reach {
    /// How far an address reaches, by the registries of special addresses (RFC 6890 and what IANA added since).
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

/// The address in a URL that names one, as a client would read it.
pub(crate) fn address_in(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn of_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        // This machine, private use (RFC 1918), and what carriers share (RFC 6598).
        [127, ..] | [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        // This network, the link and with it the clouds' metadata, protocol assignments, documentation, the old
        // relays of 6to4, benchmarks, groups, and what is reserved.
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Reach::Never,
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] | [0xfc00..=0xfdff, ..] => Reach::Private,
        // IPv4-mapped, and translated by NAT64 (RFC 6052): as what is within.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            of_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Protocol assignments with Teredo, documentation, and 6to4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Never,
        [0x2000..=0x3fff, ..] => Reach::Public,
        // Everything else is a group, a link, obsolete or not yet given out.
        _ => Reach::Never,
    }
}

#[cfg(test)]
mod tests;
