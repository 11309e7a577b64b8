//! What is not ordinary: the incidents of the model, with their labels.
//!
//! An incident is placed where there is something to see: where, by the model, at least 100 requests would ordinarily
//! come while it lasts (for a share, latency and bytes as for a drop), or for a jump at least 100 more than that; what
//! becomes less of a share, of latency and of bytes only where there is so much that somebody would act on the
//! difference. An incident has one measure; they are a day apart at least.

use fuuffy_domain::{Direction, Measure};

use super::chance::Chance;
use super::model::{BYTES_IN, DAYS, Effect, Kind, Model, QUIET_DAYS};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Jump,
    /// To nothing.
    Stop,
    /// To a part.
    Drop,
    /// A rise over hours, labelled from where it has passed one and a half times what is usual.
    Drift,
    Share,
    /// A share that is usually large is not.
    ShareDrop,
    Latency,
    LatencyDrop,
    Bytes,
    BytesDrop,
}

const FORMS: [Form; 11] = [
    Form::Jump,
    Form::Stop,
    Form::Drop,
    Form::Drift,
    Form::Share,
    Form::Share,
    Form::ShareDrop,
    Form::Latency,
    Form::LatencyDrop,
    Form::Bytes,
    Form::BytesDrop,
];

#[derive(Debug, Clone, Copy)]
pub(crate) struct Incident {
    pub(crate) form: Form,
    pub(crate) measure: Measure,
    pub(crate) direction: Direction,
    /// The first minute and the one after the last.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// From where it is labelled.
    pub(crate) from: u32,
    size: f64,
}

const SHARES: [Measure; 4] =
    [Measure::ForbiddenShare, Measure::NotFoundShare, Measure::LimitedShare, Measure::ErrorShare];

/// A share that is so large becomes less where there is an incident of it, and no more.
const LARGE: f64 = 0.2;

impl Incident {
    /// What it does to a minute.
    pub(crate) fn effect(&self, minute: u32) -> Effect {
        let mut effect = Effect::NONE;
        if !(self.start..self.end).contains(&minute) {
            return effect;
        }
        match self.form {
            Form::Jump | Form::Drop => effect.volume = self.size,
            Form::Stop => effect.volume = 0.0,
            Form::Drift => effect.volume = 1.0 + (self.size - 1.0) * self.done(minute),
            Form::Share => effect.shares[self.place()] = self.size,
            Form::ShareDrop => effect.shares_kept[self.place()] = self.size,
            Form::Latency | Form::LatencyDrop => effect.latency = self.size,
            Form::Bytes | Form::BytesDrop => effect.bytes = self.size,
        }
        effect
    }

    /// Of its share among all.
    fn place(&self) -> usize {
        SHARES.iter().position(|share| *share == self.measure).unwrap_or(0)
    }

    fn done(&self, minute: u32) -> f64 {
        f64::from(minute - self.start) / f64::from(self.end - self.start)
    }

    pub(crate) fn is_labelled(&self, minute: u32) -> bool {
        (self.from..self.end).contains(&minute)
    }
}

/// The incidents of one client, in order.
pub(crate) fn of(model: &Model, chance: &mut Chance) -> Vec<Incident> {
    let mut incidents: Vec<Incident> = Vec::new();
    let mut day = QUIET_DAYS + 1;
    while day + 3 < DAYS {
        let placed = (0..20).find_map(|_| placed(model, day, chance));
        incidents.extend(placed);
        day = placed.map_or(day, |incident| incident.end.div_ceil(24 * 60)) + chance.between(2.0, 6.0) as u32;
    }
    incidents
}

fn placed(model: &Model, day: u32, chance: &mut Chance) -> Option<Incident> {
    let start = day * 24 * 60 + chance.between(0.0, 24.0 * 60.0) as u32;
    let form = FORMS[(chance.next() % FORMS.len() as u64) as usize];
    let (minutes, size) = match form {
        Form::Jump => (chance.log_between(20.0, 360.0), chance.log_between(2.0, 10.0)),
        Form::Stop => (chance.log_between(60.0, 720.0), 0.0),
        Form::Drop => (chance.log_between(60.0, 720.0), chance.between(0.1, 0.4)),
        Form::Drift => (chance.log_between(360.0, 1440.0), chance.log_between(2.5, 5.0)),
        Form::Share => (chance.log_between(15.0, 180.0), chance.log_between(0.1, 0.6)),
        Form::Latency => (chance.log_between(15.0, 180.0), chance.log_between(2.0, 8.0)),
        Form::Bytes => (chance.log_between(15.0, 180.0), chance.log_between(3.0, 20.0)),
        Form::ShareDrop => (chance.log_between(15.0, 180.0), chance.between(0.0, 0.25)),
        Form::LatencyDrop | Form::BytesDrop => (chance.log_between(15.0, 180.0), chance.log_between(0.05, 0.3)),
    };
    let scale = if model.kind == Kind::Sparse { 4.0 } else { 1.0 };
    let end = start + (minutes * scale) as u32;
    let expected: f64 = (start..end).map(|minute| model.expected(minute)).sum();
    let changed = if form == Form::Jump { expected * (size - 1.0) } else { expected };
    let large = model.shares.iter().position(|share| *share >= LARGE);
    let any = (chance.next() % SHARES.len() as u64) as usize;
    let place = if form == Form::ShareDrop { large? } else { any };
    let is_felt = match form {
        Form::Share => Some(place) != large,
        Form::LatencyDrop => model.latency * (1.0 - size) >= 10_000.0,
        Form::BytesDrop => BYTES_IN + model.bytes * size <= 0.3 * (BYTES_IN + model.bytes),
        _ => true,
    };
    if changed < 100.0 || end >= DAYS * 24 * 60 || !is_felt {
        return None;
    }
    let (measure, direction) = match form {
        Form::Jump | Form::Drift => (Measure::Volume, Direction::Jump),
        Form::Stop | Form::Drop => (Measure::Volume, Direction::Drop),
        Form::Share => (SHARES[place], Direction::Jump),
        Form::ShareDrop => (SHARES[place], Direction::Drop),
        Form::Latency => (Measure::Latency, Direction::Jump),
        Form::LatencyDrop => (Measure::Latency, Direction::Drop),
        Form::Bytes => (Measure::Bytes, Direction::Jump),
        Form::BytesDrop => (Measure::Bytes, Direction::Drop),
    };
    let from = if form == Form::Drift { start + (f64::from(end - start) * 0.5 / (size - 1.0)) as u32 } else { start };
    Some(Incident { form, measure, direction, start, end, from, size })
}
