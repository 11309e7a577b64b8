//! Secrets that are replaced from time to time, for as long as the client lives.

use std::time::Duration;

use fuuffy_client::test_util::Answer;
use fuuffy_client::{ErrorKind, Event, FileCredentials};

use super::{CONFIRM, MONTHS_AGO, SECRETS, added, confirmed, kept, shown};
use crate::place::Place;

const DAY: Duration = Duration::from_secs(86_400);

/// Lets all tasks go on until it is so.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

fn rotated(event: &Event) -> bool {
    *event == Event::SecretRotated
}

#[tokio::test]
async fn it_begins_with_the_first_token_and_goes_on() {
    let (place, (_folder, path)) = (Place::new().await, kept("old", 0o600));
    place.server.then(SECRETS, [shown("live", MONTHS_AGO), added("new"), shown("live", "2027-01-15T07:00:00Z")]);
    place.server.always(CONFIRM, confirmed());
    let source = FileCredentials::new("my-id", &path);
    let client = place.builder().credential_source(source).rotate_every(30 * DAY).build().unwrap();
    place.clock.until_idle().await;
    assert!(place.server.received(SECRETS).is_empty(), "nothing is sent before anybody needs it");
    client.tokens().token().await.unwrap();
    place.clock.until_sleeping(1, 22 * 3600 * Duration::from_secs(1)).await;
    assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), place.heard(rotated)), ("new", 1));

    // A day later it looks again, and waits for as long as the secret may live.
    place.clock.pass(DAY);
    place.server.until(SECRETS, 3).await;
    place.clock.until_sleeping(1, 23 * 3600 * Duration::from_secs(1)).await;
    assert_eq!(place.heard(|event| matches!(event, Event::SecretLives { due_in } if *due_in > 26 * DAY)), 1);
    assert_eq!(place.heard(rotated), 1);
    drop(client);
}

#[tokio::test]
async fn a_failure_is_tried_again_and_again_with_patience() {
    let (place, (_folder, path)) = (Place::new().await, kept("old", 0o600));
    let failure = || Answer::json(503, "{}");
    place.server.then(SECRETS, [failure(), failure(), shown("live", MONTHS_AGO), added("new")]);
    place.server.always(CONFIRM, confirmed());
    let source = FileCredentials::new("my-id", &path);
    let client = place.builder().credential_source(source).rotate_every(30 * DAY).build().unwrap();
    client.tokens().token().await.unwrap();
    for failures in 1..=2 {
        let failed = |event: &Event| matches!(event, Event::RotationFailed { kind: ErrorKind::Refused, .. });
        until(|| place.heard(failed) == failures).await;
        place.clock.until_idle().await;
        place.clock.pass(Duration::from_secs(59));
        place.clock.until_idle().await;
        assert_eq!(place.server.received(SECRETS).len(), failures, "not before a minute has passed");
        place.clock.pass(Duration::from_secs(600));
    }
    place.server.until(CONFIRM, 1).await;
    until(|| place.heard(rotated) == 1).await;
    client.tokens().token().await.unwrap();
}

#[tokio::test]
async fn a_person_who_must_do_it_is_told_from_the_start_on() {
    let place = Place::new().await;
    place.server.always(SECRETS, shown("live", "2027-01-14T08:00:00Z"));
    let client = place.builder().rotate_every(30 * DAY).build().unwrap();
    client.tokens().token().await.unwrap();
    place.server.until(SECRETS, 1).await;
    let told = |event: &Event| matches!(event, Event::RotationFailed { kind: ErrorKind::Unwritable, .. });
    assert_eq!(place.heard(told), 1, "though it is not due");
}

#[tokio::test]
async fn it_ends_with_the_client() {
    let (place, (_folder, path)) = (Place::new().await, kept("old", 0o600));
    place.server.always(SECRETS, shown("live", "2027-01-14T08:00:00Z"));
    let source = FileCredentials::new("my-id", &path);
    let client = place.builder().credential_source(source).rotate_every(30 * DAY).build().unwrap();
    client.tokens().token().await.unwrap();
    place.clock.until_sleeping(1, DAY / 2).await;
    drop(client);
    place.clock.until_idle().await;
    place.clock.pass(40 * DAY);
    place.clock.until_idle().await;
    assert_eq!(place.server.received(SECRETS).len(), 1);
}

#[test]
fn every_hour_is_the_most_often() {
    let build = |every| {
        fuuffy_client::Client::builder().credentials("my-id", "my-secret").rotate_every(every).build().map(drop)
    };
    assert_eq!(build(Duration::from_secs(3599)).unwrap_err().kind(), ErrorKind::Configuration);
    build(Duration::from_secs(3600)).unwrap();
}
