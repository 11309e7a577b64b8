//! What a token source does at the edges: as a token ends, as its service asks for patience, as a runtime ends.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use fuuffy_client::test_util::Answer;
use fuuffy_client::{
    AccessToken, BoxFuture, Client, CredentialSource, Credentials, Error, ErrorKind, Event, Grant, TokenCache,
};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::place::{ORDERS, Place};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
const TOKEN_PATH: &str = "/v1/auth/token";

async fn text(client: &Client) -> String {
    client.tokens().token().await.unwrap().reveal().trim_start_matches("sk-").trim_start_matches('0').to_owned()
}

#[tokio::test]
async fn a_thousand_callers_at_expiry_cause_one_token_request() {
    for is_used in [false, true] {
        let place = Place::new().await;
        place.server.then_tokens([Answer::token("sk-1", 3600), Answer::token("sk-2", 3600).held()]);
        let client = place.builder().token_timeout(24 * HOUR).build().unwrap();
        assert_eq!(text(&client).await, "1");
        if is_used {
            // Its refresh is under way as it ends.
            assert_eq!(text(&client).await, "1");
            place.clock.pass(HOUR.mul_f64(0.9));
            place.server.until_token_requests(2).await;
        }
        place.clock.pass(HOUR);
        let callers = (0..1000).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { text(&client).await })
        });
        let callers: Vec<_> = callers.collect();
        place.server.until_token_requests(2).await;
        place.clock.until_idle().await;
        place.server.release();
        assert!(join_all(callers).await.into_iter().all(|token| token.unwrap() == "2"));
        assert_eq!(place.server.token_requests(), 2, "used before: {is_used}");
    }
}

#[tokio::test]
async fn patience_that_outlasts_the_token_holds_token_requests_alone() {
    let place = Place::new().await;
    let limited = Answer::refusal(429, "rate_limit_exceeded").field("retry-after", "3000");
    place.server.then_tokens([Answer::token("sk-1", 3600), limited]);
    let client = place.client();
    assert_eq!(text(&client).await, "1");
    assert_eq!(text(&client).await, "1");
    place.clock.pass(HOUR.mul_f64(0.9));
    while place.heard(|event| matches!(event, Event::TokenFailed { .. })) == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..5 {
        client.get("/orders").send().await.unwrap();
        place.clock.pass(60 * SECOND);
    }
    assert_eq!(place.heard(|event| matches!(event, Event::Held { .. })), 0, "calls go on meanwhile");
    place.clock.pass(60 * SECOND);
    let error = client.get("/orders").send().await.unwrap_err();
    assert!(error.is_about_token());
    assert_eq!((error.status().unwrap().as_u16(), error.retry_after()), (429, Some(2640 * SECOND)));
    assert_eq!((place.server.token_requests(), place.server.received(ORDERS).len()), (2, 5));
    place.clock.pass(2640 * SECOND);
    client.get("/orders").send().await.unwrap();
}

#[tokio::test]
async fn no_patience_asked_for_again_and_again_is_no_loop() {
    let place = Place::new().await;
    let client = place.client();
    assert_eq!(text(&client).await, "1");
    assert_eq!(text(&client).await, "1");
    place.server.always(TOKEN_PATH, Answer::refusal(503, "service_unavailable").field("retry-after", "0"));
    place.clock.pass(HOUR.mul_f64(0.9));
    for failures in 1..=3_u32 {
        while place.heard(|event| matches!(event, Event::TokenFailed { .. })) < failures as usize {
            tokio::task::yield_now().await;
        }
        place.clock.until_sleeping(1, Duration::ZERO).await;
        let wait = place.clock.next_wake().unwrap();
        assert!(wait >= SECOND * 2_u32.pow(failures - 1) / 2, "{wait:?} after {failures} failures");
        place.clock.pass(wait);
    }
}

#[tokio::test]
async fn patience_is_reached_exactly_or_not() {
    for (patience, is_granted) in [(20 * SECOND, true), (20 * SECOND - Duration::from_millis(1), false)] {
        let place = Place::new().await;
        place.server.then_tokens([Answer::refusal(503, "service_unavailable").field("retry-after", "20")]);
        let client = place.builder().patience(patience).build().unwrap();
        let caller = tokio::spawn(async move { client.tokens().token().await.map(drop) });
        if is_granted {
            place.until_held(1).await;
            place.clock.pass(20 * SECOND);
        }
        assert_eq!(caller.await.unwrap().is_ok(), is_granted, "{patience:?}");
    }
}

#[tokio::test]
async fn a_client_that_is_gone_leaves_nothing_behind() {
    let place = Place::new().await;
    let client = place.client();
    assert_eq!(text(&client).await, "1");
    place.clock.until_sleeping(1, HOUR / 2).await;
    drop(client);
    place.clock.until_idle().await;
    assert_eq!(place.clock.next_wake(), None);
}

#[tokio::test]
async fn a_token_that_was_replaced_is_looked_at_no_more() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::token("sk-1", 3600), Answer::token("sk-2", 36_000)]);
    let client = place.client();
    assert_eq!(text(&client).await, "1");
    place.server.then(ORDERS, [Answer::refusal(401, "invalid_token")]);
    client.get("/orders").send().await.unwrap();
    place.clock.until_sleeping(1, 7 * HOUR).await;
    place.clock.until_idle().await;
    assert!(place.clock.next_wake().unwrap() > 7 * HOUR);
}

#[test]
fn a_runtime_that_was_shut_down_is_an_error_and_no_hang() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = runtime.block_on(Place::new());
    let client = place.client();
    let handle = runtime.handle().clone();
    drop(runtime);
    let (sender, outcome) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _entered = handle.enter();
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut call = std::pin::pin!(client.tokens().token());
        let polled = call.as_mut().poll(&mut cx).map(|outcome| outcome.map(drop));
        sender.send(polled).unwrap();
    });
    let polled = outcome.recv_timeout(Duration::from_secs(20)).unwrap();
    let std::task::Poll::Ready(Err(error)) = polled else {
        panic!("expected an error");
    };
    assert!(error.to_string().contains("runtime is being shut down"), "{error}");
}

/// A source that is broken.
struct Panicking;

impl CredentialSource for Panicking {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        Box::pin(async { panic!("on purpose") })
    }
}

#[tokio::test]
async fn a_source_that_panics_takes_no_caller_along() {
    let place = Place::new().await;
    let client = place.builder().credential_source(Panicking).build().unwrap();
    let call = tokio::time::timeout(Duration::from_secs(20), client.get("/orders").send());
    assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Configuration);
}

/// A cache that has nothing, and keeps what it was told of refusals.
struct Forgetful(Arc<Mutex<Vec<Option<String>>>>);

impl TokenCache for Forgetful {
    fn token<'a>(
        &'a self,
        refused: Option<&'a AccessToken>,
        fetch: BoxFuture<'a, Result<Grant, Error>>,
    ) -> BoxFuture<'a, Result<Grant, Error>> {
        self.0.lock().push(refused.map(|token| token.reveal().to_owned()));
        fetch
    }
}

#[tokio::test]
async fn a_cache_is_told_of_the_latest_refusal_even_if_an_older_one_comes_late() {
    let place = Place::new().await;
    let tokens = ["sk-1", "sk-2", "sk-3"];
    place.server.then_tokens(tokens.map(|token| Answer::token(token, 3600)));
    let refused = || Answer::refusal(401, "invalid_token");
    place.server.then(ORDERS, [refused().held(), refused().held(), refused()]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let client = place.builder().token_cache(Forgetful(Arc::clone(&told))).build().unwrap();
    let call = || {
        let client = client.clone();
        tokio::spawn(async move { client.get("/orders").send().await.map(drop) })
    };
    let calls = [call(), call()];
    place.server.until(ORDERS, 2).await;
    // The first call meets a refusal of its second token too.
    place.server.release();
    while place.heard(|event| *event == Event::TokenDropped) < 2 {
        tokio::task::yield_now().await;
    }
    // Now the other's refusal comes, of the first token.
    place.server.release();
    let granted = join_all(calls).await.into_iter().filter(|call| matches!(call, Ok(Ok(())))).count();
    assert_eq!(granted, 1);
    assert_eq!(*told.lock(), [None, Some("sk-1".to_owned()), Some("sk-2".to_owned())]);
}

#[tokio::test]
async fn skew_is_reported_once_for_each_change() {
    let place = Place::new().await;
    let client = place.client();
    for (date, told) in [("00:10:00", 1), ("00:10:30", 1), ("00:20:00", 2), ("00:00:10", 2), ("00:20:00", 3)] {
        place.clock.step_wall(SystemTime::UNIX_EPOCH);
        let date = format!("Thu, 01 Jan 1970 {date} GMT");
        place.server.then_tokens([Answer::token("sk-1", 3600).field("date", &date)]);
        assert_eq!(text(&client).await, "1");
        assert_eq!(place.heard(|event| matches!(event, Event::ClockSkew { .. })), told, "{date}");
        place.clock.pass(HOUR);
    }
    let last = place.events.lock().iter().rev().find(|event| matches!(event, Event::ClockSkew { .. })).cloned();
    assert_eq!(last, Some(Event::ClockSkew { seconds: 1200 }));
}

#[tokio::test]
async fn a_secret_that_expires_soon_is_reported_with_each_token() {
    let place = Place::new().await;
    let client = place.client();
    let dying = |token| Answer::token(token, 3600).field("fuuffy-secret-expires", "Thu, 01 Jan 1970 00:20:00 GMT");
    place.server.then_tokens([
        Answer::token("sk-1", 3600),
        dying("sk-2"),
        Answer::token("sk-3", 3600).field("fuuffy-secret-expires", "soon"),
    ]);
    for (number, told) in [("1", 0), ("2", 1), ("3", 1)] {
        assert_eq!(text(&client).await, number);
        assert_eq!(place.heard(|event| matches!(event, Event::SecretExpires { .. })), told);
        place.clock.pass(HOUR);
    }
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1200);
    assert!(place.events.lock().contains(&Event::SecretExpires { at }));
}

#[tokio::test]
async fn an_answer_that_drips_is_out_of_time_whatever_still_comes() {
    let place = Place::new().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let client = place.builder().base_url(url).patience(Duration::ZERO).build().unwrap();
    let caller = tokio::spawn(async move { client.tokens().token().await.unwrap_err() });
    let (mut connection, _) = listener.accept().await.unwrap();
    assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
    connection
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..3 {
        connection.write_all(b" ").await.unwrap();
        place.clock.until_idle().await;
        place.clock.pass(4 * SECOND);
    }
    assert_eq!(caller.await.unwrap().kind(), ErrorKind::Timeout);
}
