//! The configuration file from outside: mistakes all at once, nothing bound, and the resolved form.

use crate::app::{Place, config};
use crate::upstream::Upstream;

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let place = Place::new(
        "data_dri = \"data\"\n\n[admin]\nlisten = \"0.0.0.0:9080\"\n\n[environments.testing]\nlisten = \"0.0.0.0:8080\"\n\
         token_lifetime = \"soon\"\n\n[[environments.testing.routes]]\nprefix = \"/v1/auth/token\"\nupstreams = [\"https://api\"]\n\n\
         [plans.standard]\nlimits = [\"100/fortnight\"]\n",
    );
    assert_eq!(place.try_serve(&[]).err().unwrap().code(), Some(2));
    let file = place.config_file().display().to_string();
    insta::assert_snapshot!(place.log().replace(&file, "fuuffy.toml"), @r#"
    fuuffy.toml:1:1: data_dri: unknown key; did you mean `data_dir`?
    fuuffy.toml:4:10: admin.listen: a listener that is not on loopback must have TLS; expected [admin.tls] with cert and key, or an address on loopback
    fuuffy.toml:7:10: environments.testing.listen: a listener that is not on loopback must have TLS; expected a table tls with cert and key, tls = "acme", tls = "terminated" with the trusted_proxies that speak it, or an address on loopback
    fuuffy.toml:8:18: environments.testing.token_lifetime: expected a whole number with the unit s, m, h or d, from 1s to 30d, as in "1h"
    fuuffy.toml:11:10: environments.testing.routes[0].prefix: expected another path; this one is the token service's
    fuuffy.toml:12:13: environments.testing.routes[0].upstreams: expected a list of URLs without a path, as in ["http://127.0.0.1:8090"]
    fuuffy.toml:12:14: environments.testing.routes[0].upstreams: upstreams are spoken to without TLS; expected an http:// URL
    fuuffy.toml:15:11: plans.standard.limits: expected a whole number from 1 to 1000000000, a slash, and s, min, h or d, as in "100/min"
    8 mistakes; nothing was started
    "#);
    assert!(!place.path("data").exists(), "nothing may be made");
    let check = place.command(&["check"]);
    assert_eq!((check.status.code(), check.stdout.len()), (Some(2), 0));
}

#[test]
fn text_that_is_no_toml_is_a_mistake_like_others() {
    let place = Place::new("a = [1,\n\n[environments");
    assert_eq!(place.try_serve(&[]).err().unwrap().code(), Some(2));
    assert!(place.log().contains("fuuffy.toml:"), "{}", place.log());
    std::fs::remove_file(place.config_file()).unwrap();
    assert_eq!(place.command(&["check"]).status.code(), Some(2));
}

#[test]
fn what_check_prints_resolves_to_the_same() {
    let place = Place::new(&config(Upstream::friendly().address));
    let printed = String::from_utf8(place.command(&["check"]).stdout).unwrap();
    place.write_config(&printed);
    assert_eq!(String::from_utf8(place.command(&["check"]).stdout).unwrap(), printed);
    let json = place.done(&["check"]);
    assert_eq!(json["environments"]["testing"]["token_lifetime"], "3600s");
    assert_eq!(json["plans"]["standard"]["limits"], serde_json::json!(["100/min", "1000/h"]));
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let place =
        Place::new(&format!("[admin]\nlisten = \"127.0.0.1:0\"\n[environments.testing]\nlisten = \"{address}\"\n"));
    assert_eq!(place.try_serve(&[]).err().unwrap().code(), Some(1));
    assert!(place.log().contains(&format!("environments.testing.listen: cannot bind {address}")), "{}", place.log());
}
