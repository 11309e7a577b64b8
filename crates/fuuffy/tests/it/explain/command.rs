//! `fuuffy explain` as an integrator types it, and the commands that say when to.

use crate::app::{ask_for_token, get, token};
use crate::explain::id;
use crate::integrator::{Desk, Ran};
use crate::upstream::{Act, Upstream};

#[test]
fn a_client_that_gets_no_token_asks_by_its_secret() {
    let desk = Desk::new();
    let on = |words: &[&str]| desk.place.done(&[words, &["--environment", "testing"]].concat());
    let bearer = token(desk.server.testing, &desk.client);
    let other = desk.place.client("testing");
    on(&["clients", "suspend", &desk.client.id, "--why", "invoice 42"]);
    let told = |id: &str| {
        let ran = desk.run(&["explain", id]);
        (ran.status, ran.out + &ran.err)
    };
    for refused in [ask_for_token(desk.server.testing, &desk.client), get(desk.server.testing, "/v1/orders", &bearer)] {
        let (code, words) = told(id(&refused));
        assert_eq!(code, 0, "{words}");
        assert!(words.contains("suspended") && words.contains("invoice 42"), "{words}");
    }
    on(&["clients", "suspend", &other.id]);
    let (code, words) = told(id(&ask_for_token(desk.server.testing, &other)));
    assert!(code == 1 && words.contains("There is no explanation of that request"), "{words}");
    on(&["clients", "delete", &desk.client.id]);
    let (code, words) = told("0196f2d4-8c1e-7b3a-9d2f-3f6a8f1f2c4e");
    assert!(code == 1 && words.contains("invalid_client"), "{words}");
}

#[test]
fn after_a_refusal_the_commands_name_the_one_that_tells_why() {
    let desk = Desk::new();
    let way = |ran: &Ran| {
        let line = ran.err.lines().find_map(|line| line.split_once("fuuffy explain ")).map(|(before, id)| {
            assert!(before.starts_with("fuuffy: "), "{ran:?}");
            id.to_owned()
        });
        line.unwrap_or_else(|| panic!("{ran:?}"))
    };
    let told = |id: &str| desk.run(&["explain", id]).out;
    let refused = desk.run(&["request", "POST", "/orders", "-d", "{}", "--scope", "orders:read"]);
    assert!(told(&way(&refused)).contains("needs the scope \"orders:write\""), "{refused:?}");
    // Another program reads standard output, and a HEAD has nothing to read; a person is told all the same.
    let as_json = desk.run(&["request", "POST", "/orders", "-d", "{}", "--scope", "orders:read", "--json"]);
    assert!(told(&way(&as_json)).contains("needs the scope \"orders:write\"") && as_json.status == 1, "{as_json:?}");
    assert_eq!(as_json.json()["body"]["error"]["code"], "insufficient_scope");
    for more in [&[][..], &["--json"]] {
        let head = desk.run(&[&["request", "HEAD", "/orders", "--scope", "orders:write"], more].concat());
        assert!(told(&way(&head)).contains("needs the scope \"orders:read\"") && head.status == 1, "{head:?}");
    }
    let lost = desk.run(&["request", "GET", "/v1/orders", "--json"]);
    assert!(told(&way(&lost)).contains("There is no such route") && lost.err.contains("try /orders"), "{lost:?}");
    let nowhere = desk.run(&["doctor", "--path", "/nowhere"]);
    assert!(told(&way(&nowhere)).contains("There is no such route") && !nowhere.out.contains("explain"), "{nowhere:?}");
    let secrets = |words: &[&str]| {
        let place = ["--environment", "testing", "--client", &desk.client.id];
        desk.place.done(&[&["secrets"], words, &place].concat())
    };
    let wide = desk.run(&["token", "--scope", "orders:burn"]);
    assert!(told(&way(&wide)).contains("it may have"), "{wide:?}");
    let id = secrets(&["list"])[0]["secret_id"].as_str().unwrap().to_owned();
    secrets(&["add"]);
    secrets(&["retire", "--secret", &id]);
    for command in [
        &["request", "GET", "/orders", "--no-cache"][..],
        &["doctor"],
        &["request", "GET", "/orders", "--page-all", "--no-cache"],
    ] {
        let ran = desk.run(command);
        assert!(ran.err.contains("whoever runs the gateway can say why") && ran.status != 0, "{ran:?}");
        assert!(desk.place.done(&["explain", &way(&ran)])["happened"].as_str().unwrap().contains(&id));
    }
}

#[test]
fn what_the_api_itself_refuses_is_not_the_gateways_to_explain() {
    let desk = Desk::with(Upstream::start(|_, _| {
        let body = r#"{"error":{"code":"sold_out","message":"No teapots are left","details":""}}"#;
        let head = "HTTP/1.1 409 Conflict\r\ncontent-type: application/json\r\n";
        Act::Answer(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }));
    for command in [&["request", "GET", "/orders"][..], &["request", "GET", "/orders", "--json"], &["doctor"]] {
        let ran = desk.run(command);
        assert!(ran.status == 1 && !ran.err.contains("explain"), "{ran:?}");
    }
}

#[test]
fn what_is_no_id_is_not_put_into_a_command_to_copy() {
    let elsewhere = Upstream::start(|_, _| {
        let body = r#"{"error":{"code":"invalid_scope","message":"No","details":""}}"#;
        let head = "HTTP/1.1 400 Bad Request\r\nx-request-id: $(reboot)\r\n";
        Act::Answer(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    });
    let desk = Desk::new();
    let mut command = desk.command(&["token"]);
    let ran = Ran::of(command.env("FUUFFY_BASE_URL", format!("http://{}/v1", elsewhere.address)).output().unwrap());
    assert!(ran.status == 1 && ran.err.contains("invalid_scope") && !ran.err.contains("explain"), "{ran:?}");
}
