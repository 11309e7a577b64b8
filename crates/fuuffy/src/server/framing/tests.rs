//! Framing: every ambiguity that is refused, and a stream cut at any place.

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { uri: 100, bytes: 1000, fields: 20 };

fn first(bytes: &[u8]) -> Progress {
    let mut framing = Framing::new(LIMITS);
    framing.advance(bytes)
}

fn judge(head: &str) -> Option<Refusal> {
    let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n");
    match first(text.as_bytes()) {
        Progress::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

#[test]
fn ambiguous_lengths_are_refused() {
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length:",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: xchunked",
    ] {
        assert_eq!(judge(head), Some(AMBIGUOUS), "{head}");
    }
    assert_eq!(judge("Content-Length: 5"), None);
    assert_eq!(judge("Transfer-Encoding: Chunked"), None);
}

#[test]
fn malformed_heads_are_refused() {
    for head in ["A: b\rc", "A: b\0c", "A: b\r\n c", "A : b", "Host: b", "\u{1}: b", "A"] {
        assert_eq!(judge(head), Some(MALFORMED), "{head:?}");
    }
    assert_eq!(first(b"GET / HTTP/1.1\r\n\r\n"), Progress::Refused(MALFORMED));
    assert_eq!(first(b"\x16\x03\x01\x02\x00"), Progress::Refused(MALFORMED));
}

#[test]
fn large_heads_are_refused_before_they_end() {
    let target = format!("GET /{}", "a".repeat(2000));
    assert_eq!(first(target.as_bytes()), Progress::Refused(Refusal::UriTooLong));
    let field = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(2000));
    assert_eq!(first(field.as_bytes()), Progress::Refused(Refusal::HeadersTooLarge));
    assert_eq!(judge(&"A: b\r\n".repeat(20)), Some(Refusal::HeadersTooLarge));
}

#[test]
fn bad_chunks_are_refused() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "g\r\n",
        "-1\r\n",
        "\r\n",
        "5\n",
        "1\r\nab",
        "1\r\na\n",
        "10000000000000000\r\n",
        " 5\r\n",
        "0x5\r\n",
        "0\r\n\n",
    ] {
        let mut framing = Framing::new(LIMITS);
        assert_eq!(framing.advance(head.as_bytes()), Progress::Passed(head.len()));
        assert_eq!(framing.advance(body.as_bytes()), Progress::Broken, "{body:?}");
    }
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = first(&bytes);
    }

    /// Two messages and their bodies are the same two, wherever the stream is cut.
    #[test]
    fn a_cut_changes_nothing(cut in 0_usize..170, size in 1_usize..20) {
        let body = "x".repeat(size);
        let stream = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{size:x};e=1\r\n{body}\r\n0\r\nT: x\r\n\r\n\
             PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{body}"
        );
        let cut = cut.min(stream.len());
        let mut framing = Framing::new(LIMITS);
        let (mut from, mut seen) = (0, cut);
        loop {
            match framing.advance(&stream.as_bytes()[from..seen]) {
                Progress::Passed(0) | Progress::Incomplete if seen == stream.len() => break,
                Progress::Passed(0) | Progress::Incomplete => seen = stream.len(),
                Progress::Passed(count) => from += count,
                refused @ (Progress::Refused(_) | Progress::Broken) => prop_assert!(false, "{:?}", refused),
            }
        }
        prop_assert_eq!(from, stream.len());
        prop_assert!(matches!(framing.phase, Phase::Head));
    }
}
