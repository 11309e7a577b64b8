//! Who may use the agent, and for what.

use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::{Agent, Front, agent_command, behind, expect_own, lax_gateway, refused};
use crate::app::{Place, config};
use crate::http1::{Connection, Reply, exchange};
use crate::upstream::{Act, Upstream, ok};

#[test]
fn what_a_browser_sent_is_refused() {
    let gateway = lax_gateway(|_| {
        let body =
            "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\nx-fuuffy-agent: 9\r\ncontent-length: 0\r\n\r\n";
        Act::Answer(body.as_bytes().to_vec())
    });
    let (_folder, agent) = behind(&gateway, &[]);
    let sent_before = gateway.seen().len();
    for path in ["/v1/orders", "/-/health", "/-/metrics"] {
        for (name, value) in [
            ("origin", "https://attacker.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:7443"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "none"),
            ("Sec-Fetch-Dest", "image"),
            ("sec-fetch-anything", "new"),
        ] {
            expect_own(&agent.ask("GET", path, &[(name, value)], ""), 403, "browser_refused");
        }
    }
    let preflight = [("origin", "https://attacker.example"), ("access-control-request-method", "POST")];
    expect_own(&agent.ask("OPTIONS", "/v1/orders", &preflight, ""), 403, "browser_refused");
    let websocket = [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-version", "13")];
    expect_own(&agent.ask("GET", "/v1/orders", &websocket, ""), 501, "not_implemented");
    let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")];
    expect_own(&agent.ask("GET", "/v1/orders", &navigation, ""), 403, "browser_refused");
    assert_eq!(gateway.seen().len(), sent_before, "nothing of it went on");
    let reply = agent.get("/v1/orders");
    assert_eq!(
        (reply.status, reply.field("access-control-allow-origin"), reply.field("x-fuuffy-agent")),
        (200, None, None)
    );
}

/// As the usual clients of some languages send them.
#[test]
fn programs_of_all_kinds_are_served() {
    let front = Front::start(Upstream::friendly());
    let to = front.agent.address();
    let node = "accept: */*\r\naccept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: node";
    assert_eq!(exchange(to, format!("GET /v1/orders HTTP/1.1\r\nhost: {to}\r\n{node}\r\n\r\n")).status, 200);
    let php = exchange(to, format!("GET /v1/orders HTTP/1.0\r\nHost: {to}\r\nConnection: close\r\n\r\n"));
    assert_eq!((php.status, php.text().as_str()), (200, r#"{"data":[]}"#));
    let curl = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk";
    assert_eq!(exchange(to, format!("GET /v1/orders HTTP/1.1\r\nhost: {to}\r\n{curl}\r\n\r\n")).status, 200);
    assert_eq!(front.upstream.last().field("http2-settings"), None);
    let patient =
        format!("POST /v1/orders HTTP/1.1\r\nhost: {to}\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    let mut caller = Connection::open(to);
    caller.send(patient);
    assert_eq!(caller.bytes(25), b"HTTP/1.1 100 Continue\r\n\r\n");
    caller.send("{}");
    assert_eq!((caller.reply().unwrap().status, front.upstream.last().field("expect")), (200, None));
}

#[test]
fn a_host_that_is_not_the_agents_is_refused() {
    let front = Front::start(Upstream::friendly());
    let (to, port) = (front.agent.address(), front.agent.address().port());
    for path in ["/v1/orders", "/-/health"] {
        for host in [&format!("attacker.example:{port}"), "127.0.0.1", "localhost:1", "attacker.example", ""] {
            expect_own(&front.agent.ask("GET", path, &[("host", host)], ""), 421, "misdirected_request");
        }
        let twice = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nhost: attacker.example\r\n\r\n");
        expect_own(&exchange(to, twice), 421, "misdirected_request");
        expect_own(&exchange(to, format!("GET {path} HTTP/1.0\r\n\r\n")), 421, "misdirected_request");
        let absolute = format!("GET http://attacker.example{path} HTTP/1.1\r\nhost: {to}\r\n\r\n");
        expect_own(&exchange(to, absolute), 421, "misdirected_request");
    }
    assert!(front.upstream.seen().is_empty());
    for host in [format!("localhost:{port}"), format!("[::1]:{port}")] {
        assert_eq!(front.agent.ask("GET", "/v1/orders", &[("host", &host)], "").status, 200, "{host}");
    }
}

#[test]
fn only_the_api_is_reached() {
    let front = Front::start(Upstream::friendly());
    for path in ["/v1/auth/token", "/oauth/token", "/v1//auth/token", "/v1/auth/%74oken"] {
        let reply = front.agent.ask("POST", path, &[], "grant_type=client_credentials");
        expect_own(&reply, 404, "not_found");
        assert!(reply.text().contains("need no token"), "{}", reply.text());
    }
    expect_own(&front.agent.get("/v2/orders"), 404, "not_found");
    expect_own(&front.agent.get("/-/nothing"), 404, "not_found");
    expect_own(&front.agent.get("/v1/../admin"), 400, "invalid_request");
    let posted = front.agent.ask("POST", "/-/health", &[], "");
    expect_own(&posted, 405, "method_not_allowed");
    assert_eq!(posted.field("allow"), Some("GET, HEAD"));
    assert!(front.upstream.seen().is_empty());
}

#[test]
fn a_local_key_is_asked_for_and_never_passed_on() {
    const KEY: &str = "0123456789abcdef0123";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, format!("{KEY}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let front = Front::start_with(Upstream::friendly(), "", &["--key-file", path.to_str().unwrap()]);
    let ask = |fields: &[(&str, &str)]| front.agent.ask("GET", "/v1/orders", fields, "");
    for wrong in ["", "0123456789abcdef0124", "0123456789abcdef012", "0123456789abcdef01234"] {
        let reply = ask(&[("x-fuuffy-agent-key", wrong)]);
        expect_own(&reply, 401, "invalid_agent_key");
        assert!(reply.field("www-authenticate").is_some());
    }
    expect_own(&ask(&[]), 401, "invalid_agent_key");
    expect_own(&ask(&[("x-fuuffy-agent-key", KEY), ("x-fuuffy-agent-key", KEY)]), 401, "invalid_agent_key");
    assert!(front.upstream.seen().is_empty());
    assert_eq!(ask(&[("X-Fuuffy-Agent-Key", KEY)]).status, 200);
    assert_eq!(front.upstream.last().field("x-fuuffy-agent-key"), None);
    assert_eq!(front.agent.get("/-/metrics").status, 200, "numbers need no key");
}

fn over(socket: &Path, text: &str) -> Reply {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    Connection::over_unix(stream).reply().unwrap()
}

#[test]
fn a_unix_socket_is_its_owners_alone() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let client = place.client("testing");
    let socket = place.path("agent.sock");
    // A dead agent's socket is in the way.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let start = || Agent::start(agent_command(&place.path(""), server.testing, &client).arg("--unix").arg(&socket));
    let agent = start();
    assert_eq!(agent.ready["ready"], serde_json::json!({"unix": socket.to_str().unwrap()}));
    let metadata = std::fs::metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket() && metadata.permissions().mode() & 0o777 == 0o600);
    let reply = over(&socket, "GET /v1/orders HTTP/1.1\r\nhost: anything\r\n\r\n");
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"data":[]}"#));
    let by_browser = over(&socket, "GET /v1/orders HTTP/1.1\r\nhost: localhost\r\norigin: null\r\n\r\n");
    expect_own(&by_browser, 403, "browser_refused");
    let (status, words) = refused(agent_command(&place.path(""), server.testing, &client).arg("--unix").arg(&socket));
    assert!(status == Some(1) && words.contains("another program listens"), "{words}");
    assert!(agent.stop().success());
    assert!(!socket.exists());
    let both = Agent::on_a_port(agent_command(&place.path(""), server.testing, &client).arg("--unix").arg(&socket));
    assert_eq!(both.get("/v1/orders").status, 200);
    assert_eq!(over(&socket, "GET /v1/orders HTTP/1.1\r\nhost: x\r\n\r\n").status, 200);
    // Another agent has taken the place by the time that this one stops.
    std::fs::remove_file(&socket).unwrap();
    let _other = start();
    assert!(both.stop().success());
    assert_eq!(over(&socket, "GET /v1/orders HTTP/1.1\r\nhost: x\r\n\r\n").status, 200);
}

#[test]
fn a_head_is_bounded() {
    let (_folder, agent) = behind(&lax_gateway(|_| Act::Answer(ok("{}"))), &[]);
    let long = "x".repeat(300_000);
    assert_eq!(agent.ask("GET", "/v1/orders", &[("x-long", &long)], "").status, 431);
    assert_eq!(agent.ask("GET", "/v1/orders", &[("x-many", "1"); 200], "").status, 431);
    assert_eq!(agent.get("/v1/orders").status, 200);
}
