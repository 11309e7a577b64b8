//! What integrators' commands say, and to whom: a terminal, a pipe that nobody reads, a person in doubt.

use std::process::Command;

use super::{Desk, Ran};
use crate::upstream::{Act, Seen, Upstream, ok};

fn shown(mut command: Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn no_answer_commands_a_terminal() {
    let hostile = |_: &Seen, _| {
        let body = "red\u{1b}[31m \u{9b}2J\u{7}€";
        let head = format!("HTTP/1.1 200 OK\r\nx-evil: a\u{9b}2J\r\ncontent-length: {}\r\n\r\n", body.len());
        Act::Answer(format!("{head}{body}").into_bytes())
    };
    let desk = Desk::with(Upstream::start(hostile));
    let said = shown(desk.on_a_terminal("request GET /orders --include"));
    assert!(said.contains("x-evil: a\u{fffd}2J") && said.contains("red\u{fffd}[31m \u{fffd}2J\u{fffd}€"), "{said:?}");
    assert!(!said.contains(['\u{1b}', '\u{9b}', '\u{7}']), "{said:?}");
    let ran = desk.run(&["request", "GET", "/orders", "--include"]);
    assert_eq!(ran.out, "red\u{1b}[31m \u{9b}2J\u{7}€", "a file gets the bytes as they are");
    assert!(!ran.err.contains('\u{9b}'), "{ran:?}");
}

#[test]
fn no_server_commands_a_terminal_by_doctor_or_drill() {
    let hostile = Upstream::start(|seen: &Seen, _| {
        Act::Answer(ok(match seen.target.as_str() {
            "/v1/auth/token" => {
                r#"{"data":{"access_token":"sk-1","token_type":"Bearer","expires_in":60,"scope":"a\u001b[2J"}}"#
            }
            _ => r#"{"data":{"drill":"x\u001b[2J","requests_left":1,"lapses_at":"\u009b31m"}}"#,
        }))
    });
    let desk = Desk::new();
    for (arguments, shows) in
        [("doctor", "for a\u{fffd}[2J"), ("drill --status", "x\u{fffd}[2J  1 request left, until \u{fffd}31m")]
    {
        let mut command = desk.on_a_terminal(&format!("{arguments} --no-cache"));
        command.env("FUUFFY_BASE_URL", format!("http://{}/v1", hostile.address)).env("NO_COLOR", "1");
        let said = shown(command);
        assert!(said.contains(shows) && !said.contains(['\u{1b}', '\u{9b}']), "{said:?}");
    }
}

#[test]
fn whoever_stops_reading_is_told_nothing() {
    let desk = Desk::new();
    for arguments in [&["token"][..], &["request", "GET", "/orders"], &["doctor"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = Ran::of(desk.command(arguments).stdout(writer).output().unwrap());
        assert_eq!((ran.status, ran.err.as_str()), (1, ""));
    }
}

#[test]
fn methods_are_understood_in_small_letters() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["request", "get", "/orders"]).status, 0);
    assert_eq!(desk.upstream.last().method, "GET");
}

#[test]
fn a_base_url_without_its_path_is_told_of() {
    let desk = Desk::new();
    let base_url = format!("http://{}", desk.server.testing);
    let ran = desk.run(&["token", "--base-url", &base_url]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("404 not_found") && ran.err.contains("it ends in /v1"), "{ran:?}");
}

#[test]
fn doctor_goes_the_way_that_calls_go() {
    let desk = Desk::new();
    let mut command = desk.command(&["doctor", "--json", "--base-url", "https://nowhere.invalid/v1"]);
    let ran = Ran::of(command.env("HTTPS_PROXY", "http://127.0.0.1:1").output().unwrap());
    let findings = ran.json();
    let last = findings.as_array().unwrap().last().unwrap();
    assert_eq!((ran.status, last["check"].as_str()), (1, Some("connection")), "{ran:?}");
    assert!(last["found"].as_str().unwrap().contains("127.0.0.1:1: Connection refused"), "{ran:?}");
    assert!(last["found"].as_str().unwrap().contains("the proxy that HTTPS_PROXY"), "{ran:?}");
    let ran = Ran::of(desk.command(&["doctor"]).env("HTTPS_PROXY", "http://127.0.0.1:1").output().unwrap());
    assert_eq!(ran.status, 0, "{ran:?}");
}

#[test]
fn doctor_takes_a_wrong_path_for_wrong_usage() {
    let desk = Desk::new();
    for path in ["https://example.com/", "/a b", "/../x"] {
        let ran = desk.run(&["doctor", "--path", path]);
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(ran.out.contains("name a path that the API has by --path"), "{ran:?}");
    }
    assert!(desk.upstream.seen().is_empty());
}

#[test]
fn doctor_is_coloured_for_those_who_want_it() {
    let desk = Desk::new();
    assert!(shown(desk.on_a_terminal("doctor")).contains("\u{1b}[32mok"));
    let mut plain = desk.on_a_terminal("doctor");
    plain.env("NO_COLOR", "1");
    assert!(!shown(plain).contains('\u{1b}'));
}

#[test]
fn a_list_that_repeats_a_page_is_not_taken_for_whole() {
    let repeat =
        |_: &Seen, _| Act::Answer(ok(r#"{"data":[1],"pagination":{"total":9,"page":1,"per_page":1,"total_pages":9}}"#));
    let desk = Desk::with(Upstream::start(repeat));
    let ran = desk.run(&["request", "GET", "/orders", "--page-all"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, r#"{"data":[1"#));
    assert!(ran.err.contains("page 2 was asked for and page 1 came"), "{ran:?}");
}
