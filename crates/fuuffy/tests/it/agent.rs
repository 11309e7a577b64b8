//! The local agent: programs without credentials call a real gateway through it, and web pages do not.

mod calls;
mod door;
mod life;
mod over_tls;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tokio::time::{Duration, Instant};

use crate::app::{BINARY, Place, Registered, Server, config_with};
use crate::http1::{Reply, request};
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
pub(crate) fn agent_command(folder: &Path, base: SocketAddr, client: &Registered) -> Command {
    agent_command_to(folder, &format!("http://{base}/v1"), client)
}

fn agent_command_to(folder: &Path, base_url: &str, client: &Registered) -> Command {
    let secret = folder.join("client-secret");
    std::fs::write(&secret, &client.secret).unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("agent-log")).unwrap();
    let mut command = Command::new(BINARY);
    command
        .args(["agent", "--base-url", base_url])
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
    pub(crate) fn on_a_port(command: &mut Command) -> Self {
        Self::start(command.args(["--listen", "127.0.0.1:0"]))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    pub(crate) fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, &[], "")
    }

    fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Reply {
        request(self.address(), method, target, fields, body)
    }

    pub(crate) fn until_it_has_a_token(&self) {
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

/// What the agent itself says: in the guide's shape, marked, and never readable for a page.
fn expect_own(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", reply.text());
    assert_eq!(reply.field("x-fuuffy-agent"), Some(env!("CARGO_PKG_VERSION")));
    let error = &reply.json()["error"];
    assert!(!error["message"].as_str().unwrap().is_empty() && !error["details"].as_str().unwrap().is_empty());
    assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{:?}", reply.headers);
}

/// What an agent that does not start says, and its status.
fn refused(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(output.stdout.is_empty(), "no ready line");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}
