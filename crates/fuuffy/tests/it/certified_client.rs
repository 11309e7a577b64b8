//! An integrator with a certificate: the commands and the agent show it on every connection, and another one once it is
//! there; a token is used with the certificate which it was granted for, and with no other.

mod gateway;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use fuuffy_client::CertificateFiles;
use rustls::ALL_VERSIONS;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::app::BINARY;
use crate::http1::request;
use crate::integrator::Ran;
use crate::tls::{Authority, Identity, Terminator};
use crate::upstream::{Act, Upstream, ok};

/// A client's certificate in files, and a gateway over TLS that grants tokens to anybody.
struct Desk {
    folder: tempfile::TempDir,
    authority: Authority,
    gateway: Upstream,
    tls: Terminator,
}

/// An agent, until the test ends.
struct Agent(Child, SocketAddr);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Desk {
    fn new() -> Self {
        Self::with(|authority| authority.certify_asking("localhost", true, ALL_VERSIONS))
    }

    /// A gateway that refuses the token with this number once.
    fn with(identity: impl FnOnce(&Authority) -> Identity) -> Self {
        let gateway = Upstream::start(|seen, before| {
            let bears = seen.field("authorization").unwrap_or_default();
            match seen.target.as_str() {
                "/v1/auth/token" => {
                    let members =
                        format!(r#""access_token":"sk-{before:032x}","token_type":"Bearer","expires_in":3600"#);
                    Act::Answer(ok(&format!(r#"{{"data":{{{members}}}}}"#)))
                }
                "/v1/revoked" if bears.ends_with("sk-00000000000000000000000000000000") => {
                    let challenge = r#"WWW-Authenticate: Bearer realm="fuuffy", error="invalid_token""#;
                    Act::Answer(format!("HTTP/1.1 401 No\r\n{challenge}\r\ncontent-length: 0\r\n\r\n").into_bytes())
                }
                _ => Act::Answer(ok(r#"{"data":[]}"#)),
            }
        });
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        authority.write_to(&folder.path().join("ca.pem"));
        let tls = Terminator::start(&identity(&authority), gateway.address);
        let desk = Self { folder, authority, gateway, tls };
        desk.issue((1975, 4096));
        desk
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts another certificate in the place of the one before.
    fn issue(&self, years: (i32, i32)) {
        self.authority.write_pair("orders", years, (&self.file("cert.pem"), &self.file("key.pem")));
    }

    /// What is in the files.
    fn thumbprint(&self) -> String {
        let files = CertificateFiles::new(self.file("cert.pem"), self.file("key.pem"));
        files.read().unwrap().thumbprint().to_owned()
    }

    /// A command whose client has nothing yet.
    fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).env_clear().stdin(Stdio::null());
        command.env("FUUFFY_BASE_URL", self.tls.base_url()).env("FUUFFY_CLIENT_ID", "my-id");
        command.env("SSL_CERT_FILE", self.file("ca.pem")).env("XDG_CACHE_HOME", self.file("cache"));
        command
    }

    /// A command whose client has a certificate and nothing else.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.env("FUUFFY_CLIENT_CERT_FILE", self.file("cert.pem"));
        command.env("FUUFFY_CLIENT_CERT_KEY_FILE", self.file("key.pem"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// The requests so far, and which certificate was shown with each.
    fn arrived(&self) -> Vec<(String, Option<String>)> {
        self.tls.arrivals().into_iter().map(|arrival| (arrival.target, arrival.shown)).collect()
    }

    fn agent(&self) -> Agent {
        Agent::start(self.command(&["agent", "--listen", "127.0.0.1:0", "--no-cache"]))
    }
}

impl Agent {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = ready["ready"]["agent"].as_str().unwrap().parse().unwrap();
        Self(child, address)
    }
}

/// A request that came with a certificate.
fn with(target: &str, thumbprint: &str) -> (String, Option<String>) {
    (target.to_owned(), Some(thumbprint.to_owned()))
}

#[test]
fn a_certificate_is_all_that_a_command_needs() {
    let desk = Desk::new();
    let shown = desk.thumbprint();
    let ran = desk.run(&["request", "GET", "/orders"]);
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, r#"{"data":[]}"#, ""));
    assert_eq!(desk.arrived(), [with("/v1/auth/token", &shown), with("/v1/orders", &shown)]);
    let asked = String::from_utf8(desk.gateway.seen()[0].body.clone()).unwrap();
    assert_eq!(asked, "grant_type=client_credentials&client_id=my-id");
    let token = desk.run(&["token"]);
    assert!(token.out.starts_with("sk-") && token.err.contains("certificate"), "{token:?}");
    let none = Ran::of(desk.bare(&["token"]).output().unwrap());
    assert!(none.status == 2 && none.err.contains("FUUFFY_CLIENT_CERT_FILE"), "{none:?}");
}

#[test]
fn a_profile_names_the_files_and_a_secret_goes_beside_them() {
    let desk = Desk::new();
    let (cert, key) = (desk.file("cert.pem"), desk.file("key.pem"));
    let profile =
        format!("[testing]\nclient_cert_file = \"{}\"\nclient_cert_key_file = \"{}\"\n", cert.display(), key.display());
    std::fs::write(desk.file("profiles.toml"), profile).unwrap();
    let run = |more: &[(&str, &str)]| {
        let mut command = desk.bare(&["request", "GET", "/orders", "--no-cache"]);
        Ran::of(command.env("FUUFFY_PROFILES", desk.file("profiles.toml")).envs(more.iter().copied()).output().unwrap())
    };
    assert_eq!(run(&[]).status, 0);
    assert_eq!(run(&[("FUUFFY_CLIENT_SECRET", "my-secret")]).status, 0);
    let bodies: Vec<String> = desk.gateway.seen().iter().map(|it| String::from_utf8_lossy(&it.body).into()).collect();
    assert!(!bodies[0].contains("client_secret") && bodies[2].contains("client_secret=my-secret"), "{bodies:?}");
    let shown = desk.thumbprint();
    assert!(desk.arrived().iter().all(|(_, certificate)| certificate.as_deref() == Some(&shown)));
    // The two belong together, so one of them is not taken from elsewhere.
    let half = run(&[("FUUFFY_CLIENT_CERT_FILE", cert.to_str().unwrap())]);
    assert!(half.status == 2 && half.err.contains("without FUUFFY_CLIENT_CERT_KEY_FILE"), "{half:?}");
}

#[test]
fn a_token_of_one_certificate_is_not_handed_out_for_another() {
    let desk = Desk::new();
    let (first, token) = (desk.thumbprint(), || desk.run(&["token"]).out);
    let before = token();
    assert_eq!(token(), before);
    desk.issue((1975, 4096));
    let after = token();
    assert!(after.starts_with("sk-") && after != before, "{after}");
    assert_eq!(token(), after);
    assert_eq!(desk.arrived(), [with("/v1/auth/token", &first), with("/v1/auth/token", &desk.thumbprint())]);
}

#[test]
fn the_agent_takes_up_another_certificate_with_its_next_token() {
    let desk = Desk::new();
    let (first, agent) = (desk.thumbprint(), desk.agent());
    let get = |path: &str| request(agent.1, "GET", path, &[], "").status;
    assert_eq!(get("/v1/orders"), 200);
    desk.issue((1975, 4096));
    let second = desk.thumbprint();
    assert_eq!(get("/v1/orders"), 200);
    assert_eq!(get("/v1/revoked"), 200);
    assert_eq!(get("/v1/orders"), 200);
    assert_eq!(
        desk.arrived(),
        [
            with("/v1/auth/token", &first),
            with("/v1/orders", &first),
            with("/v1/orders", &first),
            with("/v1/revoked", &first),
            with("/v1/auth/token", &second),
            with("/v1/revoked", &second),
            with("/v1/orders", &second),
        ]
    );
    assert_eq!(desk.tls.handshakes(), (2, 0), "one for each certificate");
}

#[test]
fn without_tls_there_is_nobody_to_show_it_to() {
    let desk = Desk::new();
    let base_url = format!("http://{}/v1", desk.gateway.address);
    for arguments in
        [&["token"][..], &["request", "GET", "/orders"], &["agent", "--listen", "127.0.0.1:0"], &["doctor"]]
    {
        let ran = Ran::of(desk.command(arguments).env("FUUFFY_BASE_URL", &base_url).output().unwrap());
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(format!("{}{}", ran.out, ran.err).contains("is in clear"), "{ran:?}");
    }
    assert!(desk.gateway.seen().is_empty());
}

fn finding(ran: &Ran, check: &str) -> Value {
    let findings = ran.json();
    findings.as_array().unwrap().iter().find(|finding| finding["check"] == check).expect("a finding").clone()
}

#[test]
fn doctor_tells_whose_certificate_it_is_and_when_it_ends() {
    let desk = Desk::new();
    let ran = desk.run(&["doctor", "--json"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(finding(&ran, "variables")["found"].as_str().unwrap().ends_with("and a certificate"), "{ran:?}");
    let told = finding(&ran, "certificate");
    assert_eq!(told["status"], "ok");
    for part in ["CN=rcgen", "4096", &desk.thumbprint()] {
        assert!(told["found"].as_str().unwrap().contains(part), "{part}: {told}");
    }
    let shown = desk.thumbprint();
    assert!(
        desk.arrived().iter().all(|(_, certificate)| certificate.as_deref() == Some(&shown)),
        "at the look at TLS, too"
    );
    desk.issue((3000, 4096));
    let told = finding(&desk.run(&["doctor", "--json"]), "certificate");
    assert!(told["status"] == "warning" && told["found"].as_str().unwrap().contains("not valid before"), "{told}");
    desk.issue((1975, 1999));
    let ran = desk.run(&["doctor", "--json"]);
    let told = finding(&ran, "certificate");
    assert!(told["status"] == "warning" && told["found"].as_str().unwrap().contains("has expired"), "{told}");
    let refused = finding(&ran, "TLS");
    assert!(refused["status"] == "failed" && refused["advice"].as_str().unwrap().contains("certificate"), "{refused}");
    std::fs::write(desk.file("key.pem"), "nothing").unwrap();
    let ran = desk.run(&["doctor", "--json"]);
    let told = finding(&ran, "certificate");
    assert_eq!((ran.status, &told["status"]), (2, &json!("failed")));
    assert!(told["found"].as_str().unwrap().contains("key.pem"), "{told}");
}

#[test]
fn whoever_has_none_where_one_is_needed_is_told() {
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let desk = Desk::with(|authority| authority.certify_asking("localhost", false, versions));
        let mut command = desk.bare(&["doctor", "--json"]);
        let ran = Ran::of(command.env("FUUFFY_CLIENT_SECRET", "fsk").output().unwrap());
        let told = finding(&ran, "TLS");
        assert!(told["advice"].as_str().unwrap().contains("FUUFFY_CLIENT_CERT_FILE"), "{told}");
        assert_eq!(desk.run(&["token", "--no-cache"]).status, 0);
    }
    // In the handshake, so that it is known for what it is, and nobody tries again.
    let desk = Desk::with(|authority| authority.certify_asking("localhost", true, &[&TLS12]));
    desk.issue((1975, 1999));
    let ran = desk.run(&["token"]);
    assert!(ran.status == 1 && ran.err.contains("the server refused the client's certificate"), "{ran:?}");
    assert_eq!((desk.arrived(), desk.tls.handshakes()), (Vec::new(), (0, 1)));
}
