//! Counting: everything is taken, once.

use std::time::Duration;

use super::*;
use crate::RefusedPaths;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

fn call(at: Timestamp, route: &str) -> Call<'_> {
    Call { at, route, ended: ok(), from: HERE, by: None, path: 0 }
}

fn ok() -> Ended {
    Ended { status: 200, was_limited: false, was_observed: false, has_failed: false, took: Duration::from_millis(1) }
}

#[test]
fn what_was_counted_is_taken_once_by_minute_and_route() {
    let tally = Tally::default();
    let client = tally.of(ClientSlot(3));
    let next = NOW.after(Duration::from_secs(60));
    for (at, route) in [(NOW, "/a"), (NOW, "/b"), (NOW, "/a"), (next, "/a"), (NOW, "/a")] {
        client.note(call(at, route));
    }
    let taken = tally.take(next);
    let shown: Vec<_> = taken.iter().map(|it| (it.client.0, it.minute, &*it.route, it.usage.requests)).collect();
    assert_eq!(shown, [(3, Minute::of(NOW), "/a", 3), (3, Minute::of(NOW), "/b", 1), (3, Minute::of(next), "/a", 1)]);
    assert_eq!(tally.take(next), []);
    client.note(call(next, "/a"));
    assert_eq!(tally.take(next).len(), 1);
}

#[test]
fn bytes_count_while_they_move_and_belong_to_the_minute_they_move_in() {
    let tally = Tally::default();
    let mover = tally.of(ClientSlot(0)).mover("/a");
    mover.to_api(10);
    mover.to_client(1000);
    mover.to_client(1);
    let taken = tally.take(NOW);
    assert_eq!((taken.len(), taken[0].usage.bytes_in, taken[0].usage.bytes_out), (1, 10, 1001));
    assert_eq!(taken[0].usage.requests, 0);
    mover.to_client(5);
    let later = NOW.after(Duration::from_secs(600));
    let taken = tally.take(later);
    assert_eq!((taken[0].minute, taken[0].usage.bytes_out), (Minute::of(later), 5));
    drop(mover);
    assert_eq!(tally.take(later), []);
    // A route that nobody uses any more is forgotten.
    let client = tally.of(ClientSlot(0));
    client.note(call(later, "/a"));
    assert_eq!(tally.take(later).len(), 1);
    assert!(client.counts.lock().of_late.is_none());
}

#[test]
fn nothing_is_lost_or_counted_twice_while_many_count_and_one_takes() {
    const CALLERS: u64 = 4;
    const EACH: u64 = 20_000;
    let tally = Tally::default();
    let mut all = Usage::default();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|number| {
                let client = tally.of(ClientSlot(u32::try_from(number % 2).unwrap()));
                scope.spawn(move || {
                    let mover = client.mover("/a");
                    for _ in 0..EACH {
                        client.note(call(NOW, "/a"));
                        mover.to_client(7);
                    }
                })
            })
            .collect();
        while !callers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            tally.take(NOW).iter().for_each(|counted| all.add(&counted.usage));
        }
    });
    tally.take(NOW).iter().for_each(|counted| all.add(&counted.usage));
    assert_eq!((all.requests, all.bytes_out), (CALLERS * EACH, 7 * CALLERS * EACH));
}

/// A token by a number.
fn token(number: u8) -> Option<TokenUsed> {
    Some(TokenUsed::new(&[number; 16], NOW))
}

fn all_seen(tally: &Tally) -> Vec<Seen> {
    tally.take_seen().collect()
}

#[test]
fn where_a_client_was_seen_is_taken_once_however_often_it_called() {
    let tally = Tally::default();
    let (client, there) = (tally.of(ClientSlot(3)), IpAddr::from([203, 0, 113, 5]));
    let at = |seconds| NOW.after(Duration::from_secs(seconds));
    for second in 0..10 {
        client.note(Call { by: token(1), ..call(at(second), "/a") });
    }
    client.note(Call { by: token(1), from: there, ..call(at(10), "/a") });
    client.note(Call { by: token(1), ..call(at(11), "/a") });
    client.note(call(at(12), "/token"));
    // What usage takes is another thing.
    assert_eq!(tally.take(NOW).len(), 2);
    let [seen] = &all_seen(&tally)[..] else { panic!() };
    let shown: Vec<_> = seen
        .sightings
        .iter()
        .map(|it| (it.from.to_string(), it.by.is_some(), it.last.since(it.first).as_secs(), it.requests))
        .collect();
    let (here, there) = ("198.51.100.0/24".to_owned(), "203.0.113.0/24".to_owned());
    assert_eq!(shown, [(here.clone(), true, 11, 11), (there, true, 0, 1), (here, false, 0, 1)]);
    assert_eq!((seen.client, &seen.refused), (ClientSlot(3), &None));
    assert!(all_seen(&tally).is_empty());
    client.note(call(NOW, "/a"));
    assert_eq!(all_seen(&tally).len(), 1);
}

#[test]
fn a_client_is_told_of_in_bounded_room_and_its_networks_before_its_tokens() {
    let tally = Tally::default();
    let client = tally.of(ClientSlot(0));
    for number in 0..=255 {
        client.note(Call { by: token(number), ..call(NOW, "/a") });
    }
    client.note(Call { by: token(0), from: [203, 0, 113, 5].into(), ..call(NOW, "/a") });
    let [seen] = &all_seen(&tally)[..] else { panic!() };
    assert_eq!(seen.sightings.iter().filter(|it| it.by.is_some()).count(), 32);
    assert_eq!(seen.sightings[32].requests, 256 - 32, "the others by their network");
    assert_eq!((seen.sightings.len(), seen.sightings[33].from.to_string().as_str()), (34, "203.0.113.0/24"));
    for number in 0..=255 {
        client.note(Call { from: [10, number, 0, 1].into(), ..call(NOW, "/a") });
    }
    assert!(all_seen(&tally)[0].sightings.len() <= 40);
}

#[test]
fn refused_paths_are_counted_by_a_hash_that_nobody_can_guess() {
    let tally = Tally::new(PathKey([7; 16]));
    assert_ne!(tally.path("/a"), Tally::default().path("/a"));
    let client = tally.of(ClientSlot(0));
    let mut expected = RefusedPaths::default();
    for (path, status) in [("/a", 200), ("/b", 404), ("/c", 401), ("/d", 403), ("/e", 500), ("/f", 429), ("/b", 404)] {
        let path = tally.path(path);
        client.note(Call { ended: Ended { status, ..ok() }, path, ..call(NOW, "/") });
        if matches!(status, 401 | 403 | 404) {
            expected.add(path);
        }
    }
    assert_eq!(all_seen(&tally)[0].refused.as_deref(), Some(&expected));
}

#[test]
fn requests_of_strangers_are_counted_by_what_became_of_them() {
    let tally = Tally::default();
    for status in [401, 401, 403, 404, 429, 503, 421] {
        tally.note_stranger(status);
    }
    let Usage { requests, classes, forbidden, not_found, limited, .. } = tally.take_strangers();
    assert_eq!((requests, classes, forbidden, not_found, limited), (7, [0, 0, 0, 6, 1], 3, 1, 1));
    assert_eq!(tally.take_strangers(), Usage::default());
}
