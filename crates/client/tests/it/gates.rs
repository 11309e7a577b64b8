//! One gate for all callers: `Retry-After` is obeyed by everybody, back-off is jittered, retries have a
//! budget, and calls slow down before they are refused, if asked to.

use std::time::Duration;

use futures_util::future::join_all;
use fuuffy_client::test_util::Answer;
use fuuffy_client::{Client, ErrorKind, Event, Reason, Response};
use tokio::task::JoinHandle;

use crate::place::{ORDERS, Place};

const SECOND: Duration = Duration::from_secs(1);

fn call(client: &Client, path: &'static str) -> JoinHandle<Result<Response, fuuffy_client::Error>> {
    let client = client.clone();
    tokio::spawn(async move { client.get(path).send().await })
}

fn limited(retry_after: &str) -> Answer {
    Answer::refusal(429, "rate_limit_exceeded").field("retry-after", retry_after)
}

#[tokio::test]
async fn a_429_holds_all_callers_for_as_long_as_the_server_says() {
    let place = Place::new().await;
    place.server.answer("/v1/items", r#"{"data":[]}"#);
    place.server.then(ORDERS, [limited("20")]);
    let client = place.client();
    let first = call(&client, "/orders");
    place.until_held(1).await;
    let others: Vec<_> =
        (0..20).map(|number| call(&client, if number % 2 == 0 { "/orders" } else { "/items" })).collect();
    place.until_held(21).await;
    assert_eq!(place.server.received(ORDERS).len(), 1);
    assert!(place.server.received("/v1/items").is_empty(), "limits are the client's, whatever the path");
    place.clock.pass(20 * SECOND - Duration::from_millis(1));
    place.clock.until_idle().await;
    assert_eq!(place.server.received(ORDERS).len(), 1, "not a millisecond early");
    // They are spread over a tenth of the wait, at most a second.
    let mut waits: Vec<_> =
        place.events.lock().iter().filter(|event| matches!(event, Event::Held { .. })).cloned().collect();
    waits.dedup();
    assert_eq!(waits.len(), 21, "spread");
    place.clock.pass(SECOND + Duration::from_millis(1));
    assert!(first.await.unwrap().is_ok());
    assert!(join_all(others).await.into_iter().all(|answer| answer.unwrap().is_ok()));
    assert_eq!(place.heard(|event| *event == Event::Retried { because: Reason::RateLimited }), 1);
}

#[tokio::test]
async fn a_503_holds_the_callers_of_that_endpoint_alone() {
    let place = Place::new().await;
    place.server.answer("/v1/items", r#"{"data":[]}"#);
    place.server.then(ORDERS, [Answer::refusal(503, "service_unavailable").field("retry-after", "20")]);
    let client = place.client();
    let held = call(&client, "/orders");
    place.until_held(1).await;
    client.get("/items").send().await.unwrap();
    let other = call(&client, "/orders/7");
    place.until_held(2).await;
    place.server.answer("/v1/orders/7", r#"{"data":[]}"#);
    place.clock.pass(21 * SECOND);
    assert!(held.await.unwrap().is_ok() && other.await.unwrap().is_ok());
}

#[tokio::test]
async fn an_answer_that_was_under_way_opens_no_gate() {
    let place = Place::new().await;
    let patience = Answer::refusal(503, "service_unavailable").field("retry-after", "20");
    place.server.then(ORDERS, [patience.held(), Answer::json(200, r#"{"data":[]}"#).held()]);
    let client = place.client();
    let first = call(&client, "/orders");
    place.server.until(ORDERS, 1).await;
    let second = call(&client, "/orders");
    place.server.until(ORDERS, 2).await;
    place.clock.pass(SECOND);
    place.server.release();
    place.until_held(1).await;
    place.server.release();
    assert!(second.await.unwrap().is_ok());
    let third = call(&client, "/orders");
    place.until_held(2).await;
    assert_eq!(place.server.received(ORDERS).len(), 2);
    place.clock.pass(21 * SECOND);
    assert!(first.await.unwrap().is_ok() && third.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_gate_that_closes_while_a_token_is_waited_for_holds_too() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::token("sk-1", 30), Answer::token("sk-2", 3600).held()]);
    place.server.then(ORDERS, [limited("20").held()]);
    let client = place.client();
    let first = call(&client, "/orders");
    place.server.until(ORDERS, 1).await;
    place.clock.pass(30 * SECOND);
    let second = call(&client, "/orders");
    place.server.until_token_requests(2).await;
    place.server.release();
    while place.heard(|event| matches!(event, Event::Retried { .. })) == 0 {
        tokio::task::yield_now().await;
    }
    place.server.release();
    place.until_held(2).await;
    assert_eq!(place.server.received(ORDERS).len(), 1);
    place.clock.pass(21 * SECOND);
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_429_of_the_api_holds_no_token_request() {
    let place = Place::new().await;
    place.server.then(ORDERS, [limited("300")]);
    let client = place.client();
    assert!(client.get("/orders").send().await.is_err());
    place.clock.pass(Duration::from_secs(3600));
    place.server.then(ORDERS, [limited("300")]);
    assert!(client.get("/orders").send().await.is_err());
    client.tokens().token().await.unwrap();
    assert_eq!(place.server.token_requests(), 2);
    assert_eq!(place.heard(|event| matches!(event, Event::Held { .. })), 0);
}

#[tokio::test]
async fn without_retry_after_the_back_off_grows_and_is_jittered() {
    let mut waits = Vec::new();
    for seed in 0..4 {
        let place = Place::new().await;
        let client = place.builder().seed(seed).build().unwrap();
        let refusals = std::iter::repeat_n(Answer::refusal(503, "service_unavailable"), 3);
        place.server.then(ORDERS, refusals);
        let held = call(&client, "/orders");
        let mut of_seed = Vec::new();
        for seen in 1..=3 {
            place.server.until(ORDERS, seen).await;
            // The sleep that limits the call itself is a minute's.
            let wait = loop {
                match place.clock.next_wake().filter(|wait| *wait < 30 * SECOND) {
                    Some(wait) => break wait,
                    None => tokio::task::yield_now().await,
                }
            };
            of_seed.push(wait);
            place.clock.pass(wait);
        }
        assert!(held.await.unwrap().is_ok());
        assert!(of_seed[0] >= Duration::from_millis(250) && of_seed[0] < Duration::from_millis(600), "{of_seed:?}");
        assert!(of_seed[2] >= SECOND, "{of_seed:?}");
        waits.push(of_seed);
    }
    waits.dedup();
    assert_eq!(waits.len(), 4, "jitter");
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_twice() {
    let place = Place::new().await;
    place.server.always(ORDERS, Answer::refusal(503, "service_unavailable").field("retry-after", "0"));
    let client = place.client();
    let error = client.post("/orders").body("{}").send().await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), place.server.received(ORDERS).len()), (503, 1));
    assert!(error.is_retryable());
    let _ = client.post("/orders").idempotency_key("k1").body("{}").send().await.unwrap_err();
    assert_eq!(place.server.received(ORDERS).len(), 6, "a key makes it safe");
}

#[tokio::test]
async fn retries_have_a_budget() {
    let place = Place::new().await;
    place.server.always(ORDERS, limited("0"));
    let client = place.client();
    for _ in 0..100 {
        let error = client.get("/orders").send().await.unwrap_err();
        assert_eq!(error.status().unwrap(), 429);
    }
    let sent = place.server.received(ORDERS).len();
    assert!((110..=121).contains(&sent), "{sent} requests for 100 calls");
}

#[tokio::test]
async fn a_wait_longer_than_the_callers_patience_is_told_at_once() {
    let place = Place::new().await;
    place.server.then(ORDERS, [limited("300")]);
    let client = place.client();
    let error = client.get("/orders").send().await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.retry_after()), (429, Some(300 * SECOND)));
    let held = client.get("/orders").send().await.unwrap_err();
    assert_eq!((held.kind(), held.is_retryable()), (ErrorKind::Held, true));
    assert!(held.retry_after().unwrap() >= 300 * SECOND);
    assert_eq!(place.server.received(ORDERS).len(), 1);
}

#[tokio::test]
async fn a_date_is_measured_by_the_servers_own_calendar() {
    let place = Place::new().await;
    let answer = limited("Fri, 31 Dec 1999 23:59:59 GMT").field("date", "Fri, 31 Dec 1999 23:59:49 GMT");
    place.server.then(ORDERS, [answer]);
    let held = call(&place.client(), "/orders");
    place.until_held(1).await;
    place.clock.pass(11 * SECOND);
    assert!(held.await.unwrap().is_ok());
}

#[tokio::test]
async fn no_connection_is_tried_again_and_then_told() {
    let place = Place::new().await;
    let client = place.builder().base_url("http://127.0.0.1:1/v1").build().unwrap();
    let failing = tokio::spawn(async move { client.get("/orders").send().await.unwrap_err() });
    while !failing.is_finished() {
        place.clock.pass(SECOND);
        tokio::task::yield_now().await;
    }
    let error = failing.await.unwrap();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Transport, true));
    assert!(error.to_string().contains("http://127.0.0.1:1/v1/auth/token"), "{error}");
}

#[tokio::test]
async fn calls_slow_down_before_they_are_refused_if_asked_to() {
    for fields in [
        [("ratelimit-policy", r#""minute";q=100;w=60"#), ("ratelimit", r#""minute";r=10;t=20"#)],
        [("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "10")],
    ] {
        for paced in [true, false] {
            let place = Place::new().await;
            let answer = fields
                .iter()
                .fold(Answer::json(200, r#"{"data":[]}"#), |answer, (name, value)| answer.field(name, value));
            let answer = answer.field("date", "Fri, 31 Dec 1999 23:59:40 GMT").field("x-ratelimit-reset", "946684800");
            place.server.then(ORDERS, [answer]);
            let client = place.builder().paced(paced).build().unwrap();
            client.get("/orders").send().await.unwrap();
            client.get("/orders").send().await.unwrap();
            let third = call(&client, "/orders");
            if paced {
                // Ten requests in 20 seconds: one every two.
                place.until_held(1).await;
                assert_eq!(place.server.received(ORDERS).len(), 2);
                place.clock.pass(2 * SECOND);
            }
            assert!(third.await.unwrap().is_ok());
        }
    }
}
