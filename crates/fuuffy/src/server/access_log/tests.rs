//! Whatever a caller sends, a line is one line and one JSON object, and has no token.

use fuuffy_domain::{RequestContext, RequestId, Timestamp};
use fuuffy_gateway::Exchange;
use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const TOKEN: &str = "sk-418e41a74ca2e7d941fa4456d73dbed7";

fn context() -> RequestContext {
    let now = Timestamp::from_unix_millis(1_800_000_000_000);
    RequestContext { id: RequestId::generate(now, [7; 10]), peer: [192, 0, 2, 1].into(), now }
}

fn line_of(exchange: &Exchange) -> String {
    let mut line = Vec::new();
    write_line(&mut line, EnvironmentName::Testing, exchange).unwrap();
    String::from_utf8(line).unwrap()
}

fn read(line: &str) -> Value {
    let text = line.strip_suffix('\n').expect("a line ends");
    assert!(!text.contains(['\n', '\r']), "{text:?}");
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_line_says_what_is_known_and_null_for_the_rest() {
    let mut exchange = Exchange::new(&context(), "GET", "/v1/orders");
    exchange.status = Some(200);
    exchange.took = Duration::from_micros(1_234);
    exchange.upstream = Some((Duration::from_micros(200), Duration::from_micros(1_200)));
    let line = read(&line_of(&exchange));
    assert_eq!(line["time"], "2027-01-15T08:00:00.000Z");
    assert_eq!((&line["environment"], &line["peer"]), (&"testing".into(), &"192.0.2.1".into()));
    assert_eq!((&line["duration_ms"], &line["upstream_ms"]), (&1.234.into(), &1.0.into()));
    for unknown in ["client_id", "route", "code", "head_ms", "user_agent", "trace_id"] {
        assert_eq!(line.get(unknown), Some(&Value::Null), "{unknown}");
    }
}

#[test]
fn lines_without_room_are_counted_and_told_once() {
    let shared = Arc::new(Shared::default());
    let (queue, messages) = sync_channel(1);
    let log = AccessLog { queue, shared, thread: Mutex::new(None) };
    for _ in 0..3 {
        log.write(Exchange::new(&context(), "GET", "/"));
    }
    assert_eq!(log.dropped(), 2);
    drop(messages);
}

#[test]
fn a_file_that_cannot_be_written_loses_lines_and_says_how_many() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let shared = Arc::new(Shared::default());
    let sink = Sink::File("/dev/full".into(), full);
    let writer = Writer { environment: EnvironmentName::Testing, sink, shared: Arc::clone(&shared), tears: false };
    let (queue, messages) = sync_channel(8);
    for _ in 0..5 {
        queue.send(Message::Line(Box::new(Exchange::new(&context(), "GET", "/")))).unwrap();
    }
    queue.send(Message::End).unwrap();
    writer.run(&messages);
    assert_eq!(shared.dropped.load(Ordering::Relaxed), 5);
}

proptest! {
    #[test]
    fn whatever_comes_is_one_line_of_json(
        method in any::<String>(),
        path in any::<String>(),
        agent in prop::collection::vec(any::<u8>().prop_filter("a field's byte", |it| *it != b'\n' && *it != b'\r' && *it != 0), 0..300),
        bytes in any::<u64>(),
        status in proptest::option::of(any::<u16>()),
    ) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&agent) {
            headers.insert(header::USER_AGENT, value);
        }
        let exchange = Exchange { bytes_in: bytes, status, ..Exchange::new(&context(), &method, &path).by(&headers) };
        let line = line_of(&exchange);
        let read = read(&line);
        prop_assert_eq!(&read["bytes_in"], &Value::from(bytes));
        prop_assert!(read["path"].as_str().unwrap().len() <= 256 && read["user_agent"].as_str().is_none_or(|it| it.len() <= 128));
    }

    #[test]
    fn a_token_is_nowhere_in_a_line(before in "[a-z/]{0,240}", after in "[a-z/]{0,20}", into in 0_usize..3) {
        let text = format!("/{before}{TOKEN}{after}");
        let mut headers = HeaderMap::new();
        if into == 2 {
            headers.insert(header::USER_AGENT, HeaderValue::from_str(&text).unwrap());
        }
        let (method, path) = match into { 0 => (text.as_str(), "/"), 1 => ("GET", text.as_str()), _ => ("GET", "/") };
        let line = line_of(&Exchange::new(&context(), method, path).by(&headers));
        prop_assert!(!line.contains("418e41"), "{}", line);
    }
}
