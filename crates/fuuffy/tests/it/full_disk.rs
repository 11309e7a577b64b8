//! A full disk: what gives access is refused in clear words, what takes it away is done, tokens are validated,
//! and all goes on by itself when there is room. `faults.c` fills the disk.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use rusqlite::Connection;

use crate::app::{BINARY, Place, Registered, Server, ask_for_token, config, get, token};
use crate::explain::by_secret;
use crate::faults::Shim;
use crate::http1::{Reply, request};
use crate::upstream::Upstream;

const RESERVED: u64 = 4 << 20;

fn fill(place: &Place, after_writes: usize) {
    std::fs::write(place.path("fault.full"), after_writes.to_string()).unwrap();
}

fn in_testing<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [words, &["--environment", "testing"]].concat()
}

fn done(place: &Place, words: &[&str]) {
    let output = place.command(&in_testing(words));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Revokes one token, which stands on standard input.
fn revoke(place: &Place, token: &str) {
    let mut child = Command::new(BINARY)
        .args(in_testing(&["tokens", "revoke", "--token", "-"]))
        .arg("--config")
        .arg(place.config_file())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    child.as_mut().unwrap().stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    assert!(child.unwrap().wait().unwrap().success());
}

fn is_valid(server: &Server, token: &str) -> bool {
    let status = get(server.testing, "/v1/orders", token).status;
    assert!(matches!(status, 200 | 401), "{status}");
    status == 200
}

fn reserved(place: &Place) -> u64 {
    std::fs::metadata(place.path("data/testing.reserve")).unwrap().len()
}

/// A client's request for another secret.
fn ask_for_secret(server: &Server, client: &Registered) -> Reply {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", client.id, client.secret));
    request(server.testing, "POST", "/v1/auth/secrets", &[("authorization", &format!("Basic {basic}"))], "")
}

/// Why the store did not write, as the operator is told, and as the client is not.
fn told(place: &Place, server: &Server, refused: &Reply, client: &Registered) -> String {
    assert_eq!((refused.status, refused.code().as_str()), (503, "service_unavailable"));
    let own = by_secret(server.testing, client, refused);
    assert_eq!(own.json()["data"]["happened"], "The token service could not write");
    assert!(!own.text().contains("disk"), "{}", own.text());
    let explanation = place.done(&["explain", refused.field("x-request-id").unwrap()]);
    assert_eq!(explanation["client_id"], client.id);
    explanation["happened"].as_str().unwrap().to_owned()
}

/// Clients, and a token of each.
struct Cast {
    good: (Registered, String),
    suspended: (Registered, String),
    deleted: (Registered, String),
    revoked: (Registered, String),
    one: String,
}

impl Cast {
    fn meet(place: &Place, server: &Server) -> Self {
        let new = || {
            let client = place.client("testing");
            let token = token(server.testing, &client);
            (client, token)
        };
        let good = new();
        let one = token(server.testing, &good.0);
        Self { suspended: new(), deleted: new(), revoked: new(), good, one }
    }

    fn hold(&self, server: &Server) {
        assert!(is_valid(server, &self.good.1), "validation goes on");
        let gone = [&self.suspended.1, &self.deleted.1, &self.revoked.1, &self.one];
        assert!(gone.iter().all(|token| !is_valid(server, token)), "an acknowledged revocation holds");
    }
}

#[test]
fn a_disk_that_is_full_at_any_write_refuses_what_gives_access_and_revokes() {
    let shim = Shim::build();
    let upstream = Upstream::friendly();
    for writes in 0..12 {
        let place = Place::new(&config(upstream.address));
        let server = shim.serve(&place);
        let cast = Cast::meet(&place, &server);
        fill(&place, writes);
        // So many writes may be enough for some deeds.
        let refused = (0..12).map(|_| place.command(&in_testing(&["clients", "create", "--name", "x"])));
        let refused = refused.into_iter().find(|output| !output.status.success()).unwrap();
        assert_eq!(refused.status.code(), Some(1));
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.starts_with("Nothing was changed: the disk is full"), "{words}");
        let reply = ask_for_token(server.testing, &cast.good.0);
        assert_eq!(
            (reply.status, reply.code().as_str(), reply.field("retry-after")),
            (503, "service_unavailable", Some("30"))
        );
        let ready = request(server.admin, "GET", "/readyz", &[], "");
        assert_eq!(ready.status, 503);
        assert!(ready.text().contains("the disk of the store of testing is full"), "{}", ready.text());
        let metrics = request(server.admin, "GET", "/metrics", &[], "").text();
        assert!(metrics.contains(r#"fuuffy_store_writable{environment="testing"} 0"#), "{metrics}");

        done(&place, &["clients", "suspend", &cast.suspended.0.id]);
        done(&place, &["clients", "delete", &cast.deleted.0.id]);
        done(&place, &["tokens", "revoke", "--client", &cast.revoked.0.id]);
        revoke(&place, &cast.one);
        cast.hold(&server);
        assert_eq!(reserved(&place), 0, "it is what they were written to");
        assert_eq!(ask_for_token(server.testing, &cast.good.0).status, 503, "and nothing else is");
        server.kill();

        let server = place.serve();
        cast.hold(&server);
        assert_eq!(ask_for_token(server.testing, &cast.good.0).status, 200);
        assert_eq!(reserved(&place), RESERVED, "made again when there is room");
        assert!(place.log().contains("The last run did not end cleanly"), "it is no failed write");
        assert!(server.stop().success());
        let proof = place.done(&in_testing(&["audit", "verify"]));
        assert_eq!(proof["verdict"], "proven", "{proof}");
    }
}

#[test]
fn it_goes_on_by_itself_when_there_is_room() {
    let shim = Shim::build();
    let place = Place::new(&config(Upstream::friendly().address));
    let server = shim.serve(&place);
    let cast = Cast::meet(&place, &server);
    fill(&place, 0);
    let refused = ask_for_token(server.testing, &cast.good.0);
    assert_eq!(told(&place, &server, &refused, &cast.good.0), "The disk of the store was full");
    assert_eq!(reserved(&place), RESERVED, "it is not for tokens");
    done(&place, &["clients", "suspend", &cast.suspended.0.id]);
    assert_eq!(reserved(&place), 0);
    std::fs::remove_file(place.path("fault.full")).unwrap();
    // It is tried once a second.
    while request(server.admin, "GET", "/readyz", &[], "").status != 200 {
        std::thread::yield_now();
    }
    assert_eq!(reserved(&place), RESERVED);
    assert!(is_valid(&server, &token(server.testing, &cast.good.0)));
    assert!(!is_valid(&server, &cast.suspended.1));
    assert!(place.log().contains("There is room on the disk again"), "{}", place.log());
    assert!(server.stop().success());
    place.done(&in_testing(&["audit", "verify"]));
}

/// Neither is there without the other: a deed that cannot be written into the audit log is not done.
#[test]
fn without_its_record_no_deed_is_done_and_tokens_are_still_validated() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let client = place.client("testing");
    let rotating = place.client_with("testing", &["--allow-rotation"]);
    let earlier = token(server.testing, &client);
    let beside = Connection::open(place.path("data/testing.sqlite3")).unwrap();
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no audit today'); END";
    beside.execute_batch(refuse).unwrap();
    let refused = place.command(&in_testing(&["clients", "suspend", &client.id]));
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.starts_with("Nothing was changed: the store cannot write: no audit today"), "{words}");
    assert!(is_valid(&server, &earlier), "it was not suspended");
    let why = "The store could not write: an earlier write failed";
    assert_eq!(told(&place, &server, &ask_for_token(server.testing, &client), &client), why);
    assert_eq!(told(&place, &server, &ask_for_secret(&server, &rotating), &rotating), why);
    server.kill();
    beside.execute_batch("DROP TRIGGER no").unwrap();
    drop(beside);
    let server = place.serve();
    assert!(is_valid(&server, &earlier), "after a restart neither");
    assert_eq!(place.done(&in_testing(&["clients", "show", &client.id]))["status"], "active");
}
