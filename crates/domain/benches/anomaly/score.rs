//! Incidents against alerts: precision, recall and delay.
//!
//! An alert is right if it is for the measure and the direction of an incident, while it lasts or up to 15 minutes
//! after it, and is the first for that incident; any other is false, a second one for the same incident too.
//! An incident is found if an alert is right for it.

use std::collections::BTreeMap;

use fuuffy_domain::{AlertKind, Change, Direction, Measure};

pub(crate) const GRACE: u32 = 15;

/// What the labels say: a measure was unusual from one minute to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labelled {
    pub(crate) measure: Measure,
    pub(crate) direction: Option<Direction>,
    pub(crate) name: &'static str,
    /// From where it begins: an alert before it is labelled is early and right.
    pub(crate) start: u32,
    pub(crate) from: u32,
    pub(crate) end: u32,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) incidents: u32,
    pub(crate) found: u32,
    pub(crate) alerts: u32,
    pub(crate) right: u32,
    pub(crate) delays: Vec<u32>,
}

impl Tally {
    pub(crate) fn precision(&self) -> f64 {
        ratio(self.right, self.alerts)
    }

    pub(crate) fn recall(&self) -> f64 {
        ratio(self.found, self.incidents)
    }

    /// The median delay in minutes.
    pub(crate) fn delay(&self) -> u32 {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        delays.get(delays.len() / 2).copied().unwrap_or(0)
    }

    fn add(&mut self, other: &Self) {
        self.incidents += other.incidents;
        self.found += other.found;
        self.alerts += other.alerts;
        self.right += other.right;
        self.delays.extend(&other.delays);
    }
}

fn ratio(part: u32, of: u32) -> f64 {
    if of == 0 { 1.0 } else { f64::from(part) / f64::from(of) }
}

/// Everything that was counted.
#[derive(Debug, Default)]
pub(crate) struct Score {
    pub(crate) measures: BTreeMap<&'static str, Tally>,
    /// By the form of the incident: no alerts, since a false one has no form.
    pub(crate) forms: BTreeMap<&'static str, Tally>,
    pub(crate) kinds: BTreeMap<&'static str, Tally>,
    /// Alerts that somebody is told of and that are for nothing.
    pub(crate) false_told: u32,
    pub(crate) days: f64,
}

impl Score {
    pub(crate) fn all(&self) -> Tally {
        let mut all = Tally::default();
        self.measures.values().for_each(|tally| all.add(tally));
        all
    }

    /// False alerts that somebody is told of, for a client and a month of 30 days.
    pub(crate) fn false_alerts(&self) -> f64 {
        f64::from(self.false_told) / self.days.max(1.0) * 30.0
    }

    /// Counts one client: its labels, and each change with the minute that it came in.
    pub(crate) fn count(&mut self, kind: &'static str, labels: &[Labelled], changes: &[(u32, Change)], days: f64) {
        self.days += days;
        let mut found = vec![None; labels.len()];
        for (minute, change) in changes {
            let (alert, is_told) = match change {
                Change::Opened(alert) => (alert, true),
                Change::Joined(alert) => (alert, false),
                Change::Silenced(_) | Change::Closed { .. } => continue,
            };
            let AlertKind::Series(measure, direction) = alert.kind else { continue };
            let fits = |label: &&Labelled| {
                label.measure == measure
                    && label.direction.is_none_or(|it| it == direction)
                    && (label.start..label.end + GRACE).contains(minute)
            };
            let place = labels.iter().position(|label| fits(&label));
            if !is_told && self.is_again(place, &found, changes, *minute, alert.kind) {
                continue;
            }
            let tallies = [self.measures.entry(measure.name()).or_default(), self.kinds.entry(kind).or_default()];
            let is_right = place.is_some_and(|place| found[place].is_none());
            for tally in tallies {
                tally.alerts += 1;
                tally.right += u32::from(is_right);
            }
            self.false_told += u32::from(is_told && !is_right);
            if let (Some(place), true) = (place, is_right) {
                found[place] = Some(minute.saturating_sub(labels[place].from));
            }
        }
        for (label, delay) in labels.iter().zip(found) {
            let tallies = [
                self.measures.entry(label.measure.name()).or_default(),
                self.forms.entry(label.name).or_default(),
                self.kinds.entry(kind).or_default(),
            ];
            for tally in tallies {
                tally.incidents += 1;
                tally.found += u32::from(delay.is_some());
                tally.delays.extend(delay);
            }
        }
    }

    /// Whether the change only says that an incident goes on that somebody was told of within two hours before.
    fn is_again(
        &self,
        place: Option<usize>,
        found: &[Option<u32>],
        changes: &[(u32, Change)],
        minute: u32,
        kind: AlertKind,
    ) -> bool {
        let closed = changes.iter().any(|(at, change)| {
            matches!(change, Change::Closed { kind: of, .. } if *of == kind) && *at < minute && minute - at < 120
        });
        closed && place.is_none_or(|place| found[place].is_some())
    }
}
