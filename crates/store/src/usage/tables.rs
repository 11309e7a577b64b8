//! The tables of the usage file: a journal of what was counted each second, and what it comes to by minute, hour and
//! day. The client [`ALL`] is all clients together.

use std::time::Duration;

use fuuffy_domain::{Minute, Timestamp};

/// The tables, made where they are missing.
pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS routes (id INTEGER PRIMARY KEY, prefix TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE IF NOT EXISTS journal (number INTEGER PRIMARY KEY, counted BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS folds (id INTEGER PRIMARY KEY CHECK (id = 1), done INTEGER NOT NULL) STRICT;
    INSERT OR IGNORE INTO folds (id, done) VALUES (1, 0);
    CREATE TABLE IF NOT EXISTS known (client INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS minutes (
        at INTEGER NOT NULL, client INTEGER NOT NULL, route INTEGER NOT NULL, usage BLOB NOT NULL,
        PRIMARY KEY (at, client, route)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS hours (
        at INTEGER NOT NULL, client INTEGER NOT NULL, route INTEGER NOT NULL, usage BLOB NOT NULL,
        PRIMARY KEY (at, client, route)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS days (
        at INTEGER NOT NULL, client INTEGER NOT NULL, route INTEGER NOT NULL, usage BLOB NOT NULL,
        PRIMARY KEY (at, client, route)
    ) STRICT, WITHOUT ROWID;
";

/// Where the usage of all clients together is.
pub(super) const ALL: i64 = -1;

/// A table of usage, by the length of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Kept for two days, and for 2,000,000 rows at most.
    Minute,
    /// Kept for 35 days.
    Hour,
    /// Days of UTC, kept for 400.
    Day,
}

impl Step {
    /// From the shortest to the longest.
    pub(super) const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Minute => "minutes",
            Self::Hour => "hours",
            Self::Day => "days",
        }
    }

    /// How long one is.
    #[must_use]
    pub const fn length(self) -> Duration {
        Duration::from_secs(60 * self.minutes().unsigned_abs())
    }

    pub(super) const fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 24 * 60,
        }
    }

    /// How long rows are kept.
    #[must_use]
    pub const fn kept(self) -> Duration {
        let days = match self {
            Self::Minute => 2,
            Self::Hour => 35,
            Self::Day => 400,
        };
        Duration::from_secs(days * 24 * 3600)
    }

    /// The number of the step that a minute is in.
    pub(super) const fn of(self, minute: Minute) -> i64 {
        minute.0.div_euclid(self.minutes())
    }

    /// The first moment of a step.
    pub(super) const fn start(self, number: i64) -> Timestamp {
        Minute(number * self.minutes()).start()
    }
}
