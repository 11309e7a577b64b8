//! Counting: everything is taken, once.

use std::time::Duration;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

fn ok() -> Ended {
    Ended { status: 200, was_limited: false, was_observed: false, has_failed: false, took: Duration::from_millis(1) }
}

#[test]
fn what_was_counted_is_taken_once_by_minute_and_route() {
    let tally = Tally::default();
    let client = tally.of(ClientSlot(3));
    let next = NOW.after(Duration::from_secs(60));
    for (at, route) in [(NOW, "/a"), (NOW, "/b"), (NOW, "/a"), (next, "/a"), (NOW, "/a")] {
        client.note(at, route, ok());
    }
    let taken = tally.take(next);
    let shown: Vec<_> = taken.iter().map(|it| (it.client.0, it.minute, &*it.route, it.usage.requests)).collect();
    assert_eq!(shown, [(3, Minute::of(NOW), "/a", 3), (3, Minute::of(NOW), "/b", 1), (3, Minute::of(next), "/a", 1)]);
    assert_eq!(tally.take(next), []);
    client.note(next, "/a", ok());
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
    client.note(later, "/a", ok());
    assert_eq!(tally.take(later).len(), 1);
    assert!(client.counts.lock().bytes.is_empty());
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
                        client.note(NOW, "/a", ok());
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
