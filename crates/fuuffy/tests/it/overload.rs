//! More requests than the API can answer: some are refused at once, the others are answered, and operators can do
//! whatever they do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::app::{Place, config_with, get, token};
use crate::http1::{Connection, message, request};
use crate::upstream::{Act, Upstream, ok};

const PLANS: &str = "\n[plans.standard]\nlimits = [\"1000000/min\"]\n";

/// A metric of the testing environment's route.
fn metric(admin: std::net::SocketAddr, name: &str) -> u64 {
    let text = request(admin, "GET", "/metrics", &[], "").text();
    let labels = "{environment=\"testing\",route=\"/v1/orders\"} ";
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("fuuffy_{name}{labels}")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[test]
fn what_is_beyond_the_limit_is_refused_at_once_and_operators_are_not() {
    let (answer, answered) = mpsc::channel::<()>();
    let answered = Arc::new(Mutex::new(answered));
    let upstream = Upstream::start(move |seen, _| {
        if seen.target.ends_with("slow") {
            answered.lock().unwrap().recv().unwrap();
        }
        Act::Answer(ok("{}"))
    });
    let mut config = config_with(upstream.address, "", "in_flight = 2");
    config.push_str(&format!(
        "\n[[environments.testing.routes]]\nprefix = \"/v1/other\"\nupstreams = [\"http://{}\"]\n{PLANS}",
        upstream.address
    ));
    let place = Place::new(&config);
    let server = place.serve();
    let client = place.client("testing");
    let bearer = token(server.testing, &client);
    let begin = || {
        let before = upstream.seen().len();
        let mut connection = Connection::open(server.testing);
        let fields = [("authorization", format!("Bearer {bearer}"))];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        connection.send(message(server.testing, "GET", "/v1/orders/slow", &fields, ""));
        while upstream.seen().len() == before {
            std::thread::yield_now();
        }
        connection
    };
    let mut slow = [begin(), begin()];
    let shed = get(server.testing, "/v1/orders/quick", &bearer);
    assert_eq!((shed.status, shed.code().as_str()), (503, "service_unavailable"));
    assert_eq!((shed.field("retry-after"), shed.field("x-ratelimit-remaining")), (Some("1"), None));
    let told = place.done(&["explain", shed.field("x-request-id").unwrap()]);
    assert!(told["happened"].as_str().unwrap().contains("as the API can answer in time: 2"), "{told}");
    assert_eq!(get(server.testing, "/v1/other", &bearer).status, 200, "another route has its own");
    // A reload forgets nobody who is under way.
    server.signal("HUP");
    for path in ["/livez", "/readyz"] {
        assert_eq!(request(server.admin, "GET", path, &[], "").status, 200);
    }
    assert_eq!(metric(server.admin, "route_in_flight"), 2);
    assert_eq!(metric(server.admin, "route_in_flight_limit"), 2);
    assert_eq!(metric(server.admin, "route_shed_total"), 1);
    let other = place.client("testing");
    let others = token(server.testing, &other);
    place.done(&["tokens", "revoke", "--environment", "testing", "--client", &other.id]);
    assert_eq!(get(server.testing, "/v1/orders/quick", &others).code(), "invalid_token", "it holds at once");
    assert_eq!(get(server.testing, "/v1/orders/quick", &bearer).status, 503);
    for connection in &mut slow {
        answer.send(()).unwrap();
        let reply = connection.reply().unwrap();
        // What was shed was taken from no limit.
        let remaining: u64 = reply.field("x-ratelimit-remaining").unwrap().parse().unwrap();
        assert!((999_998..=999_999).contains(&remaining), "{remaining}");
        assert_eq!(reply.status, 200);
    }
    assert_eq!(get(server.testing, "/v1/orders/quick", &bearer).status, 200);
    assert_eq!(metric(server.admin, "route_in_flight"), 0);
    assert!(server.stop().success());
}

/// The API does one thing at a time, and is asked for a hundred.
#[test]
fn how_many_an_api_can_answer_is_found_out() {
    let (_disk, busy) = mpsc::channel::<()>();
    let busy = Mutex::new(busy);
    let upstream = Upstream::start(move |_, _| {
        // Nothing ever comes: it is busy for that long, with one request.
        let _ = busy.lock().unwrap().recv_timeout(Duration::from_millis(5));
        Act::Answer(ok("{}"))
    });
    let place = Place::new(&(config_with(upstream.address, "", "") + PLANS));
    let server = place.serve();
    let client = place.client("testing");
    let bearer = token(server.testing, &client);
    for _ in 0..100 {
        assert_eq!(get(server.testing, "/v1/orders", &bearer).status, 200);
    }
    assert_eq!(metric(server.admin, "route_shed_total"), 0);
    let (answered, shed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                // A minute of it, where nobody is refused.
                for _ in (0..120).take_while(|_| shed.load(Ordering::Relaxed) == 0) {
                    match get(server.testing, "/v1/orders", &bearer).status {
                        200 => answered.fetch_add(1, Ordering::Relaxed),
                        503 => shed.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other}"),
                    };
                }
            });
        }
    });
    let limit = metric(server.admin, "route_in_flight_limit");
    assert!((8..=100).contains(&limit), "{limit}");
    assert!(answered.into_inner() > 0);
    assert!(metric(server.admin, "route_shed_total") > 0);
    assert!(server.stop().success());
}
