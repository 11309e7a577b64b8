//! Which platforms are trusted, as an operator writes it; and what operators may bind clients to.

use std::path::Path;

use fuuffy::config;
use serde_json::{Value, json};

use super::{ask, bound, happened};
use crate::app::{self, Place};
use crate::platform::{KEYS, Platform, PlatformKey};
use crate::timed::Timed;
use crate::upstream::Upstream;

const SUBJECT: &str = "system:serviceaccount:shop:orders";

fn parse(issuers: &str) -> Result<config::EnvironmentConfig, Vec<String>> {
    let text = app::config(Upstream::friendly().address) + issuers;
    let parsed = config::parse(&text, Path::new("/etc"));
    let config = parsed.map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.words).collect::<Vec<_>>())?;
    let again = config::parse(&config.to_toml(), Path::new("/")).expect("what we write we read");
    assert_eq!(again, config);
    Ok(config.environments.testing.unwrap())
}

fn issuer(lines: &str) -> String {
    format!("\n[[environments.testing.identity_issuers]]\n{lines}\n")
}

#[test]
fn defaults_are_the_safe_ones() {
    let github = "issuer = \"https://token.actions.githubusercontent.com\"";
    let cluster = "issuer = \"https://cluster.example\"\njwks_file = \"keys.json\"\nlongest_life = \"1h\"";
    let testing = parse(&(issuer(github) + &issuer(cluster))).unwrap();
    let [github, cluster] = &testing.identity_issuers[..] else { panic!("two issuers") };
    assert_eq!(github.trusted.audience, "https://testing-api-gateway.fuuffy.com");
    assert!(github.trusted.binding_claims.contains(&"repository".to_owned()));
    assert_eq!((github.keys.clone(), github.published.allow_private), (config::KeysFrom::Metadata, false));
    assert_eq!(github.trusted.longest_life.seconds(), 24 * 3600);
    assert_eq!(cluster.trusted.binding_claims, ["sub"]);
    assert_eq!(cluster.keys, config::KeysFrom::File("/etc/keys.json".into()));
    assert!(testing.identity_issuers.iter().all(|issuer| issuer.trusted.longest_life.seconds() <= 24 * 3600));
}

#[test]
fn all_mistakes_are_told() {
    let good = "issuer = \"https://cluster.example\"\n";
    for (lines, key) in [
        ("", "issuer"),
        ("issuer = \"http://cluster.example\"", "issuer"),
        ("issuer = \"kubernetes/serviceaccount\"", "issuer"),
        ("issuer = \"https://cluster.example?a\"", "issuer"),
        ("issuer = \"https://cluster.example#a\"", "issuer"),
        ("issuer = \"https://user@cluster.example\"", "issuer"),
        (&format!("{good}audience = \"\""), "audience"),
        (&format!("{good}audience = [\"a\"]"), "audience"),
        (&format!("{good}jwks_uri = \"http://cluster.example/keys\""), "jwks_uri"),
        (&format!("{good}jwks_uri = \"https://10.0.0.1/keys\""), "jwks_uri"),
        (&format!("{good}jwks_uri = \"https://a.example/\"\njwks_file = \"keys\""), "jwks_file"),
        (&format!("{good}binding_claims = []"), "binding_claims"),
        (&format!("{good}binding_claims = [\"aud\"]"), "binding_claims"),
        (&format!("{good}longest_life = \"31d\""), "longest_life"),
        (&format!("{good}allow_private = 1"), "allow_private"),
        (&format!("{good}keys = 1"), "keys"),
    ] {
        let mistakes = parse(&issuer(lines)).expect_err(lines);
        let name = format!("environments.testing.identity_issuers[0].{key}: ");
        assert!(mistakes.iter().any(|words| words.starts_with(&name)), "{lines}: {mistakes:?}");
    }
    let twice = parse(&(issuer(good) + &issuer(good))).unwrap_err();
    assert!(twice[0].contains("identity_issuers[1].issuer: is there twice"), "{twice:?}");
    assert!(parse(&issuer(&format!("{good}jwks_uri = \"https://10.0.0.1/k\"\nallow_private = true"))).is_ok());
}

#[test]
fn files_of_keys_are_looked_into_at_the_start() {
    let (platform, key) = (Platform::start(), PlatformKey::rsa("a"));
    let lines = format!("issuer = \"{}\"\njwks_file = \"keys.json\"", platform.issuer());
    let place = Place::new(&(app::config(Upstream::friendly().address) + &issuer(&lines)));
    for (text, said) in [(None, "cannot be read"), (Some("{}"), "no JWK Set"), (Some("{\"keys\":[]}"), "none of them")]
    {
        if let Some(text) = text {
            std::fs::write(place.path("keys.json"), text).unwrap();
        }
        assert!(place.try_serve(&[]).is_err());
        assert!(place.log().contains("identity_issuers[0].jwks_file") && place.log().contains(said), "{}", place.log());
    }
    std::fs::write(place.path("keys.json"), json!({"keys": [key.jwk()]}).to_string()).unwrap();
    assert!(place.serve().stop().success());
    let lines = lines.replace("jwks_file = \"keys.json\"", "ca_file = \"ca.pem\"");
    place.write_config(&(app::config(Upstream::friendly().address) + &issuer(&lines)));
    assert!(place.try_serve(&[]).is_err());
    assert!(place.log().contains("identity_issuers[0].ca_file"), "{}", place.log());
}

/// A cluster that nobody can reach: its keys are in a file, which is read anew.
#[test]
fn keys_in_a_file_do_as_well() {
    let (platform, first, second) = (Platform::start(), PlatformKey::rsa("a"), PlatformKey::p256("b"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let write = |key: &PlatformKey| std::fs::write(&file, json!({"keys": [key.jwk()]}).to_string()).unwrap();
    write(&first);
    let timed = Timed::start(&issuer(&format!("issuer = \"{}\"\njwks_file = {file:?}", platform.issuer())));
    let client = bound(&timed, &platform, &json!({ "sub": SUBJECT }));
    let token = |key: &PlatformKey| key.sign(&platform.kubernetes_claims("shop:orders", timed.now()));
    assert_eq!(ask(&timed, &client, &token(&first)).status, 200);
    write(&second);
    timed.time.pass(std::time::Duration::from_secs(30));
    assert_eq!(ask(&timed, &client, &token(&second)).status, 200);
    assert_eq!(ask(&timed, &client, &token(&first)).status, 401);
    assert_eq!((platform.asked(KEYS), platform.asked(crate::platform::METADATA)), (0, 0));
}

/// An audience of the operator's own, and a URL of keys without metadata.
#[test]
fn audience_and_keys_are_as_they_are_configured() {
    let (platform, key) = (Platform::start(), PlatformKey::p256("a"));
    platform.publish(&[&key]);
    let more = format!("audience = \"fuuffy\"\njwks_uri = \"{}\"", platform.url(KEYS));
    let timed = Timed::start(&platform.trusted(&more));
    let client = bound(&timed, &platform, &json!({ "sub": SUBJECT }));
    let mut claims = platform.kubernetes_claims("shop:orders", timed.now());
    let usual = ask(&timed, &client, &key.sign(&claims));
    assert!(happened(&timed, &usual).contains("not for this token service alone"));
    claims["aud"] = json!("fuuffy");
    assert_eq!(ask(&timed, &client, &key.sign(&claims)).status, 200);
    assert_eq!(platform.asked(crate::platform::METADATA), 0);
}

#[test]
fn operators_bind_clients_to_what_is_trusted_and_to_somebody() {
    let platform = Platform::start();
    let timed = Timed::start(&platform.trusted(""));
    let client = bound(&timed, &platform, &json!({ "sub": SUBJECT }));
    let path = format!("/admin/v1/testing/clients/{client}/identities");
    let add = |issuer: &str, claims: Value| {
        let answer = timed.operate(&path, &json!({"issuer": issuer, "claims": claims}).to_string());
        answer["error"]["code"].as_str().map(str::to_owned)
    };
    let issuer = platform.issuer();
    let code = |code: &str| Some(code.to_owned());
    assert_eq!(add("https://evil.example", json!({"sub": "a"})), code("issuer_untrusted"));
    assert_eq!(add(&format!("{issuer}/"), json!({"sub": "a"})), code("issuer_untrusted"), "exactly");
    assert_eq!(add(&issuer, json!({ "sub": SUBJECT })), code("identity_exists"));
    for claims in [
        json!({}),
        json!({"ref": "refs/heads/main"}),
        json!({"iss": issuer}),
        json!({"sub": "a", "aud": "b"}),
        json!({"sub": ""}),
        json!({"sub": ["a"]}),
        json!({"sub": 1}),
        json!("sub"),
    ] {
        assert_eq!(add(&issuer, claims.clone()), code("invalid_request"), "{claims}");
    }
    for number in 1..10 {
        assert_eq!(add(&issuer, json!({"sub": number.to_string()})), None);
    }
    assert_eq!(add(&issuer, json!({"sub": "one more"})), code("too_many_identities"));
    let both = json!({"name": "Acme", "jwks_uri": "https://a.example/", "identity": {"issuer": issuer, "claims": {"sub": "a"}}});
    let refused = timed.operate("/admin/v1/testing/clients", &both.to_string());
    assert_eq!(refused["error"]["code"], "invalid_request");
}
