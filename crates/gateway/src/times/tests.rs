//! Each is counted once, in the bucket that it belongs to.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn histograms_agree_with_a_naive_model(all in prop::collection::vec((100_u16..600, 0_u64..20_000_000), 0..40)) {
        let times = RouteTimes::default();
        for (status, micros) in &all {
            times.note(*status, Duration::from_micros(*micros), None);
        }
        let read = times.read("/v1/orders");
        prop_assert_eq!(read.upstream.count, 0);
        for (class, histogram) in &read.requests {
            let mine: Vec<u64> =
                all.iter().filter(|(status, _)| format!("{}xx", status / 100) == **class).map(|(_, it)| *it).collect();
            let mut before = 0.0;
            for (bound, count) in &histogram.buckets {
                let seconds = mine.iter().map(|micros| *micros as f64 / 1e6);
                let inside = seconds.filter(|it| (*it > before || before == 0.0) && it <= bound).count();
                prop_assert_eq!(*count, inside as u64);
                before = *bound;
            }
            prop_assert_eq!(histogram.count, mine.len() as u64);
            prop_assert!((histogram.sum - mine.iter().sum::<u64>() as f64 / 1e6).abs() < 1e-6);
        }
        prop_assert_eq!(read.requests.iter().map(|(_, it)| it.count).sum::<u64>(), all.len() as u64);
    }
}
