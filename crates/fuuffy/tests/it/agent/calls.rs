//! A call through the agent: what goes along, what is repeated, and what is said where there is no answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Agent, Front, agent_command, behind, expect_own, lax_gateway};
use crate::app::Registered;
use crate::http1::{Connection, Reply};
use crate::upstream::{Act, Upstream, ok};

#[test]
fn a_caller_needs_no_credentials() {
    let front = Front::start(Upstream::friendly());
    let reply = front.agent.get("/v1/orders?page=2");
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"data":[]}"#));
    assert_eq!(reply.field("x-ratelimit-limit"), Some("100"));
    assert!(reply.field("x-request-id").is_some() && reply.field("x-fuuffy-agent").is_none());
    let seen = front.upstream.last();
    assert_eq!((seen.target.as_str(), seen.field("x-client-id")), ("/v1/orders?page=2", Some(&*front.client.id)));
    assert_eq!(seen.field("via"), Some("1.1 fuuffy-agent"));

    let posted = front.agent.ask("POST", "/v1/orders", &[("authorization", "Bearer mine")], r#"{"a":1}"#);
    assert_eq!(posted.status, 200, "the caller's own Authorization is dropped: {}", posted.text());
    assert_eq!(front.upstream.last().body, br#"{"a":1}"#);
    let missing = front.agent.get("/v1/nothing");
    assert_eq!((missing.status, missing.code().as_str()), (404, "not_found"));
    assert!(missing.field("x-fuuffy-agent").is_none(), "an answer of the API's");
}

#[test]
fn a_token_that_is_revoked_meanwhile_is_replaced_unseen() {
    let front = Front::start(Upstream::friendly());
    for method in ["GET", "POST"] {
        assert_eq!(front.agent.ask(method, "/v1/orders", &[], "{}").status, 200);
        for deed in ["suspend", "resume"] {
            front.place.done(&["clients", deed, "--environment", "testing", &front.client.id]);
        }
        let reply = front.agent.ask(method, "/v1/orders", &[], r#"{"again":true}"#);
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(front.upstream.last().body, br#"{"again":true}"#);
    }
    let metrics = front.agent.get("/-/metrics").text();
    assert!(metrics.contains("fuuffy_agent_retries_total{reason=\"token_refused\"} 2"), "{metrics}");
    assert!(metrics.contains("fuuffy_agent_token_requests_total{outcome=\"granted\"} 3"), "{metrics}");
    assert!(metrics.contains("fuuffy_agent_requests_total{class=\"2xx\"} 4"), "{metrics}");
}

#[test]
fn large_bodies_pass_both_ways() {
    const LARGE: usize = 8 * 1024 * 1024;
    let upstream = Upstream::start(|seen, _| Act::Answer(ok(&"y".repeat(seen.body.len() + 1))));
    let front = Front::start(upstream);
    let reply = front.agent.ask("POST", "/v1/orders", &[], &"x".repeat(LARGE));
    assert_eq!((reply.status, reply.body.len(), reply.whole), (200, LARGE + 1, true));
    assert!(reply.body.iter().all(|byte| *byte == b'y'));
    let seen = front.upstream.last();
    assert_eq!((seen.body.len(), seen.field("content-length")), (LARGE, Some(&*LARGE.to_string())));
}

/// Either side gets what the other has sent so far, before there is more.
#[test]
fn bodies_stream() {
    let upstream = Upstream::start(|seen, _| {
        assert_eq!(seen.field("transfer-encoding"), Some("chunked"));
        Act::Echo(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nfirst".to_vec())
    });
    let front = Front::start(upstream);
    let mut caller = Connection::open(front.agent.address());
    let host = front.agent.address();
    caller
        .send(format!("POST /v1/orders HTTP/1.1\r\nhost: {host}\r\nx-early: 1\r\ntransfer-encoding: chunked\r\n\r\n"));
    let until = |caller: &mut Connection, wanted: &str| {
        let mut got = Vec::new();
        while !got.ends_with(wanted.as_bytes()) {
            got.extend(caller.bytes(1));
        }
    };
    until(&mut caller, "first");
    caller.send("7\r\n<piece>\r\n");
    until(&mut caller, "<piece>");
    caller.send("8\r\n<piece2>\r\n");
    until(&mut caller, "<piece2>");
}

#[test]
fn trailers_pass() {
    let gateway = lax_gateway(|seen| {
        assert_eq!((seen.field("te"), seen.field("connection")), (Some("trailers"), None));
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n";
        Act::Answer(format!("{head}2\r\nhi\r\n0\r\ngrpc-status: 0\r\n\r\n").into_bytes())
    });
    let (_folder, agent) = behind(&gateway, &[]);
    let reply =
        agent.ask("GET", "/v1/orders", &[("te", "trailers"), ("connection", "te, x-mine"), ("x-mine", "1")], "");
    assert_eq!(reply.text(), "hi[grpc-status: 0]");
    assert_eq!(gateway.last().field("x-mine"), None, "a field of one hop");
}

#[test]
fn failures_are_told_apart() {
    let gateway = lax_gateway(|seen| match seen.target.as_str() {
        "/v1/broken" => Act::AnswerAndClose(Vec::new()),
        "/v1/slow" => Act::Silence,
        "/v1/busy" => Act::Answer(b"HTTP/1.1 503 Busy\r\nretry-after: 100\r\ncontent-length: 0\r\n\r\n".to_vec()),
        _ => Act::Answer(b"HTTP/1.1 429 Slow\r\nretry-after: 200\r\ncontent-length: 0\r\n\r\n".to_vec()),
    });
    let (_folder, agent) = behind(&gateway, &["--timeout", "1", "--patience", "5"]);
    let broken = agent.ask("POST", "/v1/broken", &[], "{}");
    expect_own(&broken, 502, "bad_gateway");
    assert!(broken.text().contains("broke off") && broken.field("retry-after").is_none(), "{}", broken.text());
    expect_own(&agent.get("/v1/slow"), 504, "gateway_timeout");
    let within = |reply: &Reply, least: u64| {
        let wait: u64 = reply.field("retry-after").unwrap().parse().unwrap();
        assert!((least..=least + 20).contains(&wait), "{wait}");
    };
    // The API's own answer first; then it is spared.
    for (path, status, code, least) in
        [("/v1/busy", 503, "service_unavailable", 99), ("/v1/limited", 429, "rate_limit_exceeded", 199)]
    {
        let first = agent.get(path);
        assert_eq!((first.status, first.field("x-fuuffy-agent")), (status, None));
        let second = agent.get(path);
        expect_own(&second, status, code);
        within(&second, least);
    }
    assert_eq!(gateway.seen().iter().filter(|seen| seen.target == "/v1/busy").count(), 1);
}

#[test]
fn calls_slow_down_before_they_are_refused_if_asked_to() {
    let gateway = lax_gateway(|_| {
        let standing = "ratelimit: \"minute\";r=0;t=100\r\nratelimit-policy: \"minute\";q=100;w=100";
        Act::Answer(format!("HTTP/1.1 200 OK\r\n{standing}\r\ncontent-length: 0\r\n\r\n").into_bytes())
    });
    for (arguments, status) in [(&["--patience", "0"][..], 200), (&["--patience", "0", "--paced"], 429)] {
        let (_folder, agent) = behind(&gateway, arguments);
        assert_eq!(agent.get("/v1/orders").status, 200);
        assert_eq!(agent.get("/v1/orders").status, status, "{arguments:?}");
    }
}

#[test]
fn wrong_credentials_are_told_with_what_to_do() {
    let front = Front::start(Upstream::friendly());
    let stranger = Registered { secret: "fsk_test_notthesecret".to_owned(), ..front.client.clone() };
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::on_a_port(&mut agent_command(folder.path(), front.server.testing, &stranger));
    let reply = agent.get("/v1/orders");
    expect_own(&reply, 502, "bad_gateway");
    let text = reply.text();
    assert!(text.contains("invalid_client") && text.contains("Check the base URL, the id, the secret"), "{text}");
    assert!(!text.contains("notthesecret"));
    assert_eq!(agent.get("/-/health").status, 503);
}

#[test]
fn a_connection_that_died_in_the_pool_is_no_failure() {
    let gateway = lax_gateway(|_| Act::AnswerAndClose(ok("{}")));
    let (_folder, agent) = behind(&gateway, &[]);
    for _ in 0..5 {
        assert_eq!(agent.get("/v1/orders").status, 200);
    }
}

/// A server that closes with bytes unread resets the connection; one that has read all ends it.
#[test]
fn a_kept_connection_that_ends_or_is_reset_is_replaced_where_that_is_safe() {
    for body in [String::new(), "x".repeat(60_000)] {
        for (method, status) in [("PUT", 200), ("POST", 502)] {
            let calls = AtomicUsize::new(0);
            let gateway = lax_gateway(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
                1 => Act::AnswerAndClose(Vec::new()),
                _ => Act::Answer(ok("{}")),
            });
            let (_folder, agent) = behind(&gateway, &[]);
            assert_eq!(agent.get("/v1/orders").status, 200);
            let reply = agent.ask(method, "/v1/orders", &[("x-early", "1")], &body);
            assert_eq!(reply.status, status, "{method} {}: {}", body.len(), reply.text());
        }
    }
}
