//! Usages add up, are kept in few bytes, and are read from nothing else.

use proptest::prelude::*;

use super::*;

fn usage() -> impl Strategy<Value = Usage> {
    proptest::collection::vec(prop_oneof![3 => Just(0), 1 => any::<u64>(), 1 => 0u64..300], 13 + Latency::BUCKETS)
        .prop_map(|numbers| {
            let mut usage = Usage::default();
            usage.numbers_mut().zip(numbers).for_each(|(place, number)| *place = number);
            usage
        })
}

#[test]
fn each_request_is_counted_where_it_belongs() {
    let mut usage = Usage::default();
    let answered = |status| Ended {
        status,
        was_limited: false,
        was_observed: false,
        has_failed: false,
        took: Duration::from_millis(3),
    };
    for status in [101, 200, 204, 304, 401, 403, 404, 500] {
        usage.note(answered(status));
    }
    usage.note(Ended { was_limited: true, ..answered(429) });
    usage.note(Ended { has_failed: true, ..answered(502) });
    usage.note(Ended { was_observed: true, ..answered(200) });
    assert_eq!((usage.requests, usage.classes), (11, [1, 3, 1, 4, 2]));
    assert_eq!((usage.forbidden, usage.not_found, usage.limited, usage.failed), (2, 1, 1, 1));
    assert_eq!(usage.observed, 1);
    assert!(usage.to_bytes().len() < 30, "{:?}", usage.to_bytes());
}

#[test]
fn what_is_no_usage_is_refused() {
    for bytes in [
        &[][..],
        &[2],
        &[1, 0],
        &[1, 200, 1, 1],
        &[1, 55, 1],
        &[1, 0, 0x80],
        &[1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
    ] {
        assert_eq!(Usage::from_bytes(bytes), None, "{bytes:?}");
    }
    assert_eq!(Usage::from_bytes(&[1]), Some(Usage::default()));
}

proptest! {
    #[test]
    fn bytes_are_read_as_they_were_written(usage in usage()) {
        prop_assert_eq!(Usage::from_bytes(&usage.to_bytes()), Some(usage));
    }

    #[test]
    fn foreign_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Usage::from_bytes(&bytes);
    }

    #[test]
    fn it_does_not_matter_in_which_order_they_are_added(a in usage(), b in usage()) {
        let (mut one, mut other) = (a.clone(), b.clone());
        one.add(&b);
        other.add(&a);
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_quantile_is_at_most_41_percent_too_large(
        micros in proptest::collection::vec(100u64..100_000_000, 1..200),
        part in 0.0f64..=1.0,
    ) {
        let mut latency = Latency::default();
        micros.iter().for_each(|micros| latency.note(Duration::from_micros(*micros)));
        let mut sorted = micros.clone();
        sorted.sort_unstable();
        let rank = ((sorted.len() as f64) * part).ceil().max(1.0) as usize;
        let (exact, told) = (sorted[rank - 1] as f64, latency.quantile(part).unwrap().as_micros() as f64);
        prop_assert!(told >= exact && told <= exact * 1.4143 + 1.0, "{told} for {exact}");
    }
}
