//! The integrator's commands over HTTPS: HTTP/2 on one connection, an authority of the operator's own, and what
//! is said and what is never sent where the server's certificate does not hold.

use std::process::Command;

use http::Version;
use serde_json::json;

use crate::app::BINARY;
use crate::integrator::{Desk, Ran};
use crate::tls::{Authority, Identity, Terminator};
use crate::upstream::{Act, Upstream, ok};

/// A desk whose gateway is reached over TLS alone.
struct Secured {
    desk: Desk,
    tls: Terminator,
}

impl Secured {
    fn new() -> Self {
        Self::with(Upstream::friendly())
    }

    fn with(upstream: Upstream) -> Self {
        Self::by(upstream, |authority| authority.certify("localhost"))
    }

    fn by(upstream: Upstream, identity: impl FnOnce(&Authority) -> Identity) -> Self {
        let (desk, authority) = (Desk::with(upstream), Authority::new());
        authority.write_to(&desk.place.path("ca.pem"));
        let tls = Terminator::start(&identity(&authority), desk.server.testing);
        Self { desk, tls }
    }

    /// A command with the client's variables, that trusts the test's authority.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.desk.command(arguments);
        command.env("FUUFFY_BASE_URL", self.tls.base_url()).env("SSL_CERT_FILE", self.desk.place.path("ca.pem"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// What arrived: each by HTTP/2, for the right name; the paths, and by how many connections they came.
    fn arrived(&self) -> (Vec<String>, usize) {
        let arrivals = self.tls.arrivals();
        for arrival in &arrivals {
            assert_eq!((arrival.version, arrival.name.as_deref()), (Version::HTTP_2, Some("localhost")));
        }
        let connections = arrivals.iter().map(|arrival| arrival.connection).collect::<std::collections::BTreeSet<_>>();
        (arrivals.into_iter().map(|arrival| arrival.target).collect(), connections.len())
    }
}

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

#[test]
fn a_command_has_one_connection_and_http2() {
    let secured = Secured::new();
    let ran = secured.run(&["request", "GET", "/orders", "--no-cache"]);
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, r#"{"data":[]}"#, ""));
    assert_eq!(secured.arrived(), (paths(&["/v1/auth/token", "/v1/orders"]), 1));
    assert_eq!(secured.tls.handshakes(), (1, 0));
    let token = secured.run(&["token"]);
    assert!(token.status == 0 && token.out.starts_with("sk-"), "{token:?}");
}

#[test]
fn a_server_without_http2_is_spoken_to_by_http1() {
    let secured = Secured::by(Upstream::friendly(), |authority| authority.certify("localhost").without_http2());
    assert_eq!(secured.run(&["request", "GET", "/orders"]).status, 0);
    let arrivals = secured.tls.arrivals();
    assert!(arrivals.iter().all(|arrival| arrival.version == Version::HTTP_11), "{arrivals:?}");
    assert_eq!((arrivals.len(), secured.tls.handshakes()), (2, (1, 0)));
}

#[test]
fn a_large_file_is_sent_whole() {
    let secured = Secured::new();
    let large: String = "0123456789abcdef".repeat(3 * 1024 * 1024 / 16);
    let file = secured.desk.place.path("large");
    std::fs::write(&file, &large).unwrap();
    let ran = secured.run(&["request", "POST", "/orders", "--data", &format!("@{}", file.display())]);
    assert_eq!((ran.status, ran.out.as_str()), (0, r#"{"data":[]}"#), "{ran:?}");
    let seen = secured.desk.upstream.last();
    assert_eq!((seen.body.len(), seen.body == large.as_bytes()), (large.len(), true));
    assert_eq!(seen.field("content-length"), Some(large.len().to_string().as_str()));
    assert_eq!(secured.arrived().1, 1);
}

#[test]
fn all_pages_come_by_one_connection() {
    let secured = Secured::with(Upstream::start(|seen, _| {
        let number: u32 = seen.target.split("page=").nth(1).map_or(1, |number| number.parse().unwrap());
        let pagination = format!(r#"{{"total":5,"page":{number},"per_page":1,"total_pages":5}}"#);
        Act::Answer(ok(&format!(r#"{{"data":[{number}],"pagination":{pagination}}}"#)))
    }));
    let ran = secured.run(&["request", "GET", "/orders", "--page-all"]);
    assert_eq!((ran.status, ran.json()), (0, json!({"data": [1, 2, 3, 4, 5]})));
    let (paths, connections) = secured.arrived();
    assert_eq!((paths.len(), connections), (6, 1));
}

#[test]
fn doctor_finds_nothing_over_https() {
    let secured = Secured::new();
    let ran = secured.run(&["doctor"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.lines().all(|line| line.starts_with("ok ")), "{ran:?}");
    assert!(ran.out.contains("the certificate is trusted"), "{ran:?}");
    // One for the look at TLS, and one for the token and the call.
    let (paths, connections) = secured.arrived();
    assert_eq!((&paths[1..], connections), (&["/v1/auth/token".to_owned(), "/v1/orders".to_owned()][..], 2));
}

/// Each certificate that does not hold: what is said of it, and what to do.
#[test]
fn a_certificate_that_does_not_hold_is_told_and_gets_no_secret() {
    const UNKNOWN: &str = "an authority that this machine does not know";
    type Certify = fn(&Authority) -> Identity;
    let cases: [(&str, Certify, &str, &str); 5] = [
        ("unknown", |_| Authority::named("Somebody").certify("localhost"), UNKNOWN, "SSL_CERT_FILE"),
        ("made anew", |_| Authority::new().certify("localhost"), UNKNOWN, "SSL_CERT_FILE"),
        ("expired", |authority| authority.certify_for("localhost", (1999, 2001)), "has expired", "renews it"),
        ("early", |authority| authority.certify_for("localhost", (3000, 3001)), "not valid yet", "clock right"),
        ("name", |authority| authority.certify("api.example"), "for another name", "write the host in the base URL"),
    ];
    for (case, certify, words, advice) in cases {
        let secured = Secured::by(Upstream::friendly(), certify);
        let doctor = secured.run(&["doctor", "--json"]);
        let findings = doctor.json();
        let last = findings.as_array().unwrap().last().unwrap();
        assert_eq!((doctor.status, &last["check"], &last["status"]), (1, &json!("TLS"), &json!("failed")), "{case}");
        assert!(last["found"].as_str().unwrap().contains(words), "{case}: {last}");
        assert!(last["advice"].as_str().unwrap().contains(advice), "{case}: {last}");
        for arguments in [&["request", "GET", "/orders"][..], &["token"]] {
            let ran = secured.run(arguments);
            assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{case}");
            assert!(ran.err.contains(words), "{case}: {ran:?}");
            assert!(!ran.err.contains("again") && ran.err.lines().count() == 1, "asked once: {case}: {ran:?}");
            assert!(!ran.err.contains(&secured.desk.client.secret[12..]), "{ran:?}");
        }
        assert_eq!(secured.tls.arrivals(), [], "{case}: nothing is sent");
        assert_eq!(secured.tls.handshakes().0, 0, "{case}");
    }
}

#[test]
fn a_file_of_authorities_that_is_none_is_told() {
    let secured = Secured::new();
    for (name, text) in [("empty.pem", ""), ("wrong.pem", "not a certificate")] {
        let file = secured.desk.place.path(name);
        std::fs::write(&file, text).unwrap();
        let ran = Ran::of(secured.command(&["token"]).env("SSL_CERT_FILE", &file).output().unwrap());
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(ran.err.contains("SSL_CERT_FILE") && ran.err.contains("no HTTP client"), "{ran:?}");
        let plain = Ran::of(secured.desk.command(&["token"]).env("SSL_CERT_FILE", &file).output().unwrap());
        assert_eq!(plain.status, 0, "in clear there is nobody to trust: {plain:?}");
    }
    assert_eq!(secured.tls.handshakes(), (0, 0));
}

#[test]
fn a_redirect_is_never_followed_with_the_secret() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Upstream::friendly();
        let other = Terminator::start(&Authority::new().certify("localhost"), elsewhere.address);
        for target in
            [format!("http://{}/v1/auth/token", elsewhere.address), format!("{}/auth/token", other.base_url())]
        {
            let gateway = Upstream::start(move |_, _| {
                let head = format!("HTTP/1.1 {status} Moved\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
                Act::Answer(head.into_bytes())
            });
            let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
            let ca = folder.path().join("ca.pem");
            authority.write_to(&ca);
            let tls = Terminator::start(&authority.certify("localhost"), gateway.address);
            let mut command = Command::new(BINARY);
            command.args(["token", "--base-url", &tls.base_url(), "--no-cache"]).env_clear();
            command.env("SSL_CERT_FILE", &ca);
            command.env("FUUFFY_CLIENT_ID", "my-id").env("FUUFFY_CLIENT_SECRET", "my-secret");
            let ran = Ran::of(command.output().unwrap());
            assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{ran:?}");
            assert!(ran.err.contains("redirects are not followed"), "{ran:?}");
            assert_eq!(gateway.seen().len(), 1);
        }
        assert!(elsewhere.seen().is_empty() && other.handshakes() == (0, 0));
    }
}

#[test]
fn a_port_that_speaks_plain_http_gets_no_secret() {
    let secured = Secured::new();
    let base = format!("https://localhost:{}/v1", secured.desk.server.testing.port());
    let run = |arguments: &[&str]| Ran::of(secured.command(arguments).env("FUUFFY_BASE_URL", &base).output().unwrap());
    let ran = run(&["token"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.err.contains("does not speak TLS at that port"), "{ran:?}");
    let doctor = run(&["doctor"]);
    assert!(doctor.status == 1 && doctor.out.contains("is the port that of HTTPS?"), "{doctor:?}");
    assert_eq!(secured.desk.token_requests(), 0);
}
