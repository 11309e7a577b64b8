//! Floods of wrong secrets and of random tokens: whoever has the right one notices nothing, and the store neither.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fuuffy_domain::{Entropy as _, SeededEntropy};
use fuuffy_protocol::{ClientSecret, SecretKind};
use socket2::{Domain, Socket, Type};
use tokio::time::Instant;

use crate::app::{Place, Registered, ask_for_token, config, get, token, token_form};
use crate::faults::Shim;
use crate::http1::{Connection, message};
use crate::upstream::Upstream;

/// A connection from another address of this machine.
fn connection_from(source: Ipv4Addr, to: SocketAddr) -> Connection {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    Connection::over_tcp(socket.into())
}

/// Sends well-formed wrong secrets for a client; answers how many were refused with 401 and with 429.
fn storm(address: SocketAddr, victim: &Registered, number: u8, count: usize) -> [usize; 2] {
    let mut connection = connection_from(Ipv4Addr::new(127, 1, number, 1), address);
    let entropy = SeededEntropy::new(u64::from(number));
    let mut refused = [0, 0];
    for _ in 0..count {
        let mut random = [0; 32];
        entropy.fill(&mut random).unwrap();
        let wrong = ClientSecret::from_random(SecretKind::Testing, &mut random);
        let form = token_form(&Registered { id: victim.id.clone(), secret: wrong.reveal().to_owned() });
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        connection.send(message(address, "POST", "/v1/auth/token", &kind, &form));
        match connection.reply().unwrap().status {
            401 => refused[0] += 1,
            429 => refused[1] += 1,
            other => panic!("a wrong secret was answered with {other}"),
        }
    }
    refused
}

#[test]
fn a_storm_from_everywhere_refuses_nobody_who_has_the_right_secret() {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    let victim = place.client("testing");
    let (address, victim, left) = (server.testing, &victim, &AtomicUsize::new(8));
    let (mut granted, begun) = (0, Instant::now());
    std::thread::scope(|scope| {
        let attackers = (0..8).map(|number| {
            // Half of them from one address.
            let number = number.max(4);
            scope.spawn(move || {
                let refused = storm(address, victim, number, 500);
                left.fetch_sub(1, Ordering::Relaxed);
                refused
            })
        });
        let attackers: Vec<_> = attackers.collect();
        while left.load(Ordering::Relaxed) > 0 {
            assert_eq!(ask_for_token(address, victim).status, 200);
            granted += 1;
        }
        let refused = attackers.into_iter().map(|it| it.join().unwrap());
        let [unauthorized, limited] = refused.fold([0, 0], |[a, b], [c, d]| [a + c, b + d]);
        assert_eq!(unauthorized + limited, 4000);
        let turns = Duration::from_millis(limited as u64 - 1);
        assert!(begun.elapsed() >= turns, "each of {limited} has its turn: {:?}", begun.elapsed());
        assert!(unauthorized <= 300 + 8, "300 for the client, and those under way: {unauthorized}");
    });
    assert!(granted > 0);
    // Right after it, too, and through the very connection that it came by.
    let mut beside = connection_from(Ipv4Addr::new(127, 1, 4, 1), address);
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    beside.send(message(address, "POST", "/v1/auth/token", &kind, &token_form(victim)));
    assert_eq!(beside.reply().unwrap().status, 200);
    assert!(server.stop().success());
}

#[test]
fn random_tokens_never_reach_the_store() {
    let (shim, place) = (Shim::build(), Place::new(&config(Upstream::friendly().address)));
    let server = shim.serve(&place);
    let client = place.client("testing");
    let good = token(server.testing, &client);
    std::fs::write(place.path("fault.unread"), "").unwrap();
    let asked = place.command(&["audit", "list", "--environment", "testing"]);
    assert!(!asked.status.success(), "whoever reads the store fails now");
    let (mut connection, entropy) = (Connection::open(server.testing), SeededEntropy::new(1));
    for _ in 0..1000 {
        let mut random = [0; 16];
        entropy.fill(&mut random).unwrap();
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let bearer = format!("Bearer sk-{token}");
        connection.send(message(server.testing, "GET", "/v1/orders", &[("authorization", &bearer)], ""));
        assert_eq!(connection.reply().unwrap().status, 401);
    }
    assert_eq!(get(server.testing, "/v1/orders", &good).status, 200);
    std::fs::remove_file(place.path("fault.unread")).unwrap();
    assert!(place.command(&["audit", "list", "--environment", "testing"]).status.success());
    assert!(server.stop().success());
}
