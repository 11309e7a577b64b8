//! Calls that slow down before they are refused: turns are even, and nobody keeps one that is not used.

use std::time::Duration;

use futures_util::future::join_all;
use fuuffy_client::test_util::Answer;
use fuuffy_client::{Client, ErrorKind, Event};

use crate::place::{ORDERS, Place};

const SECOND: Duration = Duration::from_secs(1);

/// A client that was told that ten requests of a hundred are left, and that the window ends in 20 seconds.
async fn told(place: &Place, patience: Duration) -> Client {
    let answer = Answer::json(200, r#"{"data":[]}"#).field("ratelimit-policy", r#""minute";q=100;w=60"#);
    place.server.then(ORDERS, [answer.field("ratelimit", r#""minute";r=10;t=20"#)]);
    let client = place.builder().paced(true).patience(patience).build().unwrap();
    client.get("/orders").send().await.unwrap();
    client
}

fn held(place: &Place) -> Vec<u64> {
    let seconds = |event: &Event| match event {
        Event::Held { wait } => Some(wait.as_secs()),
        _ => None,
    };
    let mut waits: Vec<u64> = place.events.lock().iter().filter_map(seconds).collect();
    waits.sort_unstable();
    waits
}

#[tokio::test]
async fn many_callers_at_once_get_even_turns_to_the_end_of_the_window() {
    let place = Place::new().await;
    let client = told(&place, 60 * SECOND).await;
    let callers = (0..13).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.get("/orders").send().await.map(drop) })
    });
    let callers: Vec<_> = callers.collect();
    place.until_held(12).await;
    assert_eq!(held(&place), [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 20, 20], "ten of this window, the rest of the next");
    place.clock.pass(20 * SECOND);
    assert!(join_all(callers).await.into_iter().all(|call| call.unwrap().is_ok()));
}

#[tokio::test]
async fn whoever_does_not_wait_takes_no_turn() {
    let place = Place::new().await;
    let client = told(&place, SECOND).await;
    client.get("/orders").send().await.unwrap();
    for _ in 0..20 {
        let error = client.get("/orders").send().await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Held, Some(2 * SECOND)));
    }
    place.clock.pass(2 * SECOND);
    client.get("/orders").send().await.unwrap();
    assert_eq!(place.server.received(ORDERS).len(), 3);
}

#[tokio::test]
async fn a_caller_that_goes_away_gives_its_turn_back() {
    let place = Place::new().await;
    let client = told(&place, 60 * SECOND).await;
    client.get("/orders").send().await.unwrap();
    for _ in 0..3 {
        let client = client.clone();
        let seen = held(&place).len();
        let caller = tokio::spawn(async move { client.get("/orders").send().await.map(drop) });
        place.until_held(seen + 1).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    assert_eq!(held(&place), [2, 2, 2]);
}

#[tokio::test]
async fn a_window_without_end_makes_nothing_panic() {
    let place = Place::new().await;
    let answer = Answer::json(200, r#"{"data":[]}"#).field("date", "Thu, 01 Jan 1970 00:00:00 GMT");
    let answer = answer.field("x-ratelimit-remaining", "0").field("x-ratelimit-reset", &u64::MAX.to_string());
    place.server.then(ORDERS, [answer]);
    let client = place.builder().paced(true).build().unwrap();
    client.get("/orders").send().await.unwrap();
    assert_eq!(client.get("/orders").send().await.unwrap_err().kind(), ErrorKind::Held);
}
