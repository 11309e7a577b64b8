//! Operators' commands: the same with a server and without, in words and as JSON, and what they exit with.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::app::{Place, ask_for_token, config};
use crate::http1::Connection;
use crate::upstream::Upstream;

fn place() -> Place {
    Place::new(&config(Upstream::friendly().address))
}

fn in_testing<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [words, &["--environment", "testing"]].concat()
}

#[test]
fn what_is_made_offline_is_served_later_and_the_other_way_round() {
    let place = place();
    let offline = place.client("testing");
    let server = place.serve();
    assert_eq!(ask_for_token(server.testing, &offline).status, 200);
    let online = place.client("testing");
    assert!(server.stop().success());
    let listed = place.done(&in_testing(&["clients", "list"]));
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|it| it["client_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [offline.id, online.id]);
}

#[test]
fn create_prints_exactly_the_contracts_members() {
    let place = place();
    let made = place.done(&in_testing(&["clients", "create", "--name", "Acme"]));
    let members: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(members, ["client_id", "client_secret", "environment", "name"]);
    assert_eq!((&made["environment"], &made["name"]), (&"testing".into(), &"Acme".into()));
    let added = place.done(&in_testing(&["secrets", "add", "--client", made["client_id"].as_str().unwrap()]));
    let members: Vec<&String> = added.as_object().unwrap().keys().collect();
    assert_eq!(members, ["secret_id", "client_secret"]);
}

#[test]
fn results_go_to_standard_output_and_words_to_standard_error() {
    let place = place();
    let made = place.command(&in_testing(&["clients", "create", "--name", "Acme"]));
    let (out, err) = (String::from_utf8(made.stdout).unwrap(), String::from_utf8(made.stderr).unwrap());
    assert!(out.contains("client_secret") && out.contains("fsk_test_"), "{out}");
    assert!(err.contains("shown this once") && !err.contains("fsk_test_"), "{err}");
}

#[test]
fn a_long_list_is_whole() {
    let place = place();
    let server = place.serve();
    for number in 0..103 {
        place.done(&in_testing(&["clients", "create", "--name", &format!("Client {number}")]));
    }
    drop(server);
    assert_eq!(place.done(&in_testing(&["clients", "list"])).as_array().unwrap().len(), 103);
    let text = String::from_utf8(place.command(&in_testing(&["clients", "list"])).stdout).unwrap();
    assert_eq!(text.lines().count(), 104, "a heading and a line each");
}

#[test]
fn wrong_usage_is_2_and_a_refusal_is_1() {
    let place = place();
    let status = |words: &[&str]| place.command(words).status.code();
    assert_eq!(status(&["clients", "create", "--environment", "staging", "--name", "x"]), Some(2));
    assert_eq!(status(&in_testing(&["clients", "create"])), Some(2));
    assert_eq!(status(&in_testing(&["clients", "create", "--name", "x", "--token-lifetime", "soon"])), Some(2));
    assert_eq!(status(&in_testing(&["clients", "create", "--name", "x", "--plan", "gold"])), Some(1));
    assert_eq!(status(&in_testing(&["clients", "create", "--name", "\u{7}"])), Some(1));
    assert_eq!(status(&in_testing(&["clients", "show", "app_nobody"])), Some(1));
    assert_eq!(status(&in_testing(&["clients", "suspend", "../../etc"])), Some(1));
    assert_eq!(status(&in_testing(&["secrets", "list", "--client", "app_nobody"])), Some(1));
    place.write_config("nonsense");
    assert_eq!(status(&in_testing(&["clients", "list"])), Some(2));
}

#[test]
fn only_the_servers_user_reaches_the_socket_and_the_files() {
    let place = place();
    let _server = place.serve();
    place.client("testing");
    let mode = |name: &str| std::fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for name in ["admin.sock", "pepper.key", "testing.sqlite3", "testing.sqlite3-wal", "production.sqlite3", "lock"] {
        assert_eq!(mode(&format!("data/{name}")), 0o600, "{name}");
    }
}

#[test]
fn the_key_file_can_be_elsewhere_but_is_never_made_twice() {
    let place = place();
    let elsewhere = place.path("elsewhere.key");
    let server = place.try_serve(&[("FUUFFY_PEPPER_FILE", elsewhere.to_str().unwrap())]).unwrap();
    assert!(elsewhere.exists() && !place.path("data/pepper.key").exists());
    assert!(server.stop().success());
    assert_eq!(place.try_serve(&[]).err().unwrap().code(), Some(1), "a store without its key must not start");
    assert!(place.log().contains("the key file is missing"), "{}", place.log());
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(place.try_serve(&[("FUUFFY_PEPPER_FILE", elsewhere.to_str().unwrap())]).is_err());
    assert!(place.log().contains("chmod 600"), "{}", place.log());
}

/// The API beneath the commands, by its socket: what is not understood is refused, and in one shape.
#[test]
fn the_socket_refuses_what_it_does_not_understand() {
    let place = place();
    let _server = place.serve();
    let client = place.client("testing").id;
    let ask = |head: &str, body: &str| {
        let mut stream = std::os::unix::net::UnixStream::connect(place.path("data/admin.sock")).unwrap();
        let length = body.len();
        write!(
            stream,
            "{head} HTTP/1.1\r\nhost: fuuffy\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let reply = Connection::over_unix(stream).reply().unwrap();
        assert_eq!(reply.field("content-type"), Some("application/json"));
        (reply.status, reply.code())
    };
    let clients = "/admin/v1/testing/clients";
    let refused = |code: &str, status: u16| (status, code.to_owned());
    for body in [
        "",
        "[]",
        "{",
        "{\"name\":1}",
        "{\"name\":\"x\",\"admin\":true}",
        "{\"name\":\"x\",\"scope\":\"a  b\"}",
        "\u{0}",
    ] {
        assert_eq!(ask(&format!("POST {clients}"), body), refused("invalid_request", 400), "{body:?}");
    }
    assert_eq!(ask(&format!("POST {clients}"), &" ".repeat(70_000)), refused("payload_too_large", 413));
    for query in ["page=0", "per_page=0", "per_page=101", "page=x", "offset=1"] {
        assert_eq!(ask(&format!("GET {clients}?{query}"), ""), refused("invalid_request", 400), "{query}");
    }
    assert_eq!(ask(&format!("GET {clients}?page=9999999999&per_page=100"), "").0, 200);
    assert_eq!(ask("GET /admin/v1/staging/clients", ""), refused("not_found", 404));
    assert_eq!(ask(&format!("GET {clients}/%ff"), "").0 / 100, 4);
    assert_eq!(ask(&format!("PUT {clients}"), "{}"), refused("method_not_allowed", 405));
    let expired = "{\"expires_at\":\"2020-01-01T00:00:00Z\"}";
    assert_eq!(ask(&format!("POST {clients}/{client}/secrets"), expired), refused("invalid_request", 400));
}

/// What is done to a server's own files is not done to this machine's where another one was named.
#[test]
fn what_works_on_files_refuses_another_server() {
    let place = Place::new(&config(Upstream::friendly().address));
    place.client("testing");
    std::fs::write(place.path("clients.toml"), "environment = \"testing\"\n").unwrap();
    let (file, folder) = (place.path("clients.toml"), place.path("backup"));
    let (file, folder) = (file.to_str().unwrap(), folder.to_str().unwrap());
    for command in [
        &["apply", file, "--environment", "testing", "--prune"][..],
        &["export", "--environment", "testing"],
        &["keys", "rotate"],
        &["keys", "list"],
        &["certs", "status"],
        &["backup", "--to", folder],
        &["restore", "--from", folder],
        &["migrate"],
        &["audit", "verify", "--environment", "testing"],
        &["audit", "export", "--environment", "testing"],
        &["audit", "key"],
    ] {
        let refused = place.command(&[command, &["--admin-url", "https://127.0.0.1:1"]].concat());
        let words = String::from_utf8(refused.stderr).unwrap();
        assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(2), true), "{command:?}: {words}");
        assert!(words.contains("not at --admin-url"), "{command:?}: {words}");
    }
    let listed = place.done(&["clients", "list", "--environment", "testing"]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "nothing was done");
}
