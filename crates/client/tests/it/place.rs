//! A scripted server, a clock that stands still, and a client of both.

use std::sync::Arc;

use fuuffy_client::test_util::{ManualClock, ScriptedServer};
use fuuffy_client::{Client, ClientBuilder, Event};
use parking_lot::Mutex;

/// The path that the tests call.
pub(crate) const ORDERS: &str = "/v1/orders";

pub(crate) struct Place {
    pub(crate) server: ScriptedServer,
    pub(crate) clock: ManualClock,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
}

impl Place {
    /// A server that grants tokens of one hour and has no orders.
    pub(crate) async fn new() -> Self {
        let server = ScriptedServer::start().await;
        server.grant_tokens(3600);
        server.answer(ORDERS, r#"{"data":[]}"#);
        Self { server, clock: ManualClock::default(), events: Arc::default() }
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        let events = Arc::clone(&self.events);
        Client::builder()
            .base_url(self.server.base_url())
            .credentials("my-id", "my-secret")
            .clock(self.clock.clone())
            .observer(move |event: &Event| events.lock().push(event.clone()))
            .seed(7)
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    pub(crate) fn heard(&self, is_meant: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().iter().filter(|event| is_meant(event)).count()
    }

    /// Lets all tasks go on until so many waits for the server's sake have begun.
    pub(crate) async fn until_held(&self, count: usize) {
        while self.heard(|event| matches!(event, Event::Held { .. })) < count {
            tokio::task::yield_now().await;
        }
    }

    /// The tokens that the calls so far bore, without `Bearer sk-` and zeros.
    pub(crate) fn bearers(&self) -> Vec<String> {
        let of = |received: &fuuffy_client::test_util::Received| {
            let field = received.headers["authorization"].to_str().unwrap();
            field.strip_prefix("Bearer sk-").unwrap().trim_start_matches('0').to_owned()
        };
        self.server.received(ORDERS).iter().map(of).collect()
    }
}
