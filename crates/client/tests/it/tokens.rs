//! The token source: one request for all, refreshed early, kept while it lives, dropped when refused.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use fuuffy_client::test_util::Answer;
use fuuffy_client::{Client, Event, TokenSource};
use tokio::task::JoinHandle;

use crate::place::Place;

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

async fn text(tokens: &TokenSource) -> String {
    tokens.token().await.unwrap().reveal().trim_start_matches("sk-").trim_start_matches('0').to_owned()
}

/// Somebody who needs a token.
fn caller(client: &Client) -> JoinHandle<String> {
    let client = client.clone();
    tokio::spawn(async move { text(client.tokens()).await })
}

#[tokio::test]
async fn a_thousand_callers_cause_one_token_request() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::token("sk-1", 3600).held()]);
    let client = place.client();
    let callers: Vec<_> = (0..1000).map(|_| caller(&client)).collect();
    place.server.until_token_requests(1).await;
    place.server.release();
    assert!(join_all(callers).await.into_iter().all(|token| token.unwrap() == "1"));
    assert_eq!(place.server.token_requests(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_nothing() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::token("sk-1", 3600).held()]);
    let client = place.client();
    let first = caller(&client);
    place.server.until_token_requests(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = caller(&client);
    place.server.release();
    assert_eq!(second.await.unwrap(), "1");
    assert_eq!(place.server.token_requests(), 1);
}

#[tokio::test]
async fn a_runtime_that_ends_takes_no_later_caller_along() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::token("sk-1", 3600).held()]);
    let client = place.client();
    let handle = {
        let client = client.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = client.tokens().token() => {}
                    () = tokio::task::yield_now() => {}
                }
            });
        })
    };
    tokio::task::spawn_blocking(move || handle.join().unwrap()).await.unwrap();
    place.server.release();
    assert!(client.tokens().token().await.is_ok());
}

#[tokio::test]
async fn it_is_refreshed_in_the_background_at_about_80_percent_of_its_life() {
    let mut moments = Vec::new();
    for (seed, life) in [(0, 3600), (1, 3600), (2, 3600), (3, 3600), (0, 20), (1, 20), (2, 20), (3, 20)] {
        let place = Place::new().await;
        place.server.grant_tokens(life);
        let life = Duration::from_secs(life);
        let client = place.builder().seed(seed).build().unwrap();
        assert_eq!(text(client.tokens()).await, "1");
        assert_eq!(text(client.tokens()).await, "1");
        place.clock.until_sleeping(1, life / 2).await;
        let moment = place.clock.next_wake().unwrap();
        assert!(moment >= life.mul_f64(0.75) && moment <= life.mul_f64(0.85), "{moment:?} of {life:?}");
        moments.push(moment.as_secs_f64() / life.as_secs_f64());
        place.clock.pass(moment - Duration::from_millis(1));
        place.clock.until_idle().await;
        assert_eq!(place.server.token_requests(), 1, "too early");
        // By its own timer, without a caller.
        place.clock.pass(Duration::from_millis(1));
        place.server.until_token_requests(2).await;
    }
    let (of_hour, of_seconds) = moments.split_at(4);
    for (seed, part) in of_hour.iter().enumerate() {
        assert!((part - of_seconds[seed]).abs() < 1e-6, "in proportion to the life: {moments:?}");
        assert!(seed == 0 || (part - of_hour[seed - 1]).abs() > 1e-4, "jitter: {moments:?}");
    }
}

#[tokio::test]
async fn while_a_token_lives_nobody_waits() {
    // The refresh is started by the timer, or by a caller of a token that nobody had used.
    for is_used in [true, false] {
        let place = Place::new().await;
        let client = place.client();
        place.server.then_tokens([Answer::token("sk-1", 3600), Answer::token("sk-2", 3600).held()]);
        assert_eq!(text(client.tokens()).await, "1");
        if is_used {
            assert_eq!(text(client.tokens()).await, "1");
        }
        place.clock.until_sleeping(1, HOUR / 2).await;
        place.clock.pass(HOUR.mul_f64(0.9));
        place.clock.until_idle().await;
        assert_eq!(place.server.token_requests(), if is_used { 2 } else { 1 });
        for _ in 0..10 {
            assert_eq!(text(client.tokens()).await, "1", "the refresh is still under way");
        }
        place.server.until_token_requests(2).await;
        place.server.release();
        while text(client.tokens()).await == "1" {
            tokio::task::yield_now().await;
        }
        assert_eq!(place.server.token_requests(), 2);
    }
}

#[tokio::test]
async fn a_token_that_nobody_uses_is_not_refreshed() {
    let place = Place::new().await;
    let client = place.client();
    assert_eq!(text(client.tokens()).await, "1");
    place.clock.until_sleeping(1, HOUR / 2).await;
    place.clock.pass(HOUR.mul_f64(0.9));
    place.clock.until_idle().await;
    assert_eq!((place.server.token_requests(), place.clock.next_wake()), (1, None));
    place.clock.pass(HOUR);
    assert_eq!(text(client.tokens()).await, "2");
}

#[tokio::test]
async fn a_life_of_one_second_does_not_loop() {
    let place = Place::new().await;
    place.server.grant_tokens(1);
    let client = place.client();
    // Calls, so that a refresh that should not be would get through meanwhile.
    for _ in 0..20 {
        client.get("/orders").send().await.unwrap();
    }
    place.clock.pass(Duration::from_millis(700));
    for _ in 0..20 {
        client.get("/orders").send().await.unwrap();
    }
    assert_eq!(text(client.tokens()).await, "1");
    assert_eq!(place.server.token_requests(), 1);
    place.clock.pass(SECOND);
    assert_eq!(text(client.tokens()).await, "2");
    assert_eq!(place.server.token_requests(), 2);
}

#[tokio::test]
async fn a_failed_refresh_replaces_nothing_and_the_token_is_used_to_its_last_second() {
    let place = Place::new().await;
    let client = place.builder().patience(Duration::ZERO).build().unwrap();
    place.server.then_tokens([Answer::token("sk-1", 3600)]);
    assert_eq!(text(client.tokens()).await, "1");
    assert_eq!(text(client.tokens()).await, "1");
    place.server.always("/v1/auth/token", Answer::refusal(500, "broken"));
    place.clock.pass(HOUR.mul_f64(0.9));
    while place.heard(|event| matches!(event, Event::TokenFailed { .. })) == 0 {
        tokio::task::yield_now().await;
    }
    let mut passed = HOUR.mul_f64(0.9);
    while passed + Duration::from_millis(1) < HOUR {
        let step = (HOUR - passed - Duration::from_millis(1)).min(Duration::from_secs(60));
        place.clock.pass(step);
        passed += step;
        place.clock.until_idle().await;
        assert_eq!(text(client.tokens()).await, "1", "after {passed:?}");
    }
    place.clock.pass(Duration::from_millis(1));
    assert!(client.tokens().token().await.is_err(), "and not a millisecond longer");
}

#[tokio::test]
async fn a_life_that_is_not_told_is_short_and_never_for_ever() {
    for answer in [
        r#"{"data":{"access_token":"sk-1","token_type":"Bearer"}}"#,
        r#"{"data":{"access_token":"sk-1","token_type":"Bearer","expires_in":0}}"#,
        r#"{"data":{"access_token":"sk-1","token_type":"Bearer","expires_in":null}}"#,
        r#"{"data":{"access_token":"sk-1","token_type":"Bearer","expires_in":-5}}"#,
        r#"{"data":{"access_token":"sk-1","token_type":"Bearer","expires_in":"-5"}}"#,
        r#"{"data":{"access_token":"sk-1","token_type":"Bearer","expires_in":"soon"}}"#,
        r#"{"data":{"access_token":"sk-1","token_type":"Bearer","expires_in":{"seconds":5}}}"#,
        r#"{"data":{"access_token":"sk-1","token_type":"Bearer","expires_in":60.9}}"#,
        r#"{"data":{"access_token":"sk-1","token_type":"Bearer","expires_in":"60"}}"#,
    ] {
        let place = Place::new().await;
        place.server.then_tokens([Answer::json(200, answer)]);
        let client = place.client();
        let token = client.tokens().token().await.unwrap();
        assert_eq!(token.expires_in(), Duration::from_secs(60), "{answer}");
        place.clock.pass(Duration::from_secs(60));
        assert_eq!(text(client.tokens()).await, "2", "{answer}");
    }
    let place = Place::new().await;
    place.server.grant_tokens(u64::MAX);
    let token = place.client().tokens().token().await.unwrap();
    assert_eq!(token.expires_in(), 24 * HOUR, "no server is believed for longer");
}

#[tokio::test]
async fn a_calendar_that_is_wrong_or_moves_changes_nothing_and_skew_is_reported() {
    let place = Place::new().await;
    let client = place.client();
    assert_eq!(text(client.tokens()).await, "1");
    // The scripted server has the machine's calendar; the client's stands in 2027.
    assert_eq!(place.heard(|event| matches!(event, Event::ClockSkew { .. })), 1);
    for wall in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + 1_000_000 * HOUR] {
        place.clock.step_wall(wall);
        assert_eq!(text(client.tokens()).await, "1");
    }
    place.clock.pass(HOUR - SECOND);
    place.clock.step_wall(SystemTime::UNIX_EPOCH);
    assert_eq!(text(client.tokens()).await, "1");
}

#[tokio::test]
async fn a_token_request_has_a_time_limit_of_its_own() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::token("sk-1", 3600).held()]);
    let client = place.builder().token_timeout(Duration::from_secs(7)).patience(Duration::ZERO).build().unwrap();
    let waiting = tokio::spawn(async move { client.tokens().token().await.unwrap_err() });
    place.server.until_token_requests(1).await;
    place.clock.pass(Duration::from_secs(7));
    let error = waiting.await.unwrap();
    assert_eq!(error.kind(), fuuffy_client::ErrorKind::Timeout);
    assert!(error.to_string().contains("/v1/auth/token: no whole answer within 7 s"), "{error}");
}

#[tokio::test]
async fn a_failure_is_backed_off_from_and_told_meanwhile() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::refusal(401, "invalid_client"), Answer::refusal(401, "invalid_client")]);
    let client = place.client();
    let error = client.tokens().token().await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), (Some("invalid_client"), false));
    for _ in 0..10 {
        let again = client.tokens().token().await.unwrap_err();
        assert_eq!(again.code(), Some("invalid_client"));
        assert!(again.retry_after().unwrap() >= Duration::from_millis(1));
    }
    assert_eq!(place.server.token_requests(), 1, "nobody asks during the back-off");
    place.clock.pass(SECOND);
    assert!(client.tokens().token().await.is_err());
    let again = client.tokens().token().await.unwrap_err();
    assert!(again.retry_after().unwrap() >= SECOND, "it grows");
    assert_eq!(place.server.token_requests(), 2);
    place.clock.pass(4 * SECOND);
    assert_eq!(text(client.tokens()).await, "3");
}

#[tokio::test]
async fn a_token_service_that_is_busy_is_waited_for() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::refusal(503, "service_unavailable").field("retry-after", "20")]);
    let client = place.client();
    let callers: Vec<_> = (0..50).map(|_| caller(&client)).collect();
    place.clock.until_sleeping(50, Duration::from_secs(19)).await;
    place.clock.pass(Duration::from_secs(19));
    assert_eq!(place.server.token_requests(), 1, "Retry-After is obeyed");
    place.clock.pass(Duration::from_secs(1));
    assert!(join_all(callers).await.into_iter().all(|token| token.unwrap() == "2"));
    assert_eq!(place.server.token_requests(), 2);
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_refused_at_once() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::refusal(429, "rate_limit_exceeded").field("retry-after", "3000")]);
    let error = place.client().tokens().token().await.unwrap_err();
    assert_eq!((error.status().unwrap().as_u16(), error.retry_after()), (429, Some(Duration::from_secs(3000))));
    assert!(error.is_retryable());
}

#[test]
fn a_call_outside_of_a_runtime_is_an_error_and_no_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = runtime.block_on(Place::new());
    let client = place.client();
    let mut call = std::pin::pin!(client.tokens().token());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = call.as_mut().poll(&mut cx) else {
        panic!("expected an error");
    };
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}
