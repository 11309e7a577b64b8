//! What is beneath a client can be another's: an HTTP client of one's own, or a service by the layer. Each call
//! is one span, whichever way it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use fuuffy_client::test_util::Answer;
use fuuffy_client::{Body, BoxFuture, Client, Event, HttpClient, Reason, TransportError};
use http::{Request, Response};
use parking_lot::Mutex;
use tower::{ServiceBuilder, ServiceExt as _};
use tracing::span;

use crate::place::{ORDERS, Place};

/// A whole API without a network; it has no connection for the first calls.
struct InMemory {
    unreachable: AtomicUsize,
    calls: Arc<Mutex<Vec<String>>>,
}

impl HttpClient for InMemory {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let path = request.uri().path().to_owned();
        let is_lost =
            path == ORDERS && self.unreachable.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        self.calls.lock().push(format!("{} {path}", request.method()));
        Box::pin(async move {
            if is_lost {
                return Err(TransportError::connect("refused"));
            }
            let token = r#"{"data":{"access_token":"sk-1","token_type":"Bearer","expires_in":3600}}"#;
            Ok(Response::new(Body::from(if path == ORDERS { r#"{"data":[7]}"# } else { token })))
        })
    }
}

#[tokio::test]
async fn an_http_client_of_ones_own_is_all_that_is_needed() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let http = InMemory { unreachable: 0.into(), calls: Arc::clone(&calls) };
    let client = Client::builder().credentials("id", "secret").http_client(http).build().unwrap();
    assert_eq!(client.get("/orders").data::<Vec<u64>>().await.unwrap(), [7]);
    assert_eq!(*calls.lock(), ["POST /v1/auth/token", "GET /v1/orders"]);
}

#[tokio::test]
async fn what_was_not_sent_for_want_of_a_connection_is_sent_again_whatever_the_method() {
    let place = Place::new().await;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let http = InMemory { unreachable: 2.into(), calls: Arc::clone(&calls) };
    let client = place.builder().http_client(http).build().unwrap();
    let call = tokio::spawn(async move { client.post("/orders").send().await.map(drop) });
    for held in 1..=2 {
        place.until_held(held).await;
        place.clock.pass(std::time::Duration::from_secs(1));
    }
    call.await.unwrap().unwrap();
    assert_eq!(calls.lock().len(), 4);
    assert_eq!(place.heard(|event| *event == Event::Retried { because: Reason::NoConnection }), 2);
}

/// Counts the spans of calls.
struct Spans(Arc<AtomicUsize>);

impl tracing::Subscriber for Spans {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        self.0.fetch_add(usize::from(span.metadata().name() == "fuuffy.request"), SeqCst);
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_call_is_one_span_by_the_client_and_by_the_layer() {
    let spans = Arc::new(AtomicUsize::new(0));
    // While there is but one subscriber, a span that another test's thread meets first is off everywhere.
    let _second = tracing::Dispatch::new(Spans(Arc::default()));
    let _watched = tracing::subscriber::set_default(Spans(Arc::clone(&spans)));
    let place = Place::new().await;
    let client = place.client();
    place.server.then(ORDERS, [Answer::refusal(401, "invalid_token")]);
    client.get("/orders").send().await.unwrap();
    assert_eq!(spans.load(SeqCst), 1, "retries included");
    let beneath = tower::service_fn(|_: Request<Body>| async { Ok::<_, std::io::Error>(Response::new(Body::empty())) });
    let service = ServiceBuilder::new().layer(client.layer()).service(beneath);
    let request = Request::get(format!("{}/orders", client.base_url())).body(Body::empty()).unwrap();
    service.oneshot(request).await.unwrap();
    assert_eq!(spans.load(SeqCst), 2);
}
