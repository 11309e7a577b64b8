//! What a history tells and what it does not: ordinary weeks, incidents, holidays, gaps, silences.

use std::sync::LazyLock;

use super::{AlertKind, Change, Direction, History, Measure, Sample, Severity, Silence};
use crate::Timestamp;

mod properties;

/// Monday, 2 November 2026, 00:00 UTC.
const START: u32 = 1_793_577_600 / 60;
const HOUR: u32 = 60;
const DAY: u32 = 24 * HOUR;
const WEEK: u32 = 7 * DAY;
const VOLUME_JUMP: AlertKind = AlertKind::Series(Measure::Volume, Direction::Jump);
const VOLUME_DROP: AlertKind = AlertKind::Series(Measure::Volume, Direction::Drop);

/// The time of a minute since the start.
fn at(minute: u32) -> Timestamp {
    Timestamp::from_unix_millis(i64::from(START + minute) * 60_000)
}

/// About so many, with the noise of counting: repeatable, four uniform numbers in place of a normal one.
fn about(mean: f64, minute: u32) -> u32 {
    let uniform = |salt: u32| {
        let word = (minute.wrapping_add(salt)).wrapping_mul(2_654_435_761) ^ salt.wrapping_mul(0x85eb_ca6b);
        f64::from(word.wrapping_mul(0xc2b2_ae35) >> 8) / f64::from(1_u32 << 24)
    };
    let normal = (0..4).map(|salt| uniform(salt * 7919 + 1) - 0.5).sum::<f64>() * 3.0_f64.sqrt();
    (mean + mean.sqrt() * normal).round().max(0.0) as u32
}

fn sample(requests: u32) -> Sample {
    Sample {
        requests,
        server_errors: requests / 200,
        not_found: requests / 50,
        bytes_in: u64::from(requests) * 200,
        bytes_out: u64::from(requests) * 3000,
        latency: (requests > 0).then_some(40_000),
        ..Sample::default()
    }
}

/// A machine that makes about a hundred requests a minute.
fn machine(minute: u32) -> Sample {
    sample(about(100.0, minute))
}

/// People at work: busy from eight to six on weekdays, a tenth of it at other times.
fn office(minute: u32) -> Sample {
    let is_busy = minute % WEEK < 5 * DAY && (8 * HOUR..18 * HOUR).contains(&(minute % DAY));
    sample(about(if is_busy { 200.0 } else { 20.0 }, minute))
}

/// Observes the minutes, and says what came of them and when.
fn run(
    history: &mut History,
    minutes: std::ops::Range<u32>,
    silences: &[Silence],
    of: impl Fn(u32) -> Sample,
) -> Vec<(u32, Change)> {
    let mut changes = Vec::new();
    for minute in minutes {
        changes.extend(history.observe(at(minute), &of(minute), silences).into_iter().map(|change| (minute, change)));
    }
    changes
}

fn learned(weeks: u32, of: fn(u32) -> Sample) -> History {
    let mut history = History::new();
    assert_eq!(run(&mut history, 0..weeks * WEEK, &[], of), [], "an ordinary client makes no alert");
    history
}

static MACHINE: LazyLock<History> = LazyLock::new(|| learned(3, machine));
static OFFICE: LazyLock<History> = LazyLock::new(|| learned(4, office));

fn opened(changes: &[(u32, Change)]) -> Vec<(u32, AlertKind)> {
    let opened = changes.iter().filter_map(|(minute, change)| match change {
        Change::Opened(alert) => Some((*minute, alert.kind)),
        Change::Joined(_) | Change::Silenced(_) | Change::Closed { .. } => None,
    });
    opened.collect()
}

#[test]
fn what_never_changes_never_alerts() {
    for requests in [0, 1, 7, 100, 1_000_000] {
        assert_eq!(run(&mut History::new(), 0..4 * WEEK, &[], |_| sample(requests)), [], "{requests}");
    }
}

#[test]
fn nothing_is_told_in_the_first_fourteen_days() {
    let wild = |minute: u32| sample(if (minute / 60).is_multiple_of(5) { 5000 } else { about(50.0, minute) });
    assert_eq!(run(&mut History::new(), 0..2 * WEEK, &[], wild), []);
}

#[test]
fn five_spreads_that_last_are_told_within_ten_minutes_and_once() {
    // Five spreads above a hundred, as the client strays: √243 − √100 is 5 times √(1 + 0.2²·100) / 2.
    let mut history = MACHINE.clone();
    let changes = run(&mut history, 3 * WEEK..3 * WEEK + 6 * HOUR, &[], |minute| sample(about(243.0, minute)));
    let [(minute, VOLUME_JUMP)] = opened(&changes)[..] else { panic!("{changes:?}") };
    assert!(minute - 3 * WEEK < 10, "{minute}");
    assert_eq!(history.open(Measure::Volume), Some((Direction::Jump, at(minute))));
}

#[test]
fn a_client_that_stops_is_told_of_in_words_and_when_it_is_back() {
    let mut history = MACHINE.clone();
    let stop = 3 * WEEK + 100;
    let of = |minute: u32| if (stop..stop + 3 * HOUR).contains(&minute) { sample(0) } else { machine(minute) };
    let changes = run(&mut history, 3 * WEEK..4 * WEEK, &[], of);
    let [(minute, Change::Opened(alert)), (closed, Change::Closed { kind, opened_at, closed_at })] = &changes[..]
    else {
        panic!("{changes:?}");
    };
    assert!((stop + 3..stop + 10).contains(minute), "{minute}");
    assert_eq!((alert.kind, alert.severity, alert.opened_at), (VOLUME_DROP, Severity::Critical, at(*minute)));
    assert!((10..90).contains(&(closed - stop - 3 * HOUR)), "{closed}");
    assert_eq!((*kind, *opened_at, *closed_at), (VOLUME_DROP, at(*minute), at(*closed)));
    let words = "The client made no request in the last minute. Usual at this hour of the week are ";
    assert!(alert.words.starts_with(words), "{}", alert.words);
    for part in
        [" requests a minute. That is ", " times as far off", "fewer than one such span in ", "Ask the client's"]
    {
        assert!(alert.words.contains(part), "{}", alert.words);
    }
}

/// Three times as long as ever, or a third of it, and nobody would feel it.
#[test]
fn what_is_slower_or_quicker_by_a_millisecond_is_no_alert() {
    for (usual, then, told) in [(400, 1_500, 0), (4_000, 15_000, 1), (3_100, 800, 0), (31_000, 8_000, 1)] {
        let mut history = History::new();
        let of = |latency| move |minute: u32| Sample { latency: Some(latency), ..machine(minute) };
        run(&mut history, 0..3 * WEEK, &[], of(usual));
        let changes = run(&mut history, 3 * WEEK..3 * WEEK + 60, &[], of(then));
        assert_eq!(opened(&changes).len(), told, "{changes:?}");
    }
}

#[test]
fn errors_latency_bytes_and_refusals_are_told_for_what_they_are() {
    type Changed = (Measure, fn(&mut Sample));
    let changed: [Changed; 6] = [
        (Measure::ForbiddenShare, |it| it.forbidden = it.requests / 5),
        (Measure::NotFoundShare, |it| it.not_found = it.requests / 4),
        (Measure::LimitedShare, |it| it.limited = it.requests / 5),
        (Measure::ErrorShare, |it| it.server_errors = it.requests / 5),
        (Measure::Latency, |it| it.latency = Some(150_000)),
        (Measure::Bytes, |it| it.bytes_out *= 10),
    ];
    for (measure, change) in changed {
        let mut history = MACHINE.clone();
        let of = |minute: u32| {
            let mut sample = machine(minute);
            change(&mut sample);
            sample
        };
        let changes = run(&mut history, 3 * WEEK..3 * WEEK + 2 * HOUR, &[], of);
        let [(minute, kind)] = opened(&changes)[..] else { panic!("{measure:?}: {changes:?}") };
        assert_eq!(kind, AlertKind::Series(measure, Direction::Jump));
        assert!(minute - 3 * WEEK < 10, "{measure:?}: {minute}");
    }
}

/// Fewer bytes than ever, and refusals that were usual and cease.
#[test]
fn what_becomes_less_is_told_too() {
    type Changed = (Measure, fn(&mut Sample), fn(&mut Sample));
    let changed: [Changed; 5] = [
        (Measure::ForbiddenShare, |it| it.forbidden = it.requests / 2, |_| {}),
        (Measure::NotFoundShare, |it| it.not_found = it.requests / 2, |it| it.not_found = 0),
        (Measure::LimitedShare, |it| it.limited = it.requests / 2, |_| {}),
        (Measure::ErrorShare, |it| it.server_errors = it.requests / 2, |it| it.server_errors = 0),
        (Measure::Bytes, |_| {}, |it| it.bytes_out /= 10),
    ];
    for (measure, usual, then) in changed {
        let mut history = History::new();
        let of = |change: fn(&mut Sample)| {
            move |minute: u32| {
                let mut sample = machine(minute);
                change(&mut sample);
                sample
            }
        };
        run(&mut history, 0..3 * WEEK, &[], of(usual));
        let changes = run(&mut history, 3 * WEEK..3 * WEEK + 2 * HOUR, &[], of(then));
        let [(minute, kind)] = opened(&changes)[..] else { panic!("{measure:?}: {changes:?}") };
        assert_eq!(kind, AlertKind::Series(measure, Direction::Drop));
        assert!(minute - 3 * WEEK < 10, "{measure:?}: {minute}");
    }
}

/// However far from what is usual in parts, so many there must be before anybody is told.
#[test]
fn a_few_requests_are_nothing_to_tell_of() {
    for (measure, seen, expected, weight, is_told) in [
        (Measure::Volume, 9.9, 0.1, 60.0, false),
        (Measure::Volume, 10.2, 0.1, 60.0, true),
        (Measure::Volume, 0.0, 9.9, 60.0, false),
        (Measure::Volume, 0.0, 10.1, 60.0, true),
        (Measure::ErrorShare, 3.9, 0.0, 4.0, false),
        (Measure::ErrorShare, 4.0, 0.0, 4.0, true),
        (Measure::NotFoundShare, 29.0, 0.0, 1000.0, false),
        (Measure::NotFoundShare, 31.0, 0.0, 1000.0, true),
    ] {
        assert_eq!(
            measure.is_enough(seen, expected, weight),
            is_told,
            "{measure:?}: {seen} for {expected} of {weight}"
        );
    }
}

#[test]
fn what_goes_wrong_together_is_one_alert() {
    let mut history = MACHINE.clone();
    let of = |minute: u32| Sample { server_errors: 40, latency: Some(400_000), ..machine(minute) };
    let changes = run(&mut history, 3 * WEEK..3 * WEEK + 2 * HOUR, &[], of);
    assert_eq!(opened(&changes).len(), 1, "{changes:?}");
    assert!(matches!(&changes[..], [(_, Change::Opened(_)), (_, Change::Joined(_))]), "{changes:?}");
}

#[test]
fn what_comes_back_soon_is_the_same_incident_and_later_another() {
    for (pause, told) in [(HOUR, 1), (4 * HOUR, 2)] {
        let (again, end) = (3 * WEEK + HOUR + pause, 3 * WEEK + 2 * HOUR + pause);
        let is_busy = |minute: u32| minute < 3 * WEEK + HOUR || (again..end).contains(&minute);
        let of = |minute: u32| if is_busy(minute) { sample(about(500.0, minute)) } else { machine(minute) };
        let changes = run(&mut MACHINE.clone(), 3 * WEEK..end, &[], of);
        assert_eq!((changes.len(), opened(&changes).len()), (3, told), "{pause}: {changes:?}");
    }
}

#[test]
fn a_value_on_the_boundary_does_not_flap() {
    for mean in [140.0, 150.0, 160.0, 170.0, 180.0, 200.0] {
        let mut history = MACHINE.clone();
        let of = |minute: u32| sample(about(if minute % 7 < 4 { mean } else { 100.0 }, minute));
        let changes = run(&mut history, 3 * WEEK..3 * WEEK + 2 * DAY, &[], of);
        assert!(changes.len() <= 2, "{mean}: {changes:?}");
    }
}

#[test]
fn the_week_is_learned_and_a_holiday_is_none_of_its_incidents() {
    let wednesday = 4 * WEEK + 2 * DAY;
    let holiday = |minute: u32| {
        let is_holiday = (wednesday..wednesday + DAY).contains(&minute);
        if is_holiday { office(5 * DAY + minute % DAY) } else { office(minute) }
    };
    assert_eq!(run(&mut OFFICE.clone(), 4 * WEEK..5 * WEEK, &[], holiday), []);
    // The same volume from noon on is no holiday.
    let noon = wednesday + 12 * HOUR;
    let broken = |minute: u32| if (noon..noon + 4 * HOUR).contains(&minute) { sample(20) } else { office(minute) };
    let changes = run(&mut OFFICE.clone(), 4 * WEEK..5 * WEEK, &[], broken);
    let [(minute, VOLUME_DROP)] = opened(&changes)[..] else { panic!("{changes:?}") };
    assert!((noon..noon + 15).contains(&minute), "{minute}");
    // And a Sunday like a weekday is unusual.
    let sunday = 4 * WEEK + 6 * DAY;
    let busy = |minute: u32| office(if minute >= sunday { minute - 2 * DAY } else { minute });
    let changes = run(&mut OFFICE.clone(), 4 * WEEK..5 * WEEK, &[], busy);
    let [(minute, VOLUME_JUMP)] = opened(&changes)[..] else { panic!("{changes:?}") };
    assert!((sunday + 8 * HOUR..sunday + 8 * HOUR + 45).contains(&minute), "{minute}");
}

#[test]
fn hours_without_a_sample_are_a_client_that_stopped_but_days_are_not() {
    let mut history = MACHINE.clone();
    let changes = history.observe(at(3 * WEEK + 5 * HOUR), &Sample::default(), &[]);
    assert!(matches!(&changes[..], [Change::Opened(alert)] if alert.kind == VOLUME_DROP), "{changes:?}");
    // Beyond a day nothing is known, nor where somebody says that nobody watched, nor if the clock went back.
    let mut gap = MACHINE.clone();
    assert_eq!(gap.observe(at(3 * WEEK + 3 * DAY), &machine(0), &[]), []);
    let mut unwatched = MACHINE.clone();
    unwatched.interrupt(at(3 * WEEK + 5 * HOUR));
    assert_eq!(run(&mut unwatched, 3 * WEEK + 5 * HOUR..3 * WEEK + DAY, &[], machine), []);
    let mut back = MACHINE.clone();
    assert_eq!(run(&mut back, 2 * WEEK + 77..3 * WEEK, &[], machine), []);
    let mut unknown = History::new();
    unknown.interrupt(at(5));
    assert_eq!(unknown, History::new());
    // A minute counts once.
    let mut twice = MACHINE.clone();
    twice.observe(at(3 * WEEK), &machine(0), &[]);
    let once = twice.clone();
    assert_eq!(twice.observe(at(3 * WEEK), &sample(1_000_000), &[]), []);
    assert_eq!(twice, once);
}

#[test]
fn what_is_silenced_is_told_when_the_silence_ends_and_only_if_it_goes_on() {
    let until = at(3 * WEEK + 4 * HOUR);
    let silence = [Silence { kind: Some(VOLUME_JUMP), until }];
    let busy = |minute: u32| sample(about(500.0, minute));
    let changes = run(&mut MACHINE.clone(), 3 * WEEK..3 * WEEK + 8 * HOUR, &silence, busy);
    let [(minute, VOLUME_JUMP)] = opened(&changes)[..] else { panic!("{changes:?}") };
    let [(silenced, Change::Silenced(alert)), ..] = &changes[..] else { panic!("{changes:?}") };
    assert!(*silenced < 3 * WEEK + HOUR && alert.words.starts_with("The client"), "{changes:?}");
    assert!((4 * HOUR..4 * HOUR + 5).contains(&(minute - 3 * WEEK)), "{minute}");
    let short = |minute: u32| if minute < 3 * WEEK + 2 * HOUR { busy(minute) } else { machine(minute) };
    let changes = run(&mut MACHINE.clone(), 3 * WEEK..3 * WEEK + DAY, &silence, short);
    assert!(
        matches!(&changes[..], [(_, Change::Silenced(_))]),
        "neither its beginning nor its end is told: {changes:?}"
    );
    // Another kind is told all the same.
    let stopped = run(&mut MACHINE.clone(), 3 * WEEK..3 * WEEK + HOUR, &silence, |_| sample(0));
    assert_eq!(opened(&stopped).len(), 1);
}

#[test]
fn a_new_usual_is_learned_when_it_has_lasted_for_days() {
    let mut history = MACHINE.clone();
    let tripled = |minute: u32| sample(about(300.0, minute));
    let changes = run(&mut history, 3 * WEEK..6 * WEEK, &[], tripled);
    assert!(matches!(&changes[..], [(_, Change::Opened(_)), (_, Change::Closed { .. })]), "{changes:?}");
    let (closed, _) = changes[1];
    assert!((3 * DAY..7 * DAY).contains(&(closed - 3 * WEEK)), "{closed}");
    let usual = history.usual(Measure::Volume, at(6 * WEEK)).unwrap();
    assert!((240.0..340.0).contains(&usual), "{usual}");
}

#[test]
fn every_kind_is_known_by_its_name_and_no_two_share_one() {
    let names: std::collections::BTreeSet<&str> = AlertKind::all().map(AlertKind::name).collect();
    assert_eq!(names.len(), AlertKind::all().count());
    for kind in AlertKind::all() {
        assert_eq!(AlertKind::named(kind.name()), Some(kind));
    }
    assert_eq!(AlertKind::named("volume"), None);
}
