//! A server in the test's own process, on real sockets and files, by a clock that the test owns.

use std::path::PathBuf;
use std::sync::Arc;

use fuuffy::config;
use fuuffy::server::{Names, Server, Sources, SystemEntropy};
use fuuffy_domain::{Actor, ManualTime, TimeSource as _, Timestamp};
use http::Method;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::app::{self, Place, Registered};
use crate::http1::{Reply, request};
use crate::upstream::Upstream;

pub(crate) const START: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

/// A server by a clock of the test's own.
pub(crate) struct Timed {
    folder: TempDir,
    text: String,
    runtime: Runtime,
    names: Names,
    pub(crate) time: Arc<ManualTime>,
    server: Option<Server>,
    pub(crate) client: Registered,
}

impl Timed {
    pub(crate) fn start(plans: &str) -> Self {
        Self::start_with(plans, Sources::system().names)
    }

    /// The same, where names have other addresses.
    pub(crate) fn start_with(plans: &str, names: Names) -> Self {
        Self::of(app::config(Upstream::friendly().address) + plans, names)
    }

    /// By a whole configuration.
    pub(crate) fn serving(text: String) -> Self {
        Self::of(text, Sources::system().names)
    }

    fn of(text: String, names: Names) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut timed = Self {
            folder: tempfile::tempdir().unwrap(),
            text,
            runtime,
            names,
            time: Arc::new(ManualTime::starting_at(START)),
            server: None,
            client: Registered { id: String::new(), secret: String::new() },
        };
        timed.restart();
        timed.client = timed.register();
        timed
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        let config = config::parse(&self.text, self.folder.path()).unwrap();
        let time: Arc<dyn fuuffy_domain::TimeSource> = Arc::<ManualTime>::clone(&self.time);
        let sources =
            Sources { time, entropy: Arc::new(SystemEntropy), names: Arc::clone(&self.names), ..Sources::system() };
        self.server = Some(self.runtime.block_on(Server::start(config, sources)).unwrap());
    }

    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }

    /// A place with the files as a kill at this moment would leave them behind.
    pub(crate) fn left_behind(&self) -> Place {
        let place = Place::new(&self.text);
        std::fs::create_dir(place.path("data")).unwrap();
        for file in std::fs::read_dir(self.folder.path().join("data")).unwrap().map(Result::unwrap) {
            if file.file_type().unwrap().is_file() {
                std::fs::copy(file.path(), place.path("data").join(file.file_name())).unwrap();
            }
        }
        place
    }

    /// The server's time.
    pub(crate) fn now(&self) -> Timestamp {
        self.time.wall()
    }

    /// A file of the data directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    pub(crate) fn testing(&self) -> std::net::SocketAddr {
        self.server.as_ref().unwrap().addresses().testing.unwrap()
    }

    pub(crate) fn admin(&self) -> std::net::SocketAddr {
        self.server.as_ref().unwrap().addresses().admin
    }

    pub(crate) fn register(&self) -> Registered {
        let made = self.operate("/admin/v1/testing/clients", r#"{"name":"Acme","scope":"orders:read orders:write"}"#);
        let member = |name: &str| made["data"][name].as_str().unwrap().to_owned();
        Registered { id: member("client_id"), secret: member("client_secret") }
    }

    /// The records of what operators were refused, the oldest first: how many refusals each tells of.
    pub(crate) fn noted(&self) -> Vec<u64> {
        let answer = self.shown("/admin/v1/testing/audit?deed=refused");
        let records = answer["data"].as_array().unwrap().iter().rev();
        records.map(|row| row["record"]["times"].as_u64().unwrap()).collect()
    }

    /// Does what an operator does.
    pub(crate) fn operate(&self, path: &str, body: &str) -> serde_json::Value {
        self.ask_operator(Method::POST, path, body, "")
    }

    /// The same, and says why.
    pub(crate) fn operate_because(&self, path: &str, body: &str, why: &str) -> serde_json::Value {
        self.ask_operator(Method::POST, path, body, why)
    }

    /// Changes what an operator made.
    pub(crate) fn patch(&self, path: &str, body: &str) -> serde_json::Value {
        self.ask_operator(Method::PATCH, path, body, "")
    }

    /// Takes away what an operator made.
    pub(crate) fn delete(&self, path: &str) -> serde_json::Value {
        self.ask_operator(Method::DELETE, path, "", "")
    }

    /// Shows what an operator sees.
    pub(crate) fn shown(&self, path: &str) -> serde_json::Value {
        self.ask_operator(Method::GET, path, "", "")
    }

    /// What the server does by itself once a minute.
    pub(crate) fn pass_minute(&self) {
        self.runtime.block_on(self.server.as_ref().unwrap().environments().each_minute());
    }

    fn ask_operator(&self, method: Method, path: &str, body: &str, why: &str) -> serde_json::Value {
        let router = self.server.as_ref().unwrap().admin_router_for(Actor::Server);
        let asked = http::Request::builder().method(method).uri(path).header("fuuffy-why", why);
        let asked = asked.body(axum::body::Body::from(body.to_owned())).unwrap();
        self.runtime.block_on(async {
            let response = router.oneshot(asked).await.unwrap();
            serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap()
        })
    }

    pub(crate) fn token(&self) -> String {
        app::token(self.testing(), &self.client)
    }

    pub(crate) fn get(&self, token: &str) -> Reply {
        request(self.testing(), "GET", "/v1/orders", &[("authorization", &format!("Bearer {token}"))], "")
    }

    pub(crate) fn accepts(&self, token: &str) -> bool {
        let reply = self.get(token);
        assert!(
            reply.status == 200 || reply.json()["error"]["message"] == "The access token expired",
            "{}",
            reply.text()
        );
        reply.status == 200
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.stop();
    }
}
