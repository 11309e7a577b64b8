//! Each secret once a minute, whatever others do.

use super::*;

#[test]
fn a_secret_is_noted_once_a_minute() {
    let (uses, start) = (Uses::default(), Timestamp::from_unix_millis(1_800_000_000_000));
    let (one, other) = (SecretId::from_random([1; 12]), SecretId::from_random([2; 12]));
    let at = |seconds: u64| start.after(Duration::from_secs(seconds));
    assert!(uses.is_first(&one, at(0)) && !uses.is_first(&one, at(1)));
    assert!(uses.is_first(&other, at(2)) && !uses.is_first(&one, at(59)));
    assert!(uses.is_first(&one, at(60)) && uses.is_first(&other, at(61)) && !uses.is_first(&one, at(119)));
}
