//! A fault at each write and each sync of a deed: nothing is acknowledged that is not on disk, tokens are
//! still validated, and the next start tells what happened.

use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::app::{Place, Registered, Server, ask_for_token, config, get, post_form, token, token_form};
use crate::http1::request;
use crate::upstream::Upstream;

/// Faults are injected until a run of the deeds has fewer writes and syncs than this.
const LIMIT: usize = 200;

/// The library that makes a chosen write or sync fail, built from `faults.c`.
pub(crate) struct Shim {
    _folder: TempDir,
    library: PathBuf,
}

impl Shim {
    pub(crate) fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("faults.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults.c");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
        assert!(built.unwrap().success(), "the C compiler failed");
        Self { _folder: folder, library }
    }

    pub(crate) fn serve(&self, place: &Place) -> Server {
        let at = place.path("fault");
        let variables = [("LD_PRELOAD", self.library.to_str().unwrap()), ("FUUFFY_FAULT_AT", at.to_str().unwrap())];
        place.try_serve(&variables).unwrap()
    }
}

/// What a run of deeds was told.
struct Told {
    tokens: Vec<String>,
    suspended: bool,
    retired: bool,
    failures: usize,
}

/// Tokens, a new secret that is retired again, and a suspension, with whatever fails on the way.
fn deeds(place: &Place, server: &Server, client: &Registered, doomed: &Registered) -> Told {
    let mut told = Told { tokens: Vec::new(), suspended: false, retired: false, failures: 0 };
    for step in 0..6 {
        let reply = ask_for_token(server.testing, client);
        match reply.status {
            200 => told.tokens.push(reply.json()["data"]["access_token"].as_str().unwrap().to_owned()),
            status => {
                assert_eq!((status, reply.code().as_str()), (503, "service_unavailable"));
                told.failures += 1;
            }
        }
        let done = match step {
            1 => {
                let first = first_secret(place, doomed);
                told.retired = command(place, &["secrets", "retire", "--client", &doomed.id, "--secret", &first]);
                told.retired
            }
            3 => {
                told.suspended = command(place, &["clients", "suspend", &doomed.id]);
                told.suspended
            }
            _ => true,
        };
        told.failures += usize::from(!done);
    }
    told
}

fn command(place: &Place, words: &[&str]) -> bool {
    let output = place.command(&[words, &["--environment", "testing"]].concat());
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    output.status.success()
}

fn first_secret(place: &Place, client: &Registered) -> String {
    let listed = place.done(&["secrets", "list", "--environment", "testing", "--client", &client.id]);
    listed[0]["secret_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_fault_at_any_write_or_sync_breaks_no_promise() {
    let shim = Shim::build();
    let upstream = Upstream::friendly();
    for number in 1..LIMIT {
        let place = Place::new(&config(upstream.address));
        let (client, doomed) = (place.client("testing"), place.client("testing"));
        let server = shim.serve(&place);
        let (earlier, doomed_token) = (token(server.testing, &client), token(server.testing, &doomed));
        std::fs::write(place.path("fault"), number.to_string()).unwrap();
        let told = deeds(&place, &server, &client, &doomed);
        let fired = place.path("fault.fired").exists();
        assert_eq!(fired, told.failures > 0, "fault {number}: a fault and a failure go together");

        // Validation goes on, whatever failed.
        assert_eq!(get(server.testing, "/v1/orders", &earlier).status, 200, "fault {number}");
        for token in &told.tokens {
            assert_eq!(get(server.testing, "/v1/orders", token).status, 200, "fault {number}");
        }
        let ready = request(server.admin, "GET", "/readyz", &[], "");
        assert_eq!(ready.status, if fired { 503 } else { 200 }, "fault {number}: {}", ready.text());
        if fired {
            assert_eq!(ask_for_token(server.testing, &client).status, 503, "fault {number}: no deed after a fault");
            assert_eq!(
                token(server.production, &place.client("production")).len(),
                35,
                "the other environment goes on"
            );
        }
        server.kill();

        let server = place.serve();
        if fired {
            assert!(place.log().contains("The last run stopped writing"), "fault {number}: {}", place.log());
        }
        for token in told.tokens.iter().chain([&earlier]) {
            assert_eq!(
                get(server.testing, "/v1/orders", token).status,
                200,
                "fault {number}: an acknowledged token is lost"
            );
        }
        if told.suspended {
            assert_eq!(get(server.testing, "/v1/orders", &doomed_token).status, 401, "fault {number}");
        }
        if told.retired {
            assert_ne!(ask_for_token(server.testing, &doomed).status, 200, "fault {number}: a retired secret works");
        }
        assert_eq!(ask_for_token(server.testing, &client).status, 200, "fault {number}: deeds go on after a restart");
        assert!(server.stop().success());
        if !fired {
            assert!(number > 10, "only {number} writes and syncs were met");
            return;
        }
    }
    panic!("the deeds have more than {LIMIT} writes and syncs");
}

/// The last row of the contract's table, on both token endpoints.
#[test]
fn a_store_that_cannot_write_is_503_in_both_shapes() {
    let shim = Shim::build();
    let place = Place::new(&config(Upstream::friendly().address));
    let client = place.client("testing");
    let server = shim.serve(&place);
    std::fs::write(place.path("fault"), "1").unwrap();
    let guide = ask_for_token(server.testing, &client);
    let standard = post_form(server.testing, "/oauth/token", &token_form(&client));
    for reply in [&guide, &standard] {
        assert_eq!((reply.status, reply.field("retry-after")), (503, Some("30")));
        assert_eq!(
            (reply.field("content-type"), reply.field("cache-control")),
            (Some("application/json"), Some("no-store"))
        );
        assert!(reply.field("x-request-id").is_some());
    }
    assert_snapshot!(guide.text(), @r#"{"error":{"code":"service_unavailable","message":"The service cannot take the request now","details":"Try again after the seconds that Retry-After names"}}"#);
    assert_snapshot!(standard.text(), @r#"{"error":"service_unavailable","error_description":"The service cannot take the request now"}"#);
    let refused = place.command(&["clients", "create", "--environment", "testing", "--name", "x"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_snapshot!(String::from_utf8_lossy(&refused.stderr), @"Nothing was changed: the store cannot write: an earlier write failed");
    assert!(
        request(server.admin, "GET", "/metrics", &[], "")
            .text()
            .contains(r#"fuuffy_store_writable{environment="testing"} 0"#)
    );
}
