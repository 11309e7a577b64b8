//! What clients prove themselves by without a secret: written, compared and made true as everything else of them.

use std::process::Output;

use jsonwebtoken::Algorithm;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::{apply, export, words};
use crate::app::{Place, config_with};
use crate::signing_client::{SigningClient, ask};
use crate::upstream::Upstream;
use fuuffy_domain::TimeSource as _;

const ISSUER: &str = "https://platform.example.com";

fn place() -> Place {
    let issuer = format!("identity_issuers = [{{ issuer = \"{ISSUER}\", jwks_uri = \"{ISSUER}/keys\" }}]\n");
    Place::new(&config_with(Upstream::friendly().address, &issuer, ""))
}

/// A key as a file has it.
fn key(client: &SigningClient, kid: &str) -> String {
    let jwk = client.jwk();
    let member = |name: &str| jwk[name].as_str().map(|value| format!("{name} = \"{value}\""));
    let kid = (!kid.is_empty()).then(|| format!("kid = \"{kid}\""));
    let members: Vec<String> = ["kty", "crv", "x", "y", "n", "e"].into_iter().filter_map(member).chain(kid).collect();
    format!("{{ {} }}", members.join(", "))
}

fn identity(workload: &str) -> String {
    format!("{{ issuer = \"{ISSUER}\", claims = {{ sub = \"{workload}\", \"a.b\" = \"c\" }} }}")
}

fn client(id: &str, lines: &str) -> String {
    format!("\n[[clients]]\nclient_id = \"{id}\"\nname = \"{id}\"\n{lines}\n")
}

fn file(clients: &[String]) -> String {
    format!("environment = \"testing\"\n{}", clients.concat())
}

fn same(output: &Output) {
    let (status, out, err) = words(output);
    assert_eq!((status, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.starts_with("Nothing to change: "), "{err}");
}

fn listed(place: &Place, what: &str, client: &str) -> Vec<Value> {
    let listed = place.done(&["clients", what, "list", "--environment", "testing", "--client", client]);
    listed.as_array().unwrap().clone()
}

fn deeds(place: &Place, count: usize) -> Vec<String> {
    let log = place.done(&["audit", "list", "--environment", "testing"]);
    let mut deeds: Vec<String> = log
        .as_array()
        .unwrap()
        .iter()
        .take(count)
        .map(|row| row["record"]["deed"].as_str().unwrap().to_owned())
        .collect();
    deeds.reverse();
    deeds
}

#[test]
fn what_was_exported_is_made_elsewhere_as_it_was() {
    let (place, other) = (place(), place());
    let [first, second, third] = [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256]
        .map(|algorithm| SigningClient::called("signs", algorithm));
    let text = file(&[
        client(
            "signs",
            &format!(
                "keys = [{}, {}, {}]\nidentities = [{}]",
                key(&second, ""),
                key(&third, "rsa"),
                key(&first, "one"),
                identity("a")
            ),
        ),
        client("publishes", &format!("jwks_uri = \"https://keys.example.com/set\"\nidentities = [{}]", identity("b"))),
        client("works", &format!("identities = [{}, {}]", identity("d"), identity("c"))),
        client("knows", ""),
    ]);
    let server = place.serve();
    let (status, out, err) = words(&apply(&place, &text, &[]));
    assert_eq!(status, Some(0), "{err}");
    let secrets: Vec<&str> = out.lines().filter(|line| line.contains("client_secret")).collect();
    assert!(secrets.len() == 1 && secrets[0].starts_with("knows client_secret fsk_test_"), "{out}");
    same(&apply(&place, &text, &["--prune"]));
    let exported = export(&place);
    same(&apply(&place, &exported, &["--dry-run", "--exit-code", "--prune"]));
    let (status, _, err) = words(&apply(&other, &exported, &[]));
    assert_eq!(status, Some(0), "{err}");
    assert_eq!(export(&other), exported);
    assert_eq!(listed(&other, "keys", "signs").len(), 3);
    assert_eq!(listed(&other, "identities", "works").len(), 2);
    // They work, and not only look alike.
    let now = fuuffy::server::SystemTime.wall();
    for (signer, jti) in [(&first, "a"), (&second, "b"), (&third, "c")] {
        let granted = ask(server.testing, &signer.assertion(now, jti));
        assert_eq!(granted.status, 200, "{}", granted.text());
    }
    assert!(server.stop().success());
}

#[test]
fn a_plan_names_each_that_comes_or_goes_and_new_ones_come_first() {
    let place = place();
    let keys: Vec<SigningClient> = (0..5).map(|_| SigningClient::new(Algorithm::ES256)).collect();
    let of = |keys: &[String], workloads: &[&str]| {
        let identities: Vec<String> = workloads.iter().map(|workload| identity(workload)).collect();
        file(&[client("app", &format!("keys = [{}]\nidentities = [{}]", keys.join(", "), identities.join(", ")))])
    };
    let named =
        |numbers: &[usize]| numbers.iter().map(|number| key(&keys[*number], &number.to_string())).collect::<Vec<_>>();
    assert_eq!(words(&apply(&place, &of(&named(&[0, 1]), &["a", "b"]), &[])).0, Some(0));
    let next = of(&named(&[1, 2]), &["b"]);
    let (status, plan, _) = words(&apply(&place, &next, &["--dry-run", "--exit-code"]));
    let jwk = |number: usize| json!({"kty": "EC", "crv": "P-256", "x": keys[number].jwk()["x"], "y": keys[number].jwk()["y"], "kid": number.to_string()});
    let expected = format!(
        "~ app \"app\"\n    - keys: {}\n    - identities: {}\n    + keys: {}\n",
        jwk(0),
        json!({"issuer": ISSUER, "claims": {"a.b": "c", "sub": "a"}}),
        jwk(2)
    );
    assert_eq!((status, plan), (Some(3), expected));
    assert_eq!(words(&apply(&place, &next, &[])).0, Some(0));
    assert_eq!(deeds(&place, 3), ["client_key.added", "client_key.removed", "client_identity.removed"]);
    same(&apply(&place, &next, &[]));
    // The same key by another name, and as many others as there may be: something must go before something comes.
    let renamed = of(&[key(&keys[1], "renamed"), key(&keys[3], "2"), key(&keys[4], "")], &["b"]);
    assert_eq!(words(&apply(&place, &renamed, &[])).0, Some(0));
    same(&apply(&place, &renamed, &[]));
    let others = of(&named(&[0, 1, 2]), &[]);
    let (status, _, err) = words(&apply(&place, &others, &[]));
    assert_eq!(status, Some(0), "{err}");
    same(&apply(&place, &others, &["--prune"]));
    assert_eq!(listed(&place, "identities", "app"), Vec::<Value>::new());
    // And to none at all.
    let none = file(&[client("app", "")]);
    assert_eq!(words(&apply(&place, &none, &[])).0, Some(0));
    same(&apply(&place, &none, &[]));
}

#[test]
fn where_a_client_publishes_its_keys_never_changes() {
    let place = place();
    let of = |line: &str| file(&[client("app", line), client("other", "")]);
    assert_eq!(words(&apply(&place, &of("jwks_uri = \"https://keys.example.com/one\""), &[])).0, Some(0));
    for line in ["jwks_uri = \"https://keys.example.com/two\"", ""] {
        let changed = of(line).replace("name = \"other\"", "name = \"Another\"");
        for more in [&["--dry-run"][..], &[]] {
            let (status, out, err) = words(&apply(&place, &changed, more));
            assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
            assert!(err.contains("the jwks_uri of app is https://keys.example.com/one"), "{err}");
        }
    }
    assert!(export(&place).contains("name = \"other\""), "nothing was changed");
}

/// Offline, so that no certificate of the server's own is needed.
fn mutual() -> Place {
    let tls = "tls = { cert = \"own.pem\", key = \"own.key\" }\nmutual_tls = { authorities = \"ca.pem\" }\n";
    Place::new(&config_with(Upstream::friendly().address, tls, ""))
}

fn pem(name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}

#[test]
fn certificates_are_written_and_made_by_their_names_or_as_they_are() {
    let (place, own, next) = (mutual(), pem("orders"), pem("orders"));
    let exact = |pem: &str| format!("{{ certificate = \"{}\" }}", pem.replace('\n', "\\n"));
    let names =
        "{ subject_dn = \"CN=orders, O=Acme\" }, { san_uri = \"spiffe://a/b\" }, { san_dns = \"A.example.com\" }";
    let bound = "tls_client_certificate_bound_access_tokens = true";
    let of = |names: &str, more: &str| file(&[client("app", &format!("certificates = [{names}]\n{more}"))]);
    let first = of(&format!("{}, {names}", exact(&own)), bound);
    let (status, out, err) = words(&apply(&place, &first, &[]));
    assert!(status == Some(0) && !out.contains("client_secret"), "{out}{err}");
    same(&apply(&place, &first, &["--prune"]));
    let exported = export(&place);
    same(&apply(&place, &exported, &["--dry-run", "--exit-code", "--prune"]));
    for line in
        ["{ subject_dn = \"CN=orders,O=Acme\" }", "{ san_dns = \"a.example.com\" }", "{ \"x5t#S256\" = \"", bound]
    {
        assert!(exported.contains(line), "{line}: {exported}");
    }
    // Another one instead, and a name less.
    let second = of(&format!("{}, {{ san_dns = \"a.example.com\" }}", exact(&next)), "dpop_bound_access_tokens = true");
    let (status, plan, _) = words(&apply(&place, &second, &["--dry-run", "--exit-code"]));
    assert_eq!(
        (status, plan.matches("- certificates: ").count(), plan.matches("+ certificates: ").count()),
        (Some(3), 3, 1),
        "{plan}"
    );
    assert!(plan.contains(r#"- certificates: {"san_uri":"spiffe://a/b"}"#), "{plan}");
    let (status, _, err) = words(&apply(&place, &second, &[]));
    assert_eq!(status, Some(0), "{err}");
    same(&apply(&place, &second, &["--prune"]));
    assert_eq!(listed(&place, "certificates", "app").len(), 2);
    // The server keeps no certificate, so elsewhere the thumbprint alone is not enough; names are.
    let elsewhere = mutual();
    let (status, out, err) = words(&apply(&elsewhere, &export(&place), &[]));
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(err.contains("of which only the thumbprint is known; nothing was changed"), "{err}");
    assert!(!export(&elsewhere).contains("[[clients]]"));
    let by_names = of(names, bound);
    assert_eq!(words(&apply(&elsewhere, &by_names, &[])).0, Some(0));
    same(&apply(&elsewhere, &by_names, &[]));
    assert_eq!(words(&apply(&elsewhere, &of("", bound), &[])).0, Some(0));
    assert_eq!(listed(&elsewhere, "certificates", "app"), Vec::<Value>::new());
    let key = KeyPair::generate().unwrap().serialize_pem();
    let bad = of(
        &format!(
            "{}, {{ san_dns = \"*.a\" }}, {{ san_dns = \"a\", san_ip = \"::1\" }}, {{ \"x5t#S256\" = \"short\" }}, \
             {{ san_ip = \"::1\" }}, {{ san_ip = \"0:0::1\" }}",
            exact(&format!("{own}{key}"))
        ),
        "dpop_bound_access_tokens = true\ntls_client_certificate_bound_access_tokens = true",
    );
    let (status, _, err) = words(&apply(&place, &bad, &["--dry-run"]));
    assert_eq!(status, Some(2));
    for words in [
        "certificates[0].certificate: expected one certificate in PEM",
        "certificates[1].san_dns: expected a name of DNS",
        "certificates[2]: expected exactly one of a name",
        "certificates[3].x5t#S256: expected a thumbprint",
        "certificates: the same certificate is there twice",
        "tls_client_certificate_bound_access_tokens: tokens are bound to one thing",
    ] {
        assert!(err.contains(&format!("clients[0].{words}")), "{words}: {err}");
    }
    assert!(!err.contains(key.lines().nth(1).unwrap()), "{err}");
    let (status, _, err) = words(&apply(&super::place(), &by_names, &["--dry-run"]));
    assert!(status == Some(2) && err.contains("clients[0].certificates: expected mutual_tls"), "{err}");
}

/// A client is known by one key all the while, of whichever kind both are.
#[test]
fn a_new_key_comes_before_an_old_one_goes() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
        let place = place();
        let of = |kid: &str| file(&[client("app", &format!("keys = [{}]", key(&SigningClient::new(algorithm), kid)))]);
        assert_eq!(words(&apply(&place, &of("old"), &[])).0, Some(0));
        assert_eq!(words(&apply(&place, &of("new"), &[])).0, Some(0));
        assert_eq!(deeds(&place, 2), ["client_key.added", "client_key.removed"], "{algorithm:?}");
    }
}

#[test]
fn mistakes_in_them_are_told_at_once() {
    let place = place();
    let one = SigningClient::new(Algorithm::ES256);
    let modulus = format!("g{}Q", "A".repeat(340));
    let rsa = |n: &str, e: &str| format!("{{ kty = \"RSA\", n = \"{n}\", e = \"{e}\" }}");
    let private = key(&one, "").replace(" }", ", d = \"c2VjcmV0\" }");
    let bad = file(&[
        client("a", &format!("jwks_uri = \"http://keys.example.com\"\nkeys = [{}]", key(&one, ""))),
        client("b", &format!("keys = [{0}, {0}]", key(&one, "same"))),
        client("c", &format!("keys = [{private}, {}]", key(&one, "").replace("\"EC\"", "\"OKP\""))),
        client("d", "identities = [{ issuer = \"https://elsewhere.example.com\", claims = { sub = \"a\" } }]"),
        client("e", &format!("identities = [{{ issuer = \"{ISSUER}\", claims = {{ iss = \"a\" }} }}]")),
        client("f", &format!("identities = [{{ issuer = \"{ISSUER}\", claims = {{ other = \"a\" }} }}]")),
        client("g", &format!("identities = [{0}, {0}]", identity("a"))),
        client("h", &format!("identities = [{{ issuer = \"{ISSUER}\", claims = {{ sub = 7 }} }}]")),
        client(
            "i",
            &format!(
                "keys = [{}, {}, {}]",
                rsa("AQAB", "AQAB"),
                rsa(&modulus, "Aw"),
                rsa(&modulus, "AQAB\", crv = \"P-256")
            ),
        ),
    ]);
    let (status, out, err) = words(&apply(&place, &bad, &["--dry-run"]));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    for (client, words) in [
        (0, "jwks_uri: expected an https:// URL"),
        (0, "keys: a client either publishes its keys or registers them"),
        (1, "keys: the same key, or the same kid, is there twice"),
        (2, "keys[0].d: unknown key"),
        (2, "keys[1]: expected a key on P-256, with x and y, one on Ed25519, with x alone, or an RSA key"),
        (8, "keys[0].n: expected 256, 384 or 512 bytes in base64url"),
        (8, "keys[1].e: expected \"AQAB\""),
        (8, "keys[2]: expected a key on P-256"),
        (3, "identities[0].issuer: expected an issuer of the environment's identity_issuers"),
        (4, "identities[0].claims: iss is checked anyway"),
        (5, "identities[0].claims: expected one of sub among them"),
        (6, "identities: the same identity is there twice"),
        (7, "identities[0].claims: expected a table of strings"),
    ] {
        assert!(err.contains(&format!("clients[{client}].{words}")), "{words}: {err}");
    }
    assert!(!err.contains("c2VjcmV0"), "{err}");
}
