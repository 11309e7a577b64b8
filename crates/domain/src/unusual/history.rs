//! The history of one client: all its measures, and the minute up to which it is known.

use super::alert::{Alert, AlertKind, Change, Direction, Silence, Subject};
use super::hours::Hours;
use super::measure::{BINS, Measure, SPREADS};
use super::track::{Evidence, Phase, Seat, Track, Turn};
use super::{Sample, season, words};
use crate::Timestamp;

/// A gap up to this long is a client that made no request; beyond it nothing is known of the time between.
const LONGEST_GAP: u32 = 24 * 60;
/// What opens so soon after another side of the same client belongs to the same incident.
const TOGETHER: u32 = 30;

/// What is known of one client in one environment: of the same size, whatever it does and however long. It is kept as
/// some 400 bytes between its minutes ([`Kept`](super::Kept)).
///
/// No alert comes in the first 14 days, nor before the measure was learned for long enough: 300 hours for volume,
/// 48 hours with at least 20 requests each for the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    pub(super) tracks: [Track; 7],
    pub(super) bins: [u8; BINS],
    pub(super) spreads: [u8; SPREADS],
    pub(super) hours: Hours,
    /// The first minute since the epoch that counts, and the last; zero before there was one.
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) subject: Subject,
}

impl Default for History {
    fn default() -> Self {
        Self {
            tracks: <[Track; 7]>::default(),
            bins: [0; BINS],
            spreads: [64; SPREADS],
            hours: Hours::default(),
            first: 0,
            last: 0,
            subject: Subject::default(),
        }
    }
}

impl History {
    /// A client that nothing is known of.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same as the history of a whole environment.
    #[must_use]
    pub fn of_the_environment(self) -> Self {
        Self { subject: Subject::Environment, ..self }
    }

    /// Takes what the client did in the minute of `now`, and says what came of it.
    ///
    /// A minute that is told twice counts once. Minutes between the last one and this had no request, up to a day of
    /// them; a clock that went back, or further ahead, only interrupts. Whoever did not watch for a while says so by
    /// [`History::interrupt`], or every client will have stopped.
    pub fn observe(&mut self, now: Timestamp, sample: &Sample, silences: &[Silence]) -> Vec<Change> {
        let minute = minute_of(now);
        let mut changes = Vec::new();
        if self.first == 0 {
            (self.first, self.last) = (minute, minute);
        } else if minute == self.last {
            return changes;
        } else if minute < self.last || minute - self.last > LONGEST_GAP {
            self.interrupt(now);
        } else {
            for missed in self.last + 1..minute {
                self.step(missed, &Sample::default(), silences, &mut changes);
            }
        }
        self.step(minute, sample, silences, &mut changes);
        changes
    }

    /// Says that the time up to `now` was not watched, or that the clock jumped: nothing is made of it.
    pub fn interrupt(&mut self, now: Timestamp) {
        if self.first == 0 {
            return;
        }
        let minute = minute_of(now).saturating_sub(1).max(1);
        for track in &mut self.tracks {
            track.interrupt(minute);
        }
        self.hours.interrupt();
        // The age goes on from where it was, whichever way the clock went.
        let age = self.last.saturating_sub(self.first);
        (self.first, self.last) = (minute.saturating_sub(age).max(1), minute);
    }

    /// What is usual in the minute of `now`: requests a minute, a share, microseconds or bytes; none while nothing
    /// was learned.
    #[must_use]
    pub fn usual(&self, measure: Measure, now: Timestamp) -> Option<f32> {
        let (track, shape) = (&self.tracks[measure as usize], measure.shape());
        let bins = self.bins.get(shape.bins_at..shape.bins_at + (168 / shape.bin_hours) as usize)?;
        let own = season::offset(shape, bins, season::hour_of_week(minute_of(now) / 60)).unwrap_or(0.0);
        (track.hours > 0).then(|| measure.value(measure.expected(track.level + own)))
    }

    /// Whether something goes on, and since when.
    #[must_use]
    pub fn open(&self, measure: Measure) -> Option<(Direction, Timestamp)> {
        let track = &self.tracks[measure as usize];
        match track.phase {
            Phase::Calm => None,
            Phase::Open(direction, _) => Some((direction, start_of(track.since))),
        }
    }

    fn step(&mut self, minute: u32, sample: &Sample, silences: &[Silence], changes: &mut Vec<Change>) {
        self.last = minute;
        let now = start_of(minute);
        for measure in Measure::ALL {
            let is_silenced =
                |direction| silences.iter().any(|it| it.covers(AlertKind::Series(measure, direction), now));
            let silenced = [is_silenced(Direction::Jump), is_silenced(Direction::Drop)];
            let shape = measure.shape();
            let (bins, spreads) = (168 / shape.bin_hours, 24 / shape.spread_hours);
            let mut seat = Seat {
                measure,
                bins: &mut self.bins[shape.bins_at..][..bins as usize],
                spreads: &mut self.spreads[shape.spreads_at..][..spreads as usize],
                hours: &mut self.hours,
                age: minute.saturating_sub(self.first),
                silenced,
            };
            let turn = self.tracks[measure as usize].step(&mut seat, minute, measure.read(sample));
            if let Some(turn) = turn {
                changes.push(self.told(measure, turn, minute));
            }
        }
    }

    fn told(&self, measure: Measure, turn: Turn, minute: u32) -> Change {
        let now = start_of(minute);
        match turn {
            Turn::Closed(direction, since) => Change::Closed {
                kind: AlertKind::Series(measure, direction),
                opened_at: start_of(since),
                closed_at: now,
            },
            Turn::Silenced(evidence) => Change::Silenced(self.alert(measure, &evidence, now)),
            Turn::Opened(evidence) => {
                let alert = self.alert(measure, &evidence, now);
                let is_joined = evidence.is_again || self.is_beside(measure, minute);
                if is_joined { Change::Joined(alert) } else { Change::Opened(alert) }
            }
        }
    }

    fn alert(&self, measure: Measure, evidence: &Evidence, now: Timestamp) -> Alert {
        Alert {
            kind: AlertKind::Series(measure, evidence.direction),
            severity: words::severity(measure, evidence),
            opened_at: now,
            words: words::of_series(self.subject, measure, evidence),
        }
    }

    /// Whether another measure of the client was told of a moment ago.
    fn is_beside(&self, measure: Measure, minute: u32) -> bool {
        let others = Measure::ALL.into_iter().filter(|other| *other != measure);
        others.map(|other| &self.tracks[other as usize]).any(|track| match track.phase {
            Phase::Open(_, is_told) => is_told && minute.saturating_sub(track.since) <= TOGETHER,
            Phase::Calm => track.closed != 0 && minute.saturating_sub(track.closed) <= TOGETHER,
        })
    }
}

/// The minute since the epoch, never zero, which stands for none.
fn minute_of(now: Timestamp) -> u32 {
    u32::try_from(now.unix_millis().div_euclid(60_000).max(1)).unwrap_or(u32::MAX)
}

fn start_of(minute: u32) -> Timestamp {
    Timestamp::from_unix_millis(i64::from(minute) * 60_000)
}
