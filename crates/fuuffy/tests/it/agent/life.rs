//! The agent's own life: what keeps it from starting, what it outlasts, how it ends, and what it never tells.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Mutex, mpsc};

use super::{Agent, Front, agent_command, expect_own, refused};
use crate::app::{Place, Registered, config};
use crate::http1::{Connection, message};
use crate::leaks::find_leak;
use crate::ports::free;
use crate::upstream::{Act, Upstream, ok};

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
    let (status, words) = refused(command().arg("--unix").arg(folder.path().join("s".repeat(107))));
    assert!(status == Some(1) && words.contains("longer than 107 bytes"), "{words}");
    assert_eq!(std::fs::read_to_string(folder.path().join("plain")).unwrap(), "mine");
}

#[test]
fn it_starts_while_the_token_service_is_down_and_recovers() {
    let port = free();
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
