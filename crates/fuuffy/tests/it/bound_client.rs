//! An integrator whose tokens are bound to a key: with one variable more the commands and the agent prove it, the server's
//! nonces included, and whoever finds the token can do nothing with it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::app::{BINARY, Place, Registered, Server, config_with, get};
use crate::http1::request;
use crate::signing_client::ISSUER;
use crate::upstream::Upstream;

/// A client that gets bound tokens alone, and its server.
struct Bound {
    place: Place,
    server: Server,
    client: Registered,
    key: String,
}

impl Bound {
    fn new(upstream: &Upstream, of_environment: &str) -> Self {
        let place = Place::new(&config_with(upstream.address, of_environment, ""));
        let server = place.serve();
        let client = place.client_with("testing", &["--scope", "orders:read", "--dpop"]);
        let key = place.path("dpop.key").to_str().unwrap().to_owned();
        let made = Command::new(BINARY).args(["client-key", "new", &key]).env_clear().output().unwrap();
        assert!(made.status.success());
        Self { place, server, client, key }
    }

    /// An integrator's command; with the key, or without.
    fn command(&self, arguments: &[&str], with_key: bool) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.place.path("")).env_clear();
        command.env("FUUFFY_BASE_URL", format!("http://{}/v1", self.server.testing));
        command.env("FUUFFY_CLIENT_ID", &self.client.id).env("FUUFFY_CLIENT_SECRET", &self.client.secret);
        // The test reaches the server by another URL than its own.
        command.env("FUUFFY_ISSUER", ISSUER).env("XDG_CACHE_HOME", self.place.path("cache"));
        if with_key {
            command.env("FUUFFY_DPOP_KEY_FILE", &self.key);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments, true).output().unwrap()
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An agent, until the test ends.
struct Agent(Child, SocketAddr);

impl Agent {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = ready["ready"]["agent"].as_str().unwrap().parse().unwrap();
        Self(child, address)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn commands_prove_the_key_and_a_token_that_is_found_is_of_no_use() {
    let upstream = Upstream::friendly();
    let bound = Bound::new(&upstream, "");
    let without = bound.command(&["token", "--no-cache"], false).output().unwrap();
    assert!(without.status.code() == Some(1) && words(&without).contains("invalid_dpop_proof"), "{}", words(&without));
    // Within ten seconds of the start the server asks for a nonce, which nobody here notices.
    let plain = bound.run(&["token"]);
    assert!(plain.stdout.starts_with(b"sk-") && words(&plain).contains("DPoP proof"), "{}", words(&plain));
    let found = String::from_utf8(plain.stdout).unwrap();
    assert_eq!(get(bound.server.testing, "/v1/orders", found.trim()).code(), "invalid_token");
    let shown = bound.run(&["token", "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(
        (&shown["token_type"], &shown["access_token"]),
        (&"DPoP".into(), &found.trim().into()),
        "from the cache"
    );
    let orders = bound.run(&["request", "GET", "/orders?page=2"]);
    assert!(orders.status.success(), "{}", words(&orders));
    let [seen] = &upstream.seen()[..] else { panic!("one request") };
    assert_eq!((seen.field("dpop"), seen.field("authorization")), (None, None));
    // Another key under the same name: the token from before is refused, and another is asked for.
    std::fs::remove_file(&bound.key).unwrap();
    let made = Command::new(BINARY).args(["client-key", "new", &bound.key]).env_clear().output().unwrap();
    assert!(made.status.success());
    let orders = bound.run(&["request", "GET", "/orders"]);
    assert!(orders.status.success(), "{}", words(&orders));
}

#[test]
fn callers_of_the_agent_need_nothing_and_the_agent_proves() {
    let upstream = Upstream::friendly();
    let bound = Bound::new(&upstream, "dpop_nonces = \"always\"");
    let agent = Agent::start(bound.command(&["agent", "--listen", "127.0.0.1:0"], true));
    for _ in 0..3 {
        let reply = request(agent.1, "GET", "/v1/orders", &[("dpop", "a.b.c")], "");
        assert_eq!((reply.status, reply.field("dpop-nonce")), (200, None), "{}", reply.text());
    }
    assert!(upstream.seen().iter().all(|seen| seen.field("dpop").is_none()));
    assert_eq!(upstream.seen().len(), 3);
}
