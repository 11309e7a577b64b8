//! Where a request is in a distributed trace: the field `traceparent`, read and written (W3C Trace Context).

use std::fmt;

/// A span of a trace: who asks, to whoever is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace, the same in all of its spans.
    pub trace: TraceId,
    /// The span that the receiver's own is beneath.
    pub span: SpanId,
    /// What the sender says of it: the lowest bit says that it is recorded.
    pub flags: u8,
}

/// The id of a trace; never all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The id of a span; never all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

impl TraceParent {
    /// The flag of a trace that its sender records.
    pub const SAMPLED: u8 = 1;
    /// The length of version 00.
    const LENGTH: usize = 55;

    /// Reads the value of a `traceparent`. One of a later version is read as far as version 00 goes, as the standard
    /// asks for (§3.2.4); `None` for what a receiver must take for no `traceparent` at all.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(Self::LENGTH)?;
        let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        let [version] = bytes(&known[..2])?;
        let goes_on = version != 0 && rest.first() == Some(&b'-');
        if !dashes || version == 0xff || !(rest.is_empty() || goes_on) {
            return None;
        }
        let [flags] = bytes(&known[53..])?;
        Some(Self { trace: TraceId::new(bytes(&known[3..35])?)?, span: SpanId::new(bytes(&known[36..52])?)?, flags })
    }

    /// Whether the sender records the trace.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & Self::SAMPLED != 0
    }
}

impl fmt::Display for TraceParent {
    /// As version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl TraceId {
    /// An id of 16 bytes; `None` of zeros alone, which mean that there is none.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// An id of 8 bytes; `None` of zeros alone, which mean that there is none.
    #[must_use]
    pub fn new(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Bytes of twice as many digits, in small letters only.
fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

const fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
