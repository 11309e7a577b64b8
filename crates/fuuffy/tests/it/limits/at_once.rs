//! How many requests of a client may be under way, and that each is let go of however it ends.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use crate::app::{Place, Registered, Server, config_with, get, token};
use crate::http1::{Connection, Reply, message};
use crate::upstream::{Act, Upstream, ok};

const PLAN: &str = "\n[plans.standard]\nlimits = [\"1000/min\"]\nconcurrency = 2\n";

struct Stage {
    place: Place,
    server: Server,
    client: Registered,
    token: String,
    upstream: Upstream,
}

impl Stage {
    fn new(route: &str, act: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        let upstream = Upstream::start(move |seen, _| act(&seen.target));
        let place = Place::new(&(config_with(upstream.address, "", route) + PLAN));
        let server = place.serve();
        let client = place.client("testing");
        let token = token(server.testing, &client);
        Self { place, server, client, token, upstream }
    }

    /// Sends a request and waits until it has met the upstream.
    fn begin(&self, target: &str, fields: &[(&str, &str)]) -> Connection {
        let before = self.upstream.seen().len();
        let mut connection = Connection::open(self.server.testing);
        let bearer = format!("Bearer {}", self.token);
        let fields = [&[("authorization", bearer.as_str())], fields].concat();
        connection.send(message(self.server.testing, "GET", target, &fields, ""));
        while self.upstream.seen().len() == before {
            std::thread::yield_now();
        }
        connection
    }

    fn get(&self, target: &str) -> Reply {
        get(self.server.testing, target, &self.token)
    }

    /// Asks until there is room again; a request that ended is let go of a moment later.
    fn until_let_in(&self) {
        let is_in = (0..5000).any(|_| self.get("/v1/orders/quick").status != 429);
        assert!(is_in, "what has ended is still counted");
    }

    #[track_caller]
    fn is_full(&self) {
        let refused = self.get("/v1/orders/quick");
        assert_eq!((refused.status, refused.field("retry-after")), (429, Some("1")));
    }
}

#[test]
fn one_more_than_the_plan_allows_is_refused_and_costs_nothing() {
    let (answer, answered) = mpsc::channel::<()>();
    let answered = Arc::new(Mutex::new(answered));
    let stage = Stage::new("", move |target| {
        if target.ends_with("slow") {
            answered.lock().unwrap().recv().unwrap();
        }
        Act::Answer(ok("{}"))
    });
    let mut slow = [stage.begin("/v1/orders/slow", &[]), stage.begin("/v1/orders/slow", &[])];
    let refused = stage.get("/v1/orders/quick");
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limit_exceeded"));
    assert_eq!(refused.json()["error"]["message"], "Too many requests at once");
    assert_eq!((refused.field("retry-after"), refused.field("x-ratelimit-remaining")), (Some("1"), Some("998")));
    let id = refused.field("x-request-id").unwrap();
    let told = stage.place.command(&["explain", id]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("The client had 2 requests under way"), "{told}");
    let other = stage.place.client("testing");
    let others = token(stage.server.testing, &other);
    assert_eq!(get(stage.server.testing, "/v1/orders/quick", &others).status, 200, "another client has its own");
    for connection in &mut slow {
        answer.send(()).unwrap();
        assert_eq!(connection.reply().unwrap().status, 200);
    }
    stage.until_let_in();
    let used = stage.place.done(&["usage", "--environment", "testing", "--client", &stage.client.id]);
    assert!(used[0]["limited"].as_u64() >= Some(1), "{used}");
    assert!(stage.server.stop().success());
}

#[test]
fn a_request_is_let_go_of_however_it_ends() {
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    let stage = Stage::new("websocket = true\nresponse_timeout = \"200ms\"", move |target| {
        match target.rsplit('/').next().unwrap() {
            "stalled" => Act::AnswerAndStall([head(10), b"half".to_vec()].concat()),
            "broken" => Act::AnswerAndClose(Vec::new()),
            "cut" => Act::AnswerAndClose([head(10), b"half".to_vec()].concat()),
            "silent" => Act::Silence,
            "socket" => Act::Echo(
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_vec(),
            ),
            _ => Act::Answer(ok("{}")),
        }
    });
    // Answered to the end, by an upstream that breaks off, in the middle of a body, and not at all.
    for _ in 0..2 {
        for (target, status) in [("quick", 200), ("broken", 502), ("silent", 504)] {
            for _ in 0..3 {
                stage.until_let_in();
                assert_eq!(stage.get(&format!("/v1/orders/{target}")).status, status, "{target}");
            }
        }
    }
    for _ in 0..3 {
        stage.until_let_in();
        drop(stage.begin("/v1/orders/cut", &[]));
    }
    // A body that is under way counts until its end.
    stage.until_let_in();
    let mut bodies = Vec::new();
    while bodies.len() < 2 {
        let mut body = stage.begin("/v1/orders/stalled", &[]);
        assert_eq!(body.bytes(12), b"HTTP/1.1 200");
        bodies.push(body);
    }
    stage.is_full();
    drop(bodies);
    // A caller that goes away in the middle of a body that does not move.
    for _ in 0..3 {
        stage.until_let_in();
        drop(stage.begin("/v1/orders/stalled", &[]));
    }
    stage.until_let_in();
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    let mut sockets = Vec::new();
    while sockets.len() < 2 {
        let mut socket = stage.begin("/v1/orders/socket", &upgrade);
        assert_eq!(socket.reply().unwrap().status, 101);
        sockets.push(socket);
    }
    stage.is_full();
    drop(sockets);
    stage.until_let_in();
    assert!(stage.server.stop().success());
}
