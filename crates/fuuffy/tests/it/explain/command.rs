//! `fuuffy explain` as an integrator types it, and the commands that say when to.

use crate::app::{ask_for_token, get, token};
use crate::explain::id;
use crate::integrator::Desk;

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
