//! Who is throttled, and until when.

use std::net::{IpAddr, Ipv4Addr};

use fuuffy_domain::RequestId;

use super::*;

fn at(millis: i64, last_octet: u8) -> RequestContext {
    let now = Timestamp::from_unix_millis(1_000_000 + millis);
    RequestContext {
        id: RequestId::generate(now, [0; 10]),
        peer: IpAddr::V4(Ipv4Addr::new(127, 0, 0, last_octet)),
        now,
    }
}

#[test]
fn a_flood_is_noticed_by_client_and_by_address_and_forgotten_after_the_window() {
    let throttle = Throttle::default();
    for _ in 0..FAILURES {
        assert_eq!(throttle.standing(&at(0, 1), "victim"), Standing::Good);
        throttle.note_failure(&at(0, 1), "victim");
    }
    assert_eq!(throttle.standing(&at(500, 2), "victim"), Standing::Exhausted(60));
    assert_eq!(throttle.standing(&at(500, 1), "other"), Standing::Exhausted(60));
    assert_eq!(throttle.whose(&at(500, 2), "victim"), [true, false]);
    assert_eq!(throttle.whose(&at(500, 1), "other"), [false, true]);
    assert_eq!(throttle.standing(&at(60_000, 1), "victim"), Standing::Good);
    assert_eq!(throttle.whose(&at(60_000, 1), "victim"), [false, false]);
}

#[test]
fn what_claims_no_client_counts_against_the_address_alone() {
    let throttle = Throttle::default();
    for _ in 0..FAILURES {
        assert_eq!(throttle.standing_of_address(&at(0, 1)), Standing::Good);
        throttle.note_failure_from_address(&at(0, 1));
    }
    assert_eq!(throttle.standing_of_address(&at(500, 1)), Standing::Exhausted(60));
    assert_eq!(throttle.standing(&at(500, 1), "anybody"), Standing::Exhausted(60), "with wrong secrets as well");
    assert_eq!(throttle.standing_of_address(&at(500, 2)), Standing::Good);
    assert_eq!(throttle.standing(&at(500, 2), ""), Standing::Good);
}

#[test]
fn those_who_failed_too_often_take_turns_and_none_waits_for_ever() {
    let (throttle, now) = (Throttle::default(), Instant::now());
    let wait = |now: Instant| throttle.take_turn(now).duration_since(now);
    for before in 0..=1000 {
        assert_eq!(wait(now), Duration::from_millis(before));
    }
    assert_eq!([wait(now), wait(now)], [LONGEST; 2]);
    // The turns that are given away hold, and time goes on.
    assert_eq!(wait(now + Duration::from_millis(500)), Duration::from_millis(501));
    assert_eq!(wait(now + Duration::from_secs(10)), Duration::ZERO);
}
