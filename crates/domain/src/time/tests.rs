//! Lifetimes as people write them, and a clock that steps do not move.

use std::sync::Arc;

use super::*;

#[test]
fn lifetimes_have_a_unit_and_bounds() {
    assert_eq!(Lifetime::parse("1h"), Ok(Lifetime::HOUR));
    assert_eq!(Lifetime::parse("30d").unwrap().seconds(), 2_592_000);
    for bad in ["", "h", "0s", "31d", "1", "-1s", "+1s", "1 h", "99999999999h", "1ä"] {
        assert_eq!(Lifetime::parse(bad), Err(LifetimeFault), "{bad:?}");
    }
}

#[test]
fn steps_of_the_calendar_do_not_move_the_clock() {
    let time = Arc::new(ManualTime::starting_at(Timestamp::from_unix_millis(1_000_000)));
    let clock = SteadyClock::start(Arc::clone(&time), None);
    time.pass(Duration::from_secs(10));
    time.step_wall(Timestamp::from_unix_millis(0));
    assert_eq!(clock.now(), Timestamp::from_unix_millis(1_010_000));
    time.step_wall(Timestamp::from_unix_millis(9_000_000));
    time.pass(Duration::from_secs(1));
    assert_eq!(clock.now(), Timestamp::from_unix_millis(1_011_000));
    assert_eq!(clock.wall_ahead_millis(), 7_990_000);
}

#[test]
fn a_calendar_set_back_before_start_does_not_revive_the_past() {
    let newest = Timestamp::from_unix_millis(5_000);
    let clock = SteadyClock::start(ManualTime::starting_at(Timestamp::from_unix_millis(1_000)), Some(newest));
    assert_eq!(clock.now(), newest);
}

#[test]
fn a_timestamp_prints_as_rfc_3339() {
    assert_eq!(Timestamp::from_unix_millis(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
}
