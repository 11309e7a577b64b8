//! How ordering one certificate goes: how often it failed in a row, when it is tried again, and what was said. It lasts,
//! so that a server that is started again and again asks an authority no more often than one that stays.

use std::time::Duration;

use fuuffy_domain::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::certificate::Shown;
use super::schedule;

/// Attempts of one certificate.
pub(in crate::server) struct Ordering {
    /// What it is to be for.
    pub(super) names: Vec<String>,
    /// How what is wanted differs from what was wanted before: what failed for other reasons is tried at once.
    wanted: String,
    progress: Mutex<Progress>,
    outcomes: Mutex<(u64, u64)>,
    /// What was got last, until it is on disk.
    unkept: Mutex<Option<Zeroizing<String>>>,
}

/// What is kept of it, and shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::server) struct Progress {
    #[serde(default)]
    wanted: String,
    /// Failures since the last success.
    #[serde(default)]
    pub(in crate::server) failures: u32,
    /// What was said last, while it fails.
    pub(in crate::server) error: Option<String>,
    /// When it is tried again, while it fails: in milliseconds since the Unix epoch.
    next_at: Option<i64>,
    /// When the last one was got.
    got_at: Option<i64>,
}

impl Ordering {
    /// For these names, proven in this way; and what was kept, if it is of the same wish.
    pub(super) fn new(names: Vec<String>, challenge: &str, kept: Option<&str>) -> Self {
        let wanted = format!("{} by {challenge}", names.join(" "));
        let kept: Option<Progress> = kept.and_then(|kept| serde_json::from_str(kept).ok());
        let progress = kept.filter(|kept| kept.wanted == wanted).unwrap_or_default();
        let progress = Progress { wanted: wanted.clone(), ..progress };
        Self { names, wanted, progress: Mutex::new(progress), outcomes: Mutex::default(), unkept: Mutex::default() }
    }

    /// What it is to be for.
    pub(in crate::server) fn names(&self) -> &[String] {
        &self.names
    }

    /// How it goes.
    pub(in crate::server) fn progress(&self) -> Progress {
        self.progress.lock().clone()
    }

    /// How often one was got and how often none was, since the server started.
    pub(in crate::server) fn outcomes(&self) -> (u64, u64) {
        *self.outcomes.lock()
    }

    /// When one is ordered next.
    pub(in crate::server) fn next_at(&self, shown: Option<&Shown>) -> Timestamp {
        let progress = self.progress.lock();
        if let Some(next_at) = progress.next_at {
            return Timestamp::from_unix_millis(next_at);
        }
        let Some(shown) = shown.filter(|shown| self.names.iter().all(|name| shown.names.contains(name))) else {
            return Timestamp::from_unix_millis(0);
        };
        let chance = shown.fingerprint.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let renewal = schedule::renewal(shown.starts_at, shown.ends_at, chance.unwrap_or_default());
        let got_at = progress.got_at.map(Timestamp::from_unix_millis);
        got_at.map_or(renewal, |got_at| renewal.max(schedule::rest(got_at, shown.starts_at, shown.ends_at)))
    }

    /// What failed is tried at once.
    pub(super) fn hurry(&self) {
        self.progress.lock().next_at = None;
    }

    /// One is ordered at once, however good the one that is shown is.
    pub(in crate::server) fn demand(&self) {
        self.progress.lock().next_at = Some(0);
    }

    /// What was got last, if it is not on disk yet.
    pub(super) fn unkept(&self) -> Option<Zeroizing<String>> {
        self.unkept.lock().clone()
    }

    /// What was got last is on disk.
    pub(super) fn kept(&self) {
        *self.unkept.lock() = None;
    }

    pub(super) fn got(&self, now: Timestamp, pem: Zeroizing<String>) {
        *self.unkept.lock() = Some(pem);
        self.outcomes.lock().0 += 1;
        *self.progress.lock() =
            Progress { wanted: self.wanted.clone(), got_at: Some(now.unix_millis()), ..Progress::default() };
    }

    /// Answers how often it has failed now, and when it is tried again.
    pub(super) fn failed(
        &self,
        error: String,
        now: Timestamp,
        (asked, chance): (Option<Duration>, u8),
    ) -> (u32, Timestamp) {
        self.outcomes.lock().1 += 1;
        let mut progress = self.progress.lock();
        progress.failures = progress.failures.saturating_add(1);
        let next_at = schedule::next(progress.failures, now, asked, chance);
        progress.next_at = Some(next_at.unix_millis());
        progress.error = Some(error);
        (progress.failures, next_at)
    }

    /// What is kept.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(&*self.progress.lock()).unwrap_or_default()
    }
}
