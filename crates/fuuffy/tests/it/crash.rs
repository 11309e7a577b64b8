//! `kill -9` under full token load: what was acknowledged is there, what was taken away stays away.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fuuffy_domain::{Entropy as _, SeededEntropy};

use crate::app::{Place, Registered, config, token_form};
use crate::http1::{Connection, Reply, message};
use crate::upstream::Upstream;

const ROUNDS: usize = 50;
const CALLERS: usize = 8;

/// Numbers that one seed always gives in the same order.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        usize::try_from(u64::from_le_bytes(bytes) % limit as u64).unwrap()
    }
}

/// `FUUFFY_TEST_SEED` replays a run; otherwise every run has its own.
#[expect(clippy::disallowed_methods, reason = "a test run is replayed by this variable, and differs by the time")]
fn seed() -> u64 {
    match std::env::var("FUUFFY_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap(),
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_fifty_kills() {
    let seed = seed();
    println!("FUUFFY_TEST_SEED={seed}");
    let dice = Dice(SeededEntropy::new(seed));
    let upstream = Upstream::friendly();
    let place = Place::new(&(config(upstream.address) + "\n[plans.standard]\nlimits = [\"1000000000/min\"]\n"));
    let client = place.client("testing");
    let mut kept: Vec<String> = Vec::new();
    for round in 0..ROUNDS {
        let doomed = place.client("testing");
        let starting = start();
        let server = place.serve();
        assert!(starting.elapsed() < Duration::from_secs(2), "round {round}: the start took {:?}", starting.elapsed());

        // All that earlier rounds were promised; in the last round and now and then whole, else a sample.
        let every = if round + 1 == ROUNDS { 1 } else { 1 + kept.len() / 100 };
        check(server.testing, kept.iter().step_by(every), 200, round);

        let before_kill = 1 + dice.below(400);
        let suspend_at = dice.below(before_kill);
        let load = Load::default();
        let suspended = std::thread::scope(|scope| {
            for number in 0..CALLERS {
                let who = if number % 2 == 0 { &client } else { &doomed };
                let of = if number % 2 == 0 { &load.kept } else { &load.doomed };
                let load = &load;
                scope.spawn(move || load.ask(server.testing, who, of));
            }
            while load.acknowledged.load(Ordering::Acquire) < suspend_at {
                std::thread::yield_now();
            }
            let suspended = suspend(&place.path("data/admin.sock"), &doomed);
            while load.acknowledged.load(Ordering::Acquire) < before_kill {
                std::thread::yield_now();
            }
            server.kill();
            load.over.store(true, Ordering::Release);
            suspended
        });
        assert_eq!(suspended.status, 200, "round {round}");

        let server = place.serve();
        let new = load.kept.into_inner().unwrap();
        check(server.testing, new.iter(), 200, round);
        check(server.testing, load.doomed.into_inner().unwrap().iter(), 401, round);
        kept.extend(new);
        server.kill();
    }
    assert!(kept.len() > ROUNDS, "there was no load");
}

/// What many callers were told.
#[derive(Default)]
struct Load {
    acknowledged: AtomicUsize,
    over: AtomicBool,
    kept: Mutex<Vec<String>>,
    doomed: Mutex<Vec<String>>,
}

impl Load {
    /// Asks for tokens until the server is gone, and keeps every one that was given.
    fn ask(&self, address: SocketAddr, client: &Registered, given: &Mutex<Vec<String>>) {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let bytes = message(address, "POST", "/v1/auth/token", &form, &token_form(client));
        // Others may have been answered often enough for the kill before this one was here.
        let Some(mut connection) = Connection::open_if_alive(address) else {
            return;
        };
        while !self.over.load(Ordering::Acquire) {
            connection.send(&bytes);
            let Some(reply) = connection.reply_if_whole() else {
                return;
            };
            // A suspended client's callers are refused from then on, and go on being so.
            if reply.status == 200 {
                given.lock().unwrap().push(reply.json()["data"]["access_token"].as_str().unwrap().to_owned());
            } else {
                assert_eq!(reply.code(), "unauthorized_client");
            }
            self.acknowledged.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Suspends a client while the load is on, as an operator's command does.
fn suspend(socket: &Path, client: &Registered) -> Reply {
    let mut stream = UnixStream::connect(socket).unwrap();
    let path = format!("/admin/v1/testing/clients/{}/suspend", client.id);
    write!(stream, "POST {path} HTTP/1.1\r\nhost: fuuffy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    Connection::over_unix(stream).reply().unwrap()
}

fn check<'a>(address: SocketAddr, tokens: impl Iterator<Item = &'a String>, status: u16, round: usize) {
    let mut connection = Connection::open(address);
    for token in tokens {
        connection.send(message(address, "GET", "/v1/orders", &[("authorization", &format!("Bearer {token}"))], ""));
        let reply = connection.reply().unwrap();
        assert_eq!(reply.status, status, "round {round}: {}", reply.text());
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a start takes is what is asked for here")]
fn start() -> Instant {
    Instant::now()
}
