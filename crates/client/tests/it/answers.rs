//! Token answers that are none: each gets an error that says what and where, and nothing hangs.

use std::time::Duration;

use fuuffy_client::test_util::{Answer, ScriptedServer};
use fuuffy_client::{Error, ErrorKind};

use crate::place::Place;

/// Asks once, without patience.
async fn error_of(place: &Place) -> Error {
    let client = place.builder().patience(Duration::ZERO).build().unwrap();
    client.tokens().token().await.unwrap_err()
}

#[tokio::test]
async fn each_bad_answer_says_what_and_where() {
    let cases = [
        (Answer::new(200, "text/html", "<html>Sign in</html>"), "(content type text/html), and it is not JSON"),
        (Answer::json(200, r#"{"data":{"access_token":"sk-12"#), "the JSON is cut short"),
        (Answer::json(200, ""), "the JSON is cut short"),
        (Answer::json(200, "{}"), "it has no access_token"),
        (Answer::json(200, r#"{"data":{}}"#), "it has no access_token"),
        (
            Answer::json(200, r#"{"access_token":"abc","token_type":"mac"}"#),
            "its token_type is neither Bearer nor DPoP",
        ),
        (Answer::json(200, r#"{"access_token":"abc","token_type":"DPoP"}"#), "it is bound to a key"),
        (Answer::json(200, "x".repeat(10 * 1024 * 1024)), "its body is longer than 64 KiB"),
        (Answer::json(201, r#"{"access_token":"abc"}"#), "201 Created"),
    ];
    for (answer, words) in cases {
        let place = Place::new().await;
        place.server.then_tokens([answer.field("x-request-id", "0198-abc")]);
        let error = error_of(&place).await;
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.request_id(), Some("0198-abc"), "{error}");
        if error.kind() == ErrorKind::Answer {
            assert!(
                error.to_string().starts_with(&format!("{}/auth/token answered", place.server.base_url())),
                "{error}"
            );
        }
        assert!(!error.to_string().contains("sk-12"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_drips_ends() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::json(200, r#"{"data":{"access_token":"sk-12"#).cut()]);
    assert_eq!(error_of(&place).await.kind(), ErrorKind::Transport);

    place.server.then_tokens([Answer::json(200, r#"{"data":{"access_token":"sk-12"#).stalled()]);
    let client = place.builder().patience(Duration::ZERO).build().unwrap();
    let waiting = tokio::spawn(async move { client.tokens().token().await.unwrap_err() });
    place.server.until_token_requests(2).await;
    place.clock.pass(Duration::from_secs(10));
    assert_eq!(waiting.await.unwrap().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn the_standards_shape_is_accepted() {
    let place = Place::new().await;
    place
        .server
        .then_tokens([Answer::json(200, r#"{"access_token":"eyJh.b-_~+/=","token_type":"bearer","expires_in":60}"#)]);
    assert_eq!(place.client().tokens().token().await.unwrap().reveal(), "eyJh.b-_~+/=");
    let refused = Answer::json(400, r#"{"error":"invalid_scope","error_description":"No such scope"}"#);
    let place = Place::new().await;
    place.server.then_tokens([refused]);
    let error = error_of(&place).await;
    assert_eq!(error.code(), Some("invalid_scope"));
    assert!(error.to_string().contains("No such scope"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_never_followed_with_a_secret() {
    let (place, other) = (Place::new().await, ScriptedServer::start().await);
    other.grant_tokens(3600);
    for status in [301, 302, 303, 307, 308] {
        let target = format!("{}/auth/token", other.base_url());
        place.server.then_tokens([Answer::json(status, "{}").field("location", &target)]);
        let error = error_of(&place).await;
        assert!(error.to_string().contains("redirects are not followed"), "{error}");
    }
    assert_eq!(other.token_requests(), 0);
}

#[tokio::test]
async fn the_request_is_the_guides() {
    let place = Place::new().await;
    let client = place.builder().credentials("my id", "s&cr=t+é").scope("orders:read").build().unwrap();
    client.tokens().token().await.unwrap();
    let received = place.server.received("/v1/auth/token").remove(0);
    assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/v1/auth/token"));
    assert_eq!(received.headers["content-type"], "application/x-www-form-urlencoded");
    let form = "grant_type=client_credentials&client_id=my%20id&client_secret=s%26cr%3Dt%2B%C3%A9&scope=orders%3Aread";
    assert_eq!(received.body, form);
}
