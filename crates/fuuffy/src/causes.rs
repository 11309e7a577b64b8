//! An error in words: what failed and by what causes, each said once.

use std::error::Error;

/// The error and its causes, from the last to the first. Many errors say their cause's words as well as their
/// own; those are not said again. Words of a server's may be among them, and are not to command a terminal.
pub(crate) fn said(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !said.ends_with(&words) {
            said.push_str(": ");
            said.push_str(&words);
        }
        source = cause.source();
    }
    said.replace(|it: char| it.is_control() && it != '\n', "\u{fffd}")
}

#[cfg(test)]
mod tests;
