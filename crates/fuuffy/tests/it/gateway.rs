//! Proxying: what the upstream gets, what the caller gets back, and what happens when either breaks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use crate::app::{Place, Server, config, config_with, get, token};
use crate::http1::{Connection, Reply, message, request};
use crate::ports::free;
use crate::upstream::{Act, Upstream, ok};

/// A server in front of an upstream, and a token for it.
struct Front {
    _place: Place,
    server: Server,
    bearer: String,
}

impl Front {
    fn before(config: &str) -> Self {
        let place = Place::new(config);
        let server = place.serve();
        let bearer = format!("Bearer {}", token(server.testing, &place.client("testing")));
        Self { _place: place, server, bearer }
    }

    fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Reply {
        let fields = [&[("authorization", self.bearer.as_str())], fields].concat();
        request(self.server.testing, method, target, &fields, body)
    }

    fn connect(&self, head: &str) -> Connection {
        let mut connection = Connection::open(self.server.testing);
        connection.send(format!("{head}host: localhost\r\nauthorization: {}\r\n", self.bearer));
        connection
    }
}

#[test]
fn the_upstream_gets_our_fields_and_never_the_callers() {
    let upstream = Upstream::friendly();
    let front = Front::before(&config(upstream.address));
    let forged = [
        ("x-client-id", "app_admin"),
        ("x_client_id", "app_admin"),
        ("x-client_id", "app_admin"),
        ("x_forwarded_for", "10.0.0.1"),
        ("x_own_field", "kept"),
        ("x-environment", "production"),
        ("x-scopes", "admin"),
        ("x-request-id", "forged"),
        ("forwarded", "for=10.0.0.1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "bank.example"),
        ("connection", "close, x-client-id, x-secret-hop, x-request-id, x-scopes"),
        ("x-secret-hop", "one hop only"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic x"),
        ("te", "gzip"),
        ("host", "localhost"),
        ("x-kept", "end to end"),
    ];
    let reply = front.ask("GET", "/v1/orders?b=2&a=%20", &forged, "");
    expect_ours(&upstream, &reply);
    // The same, without a Connection field that would name them away.
    let plain: Vec<_> =
        forged.into_iter().filter(|(name, _)| !matches!(*name, "connection" | "x-secret-hop")).collect();
    let reply = front.ask("GET", "/v1/orders?b=2&a=%20", &plain, "");
    expect_ours(&upstream, &reply);
}

fn expect_ours(upstream: &Upstream, reply: &Reply) {
    assert_eq!(reply.status, 200);
    let seen = upstream.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/v1/orders?b=2&a=%20"));
    let client = seen.field("x-client-id").unwrap();
    assert!(client.starts_with("app_") && client != "app_admin", "{client}");
    assert_eq!(seen.field("x-environment"), Some("testing"));
    assert_eq!(seen.field("x-scopes"), Some("orders:read orders:write"));
    assert_eq!(seen.field("x-request-id"), reply.field("x-request-id"));
    assert_eq!(seen.field("forwarded"), Some("for=127.0.0.1;proto=http;host=\"localhost\""));
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.field("x-forwarded-host"), Some("localhost"));
    assert_eq!(seen.field("host"), Some(upstream.address.to_string().as_str()));
    assert_eq!(seen.field("x-kept"), Some("end to end"));
    assert_eq!(seen.field("x_own_field"), Some("kept"));
    for lookalike in ["x_client_id", "x-client_id", "x_forwarded_for"] {
        assert_eq!(seen.field(lookalike), None, "CGI reads _ as -");
    }
    for gone in
        ["authorization", "x-secret-hop", "keep-alive", "proxy-connection", "proxy-authorization", "te", "connection"]
    {
        assert_eq!(seen.field(gone), None, "{gone}");
    }
}

/// Behind proxies that terminate TLS, the caller is the last address that no trusted proxy has.
#[test]
fn trusted_proxies_speak_for_their_callers() {
    let upstream = Upstream::friendly();
    let tls = "hosts = [\"*\"]\ntls = \"terminated\"\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]";
    let front = Front::before(&config_with(upstream.address, tls, ""));
    for (said, caller) in [
        ("192.0.2.1", "192.0.2.1"),
        ("1.1.1.1, 192.0.2.1, 10.2.3.4", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1, ::ffff:10.2.3.4", "192.0.2.1"),
        ("10.2.3.4", "127.0.0.1"),
        ("192.0.2.1, nonsense", "127.0.0.1"),
    ] {
        assert_eq!(front.ask("GET", "/v1/orders", &[("x-forwarded-for", said)], "").status, 200);
        let seen = upstream.last();
        assert_eq!(
            (seen.field("x-forwarded-for"), seen.field("x-forwarded-proto")),
            (Some(caller), Some("https")),
            "{said}"
        );
        assert!(seen.field("forwarded").unwrap().contains(caller));
    }
    let place = Place::new(&config_with(upstream.address, &tls.replace("127.0.0.1", "192.0.2.7"), ""));
    let server = place.serve();
    assert!(Connection::open(server.testing).is_closed(), "nobody else is taken");
}

#[test]
fn the_upstreams_answer_is_passed_on_as_it_is() {
    let upstream = Upstream::start(|_, _| {
        Act::Answer(
            b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 5\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nconnection: x-hop\r\nx-hop: gone\r\nx-request-id: forged\r\nx-end: kept\r\n\r\nshort"
                .to_vec(),
        )
    });
    let front = Front::before(&config(upstream.address));
    let reply = front.ask("GET", "/v1/orders/1", &[], "");
    assert_eq!((reply.status, reply.text().as_str()), (418, "short"));
    assert_eq!(reply.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 2);
    assert_eq!((reply.field("x-hop"), reply.field("x-end")), (None, Some("kept")));
    assert_ne!(reply.field("x-request-id"), Some("forged"));
}

#[test]
fn limits_are_told_and_kept() {
    let upstream = Upstream::friendly();
    let front = Front::before(&(config(upstream.address) + "\n[plans.standard]\nlimits = [\"3/min\", \"1000/h\"]\n"));
    let remaining: Vec<Reply> = (0..4).map(|_| front.ask("GET", "/v1/orders", &[], "")).collect();
    let told = |name: &str| remaining.iter().map(|reply| reply.field(name).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(told("x-ratelimit-limit"), ["3", "3", "3", "3"]);
    assert_eq!(told("x-ratelimit-remaining"), ["2", "1", "0", "0"]);
    assert_eq!(told("ratelimit-policy")[0], "\"minute\";q=3;w=60, \"hour\";q=1000;w=3600");
    assert!(told("ratelimit")[0].starts_with("\"minute\";r=2;t="), "{:?}", told("ratelimit"));
    assert_eq!(remaining.iter().map(|reply| reply.status).collect::<Vec<_>>(), [200, 200, 200, 429]);
    let wait: u64 = remaining[3].field("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(upstream.seen().len(), 3, "what is refused never reaches the upstream");
}

#[test]
fn bodies_stream_both_ways() {
    // The upstream sends the first half of its answer; the caller must have it before the second half is sent.
    let half_read = Arc::new(Barrier::new(2));
    let upstream = {
        let half_read = Arc::clone(&half_read);
        Upstream::start(move |seen, _| match seen.target.as_str() {
            "/v1/orders/1" => {
                assert_eq!(seen.field("transfer-encoding"), Some("chunked"));
                assert!(seen.body.windows(5).any(|part| part == b"hello"));
                Act::AnswerAndStall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n".to_vec())
            }
            _ => {
                half_read.wait();
                Act::Answer(ok("{}"))
            }
        })
    };
    let front = Front::before(&config(upstream.address));
    let mut connection = front.connect("POST /v1/orders/1 HTTP/1.1\r\n");
    connection.send("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let head_and_half = connection.bytes(1);
    assert_eq!(head_and_half, b"H");
    drop(connection);
    let waiting = std::thread::spawn(move || half_read.wait());
    assert_eq!(front.ask("GET", "/v1/orders/2", &[], "").status, 200);
    waiting.join().unwrap();
}

#[test]
fn trailers_pass() {
    let upstream = Upstream::start(|seen, _| {
        assert_eq!(seen.field("te"), Some("trailers"));
        Act::Answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n2\r\nhi\r\n0\r\ngrpc-status: 0\r\n\r\n".to_vec())
    });
    let front = Front::before(&config(upstream.address));
    let reply = front.ask("GET", "/v1/orders", &[("te", "trailers"), ("connection", "te")], "");
    assert!(reply.whole);
    assert_eq!(reply.text(), "hi[grpc-status: 0]");
}

#[test]
fn trailers_forge_nothing() {
    let upstream = Upstream::friendly();
    let front = Front::before(&config(upstream.address));
    let mut connection = front.connect("POST /v1/orders HTTP/1.1\r\n");
    connection.send(
        "te: trailers\r\ntrailer: x-client-id, x_scopes, authorization, x-kept\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\
         x-client-id: forged\r\nx_scopes: forged\r\nauthorization: forged\r\nx-kept: 1\r\n\r\n",
    );
    assert_eq!(connection.reply().unwrap().status, 200);
    let body = String::from_utf8(upstream.last().body).unwrap();
    assert!(body.contains("x-kept: 1") && !body.contains("forged"), "{body}");
}

#[test]
fn a_get_may_have_a_body() {
    let upstream = Upstream::friendly();
    let front = Front::before(&config(upstream.address));
    let mut connection = front.connect("GET /v1/orders HTTP/1.1\r\n");
    connection.send("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(connection.reply().unwrap().status, 200);
    assert_eq!(upstream.last().body, b"3\r\nabc\r\n0\r\n\r\n");
}

#[test]
fn nobody_tunnels_or_traces() {
    let upstream = Upstream::friendly();
    let front = Front::before(&config(upstream.address));
    for (method, target) in [("TRACE", "/v1/orders"), ("CONNECT", "http://localhost/v1/orders")] {
        let reply = front.ask(method, target, &[("host", "localhost")], "");
        assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"), "{method}");
        assert_eq!(reply.field("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    assert_eq!(
        front.ask("GET", "/v1/orders;x/7", &[], "").status,
        400,
        "path parameters are read in more than one way"
    );
    assert!(upstream.seen().is_empty());
}

#[test]
fn head_has_no_body_and_the_connection_goes_on() {
    let upstream = Upstream::start(|seen, _| match seen.method.as_str() {
        "HEAD" => Act::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n".to_vec()),
        _ => Act::Answer(ok("{}")),
    });
    let front = Front::before(&config(upstream.address));
    let mut connection = front.connect("HEAD /v1/orders HTTP/1.1\r\n");
    connection.send("\r\n");
    let reply = connection.reply_to(true).unwrap();
    assert_eq!((reply.status, reply.field("content-length")), (200, Some("1234")));
    connection.send(message(front.server.testing, "GET", "/v1/orders", &[("authorization", &front.bearer)], ""));
    assert_eq!(connection.reply().unwrap().status, 200);
}

/// A body that broke off must not look whole, whatever framing the upstream chose.
#[test]
fn a_broken_upstream_body_is_never_ended_as_if_it_were_whole() {
    let upstream = Upstream::start(|seen, _| {
        Act::AnswerAndClose(match seen.target.as_str() {
            "/v1/orders/length" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec(),
            "/v1/orders/chunks" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec(),
            _ => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nnonsense".to_vec(),
        })
    });
    let front = Front::before(&config(upstream.address));
    for target in ["/v1/orders/length", "/v1/orders/chunks", "/v1/orders/nonsense"] {
        let reply = front.ask("GET", target, &[], "");
        assert!(!reply.whole, "{target}: {reply:?}");
    }
}

/// HTTP/1.0 knows no chunks: the end of the connection is the end of the body, unless it is a reset.
#[test]
fn an_older_caller_learns_of_a_broken_body_too() {
    use std::io::{Read as _, Write as _};
    let broken = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let upstream = Upstream::start(|_, _| Act::AnswerAndClose(broken.to_vec()));
    let front = Front::before(&config(upstream.address));
    let mut stream = std::net::TcpStream::connect(front.server.testing).unwrap();
    write!(stream, "GET /v1/orders HTTP/1.0\r\nhost: localhost\r\nauthorization: {}\r\n\r\n", front.bearer).unwrap();
    let ended = stream.read_to_end(&mut Vec::new());
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn an_answer_with_two_lengths_is_none() {
    let two = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let upstream = Upstream::start(|_, _| Act::Answer(two.to_vec()));
    let front = Front::before(&config(upstream.address));
    assert_eq!(front.ask("GET", "/v1/orders", &[], "").code(), "bad_gateway");
}

#[test]
fn a_stalled_upstream_body_breaks_off() {
    let upstream =
        Upstream::start(|_, _| Act::AnswerAndStall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec()));
    let front = Front::before(&config_with(upstream.address, "limits = { body_timeout = \"100ms\" }", ""));
    let reply = front.ask("GET", "/v1/orders", &[], "");
    assert_eq!((reply.whole, reply.text().as_str()), (false, "half"));
}

#[test]
fn a_body_over_the_limit_is_refused_while_it_streams() {
    let upstream = Upstream::friendly();
    let front = Front::before(&config_with(upstream.address, "", "max_body = 10"));
    let mut connection = front.connect("POST /v1/orders HTTP/1.1\r\n");
    connection.send("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n8\r\ntoo much\r\n0\r\n\r\n");
    assert_eq!(connection.reply().unwrap().code(), "payload_too_large");
    assert!(upstream.seen().is_empty(), "the upstream must not see it as whole");
}

#[test]
fn a_caller_that_breaks_off_is_not_a_whole_request_upstream() {
    let upstream = Upstream::friendly();
    let front = Front::before(&config(upstream.address));
    let mut connection = front.connect("POST /v1/orders HTTP/1.1\r\n");
    connection.send("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n");
    drop(connection);
    assert_eq!(front.ask("GET", "/v1/orders/next", &[], "").status, 200);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn websocket_passes_where_the_route_allows_it() {
    let upstream = Upstream::start(|seen, _| {
        assert_eq!((seen.field("connection"), seen.field("upgrade")), (Some("upgrade"), Some("websocket")));
        assert_eq!(seen.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
        Act::Echo(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n".to_vec())
    });
    let front = Front::before(&config_with(upstream.address, "", "websocket = true"));
    let mut connection = front.connect("GET /v1/orders HTTP/1.1\r\n");
    connection.send(
        "connection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let reply = connection.reply().unwrap();
    assert_eq!(
        (reply.status, reply.field("upgrade"), reply.field("connection")),
        (101, Some("websocket"), Some("upgrade"))
    );
    assert_eq!(reply.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    for bytes in [&b"\x81\x05hello"[..], &b"\x00\xff not http \r\n\r\n"[..]] {
        connection.send(bytes);
        assert_eq!(connection.bytes(bytes.len()), bytes);
    }
}

/// A WebSocket may be silent, but not for ever.
#[test]
fn a_silent_websocket_stays_until_its_time_is_over() {
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let upstream = Upstream::start(move |_, _| Act::Echo(switching.to_vec()));
    let limits = "limits = { header_timeout = \"150ms\", idle_timeout = \"700ms\" }";
    let front = Front::before(&config_with(upstream.address, limits, "websocket = true"));
    let mut socket = front.connect("GET /v1/orders HTTP/1.1\r\n");
    socket.send("connection: upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_eq!(socket.reply().unwrap().status, 101);
    for _ in 0..6 {
        // Another caller is let go after the header timeout: so much time has passed.
        assert!(Connection::open(front.server.testing).is_closed());
        assert!(Connection::open(front.server.testing).is_closed());
        socket.send("\x00\r\nnot http");
        assert_eq!(socket.bytes(11), b"\x00\r\nnot http");
    }
    assert!(socket.is_closed(), "idle for too long");
}

/// Whoever asks for another protocol gets an answer in this one; nothing of it reaches the upstream.
#[test]
fn no_other_protocol_is_changed_to() {
    let upstream = Upstream::friendly();
    let front = Front::before(&config_with(upstream.address, "", "websocket = true"));
    for protocol in ["h2c", "TLS/1.0", "websocket, h2c"] {
        let asked = [("connection", "upgrade, http2-settings"), ("upgrade", protocol), ("http2-settings", "AAMAAABk")];
        assert_eq!(front.ask("GET", "/v1/orders", &asked, "").status, 200, "{protocol}");
        for gone in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(upstream.last().field(gone), None, "{protocol}");
        }
    }
    let unasked =
        Upstream::start(|_, _| Act::Answer(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_vec()));
    let front = Front::before(&config(unasked.address));
    assert_eq!(front.ask("GET", "/v1/orders", &[], "").code(), "bad_gateway");
}

/// The wait for an answer begins when the body has stopped moving.
#[test]
fn a_slow_upload_is_not_a_slow_upstream() {
    let limits = "limits = { header_timeout = \"150ms\", body_timeout = \"10s\" }";
    let front = Front::before(&config_with(Upstream::friendly().address, limits, "response_timeout = \"250ms\""));
    let mut connection = front.connect("POST /v1/orders HTTP/1.1\r\n");
    connection.send("content-length: 4\r\n\r\n");
    for byte in ["b", "o", "d", "y"] {
        // Another caller is let go after the header timeout: so much time has passed.
        assert!(Connection::open(front.server.testing).is_closed());
        connection.send(byte);
    }
    assert_eq!(connection.reply().unwrap().status, 200);
}

/// An upstream that answers before it has read the request does not hold up the next one.
#[test]
fn an_early_answer_leaves_nobody_waiting() {
    let upstream = Upstream::friendly();
    let front = Front::before(&config(upstream.address).replace("workers = 2", "workers = 1"));
    let mut stalled = front.connect("POST /v1/orders HTTP/1.1\r\n");
    stalled.send("x-early: 1\r\ncontent-length: 10\r\n\r\n");
    assert_eq!(stalled.reply().unwrap().status, 200);
    assert_eq!(front.ask("GET", "/v1/orders", &[], "").status, 200);
    drop(stalled);
}

#[test]
fn a_reused_connection_that_died_is_retried_only_where_that_is_safe() {
    // Each connection serves one request and then dies on the next, before any answer.
    let upstream = Upstream::start(|_, before| match before {
        1 => Act::AnswerAndClose(Vec::new()),
        3 => Act::AnswerAndClose(Vec::new()),
        _ => Act::Answer(ok("{}")),
    });
    let front = Front::before(&config(upstream.address).replace("workers = 2", "workers = 1"));
    assert_eq!(front.ask("GET", "/v1/orders", &[], "").status, 200);
    assert_eq!(front.ask("GET", "/v1/orders", &[], "").status, 200, "idempotent without a body: sent once more");
    assert_eq!(upstream.seen().len(), 3);
    assert_eq!(front.ask("POST", "/v1/orders", &[], "{}").status, 502, "a POST may have been done");
    assert_eq!(upstream.seen().len(), 4);
}

#[test]
fn an_unused_upstream_connection_is_closed() {
    let upstream = Upstream::friendly();
    let front = Front::before(&config_with(upstream.address, "", "idle_timeout = \"100ms\""));
    for _ in 0..2 {
        assert_eq!(front.ask("GET", "/v1/orders", &[], "").status, 200);
        upstream.wait_for_close();
    }
}

#[test]
fn a_dead_upstream_is_passed_over() {
    let (calls, living) = (Arc::new(AtomicUsize::new(0)), Upstream::friendly());
    let dead = free();
    let both = config(living.address).replace("upstreams = [", &format!("upstreams = [\"http://{dead}\", "));
    let front = Front::before(&both);
    for _ in 0..20 {
        assert_eq!(
            front.ask("POST", "/v1/orders", &[], "{}").status,
            200,
            "a request that was never sent goes elsewhere"
        );
        calls.fetch_add(1, Ordering::Relaxed);
    }
    assert_eq!(living.seen().len(), calls.load(Ordering::Relaxed));
    let only = Front::before(&config(dead));
    assert_eq!(only.ask("GET", "/v1/orders", &[], "").code(), "bad_gateway");
}

#[test]
fn requests_are_spread_by_load() {
    let (entered, leave) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(3)));
    let slow = || {
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        Upstream::start(move |_, _| {
            entered.wait();
            leave.wait();
            Act::Answer(ok("{}"))
        })
    };
    let (one, other) = (slow(), slow());
    let both = config(one.address)
        .replace("upstreams = [", &format!("upstreams = [\"http://{}\", ", other.address))
        .replace("workers = 2", "workers = 1");
    let front = Front::before(&both);
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..2).map(|_| scope.spawn(|| front.ask("GET", "/v1/orders", &[], "").status)).collect();
        entered.wait();
        assert_eq!((one.seen().len(), other.seen().len()), (1, 1));
        leave.wait();
        assert!(asking.into_iter().all(|asked| asked.join().unwrap() == 200));
    });
}

#[test]
fn the_longest_prefix_decides_and_a_route_without_scopes_takes_any_token() {
    let (orders, special) = (Upstream::friendly(), Upstream::friendly());
    let more = format!(
        "[[environments.testing.routes]]\nprefix = \"/v1/orders/special\"\nupstreams = [\"http://{}\"]\n",
        special.address
    );
    let place = Place::new(&(config(orders.address) + &more));
    let server = place.serve();
    let token = token(server.testing, &place.client_with("testing", &[]));
    assert_eq!(get(server.testing, "/v1/orders/special/7", &token).status, 200);
    assert_eq!(get(server.testing, "/v1/orders/specials", &token).code(), "insufficient_scope");
    assert_eq!(get(server.testing, "/v1/ordersspecial", &token).code(), "not_found");
    assert_eq!((orders.seen().len(), special.seen().len()), (0, 1));
}
