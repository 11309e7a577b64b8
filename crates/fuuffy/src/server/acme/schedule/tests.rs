//! Moments of certificates and of failures.

use super::*;

const START: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life_or_a_little_earlier() {
    let end = START.after(days(90));
    assert_eq!(renewal(START, end, 0), START.after(days(60)));
    assert_eq!(renewal(START, end, 255), START.after(days(57)));
    let between = renewal(START, end, 100);
    assert!(between > START.after(days(57)) && between < START.after(days(60)));
    assert_eq!(renewal(START, START, 255), START, "one without a life");
}

#[test]
fn one_that_was_just_given_rests() {
    assert_eq!(rest(START, START, START.after(days(90))), START.after(days(1)));
    assert_eq!(rest(START, START, START.after(Duration::from_secs(3 * 3600))), START.after(Duration::from_secs(3600)));
}

#[test]
fn failures_are_farther_and_farther_apart_up_to_half_a_day() {
    let minutes = |failures| next(failures, START, None, 0).since(START).as_secs() / 60;
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 100].map(minutes), [15, 30, 60, 120, 240, 480, 720, 720]);
    assert_eq!(next(7, START, None, 255).since(START), Duration::from_secs(15 * 3600));
    let asked = |seconds| next(1, START, Some(Duration::from_secs(seconds)), 0).since(START).as_secs();
    assert_eq!((asked(60), asked(7200), asked(u64::MAX)), (900, 7200, 604_800));
}
