//! Where the messages of an HTTP/1 connection begin and end, and which of them are refused.
//!
//! Pure: bytes in, verdicts out. Heads are parsed by httparse; bodies are only measured.

use std::mem::MaybeUninit;

use fuuffy_protocol::{Refusal, RequestFault};
use httparse::{Request, Status};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Header fields that can be looked at; more are refused whatever is configured.
const MAX_FIELDS: usize = 256;

/// What a head may measure.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes of the request target.
    pub uri: usize,
    /// Bytes of the whole head without the target.
    pub bytes: usize,
    /// Header fields.
    pub fields: usize,
}

/// The place in the stream of messages.
#[derive(Debug)]
pub struct Framing {
    phase: Phase,
    limits: HeadLimits,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// At the first byte of a connection.
    Start,
    /// At the first byte of a head.
    Head,
    /// Within a body of known length.
    Body(u64),
    /// Within a chunked body.
    Chunked(Chunk),
    /// Not HTTP/1: HTTP/2, or upgraded.
    Opaque,
}

#[derive(Debug, Clone, Copy)]
enum Chunk {
    /// In the digits of a size; how many there were.
    Size(u64, u8),
    /// In an extension.
    Extension(u64),
    /// Before the LF of a size line.
    SizeEnd(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the last, empty one.
    LineStart,
    Line,
    LineLf,
    LastLf,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes are fine; zero when there were none.
    Passed(usize),
    /// The beginning of a head: more is needed to judge it.
    Incomplete,
    /// No request: this is the answer, and nothing after it is looked at.
    Refused(Refusal),
    /// A body that cannot go on. The request that it belongs to gets an answer; nothing after it is looked at.
    Broken,
}

const AMBIGUOUS: Refusal = Refusal::InvalidRequest(RequestFault::AmbiguousFraming);
const MALFORMED: Refusal = Refusal::InvalidRequest(RequestFault::MalformedMessage);

impl Framing {
    /// A new connection.
    #[must_use]
    pub const fn new(limits: HeadLimits) -> Self {
        Self { phase: Phase::Start, limits }
    }

    /// A connection whose bytes are not looked at.
    #[must_use]
    pub const fn opaque() -> Self {
        Self { phase: Phase::Opaque, limits: HeadLimits { uri: 0, bytes: 0, fields: 0 } }
    }

    /// Whether the next byte would begin a head.
    #[must_use]
    pub const fn is_between_messages(&self) -> bool {
        matches!(self.phase, Phase::Start | Phase::Head)
    }

    /// Judges the next bytes: one head, or a piece of a body.
    pub fn advance(&mut self, bytes: &[u8]) -> Progress {
        if bytes.is_empty() {
            return Progress::Passed(0);
        }
        match self.phase {
            Phase::Opaque => Progress::Passed(bytes.len()),
            Phase::Start if PREFACE.starts_with(bytes) && bytes.len() < PREFACE.len() => Progress::Incomplete,
            Phase::Start if bytes.starts_with(PREFACE) => {
                self.phase = Phase::Opaque;
                Progress::Passed(bytes.len())
            }
            Phase::Start | Phase::Head => self.head(bytes),
            Phase::Body(left) => {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - count as u64;
                self.phase = if left == 0 { Phase::Head } else { Phase::Body(left) };
                Progress::Passed(count)
            }
            Phase::Chunked(chunk) => self.chunked(chunk, bytes),
        }
    }

    fn head(&mut self, bytes: &[u8]) -> Progress {
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut request = Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(bytes, &mut fields);
        let target = request.path.map_or(0, str::len);
        match parsed {
            Ok(Status::Complete(length)) => {
                if target > self.limits.uri {
                    return Progress::Refused(Refusal::UriTooLong);
                }
                if length - target > self.limits.bytes || request.headers.len() > self.limits.fields {
                    return Progress::Refused(Refusal::HeadersTooLarge);
                }
                // hyper would refuse such a target too, but without a word.
                if !request.path.is_some_and(is_target) {
                    return Progress::Refused(MALFORMED);
                }
                match body_of(&request) {
                    Ok(phase) => {
                        self.phase = phase;
                        Progress::Passed(length)
                    }
                    Err(refusal) => Progress::Refused(refusal),
                }
            }
            Ok(Status::Partial) if target > self.limits.uri => Progress::Refused(Refusal::UriTooLong),
            Ok(Status::Partial) if bytes.len() > self.limits.uri + self.limits.bytes => {
                let in_target = !bytes.contains(&b'\n');
                Progress::Refused(if in_target { Refusal::UriTooLong } else { Refusal::HeadersTooLarge })
            }
            Ok(Status::Partial) => Progress::Incomplete,
            Err(httparse::Error::TooManyHeaders) => Progress::Refused(Refusal::HeadersTooLarge),
            Err(_) => Progress::Refused(MALFORMED),
        }
    }

    fn chunked(&mut self, mut chunk: Chunk, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if let Chunk::Data(left) = chunk {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += count;
                let left = left - count as u64;
                chunk = if left == 0 { Chunk::DataCr } else { Chunk::Data(left) };
                continue;
            }
            at += 1;
            chunk = match (chunk, byte) {
                (Chunk::Size(size, digits), _) if byte.is_ascii_hexdigit() => {
                    let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                    if digits == 15 {
                        return Progress::Broken;
                    }
                    Chunk::Size(size << 4 | digit, digits + 1)
                }
                (Chunk::Size(size, 1..), b';') => Chunk::Extension(size),
                (Chunk::Size(size, 1..) | Chunk::Extension(size), b'\r') => Chunk::SizeEnd(size),
                (Chunk::Extension(size), _) if byte != b'\n' => Chunk::Extension(size),
                (Chunk::SizeEnd(0), b'\n') => Chunk::LineStart,
                (Chunk::SizeEnd(size), b'\n') => Chunk::Data(size),
                (Chunk::DataCr, b'\r') => Chunk::DataLf,
                (Chunk::DataLf, b'\n') => Chunk::Size(0, 0),
                (Chunk::LineStart, b'\r') => Chunk::LastLf,
                (Chunk::Line, b'\r') => Chunk::LineLf,
                (Chunk::LineLf, b'\n') => Chunk::LineStart,
                (Chunk::LineStart | Chunk::Line, _) if byte != b'\n' => Chunk::Line,
                (Chunk::LastLf, b'\n') => {
                    self.phase = Phase::Head;
                    return Progress::Passed(at);
                }
                _ => return Progress::Broken,
            };
        }
        self.phase = Phase::Chunked(chunk);
        Progress::Passed(at)
    }
}

/// Whether a request target is one (RFC 9112 §3.2). Most are paths of plain letters.
fn is_target(target: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~?=&%:+,;@!$'()*".contains(&byte);
    (target.starts_with('/') && target.bytes().all(is_plain)) || target.parse::<http::Uri>().is_ok()
}

/// What follows a head, or why nobody can say (RFC 9112 §6.3, §3.2).
fn body_of(request: &Request<'_, '_>) -> Result<Phase, Refusal> {
    let (mut length, mut chunked, mut hosts) = (None, false, 0);
    for field in request.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).map_err(|_| AMBIGUOUS)?;
            if length.is_some() || text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(AMBIGUOUS);
            }
            // hyper keeps the two greatest numbers for itself.
            length = Some(text.parse().ok().filter(|length| *length < u64::MAX - 1).ok_or(AMBIGUOUS)?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !field.value.eq_ignore_ascii_case(b"chunked") || request.version == Some(0) {
                return Err(AMBIGUOUS);
            }
            chunked = true;
        } else if field.name.eq_ignore_ascii_case("host") {
            hosts += 1;
        }
    }
    if hosts > 1 || (hosts == 0 && request.version == Some(1)) {
        return Err(MALFORMED);
    }
    match (length, chunked) {
        (Some(_), true) => Err(AMBIGUOUS),
        (None, true) => Ok(Phase::Chunked(Chunk::Size(0, 0))),
        (Some(length @ 1..), false) => Ok(Phase::Body(length)),
        (Some(0) | None, false) => Ok(Phase::Head),
    }
}

#[cfg(test)]
mod tests;
