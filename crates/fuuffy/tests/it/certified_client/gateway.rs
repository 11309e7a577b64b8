//! The same with the real gateway behind its own TLS: it knows the client by the certificate that the commands and the agent
//! show, and its tokens are good with that one alone.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use rcgen::{CertificateParams, KeyPair};
use rustls::version::TLS13;
use serde_json::{Value, json};

use super::{Agent, finding};
use crate::app::{BINARY, Place, Server};
use crate::http1::{Connection, Reply, message, request};
use crate::integrator::Ran;
use crate::mutual::{session, speaking};
use crate::tls::Authority;
use crate::upstream::Upstream;

/// A gateway that asks for certificates, and a client's files.
struct Desk {
    place: Place,
    server: Server,
    authority: Authority,
    upstream: Upstream,
}

impl Desk {
    fn new() -> Self {
        let (authority, upstream) = (Authority::new(), Upstream::friendly());
        let place = Place::new(&format!(
            "data_dir = \"data\"\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [environments.testing]\nlisten = \"127.0.0.1:0\"\nbase_url = \"https://localhost/v1\"\nhosts = [\"localhost\"]\n\
             tls = {{ cert = \"server.pem\", key = \"server.key\" }}\nmutual_tls = {{ authorities = \"ca.pem\" }}\n\
             [[environments.testing.routes]]\nprefix = \"/v1/orders\"\nupstreams = [\"http://{}\"]\n\
             scopes = {{ read = \"orders:read\" }}\n",
            upstream.address
        ));
        authority.write_to(&place.path("ca.pem"));
        authority.write_pair("localhost", (1975, 4096), (&place.path("server.pem"), &place.path("server.key")));
        let desk = Self { server: place.serve(), place, authority, upstream };
        desk.issue();
        desk
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// Puts another certificate of the same name in the place of the one before.
    fn issue(&self) {
        self.authority.write_pair("orders", (1975, 4096), (&self.file("cert.pem"), &self.file("key.pem")));
    }

    /// One that nobody has signed.
    fn issue_by_nobody(&self) {
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(["orders".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(self.file("cert.pem"), own.pem()).unwrap();
        std::fs::write(self.file("key.pem"), key.serialize_pem()).unwrap();
    }

    fn create(&self, more: &[&str]) -> Value {
        let create = ["clients", "create", "--environment", "testing", "--name", "Acme", "--scope", "orders:read"];
        self.place.done(&[&create[..], more].concat())
    }

    /// An integrator's command that shows nothing.
    fn bare(&self, client: &Value, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).env_clear().stdin(Stdio::null());
        command.env("FUUFFY_BASE_URL", format!("https://localhost:{}/v1", self.server.testing.port()));
        command.env("FUUFFY_CLIENT_ID", client["client_id"].as_str().unwrap());
        if let Some(secret) = client["client_secret"].as_str() {
            command.env("FUUFFY_CLIENT_SECRET", secret);
        }
        command.env("SSL_CERT_FILE", self.file("ca.pem")).env("XDG_CACHE_HOME", self.file("cache"));
        command
    }

    fn command(&self, client: &Value, arguments: &[&str]) -> Command {
        let mut command = self.bare(client, arguments);
        command.env("FUUFFY_CLIENT_CERT_FILE", self.file("cert.pem"));
        command.env("FUUFFY_CLIENT_CERT_KEY_FILE", self.file("key.pem"));
        command
    }

    fn run(&self, client: &Value, arguments: &[&str]) -> Ran {
        Ran::of(self.command(client, arguments).output().unwrap())
    }

    /// A call by whoever has found the token, and shows no certificate.
    fn stolen(&self, token: &str) -> Reply {
        let config = speaking(self.authority.roots(), None, (&[&TLS13], "http/1.1"));
        let mut connection = Connection::over(session(self.server.testing, &config, "localhost").unwrap());
        let fields = [("host", "localhost"), ("authorization", &*format!("Bearer {token}"))];
        connection.send(message(self.server.testing, "GET", "/v1/orders", &fields, ""));
        connection.reply().unwrap()
    }
}

#[test]
fn a_gateway_knows_the_client_by_its_certificate_and_a_token_that_is_found_is_of_no_use() {
    let desk = Desk::new();
    let client = desk.create(&["--san-dns", "orders"]);
    assert!(client["client_secret"].is_null(), "{client}");
    let doctor = desk.run(&client, &["doctor", "--json"]);
    assert_eq!((doctor.status, &finding(&doctor, "token")["status"]), (0, &json!("ok")), "{doctor:?}");
    let orders = desk.run(&client, &["request", "GET", "/orders"]);
    assert_eq!((orders.status, orders.out.as_str(), orders.err.as_str()), (0, r#"{"data":[]}"#, ""));
    assert_eq!(desk.upstream.last().field("x-client-id"), client["client_id"].as_str());
    let token = desk.run(&client, &["token"]).out;
    let stolen = desk.stolen(token.trim());
    assert_eq!((stolen.status, stolen.code().as_str()), (401, "invalid_token"));
    // Another certificate of the same name: the token in the cache is of the one before.
    desk.issue();
    let orders = desk.run(&client, &["request", "GET", "/orders"]);
    assert_eq!((orders.status, orders.err.as_str()), (0, ""), "{orders:?}");
    assert_ne!(desk.run(&client, &["token"]).out, token);
    // One that nobody vouches for is no such client's, and what to look at is said.
    desk.issue_by_nobody();
    let refused = desk.run(&client, &["token"]);
    assert!(refused.status == 1 && refused.err.contains("invalid_client"), "{refused:?}");
    assert!(refused.err.contains("fuuffy clients certificates list"), "{refused:?}");
    let own = desk.create(&["--certificate", desk.file("cert.pem").to_str().unwrap()]);
    assert_eq!(desk.run(&own, &["request", "GET", "/orders"]).status, 0, "by that very certificate");
}

#[test]
fn the_agent_goes_on_over_a_change_of_certificates() {
    let desk = Desk::new();
    let client = desk.create(&["--san-dns", "orders"]);
    let id = client["client_id"].as_str().unwrap();
    let agent = Agent::start(desk.command(&client, &["agent", "--listen", "127.0.0.1:0"]));
    let get = || request(agent.1, "GET", "/v1/orders", &[], "").status;
    let uses = || {
        let listed = desk.place.done(&["clients", "certificates", "list", "--environment", "testing", "--client", id]);
        listed[0]["use_count"].as_u64().unwrap()
    };
    assert_eq!((get(), uses()), (200, 1));
    desk.issue();
    assert_eq!((get(), uses()), (200, 1), "as long as its token lives, over connections of the old one");
    desk.place.done(&["tokens", "revoke", "--environment", "testing", "--client", id]);
    assert_eq!((get(), get(), uses()), (200, 200, 2));
}

#[test]
fn beside_a_secret_the_certificate_binds() {
    let desk = Desk::new();
    let client = desk.create(&["--certificate-bound"]);
    let without = Ran::of(desk.bare(&client, &["token", "--no-cache"]).output().unwrap());
    assert!(without.status == 1 && without.err.contains("invalid_request"), "{without:?}");
    assert_eq!(desk.run(&client, &["request", "GET", "/orders"]).status, 0);
    let token = desk.run(&client, &["token"]).out;
    assert_eq!(desk.stolen(token.trim()).code(), "invalid_token");
}
