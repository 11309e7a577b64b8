//! A scripted server, a clock that stands still, and a client of both.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use fuuffy_client::test_util::{ManualClock, ScriptedServer};
use fuuffy_client::{Client, ClientBuilder, Event};
use parking_lot::Mutex;

/// The path that the tests call.
pub(crate) const ORDERS: &str = "/v1/orders";

/// Longer than any test here takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Place {
    pub(crate) server: ScriptedServer,
    pub(crate) clock: ManualClock,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    _watch: Watch,
}

/// Fails the run where a test hangs: time that stands still lets a broken rule wait for ever.
struct Watch {
    /// Gone with the test, which ends the watch.
    _alive: Sender<()>,
}

impl Watch {
    fn start(patience: Duration, hung: impl FnOnce() + Send + 'static) -> Self {
        let (_alive, ended) = channel();
        std::thread::spawn(move || {
            if ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                hung();
            }
        });
        Self { _alive }
    }

    /// Of the test on this thread.
    fn of_this_test() -> Self {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        Self::start(PATIENCE, move || {
            // Not by a panic, which would be this thread's alone.
            let _ = writeln!(std::io::stderr(), "{test} hangs: nothing of it ended within {} s", PATIENCE.as_secs());
            std::process::exit(101);
        })
    }
}

#[test]
fn a_test_that_hangs_is_told_of_and_one_that_ends_is_not() {
    let (told, hung) = channel();
    let tell = told.clone();
    let watch = Watch::start(Duration::ZERO, move || tell.send("hung").unwrap());
    assert_eq!(hung.recv().unwrap(), "hung");
    drop(watch);
    drop(Watch::start(Duration::from_secs(3600), move || told.send("ended").unwrap()));
    assert!(hung.recv().is_err(), "the watch ends with the test, and says nothing");
}

impl Place {
    /// A server that grants tokens of one hour and has no orders.
    pub(crate) async fn new() -> Self {
        let server = ScriptedServer::start().await;
        server.grant_tokens(3600);
        server.answer(ORDERS, r#"{"data":[]}"#);
        Self { server, clock: ManualClock::default(), events: Arc::default(), _watch: Watch::of_this_test() }
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
