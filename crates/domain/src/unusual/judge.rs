//! From evidence to an incident and to its end.

use super::Measure;
use super::alert::Direction;
use super::season;
use super::track::{DAY, Evidence, Phase, Seat, Track, Turn, WEEK};

/// Evidence that opens an incident: four minutes, or two blocks of several, as far out as counts.
const OPENS: f32 = 12.0;
/// How far a block of a single minute counts beyond the allowance, however far out it is, and a longer one.
const COUNTS: f32 = 3.0;
const COUNTS_LONG: f32 = 6.0;
/// Evidence is not piled up beyond twice what opens, so that a day of it does not take a day to go away.
const MOST: f32 = 2.0;
/// Allowances that close an incident: with everything as usual, two dozen blocks.
const CLOSES: f32 = 12.0;
/// A short alert was likely noise, and raises the bar for the next one by so much, up to a bound. The bar sinks back
/// in about twelve weeks.
const RAISED: f32 = 2.0;
const HIGHEST_BAR: f32 = 6.0;
const SHORT: u32 = 45;
pub(super) const HOURS_TO_SINK: f32 = 2016.0;
/// By this age the spreads have been learned, and only noise that they do not cover shows as evidence.
pub(super) const SPREADS_LEARNED: u32 = 11 * DAY;
/// A quiet day is a holiday; a longer one is not.
const HOLIDAY: u32 = 30 * 60;
/// A drop so soon after an ordinary busy time is no holiday either, since that begins with the day.
const SUDDEN: u32 = 120;
/// Nothing closes sooner, and what opens again sooner is the same incident.
const SHORTEST: u32 = 10;
const SAME: u32 = 120;

impl Track {
    /// Judges a block that has enough in it, by cumulative sums (Page, 1954).
    pub(super) fn judge(&mut self, seat: &mut Seat<'_>, minute: u32) -> Option<Turn> {
        let (measure, shape) = (seat.measure, seat.measure.shape());
        let spread = season::spread(shape, seat.spreads, minute / 60);
        let distance = |expected: f32| measure.distance(self.seen, expected, self.weight) / spread;
        let (above, below) = (distance(self.high), -distance(self.low));
        let below_quiet = -distance(seat.hours.quiet_block);
        let centre = distance(f32::midpoint(self.low, self.high)).clamp(-4.0, 4.0);
        self.hour_sum += centre;
        self.hour_far += centre.abs();
        self.hour_blocks = self.hour_blocks.saturating_add(1);

        let allowance = self.allowance();
        if let Phase::Open(direction, is_told) = self.phase {
            let out = if direction == Direction::Jump { above } else { below };
            return self.follow(seat, (direction, is_told), out, minute);
        }

        let was_calm = self.up <= 0.0 && self.down <= 0.0;
        let (counts, worth) = match self.block_minutes {
            0 | 1 => (COUNTS, 1.0),
            2..30 => (COUNTS_LONG, 1.0),
            _ => (COUNTS_LONG, 2.0),
        };
        let most = MOST * self.opens();
        let added = |sum: f32, out: f32| (sum + worth * (out.min(allowance + counts) - allowance)).clamp(0.0, most);
        (self.up, self.down) = (added(self.up, above), added(self.down, below));
        if measure == Measure::Volume {
            seat.hours.quiet = added(seat.hours.quiet, below_quiet);
            self.notice_busy(seat, minute);
        }
        if was_calm {
            self.since = minute.saturating_sub(u32::from(self.block_minutes.saturating_sub(1)));
        }
        if !self.is_known(seat) {
            self.calibrate(seat);
        }
        let direction = self.alarming(seat, below, minute)?;
        let evidence = self.evidence(seat, direction, if direction == Direction::Jump { above } else { below }, minute);
        self.alarm(seat, evidence, minute)
    }

    /// Follows an open incident to its end, by a sum that runs the other way and asks for half as far.
    fn follow(&mut self, seat: &mut Seat<'_>, open: (Direction, bool), out: f32, minute: u32) -> Option<Turn> {
        let ((direction, is_told), allowance) = (open, self.allowance());
        if out > 0.5 * allowance {
            self.closed = minute;
        }
        self.back = (self.back + (0.5 * allowance - out).clamp(-COUNTS, allowance)).max(0.0);
        let is_by_hours = seat.measure == Measure::Volume && seat.hours.is_open;
        let is_calm = self.back >= CLOSES * allowance && minute.saturating_sub(self.since) >= SHORTEST;
        if is_calm && !is_by_hours {
            return self.close(seat, direction, is_told, minute);
        }
        let is_due = !is_told && !seat.silenced[direction as usize] && out > allowance;
        is_due.then(|| {
            self.phase = Phase::Open(direction, true);
            Turn::Opened(self.evidence(seat, direction, out, minute))
        })
    }

    /// Makes an incident of evidence that is enough, unless the client is not known for long enough.
    pub(super) fn alarm(&mut self, seat: &mut Seat<'_>, mut evidence: Evidence, minute: u32) -> Option<Turn> {
        (self.up, self.down, self.back) = (0.0, 0.0, 0.0);
        if seat.measure == Measure::Volume {
            seat.hours.quiet = 0.0;
        }
        if !self.is_known(seat) {
            return None;
        }
        evidence.is_again = self.closed != 0 && minute.saturating_sub(self.closed) < SAME;
        let is_told = !seat.silenced[evidence.direction as usize];
        (self.phase, self.since, self.closed) = (Phase::Open(evidence.direction, is_told), minute, minute);
        Some(if is_told { Turn::Opened(evidence) } else { Turn::Silenced(evidence) })
    }

    /// Notes that the client was busy as it usually is, and busier than on its quietest day.
    fn notice_busy(&self, seat: &mut Seat<'_>, minute: u32) {
        let usual = self.low / f32::from(self.block_minutes.max(1));
        let busiest = seat.measure.expected(self.level + season::busiest(seat.measure.shape(), seat.bins));
        let is_busy_time = usual >= 0.4 * busiest && seat.hours.quiet_block < 0.6 * self.low;
        if is_busy_time && self.seen >= 0.6 * self.low {
            seat.hours.busy = minute;
        }
    }

    fn alarming(&self, seat: &Seat<'_>, below: f32, minute: u32) -> Option<Direction> {
        let opens = self.opens();
        if self.up >= opens && seat.measure.is_enough(self.seen, self.high, self.weight) {
            return Some(Direction::Jump);
        }
        if self.down < opens || !seat.measure.is_enough(self.seen, self.low, self.weight) {
            return None;
        }
        let is_no_holiday = seat.measure != Measure::Volume
            || minute.saturating_sub(seat.hours.busy) <= SUDDEN
            || seat.hours.quiet >= opens
            || (minute.saturating_sub(self.since) >= HOLIDAY && below > self.allowance() + 1.0);
        is_no_holiday.then_some(Direction::Drop)
    }

    /// Whether there is enough of a history for an alert.
    fn is_known(&self, seat: &Seat<'_>) -> bool {
        seat.age >= 2 * WEEK && self.hours >= seat.measure.shape().hours_needed
    }

    /// Asks for twice the most evidence that the client's noise made in the last days of learning.
    fn calibrate(&mut self, seat: &Seat<'_>) {
        let down = if seat.measure == Measure::Volume { seat.hours.quiet } else { self.down };
        if seat.age >= SPREADS_LEARNED {
            let asked = 2.0 * self.up.max(down) / OPENS;
            self.bar = self.bar.max(asked.min(HIGHEST_BAR) - 1.0);
        }
    }

    fn raise_bar(&mut self) {
        self.bar = (RAISED * (1.0 + self.bar)).min(HIGHEST_BAR) - 1.0;
    }

    pub(super) fn close(
        &mut self,
        seat: &mut Seat<'_>,
        direction: Direction,
        is_told: bool,
        minute: u32,
    ) -> Option<Turn> {
        let since = self.since;
        if self.closed.saturating_sub(since) < SHORT {
            self.raise_bar();
        }
        // What nobody was told of is not what a later alert could be a part of.
        (self.phase, self.closed, self.back) = (Phase::Calm, if is_told { minute } else { 0 }, 0.0);
        if seat.measure == Measure::Volume {
            seat.hours.is_open = false;
        }
        self.forget_hour(seat);
        is_told.then_some(Turn::Closed(direction, since))
    }

    fn evidence(&self, seat: &Seat<'_>, direction: Direction, far: f32, minute: u32) -> Evidence {
        let per = if seat.measure == Measure::Volume { f32::from(self.block_minutes.max(1)) } else { self.weight };
        Evidence {
            direction,
            seen: seat.measure.value(self.seen / per),
            usual_low: seat.measure.value(self.low / per),
            usual_high: seat.measure.value(self.high / per),
            far,
            minutes: minute.saturating_sub(self.since).saturating_add(1),
            block_minutes: u32::from(self.block_minutes.max(1)),
            is_again: false,
        }
    }

    /// The evidence that opens an incident.
    pub(super) fn opens(&self) -> f32 {
        OPENS * (1.0 + self.bar)
    }

    /// What a block may be out without counting as evidence: one spread, and what whole hours wander.
    fn allowance(&self) -> f32 {
        (1.0 + 3.0 * self.wander.max(0.0).sqrt()).min(7.0)
    }
}
