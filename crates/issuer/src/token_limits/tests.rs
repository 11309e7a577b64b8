//! Who may ask for how many tokens, in how much memory.

use std::net::Ipv4Addr;

use fuuffy_domain::Limit;

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_millis(1_000_000).after(Duration::from_secs(seconds))
}

#[test]
fn an_address_of_ipv6_counts_with_its_network() {
    let network = |text: &str| network(text.parse().unwrap()).to_string();
    assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(network("192.0.2.7"), "192.0.2.7");
}

/// However many addresses ask, no more are kept; those whose windows are over make room.
#[test]
fn addresses_take_bounded_memory() {
    let plan = Plan::of(vec![Limit::parse("1/min").unwrap()]);
    let mut addresses = Addresses::default();
    let address = |number: usize| IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap()));
    for number in 0..MOST_ADDRESSES {
        addresses.of(address(number), at(0)).unwrap().take(&plan, 1, at(0));
    }
    assert!(addresses.of(address(MOST_ADDRESSES), at(59)).is_none(), "all are busy");
    assert!(addresses.of(address(0), at(59)).unwrap().take(&plan, 1, at(59)).wait.is_some());
    assert!(addresses.of(address(MOST_ADDRESSES), at(60)).is_some());
    assert_eq!(addresses.busy.len(), 1);
}
