//! Commands over a network that loses answers, and between which others work: a creation is done once and its secret
//! is not lost, and a change changes nothing but what was seen.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use super::Desk;
use crate::app::{BINARY, Registered};

/// What becomes of the answer to a request.
#[derive(PartialEq, Eq)]
enum Answer {
    Comes,
    IsLost,
}

/// Stands before the admin listener. `fate` sees the head of each request before it is passed on.
fn between(admin: SocketAddr, fate: impl Fn(&str) -> Answer + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for caller in listener.incoming() {
            let mut caller = caller.unwrap();
            let Some(request) = whole_request(&mut caller) else { continue };
            let is_lost = fate(&request) == Answer::IsLost;
            let mut server = TcpStream::connect(admin).unwrap();
            server.write_all(request.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).unwrap();
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).unwrap();
            if !is_lost {
                caller.write_all(&answer).unwrap();
            }
        }
    });
    address
}

/// `None` where the caller is gone.
fn whole_request(caller: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(String::from_utf8(bytes).unwrap());
            }
        }
        match caller.read(&mut piece).unwrap() {
            0 => return None,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

fn run(desk: &Desk, operator: &Registered, through: SocketAddr, words: &[&str]) -> Output {
    Command::new(BINARY)
        .args(words)
        .args(["--environment", "testing", "--json", "--admin-url", &format!("http://{through}")])
        .current_dir(desk.place.path(""))
        .env_clear()
        .env("FUUFFY_CLIENT_ID", &operator.id)
        .env("FUUFFY_CLIENT_SECRET", &operator.secret)
        .env("FUUFFY_BASE_URL", format!("http://{}/v1", desk.server.testing))
        .output()
        .unwrap()
}

#[test]
fn a_creation_whose_answer_is_lost_is_asked_for_again_and_done_once() {
    let desk = Desk::open();
    let operator = desk.operator(&fuuffy_admin::SCOPES.join(" "));
    let client = desk.place.client("testing").id;
    for (words, deed) in [
        (&["clients", "create", "--name", "Acme"][..], "client.created"),
        (&["operators", "create", "--name", "Night", "--scope", "admin:audit:read"], "client.created"),
        (&["secrets", "add", "--client", &client], "secret.added"),
    ] {
        let (before, asked) = (desk.audit(deed).len(), AtomicUsize::new(0));
        let through = between(desk.server.admin, move |_| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::IsLost,
            _ => Answer::Comes,
        });
        let output = run(&desk, &operator, through, words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(made["client_secret"].as_str().unwrap().starts_with("fsk_test_"), "{words:?}");
        assert_eq!(desk.audit(deed).len(), before + 1, "{words:?} was done once");
    }
    // Where all answers are lost, that is said, and it was done once all the same.
    let before = desk.audit("client.created").len();
    let through = between(desk.server.admin, |_| Answer::IsLost);
    let output = run(&desk, &operator, through, &["clients", "create", "--name", "Acme"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("whether it was done is not known"), "{said}");
    assert_eq!(desk.audit("client.created").len(), before + 1);
}

#[test]
fn an_update_changes_nothing_that_somebody_else_changed_meanwhile() {
    let desk = Desk::open();
    let operator = desk.operator("admin:clients:read admin:clients:write");
    let client = desk.place.client("testing").id;
    let update = ["clients", "update", client.as_str(), "--name", "Mine"];
    let name = || desk.place.done(&["clients", "show", "--environment", "testing", &client])["name"].clone();
    let (socket, of_other) = (desk.place.path("data/admin.sock"), client.clone());
    let through = between(desk.server.admin, move |request| {
        if request.starts_with("PATCH ") {
            let mut other = std::os::unix::net::UnixStream::connect(&socket).unwrap();
            let body = r#"{"name":"Theirs"}"#;
            let head =
                format!("PATCH /admin/v1/testing/clients/{of_other} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
            write!(other, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
            other.read_to_end(&mut Vec::new()).unwrap();
        }
        Answer::Comes
    });
    let output = run(&desk, &operator, through, &update);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("changed"), "{said}");
    assert_eq!(name(), "Theirs");
    assert!(run(&desk, &operator, desk.server.admin, &update).status.success());
    assert_eq!(name(), "Mine");
    let nobody = ["clients", "update", "app_nobody", "--name", "Mine"];
    assert_eq!(run(&desk, &operator, desk.server.admin, &nobody).status.code(), Some(1));
}
