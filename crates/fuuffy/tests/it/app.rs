//! The product as a test owns it: a directory of its own, the real binary in it, and short ways to do
//! what operators and integrators do.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::http1::{Reply, request};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_fuuffy");

/// A data directory with its configuration; servers and commands run on it.
pub(crate) struct Place {
    folder: TempDir,
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) testing: SocketAddr,
    pub(crate) production: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Where an authority comes by plain HTTP.
    pub(crate) acme: Option<SocketAddr>,
}

/// A registered client.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// Both environments with one route, `/v1/orders`, to one upstream.
pub(crate) fn config(upstream: SocketAddr) -> String {
    config_with(upstream, "", "")
}

/// The same, with more lines for the environments and for their route.
pub(crate) fn config_with(upstream: SocketAddr, of_environment: &str, of_route: &str) -> String {
    let mut text = "data_dir = \"data\"\nworkers = 2\n\n[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    for name in ["testing", "production"] {
        text.push_str(&format!(
            "\n[environments.{name}]\nlisten = \"127.0.0.1:0\"\n{of_environment}\n\
             \n[[environments.{name}.routes]]\nprefix = \"/v1/orders\"\nupstreams = [\"http://{upstream}\"]\n\
             scopes = {{ read = \"orders:read\", write = \"orders:write\" }}\n{of_route}\n"
        ));
    }
    text
}

impl Place {
    pub(crate) fn new(config: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.write_config(config);
        place
    }

    pub(crate) fn write_config(&self, config: &str) {
        std::fs::write(self.config_file(), config).unwrap();
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.path("fuuffy.toml")
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A server, ready.
    pub(crate) fn serve(&self) -> Server {
        self.try_serve(&[]).expect("a server that is ready")
    }

    /// A server with more environment variables; the status it ended with if it did not get ready.
    pub(crate) fn try_serve(&self, variables: &[(&str, &str)]) -> Result<Server, ExitStatus> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut child = Command::new(BINARY)
            .args(["serve", "--config"])
            .arg(self.config_file())
            .env_clear()
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            return Err(child.wait().unwrap());
        }
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address =
            |name: &str| ready["ready"][name].as_str().map_or(([0, 0, 0, 0], 0).into(), |it| it.parse().unwrap());
        let acme = ready["ready"]["acme"].as_str().map(|it| it.parse().unwrap());
        Ok(Server {
            acme,
            testing: address("testing"),
            production: address("production"),
            admin: address("admin"),
            child,
        })
    }

    /// Runs a command of operators on this configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        Command::new(BINARY)
            .args(arguments)
            .arg("--config")
            .arg(self.config_file())
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a command that must be done, and reads the JSON it prints.
    pub(crate) fn done(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Registers a client that may read and write orders.
    pub(crate) fn client(&self, environment: &str) -> Registered {
        self.client_with(environment, &["--scope", "orders:read orders:write"])
    }

    pub(crate) fn client_with(&self, environment: &str, more: &[&str]) -> Registered {
        let made = self.done(&[&["clients", "create", "--environment", environment, "--name", "Acme"], more].concat());
        let member = |name: &str| made[name].as_str().unwrap().to_owned();
        Registered { id: member("client_id"), secret: member("client_secret") }
    }
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to this server alone.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end, and answers what came on standard output since the ready line.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut rest).unwrap();
        }
        (self.child.wait().unwrap(), rest)
    }

    /// Ends the server as an operator does.
    pub(crate) fn stop(self) -> ExitStatus {
        self.signal("TERM");
        self.wait().0
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Tells threads to stop when the test ends, however it does.
pub(crate) struct StopsAll<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopsAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The guide's token request.
pub(crate) fn ask_for_token(address: SocketAddr, client: &Registered) -> Reply {
    post_form(address, "/v1/auth/token", &token_form(client))
}

/// The form of the guide's token request.
pub(crate) fn token_form(client: &Registered) -> String {
    format!("grant_type=client_credentials&client_id={}&client_secret={}", client.id, client.secret)
}

pub(crate) fn post_form(address: SocketAddr, path: &str, form: &str) -> Reply {
    request(address, "POST", path, &[("content-type", "application/x-www-form-urlencoded")], form)
}

/// A token that must be granted.
pub(crate) fn token(address: SocketAddr, client: &Registered) -> String {
    let reply = ask_for_token(address, client);
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"]["access_token"].as_str().unwrap().to_owned()
}

/// A GET that bears a token.
pub(crate) fn get(address: SocketAddr, target: &str, token: &str) -> Reply {
    request(address, "GET", target, &[("authorization", &format!("Bearer {token}"))], "")
}
