//! The local agent: programs without credentials call a real gateway through it, and web pages do not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, mpsc};

use serde_json::Value;
use tokio::time::{Duration, Instant};

use crate::app::{BINARY, Place, Registered, Server, config, config_with};
use crate::http1::{Connection, Reply, exchange, message, request};
use crate::leaks::find_leak;
use crate::upstream::{Act, Seen, Upstream, ok};

/// A running agent.
pub(crate) struct Agent {
    child: Child,
    ready: Value,
    /// `None` where it listens on a socket alone.
    address: Option<SocketAddr>,
}

/// A gateway, its API, and an agent in front of both.
pub(crate) struct Front {
    pub(crate) place: Place,
    server: Server,
    pub(crate) client: Registered,
    pub(crate) upstream: Upstream,
    pub(crate) agent: Agent,
}

/// What an agent is started with.
fn agent_command(folder: &Path, base: SocketAddr, client: &Registered) -> Command {
    let secret = folder.join("client-secret");
    std::fs::write(&secret, &client.secret).unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("agent-log")).unwrap();
    let mut command = Command::new(BINARY);
    command
        .args(["agent", "--base-url", &format!("http://{base}/v1")])
        .env_clear()
        .env("FUUFFY_CLIENT_ID", &client.id)
        .env("FUUFFY_CLIENT_SECRET_FILE", secret)
        .stdout(Stdio::piped())
        .stderr(log)
        .stdin(Stdio::null());
    command
}

impl Agent {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("a ready line");
        let address = ready["ready"]["agent"].as_str().map(|address| address.parse().unwrap());
        Self { child, ready, address }
    }

    /// On a free port.
    fn on_a_port(command: &mut Command) -> Self {
        Self::start(command.args(["--listen", "127.0.0.1:0"]))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, &[], "")
    }

    fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Reply {
        request(self.address(), method, target, fields, body)
    }

    fn until_it_has_a_token(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.get("/-/health").status != 200 {
            assert!(Instant::now() < deadline, "there is no token: {}", self.get("/-/health").text());
        }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn stop(self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Front {
    pub(crate) fn start(upstream: Upstream) -> Self {
        Self::start_with(upstream, "", &[])
    }

    fn start_with(upstream: Upstream, of_route: &str, arguments: &[&str]) -> Self {
        let place = Place::new(&config_with(upstream.address, "", of_route));
        let server = place.serve();
        let client = place.client("testing");
        let agent =
            Agent::on_a_port(agent_command(&place.path(""), server.testing, &client).args(arguments.iter().copied()));
        Self { place, server, client, upstream, agent }
    }
}

/// A gateway that grants tokens to anybody and does to other requests what a test says.
fn lax_gateway(act: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Upstream {
    let token =
        r#"{"data":{"access_token":"sk-00000000000000000000000000000000","token_type":"Bearer","expires_in":3600}}"#;
    Upstream::start(move |seen, _| if seen.target == "/v1/auth/token" { Act::Answer(ok(token)) } else { act(seen) })
}

fn behind(gateway: &Upstream, arguments: &[&str]) -> (tempfile::TempDir, Agent) {
    let folder = tempfile::tempdir().unwrap();
    let client = Registered { id: "my-id".to_owned(), secret: "my-secret".to_owned() };
    let agent =
        Agent::on_a_port(agent_command(folder.path(), gateway.address, &client).args(arguments.iter().copied()));
    agent.until_it_has_a_token();
    (folder, agent)
}

#[test]
fn a_caller_needs_no_credentials() {
    let front = Front::start(Upstream::friendly());
    let reply = front.agent.get("/v1/orders?page=2");
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"data":[]}"#));
    assert_eq!(reply.field("x-ratelimit-limit"), Some("100"));
    assert!(reply.field("x-request-id").is_some() && reply.field("x-fuuffy-agent").is_none());
    let seen = front.upstream.last();
    assert_eq!((seen.target.as_str(), seen.field("x-client-id")), ("/v1/orders?page=2", Some(&*front.client.id)));
    assert_eq!(seen.field("via"), Some("1.1 fuuffy-agent"));

    let posted = front.agent.ask("POST", "/v1/orders", &[("authorization", "Bearer mine")], r#"{"a":1}"#);
    assert_eq!(posted.status, 200, "the caller's own Authorization is dropped: {}", posted.text());
    assert_eq!(front.upstream.last().body, br#"{"a":1}"#);
    let missing = front.agent.get("/v1/nothing");
    assert_eq!((missing.status, missing.code().as_str()), (404, "not_found"));
    assert!(missing.field("x-fuuffy-agent").is_none(), "an answer of the API's");
}

#[test]
fn a_token_that_is_revoked_meanwhile_is_replaced_unseen() {
    let front = Front::start(Upstream::friendly());
    for method in ["GET", "POST"] {
        assert_eq!(front.agent.ask(method, "/v1/orders", &[], "{}").status, 200);
        for deed in ["suspend", "resume"] {
            front.place.done(&["clients", deed, "--environment", "testing", &front.client.id]);
        }
        let reply = front.agent.ask(method, "/v1/orders", &[], r#"{"again":true}"#);
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(front.upstream.last().body, br#"{"again":true}"#);
    }
    let metrics = front.agent.get("/-/metrics").text();
    assert!(metrics.contains("fuuffy_agent_retries_total{reason=\"token_refused\"} 2"), "{metrics}");
    assert!(metrics.contains("fuuffy_agent_token_requests_total{outcome=\"granted\"} 3"), "{metrics}");
    assert!(metrics.contains("fuuffy_agent_requests_total{class=\"2xx\"} 4"), "{metrics}");
}

#[test]
fn large_bodies_pass_both_ways() {
    const LARGE: usize = 8 * 1024 * 1024;
    let upstream = Upstream::start(|seen, _| Act::Answer(ok(&"y".repeat(seen.body.len() + 1))));
    let front = Front::start(upstream);
    let reply = front.agent.ask("POST", "/v1/orders", &[], &"x".repeat(LARGE));
    assert_eq!((reply.status, reply.body.len(), reply.whole), (200, LARGE + 1, true));
    assert!(reply.body.iter().all(|byte| *byte == b'y'));
    let seen = front.upstream.last();
    assert_eq!((seen.body.len(), seen.field("content-length")), (LARGE, Some(&*LARGE.to_string())));
}

/// Either side gets what the other has sent so far, before there is more.
#[test]
fn bodies_stream() {
    let upstream = Upstream::start(|seen, _| {
        assert_eq!(seen.field("transfer-encoding"), Some("chunked"));
        Act::Echo(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfirst".to_vec())
    });
    let front = Front::start(upstream);
    let mut caller = Connection::open(front.agent.address());
    let host = front.agent.address();
    caller
        .send(format!("POST /v1/orders HTTP/1.1\r\nhost: {host}\r\nx-early: 1\r\ntransfer-encoding: chunked\r\n\r\n"));
    let until = |caller: &mut Connection, wanted: &str| {
        let mut got = Vec::new();
        while !got.ends_with(wanted.as_bytes()) {
            got.extend(caller.bytes(1));
        }
    };
    until(&mut caller, "first");
    caller.send("7\r\n<piece>\r\n");
    until(&mut caller, "<piece>");
    caller.send("8\r\n<piece2>\r\n");
    until(&mut caller, "<piece2>");
}

#[test]
fn trailers_pass() {
    let gateway = lax_gateway(|seen| {
        assert_eq!((seen.field("te"), seen.field("connection")), (Some("trailers"), None));
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n";
        Act::Answer(format!("{head}2\r\nhi\r\n0\r\ngrpc-status: 0\r\n\r\n").into_bytes())
    });
    let (_folder, agent) = behind(&gateway, &[]);
    let reply =
        agent.ask("GET", "/v1/orders", &[("te", "trailers"), ("connection", "te, x-mine"), ("x-mine", "1")], "");
    assert_eq!(reply.text(), "hi[grpc-status: 0]");
    assert_eq!(gateway.last().field("x-mine"), None, "a field of one hop");
}

/// What the agent itself says: in the guide's shape, marked, and never readable for a page.
fn expect_own(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", reply.text());
    assert_eq!(reply.field("x-fuuffy-agent"), Some(env!("CARGO_PKG_VERSION")));
    let error = &reply.json()["error"];
    assert!(!error["message"].as_str().unwrap().is_empty() && !error["details"].as_str().unwrap().is_empty());
    assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{:?}", reply.headers);
}

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
            ("sec-fetch-mode", "no-cors"),
            ("sec-fetch-mode", "navigate"),
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
    assert_eq!(gateway.seen().len(), sent_before, "nothing of it went on");
    let reply = agent.get("/v1/orders");
    assert_eq!(
        (reply.status, reply.field("access-control-allow-origin"), reply.field("x-fuuffy-agent")),
        (200, None, None)
    );
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

/// What an agent that does not start says, and its status.
fn refused(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(output.stdout.is_empty(), "no ready line");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_cannot_work_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let client = Registered { id: "my-id".to_owned(), secret: "my-secret".to_owned() };
    let command = || agent_command(folder.path(), ([127, 0, 0, 1], 1).into(), &client);
    for address in ["0.0.0.0:7443", "192.0.2.1:7443", "[::]:7443"] {
        let (status, words) = refused(command().args(["--listen", address]));
        assert_eq!(status, Some(2), "{words}");
        assert!(words.contains("this machine alone"), "{words}");
    }
    let file = |name: &str, text: &str, mode: u32| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    };
    for (path, says) in [
        (file("open", "0123456789abcdef0123", 0o640), "chmod 600"),
        (file("short", "0123456789", 0o600), "shorter than 16"),
        (folder.path().join("none"), "cannot read"),
    ] {
        let (status, words) = refused(command().arg("--key-file").arg(path));
        assert!(status == Some(2) && words.contains(says) && !words.contains("0123456789"), "{words}");
    }
    let (status, words) = refused(command().env_remove("FUUFFY_CLIENT_ID"));
    assert!(status == Some(2) && words.contains("FUUFFY_CLIENT_ID"), "{words}");
    let (status, words) = refused(command().args(["--base-url", "http://api.example/v1"]));
    assert_eq!(status, Some(2), "{words}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (status, words) = refused(command().args(["--listen", &taken.local_addr().unwrap().to_string()]));
    assert!(status == Some(1) && words.contains("--listen"), "{words}");
    let (status, words) = refused(command().arg("--unix").arg(file("plain", "mine", 0o600)));
    assert!(status == Some(1) && words.contains("no socket"), "{words}");
    assert_eq!(std::fs::read_to_string(folder.path().join("plain")).unwrap(), "mine");
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
}

#[test]
fn it_starts_while_the_token_service_is_down_and_recovers() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = config(Upstream::friendly().address).replacen(
        "[environments.testing]\nlisten = \"127.0.0.1:0\"",
        &format!("[environments.testing]\nlisten = \"{port}\""),
        1,
    );
    let place = Place::new(&text);
    let client = place.client("testing");
    let agent = Agent::on_a_port(agent_command(&place.path(""), port, &client).args(["--patience", "0"]));
    let health = agent.get("/-/health");
    assert_eq!((health.status, health.json()["data"]["token_held"].as_bool()), (503, Some(false)));
    let reply = agent.get("/v1/orders");
    expect_own(&reply, 503, "service_unavailable");
    assert!(reply.field("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert!(reply.text().contains("The agent has no access token"), "{}", reply.text());
    let health = agent.get("/-/health").json();
    assert!(health["data"]["last_error"]["message"].as_str().unwrap().contains("no connection"), "{health}");
    let _server = place.serve();
    // By itself: nobody calls meanwhile.
    agent.until_it_has_a_token();
    let health = agent.get("/-/health").json()["data"].clone();
    assert!(health["token_expires_in"].as_u64().is_some_and(|life| (3590..=3600).contains(&life)), "{health}");
    assert_eq!((&health["base_url"], &health["environment"]), (&format!("http://{port}/v1").into(), &"testing".into()));
    assert_eq!(agent.get("/v1/orders").status, 200);
    let metrics = agent.get("/-/metrics");
    assert_eq!(metrics.field("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    for line in [
        r#"fuuffy_agent_token_requests_total{outcome="granted"} 1"#,
        r#"fuuffy_agent_requests_total{class="2xx"} "#,
        r#"fuuffy_agent_requests_total{class="5xx"} "#,
        "fuuffy_agent_token_expires_in_seconds 35",
        "fuuffy_agent_held_total 0",
    ] {
        assert!(metrics.text().contains(line), "{line} is not in\n{}", metrics.text());
    }
}

#[test]
fn failures_are_told_apart() {
    let gateway = lax_gateway(|seen| match seen.target.as_str() {
        "/v1/broken" => Act::AnswerAndClose(Vec::new()),
        "/v1/slow" => Act::Silence,
        "/v1/busy" => Act::Answer(b"HTTP/1.1 503 Busy\r\nretry-after: 100\r\ncontent-length: 0\r\n\r\n".to_vec()),
        _ => Act::Answer(b"HTTP/1.1 429 Slow\r\nretry-after: 200\r\ncontent-length: 0\r\n\r\n".to_vec()),
    });
    let (_folder, agent) = behind(&gateway, &["--timeout", "1", "--patience", "5"]);
    let broken = agent.ask("POST", "/v1/broken", &[], "{}");
    expect_own(&broken, 502, "bad_gateway");
    assert!(broken.text().contains("broke off") && broken.field("retry-after").is_none(), "{}", broken.text());
    expect_own(&agent.get("/v1/slow"), 504, "gateway_timeout");
    let within = |reply: &Reply, least: u64| {
        let wait: u64 = reply.field("retry-after").unwrap().parse().unwrap();
        assert!((least..=least + 20).contains(&wait), "{wait}");
    };
    // The API's own answer first; then it is spared.
    for (path, status, code, least) in
        [("/v1/busy", 503, "service_unavailable", 99), ("/v1/limited", 429, "rate_limit_exceeded", 199)]
    {
        let first = agent.get(path);
        assert_eq!((first.status, first.field("x-fuuffy-agent")), (status, None));
        let second = agent.get(path);
        expect_own(&second, status, code);
        within(&second, least);
    }
    assert_eq!(gateway.seen().iter().filter(|seen| seen.target == "/v1/busy").count(), 1);
}

#[test]
fn calls_slow_down_before_they_are_refused_if_asked_to() {
    let gateway = lax_gateway(|_| {
        let standing = "ratelimit: \"minute\";r=0;t=100\r\nratelimit-policy: \"minute\";q=100;w=100";
        Act::Answer(format!("HTTP/1.1 200 OK\r\n{standing}\r\ncontent-length: 0\r\n\r\n").into_bytes())
    });
    for (arguments, status) in [(&["--patience", "0"][..], 200), (&["--patience", "0", "--paced"], 429)] {
        let (_folder, agent) = behind(&gateway, arguments);
        assert_eq!(agent.get("/v1/orders").status, 200);
        assert_eq!(agent.get("/v1/orders").status, status, "{arguments:?}");
    }
}

#[test]
fn wrong_credentials_are_told_with_what_to_do() {
    let front = Front::start(Upstream::friendly());
    let stranger = Registered { secret: "fsk_test_notthesecret".to_owned(), ..front.client.clone() };
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::on_a_port(&mut agent_command(folder.path(), front.server.testing, &stranger));
    let reply = agent.get("/v1/orders");
    expect_own(&reply, 502, "bad_gateway");
    let text = reply.text();
    assert!(text.contains("invalid_client") && text.contains("Check the id, the secret"), "{text}");
    assert!(!text.contains("notthesecret"));
    assert_eq!(agent.get("/-/health").status, 503);
}

#[test]
fn a_head_is_bounded() {
    let (_folder, agent) = behind(&lax_gateway(|_| Act::Answer(ok("{}"))), &[]);
    let long = "x".repeat(300_000);
    assert_eq!(agent.ask("GET", "/v1/orders", &[("x-long", &long)], "").status, 431);
    assert_eq!(agent.ask("GET", "/v1/orders", &[("x-many", "1"); 200], "").status, 431);
    assert_eq!(agent.get("/v1/orders").status, 200);
}

#[test]
fn a_connection_that_died_in_the_pool_is_no_failure() {
    let gateway = lax_gateway(|_| Act::AnswerAndClose(ok("{}")));
    let (_folder, agent) = behind(&gateway, &[]);
    for _ in 0..20 {
        assert_eq!(agent.get("/v1/orders").status, 200);
    }
}

#[test]
fn draining_finishes_what_is_in_flight() {
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let may_leave = Mutex::new(may_leave);
    let front = Front::start(Upstream::start(move |_, _| {
        entered.send(()).unwrap();
        may_leave.lock().unwrap().recv().unwrap();
        Act::Answer(ok("{}"))
    }));
    let to = front.agent.address();
    let mut in_flight = Connection::open(to);
    in_flight.send(message(to, "GET", "/v1/orders", &[], ""));
    has_entered.recv().unwrap();
    let mut idle = Connection::open(to);
    front.agent.signal("TERM");
    assert!(idle.is_closed());
    while std::net::TcpStream::connect(to).is_ok() {}
    leave.send(()).unwrap();
    assert_eq!(in_flight.reply().unwrap().text(), "{}");
    assert!(front.agent.wait().success());
}

#[test]
fn it_is_a_systemd_service() {
    let front = Front::start(Upstream::friendly());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let told = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    // As systemd shows a credential that the service's user gets by an access list.
    let credential = folder.path().join("fuuffy_client_secret");
    std::fs::write(&credential, &front.client.secret).unwrap();
    std::fs::set_permissions(&credential, PermissionsExt::from_mode(0o440)).unwrap();
    let mut command = agent_command(&front.place.path(""), front.server.testing, &front.client);
    command.env_remove("FUUFFY_CLIENT_SECRET_FILE").env("CREDENTIALS_DIRECTORY", folder.path());
    let agent = Agent::on_a_port(command.env("NOTIFY_SOCKET", &path));
    assert!(told().contains("READY=1"));
    assert_eq!(agent.get("/v1/orders").status, 200);
    assert!(agent.stop().success());
    assert!(told().contains("STOPPING=1"));
}

#[test]
fn nothing_secret_is_in_logs_metrics_or_answers() {
    const KEY: &str = "abcdefghij0123456789";
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), KEY).unwrap();
    let bearer = std::sync::Arc::new(Mutex::new(String::new()));
    let kept = std::sync::Arc::clone(&bearer);
    let gateway = Upstream::start(move |seen, _| {
        if seen.target == "/v1/auth/token" {
            let answer = r#"{"data":{"access_token":"sk-0f1e2d3c4b5a69788796a5b4c3d2e1f0","token_type":"Bearer","expires_in":60}}"#;
            return Act::Answer(ok(answer));
        }
        seen.field("authorization").unwrap().clone_into(&mut kept.lock().unwrap());
        if seen.target == "/v1/broken" { Act::AnswerAndClose(Vec::new()) } else { Act::Answer(ok("{}")) }
    });
    let folder = tempfile::tempdir().unwrap();
    let client = Registered { id: "my-id".to_owned(), secret: "s3cr3t-0123-4567-89ab-cdef".to_owned() };
    let mut command = agent_command(folder.path(), gateway.address, &client);
    let agent = Agent::on_a_port(command.env("FUUFFY_LOG", "trace").arg("--key-file").arg(key.path()));
    agent.until_it_has_a_token();
    let fields = [("x-fuuffy-agent-key", KEY), ("authorization", "Bearer callers-own-0123456789")];
    let mut words = Vec::new();
    for path in ["/v1/orders", "/v1/broken", "/v1/auth/token", "/-/health", "/-/metrics"] {
        let reply = agent.ask("POST", path, &fields, "{}");
        words.push(format!("{:?}{}", reply.headers, reply.text()).into_bytes());
        words.push(agent.get(path).body);
    }
    words.push(std::fs::read(format!("/proc/{}/cmdline", agent.child.id())).unwrap());
    assert!(agent.stop().success());
    words.push(std::fs::read(folder.path().join("agent-log")).unwrap());
    let bearer = bearer.lock().unwrap().trim_start_matches("Bearer ").to_owned();
    assert_eq!(bearer, "sk-0f1e2d3c4b5a69788796a5b4c3d2e1f0");
    let secrets = [bearer, client.secret, KEY.to_owned(), "callers-own-0123456789".to_owned()];
    for text in words {
        if let Some(leak) = find_leak(&text, &secrets) {
            panic!("{leak} leaked into {}", String::from_utf8_lossy(&text));
        }
    }
}
