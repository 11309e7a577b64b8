//! How many look-ups a client has, and when it has others.

use super::*;

const fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_800_000_000_000 + millis)
}

#[test]
fn each_client_has_so_many_and_waits_as_long_as_it_is_told() {
    let look_ups = LookUps::default();
    let [one, other] = ["one", "other"].map(|id| ClientId::parse(id).unwrap());
    look_ups.take(&other, at(0)).unwrap();
    for _ in 0..MOST {
        look_ups.take(&one, at(500)).unwrap();
    }
    assert_eq!(look_ups.take(&one, at(500)), Err(60));
    assert_eq!(look_ups.take(&one, at(59_999)), Err(1));
    look_ups.take(&other, at(59_999)).unwrap();
    look_ups.take(&one, at(60_000)).unwrap();
    assert_eq!(look_ups.0.lock().taken.len(), 1, "the others are forgotten");
}
