//! Against an API that is simulated event by event, so that a minute of overload takes a moment.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::*;

/// The API: so many at a time, and how long each takes, which may depend on how many there are.
#[derive(Clone, Copy)]
struct Api {
    places: u32,
    takes: fn(at: Duration, under_way: u32) -> Duration,
    /// Whether it stops with what nobody waits for any more.
    notices: bool,
}

/// What callers do.
#[derive(Clone, Copy)]
struct Callers {
    /// Requests a second.
    rate: fn(at: Duration) -> f64,
    /// Each gives up after so long.
    patience: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Done(usize),
    GivesUp(usize),
    Asks,
}

#[derive(Debug, Default, Clone, Copy)]
struct Second {
    answered: u32,
    shed: u32,
}

/// Both of them, with a route's load between them.
struct Simulation {
    load: Arc<RouteLoad>,
    api: Api,
    callers: Callers,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    turns: Vec<Option<Turn>>,
    waiting: VecDeque<usize>,
    busy: u32,
    random: fastrand::Rng,
    /// How late the gateway's thread says that it is.
    late: fn(at: Duration) -> Duration,
}

impl Simulation {
    fn new(load: &Arc<RouteLoad>, api: Api, callers: Callers) -> Self {
        let events = BinaryHeap::from([Reverse((Duration::ZERO, Event::Asks))]);
        let (turns, waiting, random) = (Vec::new(), VecDeque::new(), fastrand::Rng::with_seed(7));
        let late = |_| Duration::ZERO;
        Self { load: Arc::clone(load), api, callers, events, turns, waiting, busy: 0, random, late }
    }

    /// Runs it; answers what was answered in time and what was shed, second by second.
    fn run(mut self, seconds: usize) -> Vec<Second> {
        let mut seen = vec![Second::default(); seconds];
        while let Some(Reverse((now, event))) = self.events.pop() {
            let Some(second) = seen.get_mut(now.as_secs() as usize) else {
                break;
            };
            match event {
                Event::Asks => self.ask(now, second),
                Event::Done(which) => self.done(now, which, second),
                Event::GivesUp(which) => self.give_up(now, which),
            }
            assert!(self.load.under_way() <= self.load.most, "{:?}", self.load);
            while self.busy < self.api.places
                && let Some(next) = self.waiting.pop_front()
            {
                self.busy += 1;
                let takes = (self.api.takes)(now, self.busy + self.waiting.len() as u32);
                self.events.push(Reverse((now + takes, Event::Done(next))));
            }
        }
        seen
    }

    fn ask(&mut self, now: Duration, second: &mut Second) {
        // Exponential gaps: callers know nothing of each other.
        let gap = -(1.0 - self.random.f64()).ln() / (self.callers.rate)(now);
        self.events.push(Reverse((now + Duration::from_secs_f64(gap), Event::Asks)));
        let Ok(turn) = self.load.enter(self.load.began + now) else {
            second.shed += 1;
            return;
        };
        let which = self.turns.len();
        self.turns.push(Some(turn));
        self.waiting.push_back(which);
        self.events.push(Reverse((now + self.callers.patience, Event::GivesUp(which))));
    }

    fn done(&mut self, now: Duration, which: usize, second: &mut Second) {
        let turn = self.turns[which].take();
        if turn.is_some() || !self.api.notices {
            self.busy -= 1;
        }
        if let Some(turn) = turn {
            second.answered += 1;
            turn.answered(self.load.began + now, (self.late)(now));
        }
    }

    fn give_up(&mut self, now: Duration, which: usize) {
        let Some(mut turn) = self.turns[which].take() else {
            return;
        };
        turn.given_up(self.load.began + now);
        if self.api.notices {
            let waited = self.waiting.iter().position(|waits| *waits == which);
            match waited {
                Some(place) => drop(self.waiting.remove(place)),
                None => self.busy -= 1,
            }
        }
    }
}

/// Answers a second.
fn answered(seconds: &[Second]) -> f64 {
    f64::from(seconds.iter().map(|second| second.answered).sum::<u32>()) / seconds.len() as f64
}

fn shed(seconds: &[Second]) -> u32 {
    seconds.iter().map(|second| second.shed).sum()
}

const SECOND: Duration = Duration::from_secs(1);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn adaptive() -> Arc<RouteLoad> {
    Arc::new(RouteLoad::new(10_000, true))
}

/// Half of what it can for five seconds, then ten times as much.
const QUEUE: (Api, Callers) = (
    Api { places: 20, takes: |_, _| millis(10), notices: false },
    Callers { rate: |at| if at < 5 * SECOND { 1_000.0 } else { 20_000.0 }, patience: SECOND },
);

#[test]
fn at_ten_times_the_load_nine_tenths_of_the_best_are_answered_in_time() {
    let (api, callers) = QUEUE;
    let seen = Simulation::new(&adaptive(), api, callers).run(60);
    assert_eq!(shed(&seen[..5]), 0, "{seen:?}");
    assert!(answered(&seen[10..]) >= 0.95 * 2_000.0, "{seen:?}");
    assert!(seen[10..].iter().all(|second| second.answered >= 1_800), "{seen:?}");
}

#[test]
fn a_thread_that_is_late_now_and_then_takes_no_answer_for_quicker_than_it_was() {
    let (api, callers) = QUEUE;
    // As late as a request takes, for one beat of its clock; at times that is while few requests are measured.
    let late = |at: Duration| if at > 9 * SECOND && at.as_millis() % 370 < 50 { millis(10) } else { Duration::ZERO };
    let seen = Simulation { late, ..Simulation::new(&adaptive(), api, callers) }.run(60);
    assert!(answered(&seen[10..]) >= 0.95 * 2_000.0, "{seen:?}");
    assert!(seen[10..].iter().all(|second| second.answered >= 1_700), "{seen:?}");
}

/// What is known is wrong from then on, and is found out to be.
#[test]
fn an_api_that_takes_twice_as_long_from_one_moment_on_is_soon_known_to() {
    let takes = |at, _| if at < 30 * SECOND { millis(10) } else { millis(20) };
    let (api, callers) = QUEUE;
    let seen = Simulation::new(&adaptive(), Api { takes, ..api }, callers).run(60);
    assert!(seen[10..30].iter().all(|second| second.answered >= 1_800), "{seen:?}");
    assert!(seen[36..].iter().all(|second| second.answered >= 850), "{seen:?}");
}

#[test]
fn without_a_limit_nothing_would_be() {
    let (api, callers) = QUEUE;
    let seen = Simulation::new(&Arc::new(RouteLoad::new(10_000_000, false)), api, callers).run(12);
    assert_eq!(answered(&seen[10..]), 0.0, "{seen:?}");
}

#[test]
fn an_api_that_is_slow_and_goes_on_with_what_nobody_waits_for_recovers() {
    let api = Api { places: 20, takes: |_, _| millis(200), notices: false };
    let callers = Callers { rate: |at| if at < 5 * SECOND { 50.0 } else { 1_000.0 }, patience: SECOND };
    let seen = Simulation::new(&adaptive(), api, callers).run(60);
    // It had ten seconds of work when it began.
    assert!(answered(&seen[22..]) >= 0.95 * 100.0, "{seen:?}");
}

/// What it takes where more than twenty at a time are in one another's way.
fn slower(base: f64, under_way: u32) -> Duration {
    Duration::from_secs_f64(base * (f64::from(under_way) / 20.0).max(1.0).powf(1.5))
}

#[test]
fn an_api_that_gets_slower_the_more_it_does_is_held_near_its_best() {
    let quick = Api { places: u32::MAX, takes: |_, under_way| slower(0.01, under_way), notices: true };
    let (_, callers) = QUEUE;
    let seen = Simulation::new(&adaptive(), quick, callers).run(60);
    assert!(answered(&seen[15..]) >= 0.9 * 2_000.0, "{seen:?}");
    let slow = Api { takes: |_, under_way| slower(0.1, under_way), ..quick };
    let callers = Callers { rate: |at| if at < 5 * SECOND { 100.0 } else { 2_000.0 }, patience: SECOND };
    let seen = Simulation::new(&adaptive(), slow, callers).run(60);
    assert!(answered(&seen[15..]) >= 0.83 * 200.0, "{seen:?}");
}

#[test]
fn an_api_that_becomes_slow_by_itself_is_given_all_that_there_is() {
    let takes = |at, _| if at < 5 * SECOND { millis(10) } else { millis(300) };
    let api = Api { places: u32::MAX, takes, notices: false };
    let seen = Simulation::new(&adaptive(), api, Callers { rate: |_| 1_000.0, patience: SECOND }).run(60);
    assert_eq!(shed(&seen[10..]), 0, "{seen:?}");
    assert!(shed(&seen) < 3_000, "{seen:?}");
}

#[test]
fn an_api_that_hangs_keeps_few_waiting_and_is_back_at_once() {
    let takes = |at: Duration, _| if (5..15).contains(&at.as_secs()) { Duration::from_secs(15) } else { millis(10) };
    let api = Api { places: 20, takes, notices: false };
    let seen = Simulation::new(&adaptive(), api, Callers { rate: |_| 1_000.0, patience: 30 * SECOND }).run(60);
    assert!(shed(&seen[10..19]) >= 8_500, "{seen:?}");
    assert_eq!(shed(&seen[26..]), 0, "{seen:?}");
    assert!(answered(&seen[21..]) > 950.0, "{seen:?}");
}

#[test]
fn slow_calls_among_quick_ones_are_no_overload() {
    let takes = |at: Duration, _| match at.as_micros() % 10 {
        0..3 => Duration::from_secs(3),
        3..5 => millis(500),
        _ => millis(5),
    };
    let api = Api { places: u32::MAX, takes, notices: true };
    let seen = Simulation::new(&adaptive(), api, Callers { rate: |_| 500.0, patience: 10 * SECOND }).run(60);
    assert_eq!(shed(&seen), 0, "{seen:?}");
}

#[test]
fn a_pause_is_no_overload() {
    // Whatever comes within it waits for its end, once a second.
    let takes = |at: Duration, _| millis(10) + millis(250).saturating_sub(millis(u64::from(at.subsec_millis())));
    let api = Api { places: u32::MAX, takes, notices: true };
    let seen = Simulation::new(&adaptive(), api, Callers { rate: |_| 1_000.0, patience: SECOND }).run(60);
    assert_eq!(shed(&seen), 0, "{seen:?}");
}

#[test]
fn a_thread_that_is_late_does_not_take_its_own_slowness_for_the_apis() {
    for (late, is_shed) in [(millis(190), false), (Duration::ZERO, true)] {
        let load = adaptive();
        let mut now = load.began;
        let mut round = |load: &Arc<RouteLoad>, took, late| {
            let turns: Vec<_> = (0..64).flat_map(|_| load.enter(now)).collect();
            now += took;
            turns.into_iter().for_each(|turn| turn.answered(now, late));
        };
        (0..50).for_each(|_| round(&load, millis(10), Duration::ZERO));
        (0..50).for_each(|_| round(&load, millis(200), late));
        assert_eq!(load.shed() > 0, is_shed, "{load:?}");
    }
}

#[test]
fn there_are_never_more_than_the_most() {
    let load = Arc::new(RouteLoad::new(2, false));
    let (first, second) = (load.enter(load.began), load.enter(load.began));
    assert_eq!(load.enter(load.began).err(), Some(Shed { limit: 2 }));
    drop(first);
    let third = load.enter(load.began);
    assert!(second.is_ok() && third.is_ok());
    assert_eq!((load.under_way(), load.shed()), (2, 1));
    drop((second, third));
    assert_eq!(load.under_way(), 0);
}

#[test]
fn a_quarter_is_found_within_a_fifth() {
    for micros in [4, 5, 7, 10, 99, 1_000, 25_000, 1_000_000, 12_000_000_u64] {
        let mut counts = vec![0; CLASSES];
        counts[class(Duration::from_micros(micros))] = 100;
        let found = quarter(&counts, 100).expect("there are some").as_micros() as f64;
        assert!((found / micros as f64 - 1.0).abs() <= 0.25, "{found} for {micros}");
    }
    assert_eq!(quarter(&[0; CLASSES], 0), None);
}
