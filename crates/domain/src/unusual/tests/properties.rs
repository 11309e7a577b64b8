//! What holds for every sequence of samples: no panic, bounded influence, a restart that changes nothing.

use proptest::prelude::*;

use super::super::bytes::{ForeignBytes, Kept};
use super::super::pack::{Reader, Writer};
use super::{DAY, HOUR, History, MACHINE, Measure, OFFICE, Sample, WEEK, about, at, machine, office, run, sample};
use crate::{Network, Networks, Timestamp};

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
        prop_assert_eq!(restored(&bytes_of(&history)), Ok(history));
    }

    #[test]
    fn a_look_at_what_is_packed_changes_what_a_look_at_it_unpacked_would(
        is_old in any::<bool>(),
        samples in proptest::collection::vec(any_sample(), 1..200),
        networks in proptest::collection::vec(any::<[u8; 4]>(), 1..8),
    ) {
        let history = if is_old { MACHINE.clone() } else { History::new() };
        let mut kept = Kept { history, networks: Networks::default() };
        let mut bytes = if is_old { kept.to_bytes() } else { Vec::new() };
        for (minute, sample) in samples.iter().enumerate() {
            let now = at(3 * WEEK + u32::try_from(minute).unwrap());
            let network = Network::of(networks[minute % networks.len()].into());
            Kept::with_networks(&mut bytes, |known| known.seen(now, network, sample.requests));
            kept.networks.seen(now, network, sample.requests);
            prop_assert_eq!(Kept::from_bytes(&bytes), Ok(kept.clone()));
            Kept::with(&mut bytes, |known| known.history.observe(now, sample, &[]));
            kept.history.observe(now, sample, &[]);
            prop_assert_eq!(Kept::from_bytes(&bytes), Ok(kept.clone()));
        }
    }

    #[test]
    fn foreign_bytes_are_refused_and_forged_ones_do_no_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..1400),
        at_byte in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        samples in proptest::collection::vec(any_sample(), 1..40),
    ) {
        prop_assert!(restored(&bytes).is_err());
        let whole = bytes_of(&MACHINE);
        let at_byte = at_byte.index(whole.len());
        prop_assert!(restored(&whole[..at_byte]).is_err());
        let mut damaged = whole.clone();
        damaged[at_byte] ^= flip;
        prop_assert!(restored(&damaged).is_err());
        // Whoever can make the sum fit can make any history, but none that panics.
        let mut body = whole[..whole.len() - 4].to_vec();
        body.iter_mut().zip(&bytes).skip(at_byte).take(200).for_each(|(old, new)| *old = *new);
        let few = [&whole[..1 + at_byte % 400], &bytes].concat();
        for forged in [summed(&damaged[..whole.len() - 4]), summed(&body), summed(&few)] {
            let Ok(mut history) = restored(&forged) else { continue };
            for (minute, sample) in samples.iter().enumerate() {
                history.observe(at(3 * WEEK + 10 * u32::try_from(minute).unwrap()), sample, &[]);
            }
        }
    }

    #[test]
    fn series_and_numbers_are_read_as_they_were_written(
        first in any::<u8>(),
        wild in proptest::collection::vec(any::<u8>(), 0..400),
        calm in proptest::collection::vec(60..68_u8, 0..400),
        numbers in any::<[f32; 9]>().prop_map(|numbers| numbers.map(|number| if number.abs() <= 1.0e15 { number } else { 1.5 })),
        counts in any::<[u32; 5]>(),
    ) {
        let mut writer = Writer::default();
        writer.series(first, &wild);
        writer.numbers(numbers);
        writer.numbers(counts.map(|count| (count % 3_000_000) as f32));
        writer.series(first, &calm);
        counts.iter().for_each(|count| writer.count(*count));
        let mut reader = Reader(&writer.0);
        let (mut wild_again, mut calm_again) = (vec![0; wild.len()], vec![0; calm.len()]);
        reader.series(first, &mut wild_again)?;
        prop_assert_eq!(reader.numbers()?, numbers);
        prop_assert_eq!(reader.numbers()?, counts.map(|count| (count % 3_000_000) as f32));
        reader.series(first, &mut calm_again)?;
        prop_assert_eq!((wild_again, calm_again), (wild, calm));
        for count in counts {
            prop_assert_eq!(reader.count()?, count);
        }
        prop_assert!(reader.0.is_empty());
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
            restarted = restored(&bytes_of(&restarted)).unwrap();
            begin = end;
        }
        prop_assert_eq!(kept, restarted);
    }
}

#[test]
fn a_number_that_is_none_is_refused_whatever_the_sum_says() {
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.1e15, -1.1e15] {
        let mut writer = Writer::default();
        writer.numbers([1.0, number]);
        assert_eq!(Reader(&writer.0).numbers::<2>(), Err(ForeignBytes));
    }
    assert_eq!(Reader(&[3]).numbers::<1>(), Err(ForeignBytes), "a tag that there is not");
    assert_eq!(Reader(&[0xff, 0xff, 0xff, 0xff, 0x7f]).count(), Err(ForeignBytes), "more than a count can be");
}

#[test]
fn a_busy_client_is_kept_in_few_bytes() {
    for history in [&*MACHINE, &*OFFICE] {
        let bytes = bytes_of(history);
        assert!(bytes.len() <= 512, "{}", bytes.len());
    }
}

fn bytes_of(history: &History) -> Vec<u8> {
    Kept { history: history.clone(), ..Kept::default() }.to_bytes()
}

fn restored(bytes: &[u8]) -> Result<History, ForeignBytes> {
    Kept::from_bytes(bytes).map(|kept| kept.history)
}

fn summed(body: &[u8]) -> Vec<u8> {
    [body, &crc32fast::hash(body).to_le_bytes()].concat()
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
