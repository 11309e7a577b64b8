//! What is read from the process's environment. The only place that reads it besides the argument parser.

use std::path::PathBuf;

/// `FUUFFY_PEPPER_FILE`: where the key file is, if not in the data directory.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn pepper_file() -> Option<PathBuf> {
    std::env::var_os("FUUFFY_PEPPER_FILE").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `FUUFFY_AUDIT_KEY_FILE`: where the audit key file is, if not in the data directory.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn audit_key_file() -> Option<PathBuf> {
    std::env::var_os("FUUFFY_AUDIT_KEY_FILE").filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `FUUFFY_LOG`: which log lines to write, as `tracing-subscriber` filters are written.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn log_filter() -> Option<String> {
    std::env::var("FUUFFY_LOG").ok().filter(|value| !value.is_empty())
}

/// One of the integrator's variables, unless it is empty.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where a person's configuration is (XDG Base Directory Specification).
#[must_use]
pub fn config_home() -> Option<PathBuf> {
    home("XDG_CONFIG_HOME", ".config")
}

/// Where a person's caches are (XDG Base Directory Specification).
#[must_use]
pub fn cache_home() -> Option<PathBuf> {
    home("XDG_CACHE_HOME", ".cache")
}

/// A folder that a variable names, by an absolute path alone, or one in the home directory.
fn home(name: &str, below_home: &str) -> Option<PathBuf> {
    let named = variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| Some(PathBuf::from(variable("HOME")?).join(below_home)).filter(|path| path.is_absolute()))
}
