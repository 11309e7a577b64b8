//! Each key: what it takes, what it refuses, and what it says then.

use std::path::Path;

use super::*;

const ENVIRONMENT: &str = "[environments.testing]\nlisten = \"127.0.0.1:8080\"\n";
const ROUTE: &str =
    "[[environments.testing.routes]]\nprefix = \"/v1/orders\"\nupstreams = [\"http://127.0.0.1:8090\"]\n";

fn read(text: &str) -> Result<Config, Vec<String>> {
    parse(text, Path::new("/etc")).map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.words).collect())
}

fn testing(text: &str) -> EnvironmentConfig {
    read(text).unwrap().environments.testing.unwrap()
}

#[track_caller]
fn refused(text: &str, key: &str) {
    let mistakes = read(text).expect_err(text);
    assert!(mistakes.iter().any(|words| words.starts_with(&format!("{key}: "))), "{key} is not in {mistakes:?}");
}

#[test]
fn the_shortest_configuration_has_the_contracts_defaults() {
    let config = read(ENVIRONMENT).unwrap();
    assert_eq!(config.data_dir, Path::new("/etc/data"));
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9080");
    assert_eq!(config.plans.values().next(), Some(&Plan::standard()));
    let testing = config.environments.testing.unwrap();
    assert_eq!(testing.base_url, "https://testing-api-gateway.fuuffy.com/v1");
    assert_eq!((testing.token_lifetime, testing.token_bytes), (Lifetime::HOUR, 16));
    let hosts = testing.hosts.unwrap();
    assert!(hosts.contains(&"testing-api-gateway.fuuffy.com".to_owned()) && hosts.contains(&"127.0.0.1".to_owned()));
    assert!(config.environments.production.is_none());
}

#[test]
fn the_contracts_own_example_is_read() {
    let text = r#"
        data_dir = "data"
        [admin]
        listen = "127.0.0.1:9080"
        [environments.testing]
        listen = "127.0.0.1:8080"
        base_url = "https://testing-api-gateway.fuuffy.com/v1"
        token_lifetime = "1h"
        [[environments.testing.routes]]
        prefix = "/v1/orders"
        upstreams = ["http://127.0.0.1:8090"]
        scopes = { read = "orders:read", write = "orders:write" }
        [plans.standard]
        limits = ["100/min", "1000/h"]
    "#;
    let route = testing(text).routes.remove(0);
    assert_eq!(
        (route.route.read.to_string(), route.route.write.to_string()),
        ("orders:read".into(), "orders:write".into())
    );
    assert_eq!(route.upstreams[0].authority, "127.0.0.1:8090");
}

#[test]
fn every_key_refuses_what_it_cannot_be() {
    let with = |line: &str| format!("{ENVIRONMENT}{line}\n");
    for (line, key) in [
        ("base_url = \"http://api.example.com\"", "base_url"),
        ("base_url = \"https://user@api.example.com\"", "base_url"),
        ("base_url = \"https://api.example.com/v1#top\"", "base_url"),
        ("base_url = 'https://api.example.com/\"v1\"'", "base_url"),
        ("hosts = [\"https://api.example.com\"]", "hosts"),
        ("token_lifetime = \"31d\"", "token_lifetime"),
        ("token_lifetime = 3600", "token_lifetime"),
        ("token_bytes = 24", "token_bytes"),
        ("token_format = \"JWT\"", "token_format"),
        ("token_signing_alg = \"none\"", "token_signing_alg"),
        ("token_signing_alg = \"HS256\"", "token_signing_alg"),
        ("introspection_signing_alg = \"rs256\"", "introspection_signing_alg"),
        ("tls = \"self-signed\"", "tls"),
        ("tls = \"terminated\"", "tls"),
        ("trusted_proxies = [\"10.0.0.0/8\"]", "trusted_proxies"),
        ("mutual_tls = {}", "mutual_tls"),
        ("mutual_tls = true", "mutual_tls"),
        (
            "tls = \"terminated\"\ntrusted_proxies = [\"10.0.0.1\"]\nmutual_tls = { authorities = \"\" }",
            "mutual_tls.authorities",
        ),
        ("tls = \"terminated\"\ntrusted_proxies = [\"ten\"]", "trusted_proxies"),
        ("routes = 3", "routes"),
        ("limits = { connections = 0 }", "limits.connections"),
        ("limits = { header_timeout = \"0s\" }", "limits.header_timeout"),
        ("limits = { header_timeout = \"25h\" }", "limits.header_timeout"),
        ("limits = { max_header_bytes = \"2MiB\" }", "limits.max_header_bytes"),
        ("limits = { max_body = \"10MB\" }", "limits.max_body"),
        ("limits = { max_headers = 257 }", "limits.max_headers"),
        ("limits = { tokens = [\"0/min\"] }", "limits.tokens"),
        ("limits = { tokens_by_address = [\"5/min\", \"6/min\"] }", "limits.tokens_by_address"),
    ] {
        refused(&with(line), &format!("environments.testing.{key}"));
    }
    let route = |line: &str| format!("{ENVIRONMENT}{ROUTE}{line}\n");
    for (line, key) in [
        ("websocket = \"yes\"", "websocket"),
        ("protocol = \"http3\"", "protocol"),
        ("scopes = { read = \"a  b\" }", "scopes.read"),
        ("scopes = { reed = \"a\" }", "scopes.reed"),
        ("connect_timeout = 5", "connect_timeout"),
        ("cost = -1", "cost"),
        ("cost = 1000001", "cost"),
        ("cost = \"5\"", "cost"),
        ("in_flight = 0", "in_flight"),
        ("adaptive_limit = 1", "adaptive_limit"),
    ] {
        refused(&route(line), &format!("environments.testing.routes[0].{key}"));
    }
    for (prefix, upstream) in [
        ("orders", "http://127.0.0.1:1"),
        ("/v1/orders/", "http://127.0.0.1:1"),
        ("/v1/../orders", "http://127.0.0.1:1"),
        ("/v1/auth/token", "http://127.0.0.1:1"),
        ("/oauth/token", "http://127.0.0.1:1"),
        ("/.well-known/oauth-protected-resource", "http://127.0.0.1:1"),
        ("/.well-known/oauth-authorization-server/v1", "http://127.0.0.1:1"),
    ] {
        let text = format!(
            "{ENVIRONMENT}[[environments.testing.routes]]\nprefix = \"{prefix}\"\nupstreams = [\"{upstream}\"]\n"
        );
        refused(&text, "environments.testing.routes[0].prefix");
    }
    for upstream in [
        "127.0.0.1:1",
        "https://127.0.0.1:1",
        "http://127.0.0.1:1/v1",
        "http://user@127.0.0.1",
        "http://",
        "ftp://a",
        "http://a:",
    ] {
        let text =
            format!("{ENVIRONMENT}[[environments.testing.routes]]\nprefix = \"/a\"\nupstreams = [\"{upstream}\"]\n");
        refused(&text, "environments.testing.routes[0].upstreams");
    }
    refused(&format!("{ENVIRONMENT}{ROUTE}{ROUTE}"), "environments.testing.routes[1].prefix");
    let far = ROUTE.replace("127.0.0.1:8090", "10.0.0.1:80") + "protocol = \"http2\"\n";
    refused(&format!("{ENVIRONMENT}{far}"), "environments.testing.routes[0].protocol");
    for (limits, key) in [("[\"100/min\", \"5/min\"]", "limits"), ("[\"0/s\"]", "limits"), ("\"100/min\"", "limits")] {
        refused(&format!("{ENVIRONMENT}[plans.gold]\nlimits = {limits}\n"), &format!("plans.gold.{key}"));
    }
    for (limits, reason) in [
        ("[\"100/min\", \"5/min\"]", r#""100/min" and "5/min" would both be called "minute""#),
        ("[\"0/s\"]", "lets nothing through"),
        ("[\"1000000000/s\"]", "at most 100000000 a second"),
        ("[\"99999999999999999999/h\"]", "at most 100000000 a second and 1000000000 in all"),
        ("[\"5/week\"]", "expected a whole number from 1 to 1000000000, a slash, and s, min, h or d"),
    ] {
        let mistakes = read(&format!("{ENVIRONMENT}[plans.gold]\nlimits = {limits}\n")).unwrap_err();
        assert!(mistakes[0].contains(reason), "{}", mistakes[0]);
    }
    let dear = format!("{ENVIRONMENT}{ROUTE}cost = 6\n[plans.small]\nlimits = [\"100/min\", \"5/s\"]\n");
    let mistakes = read(&dear).unwrap_err();
    let words = r#"environments: testing.routes[0].cost: 6 is more than the "5/s" of plans.small ever lets through"#;
    assert_eq!(mistakes, [words]);
    assert!(read(&dear.replace("cost = 6", "cost = 5")).is_ok());
    refused(&format!("{ENVIRONMENT}[plans.gold]\nlimits = []\nobserve = [\"0/min\"]\n"), "plans.gold.observe");
    for concurrency in ["0", "1000001", "\"5\"", "-1"] {
        let text = format!("{ENVIRONMENT}[plans.gold]\nlimits = []\nconcurrency = {concurrency}\n");
        refused(&text, "plans.gold.concurrency");
    }
    refused(&format!("{ENVIRONMENT}[plans.\"no name\"]\nlimits = []\n"), "plans.no name");
    refused(&format!("workers = 0\n{ENVIRONMENT}"), "workers");
    refused("data_dir = \"data\"\n", "environments");
    refused("[environments.staging]\nlisten = \"127.0.0.1:1\"\n", "environments.staging");
}

/// A listener that is not on loopback must say who speaks TLS.
#[test]
fn plain_text_stays_on_loopback() {
    let text = |more: &str| format!("[environments.testing]\nlisten = \"0.0.0.0:8080\"\n{more}");
    refused(&text(""), "environments.testing.listen");
    let own = testing(&text("tls = { cert = \"a\", key = \"b\" }\n")).tls;
    assert!(
        matches!(own, TlsMode::Own(files) if files.cert == Path::new("/etc/a") && files.key == Path::new("/etc/b"))
    );
    refused(&text("tls = { cert = \"a\" }\n"), "environments.testing.tls.key");
    refused(
        &text("tls = { cert = \"a\", key = \"b\" }\ntrusted_proxies = [\"10.0.0.0/8\"]\n"),
        "environments.testing.trusted_proxies",
    );
    let admin = "[admin]\nlisten = \"192.168.0.1:9080\"\ntls = { cert = \"a\", key = \"b\" }\n";
    assert!(read(&format!("{ENVIRONMENT}{admin}")).is_ok());
    let terminated = testing(&text("tls = \"terminated\"\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n"));
    assert!(matches!(terminated.tls, TlsMode::Terminated { trusted_proxies } if trusted_proxies.len() == 2));
    refused(&format!("{ENVIRONMENT}[admin]\nlisten = \"192.168.0.1:9080\"\n"), "admin.listen");
}

#[test]
fn certificates_by_acme_are_asked_for_whole() {
    let tls = |hosts: &str| format!("{ENVIRONMENT}hosts = {hosts}\ntls = \"acme\"\n");
    let usual = tls("[\"API.example.com\", \"b.example.com\", \"127.0.0.1\", \"localhost\"]");
    let with = |acme: &str| format!("{usual}[acme]\n{acme}\n");
    let config = read(&with("agree_to_terms = true")).unwrap();
    let acme = config.acme.clone().unwrap();
    assert!(acme.directory == STAGING && STAGING.contains("staging"), "trials first");
    assert_eq!(acme.challenge, ChallengeKind::TlsAlpn01);
    let names = vec!["api.example.com".to_owned(), "b.example.com".to_owned()];
    assert_eq!(config.environments.testing.unwrap().tls, TlsMode::Acme { names });
    let all = "agree_to_terms = true\ndirectory = \"https://ca.example.com/dir\"\ncontact = [\"mailto:a@example.com\"]\n\
               challenge = \"http-01\"\nlisten = \"0.0.0.0:80\"\nca_file = \"ca.pem\"\neab_key_id = \"1\"\neab_key_file = \"k\"";
    let config = read(&with(all)).unwrap();
    assert_eq!(config.acme.as_ref().unwrap().contact, ["a@example.com"]);
    assert_eq!(parse(&config.to_toml(), Path::new("/")), Ok(config));
    for (acme, key) in [
        ("", "agree_to_terms"),
        ("agree_to_terms = false", "agree_to_terms"),
        ("agree_to_terms = \"yes\"", "agree_to_terms"),
        ("directory = \"http://ca.example.com/dir\"", "directory"),
        ("directory = \"https://user@ca.example.com/dir\"", "directory"),
        ("contact = [\"nobody\"]", "contact"),
        ("challenge = \"dns-01\"", "challenge"),
        ("challenge = \"http-01\"", "challenge"),
        ("listen = \"127.0.0.1:80\"", "listen"),
        ("challenge = \"http-01\"\nlisten = \"80\"", "listen"),
        ("challenge = \"http-01\"\nlisten = \"127.0.0.1:8080\"", "acme"),
        ("eab_key_id = \"1\"", "eab_key_id"),
        ("eab_key_file = \"1\"", "eab_key_file"),
        ("agreed = true", "agreed"),
    ] {
        // The last is about two sections, and so told once each by itself is whole.
        let (agrees, key) = match key {
            "acme" => ("agree_to_terms = true\n", "acme".to_owned()),
            key => ("", format!("acme.{key}")),
        };
        refused(&with(&format!("{agrees}{acme}")), &key);
    }
    refused(&usual, "environments");
    refused(&format!("{ENVIRONMENT}[acme]\nagree_to_terms = true\n"), "acme");
    for hosts in ["[\"*\"]", "[\"localhost\", \"127.0.0.1\", \"[::1]\"]", "[\"a_b.test\"]", "[\"-a.test\"]"] {
        refused(&format!("{}[acme]\nagree_to_terms = true\n", tls(hosts)), "environments.testing.tls");
    }
    let mistakes = read(&with("directory = 1\ncontact = 2\nchallenge = 3\nlisten = 4\neab_key_id = 5")).unwrap_err();
    assert_eq!(mistakes.len(), 6, "all at once: {mistakes:?}");
}

#[test]
fn two_listeners_cannot_have_one_address() {
    let both = format!("{ENVIRONMENT}[environments.production]\nlisten = \"127.0.0.1:8080\"\n");
    refused(&both, "environments");
    let any = ENVIRONMENT.replace("8080", "0") + "[environments.production]\nlisten = \"127.0.0.1:0\"\n";
    assert!(read(&any).is_ok());
    // Unless the name in the handshake tells them apart.
    let named = |testing: &str, production: &str| {
        let environment = |name, hosts| {
            format!(
                "[environments.{name}]\nlisten = \"127.0.0.1:8443\"\nhosts = {hosts}\ntls = {{ cert = \"a\", key = \"b\" }}\n"
            )
        };
        environment("testing", testing) + &environment("production", production)
    };
    assert!(read(&named("[\"a.test\"]", "[\"b.test\"]")).is_ok());
    refused(&named("[\"a.test\", \"c.test\"]", "[\"c.test\"]"), "environments");
    refused(&named("[\"a.test\"]", "[\"*\"]"), "environments");
}

#[test]
fn what_is_shown_resolves_to_the_same() {
    let text = format!(
        "shutdown_grace = \"1500ms\"\nworkers = 3\n{ENVIRONMENT}tls = \"terminated\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n\
         hosts = [\"*\"]\n{ROUTE}websocket = true\nmax_body = \"1KiB\"\ncost = 3\nin_flight = 9\nadaptive_limit = false\n[plans.gold]\nlimits = [\"5/s\"]\nconcurrency = 7\nobserve = [\"3/s\", \"9/h\"]\n"
    );
    let config = read(&text).unwrap();
    assert_eq!(parse(&config.to_toml(), Path::new("/")), Ok(config.clone()));
    assert!(serde_json::from_str::<serde_json::Value>(&config.to_json()).is_ok());
}

#[test]
fn mistakes_have_places_in_the_text() {
    let mistakes =
        parse("data_dir = 1\n\n[environments.testing]\n  listen = \"nowhere\"\n", Path::new("/")).unwrap_err();
    let places: Vec<_> = mistakes.iter().map(|mistake| mistake.place.unwrap()).collect();
    assert_eq!(places, [(1, 12), (4, 12)]);
}

#[test]
fn the_example_is_good() {
    let text = include_str!("../../../../examples/fuuffy.toml");
    let config = read(text).unwrap();
    assert_eq!(config.environments.production.unwrap().routes.len(), 2);
}
