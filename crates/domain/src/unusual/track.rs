//! What is kept of one measure of one client, and how its minutes are put together into what can be judged.

use super::Measure;
use super::alert::Direction;
use super::hours::Hours;
use super::measure::Reading;
use super::season;

/// Requests that must be expected, or have come, before anything is said about volume.
const EXPECTED: f32 = 10.0;
const CAME: f32 = 25.0;
/// Requests before anything is said about a share, latency or bytes.
pub(super) const REQUESTS: f32 = 20.0;
pub(super) const DAY: u32 = 24 * 60;
pub(super) const WEEK: u32 = 7 * DAY;
/// Until this age a part of the week may have been learned from one odd day.
pub(super) const YOUNG: u32 = 5 * WEEK;
/// Until this age it may even be wrong by all of that day.
const TRUSTED: u32 = 3 * WEEK;

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    #[default]
    Calm,
    /// Open; whether somebody was told.
    Open(Direction, bool),
}

/// One measure of one client. All that has a history is in here.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Track {
    /// The centre of the week, on the measure's scale.
    pub(super) level: f32,
    /// The variance of whole hours about what is usual for them, in spreads.
    pub(super) wander: f32,
    /// How much more evidence than is ordinary is asked for, as a factor less one.
    pub(super) bar: f32,
    /// Page's sums.
    pub(super) up: f32,
    pub(super) down: f32,
    /// The sum that closes.
    pub(super) back: f32,
    /// The block under way: minutes are put together until there is enough in them to judge.
    pub(super) seen: f32,
    pub(super) weight: f32,
    pub(super) low: f32,
    pub(super) high: f32,
    /// The hour under way.
    pub(super) hour_seen: f32,
    pub(super) hour_weight: f32,
    pub(super) hour_sum: f32,
    pub(super) hour_far: f32,
    /// The minute since which there is evidence, or since which the incident is open.
    pub(super) since: u32,
    /// When the last incident closed, or while one is open, the last minute that was out of the ordinary.
    pub(super) closed: u32,
    pub(super) block_minutes: u16,
    /// Hours that were learned.
    pub(super) hours: u16,
    pub(super) hour_blocks: u8,
    pub(super) phase: Phase,
}

/// One measure's part of a client's history.
pub(super) struct Seat<'a> {
    pub(super) measure: Measure,
    pub(super) bins: &'a mut [u8],
    pub(super) spreads: &'a mut [u8],
    pub(super) hours: &'a mut Hours,
    /// Minutes since the client's first sample.
    pub(super) age: u32,
    /// Whether jumps and drops are silenced.
    pub(super) silenced: [bool; 2],
}

/// What an alert is made of: what was seen in the last block, and what was usual for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    pub(super) direction: Direction,
    pub(super) seen: f32,
    pub(super) usual_low: f32,
    pub(super) usual_high: f32,
    /// How many times as far out as the client ordinarily strays.
    pub(super) far: f32,
    /// Minutes that the evidence took, and those of the last block.
    pub(super) minutes: u32,
    pub(super) block_minutes: u32,
    /// The same incident as a moment ago.
    pub(super) is_again: bool,
}

/// What a minute did to an incident.
pub(super) enum Turn {
    Opened(Evidence),
    /// It opened, and a silence covers it.
    Silenced(Evidence),
    Closed(Direction, u32),
}

impl Track {
    /// Takes a minute: learns from the hour before it if that is over, and judges the block if there is enough in it.
    pub(super) fn step(&mut self, seat: &mut Seat<'_>, minute: u32, reading: Option<Reading>) -> Option<Turn> {
        let mut turn = None;
        if minute.is_multiple_of(60) {
            turn = self.judge_hour(seat, minute);
            self.learn(seat, (minute / 60).saturating_sub(1), minute);
        }
        self.block_minutes = self.block_minutes.saturating_add(1);
        let Some(reading) = reading else { return turn };
        self.hour_seen += reading.amount;
        self.hour_weight += reading.weight;
        if self.hours == 0 || seat.age < WEEK {
            return turn;
        }
        self.expect(seat, minute, reading);
        let is_full = match seat.measure {
            Measure::Volume => {
                // A client whose requests come in bursts says as much less by each (its index of dispersion).
                let spread = season::spread(seat.measure.shape(), seat.spreads, minute / 60);
                let dispersion = (spread * spread).clamp(1.0, 25.0);
                self.high >= EXPECTED * dispersion || self.seen >= CAME * dispersion
            }
            _ => self.weight >= REQUESTS,
        };
        if is_full {
            turn = self.judge(seat, minute).or(turn);
            (self.seen, self.weight, self.low, self.high, self.block_minutes) = (0.0, 0.0, 0.0, 0.0, 0);
            if seat.measure == Measure::Volume {
                seat.hours.quiet_block = 0.0;
            }
        }
        turn
    }

    /// Puts the minute into the block, with what was expected of it: this part of the week, and on the way to the next.
    fn expect(&mut self, seat: &mut Seat<'_>, minute: u32, reading: Reading) {
        let shape = seat.measure.shape();
        let hour = season::hour_of_week(minute / 60);
        let own = season::offset(shape, seat.bins, hour).unwrap_or(0.0);
        let near = season::on_the_way(shape, seat.bins, minute, own);
        self.seen += reading.amount;
        self.weight += reading.weight;
        let low = reading.weight * seat.measure.expected(self.level + own.min(near));
        let mut most = own.max(near);
        if seat.measure == Measure::Volume && seat.age < TRUSTED {
            // A part of the week that was learned from two or three days, of which one may have been a holiday, is not
            // trusted to be quieter than the same hour of the other days.
            most = most.max(season::middle_day(shape, seat.bins, hour).unwrap_or(own));
        }
        let high = reading.weight * seat.measure.expected(self.level + most);
        (self.low, self.high) = (self.low + low, self.high + high);
        if seat.measure == Measure::Volume {
            let quietest = season::quietest(shape, seat.bins, hour).unwrap_or(own).min(near);
            let quietest = seat.measure.expected(self.level + quietest);
            seat.hours.quiet_block += quietest;
            seat.hours.quiet_hour += quietest;
            (seat.hours.low, seat.hours.high) = (seat.hours.low + low, seat.hours.high + high);
        }
    }

    pub(super) fn forget_hour(&mut self, seat: &mut Seat<'_>) {
        self.empty_hour();
        if seat.measure == Measure::Volume {
            seat.hours.forget_hour();
        }
    }

    fn empty_hour(&mut self) {
        (self.hour_seen, self.hour_weight, self.hour_sum, self.hour_far) = (0.0, 0.0, 0.0, 0.0);
        self.hour_blocks = 0;
    }

    /// Forgets what was under way, because time did not go on as it should: evidence, block and hour.
    pub(super) fn interrupt(&mut self, minute: u32) {
        (self.up, self.down, self.back) = (0.0, 0.0, 0.0);
        (self.seen, self.weight, self.low, self.high) = (0.0, 0.0, 0.0, 0.0);
        self.block_minutes = 0;
        self.since = self.since.min(minute);
        self.closed = self.closed.min(minute);
        self.empty_hour();
    }
}
