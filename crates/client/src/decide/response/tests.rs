//! What heads mean.

use proptest::prelude::*;

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

fn verdict(status: u16, headers: &HeaderMap) -> Verdict {
    Head { status: StatusCode::from_u16(status).unwrap(), headers }.verdict(|| NOW)
}

fn window(headers: &HeaderMap) -> Option<Window> {
    Head { status: StatusCode::OK, headers }.window(NOW)
}

#[test]
fn only_a_challenge_of_an_invalid_token_is_about_the_token() {
    for (challenge, expected) in [
        (r#"Bearer realm="fuuffy", error="invalid_token", error_description="x, error=\"y\"""#, Verdict::TokenRefused),
        (r#"Basic realm="x", bearer error=invalid_token"#, Verdict::TokenRefused),
        (r#"Bearer realm="fuuffy", error="insufficient_scope""#, Verdict::Pass),
        (r#"Bearer realm="error=invalid_token""#, Verdict::ReadBody),
        (r#"Basic realm="fuuffy", error="invalid_token""#, Verdict::ReadBody),
        ("Bearer error=\"", Verdict::ReadBody),
    ] {
        assert_eq!(verdict(401, &fields(&[("www-authenticate", challenge)])), expected, "{challenge}");
        assert_eq!(verdict(403, &fields(&[("www-authenticate", challenge)])), Verdict::Pass, "{challenge}");
    }
    assert_eq!(verdict(401, &HeaderMap::new()), Verdict::ReadBody);
}

#[test]
fn patience_is_read_in_seconds_or_as_a_date() {
    let wait = |value| match verdict(429, &fields(&[("retry-after", value)])) {
        Verdict::Hold(Hold::Limited, wait) => wait,
        other => panic!("{other:?}"),
    };
    assert_eq!(wait("7"), Some(Duration::from_secs(7)));
    assert_eq!(wait("Thu, 01 Jan 1970 00:00:09 GMT"), Some(Duration::from_secs(9)));
    assert_eq!(wait("99999999999"), Some(LONGEST_WAIT));
    assert_eq!(wait("99999999999999999999999"), Some(LONGEST_WAIT), "more than any number holds");
    for nonsense in ["-1", "soon", "1.5", ""] {
        assert_eq!(wait(nonsense), None, "{nonsense}");
    }
    let dated = [("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"), ("date", "Fri, 31 Dec 1999 23:59:49 GMT")];
    assert_eq!(verdict(503, &fields(&dated)), Verdict::Hold(Hold::Unavailable, Some(Duration::from_secs(10))));
}

#[test]
fn the_tightest_window_is_found() {
    let policy = ("ratelimit-policy", r#""minute";q=100;w=60, "hour";q=1000;w=3600"#);
    let headers = fields(&[policy, ("ratelimit", r#""minute";r=50;t=30, "hour";r=10;t=3000"#)]);
    let hour = Window { limit: Some(1000), remaining: 10, resets_in: Duration::from_secs(3000) };
    assert_eq!(window(&headers), Some(hour));
    let old = [("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "60")];
    let minute = Window { limit: Some(100), remaining: 7, resets_in: Duration::from_secs(60) };
    assert_eq!(window(&fields(&old)), Some(minute));
    assert_eq!(window(&HeaderMap::new()), None);
}

#[test]
fn skew_is_told_in_both_directions() {
    let headers = fields(&[("date", "Thu, 01 Jan 1970 00:10:00 GMT")]);
    let head = Head { status: StatusCode::OK, headers: &headers };
    assert_eq!(head.skew(NOW), Some(600));
    assert_eq!(head.skew(NOW + Duration::from_secs(1200)), Some(-600));
}

#[test]
fn what_may_be_sent_again() {
    let key = fields(&[("idempotency-key", "1")]);
    for (method, is) in [(Method::GET, true), (Method::PUT, true), (Method::DELETE, true), (Method::POST, false)] {
        assert_eq!(is_repeatable(&method, &HeaderMap::new()), is, "{method}");
        assert!(is_repeatable(&method, &key));
    }
}

proptest! {
    #[test]
    fn no_field_makes_it_panic(status in 100_u16..600, value in "[ -~]{0,80}") {
        let names = [
            "www-authenticate", "retry-after", "date", "ratelimit", "ratelimit-policy", "x-ratelimit-limit",
            "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id",
        ];
        let headers = fields(&names.map(|name| (name, value.as_str())));
        let head = Head { status: StatusCode::from_u16(status).unwrap(), headers: &headers };
        let _ = (head.verdict(|| NOW), head.window(NOW), head.skew(NOW), head.request_id());
    }
}
