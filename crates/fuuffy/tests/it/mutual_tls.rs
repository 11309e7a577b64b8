//! Mutual TLS as operators have it: the configuration, its reload, the commands and the API. What callers see of it is in
//! `rfc/rfc8705.rs` and `rfc/rfc9440.rs`.

use std::net::SocketAddr;
use std::sync::Arc;

use fuuffy_domain::Presented;
use rustls::ClientConfig;
use rustls::version::TLS13;
use serde_json::{Value, json};

use crate::app::{Place, config_with};
use crate::http1::{Connection, Reply, exchange, message};
use crate::mutual::{Mutual, Shown, for_orders, lasting, session, speaking};
use crate::ports::free;
use crate::timed::Timed;
use crate::tls::Authority;
use crate::upstream::Upstream;

/// A place whose environments speak TLS on the same port, and of which testing asks for certificates.
struct Shared {
    place: Place,
    server: Authority,
    clients: Authority,
}

impl Shared {
    fn new() -> Self {
        let port = free();
        let (server, clients, upstream) =
            (Authority::new(), Authority::named("Those of clients"), Upstream::friendly().address);
        let mut text = "data_dir = \"data\"\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
        for (name, more) in [("testing", "mutual_tls = { authorities = \"clients.pem\" }"), ("production", "")] {
            text.push_str(&format!(
                "[environments.{name}]\nlisten = \"{port}\"\nbase_url = \"https://{name}.test/v1\"\nhosts = [\"{name}.test\"]\n\
                 tls = {{ cert = \"{name}.pem\", key = \"{name}.key\" }}\n{more}\n\
                 [[environments.{name}.routes]]\nprefix = \"/v1/orders\"\nupstreams = [\"http://{upstream}\"]\n"
            ));
        }
        let shared = Self { place: Place::new(&text), server, clients };
        for name in ["testing", "production"] {
            let files = ["pem", "key"].map(|kind| shared.place.path(format!("{name}.{kind}")));
            shared.server.write_pair(&format!("{name}.test"), (1975, 4096), (&files[0], &files[1]));
        }
        shared.trust(&shared.clients);
        shared
    }

    /// Whose certificates of clients are believed from the next reload on.
    fn trust(&self, authority: &Authority) {
        authority.write_to(&self.place.path("clients.pem"));
    }

    fn caller(&self, shown: Option<&Shown>) -> Arc<ClientConfig> {
        speaking(self.server.roots(), shown, (&[&TLS13], "http/1.1"))
    }

    /// A token request by `client_id` alone.
    fn ask(&self, address: SocketAddr, (shown, name): (Option<&Shown>, &str), form: &str) -> Reply {
        let session = session(address, &self.caller(shown), name).unwrap();
        let fields = [("host", name), ("content-type", "application/x-www-form-urlencoded")];
        let form = format!("grant_type=client_credentials&{form}");
        let mut connection = Connection::over(session);
        connection.send(message(address, "POST", "/oauth/token", &fields, &form));
        connection.reply().unwrap()
    }

    fn client(&self, environment: &str, more: &[&str]) -> String {
        let create = ["clients", "create", "--environment", environment, "--name", "Acme"];
        self.place.done(&[&create[..], more].concat())["client_id"].as_str().unwrap().to_owned()
    }
}

/// Asks again until it is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    assert!((0..2_000).any(|_| is_so()), "{what}");
}

#[test]
fn certificates_are_added_listed_and_removed_by_commands() {
    let shared = Shared::new();
    let server = shared.place.serve();
    let (place, shown) = (&shared.place, Shown::self_signed(&for_orders()));
    let create = ["clients", "create", "--environment", "testing", "--name", "Acme"];
    let made = place.done(&[&create[..], &["--subject-dn", "CN=orders, O=Acme"]].concat());
    let members: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(members, ["client_id", "certificate_id", "environment", "name"]);
    let id = made["client_id"].as_str().unwrap();
    let of = ["--environment", "testing", "--client", id];
    let add = |rule: &[&str]| place.command(&[&["clients", "certificates", "add"], rule, &of[..]].concat());
    // The file that a client has: its key is beside its certificate, and stays where it is.
    let file = place.path("orders.pem").display().to_string();
    let foreign = Shown::self_signed(&for_orders());
    std::fs::write(&file, shown.key_pem() + &shown.pem() + &foreign.pem()).unwrap();
    let added = place.done(&[&["clients", "certificates", "add", "--file", file.as_str()], &of[..]].concat());
    assert_eq!((&added["method"], &added["kind"]), (&json!("self_signed_tls_client_auth"), &json!("x5t#S256")));
    assert_eq!((&added["value"], &added["last_used_at"]), (&json!(shown.thumbprint()), &Value::Null));
    for rule in [
        ["--san-dns", "orders.example.com"],
        ["--san-uri", "spiffe://example.com/orders"],
        ["--san-ip", "192.0.2.7"],
        ["--san-email", "orders@example.com"],
    ] {
        assert!(add(&rule).status.success(), "{rule:?}");
    }
    for (rule, status, said) in [
        (&["--file", file.as_str()][..], 1, "known by that certificate already"),
        (&["--san-dns", "*.example.com"], 1, "without a wildcard"),
        (&["--subject-dn", "orders"], 1, "as RFC 4514 writes it"),
        (&["--file", place.path("nowhere").to_str().unwrap()], 1, "could not be read"),
        (&["--file", place.path("testing.key").to_str().unwrap()], 1, "has no certificate"),
        (&[], 2, "required"),
        (&["--san-ip", "192.0.2.7", "--san-dns", "a"], 2, "cannot be used with"),
    ] {
        let refused = add(rule);
        let words = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(status) && words.contains(said), "{rule:?}: {words}");
        assert!(!words.contains("PRIVATE"), "{words}");
    }
    for two in [["--jwk", "-"], ["--jwks-uri", "https://a.example/k"], ["--certificate", "a.pem"]] {
        let refused = place.command(&[&create[..], &["--san-dns", "a"], &two].concat());
        assert_eq!(refused.status.code(), Some(2), "{two:?}");
    }
    let listed = place.done(&[&["clients", "certificates", "list"], &of[..]].concat());
    let values: Vec<&str> = listed.as_array().unwrap().iter().map(|it| it["value"].as_str().unwrap()).collect();
    let thumbprint = shown.thumbprint();
    assert_eq!(values[..2], ["CN=orders,O=Acme", thumbprint.as_str()]);
    let table = place.command(&[&["clients", "certificates", "list"], &of[..]].concat());
    assert!(String::from_utf8(table.stdout).unwrap().contains("CN=orders,O=Acme"));
    let seen = place.done(&["clients", "show", "--environment", "testing", id]);
    assert_eq!((&seen["live_secrets"], &seen["certificates"]), (&json!(0), &json!(6)));
    let first = made["certificate_id"].as_str().unwrap();
    let remove = [&["clients", "certificates", "remove", "--certificate", first], &of[..]].concat();
    place.done(&remove);
    assert_eq!(place.command(&remove).status.code(), Some(1));
    let bound = place.client_with("testing", &["--certificate-bound"]);
    let changed =
        place.done(&["clients", "update", "--environment", "testing", &bound.id, "--certificate-bound", "false"]);
    assert_eq!(changed["tls_client_certificate_bound_access_tokens"], false);
    assert!(server.stop().success());
    let listed = place.done(&[&["clients", "certificates", "list"], &of[..]].concat());
    assert_eq!(listed.as_array().unwrap().len(), 5, "offline");
    let log = place.done(&["audit", "list", "--environment", "testing", "--client", id]);
    let done = log.as_array().unwrap().iter().rev().map(|it| &it["record"]);
    let deeds: Vec<(&str, bool)> =
        done.map(|it| (it["deed"].as_str().unwrap(), it["certificate_id"].as_str() == Some(first))).collect();
    assert_eq!(
        deeds[..3],
        [("client.created", true), ("client_certificate.added", true), ("client_certificate.added", false)]
    );
    assert_eq!(deeds.last(), Some(&("client_certificate.removed", true)));
}

/// One port asks the callers of both; what they show counts where it is wanted, and is nothing elsewhere.
#[test]
fn environments_on_one_port_are_told_apart() {
    let shared = Shared::new();
    let server = shared.place.serve();
    let shown = Shown::of(&shared.clients, &for_orders());
    let client = shared.client("testing", &["--san-dns", "orders.example.com"]);
    let form = format!("client_id={client}");
    assert_eq!(server.testing, server.production);
    assert_eq!(shared.ask(server.testing, (Some(&shown), "testing.test"), &form).status, 200);
    assert_eq!(shared.ask(server.testing, (None, "testing.test"), &form).status, 401);
    let other = shared.place.client_with("production", &[]);
    let by_name = format!("client_id={}", other.id);
    let unasked = shared.ask(server.testing, (Some(&shown), "production.test"), &by_name);
    assert_eq!(unasked.status, 401);
    let challenge = unasked.field("www-authenticate").unwrap();
    assert!(!challenge.contains("error="), "as where nothing was shown: {challenge}");
    let by_secret = format!("{by_name}&client_secret={}", other.secret);
    assert_eq!(shared.ask(server.testing, (Some(&shown), "production.test"), &by_secret).status, 200);
    let refused = shared.place.command(&[
        "clients",
        "certificates",
        "add",
        "--environment",
        "production",
        "--client",
        &other.id,
        "--san-dns",
        "a.example",
    ]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("asks nobody for a certificate"), "{said}");
    let bound = ["clients", "update", "--environment", "production", &other.id, "--certificate-bound"];
    assert_eq!(shared.place.command(&bound).status.code(), Some(1));
}

/// What came in clear is looked up whichever environment it is of: whoever listens does not care.
#[test]
fn what_comes_in_clear_to_a_shared_port_is_looked_up_in_both() {
    let shared = Shared::new();
    let server = shared.place.serve();
    let client = shared.place.client_with("production", &["--scope", "orders:read"]);
    let form = format!("client_id={}&client_secret={}", client.id, client.secret);
    let granted = shared.ask(server.production, (None, "production.test"), &form);
    let bearer = format!("Bearer {}", granted.json()["access_token"].as_str().unwrap());
    let fields = [("host", "production.test"), ("authorization", bearer.as_str())];
    let head = message(server.production, "GET", "/v1/orders", &fields, "");
    let status = || {
        let session = session(server.production, &shared.caller(None), "production.test").unwrap();
        let mut connection = Connection::over(session);
        connection.send(&head);
        connection.reply().unwrap().status
    };
    assert_eq!(status(), 200);
    assert_eq!(exchange(server.production, &head).status, 400);
    assert_eq!(status(), 401);
}

/// There is one way from a certificate to its authority, whatever comes with it and in whichever order; a chain that could be
/// gone in many ways is not tried out.
#[test]
fn a_chain_is_followed_in_one_way() {
    let shared = Shared::new();
    let server = shared.place.serve();
    let (upper, upper_der) = shared.clients.below("Upper");
    let (lower, lower_der) = upper.below("Lower");
    let (_, stranger) = Authority::named("Somebody else").below("Upper");
    let client = shared.client("testing", &["--san-dns", "orders.example.com"]);
    let ask = |shown: &Shown| shared.ask(server.testing, (Some(shown), "testing.test"), &format!("client_id={client}"));
    let path = |shown: &Shown| {
        let chain: Vec<Vec<u8>> = shown.chain.iter().map(|der| der.to_vec()).collect();
        let Presented::Certificate(presented) = Presented::new(chain) else { panic!("it is short enough") };
        presented.path().into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let mut shown = Shown::of(&lower, &for_orders());
    shown.chain.extend([shared.server.der(), upper_der.clone(), lower_der.clone(), stranger]);
    assert_eq!(path(&shown), [lower_der.to_vec(), upper_der.to_vec()]);
    assert_eq!(ask(&shown).status, 200);
    let mut looping = Shown::of(&Authority::named("Round"), &for_orders());
    looping.chain.extend((0..7).map(|_| Authority::named("Round").der()));
    assert_eq!(path(&looping).len(), 1);
    assert_eq!(ask(&looping).status, 401);
}

#[test]
fn authorities_are_read_anew_and_bad_ones_are_refused_while_the_old_ones_go_on() {
    let shared = Shared::new();
    let (next, file) = (Authority::named("The next ones"), shared.place.path("clients.pem"));
    // At the start nothing is served without them.
    for (text, said) in [
        ("nothing", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "certificate 1 in"),
        ("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n", "cannot read"),
    ] {
        std::fs::write(&file, text).unwrap();
        assert!(shared.place.try_serve(&[]).is_err_and(|status| status.code() == Some(1)));
        let log = shared.place.log();
        let place = "environments.testing.mutual_tls.authorities: ";
        assert!(log.contains(place) && log.contains(said) && log.contains("clients.pem"), "{said}: {log}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(shared.place.try_serve(&[]).is_err());
    // Commands need none.
    let client = shared.client("testing", &["--san-dns", "orders.example.com"]);
    shared.trust(&shared.clients);
    let server = shared.place.serve();
    let (of_old, of_new) = (Shown::of(&shared.clients, &for_orders()), Shown::of(&next, &for_orders()));
    let form = format!("client_id={client}");
    let status = |shown: &Shown| shared.ask(server.testing, (Some(shown), "testing.test"), &form).status;
    assert_eq!((status(&of_old), status(&of_new)), (200, 401));
    std::fs::write(&file, "nothing").unwrap();
    server.signal("HUP");
    until("it is said", || shared.place.log().contains("The new authorities of clients were refused"));
    assert_eq!((status(&of_old), status(&of_new)), (200, 401));
    shared.trust(&next);
    server.signal("HUP");
    until("the new ones are believed", || status(&of_new) == 200);
    assert_eq!(status(&of_old), 401);
}

#[test]
fn a_configuration_that_could_not_work_is_a_mistake() {
    let place = Place::new(&config_with(Upstream::friendly().address, "mutual_tls = {}", ""));
    assert_eq!(place.try_serve(&[]).err().unwrap().code(), Some(2));
    assert!(place.log().contains("environments.testing.mutual_tls: expected tls beside it"), "{}", place.log());
    let terminated = "tls = \"terminated\"\ntrusted_proxies = [\"127.0.0.1\"]\n";
    place.write_config(&config_with(
        Upstream::friendly().address,
        &format!("{terminated}mutual_tls = {{ ca = \"a\" }}"),
        "",
    ));
    assert!(String::from_utf8(place.command(&["check"]).stderr).unwrap().contains("mutual_tls.ca: unknown key"));
    place.write_config(&config_with(Upstream::friendly().address, &format!("{terminated}mutual_tls = {{}}"), ""));
    let printed = String::from_utf8(place.command(&["check"]).stdout).unwrap();
    assert!(printed.contains("[environments.testing.mutual_tls]"), "{printed}");
    place.write_config(&printed);
    assert_eq!(String::from_utf8(place.command(&["check"]).stdout).unwrap(), printed);
}

/// Where no authority is named, only certificates themselves can be registered, and the metadata says so.
#[test]
fn without_authorities_no_name_is_registered() {
    let terminated = "tls = \"terminated\"\ntrusted_proxies = [\"127.0.0.1\"]\nmutual_tls = {}\n";
    let timed = Timed::serving(config_with(Upstream::friendly().address, terminated, ""));
    let path = format!("/admin/v1/testing/clients/{}/certificates", timed.client.id);
    let by_name = timed.operate(&path, r#"{"san_dns":"orders.example.com"}"#);
    assert_eq!(by_name["error"]["code"], "authorities_missing");
    let shown = Shown::self_signed(&for_orders());
    let exact = timed.operate(&path, &json!({"certificate": shown.pem()}).to_string());
    assert_eq!(exact["data"]["method"], "self_signed_tls_client_auth", "{exact}");
    let told = crate::http1::request(timed.testing(), "GET", "/.well-known/oauth-authorization-server", &[], "").json();
    let methods = told["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(methods.contains(&json!("self_signed_tls_client_auth")) && !methods.contains(&json!("tls_client_auth")));
}

#[test]
fn the_api_takes_one_rule_that_can_be_met() {
    let mutual = Mutual::start();
    let path = format!("/admin/v1/testing/clients/{}/certificates", mutual.timed.client.id);
    let shown = Shown::self_signed(&for_orders());
    let over = Shown::self_signed(&lasting(for_orders(), (1975, 2026)));
    for (body, said) in [
        (json!({}), "expected exactly one of subject_dn"),
        (json!({"san_dns": "a", "san_ip": "192.0.2.7"}), "expected exactly one of"),
        (json!({"san_dns": "a", "certificate": shown.pem()}), "expected exactly one of"),
        (json!({"san_other": "a"}), "san_other"),
        (json!({"subject_dn": "CN"}), "subject_dn: expected"),
        (json!({"certificate": "nothing"}), "expected one certificate in PEM"),
        (json!({"certificate": shown.pem() + &shown.pem()}), "expected one certificate in PEM"),
        (json!({"certificate": shown.key_pem()}), "expected one certificate in PEM"),
        (json!({"certificate": shown.pem() + &shown.key_pem()}), "expected one certificate in PEM"),
        (json!({"certificate": over.pem()}), "this one's was over on"),
        (
            json!({"certificate": "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"}),
            "expected one certificate in PEM",
        ),
    ] {
        let refused = mutual.timed.operate(&path, &body.to_string());
        assert_eq!(refused["error"]["code"], "invalid_request", "{refused}");
        let words = refused["error"]["details"].as_str().unwrap().to_owned();
        assert!(words.contains(said), "{said}: {words}");
        assert!(!words.contains("MII"), "{words}");
    }
    for number in 0..10 {
        let added = mutual.timed.operate(&path, &json!({"san_dns": format!("a{number}.example")}).to_string());
        assert_eq!(added["data"]["kind"], "san_dns", "{added}");
    }
    let again = mutual.timed.operate(&path, r#"{"san_dns":"A0.example"}"#);
    assert_eq!(again["error"]["code"], "certificate_exists");
    let more = mutual.timed.operate(&path, r#"{"san_dns":"a10.example"}"#);
    assert_eq!(more["error"]["code"], "too_many_certificates");
    assert_eq!(mutual.timed.delete(&format!("{path}/crt_none"))["error"]["code"], "not_found");
}
