//! `traceparent` as the standard's own examples have it, and against a naive model.

use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn the_standards_example_is_read_and_written() {
    let parent = TraceParent::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(parent.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(parent.span.to_string(), "00f067aa0ba902b7");
    assert!(parent.is_sampled());
    assert_eq!(parent.to_string(), EXAMPLE);
}

#[test]
fn a_later_version_may_go_on_and_this_one_may_not() {
    let later = EXAMPLE.replacen("00", "cc", 1);
    assert_eq!(TraceParent::parse(later.as_bytes()), TraceParent::parse(EXAMPLE.as_bytes()));
    assert!(TraceParent::parse(format!("{later}-what-comes").as_bytes()).is_some());
    for wrong in [format!("{later}.what-comes"), format!("{EXAMPLE}-what-comes"), format!("{EXAMPLE}-")] {
        assert_eq!(TraceParent::parse(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn what_the_standard_forbids_is_none() {
    for (from, to) in [
        ("00-4b", "ff-4b"),
        ("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
        ("00f067aa0ba902b7", "0000000000000000"),
        ("4bf92f", "4BF92F"),
        ("4bf92f", "4bf92g"),
        ("-01", "-0x"),
        ("-01", "01-"),
        ("-01", "-1"),
        ("00-4b", "00_4b"),
        ("6-00f", "6_00f"),
        ("b7-01", "b7_01"),
    ] {
        let wrong = EXAMPLE.replacen(from, to, 1);
        assert_ne!(wrong, EXAMPLE);
        assert_eq!(TraceParent::parse(wrong.as_bytes()), None, "{wrong}");
    }
}

/// The same by splitting text, as slowly as one likes.
fn model(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags, ..] = parts[..] else {
        return None;
    };
    let is_hex = |text: &str, length| text.len() == length && text.chars().all(|it| "0123456789abcdef".contains(it));
    let is_id = |text: &str, length| is_hex(text, length) && text.chars().any(|it| it != '0');
    let is_version = is_hex(version, 2) && version != "ff" && (version != "00" || parts.len() == 4);
    (is_version && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2))
        .then(|| format!("00-{trace}-{span}-{flags}"))
}

proptest! {
    #[test]
    fn any_text_is_read_as_the_model_reads_it(
        version in "(00|01|fe|ff|[0-9a-fA-F]{1,3})",
        trace in "(0{32}|[0-9a-f]{32}|[0-9a-fG]{31,33})",
        span in "(0{16}|[0-9a-f]{16}|[0-9a-fG]{15,17})",
        flags in "([0-9a-f]{2}|[0-9a-fG]{1,3})",
        rest in "(|-[a-z-]{0,5}|.[a-z]{0,3})",
    ) {
        let value = format!("{version}-{trace}-{span}-{flags}{rest}");
        let read = TraceParent::parse(value.as_bytes());
        prop_assert_eq!(read.map(|it| it.to_string()), model(value.as_bytes()), "{}", value);
    }

    #[test]
    fn whatever_bytes_come_nothing_breaks(value in prop::collection::vec(any::<u8>(), 0..80)) {
        let read = TraceParent::parse(&value);
        prop_assert_eq!(read.map(|it| it.to_string()), model(&value));
    }
}
