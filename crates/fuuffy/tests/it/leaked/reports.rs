//! Reports of what was found in public: believed where they are signed by a key that is published, and of consequence
//! where what was found is right.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fuuffy_protocol::{ClientSecret, SecretKind};
use parking_lot::Mutex;
use rcgen::{KeyPair, SigningKey as _};
use serde_json::{Value, json};

use crate::app::{ask_for_token, config_with};
use crate::hooks::Hooks;
use crate::http1::{Reply, request};
use crate::timed::Timed;
use crate::upstream::Upstream;

/// Whoever finds secrets, and publishes its keys.
struct Partner {
    keys: Arc<Mutex<Vec<(&'static str, KeyPair)>>>,
    address: SocketAddr,
    asked: Arc<Mutex<usize>>,
    mood: Arc<Mutex<Mood>>,
}

/// How it answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Mood {
    #[default]
    Well,
    Down,
    /// It answers more than anybody needs.
    Large,
    /// It says once that the keys are elsewhere, where they are.
    Elsewhere,
}

impl Partner {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let partner = Self {
            keys: Arc::default(),
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            mood: Arc::default(),
        };
        partner.publish("first");
        let (keys, asked) = (Arc::clone(&partner.keys), Arc::clone(&partner.asked));
        let mood = Arc::clone(&partner.mood);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                BufReader::new(&stream).lines().take_while(|line| !line.as_ref().unwrap().is_empty()).for_each(drop);
                *asked.lock() += 1;
                let shown = |(name, key): &(&str, KeyPair)| json!({"key_identifier": name, "key": key.public_key_pem(), "is_current": true});
                let mut body = json!({"public_keys": keys.lock().iter().map(shown).collect::<Vec<_>>()}).to_string();
                let mut mood = mood.lock();
                let status = match &*mood {
                    Mood::Well => "200 OK".to_owned(),
                    Mood::Down => "503 Down".to_owned(),
                    Mood::Large => {
                        body.push_str(&" ".repeat(256 * 1024));
                        "200 OK".to_owned()
                    }
                    Mood::Elsewhere => {
                        *mood = Mood::Well;
                        "302 Found\r\nlocation: /elsewhere".to_owned()
                    }
                };
                drop(mood);
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                // Whoever has read enough goes.
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        partner
    }

    fn publish(&self, name: &'static str) {
        self.keys.lock().push((name, KeyPair::generate().unwrap()));
    }

    /// A server that takes its reports.
    fn served(&self) -> Timed {
        self.served_with("")
    }

    fn served_with(&self, more: &str) -> Timed {
        let leaks = format!("leaks = {{ report_keys = \"http://{}/keys\" }}", self.address);
        // Production takes none.
        let text = config_with(Upstream::friendly().address, "", "");
        let text = text.replacen("\n[[environments.testing", &format!("{leaks}\n\n[[environments.testing"), 1);
        Timed::serving(text + more)
    }

    /// A report of finds, signed with a key.
    fn report(&self, to: SocketAddr, name: &str, finds: &[&str]) -> Reply {
        let body = body(finds);
        self.send(to, name, &body, &body)
    }

    fn sign(&self, name: &str, body: &str) -> String {
        let keys = self.keys.lock();
        let key = &keys.iter().find(|(known, _)| *known == name).unwrap_or(&keys[0]).1;
        STANDARD.encode(key.sign(body.as_bytes()).unwrap())
    }

    /// The same, with the signature of another body.
    fn send(&self, to: SocketAddr, name: &str, signed: &str, body: &str) -> Reply {
        let signature = self.sign(name, signed);
        let fields = [("github-public-key-identifier", name), ("github-public-key-signature", signature.as_str())];
        request(to, "POST", "/v1/auth/leaks", &fields, body)
    }
}

fn body(finds: &[&str]) -> String {
    let find = |token: &&str| json!({"token": token, "type": "fuuffy_client_secret", "url": "https://x.example/a", "source": "content"});
    Value::from(finds.iter().map(find).collect::<Vec<_>>()).to_string()
}

#[test]
fn a_signed_report_quarantines_what_is_right() {
    let (partner, hooks) = (Partner::start(), Hooks::start());
    let timed = partner.served_with(&hooks.section());
    let (client, other) = (timed.client.clone(), timed.register());
    let (to, bearer) = (timed.testing(), timed.token());
    // Secrets that could be somebody's, and are nobody's.
    let wrong = ClientSecret::from_random(SecretKind::Testing, &mut [7; 32]);
    let many: Vec<&str> = std::iter::repeat_n(wrong.reveal(), 400).collect();
    let finds = [&many[..], &["sk-0", "", &client.secret, &bearer]].concat();
    let taken = partner.report(to, "first", &finds);
    assert_eq!((taken.status, &taken.json()["data"]), (200, &json!({"taken": 404})), "{}", taken.text());
    assert_eq!(ask_for_token(to, &client).code(), "unauthorized_client");
    assert_eq!(timed.get(&bearer).code(), "invalid_token");
    assert_eq!(ask_for_token(to, &other).status, 200, "nobody is throttled for what others published");
    let again = partner.report(to, "first", &[&client.secret]);
    assert_eq!(again.json()["data"]["taken"], 1, "who asks learns nothing of what is right");
    let log = timed.shown(&format!("/admin/v1/testing/audit?client_id={}", client.id));
    let why = |row: &Value| row["record"]["why"].as_str().unwrap_or_default().to_owned();
    assert_eq!(why(&log["data"][0]), "it was found where anybody can read it");
    let told = hooks.wait_for(2);
    let told = told.iter().map(|message| message.json());
    let mut told: Vec<Value> = told.map(|it| json!([it["type"], it["data"]["place"], it["data"]["grade"]])).collect();
    told.sort_by_key(Value::to_string);
    assert_eq!(
        told,
        [json!(["secret.leaked", "public", "quarantine"]), json!(["token.leaked", "public", "quarantine"])]
    );
}

#[test]
fn what_is_not_signed_has_no_consequences() {
    let partner = Partner::start();
    let timed = partner.served();
    let (client, to) = (timed.client.clone(), timed.testing());
    let right = body(&[&client.secret]);
    let named_twice = {
        let signature = partner.sign("first", &right);
        let (key, signature) =
            (("github-public-key-identifier", "first"), ("github-public-key-signature", &*signature));
        [&[key, key, signature][..], &[key, signature, signature]]
            .map(|fields| request(to, "POST", "/v1/auth/leaks", fields, &right))
    };
    let [key_twice, signature_twice] = named_twice;
    let not_signed = [
        key_twice,
        signature_twice,
        request(to, "POST", "/v1/auth/leaks", &[], &right),
        partner.send(to, "first", "something else", &right),
        partner.send(to, "unknown", &right, &right),
        request(
            to,
            "POST",
            "/v1/auth/leaks",
            &[("github-public-key-identifier", "first"), ("github-public-key-signature", "!")],
            &right,
        ),
    ];
    for refused in not_signed {
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_request"), "{}", refused.text());
    }
    assert_eq!(partner.send(to, "first", "{", "{").code(), "invalid_request");
    assert_eq!(request(to, "GET", "/v1/auth/leaks", &[], "").status, 405);
    let large = "x".repeat(600_000);
    assert_eq!(request(to, "POST", "/v1/auth/leaks", &[], &large).status, 413);
    assert_eq!(ask_for_token(to, &client).status, 200);
    let untaken = Timed::start("");
    assert_eq!(
        partner.report(untaken.testing(), "first", &[]).status,
        404,
        "where no keys are named there is no such path"
    );
}

#[test]
fn keys_are_fetched_when_one_is_new_and_kept_while_they_cannot_be() {
    let partner = Partner::start();
    let timed = partner.served();
    let status = |name: &str| partner.report(timed.testing(), name, &[]).status;
    assert_eq!((status("first"), status("first"), *partner.asked.lock()), (200, 200, 1));
    partner.publish("second");
    assert_eq!((status("second"), *partner.asked.lock()), (400, 1), "no stranger makes us ask again and again");
    timed.time.pass(Duration::from_secs(60));
    assert_eq!((status("second"), *partner.asked.lock()), (200, 2));
    *partner.mood.lock() = Mood::Down;
    timed.time.pass(Duration::from_secs(3600));
    timed.pass_minute();
    assert_eq!((status("first"), status("second"), *partner.asked.lock()), (200, 200, 3));
}

/// Keys are read from where the operator has said, and no more of them than there can be.
#[test]
fn keys_are_neither_large_nor_elsewhere() {
    for mood in [Mood::Large, Mood::Elsewhere] {
        let partner = Partner::start();
        *partner.mood.lock() = mood.clone();
        let timed = partner.served();
        assert_eq!(partner.report(timed.testing(), "first", &[]).code(), "invalid_request", "{mood:?}");
        *partner.mood.lock() = Mood::Well;
        timed.time.pass(Duration::from_secs(60));
        assert_eq!(partner.report(timed.testing(), "first", &[]).status, 200);
    }
}
