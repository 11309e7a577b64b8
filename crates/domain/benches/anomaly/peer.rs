//! What most people would write first, to compare with: for each measure and hour of the week a mean and a standard
//! deviation of all minutes so far (Welford, 1962), an alert when five minutes in a row are more than three deviations
//! off to the same side, and the end of it after fifteen minutes that are not.

use fuuffy_domain::{Alert, AlertKind, Change, Direction, Measure, Sample, Severity, Timestamp};

use super::series;

const OFF: f64 = 3.0;
const IN_A_ROW: u32 = 5;
const CALM: u32 = 15;
const LEARN: u32 = 14 * 24 * 60;

#[derive(Clone, Default)]
struct Hour {
    count: f64,
    mean: f64,
    squares: f64,
}

#[derive(Clone)]
struct Watched {
    measure: Measure,
    hours: Vec<Hour>,
    off: [u32; 2],
    calm: u32,
    open: Option<Direction>,
}

pub(crate) struct Peer(Vec<Watched>);

impl Peer {
    pub(crate) fn new() -> Self {
        let watched =
            |measure| Watched { measure, hours: vec![Hour::default(); 168], off: [0; 2], calm: 0, open: None };
        Self(Measure::ALL.map(watched).to_vec())
    }

    pub(crate) fn observe(&mut self, minute: u32, sample: &Sample) -> Vec<Change> {
        self.0.iter_mut().filter_map(|watched| watched.observe(minute, sample)).collect()
    }
}

impl Watched {
    fn observe(&mut self, minute: u32, sample: &Sample) -> Option<Change> {
        if sample.requests == 0 && self.measure != Measure::Volume {
            return None;
        }
        let value = series::value(self.measure, sample);
        let hour = &mut self.hours[(minute / 60 % 168) as usize];
        let deviation = (hour.squares / hour.count.max(1.0)).sqrt();
        let off = value - hour.mean;
        let is_off = hour.count > 1.0 && off.abs() > OFF * deviation;
        hour.count += 1.0;
        let before = hour.mean;
        hour.mean += (value - before) / hour.count;
        hour.squares += (value - before) * (value - hour.mean);
        let direction = if off > 0.0 { Direction::Jump } else { Direction::Drop };
        for side in [Direction::Jump, Direction::Drop] {
            let in_a_row = &mut self.off[side as usize];
            *in_a_row = if is_off && side == direction { *in_a_row + 1 } else { 0 };
        }
        let now = Timestamp::from_unix_millis(i64::from(minute) * 60_000);
        if let Some(open) = self.open {
            self.calm = if is_off && open == direction { 0 } else { self.calm + 1 };
            if self.calm < CALM {
                return None;
            }
            self.open = None;
            let kind = AlertKind::Series(self.measure, open);
            return Some(Change::Closed { kind, opened_at: now, closed_at: now });
        }
        if minute < LEARN || self.off[direction as usize] < IN_A_ROW {
            return None;
        }
        (self.open, self.calm) = (Some(direction), 0);
        let kind = AlertKind::Series(self.measure, direction);
        Some(Change::Opened(Alert { kind, severity: Severity::Warning, opened_at: now, words: String::new() }))
    }
}
