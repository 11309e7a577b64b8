//! The model from which the labelled series are generated. What is ordinary is here, what is not in `incident.rs`.
//!
//! A client is one of six kinds; its volume a minute is negative-binomial about
//! base × hour of its day × day of its week × trend × holiday × weather, where weather is what nobody can foresee: an
//! AR(1) process over minutes with a time constant of two hours, and another factor for the whole day. Shares, latency
//! and bytes have their own weather, and every few days a blip of a minute or two that is no incident.

use fuuffy_domain::Sample;

use super::chance::Chance;

/// Days of the model; the first fourteen have no incidents, since nothing is told in them.
pub(crate) const DAYS: u32 = 56;
pub(crate) const QUIET_DAYS: u32 = 14;
const DAY: u32 = 24 * 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// People at work: nothing much at night, little at week-ends, holidays like Sundays.
    Office,
    /// People at home: most in the evening and at week-ends, holidays like Sundays.
    Shop,
    /// A machine that polls, day and night.
    Machine,
    /// A job at fixed minutes of the hour, with a longer one at night, over a small base.
    Batch,
    /// A few requests an hour.
    Sparse,
    /// Bursts of minutes at random times over a small base.
    Bursty,
}

pub(crate) const KINDS: [Kind; 6] = [Kind::Office, Kind::Shop, Kind::Machine, Kind::Batch, Kind::Sparse, Kind::Bursty];

/// One client of the model: what it is and how the weather stands.
pub(crate) struct Model {
    pub(crate) kind: Kind,
    base: f64,
    /// Minutes by which its day is ahead of UTC.
    offset: u32,
    weekend: f64,
    trend: f64,
    k: f64,
    every: u32,
    holidays: [u32; 3],
    pub(crate) shares: [f64; 4],
    pub(crate) latency: f64,
    pub(crate) bytes: f64,
    weather: Weather,
    of_day: f64,
    burst: f64,
    burst_left: u32,
}

/// Deviations that last: of volume, shares, latency and bytes.
#[derive(Default)]
struct Weather {
    strength: f64,
    volume: f64,
    shares: [f64; 4],
    latency: f64,
    bytes: f64,
}

/// What an incident does to a minute.
#[derive(Clone, Copy)]
pub(crate) struct Effect {
    pub(crate) volume: f64,
    /// What is added to each share, and by what it is multiplied before.
    pub(crate) shares: [f64; 4],
    pub(crate) shares_kept: [f64; 4],
    pub(crate) latency: f64,
    pub(crate) bytes: f64,
}

/// Bytes of every request.
pub(crate) const BYTES_IN: f64 = 200.0;

impl Effect {
    pub(crate) const NONE: Self =
        Self { volume: 1.0, shares: [0.0; 4], shares_kept: [1.0; 4], latency: 1.0, bytes: 1.0 };
}

impl Model {
    pub(crate) fn new(kind: Kind, chance: &mut Chance) -> Self {
        let base = match kind {
            Kind::Sparse => chance.log_between(0.03, 0.5),
            Kind::Batch | Kind::Bursty => chance.log_between(0.5, 20.0),
            Kind::Office | Kind::Shop | Kind::Machine => chance.log_between(2.0, 2000.0),
        };
        let weeks = f64::from(DAYS) / 7.0;
        let share =
            |chance: &mut Chance, high| if chance.is(0.3) { 0.0 } else { chance.log_between(high / 50.0, high) };
        let mut shares = [share(chance, 0.02), share(chance, 0.08), share(chance, 0.01), share(chance, 0.01)];
        // Some ask again and again for what is not there yet, or more often than they may.
        if chance.is(0.3) {
            shares[[1, 2][(chance.next() % 2) as usize]] = chance.between(0.2, 0.5);
        }
        Self {
            kind,
            base,
            offset: [0, 60, 120, 330, 540, 1020][(chance.next() % 6) as usize],
            weekend: if kind == Kind::Office { chance.between(0.02, 0.4) } else { chance.between(1.0, 1.6) },
            trend: chance.between(-0.02, 0.05) * weeks,
            k: chance.log_between(8.0, 200.0),
            every: [5, 10, 15, 30, 60][(chance.next() % 5) as usize],
            holidays: [0, 1, 2].map(|_| chance.between(0.0, f64::from(DAYS)) as u32),
            shares,
            latency: chance.log_between(5_000.0, 400_000.0),
            bytes: chance.log_between(300.0, 60_000.0),
            weather: Weather { strength: chance.between(0.03, 0.12), ..Weather::default() },
            of_day: 1.0,
            burst: chance.log_between(5.0, 30.0),
            burst_left: 0,
        }
    }

    /// Requests expected in a minute of an ordinary week, as far as they can be foreseen.
    pub(crate) fn expected(&self, minute: u32) -> f64 {
        let local = minute + self.offset;
        let (day, of_day) = (local / DAY, f64::from(local % DAY) / 60.0);
        let day_of_week = if self.holidays.contains(&day) { 6 } else { day % 7 };
        let is_weekend = day_of_week >= 5;
        let bell = |centre: f64, width: f64| (-((of_day - centre) / width).powi(2) / 2.0).exp();
        let shape = match self.kind {
            Kind::Office => 0.03 + bell(10.5, 1.8) + bell(15.0, 2.0),
            Kind::Shop => 0.1 + 0.6 * bell(12.5, 2.5) + bell(20.0, 2.5),
            Kind::Machine | Kind::Sparse => 1.0,
            Kind::Batch => {
                let is_nightly = (120..150).contains(&(local % DAY));
                if is_nightly || local.is_multiple_of(self.every) { self.burst } else { 0.2 }
            }
            Kind::Bursty => 0.3,
        };
        let of_week = match self.kind {
            Kind::Office | Kind::Shop if is_weekend => self.weekend,
            _ => 1.0,
        };
        self.base * shape * of_week * (1.0 + self.trend * f64::from(minute) / f64::from(DAYS * DAY))
    }

    /// One minute.
    pub(crate) fn minute(&mut self, minute: u32, effect: &Effect, chance: &mut Chance) -> Sample {
        self.change_weather(minute, chance);
        let mut mean = self.expected(minute) * self.of_day * self.weather.volume.exp() * effect.volume;
        if self.kind == Kind::Bursty {
            if self.burst_left == 0 && chance.is(0.01) {
                self.burst_left = chance.between(2.0, 12.0) as u32;
            }
            if self.burst_left > 0 {
                (self.burst_left, mean) = (self.burst_left - 1, mean * self.burst);
            }
        }
        let requests = chance.negative_binomial(mean, self.k);
        let blip = chance.is(1.0 / f64::from(2 * DAY));
        let mut counts = [0; 4];
        for (number, count) in counts.iter_mut().enumerate() {
            // The weather is in the odds, so that no share is more than all.
            let odds = self.shares[number] / (1.0 - self.shares[number]) * self.weather.shares[number].exp();
            let blip = if blip && number == (minute % 4) as usize { 0.3 } else { 0.0 };
            let usual = odds / (1.0 + odds) * effect.shares_kept[number];
            *count = chance.binomial(requests, usual + effect.shares[number] + blip);
        }
        // The percentile of few requests strays more than that of many.
        let stray = |count: u32| (0.5 / f64::from(count.max(1)).sqrt()).max(0.06);
        let blip = if chance.is(1.0 / f64::from(DAY)) { 5.0 } else { 1.0 };
        let latency = self.latency * (self.weather.latency + stray(requests) * chance.normal()).exp();
        let size = self.bytes * (self.weather.bytes + 1.6 * stray(requests) * chance.normal()).exp() * effect.bytes;
        let [forbidden, not_found, limited, server_errors] = counts;
        Sample {
            requests,
            forbidden,
            not_found,
            limited,
            server_errors,
            bytes_in: u64::from(requests) * BYTES_IN as u64,
            bytes_out: (size * f64::from(requests)) as u64,
            latency: (requests > 0).then_some((latency * effect.latency * blip) as u32),
        }
    }

    fn change_weather(&mut self, minute: u32, chance: &mut Chance) {
        let strength = self.weather.strength;
        if (minute + self.offset).is_multiple_of(DAY) || minute == 0 {
            self.of_day = (strength * chance.normal()).exp();
        }
        // An AR(1) process of standard deviation `strength`, with a memory of two hours.
        let memory: f64 = 1.0 - 1.0 / 120.0;
        let mut next = |now: &mut f64, strength: f64| {
            *now = memory * *now + strength * (1.0 - memory * memory).sqrt() * chance.normal();
        };
        next(&mut self.weather.volume, strength);
        for share in &mut self.weather.shares {
            next(share, 3.0 * strength);
        }
        next(&mut self.weather.latency, 1.5 * strength);
        next(&mut self.weather.bytes, 1.5 * strength);
    }
}
