//! A client with a week of its own, and what is told when it does otherwise.

use super::*;

const CLIENT: ClientSlot = ClientSlot(3);
/// A Monday.
const START: Minute = Minute(29_722_320);

/// Work days have a hundred requests a minute by day and five by night; week-ends have five.
fn usual(minute: Minute) -> Usage {
    let (day, hour) = (minute.0.div_euclid(1440).rem_euclid(7), minute.0.rem_euclid(1440) / 60);
    let is_busy = (4..9).contains(&day) && (8..18).contains(&hour);
    // Some noise, the same in each run.
    let noise = u64::try_from((minute.0 * 7919).rem_euclid(11)).unwrap();
    let requests = if is_busy { 95 + noise } else { noise };
    Usage { requests, classes: [0, requests, 0, 0, 0], bytes_out: 200 * requests, ..Usage::default() }
}

fn used(minute: Minute) -> HashMap<ClientSlot, Usage> {
    let usage = usual(minute);
    if usage.requests == 0 { HashMap::new() } else { HashMap::from([(CLIENT, usage)]) }
}

/// Weeks of the usual. Answers the minute after them.
fn lived(histories: &mut Histories, weeks: i64) -> Minute {
    let end = START.0 + weeks * 7 * 1440;
    for minute in (START.0..end).map(Minute) {
        let told = histories.minute(minute, &used(minute));
        assert!(!told.iter().any(|(_, change)| matches!(change, Change::Opened(_))), "{told:?}");
    }
    Minute(end)
}

fn opened(told: &[(ClientSlot, Change)]) -> Vec<&'static str> {
    told.iter()
        .filter_map(|(_, change)| if let Change::Opened(alert) = change { Some(alert.kind.name()) } else { None })
        .collect()
}

#[test]
fn a_customer_that_quietly_stops_is_told_of_once_and_so_is_its_return() {
    let mut histories = Histories::default();
    let end = lived(&mut histories, 5);
    // The first busy hour of that week, after a restart in between.
    let busy = (end.0..).map(Minute).find(|minute| usual(*minute).requests > 50).unwrap();
    for minute in (end.0..busy.0 + 30).map(Minute) {
        assert_eq!(opened(&histories.minute(minute, &used(minute))), [""; 0]);
    }
    let kept = known(&histories);
    let mut histories = Histories::restored(kept, Minute(busy.0 + 30).start());
    let (mut told, mut closed) = (Vec::new(), 0);
    for minute in (busy.0 + 30..busy.0 + 150).map(Minute) {
        told.extend(opened(&histories.minute(minute, &HashMap::new())));
    }
    assert_eq!(told, ["volume_drop"]);
    for minute in (busy.0 + 150..busy.0 + 400).map(Minute) {
        let changes = histories.minute(minute, &used(minute));
        assert_eq!(opened(&changes), [""; 0]);
        closed += changes.iter().filter(|(_, change)| matches!(change, Change::Closed { .. })).count();
    }
    assert_eq!(closed, 1);
}

#[test]
fn what_nobody_watched_is_not_held_against_anybody() {
    let mut histories = Histories::default();
    let end = lived(&mut histories, 3);
    assert_eq!(histories.due(Minute(end.0 + 1).start()), [end]);
    assert_eq!(histories.due(Minute(end.0 + 3).start()).len(), 3);
    let much_later = Minute(end.0 + 3000);
    assert_eq!(histories.due(much_later.start()), [Minute(much_later.0 - 1)]);
    let told = histories.minute(Minute(much_later.0 - 1), &HashMap::new());
    assert_eq!(opened(&told), [""; 0]);
}
