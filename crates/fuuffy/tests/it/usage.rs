//! What clients used: everything is counted, once, by client, route and time; over kills, restarts and reloads; and
//! told to operators and to each client its own.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::app::{BINARY, Place, Registered, Server, StopsAll, ask_for_token, config, get, token};
use crate::http1::{Reply, request};
use crate::timed::Timed;
use crate::upstream::{Act, Upstream, ok};

/// Within this the last second is handed over, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(20);
const UNLIMITED: &str = "\n[plans.standard]\nlimits = [\"1000000000/min\"]\n";

fn served(more: &str) -> (Place, Server) {
    let place = Place::new(&(config(Upstream::friendly().address) + more));
    let server = place.serve();
    (place, server)
}

fn usage(place: &Place, more: &[&str]) -> Vec<Value> {
    let rows = place.done(&[&["usage", "--environment", "testing"], more].concat());
    rows.as_array().unwrap().clone()
}

/// A client's requests of a route.
fn of_route<'a>(rows: &'a [Value], route: &str) -> &'a Value {
    rows.iter().find(|row| row["route"] == route).unwrap_or_else(|| panic!("{route}: {rows:?}"))
}

fn post(server: &Server, token: &str, body: &str) -> Reply {
    request(server.testing, "POST", "/v1/orders", &[("authorization", &format!("Bearer {token}"))], body)
}

#[test]
fn requests_are_counted_by_client_route_and_class() {
    let (place, server) = served("");
    let (busy, idle) = (place.client("testing"), place.client("testing"));
    let reader = place.client_with("testing", &["--scope", "orders:read"]);
    let held = token(server.testing, &busy);
    for _ in 0..3 {
        assert_eq!(get(server.testing, "/v1/orders", &held).status, 200);
    }
    let answered = post(&server, &held, "0123456789").body.len();
    assert_eq!(get(server.testing, "/v1/nowhere", &held).status, 404);
    let read = token(server.testing, &reader);
    assert_eq!(post(&server, &read, "x").status, 403);
    assert_eq!(ask_for_token(server.testing, &Registered { secret: "wrong".to_owned(), ..busy.clone() }).status, 401);
    assert_eq!(get(server.testing, "/v1/orders", "sk-00000000000000000000000000000000").status, 401);

    let by_client = usage(&place, &[]);
    let row = |client: &Registered| by_client.iter().find(|row| row["client_id"] == client.id.as_str());
    assert_eq!(by_client.len(), 2, "nobody is charged with what nobody proved: {by_client:?}");
    assert!(row(&idle).is_none());
    let of_busy = row(&busy).unwrap();
    assert_eq!((&of_busy["requests"], &of_busy["2xx"], &of_busy["4xx"]), (&6.into(), &5.into(), &1.into()));
    assert_eq!((&of_busy["not_found"], &of_busy["name"]), (&1.into(), &"Acme".into()));
    assert_eq!((&row(&reader).unwrap()["forbidden"], &row(&reader).unwrap()["requests"]), (&1.into(), &2.into()));

    let by_route = usage(&place, &["--client", &busy.id, "--by", "route"]);
    let orders = of_route(&by_route, "/v1/orders");
    assert_eq!((&orders["requests"], &orders["bytes_in"]), (&4.into(), &10.into()));
    assert!(orders["bytes_out"].as_u64().unwrap() >= answered as u64 && orders["p95_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(of_route(&by_route, "/v1/auth/token")["requests"], 1);
    for by in ["minute", "hour", "day"] {
        let rows = usage(&place, &["--by", by]);
        let sum: u64 = rows.iter().map(|row| row["requests"].as_u64().unwrap()).sum();
        assert_eq!(sum, 8, "by {by}");
    }
    assert!(place.done(&["usage", "--environment", "production"]).as_array().unwrap().is_empty());
}

/// On a terminal, which `script` is, each client's last day is drawn; by the hour there is a bar anywhere.
#[test]
fn a_day_is_drawn() {
    let (place, server) = served(UNLIMITED);
    let client = place.client("testing");
    token(server.testing, &client);
    let by_client = format!("{BINARY} usage --environment testing --config {}", place.config_file().display());
    let mut on_a_terminal = Command::new("script");
    on_a_terminal.args(["-qec", &by_client, "/dev/null"]).env_clear().stdin(Stdio::null());
    let drawn = String::from_utf8(on_a_terminal.output().unwrap().stdout).unwrap();
    assert!(drawn.lines().any(|line| line.contains(&client.id) && line.contains('█')), "{drawn}");
    let piped = place.command(&["usage", "--environment", "testing"]).stdout;
    let piped = String::from_utf8(piped).unwrap();
    assert!(piped.contains(&client.id) && !piped.contains('█'), "{piped}");

    let mut timed = Timed::start(UNLIMITED);
    for requests in [1, 8, 0, 4] {
        (0..requests).for_each(|_| drop(ask_for_token(timed.testing(), &timed.client)));
        timed.time.pass(Duration::from_secs(3600));
    }
    timed.stop();
    let by_hour = ["usage", "--environment", "testing", "--by", "hour", "--since", "2027-01-15T00:00:00Z"];
    let by_hour = String::from_utf8(timed.left_behind().command(&by_hour).stdout).unwrap();
    let bars: Vec<&str> = by_hour.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(bars[1..], ["▁", "█", "▄"], "{by_hour}");
}

#[test]
fn a_limit_and_a_failing_api_are_told_apart() {
    let upstream = Upstream::start(|seen, _| {
        if seen.target.ends_with("broken") { Act::AnswerAndClose(Vec::new()) } else { Act::Answer(ok("{}")) }
    });
    let place = Place::new(&(config(upstream.address) + "\n[plans.standard]\nlimits = [\"3/h\"]\n"));
    let server = place.serve();
    let held = token(server.testing, &place.client("testing"));
    assert_eq!(get(server.testing, "/v1/orders/broken", &held).status, 502);
    for status in [200, 200, 429, 429] {
        assert_eq!(get(server.testing, "/v1/orders", &held).status, status);
    }
    let rows = usage(&place, &["--by", "route"]);
    let orders = of_route(&rows, "/v1/orders");
    let told: Vec<_> =
        ["requests", "2xx", "limited", "failed", "5xx"].iter().map(|it| orders[it].as_u64().unwrap()).collect();
    assert_eq!(told, [5, 2, 2, 1, 1]);
}

#[test]
fn a_stop_loses_nothing_and_a_client_sees_its_own_alone() {
    let (place, server) = served("");
    let (one, other) = (place.client("testing"), place.client("testing"));
    for client in [&one, &other] {
        assert_eq!(get(server.testing, "/v1/orders", &token(server.testing, client)).status, 200);
    }
    assert!(server.stop().success());
    assert_eq!(usage(&place, &["--client", &one.id])[0]["requests"], 2, "without a server");
    let server = place.serve();
    let held = token(server.testing, &one);
    let own = get(server.testing, "/v1/auth/usage?by=route", &held).json();
    assert_eq!(of_route(own["data"].as_array().unwrap(), "/v1/orders")["requests"], 1);
    assert_eq!(own["pagination"]["total"], 2);
    let foreign = get(server.testing, &format!("/v1/auth/usage?client_id={}", other.id), &held);
    assert_eq!((foreign.status, foreign.code().as_str()), (404, "not_found"));
    assert_eq!(get(server.testing, "/v1/auth/usage?since=1h&until=2h", &held).json()["pagination"]["total"], 0);
    for query in ["by=week", "since=soon", "page=0", "colour=red"] {
        let refused = get(server.testing, &format!("/v1/auth/usage?{query}"), &held);
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_request"), "{query}");
    }
    assert_eq!(request(server.testing, "GET", "/v1/auth/usage", &[], "").code(), "missing_token");

    let typed = |arguments: &[&str]| {
        let ran = Command::new(BINARY)
            .args(arguments)
            .env_clear()
            .env("FUUFFY_CLIENT_ID", &one.id)
            .env("FUUFFY_CLIENT_SECRET", &one.secret)
            .env("FUUFFY_BASE_URL", format!("http://{}/v1", server.testing))
            .current_dir(place.path("data"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    let rows: Value = serde_json::from_str(&typed(&["usage", "--json"])).unwrap();
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["client_id"]), (1, &one.id.as_str().into()));
    let csv = typed(&["usage", "--by", "route", "--csv"]);
    assert!(csv.starts_with("route,requests,1xx,2xx,") && csv.contains("\n/v1/orders,1,0,1,"), "{csv}");
    assert!(typed(&["usage"]).contains("client_id"));
}

/// Whatever was answered a second before the kill is there after it, and nothing twice.
#[test]
fn a_kill_loses_a_second_at_most_and_never_counts_twice() {
    let (place, mut server) = served(UNLIMITED);
    let client = place.client("testing");
    let (mut answered, mut kept) = (0, 0);
    for round in 0..4 {
        let held = token(server.testing, &client);
        answered += 1;
        for _ in 0..50 {
            assert_eq!(get(server.testing, "/v1/orders", &held).status, 200);
            answered += 1;
        }
        // The last ones may not have been counted yet when their callers had the answer.
        let (mut told, begun) = (answered - 2, Instant::now());
        if round % 2 == 0 {
            // Until something was handed over; each second has its row, for calls go on.
            let journal = || {
                let file = rusqlite::Connection::open(place.path("data/testing.usage.sqlite3")).unwrap();
                file.query_row("SELECT count(*) FROM journal", [], |row| row.get::<_, i64>(0)).unwrap()
            };
            let before = journal();
            while journal() == before {
                assert_eq!(get(server.testing, "/v1/orders", &held).status, 200);
                answered += 1;
            }
            assert!(begun.elapsed() < PATIENCE);
        } else {
            told = kept;
        }
        server.kill();
        server = place.serve();
        let rows = usage(&place, &[]);
        let now = rows.first().map_or(0, |row| row["requests"].as_u64().unwrap());
        // What was answered before the row was begun is in it, or in one before.
        assert!(now >= kept.max(told) && now <= answered, "round {round}: {now} of {answered}");
        kept = now;
    }
    let last = usage(&place, &[])[0]["requests"].as_u64().unwrap();
    assert_eq!(last, kept, "reading counts nothing");
}

/// Under load, with usage read and routes reloaded all the while.
#[test]
fn every_request_of_a_storm_is_counted_once() {
    let (place, server) = served(UNLIMITED);
    let clients: Vec<Registered> = (0..4).map(|_| place.client("testing")).collect();
    let (stopped, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let stops = StopsAll(&stopped);
        let callers: Vec<_> = clients
            .iter()
            .map(|client| {
                scope.spawn(|| {
                    let held = token(server.testing, client);
                    calls.fetch_add(1, Ordering::Relaxed);
                    while !stopped.load(Ordering::Relaxed) {
                        assert_eq!(post(&server, &held, "12345").status, 200);
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for round in 1..=5 {
            while calls.load(Ordering::Relaxed) < round * 200 {
                assert!(!callers.iter().any(std::thread::ScopedJoinHandle::is_finished));
                std::thread::yield_now();
            }
            usage(&place, &[]);
            server.signal("HUP");
        }
        drop(stops);
    });
    let rows = usage(&place, &[]);
    let sum = |member: &str| rows.iter().map(|row| row[member].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("requests"), sum("2xx")), (calls.load(Ordering::Relaxed), calls.load(Ordering::Relaxed)));
    assert_eq!(sum("bytes_in"), 5 * (calls.load(Ordering::Relaxed) - 4));
    assert!(server.stop().success());
    assert_eq!(usage(&place, &[]).iter().map(|row| row["requests"].as_u64().unwrap()).sum::<u64>(), calls.into_inner());
}

#[test]
fn a_backup_has_it_and_a_restore_brings_it_back() {
    let (place, server) = served("");
    let client = place.client("testing");
    assert_eq!(get(server.testing, "/v1/orders", &token(server.testing, &client)).status, 200);
    let before = usage(&place, &["--by", "route"]);
    let backup = place.path("backup.tar");
    place.done(&["backup", "--to", backup.to_str().unwrap()]);
    assert_eq!(get(server.testing, "/v1/orders", &token(server.testing, &client)).status, 200);
    assert!(server.stop().success());
    place.done(&["restore", "--from", backup.to_str().unwrap(), "--replace"]);
    assert_eq!(usage(&place, &["--by", "route"]), before);
}

/// What a client usually does is learned from its minutes, and kept over a restart.
#[test]
fn what_is_usual_of_a_client_is_kept() {
    let mut timed = Timed::start("");
    let known = |timed: &Timed| {
        let file = rusqlite::Connection::open(timed.file("testing.usage.sqlite3")).unwrap();
        file.query_row("SELECT count(*), max(length(bytes)) FROM known", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or(0)))
        })
        .unwrap()
    };
    let held = timed.token();
    assert!(timed.accepts(&held));
    timed.time.pass(Duration::from_secs(60));
    timed.pass_minute();
    let (clients, bytes) = known(&timed);
    // The client's and the environment's.
    assert!(clients == 2 && (1..1200).contains(&bytes), "{clients} histories, {bytes} bytes");
    timed.restart();
    timed.time.pass(Duration::from_secs(60));
    timed.pass_minute();
    timed.stop();
    assert_eq!(known(&timed).0, 2);
}
