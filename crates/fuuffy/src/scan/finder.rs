//! Finds secrets and tokens in a stream of bytes, whatever those bytes are: text, a program, half a file. Knows how they
//! look and nothing of where the bytes come from. Never hands a secret on, but its mask.

use std::io::{self, Read};

use fuuffy_protocol::{AccessToken, ClientSecret, SecretKind};
use memchr::{memchr_iter, memmem, memrchr};
use zeroize::Zeroizing;

/// Bytes that are looked at together; a whole stream is never in memory.
const WINDOW: usize = 256 * 1024;
/// Bytes after the start of a find that decide about it: of the longest token, in two bytes a character, and of the
/// character after it.
const AHEAD: usize = 2 * (AccessToken::LONGEST + 1);
/// Bytes before the start of a find that decide about it: the character before a token.
const BEFORE: usize = 2;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Secret(SecretKind),
    Token,
}

/// A find and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) found: Found,
    /// As much of it as may be shown.
    pub(super) masked: String,
    /// From one, by line feeds.
    pub(super) line: u64,
    /// In bytes from one.
    pub(super) column: u64,
}

/// How characters stand in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// One byte each, as in ASCII and UTF-8.
    Narrow = 1,
    /// A byte and a zero, as in UTF-16, which some shells write into files. Of either order of bytes: the zero
    /// before the first character is then none of ours.
    Wide = 2,
}

/// What all finds of a kind begin with.
struct Start {
    bytes: memmem::Finder<'static>,
    width: Width,
    is_token: bool,
}

/// Searches one stream after the other, in the same memory.
pub(super) struct Finder {
    starts: Vec<Start>,
    window: Box<[u8]>,
}

/// How far the lines of a stream were counted. All are bytes from its start, but the lines.
#[derive(Default)]
struct Place {
    /// Line feeds before `counted`.
    feeds: u64,
    /// Where the line begins that `counted` is in.
    line: u64,
    counted: u64,
}

impl Finder {
    /// Finds secrets, and tokens where they are asked for.
    pub(super) fn new(with_tokens: bool) -> Self {
        Self::with_window(with_tokens, WINDOW)
    }

    fn with_window(with_tokens: bool, bytes: usize) -> Self {
        let start =
            |bytes: &'static [u8], width, is_token| Start { bytes: memmem::Finder::new(bytes), width, is_token };
        let mut starts = vec![start(b"fsk_", Width::Narrow, false), start(b"f\0s\0k\0_", Width::Wide, false)];
        if with_tokens {
            starts.extend([start(b"sk-", Width::Narrow, true), start(b"s\0k\0-", Width::Wide, true)]);
        }
        Self { starts, window: vec![0; bytes.max(2 * (AHEAD + BEFORE))].into_boxed_slice() }
    }

    /// Searches a stream to its end, and tells of each find once, in order. Answers how many bytes it had.
    ///
    /// # Errors
    /// The stream cannot be read further. What came before is searched and told.
    pub(super) fn search(&mut self, stream: &mut dyn Read, told: &mut dyn FnMut(Sighting)) -> io::Result<u64> {
        let mut place = Place::default();
        // Where the window begins in the stream; how much of it was searched, and how much is there.
        let (mut begin, mut searched, mut filled) = (0, 0, 0);
        loop {
            let ended = fill(stream, &mut self.window, &mut filled);
            let is_end = !matches!(ended, Ok(false));
            // What begins later is decided by bytes that are still to come.
            let up_to = if is_end { filled } else { filled - AHEAD };
            let window = &self.window[..filled];
            for (at, found, masked) in self.finds(window, searched, up_to) {
                place.count(&window[searched..at], begin + searched as u64);
                searched = at;
                told(Sighting { found, masked, line: place.feeds + 1, column: place.counted - place.line + 1 });
            }
            if is_end {
                return ended.map(|_| begin + filled as u64);
            }
            place.count(&window[searched..up_to], begin + searched as u64);
            let keep = up_to - BEFORE;
            self.window.copy_within(keep..filled, 0);
            (begin, searched, filled) = (begin + keep as u64, BEFORE, filled - keep);
        }
    }

    /// What begins in the window from `from` and before `up_to`, in order, with its mask.
    fn finds(&self, window: &[u8], from: usize, up_to: usize) -> Vec<(usize, Found, String)> {
        let mut finds = Vec::new();
        for start in &self.starts {
            let end = (up_to + start.bytes.needle().len()).saturating_sub(1).clamp(from, window.len());
            for at in start.bytes.find_iter(&window[from..end]).map(|at| from + at) {
                finds.extend(start.judge(window, at).map(|(found, masked)| (at, found, masked)));
            }
        }
        finds.sort_by_key(|(at, ..)| *at);
        finds
    }
}

impl Place {
    /// Counts the lines of the bytes that follow, which begin at `begin`.
    fn count(&mut self, bytes: &[u8], begin: u64) {
        self.feeds += memchr_iter(b'\n', bytes).count() as u64;
        if let Some(feed) = memrchr(b'\n', bytes) {
            self.line = begin + feed as u64 + 1;
        }
        self.counted = begin + bytes.len() as u64;
    }
}

impl Start {
    /// What begins here, if the rest of it is there and right.
    fn judge(&self, window: &[u8], at: usize) -> Option<(Found, String)> {
        let step = self.width as usize;
        let ahead = &window[at..window.len().min(at + AHEAD)];
        // Only what is between two characters must be zero: after the last one there may be anything.
        let follows = |index: usize| self.width == Width::Narrow || index == 0 || ahead[index * step - 1] == 0;
        let characters = ahead.iter().step_by(step).enumerate().take_while(|(index, _)| follows(*index));
        let characters: Zeroizing<Vec<u8>> = Zeroizing::new(characters.map(|(_, byte)| *byte).collect());
        if !self.is_token {
            return ClientSecret::at_start_of(&characters).map(|(secret, kind)| (Found::Secret(kind), secret.masked()));
        }
        let before = at.checked_sub(step).map(|before| window[before]);
        let is_within_word = before.is_some_and(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
        let token = if is_within_word { None } else { AccessToken::at_start_of(&characters) };
        token.map(|token| (Found::Token, token.masked()))
    }
}

/// Reads until the window is full or the stream has ended, and answers whether it has.
fn fill(stream: &mut dyn Read, window: &mut [u8], filled: &mut usize) -> io::Result<bool> {
    while *filled < window.len() {
        match stream.read(&mut window[*filled..]) {
            Ok(0) => return Ok(true),
            Ok(count) => *filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// A text with the masks of the secrets and tokens in it in their places.
pub(super) fn mask(text: &str) -> String {
    let (mut masked, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let secret = ClientSecret::at_start_of(rest.as_bytes()).map(|(it, _)| (it.masked(), ClientSecret::LENGTH));
        let token = || AccessToken::at_start_of(rest.as_bytes()).map(|it| (it.masked(), it.reveal().len()));
        let length = match secret.or_else(token) {
            Some((mask, length)) => {
                masked.push_str(&mask);
                length
            }
            None => {
                masked.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    masked
}

#[cfg(test)]
mod tests;
