//! Where drills are counted: so many and no more, by one client alone, and not for ever.

use super::*;
use crate::{DrillEffect, DrillFault};

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
const ACME: ClientSlot = ClientSlot(1);
const OTHER: ClientSlot = ClientSlot(2);

fn testing() -> Stage {
    Stage::of(EnvironmentName::Testing)
}

fn drills(stage: &Stage) -> &Drills {
    match stage {
        Stage::Testing(drills) => drills,
        Stage::Production => panic!("there are none"),
    }
}

fn set(stage: &Stage, client: ClientSlot, kind: DrillKind, requests: u64) {
    drills(stage).set(client, Drill::new(kind, Some(requests), None).unwrap(), NOW).unwrap();
}

#[test]
fn a_drill_is_met_so_often_and_no_more() {
    for kind in DrillKind::ALL.into_iter().filter(|kind| *kind != DrillKind::AuthDown) {
        let stage = testing();
        set(&stage, ACME, kind, 3);
        for left in (0..3).rev() {
            assert_eq!(stage.meet_token_request(ACME, NOW), None);
            assert_eq!(stage.meet_request(OTHER, NOW), None);
            assert_eq!(stage.meet_request(ACME, NOW).map(|met| met.kind), Some(kind));
            let pending = drills(&stage).pending(ACME, NOW).map_or(0, |pending| pending.requests_left());
            assert_eq!(pending, left);
        }
        assert_eq!(stage.meet_request(ACME, NOW), None);
        assert!(!drills(&stage).are_pending.load(Ordering::Relaxed), "one load is enough again");
    }
}

#[test]
fn only_token_requests_meet_auth_down() {
    let stage = testing();
    set(&stage, ACME, DrillKind::AuthDown, 1);
    assert_eq!(stage.meet_request(ACME, NOW), None);
    assert_eq!(stage.meet_token_request(OTHER, NOW), None);
    assert_eq!(stage.meet_token_request(ACME, NOW), Some(DrillKind::AuthDown));
    assert_eq!(stage.meet_token_request(ACME, NOW), None);
}

#[test]
fn every_other_request_fails_and_the_first_one_does() {
    let stage = testing();
    set(&stage, ACME, DrillKind::Flaky, 5);
    let met: Vec<_> = std::iter::from_fn(|| stage.meet_request(ACME, NOW)).map(|met| met.effect).collect();
    let (fails, spared) = (DrillEffect::UpstreamFailed, DrillEffect::Spared);
    assert_eq!(met, [fails, spared, fails, spared, fails]);
}

#[test]
fn threads_together_meet_it_no_oftener() {
    let stage = testing();
    set(&stage, ACME, DrillKind::Expired, 1000);
    let count = || std::iter::repeat_with(|| stage.meet_request(ACME, NOW)).take(600).flatten().count();
    let met: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(met, 1000);
}

#[test]
fn a_drill_lapses_and_a_new_one_takes_its_place() {
    let stage = testing();
    set(&stage, ACME, DrillKind::Expired, 2);
    let last = NOW.after(PendingDrill::LIFE - Duration::from_millis(1));
    assert!(stage.meet_request(ACME, last).is_some());
    assert_eq!(stage.meet_request(ACME, NOW.after(PendingDrill::LIFE)), None);
    assert_eq!(drills(&stage).pending(ACME, NOW), None, "what lapsed is gone");
    set(&stage, ACME, DrillKind::Expired, 2);
    set(&stage, ACME, DrillKind::Revoked, 1);
    assert_eq!(stage.meet_request(ACME, NOW).map(|met| met.effect), Some(DrillEffect::TokenRevoked));
    assert_eq!(stage.meet_request(ACME, NOW), None);
}

#[test]
fn so_many_clients_have_drills_and_no_more_until_one_is_over() {
    let stage = testing();
    let most = u32::try_from(MOST_CLIENTS).unwrap();
    for slot in 0..most {
        set(&stage, ClientSlot(slot), DrillKind::Slow, 1);
    }
    let drill = Drill::new(DrillKind::Expired, None, None).unwrap();
    let later = NOW.after(Duration::from_secs(1));
    let full = TooManyDrills { wait: PendingDrill::LIFE - Duration::from_secs(1) };
    assert_eq!(drills(&stage).set(ClientSlot(most), drill, later), Err(full));
    assert!(drills(&stage).set(ACME, drill, later).is_ok(), "who has one may have another instead");
    assert!(stage.meet_request(OTHER, later).is_some());
    assert!(drills(&stage).set(ClientSlot(most), drill, later).is_ok());
}

#[test]
fn bounds_are_checked() {
    let (slow, flaky) = (DrillKind::Slow, DrillKind::Flaky);
    for requests in [0, 1001, u64::MAX] {
        assert_eq!(Drill::new(flaky, Some(requests), None), Err(DrillFault::Requests));
    }
    assert!(Drill::new(flaky, Some(1000), None).is_ok());
    let late = Some(Drill::LONGEST_DELAY);
    assert!(Drill::new(slow, None, late).is_ok());
    assert_eq!(Drill::new(flaky, None, late), Err(DrillFault::Delay));
    assert_eq!(Drill::new(slow, None, Some(Duration::from_millis(30_001))), Err(DrillFault::Delay));
}

#[test]
fn production_meets_nothing() {
    let stage = Stage::of(EnvironmentName::Production);
    assert!(matches!(stage, Stage::Production));
    assert_eq!(stage.meet_request(ACME, NOW), None);
    assert_eq!(stage.meet_token_request(ACME, NOW), None);
}
