//! What is read from the process's environment. The only place that reads it besides the argument parser.

use std::path::PathBuf;

/// `FUUFFY_PEPPER_FILE`: where the key file is, if not in the data directory.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn pepper_file() -> Option<PathBuf> {
    std::env::var_os("FUUFFY_PEPPER_FILE").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `FUUFFY_LOG`: which log lines to write, as `tracing-subscriber` filters are written.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn log_filter() -> Option<String> {
    std::env::var("FUUFFY_LOG").ok().filter(|value| !value.is_empty())
}
