//! What somebody would have seen who watches only alerts, usage and metrics: from real requests to a webhook that was
//! received and whose signature was checked. Weeks pass by the test's clock; the requests in them are few and real.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{Registered, ask_for_token, config, config_with, token_form};
use crate::hooks::{Hooks, Message};
use crate::http1::{Connection, Reply, message, request};
use crate::timed::Timed;
use crate::upstream::{Act, Upstream, ok};

const MINUTE: Duration = Duration::from_secs(60);
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OWNER: (&str, &str) = ("x-forwarded-for", "198.51.100.7");
const THIEF: (&str, &str) = ("x-forwarded-for", "203.0.113.5");

/// A client that calls every quarter of an hour, as long as it is to.
struct Life {
    timed: Timed,
    held: String,
}

impl Life {
    /// Calls of so many, all on one connection.
    fn call(&self, count: usize) -> Vec<u16> {
        let authorization = format!("Bearer {}", self.held);
        let mut connection = Connection::open(self.timed.testing());
        let ask = message(self.timed.testing(), "GET", "/v1/orders", &[("authorization", &authorization)], "");
        let mut ask_once = || {
            connection.send(&ask);
            connection.reply().expect("an answer").status
        };
        (0..count).map(|_| ask_once()).collect()
    }

    /// Hours of the usual: thirty requests in each.
    fn live(&mut self, hours: u32) {
        for hour in 0..hours {
            if hour % 20 == 0 {
                self.held = self.timed.token();
            }
            for _ in 0..3 {
                assert_eq!(self.call(10), [200; 10]);
                self.timed.time.pass(20 * MINUTE);
            }
            self.timed.pass_minute();
        }
    }

    /// Fifteen days of the usual.
    fn begin(timed: Timed) -> Self {
        let mut life = Self { timed, held: String::new() };
        life.live(15 * 24);
        life.held = life.timed.token();
        life
    }

    /// Minutes of `each`, until somebody is told.
    fn until_told(&self, hooks: &Hooks, most: usize, each: impl Fn(&Self)) -> Message {
        for _ in 0..most {
            each(self);
            self.timed.time.pass(MINUTE);
            self.timed.pass_minute();
            if !told(&self.timed, hooks).is_empty() {
                break;
            }
        }
        one(&self.timed, hooks)
    }
}

fn timed(hooks: &Hooks, upstream: &Upstream, plan: &str) -> Timed {
    let plan = format!("\n[plans.standard]\nlimits = [{plan}]\n");
    let lasting = "token_lifetime = \"24h\"";
    Timed::serving(config_with(upstream.address, lasting, "") + &plan + &hooks.section())
}

/// What was told, once all that there is to send was sent.
fn told(timed: &Timed, hooks: &Hooks) -> Vec<Message> {
    let tested = timed.operate("/admin/v1/testing/alerts/test", "");
    assert_eq!(tested["data"]["outcome"], "delivered", "{tested}");
    loop {
        let waiting = timed.shown("/admin/v1/testing/alerts?state=waiting");
        if waiting["pagination"]["total"] == 0 {
            break;
        }
        std::thread::yield_now();
    }
    // How long an answer takes here is not the test's: others run on the same machine.
    let is_ours = |message: &Message| message.json()["type"] != "test" && data(message)["kind"] != "latency_jump";
    hooks.taken().into_iter().filter(is_ours).collect()
}

/// The one alert that there is, which is ours.
fn one(timed: &Timed, hooks: &Hooks) -> Message {
    let mut told = told(timed, hooks);
    assert_eq!(told.len(), 1, "{told:?}");
    told[0].verify();
    assert_eq!(told[0].json()["type"], "unusual.opened");
    told.remove(0)
}

fn data(message: &Message) -> Value {
    message.json()["data"].clone()
}

/// What `fuuffy usage` shows.
fn usage(timed: &Timed, query: &str) -> Value {
    timed.shown(&format!("/admin/v1/testing/usage?{query}"))["data"][0].clone()
}

/// Requests of an owner and of somebody else, behind a proxy that says from where they come.
fn proxied(hooks: &Hooks) -> Timed {
    let proxied = "tls = \"terminated\"\ntrusted_proxies = [\"127.0.0.1\"]";
    let timed = Timed::serving(config_with(Upstream::friendly().address, proxied, "") + &hooks.section());
    for _ in 0..8 * 24 {
        let held = token_from(&timed, OWNER);
        assert_eq!(get_from(&timed, &held, OWNER).status, 200);
        timed.time.pass(60 * MINUTE);
        timed.pass_minute();
    }
    timed
}

fn token_from(timed: &Timed, from: (&str, &str)) -> String {
    let reply = request(timed.testing(), "POST", "/v1/auth/token", &[FORM, from], &token_form(&timed.client));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"]["access_token"].as_str().unwrap().to_owned()
}

fn get_from(timed: &Timed, held: &str, from: (&str, &str)) -> Reply {
    let authorization = format!("Bearer {held}");
    request(timed.testing(), "GET", "/v1/orders", &[("authorization", &authorization), from], "")
}

#[test]
fn a_leaked_secret_that_is_used_elsewhere() {
    let hooks = Hooks::start();
    let timed = proxied(&hooks);
    assert_eq!(told(&timed, &hooks).len(), 0);
    let owners = token_from(&timed, OWNER);
    let stolen = token_from(&timed, THIEF);
    timed.time.pass(MINUTE);
    timed.pass_minute();
    let data = data(&one(&timed, &hooks));
    assert_eq!((&data["kind"], &data["client_id"]), (&json!("new_network"), &json!(timed.client.id)));
    assert_eq!((&data["severity"], &data["client_name"]), (&json!("warning"), &json!("Acme")));
    let words = data["words"].as_str().unwrap();
    assert!(words.starts_with("The client made a request from 203.0.113.0/24, which it never came from."), "{words}");
    // What the thief does with its token belongs to the same incident, whether or not its owner works on.
    for _ in 0..3 {
        assert_eq!(get_from(&timed, &stolen, THIEF).status, 200);
        assert_eq!(get_from(&timed, &owners, OWNER).status, 200);
        timed.time.pass(MINUTE);
        timed.pass_minute();
    }
    one(&timed, &hooks);
}

#[test]
fn a_leaked_token_that_is_used_elsewhere_while_its_owner_works_on() {
    let hooks = Hooks::start();
    let mut timed = proxied(&hooks);
    // What is known of networks outlives a restart.
    timed.restart();
    let held = token_from(&timed, OWNER);
    for from in [OWNER, THIEF, OWNER] {
        assert_eq!(get_from(&timed, &held, from).status, 200);
        timed.time.pass(Duration::from_secs(10));
    }
    timed.time.pass(MINUTE);
    timed.pass_minute();
    let data = data(&one(&timed, &hooks));
    assert_eq!((&data["kind"], &data["severity"]), (&json!("token_from_two_networks"), &json!("critical")));
    let words = data["words"].as_str().unwrap();
    assert!(words.starts_with("One token was used from 198.51.100.0/24, from 203.0.113.0/24 and"), "{words}");
    assert!(!words.contains(&held));
}

#[test]
fn an_integrators_retry_loop() {
    let hooks = Hooks::start();
    let life = Life::begin(timed(&hooks, &Upstream::friendly(), "\"30/min\""));
    assert_eq!(told(&life.timed, &hooks).len(), 0, "nothing was unusual so far");
    let loops = |life: &Life| {
        let answers = life.call(100);
        assert_eq!(answers.iter().filter(|status| **status == 429).count(), 70);
    };
    let data = data(&life.until_told(&hooks, 20, loops));
    assert_eq!(data["client_id"], json!(life.timed.client.id));
    let kind = data["kind"].as_str().unwrap();
    assert!(["volume_jump", "limited_share_jump"].contains(&kind), "{data}");
    // How much of it was refused shows beside it.
    let used = usage(&life.timed, "since=1h");
    assert!(used["limited"].as_u64().unwrap() >= 70, "{used}");
    // While it goes on nobody is told again, and nothing of the environment, which is this client.
    for _ in 0..10 {
        loops(&life);
        life.timed.time.pass(MINUTE);
        life.timed.pass_minute();
    }
    one(&life.timed, &hooks);
}

#[test]
fn an_upstream_that_slowly_fails() {
    let hooks = Hooks::start();
    let fails = Arc::new(AtomicBool::new(false));
    let failing = Arc::clone(&fails);
    let upstream = Upstream::start(move |_, before| {
        let error = b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_vec();
        let is_broken = failing.load(Ordering::Relaxed) && before % 4 == 0;
        Act::Answer(if is_broken { error } else { ok("{}") })
    });
    let life = Life::begin(timed(&hooks, &upstream, "\"1000/min\""));
    fails.store(true, Ordering::Relaxed);
    let calls = |life: &Life| drop(life.call(2));
    let data = data(&life.until_told(&hooks, 240, calls));
    assert_eq!((&data["kind"], &data["client_id"]), (&json!("error_share_jump"), &Value::Null), "{data}");
    let words = data["words"].as_str().unwrap();
    assert!(words.contains("of the environment's requests were answered with 500 or above"), "{words}");
    // Nobody is told of each client besides, nor again while it goes on.
    for _ in 0..30 {
        calls(&life);
        life.timed.time.pass(MINUTE);
        life.timed.pass_minute();
    }
    one(&life.timed, &hooks);
    let used = usage(&life.timed, "by=route&since=1h");
    assert!(used["5xx"].as_u64().unwrap() > 0, "{used}");
    // And when it is over.
    fails.store(false, Ordering::Relaxed);
    for _ in 0..240 {
        calls(&life);
        life.timed.time.pass(MINUTE);
        life.timed.pass_minute();
    }
    let all = told(&life.timed, &hooks);
    assert_eq!(all.len(), 2, "{all:?}");
    all[1].verify();
    assert_eq!((&all[1].json()["type"], &self::data(&all[1])["kind"]), (&json!("unusual.closed"), &data["kind"]));
}

#[test]
fn a_customer_that_quietly_stops() {
    let hooks = Hooks::start();
    let life = Life::begin(timed(&hooks, &Upstream::friendly(), "\"1000/min\""));
    let data = data(&life.until_told(&hooks, 12 * 60, |_| {}));
    assert_eq!((&data["kind"], &data["client_id"]), (&json!("volume_drop"), &json!(life.timed.client.id)), "{data}");
    assert_eq!(data["severity"], "critical");
    assert!(data["words"].as_str().unwrap().starts_with("The client made no request in the last"), "{data}");
}

/// A secret that has a successor and is used all the same is told of once, and when it is used no more.
#[test]
fn an_old_secret_that_is_used_beside_its_successor() {
    let hooks = Hooks::start();
    let timed = Timed::serving(config(Upstream::friendly().address) + &hooks.section());
    let path = format!("/admin/v1/testing/clients/{}/secrets", timed.client.id);
    timed.time.pass(MINUTE);
    let new = timed.operate(&path, "{}")["data"]["client_secret"].as_str().unwrap().to_owned();
    let new = Registered { secret: new, ..timed.client.clone() };
    timed.time.pass(8 * 24 * 60 * MINUTE);
    for client in [&new, &timed.client] {
        assert_eq!(ask_for_token(timed.testing(), client).status, 200);
    }
    for _ in 0..3 {
        timed.time.pass(MINUTE);
        timed.pass_minute();
    }
    let data = data(&one(&timed, &hooks));
    assert_eq!((&data["kind"], &data["client_id"]), (&json!("old_secret"), &json!(timed.client.id)));
    timed.time.pass(25 * 60 * MINUTE);
    timed.pass_minute();
    let all = told(&timed, &hooks);
    assert_eq!((all.len(), &all[1].json()["type"]), (2, &json!("unusual.closed")), "{all:?}");
}

/// Whoever guesses paths by a token that is right, and whoever asks often for one that is not there.
#[test]
fn a_client_that_guesses_paths() {
    let hooks = Hooks::start();
    let timed = Timed::serving(config(Upstream::friendly().address) + &hooks.section());
    let held = timed.token();
    let authorization = format!("Bearer {held}");
    let ask = |target: &str| request(timed.testing(), "GET", target, &[("authorization", &authorization)], "").status;
    (0..60).for_each(|_| assert_eq!(ask("/v1/nowhere"), 404));
    timed.time.pass(MINUTE);
    timed.pass_minute();
    assert_eq!(told(&timed, &hooks).len(), 0, "one path is no scan, however often");
    (0..60).for_each(|path| assert_eq!(ask(&format!("/v1/guess-{path}")), 404));
    timed.time.pass(MINUTE);
    timed.pass_minute();
    let data = data(&one(&timed, &hooks));
    assert_eq!((&data["kind"], &data["severity"]), (&json!("scan"), &json!("critical")));
}
