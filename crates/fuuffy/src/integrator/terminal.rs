//! What a server said, on a terminal: its letters, and nothing that the terminal would obey. An escape
//! sequence in an answer could write over what was said before it, or type what the person never typed.

use std::io::{self, Write};

/// Stands for a control character.
const INSTEAD: &[u8] = "\u{fffd}".as_bytes();
/// The first byte of the control characters U+0080 to U+009F in UTF-8, and of some letters.
const LEAD: u8 = 0xc2;

/// A writer that lets no control character through to a terminal. Elsewhere all bytes pass.
pub(super) struct Terminal<'a> {
    out: &'a mut dyn Write,
    is_terminal: bool,
    /// Whether [`LEAD`] came last, and was not written yet.
    holds_lead: bool,
}

impl<'a> Terminal<'a> {
    pub(super) fn on(out: &'a mut dyn Write, is_terminal: bool) -> Self {
        Self { out, is_terminal, holds_lead: false }
    }

    fn clean(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut clean = Vec::with_capacity(bytes.len() + 1);
        for byte in bytes {
            let follows_lead = std::mem::take(&mut self.holds_lead);
            match byte {
                0x80..=0x9f if follows_lead => {
                    clean.extend_from_slice(INSTEAD);
                    continue;
                }
                _ if follows_lead => clean.push(LEAD),
                _ => {}
            }
            match byte {
                b'\n' | b'\r' | b'\t' => clean.push(*byte),
                0..=0x1f | 0x7f => clean.extend_from_slice(INSTEAD),
                &LEAD => self.holds_lead = true,
                _ => clean.push(*byte),
            }
        }
        clean
    }
}

impl Write for Terminal<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.out.write(bytes);
        }
        let clean = self.clean(bytes);
        self.out.write_all(&clean)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.holds_lead) {
            self.out.write_all(&[LEAD])?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
