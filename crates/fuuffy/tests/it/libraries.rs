//! OAuth libraries of others, each as its own documentation shows it, over HTTPS against a real gateway: a token, a
//! call, an introspection and a revocation. What came of it is the table in docs/compatibility.md. `./check` installs
//! the libraries.

mod apache;
mod oauth2_crate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::app::{BINARY, Place, Registered, Server};
use crate::upstream::Upstream;

/// One library, and the script that uses it.
struct Library {
    name: &'static str,
    /// By what name its version is pinned.
    package: &'static str,
    script: &'static str,
    methods: &'static [&'static str],
}

const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";
const DEEDS: [&str; 4] = ["token", "call", "introspect", "revoke"];
/// What a script says of what its library has no call for.
const NOT_OFFERED: &str = "not offered by the library";
/// Whoever changed a version or a script writes the table anew by it.
const WRITE: &str = "WRITE_COMPATIBILITY=1 cargo test -p fuuffy --all-features --test it -- libraries";

const LIBRARIES: [Library; 7] = [
    Library {
        name: "Authlib over requests (Python)",
        package: "authlib",
        script: "authlib_requests.py",
        methods: &[BASIC, POST],
    },
    Library {
        name: "Authlib over httpx (Python)",
        package: "authlib",
        script: "authlib_httpx.py",
        methods: &[BASIC, POST],
    },
    Library {
        name: "requests-oauthlib (Python)",
        package: "requests-oauthlib",
        script: "requests_oauthlib_session.py",
        methods: &[BASIC, POST],
    },
    Library { name: "httpx-auth (Python)", package: "httpx-auth", script: "httpx_auth_flow.py", methods: &[BASIC] },
    Library {
        name: "openid-client (Node)",
        package: "openid-client",
        script: "openid-client.mjs",
        methods: &[BASIC, POST],
    },
    Library {
        name: "oauth4webapi (Node)",
        package: "oauth4webapi",
        script: "oauth4webapi.mjs",
        methods: &[BASIC, POST],
    },
    Library {
        name: "simple-oauth2 (Node)",
        package: "simple-oauth2",
        script: "simple-oauth2.mjs",
        methods: &[BASIC, POST],
    },
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
}

impl Secured {
    fn serve(port: u16) -> Self {
        let address = own_address(port);
        let (issuer, upstream) = (format!("https://{address}"), Upstream::friendly());
        let place = Place::new(&format!(
            "data_dir = \"data\"\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [environments.testing]\nlisten = \"{address}\"\nbase_url = \"{issuer}/v1\"\n\
             tls = {{ cert = \"tls/cert.pem\", key = \"tls/key.pem\" }}\n\
             [[environments.testing.routes]]\nprefix = \"/v1/orders\"\nupstreams = [\"http://{}\"]\n",
            upstream.address
        ));
        place.done(&["certs", "issue-local", "--host", &address.ip().to_string()]);
        Self { _server: place.serve(), place, issuer, upstream }
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
    fn run(&self, gateway: &Secured, client: &Registered, method: &str) -> [String; DEEDS.len()] {
        let mut command = self.command(gateway);
        command.env("AUTH_METHOD", method).env("CLIENT_ID", &client.id).env("CLIENT_SECRET", &client.secret);
        command.env("ISSUER", &gateway.issuer).env("API_URL", format!("{}/v1/orders", gateway.issuer));
        for (name, path) in [("TOKEN_URL", "token"), ("REVOKE_URL", "revoke"), ("INTROSPECT_URL", "introspect")] {
            command.env(name, format!("{}/oauth/{path}", gateway.issuer));
        }
        let ran = command.stdin(Stdio::null()).output();
        let ran = ran.unwrap_or_else(|error| panic!("{} cannot run, run ./check: {error}", self.script));
        let err = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{}: {err}", self.script);
        let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(told["auth_method"], method, "{}: {err}", self.script);
        DEEDS.map(|deed| told[deed].as_str().unwrap_or("not tried").to_owned())
    }
}

fn row(name: &str, version: &str, method: &str, told: &[String]) -> String {
    let told: Vec<&str> = told.iter().map(|it| if it == NOT_OFFERED { "–" } else { it }).collect();
    format!("| {name} | {version} | `{method}` | {} |\n", told.join(" | "))
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

#[test]
fn every_library_gets_a_token_and_calls_with_it() {
    let gateway = Secured::serve(8443);
    let mut table = include_str!("libraries/heading.md").to_owned();
    for library in &LIBRARIES {
        for method in library.methods {
            // Each has a client of its own, so that what its API saw is known to be of it.
            let client = gateway.place.client_with("testing", &[]);
            let told = library.run(&gateway, &client, method);
            let is_well = told.iter().all(|it| it == "ok" || it == NOT_OFFERED) && told[0] == "ok" && told[1] == "ok";
            assert!(is_well, "{} by {method}: {told:?}", library.name);
            let seen = gateway.upstream.seen();
            assert!(seen.iter().any(|seen| seen.field("x-client-id") == Some(&client.id)), "{}", library.name);
            table.push_str(&row(library.name, &library.version(), method, &told));
        }
    }
    for method in [BASIC, POST] {
        let told = oauth2_crate::run(&gateway, &gateway.place.client_with("testing", &[]), method);
        table.push_str(&row("oauth2 (Rust)", &locked("oauth2"), method, &told));
    }
    table.push_str(include_str!("libraries/resource_servers.md"));
    hold(&table);
}
