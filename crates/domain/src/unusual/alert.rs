//! What an operator is told: alerts, what becomes of them, and what is not to be told.

use super::Measure;
use crate::Timestamp;

/// Whose history it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Subject {
    /// One client's.
    #[default]
    Client,
    /// That of a whole environment, whoever asked.
    Environment,
}

/// Which way something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Up.
    Jump,
    /// Down.
    Drop,
}

/// What an alert is about. At most one incident of a kind is open for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertKind {
    /// A measure left what is usual.
    Series(Measure, Direction),
    /// A network that the client never came from.
    NewNetwork,
    /// One token, two networks.
    TokenFromTwoNetworks,
    /// Many paths that are not there or not allowed.
    Scan,
    /// A secret that has a successor and is used all the same.
    OldSecret,
    /// A secret that ends soon and is in use.
    SecretNearItsEnd,
}

impl AlertKind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let series = Measure::ALL
            .into_iter()
            .flat_map(|measure| [Direction::Jump, Direction::Drop].map(|direction| Self::Series(measure, direction)));
        let others =
            [Self::NewNetwork, Self::TokenFromTwoNetworks, Self::Scan, Self::OldSecret, Self::SecretNearItsEnd];
        series.chain(others)
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    /// Its name for programs, which never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Series(measure, Direction::Jump) => measure.jump_name(),
            Self::Series(measure, Direction::Drop) => measure.drop_name(),
            Self::NewNetwork => "new_network",
            Self::TokenFromTwoNetworks => "token_from_two_networks",
            Self::Scan => "scan",
            Self::OldSecret => "old_secret",
            Self::SecretNearItsEnd => "secret_near_its_end",
        }
    }
}

/// How soon somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Some time this week.
    Notice,
    /// Today.
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    /// Its name for programs, which never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One thing that is unusual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What it is about.
    pub kind: AlertKind,
    /// How soon somebody should look.
    pub severity: Severity,
    /// When it was told from noise.
    pub opened_at: Timestamp,
    /// What was seen, what is usual, how unlikely that is, and what to do next, in sentences.
    pub words: String,
}

/// What became of an incident in a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new incident: somebody is to be told.
    Opened(Alert),
    /// Another side of an incident that was told of a moment ago, or the same side again: to be shown with it, and
    /// nobody is told again, unless it is more severe than all before it.
    Joined(Alert),
    /// An incident that a silence covers: nobody is told. If it outlasts the silence, it is [`Change::Opened`] then.
    Silenced(Alert),
    /// It is over, and somebody was told of it.
    Closed {
        /// What it was about.
        kind: AlertKind,
        /// When it was told from noise.
        opened_at: Timestamp,
        /// When it was told that it is over.
        closed_at: Timestamp,
    },
}

/// An operator's word that something is known: until then no alert of the kind is told for the client, and what goes
/// on is slowly learned as usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// What is not to be told; none for all.
    pub kind: Option<AlertKind>,
    /// Until when.
    pub until: Timestamp,
}

impl Silence {
    /// Whether it holds for an alert of this kind now.
    #[must_use]
    pub fn covers(&self, kind: AlertKind, now: Timestamp) -> bool {
        now < self.until && self.kind.is_none_or(|silenced| silenced == kind)
    }
}
