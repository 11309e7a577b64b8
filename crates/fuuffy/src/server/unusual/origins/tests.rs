//! What is told of where a client comes from, and how little is kept of one that stays where it is.

use std::net::IpAddr;

use fuuffy_domain::{Alert, AlertKind, ClientSlot, Minute, Network, RefusedPaths, Sighting};

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 5));

fn at(seconds: u64) -> Timestamp {
    Minute(30_000_000).start().after(Duration::from_secs(seconds))
}

fn token(number: u8) -> Option<TokenUsed> {
    Some(TokenUsed::new(&[number; 16], at(10 * 86_400)))
}

fn seen(from: IpAddr, by: Option<TokenUsed>, (first, last): (u64, u64)) -> Sighting {
    Sighting { from: Network::of(from), by, first: at(first), last: at(last), requests: 2 }
}

fn of(sightings: Vec<Sighting>) -> Seen {
    Seen { client: ClientSlot(0), sightings, refused: None }
}

/// What is kept of one client.
#[derive(Default)]
struct Client {
    origins: Origins,
    networks: Networks,
}

impl Client {
    fn take(&mut self, now: Timestamp, seen: &Seen) -> Vec<Change> {
        self.origins.take(now, seen, &mut self.networks)
    }
}

/// A client that made 120 requests an hour from one network for eight days.
fn settled() -> Client {
    let mut client = Client::default();
    for hour in 0..8 * 24 {
        let told = client.take(at(hour * 3600), &of(vec![seen(HERE, token(1), (hour * 3600, hour * 3600 + 59)); 60]));
        assert!(told.is_empty(), "{told:?}");
    }
    client
}

fn opened(changes: &[Change]) -> Vec<&'static str> {
    let kind = |change: &Change| if let Change::Opened(Alert { kind, .. }) = change { Some(kind.name()) } else { None };
    changes.iter().filter_map(kind).collect()
}

const NOW: u64 = 8 * 86_400;

#[test]
fn a_secret_that_is_used_elsewhere_is_told_of_once() {
    let mut client = settled();
    assert!(client.origins.is_empty(), "nothing is kept of the tokens of whoever stays in one place");
    let elsewhere = of(vec![seen(HERE, token(1), (NOW, NOW + 50)), seen(THERE, None, (NOW + 20, NOW + 20))]);
    assert_eq!(opened(&client.take(at(NOW + 60), &elsewhere)), ["new_network"]);
    let its_token = of(vec![seen(THERE, token(2), (NOW + 70, NOW + 90))]);
    assert_eq!(opened(&client.take(at(NOW + 120), &its_token)), [""; 0]);
}

#[test]
fn a_token_in_two_places_within_a_minute_is_one_alert_and_the_worse_one() {
    let mut client = settled();
    let stolen = of(vec![seen(HERE, token(1), (NOW, NOW + 50)), seen(THERE, token(1), (NOW + 20, NOW + 20))]);
    let changes = client.take(at(NOW + 60), &stolen);
    assert_eq!(opened(&changes), ["token_from_two_networks"]);
    assert!(matches!(&changes[1], Change::Joined(Alert { kind: AlertKind::NewNetwork, .. })), "{changes:?}");
    // The same in the order in which the minutes show it.
    let mut client = settled();
    assert_eq!(opened(&client.take(at(NOW + 60), &of(vec![seen(THERE, token(1), (NOW, NOW + 50))]))), ["new_network"]);
    let back = of(vec![seen(HERE, token(1), (NOW + 61, NOW + 100)), seen(THERE, token(1), (NOW + 70, NOW + 110))]);
    assert_eq!(opened(&client.take(at(NOW + 120), &back)), ["token_from_two_networks"], "for it is worse");
}

#[test]
fn what_is_kept_of_tokens_is_bounded_and_forgotten_with_them() {
    let mut client = settled();
    let tokens = (0..40)
        .flat_map(|number| [seen(HERE, token(number), (NOW, NOW)), seen(THERE, token(number), (NOW + 1, NOW + 1))]);
    client.take(at(NOW + 60), &of(tokens.collect()));
    assert_eq!(client.origins.tokens.len(), TOKENS);
    assert!(client.origins.tick(at(10 * 86_400)).is_none());
    assert!(client.origins.is_empty());
}

#[test]
fn a_scan_is_told_of_and_ends_by_itself() {
    let mut client = Client::default();
    let mut paths = RefusedPaths::default();
    (0..100_u64).for_each(|path| paths.add(path.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)));
    let scan = Seen { refused: Some(Box::new(paths)), ..of(vec![seen(HERE, token(1), (0, 50))]) };
    assert_eq!(opened(&client.take(at(60), &scan)), ["scan"]);
    let ended = (2..60).find_map(|minute| client.origins.tick(at(minute * 60)));
    assert!(matches!(ended, Some(Change::Closed { kind: AlertKind::Scan, .. })), "{ended:?}");
}
