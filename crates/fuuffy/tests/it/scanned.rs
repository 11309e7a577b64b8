//! What sslyze and testssl.sh find out about the server's TLS, by a certificate of `fuuffy certs issue-local`: nothing that
//! is not as it should be. `./check` installs them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::app::{Place, Server, config_with};
use crate::upstream::Upstream;

const SSLYZE: &str = "sslyze-6.3.1";

/// A server all of whose listeners speak TLS.
fn secured() -> (Place, Server) {
    let upstream = Upstream::friendly();
    let tls = r#"tls = { cert = "tls/cert.pem", key = "tls/key.pem" }"#;
    let text = config_with(upstream.address, tls, "").replace("[admin]\n", &format!("[admin]\n{tls}\n"));
    let place = Place::new(&text);
    place.done(&["certs", "issue-local"]);
    let server = place.serve();
    (place, server)
}

/// What sslyze says of a listener: its JSON, and what does not comply with one of Mozilla's configurations.
fn scan(place: &Place, address: SocketAddr, configuration: &str) -> (Value, Vec<String>) {
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..").join(SSLYZE);
    assert!(library.exists(), "sslyze is not installed, run ./check");
    let (found, authority) = (place.path("sslyze.json"), place.path("tls/ca.pem"));
    // A hang fails, too.
    let output = Command::new("timeout")
        .args(["120", "python3", "-W", "ignore", "-m", "sslyze", "--mozilla_config", configuration])
        .args(["--certinfo", "--http_headers", "--early_data", "--resum", "--certinfo_ca_file"])
        .args([&authority, Path::new("--json_out"), &found])
        .arg(format!("localhost:{}", address.port()))
        .env("PYTHONPATH", &library)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let (_, verdict) = said.split_once("COMPLIANCE AGAINST").unwrap_or_else(|| panic!("{output:?}"));
    let is_compliant = verdict.contains("OK - Compliant");
    assert_eq!(output.status.success(), is_compliant, "{said}");
    let complaint = |line: &str| Some(line.trim().strip_prefix("* ")?.split(':').next()?.to_owned());
    let complaints: Vec<String> = verdict.lines().filter_map(complaint).collect();
    assert_eq!(complaints.is_empty(), is_compliant, "{said}");
    let found: Value = serde_json::from_slice(&std::fs::read(found).unwrap()).unwrap();
    let [of_server] = &found["server_scan_results"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!(of_server["scan_status"], "COMPLETED", "{said}");
    (of_server["scan_result"].clone(), complaints)
}

/// By all of its checks but those of how it would suit browsers, which have no grade.
#[test]
fn testssl_finds_nothing() {
    let (place, server) = secured();
    let (found, authority) = (place.path("testssl.json"), place.path("tls/ca.pem"));
    let output = Command::new("timeout")
        .args(["240", "testssl", "--quiet", "--color", "0", "--warnings", "off", "--protocols", "--std", "--fs"])
        .args(["--server-preference", "--server-defaults", "--headers", "--vulnerable", "--add-ca"])
        .args([&authority, Path::new("--jsonfile"), &found])
        .arg(format!("localhost:{}", server.testing.port()))
        // Without this it complains of a machine whose OpenSSL has no engine for GOST.
        .env("NO_ENGINE", "true")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let found = std::fs::read(found).unwrap_or_else(|error| panic!("{error}: {said}{output:?}"));
    let found: Value = serde_json::from_slice(&found).unwrap();
    let found = found.as_array().unwrap();
    let text = |finding: &Value, member: &str| finding[member].as_str().unwrap().to_owned();
    for (id, finding) in [("TLS1_2", "offered"), ("TLS1_3", "offered with final"), ("cert_chain_of_trust", "passed.")] {
        assert!(found.iter().any(|it| it["id"] == id && text(it, "finding") == finding), "{id}: {said}");
    }
    // testssl's OpenSSL ends with its empty input, mostly before the tickets that TLS 1.3 sends after the handshake, which
    // it then misses: `rfc::rfc8705` resumes by them.
    let is_cut_short = |it: &Value| {
        it["id"] == "sessionresumption_ticket" && it["finding"] == "check failed because of connect problem"
    };
    let is_bad = |it: &&Value| !["OK", "INFO"].contains(&&*text(it, "severity")) && !is_cut_short(it);
    let complaints: Vec<String> = found.iter().filter(is_bad).map(|it| text(it, "id")).collect();
    // An authority of this machine's own has no place for revocations, and localhost none in DNS.
    let of_place = |id: &&String| !["cert_revocation", "DNS_CAArecord"].contains(&id.as_str());
    assert_eq!(complaints.iter().filter(of_place).count(), 0, "{complaints:?}: {said}");
}

#[test]
fn sslyze_finds_nothing() {
    let (place, server) = secured();
    for address in [server.testing, server.admin] {
        let (found, complaints) = scan(&place, address, "intermediate");
        assert_eq!(complaints, [""; 0], "Mozilla's intermediate configuration");
        for (name, result) in found.as_object().unwrap() {
            assert_eq!(result["status"], "COMPLETED", "{name}");
        }
        let result = |name: &str| &found[name]["result"];
        for old in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
            assert_eq!(result(&format!("{old}_cipher_suites"))["is_tls_version_supported"], false, "{old}");
        }
        for (version, prefix) in [("tls_1_2", "TLS_ECDHE_ECDSA_WITH_"), ("tls_1_3", "TLS_")] {
            let accepted = result(&format!("{version}_cipher_suites"))["accepted_cipher_suites"].as_array().unwrap();
            assert!(!accepted.is_empty());
            for suite in accepted {
                let name = suite["cipher_suite"]["name"].as_str().unwrap();
                let is_aead = name.contains("_GCM_") || name.contains("_CHACHA20_POLY1305_");
                assert!(name.starts_with(prefix) && is_aead, "{name}");
                // Whoever learns the server's key later reads nothing.
                assert!(!suite["ephemeral_key"].is_null(), "{suite}");
            }
        }
        let curves = result("elliptic_curves")["supported_curves"].as_array().unwrap();
        let curves: Vec<&str> = curves.iter().map(|curve| curve["name"].as_str().unwrap()).collect();
        assert_eq!(curves, ["X25519", "secp256r1", "secp384r1"]);
        for (name, member, expected) in [
            ("tls_compression", "supports_compression", json!(false)),
            ("tls_1_3_early_data", "supports_early_data", json!(false)),
            ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", json!(false)),
            ("heartbleed", "is_vulnerable_to_heartbleed", json!(false)),
            ("robot", "robot_result", json!("NOT_VULNERABLE_RSA_NOT_SUPPORTED")),
            ("session_renegotiation", "supports_secure_renegotiation", json!(true)),
            ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", json!(false)),
            // In tickets alone; sslyze does not know those that are replaced with each use.
            ("session_resumption", "session_id_successful_resumptions_count", json!(0)),
            ("tls_fallback_scsv", "supports_fallback_scsv", json!(true)),
            ("tls_extended_master_secret", "supports_ems_extension", json!(true)),
            ("http_headers", "strict_transport_security_header", {
                json!({"max_age": 31_536_000, "preload": false, "include_subdomains": false})
            }),
        ] {
            assert_eq!(result(name)[member], expected, "{name}");
        }
        let [shown] = &result("certificate_info")["certificate_deployments"].as_array().unwrap()[..] else {
            panic!("{found}")
        };
        let trusted = shown["path_validation_results"].as_array().unwrap().iter();
        let trusted = trusted.filter(|by| by["was_validation_successful"] == true);
        let trusted: Vec<&Value> = trusted.map(|by| &by["trust_store"]["name"]).collect();
        assert_eq!(trusted, ["Supplied CA file"]);
    }
    assert!(server.stop().success());
}

/// Mozilla's modern configuration is that of those who have no callers with TLS 1.2.
#[test]
fn nothing_but_tls_1_2_keeps_sslyze_from_calling_it_modern() {
    let (place, server) = secured();
    let (_, complaints) = scan(&place, server.testing, "modern");
    assert_eq!(complaints, ["tls_versions", "ciphers"]);
    assert!(server.stop().success());
}
