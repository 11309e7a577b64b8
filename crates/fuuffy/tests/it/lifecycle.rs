//! A server's life: ready, reloaded, drained, refused, damaged.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use crate::app::{BINARY, Place, config, config_with, get, token};
use crate::http1::{Connection, message, request};
use crate::upstream::{Act, Upstream, ok};

#[test]
fn health_and_metrics_are_on_the_admin_listener() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let bearer = token(server.testing, &place.client("testing"));
    get(server.testing, "/v1/orders", &bearer);
    let look = |path| request(server.admin, "GET", path, &[], "");
    assert_eq!((look("/livez").status, look("/readyz").status, look("/nothing").status), (200, 200, 404));
    let metrics = look("/metrics");
    assert_eq!(metrics.field("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    for line in [
        r#"fuuffy_requests_total{environment="testing",outcome="proxied_2xx"} 1"#,
        r#"fuuffy_token_requests_total{environment="testing",outcome="issued"} 1"#,
        r#"fuuffy_tokens{environment="testing"} 1"#,
        r#"fuuffy_tokens{environment="production"} 0"#,
        r#"fuuffy_store_writable{environment="testing"} 1"#,
    ] {
        assert!(metrics.text().contains(line), "{line} is not in\n{}", metrics.text());
    }
    assert_eq!(request(server.admin, "GET", "/admin/v1/testing/clients", &[], "").status, 401, "deeds take a token");
}

#[test]
fn draining_finishes_what_is_in_flight_and_takes_nothing_new() {
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let may_leave = std::sync::Mutex::new(may_leave);
    let upstream = Upstream::start(move |_, _| {
        entered.send(()).unwrap();
        may_leave.lock().unwrap().recv().unwrap();
        Act::Answer(ok("{}"))
    });
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let bearer = format!("Bearer {}", token(server.testing, &place.client("testing")));
    let mut in_flight = Connection::open(server.testing);
    in_flight.send(message(server.testing, "GET", "/v1/orders", &[("authorization", &bearer)], ""));
    has_entered.recv().unwrap();
    let (testing, mut idle) = (server.testing, Connection::open(server.testing));
    server.signal("TERM");
    assert!(idle.is_closed(), "an idle connection is closed");
    while std::net::TcpStream::connect(testing).is_ok() {}
    leave.send(()).unwrap();
    let reply = in_flight.reply().unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
    let (status, rest) = server.wait();
    assert!(status.success());
    assert_eq!(rest, "", "the ready line is all of standard output");
}

/// A WebSocket is in flight until either side ends it.
#[test]
fn draining_waits_for_upgraded_connections() {
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let upstream = Upstream::start(move |_, _| Act::Echo(switching.to_vec()));
    let place = Place::new(&config_with(upstream.address, "", "websocket = true"));
    let server = place.serve();
    let bearer = format!("Bearer {}", token(server.testing, &place.client("testing")));
    let (testing, mut socket) = (server.testing, Connection::open(server.testing));
    let fields = [("authorization", bearer.as_str()), ("connection", "upgrade"), ("upgrade", "websocket")];
    socket.send(message(testing, "GET", "/v1/orders", &fields, ""));
    assert_eq!(socket.reply().unwrap().status, 101);
    server.signal("TERM");
    while std::net::TcpStream::connect(testing).is_ok() {}
    socket.send("still there?");
    assert_eq!(socket.bytes(12), b"still there?");
    drop(socket);
    assert!(server.wait().0.success());
    assert!(!place.log().contains("The grace period is over"), "{}", place.log());
}

#[test]
fn the_grace_period_ends_a_drain() {
    let (entered, has_entered) = mpsc::channel();
    let upstream = Upstream::start(move |_, _| {
        entered.send(()).unwrap();
        Act::Silence
    });
    let place = Place::new(&("shutdown_grace = \"100ms\"\n".to_owned() + &config(upstream.address)));
    let server = place.serve();
    let bearer = format!("Bearer {}", token(server.testing, &place.client("testing")));
    let mut stuck = Connection::open(server.testing);
    stuck.send(message(server.testing, "GET", "/v1/orders", &[("authorization", &bearer)], ""));
    has_entered.recv().unwrap();
    assert!(server.stop().success());
    assert!(place.log().contains("The grace period is over"), "{}", place.log());
}

#[test]
fn a_reload_changes_routes_upstreams_and_plans_without_dropping_a_request() {
    let (old, new) = (Upstream::friendly(), Upstream::friendly());
    let place = Place::new(&config(old.address));
    let server = place.serve();
    let bearer = format!("Bearer {}", token(server.testing, &place.client("testing")));
    let mut connection = Connection::open(server.testing);
    let mut ask = |target: &str| {
        connection.send(message(server.testing, "GET", target, &[("authorization", &bearer)], ""));
        connection.reply().expect("the connection stays")
    };
    assert_eq!(ask("/v1/orders").field("x-ratelimit-limit"), Some("100"));
    let plans = "\n[plans.standard]\nlimits = [\"50/min\"]\n";
    place.write_config(&(config(new.address).replace("/v1/orders", "/v2/orders") + plans));
    server.signal("HUP");
    while ask("/v2/orders").status != 200 {}
    assert_eq!(ask("/v2/orders").field("x-ratelimit-limit"), Some("50"));
    assert_eq!(ask("/v1/orders").status, 404);
    let served = new.seen().len();

    let more = config(new.address).replace("/v1/orders", "/v2/orders").replace("workers = 2", "workers = 3");
    place.write_config(
        &(more.replace("[environments.testing]", "[environments.testing]\ntoken_lifetime = \"20m\"") + plans),
    );
    server.signal("HUP");
    while !place.log().contains("waits for a restart") {}
    assert!(place.log().contains("environments.testing.token_lifetime, workers"), "{}", place.log());

    place.write_config("nonsense = true");
    server.signal("HUP");
    while !place.log().contains("the old one stays in force") {}
    assert!(place.log().contains("nonsense: unknown key"), "{}", place.log());
    assert_eq!(ask("/v2/orders").status, 200);
    assert_eq!(new.seen().len(), served + 1);
    assert_eq!(place.log().matches("waits for a restart").count(), 1, "of the second reload alone: {}", place.log());
    assert!(server.stop().success());
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    assert_eq!(place.try_serve(&[]).err().unwrap().code(), Some(1));
    assert!(place.log().contains("is in use by another fuuffy"), "{}", place.log());
    place.client("testing");
    server.kill();
    let server = place.serve();
    assert!(place.log().contains("did not end cleanly"), "{}", place.log());
    assert!(server.stop().success());
}

#[test]
fn a_file_that_is_not_ours_is_never_an_empty_start() {
    let refused = |prepare: &dyn Fn(&Place)| {
        let place = Place::new(&config(Upstream::friendly().address));
        let server = place.serve();
        place.client("testing");
        place.client("production");
        assert!(server.stop().success());
        prepare(&place);
        std::fs::write(place.path("log"), "").unwrap();
        assert_eq!(place.try_serve(&[]).err().unwrap().code(), Some(1));
        let log = place.log();
        assert!(log.contains("testing.sqlite3"), "the file must be named: {log}");
        log
    };
    let file = |place: &Place| place.path("data/testing.sqlite3");
    assert!(
        refused(&|place| std::fs::write(file(place), "this is not a database, but long enough").unwrap())
            .contains("not a SQLite database")
    );
    assert!(refused(&|place| std::fs::write(file(place), "").unwrap()).contains("missing or empty"));
    assert!(refused(&|place| std::fs::remove_file(file(place)).unwrap()).contains("missing or empty"));
    assert!(
        refused(&|place| std::fs::rename(place.path("data/production.sqlite3"), file(place)).unwrap())
            .contains("the store of the environment production")
    );
    let foreign = |place: &Place| {
        std::fs::remove_file(file(place)).unwrap();
        rusqlite::Connection::open(file(place)).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    };
    assert!(refused(&foreign).contains("not one of fuuffy's"));
    let newer = |place: &Place| {
        rusqlite::Connection::open(file(place)).unwrap().pragma_update(None, "user_version", 99).unwrap();
    };
    assert!(refused(&newer).contains("written by a newer fuuffy"));
    let damaged = |place: &Place| {
        let mut bytes = std::fs::read(file(place)).unwrap();
        for page in bytes.chunks_mut(4096).skip(1) {
            page.fill(0x5a);
        }
        std::fs::write(file(place), bytes).unwrap();
    };
    assert!(refused(&damaged).contains("damaged"));
}

#[test]
fn systemd_is_told() {
    let place = Place::new(&config(Upstream::friendly().address));
    let path = place.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let server = place.try_serve(&[("NOTIFY_SOCKET", path.to_str().unwrap())]).unwrap();
    let told = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    assert!(told().contains("READY=1"));
    assert!(server.stop().success());
    assert!(told().contains("STOPPING=1"));
}

#[test]
fn log_lines_are_json_where_nobody_watches() {
    let place = Place::new(&config_with(Upstream::friendly().address, "", ""));
    assert!(place.serve().stop().success());
    assert!(place.log().lines().count() > 3);
    for line in place.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string());
    }
}

#[test]
fn a_closed_standard_output_is_an_error_and_not_a_panic() {
    let place = Place::new(&config(Upstream::friendly().address));
    let mut child = Command::new(BINARY)
        .args(["serve", "--config"])
        .arg(place.config_file())
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut words = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_to_string(&mut words).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(!words.contains("panicked"), "{words}");
}

/// One line names what was bound.
#[test]
fn the_ready_line_is_one_line_of_json() {
    let place = Place::new(&config(Upstream::friendly().address));
    let mut child = Command::new(BINARY)
        .args(["serve", "--config"])
        .arg(place.config_file())
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let names: Vec<&String> = ready["ready"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["testing", "production", "admin"]);
}
