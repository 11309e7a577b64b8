//! What a track learns from an hour that is over: the level, the part of the week, and how far the client strays.
//!
//! Every step is winsorised. An hour moves the level by 0.7 % of a doubling at most (0.02 of 0.35), and its own part of
//! the week by a fifth of one, or by more while there are few weeks to learn from: half of one in the second, a quarter in
//! the fourth. Only in the first five weeks may it go further, and only back to what the other days are. An incident
//! moves its own hours half as far and nothing else, until it is accepted as a new usual.

use super::Measure;
use super::judge::HOURS_TO_SINK;
use super::season;
use super::track::{DAY, Phase, REQUESTS, Seat, Track, WEEK, YOUNG};

/// The part of an hour's difference by which the level moves, and the part for its own part of the week.
const LEVEL_GAIN: f32 = 0.02;
const BIN_GAIN: f32 = 0.2;
/// What lasts so long is slowly learned as usual.
const ACCEPTED: u32 = 3 * DAY;

impl Track {
    /// Learns from an hour that is over, unless something goes on.
    pub(super) fn learn(&mut self, seat: &mut Seat<'_>, hour: u32, minute: u32) {
        let least = if seat.measure == Measure::Volume { 45.0 } else { REQUESTS };
        let is_suspicious = self.up.max(self.down) >= self.opens();
        let is_accepted = match self.phase {
            Phase::Calm => false,
            Phase::Open(direction, is_told) => {
                !is_told || seat.silenced[direction as usize] || minute.saturating_sub(self.since) >= ACCEPTED
            }
        };
        if self.hour_weight >= least {
            let place = seat.measure.place(self.hour_seen, self.hour_weight);
            match self.phase {
                Phase::Calm if !is_suspicious => self.learn_usual(seat, hour, place),
                Phase::Calm => {}
                Phase::Open(..) => self.learn_unusual(seat, hour, place, is_accepted),
            }
        }
        self.bar -= self.bar / HOURS_TO_SINK;
        self.forget_hour(seat);
    }

    fn learn_usual(&mut self, seat: &mut Seat<'_>, hour: u32, place: f32) {
        let shape = seat.measure.shape();
        if self.hours == 0 {
            self.level = place;
        }
        self.hours = self.hours.saturating_add(1);
        let pulled = self.learn_part(seat, hour, place, shape.pull);
        if seat.age < WEEK {
            return;
        }
        self.level += LEVEL_GAIN * pulled.clamp(-0.35 * shape.pull, 0.35 * shape.pull);
        self.learn_noise(seat, hour);
        if season::hour_of_week(hour) == 0 {
            self.level += season::centre(shape, seat.bins);
        }
    }

    /// While something goes on, its own part of the week is pulled half as hard, so that what comes every week is
    /// usual in the end, and nothing else moves until it is accepted as a new usual.
    fn learn_unusual(&mut self, seat: &mut Seat<'_>, hour: u32, place: f32, is_accepted: bool) {
        let shape = seat.measure.shape();
        let own = season::offset(shape, seat.bins, season::hour_of_week(hour)).unwrap_or(0.0);
        if is_accepted {
            self.level += (place - self.level - own).clamp(-shape.relearn, shape.relearn);
        } else {
            self.learn_part(seat, hour, place, 0.5 * shape.pull);
        }
    }

    /// Pulls the offset of a part of the week towards what was seen, and says how far off that was, within the bound.
    fn learn_part(&mut self, seat: &mut Seat<'_>, hour: u32, place: f32, bound: f32) -> f32 {
        let (shape, hour_of_week) = (seat.measure.shape(), season::hour_of_week(hour));
        let seen = place - self.level;
        let Some(own) = season::offset(shape, seat.bins, hour_of_week) else {
            season::set_offset(shape, seat.bins, hour, seen);
            return 0.0;
        };
        let pulled = (seen - own).clamp(-bound, bound);
        let others = season::middle_day(shape, seat.bins, hour_of_week).unwrap_or(own);
        if self.phase == Phase::Calm && seat.age < YOUNG && (seen - others).abs() + shape.pull < (own - others).abs() {
            // What was learned first was a holiday or an incident, and the day is now what the other days are.
            season::set_offset(shape, seat.bins, hour, own + 0.8 * (seen - own));
            return pulled;
        }
        let visits = (seat.age / WEEK * shape.bin_hours + hour_of_week % shape.bin_hours) as f32;
        let gain = (1.0 / (1.0 + visits)).max(BIN_GAIN / shape.bin_hours as f32);
        season::set_offset(shape, seat.bins, hour, own + gain * pulled);
        pulled
    }

    /// Learns how far blocks stray, by their mean absolute distance, and how far the hour strayed as a whole.
    fn learn_noise(&mut self, seat: &mut Seat<'_>, hour: u32) {
        if self.hour_blocks == 0 {
            return;
        }
        let (shape, blocks) = (seat.measure.shape(), f32::from(self.hour_blocks));
        // The mean absolute deviation of a normal distribution is √(2/π) of its standard deviation.
        let ratio = (self.hour_far / blocks / 0.798).max(0.1);
        let doublings = ratio.log2().clamp(-1.0, 1.0);
        if seat.age < WEEK + 2 * DAY {
            // At first from every hour for all hours, and then each for itself.
            (0..24)
                .for_each(|other| season::move_spread(shape, seat.spreads, hour - hour % 24 + other, 0.1 * doublings));
        } else {
            let gain = if seat.age < 3 * WEEK { 0.4 } else { 0.1 };
            season::move_spread(shape, seat.spreads, hour, gain * doublings);
        }
        if self.hour_blocks >= 4 {
            let bound = 2.0 * self.wander.sqrt() + 0.5;
            let mean = (self.hour_sum / blocks).clamp(-bound, bound);
            let gain = if seat.age < 3 * WEEK { 0.03 } else { 0.01 };
            self.wander = (self.wander + gain * (mean * mean - 1.0 / blocks - self.wander)).max(0.0);
        }
    }
}
