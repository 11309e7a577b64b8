//! When secrets are replaced, without a clock.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::{Beginning, DAY, LiveSecret, Schedule, Stage};
use crate::Error;

fn secret(stage: Stage, expires_in: Option<Duration>) -> LiveSecret {
    let created_at = SystemTime::UNIX_EPOCH + 20_000 * DAY;
    LiveSecret { secret_id: "sec_1".to_owned(), created_at, expires_at: expires_in.map(|it| created_at + it), stage }
}

fn at_age(secret: &LiveSecret, age: Duration, older_than: Option<Duration>) -> Beginning {
    secret.beginning(older_than, secret.created_at + age)
}

#[test]
fn a_secret_is_replaced_when_it_is_old_enough() {
    let month = 30 * DAY;
    let live = secret(Stage::Live, None);
    assert_eq!(at_age(&live, Duration::ZERO, None), Beginning::Replace, "who asks without an age means now");
    assert_eq!(at_age(&live, 29 * DAY, Some(month)), Beginning::Wait(DAY));
    assert_eq!(at_age(&live, month, Some(month)), Beginning::Replace);
    let before_it_was_made = live.beginning(Some(month), live.created_at - DAY);
    assert_eq!(before_it_was_made, Beginning::Wait(month), "a calendar that is behind replaces nothing early");
}

#[test]
fn one_that_is_kept_and_was_not_confirmed_is_finished() {
    for older_than in [None, Some(Duration::ZERO), Some(30 * DAY)] {
        assert_eq!(at_age(&secret(Stage::Pending, None), DAY, older_than), Beginning::Finish);
    }
}

#[test]
fn one_that_ends_is_replaced_before_it_does() {
    let ends = secret(Stage::Live, Some(10 * DAY));
    assert_eq!(at_age(&ends, 7 * DAY, Some(30 * DAY)), Beginning::Wait(DAY));
    assert_eq!(at_age(&ends, 8 * DAY, Some(30 * DAY)), Beginning::Replace);
    assert_eq!(at_age(&ends, 3 * DAY, Some(3 * DAY)), Beginning::Replace);
}

#[test]
fn one_that_is_to_go_is_replaced_within_a_day() {
    let retiring = secret(Stage::Retiring, None);
    assert_eq!(at_age(&retiring, Duration::ZERO, Some(30 * DAY)), Beginning::Wait(DAY));
    assert_eq!(at_age(&retiring, DAY, Some(30 * DAY)), Beginning::Replace);
}

#[test]
fn failures_in_a_row_are_met_with_patience() {
    let mut schedule = Schedule::new(30 * DAY, 0.5);
    let error = Error::credentials("there is no room");
    let waits: Vec<_> = (0..12).map(|chance| schedule.failed(&error, chance)).collect();
    assert!(waits[0] >= Duration::from_secs(60) && waits[0] <= Duration::from_secs(120), "{waits:?}");
    assert!(waits[11] >= Duration::from_secs(3600) && waits[11] <= Duration::from_secs(7200), "{waits:?}");
    assert_eq!(schedule.failed(&error.again_after(DAY / 2), 0), DAY / 2, "the server asked for more");
    assert_eq!(schedule.failed(&Error::unwritable("it is a link"), 0), DAY);
    schedule.succeeded(DAY);
    assert!(schedule.failed(&error, 0) <= Duration::from_secs(120));
}

proptest! {
    /// No secret gets older than was asked for, whatever chance says.
    #[test]
    fn chance_makes_it_sooner_and_never_later(hours in 1u64..10_000, chance in 0.0f64..1.0, due in 0u64..u64::from(u32::MAX)) {
        let every = Duration::from_secs(hours * 3600);
        let mut schedule = Schedule::new(every, chance);
        prop_assert!(schedule.older_than() <= every && schedule.older_than() >= every.mul_f64(0.89));
        let wait = schedule.succeeded(Duration::from_secs(due));
        prop_assert!(wait >= Duration::from_secs(1) && wait <= DAY);
    }
}
