//! Names of subjects as people write them (RFC 4514), so that one that an operator has registered can be compared with the
//! one that a certificate has. What a certificate has is read elsewhere; here are only words.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Bytes of a name, as it is written.
const LONGEST: usize = 1024;
/// The attributes that have a name of their own: those of RFC 4514 §3, and some that authorities often use.
const NAMED: [(&str, &str); 13] = [
    ("CN", "2.5.4.3"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("C", "2.5.4.6"),
    ("STREET", "2.5.4.9"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("SN", "2.5.4.4"),
    ("GIVENNAME", "2.5.4.42"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
];

/// A name in the one form that it has here: the innermost part first, each part's attributes in order, and as few escapes
/// as RFC 4514 §2.4 lets there be. Two are the same where they are the same text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistinguishedName(Arc<str>);

/// Text that is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "expected the name as RFC 4514 writes it, the innermost part first, as in \"CN=orders,O=Acme,C=DE\": types by name or as numbers with dots, values as text, with \\ before what divides, up to {LONGEST} bytes"
)]
pub struct DistinguishedNameFault;

/// One attribute: its type as numbers with dots, and its value.
type Attribute = (String, String);

impl DistinguishedName {
    /// Reads a name. The innermost part comes first (RFC 4514 §2.1); spaces around a part say nothing.
    ///
    /// # Errors
    /// [`DistinguishedNameFault`]
    pub fn parse(text: &str) -> Result<Self, DistinguishedNameFault> {
        if text.len() > LONGEST {
            return Err(DistinguishedNameFault);
        }
        let mut parts = vec![Vec::new()];
        let mut rest = text;
        loop {
            let (attribute, divider, after) = attribute(rest)?;
            if let Some(part) = parts.last_mut() {
                part.push(attribute);
            }
            match divider {
                Some(',') => parts.push(Vec::new()),
                Some(_) => {}
                None => return Ok(Self::written(parts)),
            }
            rest = after;
        }
    }

    /// The name that a certificate has: its parts in the order in which it has them, the outermost first. A name without any
    /// is none.
    #[must_use]
    pub fn of_parts(mut parts: Vec<Vec<Attribute>>) -> Option<Self> {
        if parts.is_empty() || parts.iter().any(Vec::is_empty) {
            return None;
        }
        parts.reverse();
        Some(Self::written(parts))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn written(parts: Vec<Vec<Attribute>>) -> Self {
        let part = |mut attributes: Vec<Attribute>| {
            attributes.sort();
            attributes
                .iter()
                .map(|(kind, value)| format!("{}={}", shown(kind), escaped(value)))
                .collect::<Vec<_>>()
                .join("+")
        };
        Self(parts.into_iter().map(part).collect::<Vec<_>>().join(",").into())
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first attribute of a text, what divides it from the next one, and all after that.
fn attribute(text: &str) -> Result<(Attribute, Option<char>, &str), DistinguishedNameFault> {
    let (kind, rest) = text.split_once('=').ok_or(DistinguishedNameFault)?;
    let kind = numbers(kind.trim_matches(' ')).ok_or(DistinguishedNameFault)?;
    let rest = rest.trim_start_matches(' ');
    // Bytes of an encoding are not what people write.
    if rest.starts_with('#') {
        return Err(DistinguishedNameFault);
    }
    let (mut value, mut kept) = (Vec::new(), 0);
    let mut bytes = rest.bytes().enumerate();
    let (divider, after) = loop {
        match bytes.next() {
            None => break (None, ""),
            Some((at, byte @ (b',' | b'+'))) => break (Some(char::from(byte)), &rest[at + 1..]),
            Some((_, b'\\')) => {
                value.push(unescaped(&mut bytes)?);
                kept = value.len();
            }
            Some((_, b'"' | b';' | b'<' | b'>' | 0)) => return Err(DistinguishedNameFault),
            Some((_, byte)) => value.push(byte),
        }
    };
    // Spaces at the end say nothing, unless they are escaped.
    while value.len() > kept && value.last() == Some(&b' ') {
        value.pop();
    }
    let value = String::from_utf8(value).map_err(|_| DistinguishedNameFault)?;
    if value.is_empty() {
        return Err(DistinguishedNameFault);
    }
    Ok(((kind, value), divider, after))
}

/// What follows a `\`: a character that has a meaning else, or two hexadecimal digits (RFC 4514 §3).
fn unescaped(bytes: &mut impl Iterator<Item = (usize, u8)>) -> Result<u8, DistinguishedNameFault> {
    let mut next = || bytes.next().map(|(_, byte)| byte).ok_or(DistinguishedNameFault);
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match next()? {
        byte @ (b' ' | b'"' | b'#' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\') => Ok(byte),
        high => {
            let (high, low) = (digit(high), digit(next()?));
            high.zip(low).map(|(high, low)| high << 4 | low).ok_or(DistinguishedNameFault)
        }
    }
}

/// A type as numbers with dots, by its name in letters of either case.
fn numbers(kind: &str) -> Option<String> {
    if let Some((_, numbers)) = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)) {
        return Some((*numbers).to_owned());
    }
    let is_number = |text: &str| {
        let has_no_zeros = text.len() == 1 || !text.starts_with('0');
        !text.is_empty() && has_no_zeros && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    (kind.contains('.') && kind.split('.').all(is_number)).then(|| kind.to_owned())
}

fn shown(kind: &str) -> &str {
    NAMED.iter().find(|(_, numbers)| *numbers == kind).map_or(kind, |(name, _)| name)
}

/// A value with what would divide or be trimmed escaped (RFC 4514 §2.4).
fn escaped(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, letter) in value.char_indices() {
        match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', letter]),
            '#' if at == 0 => text.push_str("\\#"),
            ' ' if at == 0 || at == last => text.push_str("\\ "),
            '\0' => text.push_str("\\00"),
            _ => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests;
