//! Volume by the hour: what only whole hours show, and whether a quiet day is a holiday.
//!
//! A job that runs at its own minutes has no usual minute, but it has a usual hour. So volume is judged a second time
//! when an hour is over, with a spread of its own; two hours far out make an alert.

use super::Measure;
use super::alert::Direction;
use super::judge::{HOURS_TO_SINK, SPREADS_LEARNED};
use super::track::{Evidence, Phase, Seat, Track, Turn, WEEK};

/// What an hour may be out, what it counts at most, and what opens.
const ALLOWANCE: f32 = 1.5;
const COUNTS: f32 = 6.0;
const OPENS: f32 = 4.0;
const MOST: f32 = 12.0;
/// So many times as much as usual is much for a whole hour.
const MUCH: f32 = 1.75;
/// What an alert raises the bar by, and how far.
const RAISED: f32 = 1.2;
const HIGHEST_BAR: f32 = 2.5;

/// What is kept besides the track of volume.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hours {
    /// Page's sum of how far volume lies below the quietest day of the week.
    pub(super) quiet: f32,
    /// What that day would have brought in the block under way, and in the hour.
    pub(super) quiet_block: f32,
    pub(super) quiet_hour: f32,
    /// What is usual for the hour under way.
    pub(super) low: f32,
    pub(super) high: f32,
    /// Page's sums over hours.
    pub(super) up: f32,
    pub(super) down: f32,
    /// How many times as far as an ordinary client's its hours stray.
    pub(super) spread: f32,
    /// How much more evidence than two hours is asked for, as a factor less one.
    pub(super) bar: f32,
    /// The last minute in which the client was busy as usual, and busier than on its quietest day.
    pub(super) busy: u32,
    /// The open incident was told from hours, and ends by them.
    pub(super) is_open: bool,
}

impl Default for Hours {
    fn default() -> Self {
        Self {
            quiet: 0.0,
            quiet_block: 0.0,
            quiet_hour: 0.0,
            low: 0.0,
            high: 0.0,
            up: 0.0,
            down: 0.0,
            spread: 1.0,
            bar: 0.0,
            busy: 0,
            is_open: false,
        }
    }
}

impl Hours {
    /// Forgets what was under way, but not what was learned.
    pub(super) fn interrupt(&mut self) {
        *self = Self { spread: self.spread, bar: self.bar, is_open: self.is_open, ..Self::default() };
    }

    pub(super) fn forget_hour(&mut self) {
        (self.low, self.high, self.quiet_hour) = (0.0, 0.0, 0.0);
    }
}

impl Track {
    /// Judges the hour that is over.
    pub(super) fn judge_hour(&mut self, seat: &mut Seat<'_>, minute: u32) -> Option<Turn> {
        if seat.measure != Measure::Volume || seat.age < WEEK || self.hour_weight < 45.0 {
            return None;
        }
        let spread = seat.hours.spread;
        let distance = |expected: f32| Measure::Volume.distance(self.hour_seen, expected, self.hour_weight) / spread;
        let (above, below) = (distance(seat.hours.high), -distance(seat.hours.low));
        let below_quiet = -distance(seat.hours.quiet_hour);
        if let Phase::Open(direction, is_told) = self.phase {
            let out = if direction == Direction::Jump { above } else { below };
            let is_over = seat.hours.is_open && out < 0.5 * ALLOWANCE;
            return is_over.then(|| self.close(seat, direction, is_told, minute)).flatten();
        }
        let far = distance(f32::midpoint(seat.hours.low, seat.hours.high)).abs().min(3.0) * spread;
        let gain = if seat.age < 3 * WEEK { 0.05 } else { 0.01 };
        seat.hours.spread = (spread + gain * (far / 0.798 - spread)).max(0.5);
        let added = |sum: f32, out: f32| (sum + out.min(COUNTS) - ALLOWANCE).clamp(0.0, MOST);
        (seat.hours.up, seat.hours.down) = (added(seat.hours.up, above), added(seat.hours.down, below_quiet));
        let opens = OPENS * (1.0 + seat.hours.bar);
        seat.hours.bar -= seat.hours.bar / HOURS_TO_SINK;
        let direction = match () {
            () if seat.hours.up >= opens => Direction::Jump,
            () if seat.hours.down >= opens => Direction::Drop,
            () => return None,
        };
        let (expected, far) = match direction {
            Direction::Jump => (seat.hours.high, above),
            Direction::Drop => (seat.hours.quiet_hour, below_quiet),
        };
        let is_enough = direction == Direction::Drop || self.hour_seen >= MUCH * expected;
        if far < ALLOWANCE || !is_enough || !Measure::Volume.is_enough(self.hour_seen, expected, self.hour_weight) {
            return None;
        }
        (seat.hours.up, seat.hours.down) = (0.0, 0.0);
        if seat.age >= SPREADS_LEARNED {
            seat.hours.bar = (RAISED * (1.0 + seat.hours.bar)).min(HIGHEST_BAR) - 1.0;
        }
        let evidence = Evidence {
            direction,
            seen: self.hour_seen / self.hour_weight,
            usual_low: seat.hours.low / self.hour_weight,
            usual_high: seat.hours.high / self.hour_weight,
            far,
            minutes: 120,
            block_minutes: 60,
            is_again: false,
        };
        let turn = self.alarm(seat, evidence, minute);
        seat.hours.is_open = self.phase != Phase::Calm;
        turn
    }
}
