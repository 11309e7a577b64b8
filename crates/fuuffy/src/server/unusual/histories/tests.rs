//! A client with a week of its own, and what is told when it does otherwise.

use fuuffy_domain::{Network, Sighting};

use super::*;

const CLIENT: ClientSlot = ClientSlot(3);
/// A Monday.
const START: Minute = Minute(29_722_320);

/// Work days have a hundred requests a minute by day and five by night; week-ends have five.
fn usual(minute: Minute) -> Usage {
    usual_of(0, minute)
}

/// The same of another client, with noise of its own.
fn usual_of(client: u32, minute: Minute) -> Usage {
    let (day, hour) = (minute.0.div_euclid(1440).rem_euclid(7), minute.0.rem_euclid(1440) / 60);
    let is_busy = (4..9).contains(&day) && (8..18).contains(&hour);
    // Some noise, the same in each run.
    let noise = u64::try_from((minute.0 * 7919 + i64::from(client) * 4).rem_euclid(11)).unwrap();
    let requests = if is_busy { 95 + noise } else { noise };
    Usage { requests, classes: [0, requests, 0, 0, 0], bytes_out: 200 * requests, ..Usage::default() }
}

fn used(minute: Minute) -> Used {
    used_by([(CLIENT, usual(minute))])
}

fn used_by(clients: impl IntoIterator<Item = (ClientSlot, Usage)>) -> Used {
    let mut used = Used::default();
    clients.into_iter().filter(|(_, usage)| usage.requests > 0).for_each(|(client, usage)| used.add(client, &usage));
    used
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

fn opened(told: &[(Whose, Change)]) -> Vec<&'static str> {
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
    let kept = histories.known().collect();
    let mut histories = Histories::restored(kept, Minute(busy.0 + 30).start());
    let (mut told, mut closed) = (Vec::new(), 0);
    for minute in (busy.0 + 30..busy.0 + 150).map(Minute) {
        told.extend(opened(&histories.minute(minute, &Used::default())));
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
    let told = histories.minute(Minute(much_later.0 - 1), &Used::default());
    assert_eq!(opened(&told), [""; 0]);
}

/// So many clients, each with three weeks of the usual; what they do from then on is `then`'s.
struct Crowd {
    histories: Histories,
    next: Minute,
    clients: u32,
}

impl Crowd {
    fn of(clients: u32) -> Self {
        let mut crowd = Self { histories: Histories::default(), next: START, clients };
        // Until the middle of a Monday's morning.
        let told = crowd.live(3 * 7 * 1440 + 10 * 60, |_, usage| usage);
        assert_eq!(told, []);
        crowd
    }

    /// So many minutes. Answers what was told: of the environment, or of a client.
    fn live(&mut self, minutes: i64, then: impl Fn(u32, Usage) -> Usage) -> Vec<(Whose, &'static str)> {
        self.live_with(minutes, then, &Usage::default())
    }

    fn live_with(
        &mut self,
        minutes: i64,
        then: impl Fn(u32, Usage) -> Usage,
        strangers: &Usage,
    ) -> Vec<(Whose, &'static str)> {
        let mut told = Vec::new();
        for minute in (self.next.0..self.next.0 + minutes).map(Minute) {
            let used = (0..self.clients).map(|client| (ClientSlot(client), then(client, usual_of(client, minute))));
            let mut used = used_by(used);
            used.all.add(strangers);
            for (whose, change) in self.histories.minute(minute, &used) {
                match change {
                    Change::Opened(alert) => told.push((whose, alert.kind.name())),
                    Change::Closed { kind, .. } => told.push((whose, kind.name())),
                    Change::Joined(_) | Change::Silenced(_) => {}
                }
            }
        }
        self.next = Minute(self.next.0 + minutes);
        told
    }
}

fn failing(usage: Usage) -> Usage {
    let failed = usage.requests / 3;
    let classes = [0, usage.requests - failed, 0, 0, failed];
    Usage { failed, classes, ..usage }
}

#[test]
fn an_api_that_fails_is_one_alert_of_the_environment_and_one_end() {
    let mut crowd = Crowd::of(5);
    assert_eq!(crowd.live(60, |_, usage| failing(usage)), [(None, "error_share_jump")]);
    assert_eq!(crowd.live(120, |_, usage| usage), [(None, "error_share_jump")], "its end");
}

#[test]
fn what_one_client_does_is_told_by_its_name_alone() {
    let mut crowd = Crowd::of(2);
    let one = Some(ClientSlot(1));
    let refused = |client, usage: Usage| {
        let forbidden = if client == 1 { usage.requests * 9 / 10 } else { 0 };
        Usage { forbidden, ..usage }
    };
    assert_eq!(crowd.live(60, refused), [(one, "forbidden_share_jump")]);
    assert_eq!(crowd.live(120, |_, usage| usage), [(one, "forbidden_share_jump")]);
}

#[test]
fn what_befalls_many_is_told_of_three_and_of_the_environment() {
    let mut crowd = Crowd::of(8);
    let told = crowd.live(120, |_, _| Usage::default());
    assert!(told.iter().all(|(_, kind)| *kind == "volume_drop"), "{told:?}");
    let of_clients = told.iter().filter(|(whose, _)| whose.is_some()).count();
    assert_eq!((of_clients, told.len()), (3, 4), "{told:?}");
}

#[test]
fn what_nobody_known_asks_for_is_the_environments_and_kept_over_a_restart() {
    let mut crowd = Crowd::of(1);
    let now = crowd.next.start();
    crowd.histories = Histories::restored(crowd.histories.known().collect(), now);
    let strangers = Usage { requests: 30, forbidden: 30, classes: [0, 0, 0, 30, 0], ..Usage::default() };
    let told = crowd.live_with(60, |_, usage| usage, &strangers);
    assert_eq!(told, [(None, "forbidden_share_jump")]);
}

#[test]
fn networks_are_known_after_a_restart_and_what_another_version_wrote_is_learned_anew() {
    let mut histories = Histories::default();
    let end = lived(&mut histories, 1);
    let seen = |from: [u8; 4], minute: i64| {
        let (from, at) = (Network::of(from.into()), Minute(minute).start());
        Seen {
            client: CLIENT,
            refused: None,
            sightings: vec![Sighting { from, by: None, first: at, last: at, requests: 200 }],
        }
    };
    for minute in [START.0, end.0] {
        assert!(histories.seen(Minute(minute).start(), [seen([198, 51, 100, 7], minute)].into_iter()).is_empty());
    }
    let known: Vec<_> = histories.known().collect();
    assert_eq!(known.len(), 2, "the client's and the environment's");
    let mut again = Histories::restored(known.clone(), end.start());
    let told = again.seen(end.start(), [seen([203, 0, 113, 5], end.0)].into_iter());
    assert_eq!(opened(&told), ["new_network"]);
    let before = known.into_iter().map(|(client, bytes)| (client, [b"unu1", &bytes[..]].concat())).collect();
    let mut again = Histories::restored(before, end.start());
    assert!(again.of.is_empty() && again.environment.is_none());
    assert!(again.seen(end.start(), [seen([203, 0, 113, 5], end.0)].into_iter()).is_empty(), "no network is known");
}
