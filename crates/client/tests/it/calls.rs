//! A call: what a 401 does, what is sent again, and what is read of an answer.

use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use fuuffy_client::test_util::{Answer, ScriptedServer};
use fuuffy_client::{Body, BoxFuture, Client, Data, ErrorKind, Event, HttpClient, ReqwestClient, TransportError};
use http::{Request, Response};
use http_body_util::StreamBody;
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt as _};

use crate::place::{ORDERS, Place};

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

const EXPIRED: &str = r#"{"error":{"code":"invalid_token","message":"The access token expired","details":"Please request a new access token"}}"#;

fn streaming() -> Body {
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from("{}")))]);
    Body::streaming(StreamBody::new(pieces))
}

#[tokio::test]
async fn an_expired_token_is_replaced_and_the_call_sent_once_more() {
    // By the challenge, or by the guide's body alone.
    for expired in [Answer::refusal(401, "invalid_token"), Answer::json(401, EXPIRED)] {
        let place = Place::new().await;
        let client = place.client();
        place.server.then(ORDERS, [expired]);
        let orders: Vec<Value> = client.post("/orders").json(&json!({"a": 1})).data().await.unwrap();
        assert!(orders.is_empty());
        assert_eq!(place.bearers(), ["1", "2"]);
        let bodies: Vec<_> = place.server.received(ORDERS).into_iter().map(|received| received.body).collect();
        assert_eq!(bodies, [r#"{"a":1}"#, r#"{"a":1}"#]);
        assert_eq!(place.heard(|event| *event == Event::TokenDropped), 1);
    }
}

#[tokio::test]
async fn a_second_401_is_final_and_bears_the_request_id() {
    let place = Place::new().await;
    place.server.always(ORDERS, Answer::refusal(401, "invalid_token").field("x-request-id", "0198-abc"));
    let error = place.client().get("/orders").send().await.unwrap_err();
    assert_eq!(place.bearers(), ["1", "2"], "one new token, one retry");
    assert_eq!((error.code(), error.request_id()), (Some("invalid_token"), Some("0198-abc")));
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Refused, false));
    assert!(error.to_string().ends_with("(request 0198-abc)"), "{error}");
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_is_not() {
    let place = Place::new().await;
    place.server.then(ORDERS, [Answer::refusal(401, "invalid_token")]);
    let client = place.client();
    let error = client.post("/orders").body(streaming()).send().await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_token"));
    assert_eq!(place.bearers(), ["1"]);
    client.get("/orders").send().await.unwrap();
    assert_eq!(place.bearers(), ["1", "2"], "but the token is dropped");
}

#[tokio::test]
async fn other_refusals_never_touch_the_token() {
    let cases = [(401, "missing_token"), (401, "invalid_client"), (403, "insufficient_scope"), (403, "invalid_token")];
    for (status, code) in cases {
        for answer in [Answer::refusal(status, code), Answer::refusal(status, code).without("www-authenticate")] {
            let place = Place::new().await;
            place.server.then(ORDERS, [answer]);
            let client = place.client();
            let error = client.get("/orders").send().await.unwrap_err();
            assert_eq!(error.code(), Some(code));
            client.get("/orders").send().await.unwrap();
            assert_eq!(place.bearers(), ["1", "1"], "{status} {code}");
            assert_eq!(place.server.token_requests(), 1);
        }
    }
}

#[tokio::test]
async fn a_token_that_was_replaced_meanwhile_is_not_dropped() {
    let place = Place::new().await;
    let refused = || Answer::refusal(401, "invalid_token").held();
    place.server.then(ORDERS, [refused(), refused()]);
    let client = place.client();
    let call = || {
        tokio::spawn({
            let client = client.clone();
            async move { client.get("/orders").send().await.map(drop) }
        })
    };
    let (first, second) = (call(), call());
    place.server.until(ORDERS, 2).await;
    place.server.release();
    place.server.until(ORDERS, 3).await;
    // The first has its new token. Now the other's 401 comes, which is about the old one.
    place.server.release();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(place.bearers(), ["1", "1", "2", "2"]);
    assert_eq!(place.server.token_requests(), 2);
}

#[tokio::test]
async fn pages_and_items_are_streams() {
    let place = Place::new().await;
    let page = |page: u64, items: &str| {
        Answer::json(
            200,
            format!(r#"{{"data":[{items}],"pagination":{{"total":5,"page":{page},"per_page":2,"total_pages":3}}}}"#),
        )
    };
    place
        .server
        .then(ORDERS, [page(1, "1,2"), page(2, "3,4"), page(3, "5"), page(1, "1,2"), page(2, "3,4"), page(3, "5")]);
    let client = place.client();
    let items: Vec<u64> = client.get("/orders").query("per_page", 2).items::<u64>().try_collect().await.unwrap();
    assert_eq!(items, [1, 2, 3, 4, 5]);
    let targets: Vec<_> = place.server.received(ORDERS).into_iter().map(|received| received.target).collect();
    assert_eq!(targets, ["/v1/orders?per_page=2", "/v1/orders?per_page=2&page=2", "/v1/orders?per_page=2&page=3"]);
    let pages: Vec<_> =
        client.get("/orders?page=1").pages::<u64>().map(|page| page.unwrap().items.len()).collect().await;
    assert_eq!(pages, [2, 2, 1]);
    assert_eq!(place.server.received(ORDERS)[4].target, "/v1/orders?page=2");
}

#[tokio::test]
async fn a_list_that_repeats_itself_ends() {
    let place = Place::new().await;
    place.server.answer(ORDERS, r#"{"data":[1],"pagination":{"total":9,"page":1,"per_page":1,"total_pages":9}}"#);
    let items: Vec<u64> = place.client().get("/orders").items::<u64>().try_collect().await.unwrap();
    assert_eq!(items, [1, 1], "page 2 says that it is page 1");
}

#[tokio::test]
async fn a_list_breaks_off_with_an_error() {
    let place = Place::new().await;
    let first = r#"{"data":[1],"pagination":{"total":2,"page":1,"per_page":1,"total_pages":2}}"#;
    place.server.then(ORDERS, [Answer::json(200, first), Answer::refusal(404, "not_found")]);
    let mut items = std::pin::pin!(place.client().get("/orders").items::<u64>());
    assert_eq!(items.next().await.unwrap().unwrap(), 1);
    assert_eq!(items.next().await.unwrap().unwrap_err().code(), Some("not_found"));
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn a_path_leads_nowhere_else() {
    let place = Place::new().await;
    let other = ScriptedServer::start().await;
    let client = place.client();
    for path in [format!("http://{}/x", other.address()), format!("https://{}/x", other.address()), "/a b".to_owned()] {
        assert_eq!(client.get(&path).send().await.unwrap_err().kind(), ErrorKind::Configuration, "{path}");
    }
    let _ = client.get(&format!("//{}/x", other.address())).send_any().await;
    let _ = client.get(&format!("@{}/x", other.address())).send_any().await;
    let elsewhere = Request::get(format!("http://{}/v1/orders", other.address())).body(Body::empty()).unwrap();
    client.execute(elsewhere).await.unwrap();
    assert_eq!(place.server.received(ORDERS).len(), 1, "an origin that was said is replaced by the client's");
    place.server.then(ORDERS, [Answer::json(302, "{}").field("location", &format!("http://{}/x", other.address()))]);
    let error = client.get("/orders").send().await.unwrap_err();
    assert_eq!(error.status().unwrap(), 302, "redirects are handed on");
    assert!(other.received("/x").is_empty());
}

#[tokio::test]
async fn an_answer_of_another_shape_says_so() {
    let place = Place::new().await;
    place.server.then(ORDERS, [Answer::new(200, "text/html", "<html>"), Answer::json(200, r#"{"data":7}"#).cut()]);
    // The cut connection is a kept one, so the call would be made again.
    let client = place.builder().retries(false).build().unwrap();
    let error = client.get("/orders").data::<Vec<u64>>().await.unwrap_err();
    assert!(error.to_string().starts_with("GET /v1/orders was answered in another shape"), "{error}");
    assert_eq!(client.get("/orders").data::<u64>().await.unwrap_err().kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
    let place = Place::new().await;
    let client = place.client();
    client.tokens().token().await.unwrap();
    place.server.then(ORDERS, [Answer::json(200, "{}").held(), Answer::json(200, r#"{"data":"#).stalled()]);
    for _ in 0..2 {
        let call = tokio::spawn({
            let client = client.clone();
            async move { client.get("/orders").data::<Value>().await }
        });
        let seen = place.server.received(ORDERS).len();
        place.server.until(ORDERS, seen + 1).await;
        while !call.is_finished() {
            place.clock.pass(std::time::Duration::from_secs(60));
            tokio::task::yield_now().await;
        }
        assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    }
}

#[tokio::test]
async fn a_body_that_streams_may_take_its_time_and_its_answer_may_not() {
    let place = Place::new().await;
    let client = place.client();
    client.tokens().token().await.unwrap();
    let (pieces, body) = tokio::sync::mpsc::unbounded_channel::<Result<http_body::Frame<Bytes>, std::io::Error>>();
    let (taking, mut taken) = tokio::sync::watch::channel(0);
    let body = futures_util::stream::unfold((body, taking), |(mut body, taking)| async {
        let piece = body.recv().await?;
        taking.send_modify(|count| *count += 1);
        Some((piece, (body, taking)))
    });
    let call = tokio::spawn({
        let body = Body::streaming(StreamBody::new(Box::pin(body)));
        let client = client.clone();
        async move { client.post("/orders").body(body).send().await }
    });
    place.server.then(ORDERS, [Answer::json(200, "{}").held()]);
    for sent in 1..=5 {
        pieces.send(Ok(http_body::Frame::data(Bytes::from_static(b"piece")))).unwrap();
        taken.wait_for(|count| *count == sent).await.unwrap();
        place.clock.pass(MINUTE);
        place.clock.until_idle().await;
        assert!(!call.is_finished());
    }
    drop(pieces);
    place.server.until(ORDERS, 1).await;
    while !call.is_finished() {
        place.clock.pass(MINUTE);
        tokio::task::yield_now().await;
    }
    assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_service_of_ones_own_gets_the_token_by_the_layer() {
    let place = Place::new().await;
    let client = place.client();
    let http = ReqwestClient::new(client.base_url()).unwrap();
    let beneath = tower::service_fn(move |request| {
        let http = http.clone();
        async move { http.send(request).await }
    });
    let service = ServiceBuilder::new().layer(client.layer()).service(beneath);
    place.server.then(ORDERS, [Answer::refusal(401, "invalid_token")]);
    let ask = |url: String| service.clone().oneshot(Request::get(url).body(Body::empty()).unwrap());
    assert_eq!(ask(format!("{}/orders", client.base_url())).await.unwrap().status(), 200);
    assert_eq!(place.bearers(), ["1", "2"]);
    let other = ScriptedServer::start().await;
    assert_eq!(ask(format!("{}/orders", other.base_url())).await.unwrap_err().kind(), ErrorKind::Configuration);
    assert!(other.received(ORDERS).is_empty());
}

#[tokio::test]
async fn debug_and_errors_show_no_secret_and_no_token() {
    let place = Place::new().await;
    place.server.always(ORDERS, Answer::refusal(403, "insufficient_scope"));
    let client = place.client();
    let token = client.tokens().token().await.unwrap();
    let error = client.get("/orders").send().await.unwrap_err();
    let builder = Client::builder().credentials("my-id", "my-secret");
    let shown = format!("{client:?} {:?} {token:?} {error:?} {error} {builder:?}", client.tokens());
    assert!(!shown.contains("my-secret") && !shown.contains("sk-0"), "{shown}");
}

#[tokio::test]
async fn json_can_be_read_in_any_shape() {
    let place = Place::new().await;
    place.server.answer(ORDERS, r#"{"data":{"id":"ord_1"}}"#);
    let answer: Data<Value> = place.client().get("/orders").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer.data["id"], "ord_1");
}

#[test]
fn a_client_can_be_shared_and_sent() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<Client>();
    check::<fuuffy_client::Error>();
    check::<fuuffy_client::TokenSource>();
    check::<fuuffy_client::TokenLayer>();
}

/// Loses as many calls as it is told, as if a kept connection had been closed meanwhile.
struct Losing(ReqwestClient, std::sync::atomic::AtomicUsize);

impl HttpClient for Losing {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let is_lost =
            request.uri().path() == ORDERS && self.1.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if is_lost {
            return Box::pin(async { Err(TransportError::stale("closed")) });
        }
        self.0.send(request)
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_where_that_is_safe() {
    let place = Place::new().await;
    let client = |lost: usize| {
        let http = ReqwestClient::new(&place.server.base_url().parse().unwrap()).unwrap();
        let builder = place.builder().http_client(Losing(http, lost.into()));
        builder.clock(fuuffy_client::SystemClock::default()).build().unwrap()
    };
    assert!(client(1).get("/orders").send().await.is_ok());
    assert!(client(1).post("/orders").header("idempotency-key", "7").send().await.is_ok());
    let lost = client(1).post("/orders").send().await.unwrap_err();
    assert_eq!((lost.kind(), lost.is_about_token()), (ErrorKind::Transport, false));
}

#[tokio::test]
async fn a_call_that_failed_for_want_of_a_token_says_so() {
    let place = Place::new().await;
    place.server.then_tokens([Answer::refusal(401, "invalid_client")]);
    let refused = place.client().get("/orders").send().await.unwrap_err();
    assert!(refused.is_about_token() && refused.code() == Some("invalid_client"));
}

#[tokio::test]
async fn a_call_that_is_held_for_too_long_says_by_which_status() {
    for status in [429, 503] {
        let place = Place::new().await;
        let code = if status == 429 { "rate_limit_exceeded" } else { "service_unavailable" };
        place.server.then(ORDERS, [Answer::refusal(status, code).field("retry-after", "100")]);
        let client = place.client();
        assert_eq!(client.get("/orders").send().await.unwrap_err().kind(), ErrorKind::Refused);
        let held = client.get("/orders").send().await.unwrap_err();
        assert_eq!((held.kind(), held.status().map(|it| it.as_u16())), (ErrorKind::Held, Some(status)));
    }
}
