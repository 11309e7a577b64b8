//! `fuuffy clients identities`: what operators do about them, and what the audit log has of it.

use crate::app::{Place, config};
use crate::platform::Platform;
use crate::upstream::Upstream;

#[test]
fn identities_are_added_listed_and_removed() {
    let platform = Platform::start();
    let place = Place::new(&(config(Upstream::friendly().address) + &platform.trusted("")));
    let server = place.serve();
    let issuer = platform.issuer();
    let create = ["clients", "create", "--environment", "testing", "--name", "Acme"];
    let rules = ["--issuer", issuer.as_str(), "--claim", "sub=system:serviceaccount:shop:a=b", "--claim", "x=y"];
    let made = place.done(&[&create[..], &rules[..]].concat());
    let members: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(members, ["client_id", "identity_id", "environment", "name"]);
    let id = made["client_id"].as_str().unwrap();
    let of = ["--environment", "testing", "--client", id];
    let add = |claim: &str| {
        place.command(&[&["clients", "identities", "add", "--issuer", &issuer, "--claim", claim], &of[..]].concat())
    };
    let added = add("sub=b");
    assert!(added.status.success() && String::from_utf8(added.stdout).unwrap().contains(r#"{"sub":"b"}"#));
    let unbound = add("ref=refs/heads/main");
    let said = String::from_utf8(unbound.stderr).unwrap();
    assert!(unbound.status.code() == Some(1) && said.contains("expected one of sub among them"), "{said}");
    assert_eq!(add("sub").status.code(), Some(2));
    for lacking in [&["--issuer", issuer.as_str()][..], &["--claim", "sub=a"]] {
        assert_eq!(place.command(&[&create[..], lacking].concat()).status.code(), Some(2));
    }
    let listed = place.done(&[&["clients", "identities", "list"], &of[..]].concat());
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[0]["claims"]["sub"]),
        (2, &"system:serviceaccount:shop:a=b".into())
    );
    let table = place.command(&[&["clients", "identities", "list"], &of[..]].concat());
    assert!(String::from_utf8(table.stdout).unwrap().contains(r#"{"sub":"b"}"#));
    let shown = place.done(&["clients", "show", "--environment", "testing", id]);
    assert_eq!((&shown["live_secrets"], &shown["identities"]), (&0.into(), &2.into()));
    let first = made["identity_id"].as_str().unwrap();
    let remove = [&["clients", "identities", "remove", "--identity", first, "--why", "moved"], &of[..]].concat();
    place.done(&remove);
    assert_eq!(place.command(&remove).status.code(), Some(1));
    assert!(server.stop().success());
    let listed = place.done(&[&["clients", "identities", "list"], &of[..]].concat());
    assert_eq!(listed.as_array().unwrap().len(), 1, "offline");
    let log = place.done(&["audit", "list", "--environment", "testing"]);
    let done = log.as_array().unwrap().iter().rev().map(|it| &it["record"]).filter(|it| it["deed"] != "refused");
    let deeds: Vec<(&str, bool)> =
        done.map(|it| (it["deed"].as_str().unwrap(), it["identity_id"].as_str() == Some(first))).collect();
    assert_eq!(
        deeds,
        [
            ("client.created", true),
            ("client_identity.added", true),
            ("client_identity.added", false),
            ("client_identity.removed", true)
        ]
    );
}
