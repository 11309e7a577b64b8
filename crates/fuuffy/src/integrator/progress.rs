//! Progress of long bodies and long searches, for a person on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on standard error that counts bytes; none where that is no terminal.
pub(crate) fn bar(what: &'static str, length: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    let template = match length {
        Some(_) => "{msg} {bytes} of {total_bytes} [{bar:30}] {bytes_per_sec}, {eta} left",
        None => "{msg} {bytes} at {bytes_per_sec}",
    };
    // A template that cannot be read leaves the usual one.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(what)
}
