//! Certificates by ACME from an authority that is not ours: ordered, kept, renewed by a moved clock, and what is done and
//! said where there are none.

mod pebble;

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::Timestamp;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;
use tokio::time::Instant;

use crate::app::{Place, Server, token_form};
use crate::hooks::Hooks;
use crate::http1::{Connection, message, request};
use crate::ports::free;
use crate::timed::Timed;
use crate::tls::{Authority, Terminator};
use crate::upstream::{Act, Upstream};
use pebble::{EAB_KEY, Site, callers};

const NAMES: [&str; 2] = ["testing.fuuffy.test", "production.fuuffy.test"];
/// No test waits longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks, so that looking does not take the ports and cores that what is looked for needs.
const PAUSE: Duration = Duration::from_millis(10);

type Session = StreamOwned<ClientConnection, TcpStream>;

/// Both environments on one address, with certificates by ACME.
fn config(site: &Site, of_acme: &str) -> String {
    let upstream = Upstream::friendly();
    let mut text =
        "data_dir = \"data\"\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned() + &site.section(of_acme);
    for (name, host) in ["testing", "production"].into_iter().zip(NAMES) {
        text.push_str(&format!(
            "[environments.{name}]\nlisten = \"{}\"\nbase_url = \"https://{host}/v1\"\nhosts = [\"{host}\", \"localhost\"{}]\ntls = \"acme\"\n\
             [[environments.{name}.routes]]\nprefix = \"/v1/orders\"\nupstreams = [\"http://{}\"]\n",
            site.tls,
            if name == "testing" { ", \"other.fuuffy.test\"" } else { "" },
            upstream.address
        ));
    }
    // A name can mean one of them only.
    text.replacen(", \"localhost\"]", "]", 1)
}

/// One environment by ACME, for a server whose time the test owns.
fn config_of_one(site: &Site, more: &str) -> String {
    let listen = format!("listen = \"{}\"\nhosts = [\"{}\", \"127.0.0.1\"]\ntls = \"acme\"", site.tls, NAMES[0]);
    let text = crate::app::config(Upstream::friendly().address);
    let (from, to) = ("[environments.testing]\nlisten = \"127.0.0.1:0\"", format!("[environments.testing]\n{listen}"));
    text.replacen(from, &to, 1) + &site.section("") + more
}

fn session(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<Session> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let client = ClientConnection::new(Arc::clone(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut session = StreamOwned::new(client, socket);
    while session.conn.is_handshaking() {
        session.conn.complete_io(&mut session.sock)?;
    }
    Ok(session)
}

/// What is shown for a name, if whoever asks takes it.
fn shown(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Option<Vec<u8>> {
    session(address, config, name).ok().map(|session| session.conn.peer_certificates().unwrap()[0].to_vec())
}

/// Asks again until it is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not come to be: {what}");
        std::thread::park_timeout(PAUSE);
    }
}

#[track_caller]
fn wait_for_certificates(place: &Place, server: &Server, config: &Arc<ClientConfig>) {
    let deadline = Instant::now() + PATIENCE;
    for name in NAMES {
        while shown(server.testing, config, name).is_none() {
            assert!(Instant::now() < deadline, "{name} has no certificate: {}", place.log());
            std::thread::park_timeout(PAUSE);
        }
    }
}

fn metrics(admin: SocketAddr) -> String {
    request(admin, "GET", "/metrics", &[], "").text()
}

fn readyz(admin: SocketAddr) -> (u16, String) {
    let reply = request(admin, "GET", "/readyz", &[], "");
    (reply.status, reply.text())
}

/// What operators are told of the certificate of testing, by a server whose time the test owns.
fn status(timed: &Timed) -> Value {
    timed.shown("/admin/v1/certificates")["data"][0].clone()
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap();
    Timestamp::from_unix_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// Through both: a certificate that callers take, for each host, on one port; and a restart that asks nobody.
#[test]
fn both_challenges_end_in_certificates_that_callers_take() {
    for challenge in ["tls-alpn-01", "http-01"] {
        let site = Site::new();
        let listen = if challenge == "http-01" { format!("listen = \"{}\"", site.http) } else { String::new() };
        let place = Place::new(&config(&site, &format!("challenge = \"{challenge}\"\n{listen}")));
        let pebble = site.start();
        let (server, caller) = (place.serve(), callers(pebble.roots(), &[b"http/1.1"]));
        wait_for_certificates(&place, &server, &caller);
        until("it is ready", || readyz(server.admin) == (200, "ready\n".to_owned()));
        assert!(shown(server.testing, &caller, "other.fuuffy.test").is_some(), "each public host is in it");
        assert_eq!(server.testing, server.production);
        for (environment, host) in ["testing", "production"].into_iter().zip(NAMES) {
            let client = place.client_with(environment, &[]);
            let fields = [("host", host), ("content-type", "application/x-www-form-urlencoded")];
            let mut connection = Connection::over(session(server.testing, &caller, host).unwrap());
            connection.send(message(server.testing, "POST", "/v1/auth/token", &fields, &token_form(&client)));
            assert_eq!(connection.reply().unwrap().status, 200);
        }
        let listed = place.done(&["certs", "status"]);
        for (row, name) in listed.as_array().unwrap().iter().zip(NAMES) {
            assert!(row["issuer"].as_str().unwrap().contains("Pebble Intermediate"), "{row}");
            assert!(row["hosts"].as_array().unwrap().contains(&name.into()), "{row}");
            assert_eq!((&row["source"], &row["failures"], &row["error"]), (&"acme".into(), &0.into(), &Value::Null));
            let (starts, next, ends) = (time(&row["starts_at"]), time(&row["next_order_at"]), time(&row["expires_at"]));
            let part = next.since(starts).as_secs_f64() / ends.since(starts).as_secs_f64();
            assert!((0.63..=0.67).contains(&part), "at two thirds: {part}");
        }
        let first = NAMES.map(|name| shown(server.testing, &caller, name));
        assert!(server.stop().success());
        // Nobody is there to give another one.
        drop(pebble);
        let server = place.serve();
        assert_eq!(NAMES.map(|name| shown(server.testing, &caller, name)), first, "what was kept is shown on");
        assert_eq!(readyz(server.admin).0, 200);
        assert!(nothing_is_due(&place));
        assert!(!place.log().contains("PRIVATE KEY") && server.stop().success());
    }
}

#[test]
fn the_listener_for_challenges_serves_nothing_else() {
    let site = Site::new();
    let place = Place::new(&config(&site, "challenge = \"http-01\"\nlisten = \"127.0.0.1:0\""));
    let server = place.serve();
    let address: SocketAddr = {
        let ready = server.acme.expect("the ready line names it");
        assert_ne!(ready.port(), 0);
        ready
    };
    let get = |path: &str| request(address, "GET", path, &[("host", NAMES[0])], "");
    assert_eq!(get("/.well-known/acme-challenge/unknown-token").code(), "not_found");
    for path in ["/", "/v1/orders", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/../x", "/metrics"] {
        let reply = get(path);
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"), "{path}");
        assert!(reply.text().contains("HTTPS alone"), "{}", reply.text());
    }
    // A secret that came so has leaked, as on a port that speaks TLS.
    let client = place.client("testing");
    let form = [("host", NAMES[0]), ("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(request(address, "POST", "/v1/auth/token", &form, &token_form(&client)).status, 400);
    let listed = place.done(&["secrets", "list", "--environment", "testing", "--client", &client.id]);
    assert!(listed[0]["exposed_at"].is_string(), "{listed}");
    assert!(server.stop().success());
}

/// RFC 8737 §3: who speaks that protocol alone gets the certificate of a challenge, and nothing where there is none.
#[test]
fn only_a_challenge_is_shown_to_whoever_validates() {
    let site = Site::new();
    let place = Place::new(&config(&site, ""));
    let pebble = site.start();
    let (server, caller) = (place.serve(), callers(pebble.roots(), &[b"http/1.1"]));
    wait_for_certificates(&place, &server, &caller);
    let validator = callers(pebble.roots(), &[b"acme-tls/1"]);
    assert!(session(server.testing, &validator, NAMES[0]).is_err(), "there is no challenge");
    let both = callers(pebble.roots(), &[b"acme-tls/1", b"h2"]);
    let ordinary = session(server.testing, &both, NAMES[0]).unwrap();
    assert_eq!(ordinary.conn.alpn_protocol(), Some(b"h2".as_slice()));
    assert!(server.stop().success());
}

#[test]
fn a_certificate_is_renewed_while_connections_go_on_and_one_that_fails_is_shown_on() {
    let (site, hooks) = (Site::new(), Hooks::start());
    let pebble = site.start();
    let timed = Timed::serving(config_of_one(&site, &hooks.section()));
    let caller = callers(pebble.roots(), &[b"http/1.1"]);
    let shown = || shown(timed.testing(), &caller, NAMES[0]);
    until("a first certificate", || shown().is_some());
    let first = shown();
    let open = session(timed.testing(), &caller, NAMES[0]).unwrap();
    let mut connection = Connection::over(open);
    let mut ask = || {
        let fields = [("host", NAMES[0]), ("content-type", "application/x-www-form-urlencoded")];
        connection.send(message(timed.testing(), "POST", "/v1/auth/token", &fields, &token_form(&timed.client)));
        connection.reply().unwrap().status
    };
    assert_eq!(ask(), 200);
    let due = time(&status(&timed)["next_order_at"]);
    timed.time.pass(due.since(timed.now()) - Duration::from_secs(60));
    timed.pass_minute();
    assert_eq!(shown(), first, "a minute too early");
    // Farther than any chance reaches: by this clock the next one is overdue, too, when it comes.
    let (starts, ends) = (time(&status(&timed)["starts_at"]), time(&status(&timed)["expires_at"]));
    timed.time.pass(starts.after(ends.since(starts) * 7 / 10).since(timed.now()));
    until("another certificate", || shown() != first);
    assert_eq!(ask(), 200, "the connection from before is what it was");
    let second = shown();
    // The authority's clock is years behind the server's, and for all that nothing is asked for again at once.
    let next = time(&status(&timed)["next_order_at"]);
    assert!(next.since(timed.now()) > Duration::from_secs(23 * 3600), "{next}");
    drop(pebble);
    assert!(hooks.taken().is_empty(), "{:?}", hooks.taken());
    timed.time.pass(next.since(timed.now()) + Duration::from_secs(1));
    let told = hooks.wait_for(1);
    let (kind, data) = (told[0].json()["type"].clone(), told[0].json()["data"].clone());
    assert_eq!((kind, &data["listener"]), ("certificate.order_failed".into(), &"environments.testing.tls".into()));
    assert!(data["expires_at"].is_string() && data["error"].as_str().unwrap().contains("onnect"), "{data}");
    assert_eq!(shown(), second, "the one that is good is shown on");
    let ends = time(&data["expires_at"]);
    timed.time.pass(ends.since(timed.now()) - Duration::from_secs(13 * 86_400));
    timed.pass_minute();
    let all = hooks.wait_for(2);
    let last = all.iter().map(|told| told.json()).find(|told| told["type"] == "certificate.expires");
    assert_eq!(last.expect("it ends soon")["data"]["source"], "acme");
    assert_eq!(ask(), 200);
    assert_eq!(readyz(timed.admin()).0, 200);
    let metrics = metrics(timed.admin());
    for (outcome, count) in [("got", 2), ("failed", 1)] {
        let line = format!(
            "fuuffy_certificate_orders_total{{listener=\"environments.testing.tls\",outcome=\"{outcome}\"}} {count}"
        );
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[test]
fn without_an_authority_handshakes_are_refused_and_it_is_said_and_tried_again() {
    let (site, hooks) = (Site::new(), Hooks::start());
    let mut timed = Timed::serving(config_of_one(&site, &hooks.section()));
    let told = hooks.wait_for(1);
    assert_eq!(told[0].json()["data"]["expires_at"], Value::Null);
    let (code, words) = readyz(timed.admin());
    assert!(code == 503 && words.contains("environments.testing.tls has no certificate yet"), "{words}");
    assert!(words.contains("onnect"), "the reason: {words}");
    let caller = callers(rustls::RootCertStore::empty(), &[]);
    let refused = session(timed.testing(), &caller, NAMES[0]).unwrap_err();
    assert!(refused.to_string().contains("AccessDenied"), "{refused}");
    let in_clear = request(timed.testing(), "GET", "/v1/orders", &[("host", NAMES[0])], "");
    assert_eq!((in_clear.status, in_clear.code().as_str()), (400, "invalid_request"));
    let minutes = |timed: &Timed| {
        let status = status(timed);
        (status["failures"].as_u64().unwrap(), time(&status["next_order_at"]).since(timed.now()).as_secs() / 60)
    };
    let (failures, wait) = minutes(&timed);
    assert!(failures == 1 && (14..=18).contains(&wait), "{failures} {wait}");
    // Whoever starts it again and again asks no more often for that.
    timed.restart();
    assert_eq!(minutes(&timed), (failures, wait));
    timed.time.pass(Duration::from_secs(20 * 60));
    until("it failed again", || minutes(&timed).0 == 2);
    assert!((29..=37).contains(&minutes(&timed).1), "{:?}", minutes(&timed));
    assert_eq!(hooks.taken().len(), 1, "once a day");
    let pebble = site.start();
    timed.time.pass(Duration::from_secs(40 * 60));
    let caller = callers(pebble.roots(), &[b"http/1.1"]);
    until("a certificate", || shown(timed.testing(), &caller, NAMES[0]).is_some());
    until("it is ready", || readyz(timed.admin()).0 == 200);
    assert_eq!((&status(&timed)["failures"], &status(&timed)["error"]), (&0.into(), &Value::Null));
}

/// Account and certificate are in the store: sealed there, by the key that is current, and in its backups.
#[test]
fn what_an_authority_gave_is_sealed_and_goes_where_the_store_goes() {
    let site = Site::new();
    let place = Place::new(&config(&site, ""));
    let pebble = site.start();
    let (server, caller) = (place.serve(), callers(pebble.roots(), &[b"http/1.1"]));
    wait_for_certificates(&place, &server, &caller);
    let all = |server: &Server| NAMES.map(|name| shown(server.testing, &caller, name));
    until("all of it is kept", || kept(&place, "testing").len() == 3 && kept(&place, "production").len() == 3);
    // An environment that lacks the account has the other's, and keeps it.
    let account = || -> Vec<u8> {
        let ask = "SELECT sealed FROM acme_items WHERE item = 'account'";
        store(&place, "testing").query_row(ask, [], |row| row.get(0)).unwrap()
    };
    let (before, known) = (all(&server), account());
    store(&place, "production").execute("DELETE FROM acme_items WHERE item = 'account'", []).unwrap();
    place.done(&["certs", "renew", "--environment", "production"]);
    until("another one, though nothing was due", || all(&server)[1] != before[1]);
    until("the account is there, too", || kept(&place, "production").len() == 3);
    assert!(account() == known, "no other account was made");
    let first = all(&server);
    assert_eq!(first[0], before[0]);
    place.done(&["keys", "rotate"]);
    for environment in ["testing", "production"] {
        let items = ["account", "certificate", "progress"].map(|item| (item.to_owned(), 2));
        assert_eq!(kept(&place, environment), items, "{environment}");
    }
    place.done(&["keys", "retire", "1"]);
    place.done(&["backup", "--to", place.path("kept").to_str().unwrap()]);
    assert!(server.stop().success());
    for file in std::fs::read_dir(place.path("data")).unwrap().map(|file| file.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let has = |words: &[u8]| bytes.windows(words.len()).any(|found| found == words);
        assert!(!has(b"PRIVATE KEY") && !has(b"key_pkcs8"), "{}", file.display());
    }
    // Nobody is there to give another one.
    drop(pebble);
    let other = Place::new(&config(&site, ""));
    std::fs::create_dir(other.path("data")).unwrap();
    for keys in ["pepper.key", "audit.key"] {
        std::fs::copy(place.path("data").join(keys), other.path("data").join(keys)).unwrap();
    }
    other.done(&["restore", "--from", place.path("kept").to_str().unwrap()]);
    for place in [&place, &other] {
        let server = place.serve();
        assert_eq!(all(&server), first);
        assert!(nothing_is_due(place));
        assert!(server.stop().success());
    }
    // What nobody can open is as if it had never been there.
    store(&place, "testing").execute("UPDATE acme_items SET sealed = zeroblob(500)", []).unwrap();
    let server = place.serve();
    assert!(place.log().contains("was not sealed by a key of the key file"), "{}", place.log());
    assert!(shown(server.testing, &caller, NAMES[0]).is_none());
    assert_eq!(shown(server.testing, &caller, NAMES[1]), first[1]);
    assert!(server.stop().success());
}

fn store(place: &Place, environment: &str) -> rusqlite::Connection {
    rusqlite::Connection::open(place.path(format!("data/{environment}.sqlite3"))).unwrap()
}

/// Whether what was kept is so good that nobody is asked for another one.
fn nothing_is_due(place: &Place) -> bool {
    let listed = place.done(&["certs", "status"]);
    listed.as_array().unwrap().iter().all(|row| time(&row["next_order_at"]) > time(&row["starts_at"]))
}

/// Which things are kept of the authority, and by which key of the key file each is sealed.
fn kept(place: &Place, environment: &str) -> Vec<(String, i64)> {
    let store = store(place, environment);
    let mut statement = store.prepare("SELECT item, key FROM acme_items ORDER BY item").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The authority comes where nobody listens; an operator sets that right, and does not wait.
#[test]
fn a_refused_challenge_is_told_clearly_and_sighup_tries_again() {
    let site = Site::new();
    let text = config(&site, &format!("challenge = \"http-01\"\nlisten = \"{}\"", free()));
    let place = Place::new(&text);
    let pebble = site.start();
    let server = place.serve();
    let error = || place.done(&["certs", "status"])[0]["error"].as_str().map(str::to_owned);
    until("it is refused", || error().is_some());
    let words = error().unwrap();
    assert!(words.contains("testing.fuuffy.test: ") || words.contains("other.fuuffy.test: "), "{words}");
    assert!(words.contains("connection") && words.contains("refused"), "{words}");
    assert!(place.log().contains("No certificate was got; it is tried again"), "{}", place.log());
    assert!(server.stop().success());
    place.write_config(&config(&site, &format!("challenge = \"http-01\"\nlisten = \"{}\"", site.http)));
    let server = place.serve();
    assert!(error().is_some(), "a wish that is the same waits on");
    server.signal("HUP");
    wait_for_certificates(&place, &server, &callers(pebble.roots(), &[b"http/1.1"]));
    assert!(server.stop().success());
}

#[test]
fn an_account_is_tied_to_a_customer_where_the_authority_wants_that() {
    let site = Site::for_customers();
    let pebble = site.start();
    let place = Place::new(&config(&site, ""));
    let server = place.serve();
    let error = || place.done(&["certs", "status"])[0]["error"].as_str().map(str::to_owned);
    until("it is refused", || error().is_some());
    assert!(error().unwrap().contains("xternal"), "{:?}", error());
    assert!(server.stop().success());
    let key = site.file("eab.key");
    std::fs::write(&key, format!("{}\n", EAB_KEY.1)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    place.write_config(&config(&site, &format!("eab_key_id = {:?}\neab_key_file = {key:?}", EAB_KEY.0)));
    let server = place.serve();
    server.signal("HUP");
    wait_for_certificates(&place, &server, &callers(pebble.roots(), &[b"http/1.1"]));
    assert!(server.stop().success());
}

/// An authority that was set up anew knows nobody: there is another account, and no operator is needed for it.
#[test]
fn an_account_that_the_authority_has_forgotten_is_made_anew() {
    let site = Site::new();
    let pebble = site.start();
    let timed = Timed::serving(config_of_one(&site, ""));
    let caller = callers(pebble.roots(), &[b"http/1.1"]);
    until("a certificate", || shown(timed.testing(), &caller, NAMES[0]).is_some());
    drop(pebble);
    let pebble = site.start();
    let caller = callers(pebble.roots(), &[b"http/1.1"]);
    assert!(shown(timed.testing(), &caller, NAMES[0]).is_none(), "another authority");
    timed.time.pass(time(&status(&timed)["next_order_at"]).since(timed.now()) + Duration::from_secs(1));
    until("a certificate of the new one", || shown(timed.testing(), &caller, NAMES[0]).is_some());
}

#[test]
fn the_authority_is_spoken_to_over_verified_tls_alone() {
    let site = Site::new();
    let _pebble = site.start();
    let other = Authority::new();
    other.write_to(&site.file("ca.pem"));
    let place = Place::new(&config(&site, ""));
    let server = place.serve();
    let error = || place.done(&["certs", "status"])[0]["error"].as_str().map(str::to_owned);
    until("it is refused", || error().is_some());
    assert!(error().unwrap().contains("certificate"), "{:?}", error());
    std::fs::write(site.file("ca.pem"), "nothing").unwrap();
    assert!(server.stop().success());
    assert!(place.try_serve(&[]).is_err_and(|status| status.code() == Some(1)));
    assert!(place.log().contains("acme.ca_file: "), "{}", place.log());
}

/// An authority that asks for patience gets it (RFC 8555 §6.6), and one that talks nonsense is not believed.
#[test]
fn what_an_authority_answers_instead_is_told_and_its_wait_is_kept() {
    let answer = |head: &str, body: &str| {
        Act::AnswerAndClose(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    };
    let upstream = Upstream::start(move |_, count| match count {
        0 => answer("503 Service Unavailable\r\nretry-after: 7200", "busy"),
        // Three hours after the first attempt's two, by the clock of the test.
        1 => answer("429 Too Many Requests\r\nretry-after: Fri, 15 Jan 2027 18:00:00 GMT", "{}"),
        2 => answer("302 Found\r\nlocation: https://localhost/elsewhere", ""),
        3 => answer("200 OK", &"x".repeat(2 << 20)),
        _ => answer("200 OK", "[]"),
    });
    let (site, authority) = (Site::new(), Authority::new());
    authority.write_to(&site.file("ca.pem"));
    let terminator = Terminator::start(&authority.certify("localhost"), upstream.address);
    let ports = [site.address, terminator.address].map(|it| format!("localhost:{}/dir", it.port()));
    let timed = Timed::serving(config_of_one(&site, "").replace(&ports[0], &ports[1]));
    for (place, (words, minutes)) in
        [("503 Service Unavailable", 120), ("429 Too Many Requests", 400), ("", 60), ("too large", 120), ("", 240)]
            .into_iter()
            .enumerate()
    {
        until("it is told", || status(&timed)["failures"] == place + 1);
        let status = status(&timed);
        assert!(status["error"].as_str().unwrap().contains(words), "{status}");
        let wait = time(&status["next_order_at"]).since(timed.now());
        let (least, most) = (minutes * 60 - 60, minutes * 60 * 5 / 4 + 60);
        assert!((least..=most).contains(&wait.as_secs()), "{words}: {wait:?}");
        assert_eq!(upstream.seen().len(), place + 1, "it is asked once each time");
        timed.time.pass(wait + Duration::from_secs(1));
    }
}
