//! What can be read of the first line of a head that was refused. Nothing is served by it: it goes where the reason
//! is kept, and says which shape the answer has.

use fuuffy_protocol::BodyShape;

/// A request line, as far as it can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RequestLine {
    /// The method, or nothing.
    pub method: String,
    /// The path without the query, or nothing.
    pub path: String,
}

impl RequestLine {
    /// Reads the beginning of a head. What has letters that do not belong there is not a request line.
    #[must_use]
    pub fn read(head: &[u8]) -> Self {
        let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let mut words = line.split(|byte| *byte == b' ').map(plain);
        let method = words.next().flatten().filter(|method| method.bytes().all(is_of_token));
        let Some(method) = method.filter(|method| !method.is_empty()) else {
            return Self::default();
        };
        let path = words.next().flatten().map(path_of).unwrap_or_default();
        Self { method: method.to_owned(), path: path.to_owned() }
    }

    /// The shape of the answer.
    #[must_use]
    pub fn shape(&self) -> BodyShape {
        if self.path.starts_with("/oauth/") { BodyShape::Standard } else { BodyShape::Guide }
    }
}

/// Text without anything that a terminal would take for more than text.
fn plain(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok().filter(|word| word.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// The letters of methods and names of fields (RFC 9110 §5.6.2).
const fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// The path of a target, in origin or absolute form (RFC 9112 §3.2).
fn path_of(target: &str) -> &str {
    let target = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => &rest[rest.find('/').unwrap_or(rest.len())..],
        _ => target,
    };
    if target.starts_with('/') { target.split(['?', '#']).next().unwrap_or_default() } else { "" }
}

#[cfg(test)]
mod tests;
