//! What looks like a scan, how well paths are counted, and when it is over.

use proptest::prelude::*;

use super::{RefusedPaths, Scan};
use crate::{AlertKind, Change, Timestamp};

const MINUTE: i64 = 60_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_793_577_600_000 + millis)
}

/// A refused path, by a hash that mixes as a keyed one does (the end of SplitMix64).
fn hash(path: u64) -> RefusedPaths {
    let word = path.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    one(word ^ (word >> 31))
}

fn one(hash: u64) -> RefusedPaths {
    let mut paths = RefusedPaths::default();
    paths.add(hash);
    paths
}

#[test]
fn it_is_small() {
    assert_eq!((size_of::<Scan>(), size_of::<RefusedPaths>()), (96, 72));
}

#[test]
fn many_different_refused_paths_are_one_scan_and_then_over() {
    let mut scan = Scan::default();
    let changes: Vec<Change> =
        (0..200).filter_map(|path| scan.refused(at(path * 500), &hash(path.unsigned_abs()))).collect();
    let [Change::Opened(alert)] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(alert.kind, AlertKind::Scan);
    assert!(alert.words.starts_with("The client asked for about 4"), "{}", alert.words);
    assert_eq!(scan.tick(at(9 * MINUTE)), None);
    assert_eq!(scan.tick(at(11 * MINUTE)), None, "the span that is over was the scan");
    assert!(matches!(scan.tick(at(22 * MINUTE)), Some(Change::Closed { kind: AlertKind::Scan, .. })));
}

#[test]
fn one_path_however_often_and_a_few_paths_are_no_scan() {
    let mut scan = Scan::default();
    for request in 0..100_000 {
        assert_eq!(scan.refused(at(request), &hash((request % 30).unsigned_abs())), None);
    }
}

#[test]
fn a_client_that_asks_for_many_absent_things_is_measured_by_itself() {
    let mut scan = Scan::default();
    let mut told = 0;
    // Twenty a span, later sixty, in weeks: what is usual goes up behind it.
    for span in 0..2000_i64 {
        let count = 20 + span / 50;
        for path in 0..count {
            let hash = hash((span * 1000 + path).unsigned_abs());
            told += usize::from(matches!(scan.refused(at(span * 10 * MINUTE + path), &hash), Some(Change::Opened(_))));
        }
    }
    assert_eq!(told, 0, "and four times of that is not reached");
    let burst = (0..500_u64).filter_map(|path| scan.refused(at(20_000 * MINUTE), &hash(9_000_000 + path)));
    assert_eq!(burst.count(), 1);
}

proptest! {
    /// Five standard errors of linear counting, and a path for rounding.
    #[test]
    fn the_count_is_within_its_error(count in 1..700_u64, salt in any::<u64>()) {
        let mut scan = Scan::default();
        for path in 0..count {
            scan.refused(at(0), &hash(salt.wrapping_add(path)));
        }
        let (m, t) = (512.0_f64, count as f64 / 512.0);
        let error = (m * (t.exp() - t - 1.0)).sqrt();
        let off = (f64::from(scan.distinct()) - count as f64).abs();
        prop_assert!(off <= 5.0 * error + 1.0, "{count} counted with {off}, of {error}");
    }

    #[test]
    fn no_sequence_of_times_panics(times in proptest::collection::vec((any::<i64>(), any::<u64>()), 1..200)) {
        let mut scan = Scan::default();
        for (millis, hash) in times {
            scan.refused(Timestamp::from_unix_millis(millis), &one(hash));
            scan.tick(Timestamp::from_unix_millis(millis.wrapping_mul(3)));
        }
    }
}
