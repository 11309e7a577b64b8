//! No alert goes to a private address unless the operator says so, whatever its name resolves to.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fuuffy::config;
use fuuffy::server::Names;
use serde_json::Value;

use super::ALERTS;
use crate::app::{self, Place};
use crate::hooks::Hooks;
use crate::timed::Timed;
use crate::tls::{Authority, Terminator};
use crate::upstream::Upstream;

const ALLOWED: &str = "webhook_allow_private = true";

/// Names that have these addresses, and how often somebody asked for them.
fn names(addresses: &[&str]) -> (Names, Arc<AtomicUsize>) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let names: Names = Arc::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    });
    (names, asked)
}

fn test(timed: &Timed) -> Value {
    timed.operate(&format!("{ALERTS}/test"), "")
}

fn refusal(timed: &Timed) -> String {
    let answer = test(timed);
    assert_eq!(answer["error"]["code"], "alert_undelivered", "{answer}");
    answer["error"]["details"].as_str().unwrap().to_owned()
}

#[test]
fn a_private_address_in_the_url_is_refused_at_the_start() {
    let hooks = Hooks::start();
    let port = hooks.address.port();
    let text = app::config(Upstream::friendly().address);
    let parse = |url: &str, last: &str| {
        config::parse(&format!("{text}{}", hooks.section_at(url, last)), std::path::Path::new("/x"))
    };
    for url in [
        format!("http://127.0.0.1:{port}/hook"),
        format!("https://127.0.0.1:{port}/hook"),
        "https://10.0.0.1/hook".to_owned(),
        "https://[::1]/hook".to_owned(),
        "https://[::ffff:192.168.0.1]/hook".to_owned(),
        "https://2130706433/hook".to_owned(),
        "https://0x7f.1/hook".to_owned(),
        "https://0/hook".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "http://hooks.example.com/hook".to_owned(),
        "https://user@hooks.example.com/hook".to_owned(),
        "https://hooks.example.com/hook?token=x".to_owned(),
        "ftp://hooks.example.com/".to_owned(),
    ] {
        let mistakes = parse(&url, "").unwrap_err();
        assert!(mistakes[0].words.contains("reminders.webhook"), "{url}: {mistakes:?}");
    }
    for url in ["https://hooks.example.com/hook", "https://1.1.1.1/hook"] {
        assert!(parse(url, "").is_ok(), "{url}");
    }
    for url in ["http://10.0.0.1/hook", "http://hooks.internal/hook", "https://hooks.example.com/"] {
        assert!(parse(url, ALLOWED).is_ok(), "{url}");
    }
    for url in ["http://1.1.1.1/hook", "http://0.0.0.0/hook", "https://169.254.169.254/hook", "https://[ff02::1]/hook"]
    {
        assert!(parse(url, ALLOWED).is_err(), "{url}");
    }
}

#[test]
fn a_name_of_a_private_address_is_refused() {
    let hooks = Hooks::start();
    // By this machine's own resolver.
    let timed = Timed::start(&hooks.section_at(&format!("https://localhost:{}/hook", hooks.address.port()), ""));
    let said = refusal(&timed);
    assert!(said.contains("is a private address, and webhook_allow_private is not true"), "{said}");
    assert_eq!(hooks.connections(), 0);
}

#[test]
fn a_name_of_both_kinds_of_addresses_is_refused() {
    let hooks = Hooks::start();
    let (port, public) = (hooks.address.port(), "93.184.215.14");
    for addresses in [[public, "127.0.0.1"], ["127.0.0.1", public]] {
        let (names, _) = names(&addresses);
        let timed = Timed::start_with(&hooks.section_at(&format!("https://hooks.test:{port}/hook"), ""), names);
        let said = refusal(&timed);
        assert!(said.contains("127.0.0.1 is a private address"), "{said}");
    }
    for addresses in [[public, "127.0.0.1"], ["127.0.0.1", public]] {
        let (names, _) = names(&addresses);
        let timed = Timed::start_with(&hooks.section_at(&format!("http://hooks.test:{port}/hook"), ALLOWED), names);
        let said = refusal(&timed);
        assert!(said.contains("93.184.215.14 is a public address, to which an alert goes by https:// alone"), "{said}");
    }
    let (names, _) = names(&["127.0.0.1", "169.254.169.254"]);
    let timed = Timed::start_with(&hooks.section_at(&format!("http://hooks.test:{port}/hook"), ALLOWED), names);
    assert!(refusal(&timed).contains("169.254.169.254 is an address at which no webhook can be"));
    assert_eq!(hooks.connections(), 0);
}

/// The connection goes to the address that was looked at: a second look-up might say something else.
#[test]
fn a_name_is_looked_up_once_for_each_attempt() {
    let hooks = Hooks::start();
    let (names, asked) = names(&["127.0.0.1"]);
    let url = format!("http://hooks.test:{}/hook", hooks.address.port());
    let timed = Timed::start_with(&hooks.section_at(&url, ALLOWED), names);
    for attempt in 1..=3 {
        assert_eq!(test(&timed)["data"]["outcome"], "delivered");
        assert_eq!((asked.load(Ordering::Relaxed), hooks.connections()), (attempt, attempt));
    }
}

#[test]
fn over_tls_an_alert_goes_to_nobody_who_cannot_prove_the_name() {
    let (hooks, authority) = (Hooks::start(), Authority::new());
    let tls = Terminator::start(&authority.certify("localhost"), hooks.address);
    let url = format!("https://localhost:{}/hook", tls.address.port());
    let place = Place::new(&(app::config(Upstream::friendly().address) + &hooks.section_at(&url, ALLOWED)));
    let (trusted, other) = (place.path("ca.pem"), place.path("other.pem"));
    authority.write_to(&trusted);
    Authority::named("Somebody").write_to(&other);
    for (file, is_taken) in [(trusted, true), (other, false)] {
        let server = place.try_serve(&[("SSL_CERT_FILE", file.to_str().unwrap())]).unwrap();
        let tested = place.command(&["alerts", "test", "--environment", "testing"]);
        let said = String::from_utf8(tested.stderr).unwrap();
        assert_eq!((tested.status.success(), said.contains("UnknownIssuer")), (is_taken, !is_taken), "{said}");
        assert!(server.stop().success());
    }
    assert_eq!(hooks.taken().len(), 1);
    hooks.taken()[0].verify();
}
