//! Revocation: acknowledged when it holds, and it holds from the acknowledgement on.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::app::{BINARY, Place, Server, StopsAll, config, get, token};
use crate::http1::{Connection, Reply};
use crate::upstream::Upstream;

fn served() -> (Place, Server) {
    let unlimited = "\n[plans.standard]\nlimits = [\"1000000/s\"]\n";
    let place = Place::new(&(config(Upstream::friendly().address) + unlimited));
    let server = place.serve();
    (place, server)
}

/// Revokes as `fuuffy tokens revoke --token -` does.
pub(crate) fn revoke_by_command(place: &Place, text: &str) -> (Option<i32>, String) {
    let mut child = Command::new(BINARY)
        .args(["tokens", "revoke", "--environment", "testing", "--token", "-", "--json", "--config"])
        .arg(place.config_file())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// An operator's request through the socket.
fn operate(place: &Place, path: &str, body: &Value) -> Reply {
    let mut stream = UnixStream::connect(place.path("data/admin.sock")).unwrap();
    let body = body.to_string();
    let head = format!("POST /admin/v1/testing/{path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
    Connection::over_unix(stream).reply().unwrap()
}

#[test]
fn one_token_is_revoked_and_stays_so_over_a_kill() {
    let (place, server) = served();
    let client = place.client("testing");
    let (lost, kept) = (token(server.testing, &client), token(server.testing, &client));
    let (status, said) = revoke_by_command(&place, &format!("{lost}\n"));
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains(&client.id) && !said.contains(&lost), "{said}");
    let refused = get(server.testing, "/v1/orders", &lost);
    assert_eq!(refused.json()["error"]["message"], "The access token is invalid", "as one that is unknown");
    assert_eq!(get(server.testing, "/v1/orders", &kept).status, 200);
    server.kill();
    let server = place.serve();
    assert_eq!(get(server.testing, "/v1/orders", &lost).code(), "invalid_token");
    assert_eq!(get(server.testing, "/v1/orders", &kept).status, 200);
    for nonsense in ["", "sk-", "sk-00000000000000000000000000000000", "\u{0}\u{ff}", &client.secret] {
        assert_eq!(revoke_by_command(&place, nonsense).0, Some(1), "{nonsense:?}");
    }
}

#[test]
fn tokens_are_listed_and_revoked_by_their_ids_or_all_at_once() {
    let (place, server) = served();
    let (client, other) = (place.client("testing"), place.client("testing"));
    let tokens = [token(server.testing, &client), token(server.testing, &client), token(server.testing, &client)];
    let others = token(server.testing, &other);
    let list = || place.done(&["tokens", "list", "--environment", "testing", "--client", &client.id]);
    let listed = list();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert!(tokens.iter().all(|token| !listed.to_string().contains(token.as_str())));
    let oldest = listed[2]["token_id"].as_str().unwrap();
    place.done(&["tokens", "revoke", "--environment", "testing", "--token-id", oldest]);
    assert_eq!(get(server.testing, "/v1/orders", &tokens[0]).code(), "invalid_token");
    assert_eq!(get(server.testing, "/v1/orders", &tokens[1]).status, 200);
    assert_eq!(list().as_array().unwrap().len(), 2);
    place.done(&["tokens", "revoke", "--environment", "testing", "--client", &client.id]);
    assert!(tokens.iter().all(|token| get(server.testing, "/v1/orders", token).code() == "invalid_token"));
    assert!(list().as_array().unwrap().is_empty());
    assert_eq!(get(server.testing, "/v1/orders", &others).status, 200, "another client's");
    assert_eq!(get(server.testing, "/v1/orders", &token(server.testing, &client)).status, 200, "it may have others");
    let wrong = ["tokens", "revoke", "--environment", "testing", "--token-id"];
    for id in ["tok_999999", "tok_", "1", "../x"] {
        assert_eq!(place.command(&[&wrong[..], &[id]].concat()).status.code(), Some(1));
    }
    assert_eq!(place.command(&wrong[..4]).status.code(), Some(2), "which?");
}

#[test]
fn suspension_ends_tokens_and_resumption_brings_none_back() {
    let (place, server) = served();
    let client = place.client("testing");
    let old = token(server.testing, &client);
    for deed in ["suspend", "resume"] {
        place.done(&["clients", deed, "--environment", "testing", &client.id]);
        assert_eq!(get(server.testing, "/v1/orders", &old).code(), "invalid_token");
    }
    token(server.testing, &client);
}

/// Callers call without a pause; each acceptance is stamped when its request began, each revocation when it was
/// acknowledged. None began after.
#[test]
fn nothing_that_begins_after_the_acknowledgement_is_accepted() {
    let (place, server) = served();
    let client = place.client("testing");
    let (stopped, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let tokens = parking_lot::RwLock::new(Vec::<String>::new());
    let accepted = parking_lot::Mutex::new(Vec::<(String, Instant)>::new());
    std::thread::scope(|scope| {
        for worker in 0..4_usize {
            let (tokens, accepted, stopped, calls, server) = (&tokens, &accepted, &stopped, &calls, &server);
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    let Some(token) = tokens.read().get(worker).cloned() else { continue };
                    let began = now();
                    if get(server.testing, "/v1/orders", &token).status == 200 {
                        accepted.lock().push((token, began));
                    }
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _stops = StopsAll(&stopped);
        // One by one, and all of the client.
        let of_client = format!("clients/{}/tokens/revoke", client.id);
        for round in 0..40 {
            *tokens.write() = (0..4).map(|_| token(server.testing, &client)).collect();
            let seen = calls.load(Ordering::Relaxed);
            while calls.load(Ordering::Relaxed) < seen + 8 {}
            let victims = tokens.read().clone();
            let mut ended = Vec::new();
            for victim in &victims {
                let reply = match round % 2 {
                    0 => operate(&place, "tokens/revoke", &json!({ "token": victim })),
                    _ => operate(&place, &of_client, &json!({})),
                };
                let acknowledged = now();
                assert!(reply.status == 200, "{}", reply.text());
                ended.push((victim.clone(), acknowledged));
            }
            let seen = calls.load(Ordering::Relaxed);
            while calls.load(Ordering::Relaxed) < seen + 8 {}
            let accepted = accepted.lock();
            for (victim, acknowledged) in ended {
                let mut of_victim = accepted.iter().filter(|(token, _)| *token == victim);
                assert!(of_victim.all(|(_, began)| *began < acknowledged), "accepted after the acknowledgement");
            }
        }
    });
    assert!(accepted.lock().len() > 40, "it was under load");
}

#[expect(clippy::disallowed_methods, reason = "both sides are stamped by the machine's clock")]
fn now() -> Instant {
    Instant::now()
}
