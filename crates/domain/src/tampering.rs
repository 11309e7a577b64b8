//! What can be done to an audit log by somebody who can write it, in words and by the row.

use thiserror::Error;

/// What is wrong with a log, at the first row where it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Tampering {
    /// A row was changed, or the one before it was and got another hash.
    #[error("row {0} was changed: it does not follow from the row before it (or that one was changed and hashed anew)")]
    Changed(i64),
    /// A row is not there.
    #[error("row {0} was removed")]
    Removed(i64),
    /// A row is there that nobody wrote.
    #[error("row {0} was inserted: the row that belongs there comes after it")]
    Inserted(i64),
    /// Rows are in another order.
    #[error("row {0} was moved: the row that belongs there comes after it")]
    Reordered(i64),
    /// Rows are missing at the end.
    #[error("the log was cut: a checkpoint was signed after row {up_to}, but row {row} and those after it are missing")]
    CutFromEnd {
        /// The first missing row.
        row: i64,
        /// The last that is known of.
        up_to: i64,
    },
    /// Rows are missing at the beginning, and no retention removed them.
    #[error("the rows from {row} to {up_to} were removed, and not by retention: no checkpoint and no record says so")]
    CutFromStart {
        /// The first missing row.
        row: i64,
        /// The last.
        up_to: i64,
    },
    /// The chain is another one than was signed.
    #[error(
        "the rows from {row} to {up_to} are not those that were signed: the checkpoint after row {up_to} has another hash"
    )]
    Rewritten {
        /// The first row that may have been written anew.
        row: i64,
        /// The row that a checkpoint was made after.
        up_to: i64,
    },
    /// A checkpoint that none of the keys signed.
    #[error("the checkpoint after row {0} is not signed by the audit key: it was changed, or it is another server's")]
    BadSignature(i64),
    /// The checkpoints that must be there are not.
    #[error("row {0} must come after a checkpoint, but the checkpoint is missing")]
    Unsigned(i64),
    /// Another environment's.
    #[error("row {row} belongs to the log of {of}")]
    OtherEnvironment {
        /// Which row.
        row: i64,
        /// Whose it is.
        of: String,
    },
}

impl Tampering {
    /// The first row that is not as it was written.
    #[must_use]
    pub const fn row(&self) -> i64 {
        match self {
            Self::Changed(row)
            | Self::Removed(row)
            | Self::Inserted(row)
            | Self::Reordered(row)
            | Self::BadSignature(row)
            | Self::Unsigned(row)
            | Self::CutFromEnd { row, .. }
            | Self::CutFromStart { row, .. }
            | Self::Rewritten { row, .. }
            | Self::OtherEnvironment { row, .. } => *row,
        }
    }

    /// What was done, in one word for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Changed(_) => "changed",
            Self::Removed(_) => "removed",
            Self::Inserted(_) => "inserted",
            Self::Reordered(_) => "reordered",
            Self::CutFromEnd { .. } => "cut_from_end",
            Self::CutFromStart { .. } => "cut_from_start",
            Self::Rewritten { .. } => "rewritten",
            Self::BadSignature(_) => "bad_signature",
            Self::Unsigned(_) => "unsigned",
            Self::OtherEnvironment { .. } => "other_environment",
        }
    }
}
