//! The server's own TLS: what it speaks, to whom, by which certificate, and how that is replaced while it serves.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::Timestamp;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, StreamOwned};
use serde_json::{Value, json};

use crate::app::{Place, Registered, Server, token_form};
use crate::hooks::Hooks;
use crate::http1::{Connection, Reply, exchange, message, request};
use crate::ports::free;
use crate::timed::{START, Timed};
use crate::tls::Authority;
use crate::upstream::Upstream;

type Session = StreamOwned<ClientConnection, TcpStream>;

/// A place whose environments have certificates: `testing.test` and `production.test`.
struct Secured {
    place: Place,
    authority: Authority,
    upstream: Upstream,
}

impl Secured {
    /// Listeners at these addresses.
    fn new(testing: &str, production: &str) -> Self {
        let (authority, upstream) = (Authority::new(), Upstream::friendly());
        let mut text = "data_dir = \"data\"\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned();
        for (name, listen) in [("testing", testing), ("production", production)] {
            text.push_str(&format!(
                "[environments.{name}]\nlisten = \"{listen}\"\nbase_url = \"https://{name}.test/v1\"\nhosts = [\"{name}.test\"]\n\
                 tls = {{ cert = \"{name}.pem\", key = \"{name}.key\" }}\n\
                 [[environments.{name}.routes]]\nprefix = \"/v1/orders\"\nupstreams = [\"http://{}\"]\n",
                upstream.address
            ));
        }
        let secured = Self { place: Place::new(&text), authority, upstream };
        ["testing", "production"].into_iter().for_each(|name| secured.certify(name, (1975, 4096)));
        secured
    }

    fn free() -> Self {
        Self::new("127.0.0.1:0", "127.0.0.1:0")
    }

    /// Puts another certificate in an environment's place.
    fn certify(&self, environment: &str, years: (i32, i32)) {
        let files = ["pem", "key"].map(|kind| self.place.path(format!("{environment}.{kind}")));
        self.authority.write_pair(&format!("{environment}.test"), years, (&files[0], &files[1]));
    }

    /// What a caller may speak.
    fn caller(&self, versions: &[&'static rustls::SupportedProtocolVersion], protocols: &[&str]) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(versions);
        let mut config = config.unwrap().with_root_certificates(self.authority.roots()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    fn ordinary(&self) -> Arc<ClientConfig> {
        self.caller(&[&TLS13, &TLS12], &["http/1.1"])
    }
}

/// Shakes hands for a name.
fn session(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<Session> {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let client = ClientConnection::new(Arc::clone(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut session = StreamOwned::new(client, socket);
    while session.conn.is_handshaking() {
        session.conn.complete_io(&mut session.sock)?;
    }
    Ok(session)
}

/// What is shown for a name.
fn shown(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Vec<u8> {
    session(address, config, name).unwrap().conn.peer_certificates().unwrap()[0].to_vec()
}

fn ask_for_token(session: Session, host: &str, client: &Registered) -> (Connection, crate::http1::Reply) {
    let address = session.sock.peer_addr().unwrap();
    let fields = [("host", host), ("content-type", "application/x-www-form-urlencoded")];
    let mut connection = Connection::over(session);
    connection.send(message(address, "POST", "/v1/auth/token", &fields, &token_form(client)));
    let reply = connection.reply().unwrap();
    (connection, reply)
}

/// Asks again until it is so; the server looks by itself once a second.
fn until(what: &str, is_so: impl Fn() -> bool) {
    assert!((0..20_000).any(|_| is_so()), "{what}");
}

fn stop(server: Server) {
    assert!(server.stop().success());
}

#[test]
fn callers_speak_https_and_are_told_to_go_on_with_it() {
    let secured = Secured::free();
    let server = secured.place.serve();
    let client = secured.place.client_with("testing", &[]);
    let config = secured.ordinary();
    let session = session(server.testing, &config, "testing.test").unwrap();
    assert_eq!(session.conn.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = session.conn.negotiated_key_exchange_group().map(|group| group.name());
    assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
    let (mut connection, reply) = ask_for_token(session, "testing.test", &client);
    assert_eq!((reply.status, reply.field("strict-transport-security")), (200, Some("max-age=31536000")));
    let token = reply.json()["data"]["access_token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    for _ in 0..3 {
        let fields = [("host", "testing.test"), ("authorization", bearer.as_str())];
        connection.send(message(server.testing, "GET", "/v1/orders", &fields, ""));
        assert_eq!(connection.reply().unwrap().status, 200);
        // Idle for longer than the connection stays with whoever parses it, and then used again.
        let seen = secured.upstream.last();
        assert_eq!(seen.field("x-forwarded-proto"), Some("https"));
        until("the connection is handed back", || secured.upstream.seen().len() < 5);
    }
    connection.send(message(server.testing, "GET", "/v1/orders", &[("host", "production.test")], ""));
    assert_eq!(connection.reply().unwrap().code(), "misdirected_request");
    stop(server);
}

#[test]
fn versions_protocols_and_tickets_are_what_they_should_be() {
    let secured = Secured::free();
    let server = secured.place.serve();
    for (version, spoken) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let config = secured.caller(&[version], &["h2", "http/1.1"]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut session = session(server.testing, &config, "testing.test").unwrap();
            assert_eq!(session.conn.protocol_version(), Some(spoken));
            assert_eq!(session.conn.alpn_protocol(), Some(b"h2".as_slice()));
            let kind = session.conn.handshake_kind();
            // In 1.2 the first key exchange is full, in 1.3 the client may have to be asked for another group.
            assert_eq!(kind == Some(HandshakeKind::Resumed), expected == HandshakeKind::Resumed, "{kind:?}");
            // The ticket comes after the handshake, with the first bytes of HTTP/2.
            std::io::Write::write_all(&mut session, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
            std::io::Read::read_exact(&mut session, &mut [0; 9]).unwrap();
        }
    }
    let other = secured.caller(&[&TLS13], &["spdy/3"]);
    assert!(session(server.testing, &other, "testing.test").is_err(), "no protocol in common");
    stop(server);
}

/// Whoever listens on the way has it as soon as we do.
#[test]
fn a_token_over_plain_http_is_revoked_at_once_and_a_secret_is_told_of() {
    let (secured, hooks) = (Secured::free(), Hooks::start());
    let config = std::fs::read_to_string(secured.place.config_file()).unwrap();
    secured.place.write_config(&(config + &hooks.section()));
    let server = secured.place.serve();
    let (client, host) = (secured.place.client("testing"), "testing.test");
    let over_tls = || session(server.testing, &secured.ordinary(), host).unwrap();
    let (_, granted) = ask_for_token(over_tls(), host, &client);
    let bearer = granted.json()["data"]["access_token"].as_str().unwrap().to_owned();
    let fields = [("host", host), ("authorization", &format!("Bearer {bearer}"))];
    let head = message(server.testing, "GET", "/v1/orders", &fields, "");
    let status = || {
        let mut connection = Connection::over(over_tls());
        connection.send(&head);
        connection.reply().unwrap().status
    };
    assert_eq!(status(), 200);
    let explained = |reply: &Reply| {
        let why = secured.place.done(&["explain", reply.field("x-request-id").unwrap()]);
        assert_eq!(why["client_id"], client.id.as_str(), "{why}");
        let words = why["happened"].as_str().unwrap().to_owned();
        assert!(words.contains("came over plain HTTP"), "{why}");
        format!("{words}: {}", why["path"])
    };
    let in_clear = exchange(server.testing, &head);
    assert_eq!(in_clear.status, 400);
    assert_eq!(status(), 401);
    assert!(explained(&in_clear).ends_with("a token of the client's with it, which is revoked: \"/v1/orders\""));
    let form = [("host", host), ("content-type", "application/x-www-form-urlencoded")];
    let asked = message(server.testing, "POST", "/v1/auth/token", &form, &token_form(&client));
    let in_clear = exchange(server.testing, asked);
    assert_eq!(in_clear.status, 400);
    assert!(explained(&in_clear).contains("and the secret "));
    let told = hooks.wait_for(2);
    let told = told.iter().map(|message| message.json());
    let mut told: Vec<Value> = told.map(|it| json!([it["type"], it["data"]["place"], it["data"]["grade"]])).collect();
    told.sort_by_key(Value::to_string);
    assert_eq!(told, [json!(["secret.leaked", "plain_http", "warn"]), json!(["token.leaked", "plain_http", "revoke"])]);
    let listed = secured.place.done(&["secrets", "list", "--environment", "testing", "--client", &client.id]);
    assert!(listed[0]["exposed_at"].is_string(), "{listed}");
    assert_eq!(ask_for_token(over_tls(), host, &client).1.status, 200, "no program stops for it");
}

#[test]
fn plain_http_gets_a_clear_400_and_is_never_served() {
    let secured = Secured::free();
    let server = secured.place.serve();
    let form = "grant_type=client_credentials&client_id=a&client_secret=b";
    let kind = [("host", "testing.test"), ("content-type", "application/x-www-form-urlencoded")];
    let refused = request(server.testing, "POST", "/v1/auth/token", &kind, form);
    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_request"));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("HTTPS alone"), "{}", refused.text());
    assert!(refused.field("x-request-id").is_some());
    let large = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n{}", "x".repeat(60_000));
    assert_eq!(exchange(server.testing, large).status, 400, "and it is read before the connection is reset");
    assert!(secured.upstream.seen().is_empty());
    let garbage = TcpStream::connect(server.testing).unwrap();
    std::io::Write::write_all(&mut &garbage, &[22, 3, 1, 255, 255]).unwrap();
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut &garbage, &mut rest);
    assert_eq!(rest.first(), Some(&21), "an alert: {rest:?}");
    stop(server);
}

#[test]
fn a_certificate_is_replaced_while_connections_go_on() {
    let secured = Secured::free();
    let server = secured.place.serve();
    let client = secured.place.client_with("testing", &[]);
    let config = secured.ordinary();
    let first = shown(server.testing, &config, "testing.test");
    let open = session(server.testing, &config, "testing.test").unwrap();
    let (mut connection, reply) = ask_for_token(open, "testing.test", &client);
    assert_eq!(reply.status, 200);
    // By itself, as soon as the files are others.
    secured.certify("testing", (1975, 4000));
    until("a new certificate is shown", || shown(server.testing, &config, "testing.test") != first);
    let second = shown(server.testing, &config, "testing.test");
    // A pair that does not belong together, one that is over, and what is none at all.
    let key = std::fs::read(secured.place.path("production.key")).unwrap();
    std::fs::write(secured.place.path("testing.key"), key).unwrap();
    server.signal("HUP");
    until("it is said", || secured.place.log().contains("is not of the certificate in"));
    secured.certify("testing", (1975, 1999));
    server.signal("HUP");
    until("it is said", || secured.place.log().contains("its time was over on 1999-01-01"));
    std::fs::write(secured.place.path("testing.pem"), "nothing").unwrap();
    server.signal("HUP");
    until("it is said", || secured.place.log().contains("holds no certificate"));
    assert_eq!(shown(server.testing, &config, "testing.test"), second, "the old one is shown on");
    secured.certify("testing", (1975, 4001));
    server.signal("HUP");
    until("a good one is taken again", || shown(server.testing, &config, "testing.test") != second);
    let fields = [("host", "testing.test"), ("content-type", "application/x-www-form-urlencoded")];
    connection.send(message(server.testing, "POST", "/v1/auth/token", &fields, &token_form(&client)));
    assert_eq!(connection.reply().unwrap().status, 200, "the connection from before is what it was");
    stop(server);
}

#[test]
fn both_environments_have_one_port_and_the_name_says_which() {
    let port = free().to_string();
    let secured = Secured::new(&port, &port);
    let server = secured.place.serve();
    assert_eq!(server.testing, server.production);
    let config = secured.ordinary();
    let clients = ["testing", "production"].map(|name| (name, secured.place.client_with(name, &[])));
    assert_ne!(shown(server.testing, &config, "testing.test"), shown(server.testing, &config, "production.test"));
    for (name, client) in &clients {
        let host = format!("{name}.test");
        let (_, reply) = ask_for_token(session(server.testing, &config, &host).unwrap(), &host, client);
        assert_eq!(reply.status, 200, "{}", reply.text());
        // The other one's client is unknown, and a session for one name is not for the other.
        let (other, foreign) = clients.iter().find(|(other, _)| other != name).unwrap();
        let (_, reply) = ask_for_token(session(server.testing, &config, &host).unwrap(), &host, foreign);
        assert_eq!((reply.status, reply.code().as_str()), (401, "invalid_client"));
        let crossed = session(server.testing, &config, &host).unwrap();
        let (_, reply) = ask_for_token(crossed, &format!("{other}.test"), foreign);
        assert_eq!((reply.status, reply.code().as_str()), (421, "misdirected_request"));
    }
    stop(server);
}

#[test]
fn what_cannot_be_served_is_said_at_the_start() {
    let secured = Secured::free();
    let refused = |why: &str| {
        assert!(secured.place.try_serve(&[]).is_err_and(|status| status.code() == Some(1)));
        let log = secured.place.log();
        assert!(log.contains("environments.testing.tls: ") && log.contains(why), "{why}: {log}");
    };
    let key = secured.place.path("testing.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("everybody can read");
    std::fs::copy(secured.place.path("production.key"), &key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    refused("is not of the certificate in");
    std::fs::remove_file(&key).unwrap();
    refused("cannot read");
    // Commands need no certificate.
    assert!(secured.place.client_with("testing", &[]).secret.starts_with("fsk_test_"));
}

#[test]
fn a_malformed_message_is_answered_with_the_same_promise() {
    let secured = Secured::free();
    let server = secured.place.serve();
    let mut connection = Connection::over(session(server.testing, &secured.ordinary(), "testing.test").unwrap());
    connection.send("GET /v1/orders HTTP/1.1\r\nhost: testing.test\r\nx name: value\r\n\r\n");
    let reply = connection.reply().unwrap();
    assert_eq!((reply.status, reply.field("strict-transport-security")), (400, Some("max-age=31536000")));
    // In clear nothing is promised (RFC 6797 §7.2).
    assert_eq!(request(server.testing, "GET", "/", &[], "").field("strict-transport-security"), None);
    stop(server);
}

#[test]
fn operators_are_served_over_tls_too() {
    let secured = Secured::free();
    let text = std::fs::read_to_string(secured.place.config_file()).unwrap();
    let tls = "[admin]\ntls = { cert = \"testing.pem\", key = \"testing.key\" }\n";
    secured.place.write_config(&text.replace("[admin]\n", tls));
    let (server, config) = (secured.place.serve(), secured.ordinary());
    let mut connection = Connection::over(session(server.admin, &config, "testing.test").unwrap());
    connection.send(message(server.admin, "GET", "/metrics", &[], ""));
    let reply = connection.reply().unwrap();
    assert_eq!(reply.field("strict-transport-security"), Some("max-age=31536000"));
    for listener in ["environments.testing.tls", "environments.production.tls", "admin.tls"] {
        let line = format!("fuuffy_certificate_expiry_timestamp_seconds{{listener=\"{listener}\"}} 67090");
        assert!(reply.text().contains(&line), "{}", reply.text());
    }
    let refused = request(server.admin, "GET", "/metrics", &[], "");
    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_request"));
    assert!(refused.text().contains("HTTPS alone") && refused.field("x-request-id").is_some(), "{}", refused.text());
    assert_eq!(refused.field("strict-transport-security"), None);
    let first = shown(server.admin, &config, "testing.test");
    secured.certify("testing", (1975, 4000));
    until("a new certificate is shown", || shown(server.admin, &config, "testing.test") != first);
    stop(server);
}

#[test]
fn that_a_certificate_ends_is_told_in_time_and_once() {
    for (table, listener) in [("environments.testing", "environments.testing.tls"), ("admin", "admin.tls")] {
        let (hooks, authority, folder) = (Hooks::start(), Authority::new(), tempfile::tempdir().unwrap());
        let files = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        authority.write_pair("localhost", (1975, 2028), (&files[0], &files[1]));
        let tls = format!("tls = {{ cert = \"{}\", key = \"{}\" }}\n", files[0].display(), files[1].display());
        let upstream = Upstream::friendly();
        let text = crate::app::config_with(upstream.address, "", "").replacen(
            &format!("[{table}]\n"),
            &format!("[{table}]\n{tls}"),
            1,
        );
        let timed = Timed::serving(text + &hooks.section());
        let ends_at = Timestamp::from_unix_millis(1_830_297_600_000);
        timed.pass_minute();
        for (days, told, of) in [(15, 0, 14), (13, 1, 14), (12, 1, 14), (2, 2, 3), (1, 3, 1)] {
            timed.time.pass(ends_at.since(timed.now()) - Duration::from_secs(days * 86_400));
            timed.pass_minute();
            timed.pass_minute();
            let taken = hooks.wait_for(told);
            assert_eq!(taken.len(), told, "{listener}: {days} days before");
            if let Some(last) = taken.last() {
                last.verify();
                let (message, data) = (last.json(), &last.json()["data"]);
                assert_eq!(message["type"], "certificate.expires");
                assert_eq!((&data["listener"], &data["days"]), (&json!(listener), &json!(of)));
                assert_eq!(data["expires_at"], json!(ends_at.to_string()));
            }
        }
        assert!(START < ends_at);
    }
}
