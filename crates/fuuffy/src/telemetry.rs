//! Log lines on standard error: for people on a terminal, JSON elsewhere.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// The TLS library logs by itself what its error says, and what we tell with what to do.
const REPEATS: &str = "rustls_platform_verifier=off";

/// Starts writing log lines. `FUUFFY_LOG` chooses which; lines of `level` and more serious ones otherwise.
pub fn start_at(level: &str) {
    let filter = EnvFilter::new(crate::settings::log_filter().unwrap_or_else(|| format!("{level},{REPEATS}")));
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    // A second start, as in a test, keeps the first.
    let _ = if std::io::stderr().is_terminal() {
        lines.with_target(false).compact().try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).try_init()
    };
}
