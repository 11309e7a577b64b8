//! What holds for every sequence of samples: no panic, bounded influence, a restart that changes nothing.

use proptest::prelude::*;

use super::super::bytes::sum;
use super::{DAY, HOUR, History, MACHINE, Measure, OFFICE, Sample, WEEK, about, at, machine, office, run, sample};
use crate::Timestamp;

fn any_sample() -> impl Strategy<Value = Sample> {
    let counts = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    let rest = (any::<u64>(), any::<u64>(), any::<Option<u32>>());
    (counts, rest).prop_map(|((requests, forbidden, not_found, limited, server_errors), rest)| {
        let (bytes_in, bytes_out, latency) = rest;
        Sample { requests, forbidden, not_found, limited, server_errors, bytes_in, bytes_out, latency }
    })
}

/// Minutes of the week that follows the learned ones, as usual reads them.
fn usual_week(history: &History) -> Vec<f32> {
    (0..168).map(|hour| history.usual(Measure::Volume, at(hour * HOUR)).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_sequence_of_times_and_samples_panics_or_makes_a_history_that_cannot_be_kept(
        steps in proptest::collection::vec((any::<bool>(), any::<i64>(), 0_i64..2000, any_sample()), 1..60)
    ) {
        let mut history = OFFICE.clone();
        let mut now = at(4 * WEEK).unix_millis();
        for (is_wild, wild, minutes, sample) in steps {
            now = if is_wild { wild } else { now.saturating_add((minutes - 100) * 60_000) };
            history.observe(Timestamp::from_unix_millis(now), &sample, &[]);
            if wild % 5 == 0 {
                history.interrupt(Timestamp::from_unix_millis(wild));
            }
        }
        prop_assert_eq!(History::from_bytes(&history.to_bytes()), Ok(history));
    }

    #[test]
    fn foreign_bytes_are_refused_and_forged_ones_do_no_harm(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..1400),
        at_byte in 0..History::BYTES,
        flip in 1..=255_u8,
        samples in proptest::collection::vec(any_sample(), 1..40),
    ) {
        prop_assert!(History::from_bytes(&bytes).is_err());
        let mut damaged = MACHINE.to_bytes();
        damaged[at_byte] ^= flip;
        prop_assert!(History::from_bytes(&damaged).is_err());
        // Whoever can make the sum fit can make any history, but none that panics.
        let mut forged = MACHINE.to_bytes();
        bytes.resize(History::BYTES, 7);
        let body = History::BYTES - 8;
        forged[12..body].iter_mut().zip(&bytes).skip(at_byte).take(200).for_each(|(old, new)| *old = *new);
        let fits = sum(&forged[..body]).to_le_bytes();
        forged[body..].copy_from_slice(&fits);
        if let Ok(mut history) = History::from_bytes(&forged) {
            for (minute, sample) in samples.iter().enumerate() {
                history.observe(at(3 * WEEK + 10 * u32::try_from(minute).unwrap()), sample, &[]);
            }
        }
    }

    /// However large it is, a minute moves its own hour of the week by a quarter of a doubling at most at that age, and
    /// every other hour by 0.007; a number that is learned after it may be rounded to the next step, a twelfth.
    #[test]
    fn one_minute_has_a_bounded_influence(minute in 0..WEEK, mut wild in any_sample(), extra in 0..12_000_u32) {
        // Half of them are far out, the rest so that the hour is just not an incident.
        if extra < 6000 {
            wild.requests = extra;
        }
        let (mut touched, mut plain) = (MACHINE.clone(), MACHINE.clone());
        let from = 3 * WEEK;
        let until = from + minute.next_multiple_of(HOUR).max(HOUR) + HOUR + 1;
        // Only the last hours are run: before them both are the same.
        let begin = (from + minute).saturating_sub(30).max(from);
        for history in [&mut touched, &mut plain] {
            history.interrupt(at(begin - begin % HOUR));
        }
        let begin = begin - begin % HOUR;
        run(&mut plain, begin..until, &[], machine);
        run(&mut touched, begin..until, &[], |it| if it == from + minute { wild } else { machine(it) });
        let own = (minute / HOUR) as usize;
        for (hour, (touched, plain)) in usual_week(&touched).iter().zip(usual_week(&plain)).enumerate() {
            let moved = (touched / plain).log2().abs();
            let bound = if hour == own { 0.25 } else { 0.0 } + if hour == own || hour == own + 1 { 0.084 } else { 0.0 };
            prop_assert!(moved <= bound + 0.015, "hour {hour} moved by {moved}");
        }
    }

    #[test]
    fn a_restart_changes_nothing(stops in proptest::collection::btree_set(0..3 * DAY, 1..12), size in 0.0..10.0_f64) {
        let (mut kept, mut restarted) = (MACHINE.clone(), MACHINE.clone());
        let of = |minute: u32| if minute % DAY < 300 { sample(about(100.0 * size, minute)) } else { machine(minute) };
        let mut begin = 3 * WEEK;
        for stop in stops.into_iter().chain([3 * DAY]) {
            let end = 3 * WEEK + stop;
            prop_assert_eq!(run(&mut kept, begin..end, &[], of), run(&mut restarted, begin..end, &[], of));
            restarted = History::from_bytes(&restarted.to_bytes()).unwrap();
            begin = end;
        }
        prop_assert_eq!(kept, restarted);
    }
}

#[test]
fn a_number_that_is_none_is_refused_whatever_the_sum_says() {
    let mut bytes = MACHINE.to_bytes();
    let body = bytes.len() - 8;
    bytes[12..16].copy_from_slice(&f32::NAN.to_le_bytes());
    let fits = sum(&bytes[..body]).to_le_bytes();
    bytes[body..].copy_from_slice(&fits);
    assert!(History::from_bytes(&bytes).is_err());
}

#[test]
fn a_day_of_ten_times_as_much_teaches_next_to_nothing() {
    let mut history = MACHINE.clone();
    let before = usual_week(&history);
    run(&mut history, 3 * WEEK..3 * WEEK + DAY, &[], |minute| sample(about(1000.0, minute)));
    for (hour, (after, before)) in usual_week(&history).iter().zip(before).enumerate() {
        // Hours of that day by an eighth of a doubling and a step of rounding, the others not at all.
        let bound = if hour < 24 { 0.125 + 0.09 } else { 0.02 };
        let moved = (after / before).log2().abs();
        assert!(moved <= bound, "hour {hour} moved by {moved}");
    }
}

#[test]
fn the_hours_of_an_office_are_told_apart() {
    let usual = |minute: u32| OFFICE.usual(Measure::Volume, at(4 * WEEK + minute)).unwrap();
    assert!((170.0..230.0).contains(&usual(2 * DAY + 10 * HOUR)), "{}", usual(2 * DAY + 10 * HOUR));
    assert!((15.0..25.0).contains(&usual(5 * DAY + 10 * HOUR)), "{}", usual(5 * DAY + 10 * HOUR));
    assert!((15.0..25.0).contains(&usual(2 * DAY + 3 * HOUR)), "{}", usual(2 * DAY + 3 * HOUR));
    assert_eq!(office(10 * HOUR), office(10 * HOUR), "the model repeats itself");
    assert_eq!(History::new().usual(Measure::Volume, at(0)), None);
}
