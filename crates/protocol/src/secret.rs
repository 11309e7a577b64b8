//! Client secrets and access tokens: how they look, and that they never print.
//!
//! Both are made from random bytes that the caller passes in. Neither implements `Display`,
//! `Serialize` or `Clone`, `Debug` shows the type alone, and memory is wiped on drop; the one way to
//! the text is [`ClientSecret::reveal`] or [`AccessToken::reveal`].

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Base62 digits of 256 bits: 62^43 is just above 2^256.
const SECRET_DIGITS: usize = 43;
/// Base62 digits of a CRC-32.
const CHECKSUM_DIGITS: usize = 6;

/// Random characters of a secret or a token that are shown where it is masked.
const SHOWN: usize = 4;

/// Which environment a secret is for; its prefix says so to people and to secret scanners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// `fsk_test_`
    Testing,
    /// `fsk_live_`
    Production,
}

impl SecretKind {
    /// The text before the random part.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Testing => "fsk_test_",
            Self::Production => "fsk_live_",
        }
    }
}

/// A client secret in clear text, as made once for its holder or as sent by a caller.
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// A new secret: the prefix, 256 random bits as 43 base62 digits, and a 6-digit base62 CRC-32 of
    /// all before it. `random` is wiped.
    #[must_use]
    pub fn from_random(kind: SecretKind, random: &mut [u8; 32]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(kind.prefix());
        push_base62(&mut text, random, SECRET_DIGITS);
        let mut checksum = crc32fast::hash(text.as_bytes()).to_be_bytes();
        push_base62(&mut text, &mut checksum, CHECKSUM_DIGITS);
        Self(text)
    }

    /// Characters of every secret: prefix, random part and checksum, all of them ASCII.
    pub const LENGTH: usize = SecretKind::Testing.prefix().len() + SECRET_DIGITS + CHECKSUM_DIGITS;

    /// The secret that foreign bytes begin with, and the environment it is for. Its checksum says where it ends, so
    /// whatever follows does not matter; one character that is another one, and there is no secret.
    #[must_use]
    pub fn at_start_of(bytes: &[u8]) -> Option<(Self, SecretKind)> {
        let text = std::str::from_utf8(bytes.get(..Self::LENGTH)?).ok()?;
        let kind =
            [SecretKind::Testing, SecretKind::Production].into_iter().find(|it| text.starts_with(it.prefix()))?;
        let secret = Self::presented(text);
        secret.is_well_formed(kind).then_some((secret, kind))
    }

    /// As much of it as may be shown, so that its holder knows which one is meant: the prefix and four characters of
    /// the 43, which leave more than 230 bits to guess. Nothing of a text that no server made.
    #[must_use]
    pub fn masked(&self) -> String {
        let known = Self::at_start_of(self.0.as_bytes()).map_or(0, |(_, kind)| kind.prefix().len() + SHOWN);
        self.0.chars().take(known).chain(['…']).collect()
    }

    /// Text that somebody presented as a secret, whatever it is.
    #[must_use]
    pub fn presented(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// Whether the text could have been made by [`ClientSecret::from_random`] for this environment:
    /// prefix, length and checksum. Says nothing about whether any client has it.
    #[must_use]
    pub fn is_well_formed(&self, kind: SecretKind) -> bool {
        let Some(digits) = self.0.strip_prefix(kind.prefix()) else {
            return false;
        };
        if digits.len() != SECRET_DIGITS + CHECKSUM_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return false;
        }
        let (body, checksum) = self.0.split_at(self.0.len() - CHECKSUM_DIGITS);
        let mut expected = String::new();
        push_base62(&mut expected, &mut crc32fast::hash(body.as_bytes()).to_be_bytes(), CHECKSUM_DIGITS);
        expected == checksum
    }

    /// The secret itself. Callers say by this word that they mean to show it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret")
    }
}

/// An access token in clear text: `sk-` and lower-case hexadecimal digits, or a JWT (RFC 9068).
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// A new token of all the given bytes (16 or 32 of them), which are wiped.
    #[must_use]
    pub fn from_random(random: &mut [u8]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(3 + 2 * random.len()));
        text.push_str("sk-");
        for byte in random.iter() {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
        random.zeroize();
        Self(text)
    }

    /// What each JWT that is a token of ours begins with: `{"typ":"at+jwt","alg":"` in base64url, and what any letter goes on by.
    pub const JWT_START: &str = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJ";
    /// Characters of the longest JWT that [`AccessToken::parse`] reads.
    pub const LONGEST_JWT: usize = 4096;

    /// Takes a token that was just signed; `None` where it would not be read again.
    #[must_use]
    pub fn signed(jwt: Zeroizing<String>) -> Option<Self> {
        is_jwt(&jwt).then_some(Self(jwt))
    }

    /// Reads a token that a caller presented: `sk-` and 32 or 64 lower-case hexadecimal digits, or what looks like a JWT
    /// of ours. Whether it is one, what is kept of tokens says, and nothing that stands in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if is_jwt(text) {
            return Some(Self(Zeroizing::new(text.to_owned())));
        }
        let digits = text.strip_prefix("sk-")?;
        let well_formed =
            matches!(digits.len(), 32 | 64) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        well_formed.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Characters of the longest token that [`AccessToken::parse`] reads, JWTs aside.
    pub const LONGEST: usize = 3 + 64;

    /// The token that foreign bytes begin with. A token has no checksum: one is seen only where its digits end, so that
    /// no longer word begins with one.
    #[must_use]
    pub fn at_start_of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(Self::JWT_START.as_bytes()) {
            let word = bytes.iter().take(Self::LONGEST_JWT + 1).take_while(|it| is_of_jwt(**it) || **it == b'.');
            return Self::parse(std::str::from_utf8(&bytes[..word.count()]).ok()?.trim_end_matches('.'));
        }
        let word = bytes.iter().take(Self::LONGEST + 1).take_while(|it| it.is_ascii_alphanumeric() || **it == b'-');
        Self::parse(std::str::from_utf8(&bytes[..word.count()]).ok()?)
    }

    /// As much of it as may be shown: `sk-` and four of its digits, or how a JWT begins. Nothing of another server's.
    #[must_use]
    pub fn masked(&self) -> String {
        let shown = if is_jwt(&self.0) { "eyJ".len() } else { "sk-".len() + SHOWN };
        let known = Self::parse(&self.0).map_or(0, |_| shown);
        self.0.chars().take(known).chain(['…']).collect()
    }

    /// Takes a token as a server granted it, whatever its form: to a client it is opaque (RFC 6749 §1.4).
    /// `None` unless it can stand in an `Authorization` field: a `b64token` (RFC 6750 §2.1) of at most
    /// 8,192 characters.
    #[must_use]
    pub fn granted(text: Zeroizing<String>) -> Option<Self> {
        let plain = text.trim_end_matches('=');
        let is_b64token = !plain.is_empty()
            && text.len() <= 8192
            && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        is_b64token.then_some(Self(text))
    }

    /// The token itself. Callers say by this word that they mean to show it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken")
    }
}

/// Three parts in base64url behind the header of our tokens (RFC 7515 §7.1).
fn is_jwt(text: &str) -> bool {
    text.starts_with(AccessToken::JWT_START)
        && text.len() <= AccessToken::LONGEST_JWT
        && text.split('.').count() == 3
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(is_of_jwt))
}

const fn is_of_jwt(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Appends a big-endian number as exactly `digits` base62 digits, and wipes it.
fn push_base62(text: &mut String, number: &mut [u8], digits: usize) {
    let mut reversed = Zeroizing::new([0_u8; SECRET_DIGITS]);
    for digit in &mut reversed[..digits] {
        let mut remainder = 0_u32;
        for byte in number.iter_mut() {
            let value = remainder << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or_default();
            remainder = value % 62;
        }
        *digit = BASE62[remainder as usize];
    }
    number.zeroize();
    text.extend(reversed[..digits].iter().rev().map(|&digit| char::from(digit)));
}

#[cfg(test)]
mod tests;
