//! OAuth libraries of others, each as its own documentation shows it, over HTTPS against a real gateway: a token, a
//! call, an introspection and a revocation, by every way of authentication that the library has. A hop between them sees
//! which way it was. What came of it is the table in docs/compatibility.md. `./check` installs the libraries.

mod apache;
mod hop;
mod oauth2_crate;
mod openidconnect_crate;
mod rust_caller;
mod ways;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use self::hop::Hop;
use self::ways::{BASIC, BY_CERTIFICATE, BY_ED25519, BY_ES256, BY_RS256, BY_SELF_SIGNED, POST, Way};
use crate::app::{BINARY, Place, Registered, Server};
use crate::mutual::{Shown, for_orders};
use crate::signing_client::SigningClient;
use crate::tls::Authority;
use crate::upstream::Upstream;

/// One library, and the script that uses it.
struct Library {
    name: &'static str,
    /// By what name its version is pinned.
    package: &'static str,
    script: &'static str,
    /// All that it has and the token service, too.
    ways: &'static [Way],
}

const DEEDS: [&str; 4] = ["token", "call", "introspect", "revoke"];
/// What came of each deed.
type Told = [String; DEEDS.len()];
/// What a script says of what its library has no call for.
const NOT_OFFERED: &str = "not offered by the library";
/// Whoever changed a version or a script writes the table anew by it.
const WRITE: &str = "WRITE_COMPATIBILITY=1 cargo test -p fuuffy --all-features --test it -- libraries";

const BY_SECRET: &[Way] = &[BASIC, POST];
const UNBOUND: &[Way] = &[BASIC, POST, BY_ES256, BY_ED25519, BY_RS256, BY_CERTIFICATE, BY_SELF_SIGNED];
const ALL: &[Way] = &[
    BASIC,
    POST,
    BY_ES256,
    BY_ED25519,
    BY_RS256,
    BASIC.bound_by("ES256"),
    POST.bound_by("Ed25519"),
    BY_ES256.bound_by("ES256"),
    BY_ED25519.bound_by("Ed25519"),
    BY_CERTIFICATE,
    BY_SELF_SIGNED,
];

const LIBRARIES: [Library; 7] = [
    Library {
        name: "Authlib over requests (Python)",
        package: "authlib",
        script: "authlib_requests.py",
        ways: UNBOUND,
    },
    Library { name: "Authlib over httpx (Python)", package: "authlib", script: "authlib_httpx.py", ways: UNBOUND },
    Library {
        name: "requests-oauthlib (Python)",
        package: "requests-oauthlib",
        script: "requests_oauthlib_session.py",
        ways: &[BASIC, POST, BY_CERTIFICATE, BY_SELF_SIGNED],
    },
    Library { name: "httpx-auth (Python)", package: "httpx-auth", script: "httpx_auth_flow.py", ways: &[BASIC] },
    Library { name: "openid-client (Node)", package: "openid-client", script: "openid-client.mjs", ways: ALL },
    Library { name: "oauth4webapi (Node)", package: "oauth4webapi", script: "oauth4webapi.mjs", ways: ALL },
    Library { name: "simple-oauth2 (Node)", package: "simple-oauth2", script: "simple-oauth2.mjs", ways: BY_SECRET },
];

/// An address that is known before a server is, for others find endpoints by it. So that it is nobody else's, it is one of
/// this process's own, and each server of a test has a port there.
fn own_address(port: u16) -> SocketAddr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, 64 | high, middle, low], port))
}

/// A gateway that speaks HTTPS under the address that its metadata tells.
struct Secured {
    place: Place,
    _server: Server,
    /// The token service's issuer, which is the origin of all its endpoints.
    issuer: String,
    upstream: Upstream,
    /// Whose certificates of clients are believed.
    clients: Authority,
}

impl Secured {
    fn serve(port: u16) -> Self {
        Self::serve_as(own_address(port), own_address(port))
    }

    /// One whose metadata tells an address that leads to it. It knows clients by certificate, too.
    fn serve_as(known_as: SocketAddr, address: SocketAddr) -> Self {
        let (issuer, upstream) = (format!("https://{known_as}"), Upstream::friendly());
        let place = Place::new(&format!(
            "data_dir = \"data\"\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [environments.testing]\nlisten = \"{address}\"\nbase_url = \"{issuer}/v1\"\n\
             tls = {{ cert = \"tls/cert.pem\", key = \"tls/key.pem\" }}\n\
             mutual_tls = {{ authorities = \"clients.pem\" }}\n\
             [[environments.testing.routes]]\nprefix = \"/v1/orders\"\nupstreams = [\"http://{}\"]\n",
            upstream.address
        ));
        place.done(&["certs", "issue-local", "--host", &address.ip().to_string()]);
        let clients = Authority::named("Those of clients");
        clients.write_to(&place.path("clients.pem"));
        Self { _server: place.serve(), place, issuer, upstream, clients }
    }

    /// A token of a client's, with a scope.
    fn token(&self, client: &Registered, scope: &str) -> String {
        let mut command = Command::new(BINARY);
        command.args(["token", "--no-cache", "--scope", scope]).env_clear();
        command.env("FUUFFY_CLIENT_ID", &client.id).env("FUUFFY_CLIENT_SECRET", &client.secret);
        command.env("FUUFFY_BASE_URL", format!("{}/v1", self.issuer)).env("SSL_CERT_FILE", self.authority());
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim_end().to_owned()
    }

    /// The certificate of whoever signed the server's.
    fn authority(&self) -> PathBuf {
        self.place.path("tls/ca.pem")
    }
}

/// A client for a way of authentication.
enum Client {
    Secret(Registered),
    /// One that has no secret, and a file with its key.
    Key(SigningClient, PathBuf),
    /// One that has a certificate and its key.
    Certificate(String, [PathBuf; 2]),
}

impl Client {
    fn new(gateway: &Secured, way: Way) -> Self {
        let place = &gateway.place;
        if way == BY_CERTIFICATE || way == BY_SELF_SIGNED {
            return Self::certified(gateway, way);
        }
        let Some(algorithm) = way.algorithm() else {
            return Self::Secret(place.client_with("testing", &[]));
        };
        let client = SigningClient::registered(place, algorithm);
        let file = place.path(format!("{}.pem", client.id));
        std::fs::write(&file, client.pem()).unwrap();
        Self::Key(client, file)
    }

    fn certified(gateway: &Secured, way: Way) -> Self {
        let place = &gateway.place;
        let is_vouched_for = way == BY_CERTIFICATE;
        let shown = match is_vouched_for {
            true => Shown::of(&gateway.clients, &for_orders()),
            false => Shown::self_signed(&for_orders()),
        };
        let files = ["pem", "key"].map(|kind| place.path(format!("{}.{kind}", way.method)));
        std::fs::write(&files[0], in_lines(&shown.pem())).unwrap();
        std::fs::write(&files[1], in_lines(&shown.key_pem())).unwrap();
        let known_by = match is_vouched_for {
            true => ["--san-dns", "orders.example.com"],
            false => ["--certificate", files[0].to_str().unwrap()],
        };
        let create = ["clients", "create", "--environment", "testing", "--name", "Acme"];
        let made = place.done(&[&create[..], &known_by].concat());
        Self::Certificate(made["client_id"].as_str().unwrap().to_owned(), files)
    }

    fn id(&self) -> &str {
        match self {
            Self::Secret(client) => &client.id,
            Self::Key(client, _) => &client.id,
            Self::Certificate(id, _) => id,
        }
    }
}

/// PEM as OpenSSL reads it, which knows no long lines.
fn in_lines(pem: &str) -> String {
    let lines = pem.lines().flat_map(|line| line.as_bytes().chunks(64));
    lines.map(|line| std::str::from_utf8(line).unwrap().to_owned() + "\n").collect()
}

fn folder(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libraries").join(language)
}

/// Where `./check-needs` put what a file pins: a folder named after the file's SHA-256.
pub(crate) fn installed(language: &str, pins: &str) -> PathBuf {
    let digest = Sha256::digest(std::fs::read(folder(language).join(pins)).unwrap());
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("../{language}-libraries-{digest}"));
    path.canonicalize().unwrap_or_else(|error| panic!("{language}'s libraries are not there, run ./check: {error}"))
}

impl Library {
    fn is_python(&self) -> bool {
        self.script.ends_with(".py")
    }

    fn version(&self) -> String {
        if self.is_python() {
            let pins = std::fs::read_to_string(folder("python").join("requirements.txt")).unwrap();
            let pin = pins.lines().find_map(|line| line.strip_prefix(self.package)?.strip_prefix("=="));
            return pin.unwrap().to_owned();
        }
        let pins: Value = serde_json::from_slice(&std::fs::read(folder("node").join("package.json")).unwrap()).unwrap();
        pins["dependencies"][self.package].as_str().unwrap().to_owned()
    }

    fn command(&self, gateway: &Secured) -> Command {
        let mut command;
        if self.is_python() {
            command = Command::new("python3");
            command.arg(folder("python").join(self.script));
            command.env("PYTHONPATH", installed("python", "requirements.txt")).env("PYTHONDONTWRITEBYTECODE", "1");
            command.env("REQUESTS_CA_BUNDLE", gateway.authority()).env("SSL_CERT_FILE", gateway.authority());
        } else {
            command = Command::new("node");
            // Node looks for modules beside the script, so the scripts are copied to where the modules are linked.
            for script in [self.script, "report.mjs"] {
                std::fs::copy(folder("node").join(script), gateway.place.path(script)).unwrap();
            }
            let modules = gateway.place.path("node_modules");
            if !modules.exists() {
                let installed = installed("node", "package-lock.json").join("node_modules");
                std::os::unix::fs::symlink(installed, modules).unwrap();
            }
            command.arg(gateway.place.path(self.script));
            command.env("NODE_EXTRA_CA_CERTS", gateway.authority());
        }
        command
    }

    /// Runs the script, and answers what it told, by deed.
    fn run(&self, gateway: &Secured, client: &Client, way: Way) -> Told {
        let mut command = self.command(gateway);
        command.env("AUTH_METHOD", way.method).env("CLIENT_ID", client.id());
        match client {
            Client::Secret(client) => command.env("CLIENT_SECRET", &client.secret),
            Client::Key(_, file) => command.env("CLIENT_KEY_FILE", file),
            Client::Certificate(_, [certificate, key]) => {
                command.env("CLIENT_CERT_FILE", certificate).env("CLIENT_KEY_FILE", key)
            }
        };
        for (name, algorithm) in [("KEY_ALGORITHM", way.signed_by), ("DPOP_ALGORITHM", way.bound_by)] {
            command.envs(algorithm.map(|algorithm| (name, algorithm)));
        }
        command.env("ISSUER", &gateway.issuer).env("API_URL", format!("{}/v1/orders", gateway.issuer));
        for (name, path) in [("TOKEN_URL", "token"), ("REVOKE_URL", "revoke"), ("INTROSPECT_URL", "introspect")] {
            command.env(name, format!("{}/oauth/{path}", gateway.issuer));
        }
        let ran = command.stdin(Stdio::null()).output();
        let ran = ran.unwrap_or_else(|error| panic!("{} cannot run, run ./check: {error}", self.script));
        let err = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{}: {err}", self.script);
        let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(told["auth_method"], way.method, "{}: {err}", self.script);
        DEEDS.map(|deed| told[deed].as_str().unwrap_or("not tried").to_owned())
    }
}

fn row(name: &str, version: &str, way: Way, told: &Told) -> String {
    let told: Vec<&str> = told.iter().map(|it| if it == NOT_OFFERED { "–" } else { it }).collect();
    format!("| {name} | {version} | {} | {} |\n", way.shown(), told.join(" | "))
}

/// The version of a crate that Cargo.lock pins.
fn locked(name: &str) -> String {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock")).unwrap();
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// Compares the table with what is in docs/compatibility.md, or writes it there.
fn hold(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
    #[expect(clippy::disallowed_methods, reason = "whoever runs the test says by it that the table is to be written")]
    let is_to_write = std::env::var_os("WRITE_COMPATIBILITY").is_some();
    if is_to_write {
        std::fs::write(&path, table).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == table, "docs/compatibility.md is not what came of it, run: {WRITE}\n{table}");
}

/// A gateway, and a hop before it that sees what is sent; and one without, to which callers show certificates.
struct Watched {
    gateway: Secured,
    hop: Hop,
    direct: Secured,
}

impl Watched {
    /// At three ports.
    fn serve(port: u16) -> Self {
        let [address, behind] = [port, port + 1].map(own_address);
        let gateway = Secured::serve_as(address, behind);
        let hop = Hop::start(address, behind, &gateway.place.path("tls"));
        Self { gateway, hop, direct: Secured::serve(port + 2) }
    }

    /// The row of a library, which did all that it can, by this way and no other.
    fn row(&self, (name, version): (&str, &str), way: Way, deeds: impl FnOnce(&Secured, &Client) -> Told) -> String {
        // Each has a client of its own, so that what its API saw is known to be of it.
        let gateway = if way.is_by_certificate() { &self.direct } else { &self.gateway };
        let client = Client::new(gateway, way);
        let told = deeds(gateway, &client);
        let done = [0, 1, 2, 3].map(|deed| told[deed] == "ok");
        let is_well = told.iter().all(|it| it == "ok" || it == NOT_OFFERED) && done[0] && done[1];
        assert!(is_well, "{name} by {}: {told:?}", way.shown());
        if way.is_by_certificate() {
            // Nothing else proves whose it is, and the server says by which it was known: each time but at the API.
            let proven = done.iter().filter(|is_done| **is_done).count() - 1;
            let list = ["clients", "certificates", "list", "--environment", "testing", "--client", client.id()];
            let known = gateway.place.done(&list)[0].clone();
            assert_eq!(
                (&known["method"], &known["use_count"]),
                (&way.method.into(), &proven.into()),
                "{name}: {known}"
            );
        } else {
            assert_eq!(way.missed_by(&self.hop.take(), &done), None, "{name} by {}", way.shown());
        }
        let seen = gateway.upstream.seen();
        assert!(seen.iter().any(|seen| seen.field("x-client-id") == Some(client.id())), "{name}");
        row(name, version, way, &told)
    }
}

#[test]
fn every_library_gets_a_token_and_calls_with_it() {
    let watched = Watched::serve(8443);
    let mut table = include_str!("libraries/heading.md").to_owned();
    for library in &LIBRARIES {
        for way in library.ways {
            let run = |gateway: &Secured, client: &Client| library.run(gateway, client, *way);
            table.push_str(&watched.row((library.name, &library.version()), *way, run));
        }
    }
    for way in [BASIC, POST] {
        let run = |gateway: &Secured, client: &Client| {
            rust_caller::run(gateway, client, async |caller, client| oauth2_crate::deeds(caller, client, way).await)
        };
        table.push_str(&watched.row(("oauth2 (Rust)", &locked("oauth2")), way, run));
    }
    for way in [BASIC, POST] {
        let run = |gateway: &Secured, client: &Client| {
            rust_caller::run(gateway, client, async |caller, client| {
                openidconnect_crate::deeds(caller, client, way).await
            })
        };
        table.push_str(&watched.row(("openidconnect (Rust)", &locked("openidconnect")), way, run));
    }
    table.push_str(include_str!("libraries/ways.md"));
    table.push_str(include_str!("libraries/resource_servers.md"));
    hold(&table);
}

/// A row is of what was sent, and not of what a library was told to send.
#[test]
fn another_way_than_was_said_is_seen() {
    let watched = Watched::serve(8453);
    let client = Client::new(&watched.gateway, BASIC);
    rust_caller::run(&watched.gateway, &client, async |caller, client| {
        oauth2_crate::deeds(caller, client, BASIC).await
    });
    let sent = watched.hop.take();
    let all = [true; DEEDS.len()];
    assert_eq!(BASIC.missed_by(&sent, &all), None);
    for other in [POST, BY_ES256, BASIC.bound_by("ES256")] {
        assert!(other.missed_by(&sent, &all).unwrap().starts_with("token was not as "), "{}", other.shown());
    }
    assert!(BASIC.missed_by(&sent[..1], &all).unwrap().starts_with("call: "), "what is told must have been sent");
    assert!(BASIC.missed_by(&sent, &[true, true, true, false]).unwrap().starts_with("revoke: "));
}
