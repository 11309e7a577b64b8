//! Alerts by letter: taken by a real mail server over STARTTLS and TLS, with the same facts as the webhook's JSON, and on
//! a way of its own.

mod hostile;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use fuuffy_domain::{EnvironmentName, MessageId, Timestamp};
use fuuffy_store::{Channel, NewAlert, Outbox};
use serde_json::{Value, json};

use crate::app::{Place, config};
use crate::hooks::{Answer, Hooks};
use crate::tls::Authority;
use crate::upstream::Upstream;

const AIOSMTPD: &str = "aiosmtpd-1.4.6";
const AT: [&str; 2] = ["--environment", "testing"];

/// A mail server, until the test ends.
struct MailServer {
    process: Child,
    port: u16,
    letters: Receiver<Value>,
}

/// How a mail server is.
struct Like<'a> {
    tls: &'a str,
    login: Option<[&'a str; 2]>,
    /// Mechanisms that it does not know.
    without: &'a [&'a str],
}

const PLAIN: Like<'static> = Like { tls: "none", login: None, without: &[] };

impl MailServer {
    /// A server by the certificate in a folder.
    fn start(folder: &Path, like: &Like<'_>) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/mail.py");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..").join(AIOSMTPD);
        assert!(library.exists(), "aiosmtpd is not installed, run ./check");
        let asked = json!({"tls": like.tls, "login": like.login, "without": like.without,
            "certificate": folder.join("mail.pem"), "key": folder.join("mail.key")});
        let mut process = Command::new("python3")
            .args([here.to_str().unwrap(), &asked.to_string()])
            .env("PYTHONPATH", library)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It tells there what it thinks of being refused.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let (sent, letters) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sent.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { process, port, letters }
    }

    fn letter(&self) -> Value {
        self.letters.recv_timeout(Duration::from_secs(60)).expect("a letter")
    }

    /// No letter came up to now, after one that was awaited otherwise.
    fn is_idle(&self) -> bool {
        self.letters.try_recv().is_err()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The section of a configuration that names a mail server of this machine.
fn section(port: u16, tls: &str, more: &str) -> String {
    let to = r#"["ops@example.com", "Duty <duty@example.com>"]"#;
    format!(
        "[environments.testing.email]\nserver = \"localhost:{port}\"\ntls = \"{tls}\"\nallow_private = true\n\
         from = \"Fuuffy <gateway@example.com>\"\nto = {to}\n{more}\n"
    )
}

/// A place whose configuration is not written yet, with an authority, a mail server's certificate and a password in it.
fn place() -> Place {
    let place = Place::new("");
    let authority = Authority::new();
    authority.write_to(&place.path("ca.pem"));
    authority.certify_to("localhost", (&place.path("mail.pem"), &place.path("mail.key")));
    Authority::named("Somebody").write_to(&place.path("other.pem"));
    write_password(&place, 0o600);
    place
}

fn write_password(place: &Place, mode: u32) {
    let file = place.path("password");
    std::fs::write(&file, "right horse\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

fn write(place: &Place, sections: &str) {
    place.write_config(&(config(Upstream::friendly().address) + sections));
}

/// Tests the alerts of a server that trusts the authority in this file.
fn tested(place: &Place, trusted: &str) -> Result<Value, String> {
    let trusted: PathBuf = place.path(trusted);
    let server = place.try_serve(&[("SSL_CERT_FILE", trusted.to_str().unwrap())]).unwrap();
    let output = place.command(&[&["alerts", "test", "--json"][..], &AT].concat());
    assert!(server.stop().success());
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).unwrap());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

const LOGIN: &str = "username = \"gateway\"\npassword_file = \"password\"";

#[test]
fn a_letter_goes_by_starttls_and_by_tls_from_the_first_byte_and_signs_in() {
    let place = place();
    for (tls, without, mechanism) in [("required", "LOGIN", "PLAIN"), ("implicit", "PLAIN", "LOGIN")] {
        let like = Like { tls, login: Some(["gateway", "right horse"]), without: &[without] };
        let mail = MailServer::start(&place.path(""), &like);
        write(&place, &section(mail.port, tls, LOGIN));
        let done = tested(&place, "ca.pem").unwrap();
        assert_eq!(done["channels"], json!([{"channel": "email", "outcome": "delivered"}]));
        let taken = mail.letter();
        assert_eq!((&taken["tls"], &taken["login"]), (&json!(true), &json!([mechanism, "gateway"])));
        assert_eq!(taken["to"], json!(["ops@example.com", "duty@example.com"]));
        let letter = taken["letter"].as_str().unwrap();
        let id = done["message_id"].as_str().unwrap();
        assert!(letter.contains(&format!("Message-ID: <{id}@example.com>\r\n")), "{letter}");
        assert!(letter.contains("Subject: [fuuffy testing] A test of alerts\r\n"), "{letter}");
        // Nobody else proves that name.
        let said = tested(&place, "other.pem").unwrap_err();
        assert!(said.contains("email: no TLS with the mail server") && said.contains("UnknownIssuer"), "{said}");
        assert!(mail.is_idle());
    }
}

#[test]
fn a_wrong_password_is_refused_and_stays_unsaid() {
    let place = place();
    let like = Like { tls: "required", login: Some(["gateway", "another"]), without: &[] };
    let mail = MailServer::start(&place.path(""), &like);
    write(&place, &section(mail.port, "required", LOGIN));
    let said = tested(&place, "ca.pem").unwrap_err();
    assert_eq!(said, "The test alert was not taken: email: the mail server refused the password with 535\n");
    let output = place.log() + &String::from_utf8(place.command(&["check"]).stdout).unwrap();
    assert!(output.contains("password_file") && !output.contains("right horse"), "{output}");
}

#[test]
fn each_channel_gets_an_alert_and_one_that_is_down_keeps_no_other_back() {
    let (place, hooks) = (place(), Hooks::start());
    let mail = MailServer::start(&place.path(""), &PLAIN);
    write(&place, &(section(mail.port, "none", "") + &hooks.section()));
    assert!(place.serve().stop().success());
    let name = "Größe\r\nBcc: all@example.com\n.\nQUIT\u{2028}x";
    seed(&place, name);
    hooks.answer(Answer::Status(500));
    let server = place.serve();
    let taken = mail.letter();
    let letter = taken["letter"].as_str().unwrap().to_owned();
    hooks.wait_for(1);
    let body = hooks.taken()[0].json();
    assert_eq!(body["data"]["client_name"], name);
    // The same facts, and no field or recipient of its own.
    assert_eq!(taken["to"], json!(["ops@example.com", "duty@example.com"]));
    let (head, _) = letter.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_ascii_lowercase().contains("\r\nbcc") && head.contains("=?utf-8?b?"), "{head}");
    let text = decoded(&letter);
    for fact in ["client_id: app_1", "secret_id: sec_1", "type: secret.expires", "id: msg_1", "days: 3"] {
        assert!(text.lines().any(|line| line == fact), "{fact}: {text}");
    }
    let named = "client_name: Größe  Bcc: all@example.com . QUIT x";
    assert!(text.lines().any(|line| line == named), "{text}");
    assert!(text.contains("fuuffy secrets add --environment testing --client app_1"), "{text}");
    let ask = |words: &[&str]| place.done(&[&["alerts"], words, &AT].concat());
    let waiting = loop {
        let waiting = ask(&["list"]);
        if waiting.as_array().unwrap().len() == 1 && waiting[0]["state"] == "dead" {
            break waiting;
        }
    };
    assert_eq!((&waiting[0]["channel"], &waiting[0]["message_id"]), (&json!("webhook"), &json!("msg_1")));
    let said = place.command(&[&["alerts", "test"][..], &AT].concat());
    let said = String::from_utf8(said.stderr).unwrap();
    let expected = "webhook: answered with 500 Internal Server Error; email: delivered\n";
    assert_eq!(said, format!("The test alert was not taken: {expected}"));
    mail.letter();
    hooks.answer(Answer::Status(200));
    assert_eq!(ask(&["redeliver", "--all", "--channel", "email"])["redelivered"], 0);
    assert_eq!(ask(&["redeliver", "msg_1", "--channel", "webhook"])["redelivered"], 1);
    assert_eq!(hooks.wait_for(3)[2].id(), "msg_1");
    assert!(mail.is_idle(), "it was told by letter already");
    assert!(server.stop().success());
}

#[test]
fn one_unknown_recipient_keeps_the_letter_from_nobody_else() {
    let place = place();
    let mail = MailServer::start(&place.path(""), &PLAIN);
    let of_two = section(mail.port, "none", "").replace("Duty <duty@", "Duty <nobody@");
    write(&place, &of_two);
    tested(&place, "ca.pem").unwrap();
    assert_eq!(mail.letter()["to"], json!(["ops@example.com"]));
    assert!(place.log().contains("answered RCPT TO nobody@example.com with 550 5.1.1 no such user"));
    write(&place, &of_two.replace("ops@", "nobody@"));
    let said = tested(&place, "ca.pem").unwrap_err();
    assert!(said.ends_with("RCPT TO nobody@example.com with 550 5.1.1 no such user\n"), "{said}");
}

#[test]
fn mistakes_are_told_before_anything_is_opened() {
    let place = place();
    let checked = |section: &str| {
        write(&place, section);
        let output = place.command(&["check"]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let good = section(587, "required", LOGIN);
    for (from, to, words) in [
        ("localhost:587", "mail.example.com", "email.server: expected a host and a port"),
        ("localhost:587", "a b:587", "email.server: expected a host and a port"),
        ("\"required\"", "\"starttls\"", "email.tls: expected \"required\", \"implicit\""),
        ("Fuuffy <gateway@example.com>", "gateway", "email.from: expected an address"),
        ("ops@example.com", "öps@example.com", "email.to: expected an address"),
        ("password_file = \"password\"", "", "email.username: expected a name"),
        ("username = \"gateway\"", "", "email.password_file: expected the path"),
        ("username = \"gateway\"", "password = \"x\"", "email.password: unknown key"),
    ] {
        let said = checked(&good.replace(from, to));
        assert!(said.contains(words), "{to}: {said}");
    }
    let in_clear = good.replace("localhost:587", "mail.example.com:25").replace("\"required\"", "\"none\"");
    assert!(checked(&in_clear).contains("a mail server that is not on loopback must have TLS"));
    write(&place, &good);
    write_password(&place, 0o644);
    assert!(place.try_serve(&[]).is_err());
    assert!(place.log().contains("password can be read by others; make it private with chmod 600"), "{}", place.log());
}

/// An alert on both channels, years ago, so that there is one attempt before it is dead.
fn seed(place: &Place, client_name: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let outbox = Outbox::open(place.path("data/testing.outbox.sqlite3"), EnvironmentName::Testing);
        let at = Timestamp::from_unix_millis(1_700_000_000_000);
        let body = json!({"id": "msg_1", "type": "secret.expires", "environment": "testing", "sent_at": at, "data":
            {"client_id": "app_1", "client_name": client_name, "secret_id": "sec_1", "expires_at": at, "days": 3}});
        let (id, kind) = (MessageId::parse("msg_1").unwrap(), "secret.expires".to_owned());
        let alert = NewAlert { id, name: "seeded".to_owned(), kind, body: body.to_string() };
        assert!(outbox.enqueue(alert, Channel::ALL.to_vec(), at).await.unwrap());
        outbox.close().await;
    });
}

/// A letter's text, read as mail programs do.
fn decoded(letter: &str) -> String {
    let program = "import email, email.policy, sys\n\
        letter = email.message_from_bytes(sys.argv[1].encode(), policy=email.policy.default)\n\
        sys.stdout.buffer.write(letter.get_content().encode())";
    let output = Command::new("python3").args(["-c", program, letter]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
