//! The agent in front of a gateway that is reached over TLS: HTTP/2, whatever its callers speak.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use http::Version;

use super::{Agent, agent_command_to, expect_own, lax_gateway};
use crate::app::{Place, Registered, config};
use crate::http1::{Connection, request};
use crate::tls::{Authority, Identity, Terminator};
use crate::upstream::{Act, Upstream, ok};

/// How many callers there are at once.
const CALLERS: usize = 50;

/// An agent, TLS, and what is behind it.
struct Secured {
    folder: tempfile::TempDir,
    identity: Identity,
    tls: Terminator,
    agent: Agent,
}

impl Secured {
    fn start(behind: SocketAddr, client: &Registered, more: &[&str]) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let (ca, identity) = (folder.path().join("ca.pem"), authority.certify("localhost"));
        authority.write_to(&ca);
        let tls = Terminator::start(&identity, behind);
        let mut command = agent_command_to(folder.path(), &tls.base_url(), client);
        let agent = Agent::on_a_port(command.args(more).env("SSL_CERT_FILE", ca));
        agent.until_it_has_a_token();
        Self { folder, identity, tls, agent }
    }

    /// In front of a gateway that grants tokens to anybody.
    fn lax(gateway: &Upstream, more: &[&str]) -> Self {
        Self::start(gateway.address, &Registered { id: "my-id".to_owned(), secret: "my-secret".to_owned() }, more)
    }

    /// The connections that requests came by, all of them by HTTP/2.
    fn connections(&self) -> BTreeSet<usize> {
        let arrivals = self.tls.arrivals();
        assert!(arrivals.iter().all(|arrival| arrival.version == Version::HTTP_2), "{arrivals:?}");
        arrivals.into_iter().map(|arrival| arrival.connection).collect()
    }
}

#[test]
fn many_callers_share_one_connection() {
    // Nobody is answered before all have come.
    let all = Arc::new(Barrier::new(CALLERS));
    let upstream = Upstream::start(move |_, _| {
        all.wait();
        Act::Answer(ok(r#"{"data":[]}"#))
    });
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let secured = Secured::start(server.testing, &place.client("testing"), &[]);
    let agent = secured.agent.address();
    let callers: Vec<_> =
        (0..CALLERS).map(|_| std::thread::spawn(move || request(agent, "GET", "/v1/orders", &[], "").status)).collect();
    assert!(callers.into_iter().all(|caller| caller.join().unwrap() == 200));
    assert_eq!(secured.tls.arrivals().len(), CALLERS + 1, "the calls and the token request");
    assert_eq!((secured.connections().len(), secured.tls.handshakes()), (1, (1, 0)));
}

#[test]
fn large_bodies_pass_both_ways_over_tls() {
    const LARGE: usize = 8 * 1024 * 1024;
    let upstream = Upstream::start(|seen, _| Act::Answer(ok(&"y".repeat(seen.body.len() + 1))));
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let secured = Secured::start(server.testing, &place.client("testing"), &[]);
    let reply = secured.agent.ask("POST", "/v1/orders", &[], &"x".repeat(LARGE));
    assert_eq!((reply.status, reply.body.len(), reply.whole), (200, LARGE + 1, true));
    let seen = upstream.last();
    assert_eq!((seen.body.len(), seen.body.iter().all(|byte| *byte == b'x')), (LARGE, true));
    assert_eq!(seen.field("content-length"), Some(&*LARGE.to_string()));
    assert_eq!(secured.connections().len(), 1);
}

/// Either side gets what the other has sent so far, before there is more.
#[test]
fn bodies_stream_over_tls() {
    let upstream = Upstream::start(|_, _| Act::Echo(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfirst".to_vec()));
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let secured = Secured::start(server.testing, &place.client("testing"), &[]);
    let host = secured.agent.address();
    let mut caller = Connection::open(host);
    caller
        .send(format!("POST /v1/orders HTTP/1.1\r\nhost: {host}\r\nx-early: 1\r\ntransfer-encoding: chunked\r\n\r\n"));
    let until = |caller: &mut Connection, wanted: &str| {
        let mut got = Vec::new();
        while !got.ends_with(wanted.as_bytes()) {
            got.extend(caller.bytes(1));
        }
    };
    until(&mut caller, "first");
    for piece in ["<piece>", "<another piece>"] {
        caller.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        until(&mut caller, piece);
    }
    assert_eq!(secured.connections().len(), 1);
}

#[test]
fn trailers_pass_over_tls() {
    let gateway = lax_gateway(|seen| {
        assert_eq!(seen.field("te"), Some("trailers"));
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n";
        Act::Answer(format!("{head}2\r\nhi\r\n0\r\ngrpc-status: 0\r\n\r\n").into_bytes())
    });
    let secured = Secured::lax(&gateway, &[]);
    let reply = secured.agent.ask("GET", "/v1/orders", &[("te", "trailers")], "");
    assert_eq!(reply.text(), "hi[grpc-status: 0]");
}

#[test]
fn a_server_that_was_started_anew_is_found_again() {
    let gateway = lax_gateway(|_| Act::Answer(ok("{}")));
    let mut secured = Secured::lax(&gateway, &[]);
    for method in ["GET", "PUT", "GET"] {
        assert_eq!(secured.agent.ask(method, "/v1/orders", &[], "").status, 200);
        secured.tls = secured.tls.restart(&secured.identity, gateway.address);
        let reply = secured.agent.ask(method, "/v1/orders", &[], "");
        assert_eq!(reply.status, 200, "{method}: {}", reply.text());
        assert_eq!(secured.tls.handshakes(), (1, 0));
    }
}

/// As with connections in clear: what is idempotent is sent again, and nothing else.
#[test]
fn a_kept_connection_that_ends_over_tls_is_replaced_where_that_is_safe() {
    for with_http2 in [true, false] {
        for (method, status) in [("PUT", 200), ("POST", 502)] {
            let calls = AtomicUsize::new(0);
            let gateway = lax_gateway(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
                1 => Act::AnswerAndClose(Vec::new()),
                _ => Act::Answer(ok("{}")),
            });
            let mut secured = Secured::lax(&gateway, &[]);
            if !with_http2 {
                secured.tls = secured.tls.restart(&secured.identity.without_http2(), gateway.address);
            }
            assert_eq!(secured.agent.get("/v1/orders").status, 200);
            let reply = secured.agent.ask(method, "/v1/orders", &[], "{}");
            assert_eq!(reply.status, status, "{method} {with_http2}: {}", reply.text());
        }
    }
}

#[test]
fn a_certificate_that_holds_no_more_is_told_to_callers() {
    let gateway = lax_gateway(|_| Act::Answer(ok("{}")));
    let mut secured = Secured::lax(&gateway, &[]);
    let identity = secured.identity.clone();
    let foreign = Authority::named("Somebody").certify("localhost");
    secured.tls = secured.tls.restart(&foreign, gateway.address);
    let reply = secured.agent.get("/v1/orders");
    expect_own(&reply, 502, "bad_gateway");
    assert!(reply.text().contains("an authority that this machine does not know"), "{}", reply.text());
    assert_eq!(secured.tls.arrivals(), [], "no token is sent");
    secured.tls = secured.tls.restart(&identity, gateway.address);
    assert_eq!(secured.agent.get("/v1/orders").status, 200, "as soon as it holds again");
    let log = std::fs::read_to_string(secured.folder.path().join("agent-log")).unwrap();
    assert!(!log.contains("my-secret"), "{log}");
}
