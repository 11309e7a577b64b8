//! When a network is new for a client and when it is not, and when a token is in two places.

use super::{Network, Networks, TokenUse};
use crate::unusual::bytes::ForeignBytes;
use crate::unusual::pack::{Reader, Writer};
use crate::{AlertKind, Timestamp};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_793_577_600_000 + millis)
}

fn ip(text: &str) -> Network {
    Network::of(text.parse().unwrap())
}

/// A client that came from these addresses once an hour for so many days.
fn settled(addresses: &[&str], days: i64) -> Networks {
    let mut networks = Networks::default();
    for hour in 0..days * 24 {
        for address in addresses {
            assert_eq!(networks.seen(at(hour * HOUR), ip(address), 1), None);
        }
    }
    networks
}

#[test]
fn a_new_network_is_told_once_with_both_networks_in_words() {
    let mut networks = settled(&["198.51.100.7"], 8);
    assert_eq!(networks.seen(at(8 * DAY), ip("198.51.100.99"), 1), None, "the same network");
    let alert = networks.seen(at(8 * DAY), ip("203.0.113.5"), 1).unwrap();
    assert_eq!(alert.kind, AlertKind::NewNetwork);
    let words = "The client made a request from 203.0.113.0/24, which it never came from. For 8 days all its requests, \
                 193 of them, came from 198.51.100.0/24.";
    assert!(alert.words.starts_with(words), "{}", alert.words);
    assert_eq!(networks.seen(at(8 * DAY + HOUR), ip("203.0.113.6"), 1), None, "known by now");
    assert_eq!(networks.seen(at(8 * DAY + HOUR), ip("192.0.2.1"), 1), None, "nothing is settled for another week");
}

#[test]
fn the_young_the_rare_and_those_from_everywhere_are_left_alone() {
    assert_eq!(settled(&["198.51.100.7"], 6).seen(at(6 * DAY), ip("203.0.113.5"), 1), None, "six days are not enough");
    let mut rare = Networks::default();
    for day in 0..20 {
        rare.seen(at(day * DAY), ip("198.51.100.7"), 1);
    }
    assert_eq!(rare.seen(at(20 * DAY), ip("203.0.113.5"), 1), None, "twenty requests are not enough");
    let everywhere = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "100.64.0.1"];
    assert_eq!(settled(&everywhere, 9).seen(at(9 * DAY), ip("100.65.0.1"), 1), None);
    let first_of_its_family = settled(&["198.51.100.7"], 9).seen(at(9 * DAY), ip("2001:db8:1::5"), 1);
    assert_eq!(first_of_its_family, None);
}

#[test]
fn a_network_of_ipv6_is_a_48_and_a_mapped_address_is_ipv4() {
    let mut networks = settled(&["2001:db8:1:2::3", "::ffff:198.51.100.7"], 8);
    assert_eq!(networks.seen(at(8 * DAY), ip("2001:db8:1:ffff::9"), 1), None);
    assert_eq!(networks.seen(at(8 * DAY), ip("198.51.100.8"), 1), None);
    let alert = networks.seen(at(8 * DAY), ip("2001:db8:2::9"), 1).unwrap();
    assert!(alert.words.contains("from 2001:db8:2::/48,"), "{}", alert.words);
}

#[test]
fn what_was_not_used_for_a_month_is_new_again() {
    let mut networks = settled(&["198.51.100.7"], 8);
    networks.seen(at(8 * DAY), ip("203.0.113.5"), 1).unwrap();
    for hour in 0..31 * 24 {
        networks.seen(at(9 * DAY + hour * HOUR), ip("198.51.100.7"), 1);
    }
    assert!(networks.seen(at(41 * DAY), ip("203.0.113.5"), 1).is_some());
}

#[test]
fn a_token_that_goes_to_and_fro_within_a_minute_is_in_two_places() {
    let (here, there) = (ip("198.51.100.7"), ip("203.0.113.5"));
    let nothing = Networks::default();
    let mut token = TokenUse::default();
    assert_eq!(token.seen(at(0), here, &nothing), None);
    assert_eq!(token.seen(at(10_000), there, &nothing), None, "a machine may move");
    let alert = token.seen(at(20_000), here, &nothing).unwrap();
    assert_eq!(alert.kind, AlertKind::TokenFromTwoNetworks);
    assert!(
        alert.words.starts_with("One token was used from 198.51.100.0/24, from 203.0.113.0/24 and"),
        "{}",
        alert.words
    );
    assert_eq!(token.seen(at(30_000), there, &nothing), None, "it is told once");

    let mut slow = TokenUse::default();
    assert_eq!(slow.seen(at(0), here, &nothing), None);
    assert_eq!(slow.seen(at(70_000), there, &nothing), None);
    assert_eq!(slow.seen(at(140_000), here, &nothing), None, "a minute apart is no longer at once");
}

#[test]
fn two_families_and_two_usual_ways_out_are_one_place() {
    let mut token = TokenUse::default();
    for second in 0..20 {
        let address = if second % 2 == 0 { "198.51.100.7" } else { "2001:db8::1" };
        assert_eq!(token.seen(at(second * 1000), ip(address), &Networks::default()), None);
    }
    let usual = settled(&["198.51.100.7", "203.0.113.5"], 9);
    let mut token = TokenUse::default();
    for second in 0..20 {
        let address = if second % 2 == 0 { "198.51.100.7" } else { "203.0.113.5" };
        assert_eq!(token.seen(at(9 * DAY + second * 1000), ip(address), &usual), None);
    }
    // A network that is not usual is another place all the same.
    token.seen(at(9 * DAY + 21_000), ip("192.0.2.1"), &usual);
    assert!(token.seen(at(9 * DAY + 22_000), ip("203.0.113.5"), &usual).is_some());
}

#[test]
fn a_clock_that_jumps_does_no_harm() {
    let (mut networks, mut token) = (settled(&["198.51.100.7"], 8), TokenUse::default());
    for millis in [i64::MAX, i64::MIN, 0, i64::MAX - 1, -1] {
        for address in ["198.51.100.7", "203.0.113.5", "2001:db8::1"] {
            networks.seen(Timestamp::from_unix_millis(millis), ip(address), 1);
            token.seen(Timestamp::from_unix_millis(millis), ip(address), &networks);
        }
    }
}

#[test]
fn networks_are_small_and_known_after_a_restart() {
    assert_eq!(size_of::<Networks>(), 68);
    let networks = settled(&["198.51.100.7", "2001:db8:1::5"], 8);
    let bytes = written(&networks);
    assert!(bytes.len() <= 32, "{}", bytes.len());
    let mut kept = Networks::read(&mut Reader(&bytes)).unwrap();
    assert_eq!(kept, networks);
    assert!(kept.seen(at(8 * DAY), ip("203.0.113.5"), 1).is_some());
    assert_eq!(Networks::read(&mut Reader(&written(&Networks::default()))), Ok(Networks::default()));
}

#[test]
fn foreign_bytes_are_no_networks() {
    let bytes = written(&settled(&["198.51.100.7", "203.0.113.5"], 1));
    for length in 0..bytes.len() {
        assert_eq!(Networks::read(&mut Reader(&bytes[..length])), Err(ForeignBytes), "{length} bytes");
    }
    let family = bytes.len() - bytes[1..].iter().rev().position(|byte| *byte == 4).unwrap() - 1;
    for (place, wrong) in [(0, 5), (0, 0xff), (family, 5)] {
        let mut other = bytes.clone();
        other[place] = wrong;
        assert_eq!(Networks::read(&mut Reader(&other)), Err(ForeignBytes), "byte {place}");
    }
}

fn written(networks: &Networks) -> Vec<u8> {
    let mut writer = Writer::default();
    networks.write(&mut writer);
    writer.0
}
