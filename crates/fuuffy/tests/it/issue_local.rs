//! `fuuffy certs issue-local`: HTTPS by an authority of one's own, which signs for its names alone, and nothing of
//! anybody else's overwritten.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::app::{BINARY, Place, config};
use crate::integrator::Ran;
use crate::tls::Authority;
use crate::upstream::Upstream;

const FILES: [&str; 4] = ["ca.key", "ca.pem", "cert.pem", "key.pem"];

fn place() -> (Place, Upstream) {
    let upstream = Upstream::friendly();
    (Place::new(&config(upstream.address)), upstream)
}

fn issue(place: &Place, more: &[&str]) -> Ran {
    Ran::of(place.command(&[&["certs", "issue-local"], more].concat()))
}

/// One that must be done.
fn issued(place: &Place, more: &[&str]) -> Value {
    place.done(&[&["certs", "issue-local"], more].concat())
}

/// All that is in the folder, by name.
fn kept(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(place.path("tls")).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

/// What whoever trusts only this authority says of a certificate for a name.
fn judge(authority: &Path, certificate: &CertificateDer<'_>, name: &str) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let name = ServerName::try_from(name).unwrap();
    let now = Duration::from_secs(certificate_time(authority));
    let now = UnixTime::since_unix_epoch(now);
    verifier.build().unwrap().verify_server_cert(certificate, &[], &name, &[], now).map(drop)
}

/// A moment after the beginning of a certificate's time.
fn certificate_time(certificate: &Path) -> u64 {
    let der = CertificateDer::from_pem_file(certificate).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    u64::try_from(parsed.validity().not_before.timestamp()).unwrap() + 7200
}

/// What a server shows for localhost to whoever trusts an authority.
fn shown(address: SocketAddr, authority: &Path) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let client = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    let mut session = StreamOwned::new(client, TcpStream::connect(address).unwrap());
    while session.conn.is_handshaking() {
        session.conn.complete_io(&mut session.sock).unwrap();
    }
    session.conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn https_is_one_command_away() {
    let (place, upstream) = place();
    let ran = issue(&place, &[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(!ran.out.contains("PRIVATE KEY") && !ran.err.contains("PRIVATE KEY"), "{ran:?}");
    assert_eq!(std::fs::metadata(place.path("tls")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(kept(&place).keys().map(String::as_str).collect::<Vec<_>>(), FILES);
    for name in FILES {
        assert_eq!(std::fs::metadata(place.path("tls").join(name)).unwrap().mode() & 0o777, 0o600, "{name}");
    }
    // The line that it says goes into the configuration as it stands.
    let line = ran.err.lines().find(|line| line.trim_start().starts_with("tls = ")).unwrap().trim();
    assert_eq!(line, r#"tls = { cert = "tls/cert.pem", key = "tls/key.pem" }"#);
    place.write_config(&crate::app::config_with(upstream.address, line, ""));
    let (server, client) = (place.serve(), place.client("testing"));
    let authority = place.path("tls/ca.pem");
    let call = |host: &str, variables: &[(&str, &Path)]| {
        let mut command = Command::new(BINARY);
        command.args(["request", "GET", "/orders", "--no-cache"]).env_clear().envs(variables.iter().copied());
        command.env("FUUFFY_CLIENT_ID", &client.id).env("FUUFFY_CLIENT_SECRET", &client.secret);
        command.env("FUUFFY_BASE_URL", format!("https://{host}:{}/v1", server.testing.port()));
        Ran::of(command.output().unwrap())
    };
    for host in ["localhost", "127.0.0.1"] {
        let ran = call(host, &[("SSL_CERT_FILE", &authority)]);
        assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, r#"{"data":[]}"#, ""), "{host}");
    }
    let ran = call("localhost", &[]);
    assert!(ran.status == 1 && ran.err.contains("an authority that this machine does not know"), "{ran:?}");

    // Renewed: whoever trusts the authority trusts the new certificate, which the server finds by itself.
    let (before, first) = (kept(&place), shown(server.testing, &authority));
    let ran = issue(&place, &[]);
    assert!(ran.status == 0 && ran.err.contains("was renewed"), "{ran:?}");
    for (name, is_as_it_was) in [("ca.key", true), ("ca.pem", true), ("key.pem", true), ("cert.pem", false)] {
        assert_eq!(kept(&place)[name] == before[name], is_as_it_was, "{name}");
    }
    assert!((0..20_000).any(|_| shown(server.testing, &authority) != first), "the new one is shown");
    assert!(server.stop().success());
}

#[test]
fn what_was_made_is_told_to_programs() {
    let (place, _upstream) = place();
    let made = issued(&place, &[]);
    let path = |name: &str| place.path("tls").canonicalize().unwrap().join(name).display().to_string();
    assert_eq!((&made["ca"], &made["cert"]), (&json!(path("ca.pem")), &json!(path("cert.pem"))));
    assert_eq!((&made["key"], &made["ca_made"]), (&json!(path("key.pem")), &json!(true)));
    let hosts = ["127.0.0.1", "::1", "api-gateway.fuuffy.com", "localhost", "testing-api-gateway.fuuffy.com"];
    assert_eq!(made["hosts"], json!(hosts));
    let again = issued(&place, &[]);
    assert_eq!((&again["ca_made"], &again["ca_fingerprint"]), (&json!(false), &made["ca_fingerprint"]));
    let certificate = CertificateDer::from_pem_file(place.path("tls/cert.pem")).unwrap();
    for host in hosts {
        judge(&place.path("tls/ca.pem"), &certificate, host).unwrap();
    }
}

#[test]
fn an_authority_signs_for_its_names_alone() {
    type Case = (&'static [&'static str], &'static [&'static str]);
    let cases: [Case; 3] = [
        (&["API.test", "[::1]", "10.0.0.1"], &["other.test", "test", "10.0.0.2", "::2"]),
        (&["api.test"], &["other.test", "10.0.0.1", "::1"]),
        (&["10.0.0.1"], &["api.test", "10.0.0.2", "::1"]),
    ];
    for (hosts, others) in cases {
        // Names that are given need no configuration.
        let place = Place::new("nonsense");
        let arguments = [&["--host"], hosts].concat();
        issued(&place, &arguments);
        let (authority, key) = (place.path("tls/ca.pem"), place.path("tls/ca.key"));
        let certificate = CertificateDer::from_pem_file(place.path("tls/cert.pem")).unwrap();
        for host in hosts {
            judge(&authority, &certificate, host.trim_matches(['[', ']'])).unwrap();
        }
        // By whoever has got hold of its key.
        let key = KeyPair::from_pem(&std::fs::read_to_string(key).unwrap()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&std::fs::read_to_string(&authority).unwrap(), key).unwrap();
        let forge = |name: &str| {
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap()
        };
        let own = hosts[0].to_ascii_lowercase();
        judge(&authority, forge(&own).der(), &own).unwrap();
        for other in others {
            assert!(judge(&authority, forge(other).der(), other).is_err(), "{hosts:?}: {other}");
        }
        // The command knows it, too, and overwrites nothing then.
        let before = kept(&place);
        let ran = issue(&place, &["--host", others[0]]);
        assert!(ran.status == 1 && ran.err.contains("--new-ca"), "{ran:?}");
        assert_eq!(kept(&place), before);
        let ran = issue(&place, &["--host", others[0], "--new-ca"]);
        assert_eq!(ran.status, 0, "{ran:?}");
        let certificate = CertificateDer::from_pem_file(place.path("tls/cert.pem")).unwrap();
        judge(&authority, &certificate, others[0]).unwrap();
        assert_eq!(kept(&place)["key.pem"], before["key.pem"]);
        assert!(FILES[..3].iter().all(|name| kept(&place)[*name] != before[*name]));
    }
}

#[test]
fn what_is_somebody_elses_is_left_alone() {
    let foreign = Authority::new();
    let write = |place: &Place, name: &str, text: &[u8]| std::fs::write(place.path("tls").join(name), text).unwrap();
    let pair = |place: &Place| {
        foreign.write_pair("localhost", (1975, 4096), (&place.path("tls/cert.pem"), &place.path("tls/key.pem")));
    };
    let mode = |place: &Place, name: &str, mode: u32| {
        std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    type Spoil<'a> = &'a dyn Fn(&Place);
    let cases: [(&str, Spoil<'_>); 9] = [
        ("cert.pem is not by an authority of this command's", &pair),
        ("key.pem is there without cert.pem", &|place| std::fs::remove_file(place.path("tls/cert.pem")).unwrap()),
        ("cert.pem is there without key.pem", &|place| std::fs::remove_file(place.path("tls/key.pem")).unwrap()),
        ("ca.pem is there without ca.key", &|place| std::fs::remove_file(place.path("tls/ca.key")).unwrap()),
        ("cert.pem is not this command's", &|place| write(place, "cert.pem", b"nothing")),
        ("it was not made by this command", &|place| foreign.write_to(&place.path("tls/ca.pem"))),
        ("the key beside it is another's", &|place| {
            std::fs::copy(place.path("tls/key.pem"), place.path("tls/ca.key")).map(drop).unwrap();
        }),
        ("others can read", &|place| mode(place, "tls/ca.key", 0o640)),
        ("others can write", &|place| mode(place, "tls", 0o720)),
    ];
    for (words, spoil) in cases {
        let (place, _upstream) = place();
        issued(&place, &[]);
        spoil(&place);
        let before = kept(&place);
        for more in [&[][..], &["--new-ca"]] {
            let ran = issue(&place, more);
            assert!(ran.status == 1 && ran.err.contains(words), "{words}: {ran:?}");
            assert!(ran.out.is_empty() && !ran.err.contains("PRIVATE KEY"), "{ran:?}");
            assert_eq!(kept(&place), before, "{words}");
        }
    }
    // Without an authority, too.
    let (place, _upstream) = place();
    std::fs::create_dir(place.path("tls")).unwrap();
    pair(&place);
    let before = kept(&place);
    assert_eq!(issue(&place, &[]).status, 1);
    assert_eq!(kept(&place), before);
}

#[test]
fn wrong_usage_is_2() {
    let (place, _upstream) = place();
    for hosts in [&["--host"][..], &["--host", "a b"], &["--host", ""], &["--host", "*"], &["--host", "a:1"]] {
        let ran = issue(&place, hosts);
        assert_eq!(ran.status, 2, "{ran:?}");
    }
    place.write_config("nonsense");
    assert_eq!(issue(&place, &[]).status, 2);
    assert!(!place.path("tls").exists());
}
