//! What the API behind the gateway did wrong: the operator is told which and how, the client how.

use crate::app::{get, token};
use crate::explain::{by_secret, happened, served_with};
use crate::upstream::{Act, Upstream};

/// What each is told where the upstream acts so.
fn told(act: impl Fn() -> Act + Send + Sync + 'static, limits: &str) -> (u16, String, String) {
    let upstream = Upstream::start(move |_, _| act());
    let (place, server) = served_with(upstream.address, limits);
    let client = place.client("testing");
    let refused = get(server.testing, "/v1/orders", &token(server.testing, &client));
    let operators = happened(&place, &refused).replace(&upstream.address.to_string(), "UPSTREAM");
    let clients = by_secret(server.testing, &client, &refused).json()["data"].clone();
    assert!(!clients.to_string().contains(&upstream.address.to_string()), "{clients}");
    (refused.status, operators, clients["happened"].as_str().unwrap().to_owned())
}

fn words(status: u16, did: &str) -> (u16, String, String) {
    (status, format!("The upstream UPSTREAM {did}"), format!("The API behind the gateway {did}"))
}

#[test]
fn one_that_does_not_answer_in_time_is_told() {
    assert_eq!(told(|| Act::Silence, "response_timeout = \"200ms\"\n"), words(504, "did not answer in time"));
}

#[test]
fn one_that_breaks_off_is_told() {
    assert_eq!(told(|| Act::AnswerAndClose(Vec::new()), ""), words(502, "broke off"));
    assert_eq!(told(|| Act::AnswerAndClose(b"SSH-2.0-x\r\n".to_vec()), ""), words(502, "broke off"));
}

#[test]
fn one_that_answers_nonsense_is_told() {
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";
    assert_eq!(told(|| Act::Answer(switched.to_vec()), ""), words(502, "answered with what cannot be passed on"));
}
