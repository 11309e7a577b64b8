//! `fuuffy drill` as an integrator types it, against a real server.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use fuuffy_client::{Client, Event, Reason};
use serde_json::{Value, json};

use crate::app::{BINARY, Place, Registered, Server, config, get, token};
use crate::upstream::Upstream;

/// A program that gets its orders by the bare protocol, and begins anew with another token so many times.
const PROGRAM: &str = r#"
place=${FUUFFY_BASE_URL#http://}; place=${place%/v1}
ask() {
  exec 3<>"/dev/tcp/${place%:*}/${place#*:}" || exit 9
  printf '%s %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n%s\r\ncontent-length: %d\r\n\r\n%s' \
    "$1" "$2" "$place" "$3" "${#4}" "$4" >&3
  answer=$(cat <&3)
  exec 3>&-
}
for try in $(seq "$TRIES"); do
  ask POST /v1/auth/token 'content-type: application/x-www-form-urlencoded' \
    "grant_type=client_credentials&client_id=$FUUFFY_CLIENT_ID&client_secret=$FUUFFY_CLIENT_SECRET"
  case $answer in *'"access_token":"'*) ;; *) continue ;; esac
  token=${answer#*'"access_token":"'}; token=${token%%'"'*}
  ask GET /v1/orders "authorization: Bearer $token" ''
  case $answer in 'HTTP/1.1 200'*) echo 'the orders are here'; exit 0 ;; esac
done
exit 1
"#;

/// A server, one of its clients, and the folder that both are in.
struct Bench {
    place: Place,
    server: Server,
    client: Registered,
}

impl Bench {
    fn set_up() -> Self {
        let place = Place::new(&config(Upstream::friendly().address));
        let client = place.client("testing");
        let server = place.serve();
        Self { place, server, client }
    }

    fn base_url(address: SocketAddr) -> String {
        format!("http://{address}/v1")
    }

    fn drill(&self, arguments: &[&str]) -> Output {
        self.prepare(arguments).output().unwrap()
    }

    fn prepare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .arg("drill")
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.place.path("home"))
            .env("FUUFFY_CLIENT_ID", &self.client.id)
            .env("FUUFFY_CLIENT_SECRET", &self.client.secret)
            .env("FUUFFY_BASE_URL", Self::base_url(self.server.testing))
            .stdin(Stdio::null());
        command
    }

    /// The report of all drills, and the exit status.
    fn report(&self, arguments: &[&str], tries: &str) -> (Value, Option<i32>) {
        let output =
            self.prepare(&[&["--all", "--json", "--delay", "20ms"], arguments].concat()).env("TRIES", tries).output();
        let output = output.unwrap();
        let report = serde_json::from_slice(&output.stdout);
        (report.unwrap_or_else(|_| panic!("{}", text(&output.stderr))), output.status.code())
    }

    /// What the client's next request meets.
    fn pending(&self) -> Value {
        get(self.server.testing, "/v1/auth/drills", &token(self.server.testing, &self.client)).json()["data"].clone()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn column<'a>(report: &'a Value, member: &str) -> Vec<&'a Value> {
    report["drills"].as_array().unwrap().iter().map(|round| &round[member]).collect()
}

#[test]
fn a_drill_is_set_told_and_ended() {
    let bench = Bench::set_up();
    let set = bench.drill(&["expired", "--requests", "3"]);
    assert!(set.status.success(), "{}", text(&set.stderr));
    assert!(text(&set.stdout).starts_with("expired  3 requests left, until 20"), "{}", text(&set.stdout));
    let words = text(&set.stderr);
    for told in ["the next 3 requests", "(401)", "X-Fuuffy-Drill: expired", "lapses at 20", "fuuffy drill --end"] {
        assert!(words.contains(told), "{told}: {words}");
    }
    let status = bench.drill(&["--status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["drill"], &status["requests_left"]), (&json!("expired"), &json!(3)));
    assert_eq!(text(&bench.drill(&["--end"]).stdout), "no drill is pending\n");
    assert_eq!(bench.pending(), Value::Null);
    let slow: Value = serde_json::from_slice(&bench.drill(&["slow", "--delay", "1500ms", "--json"]).stdout).unwrap();
    assert_eq!((&slow["delay_ms"], &slow["requests_left"]), (&json!(1500), &json!(1)));
    assert_eq!(bench.pending(), slow);
}

#[test]
fn production_is_refused_before_anything_is_sent() {
    let bench = Bench::set_up();
    for arguments in [&["expired"][..], &["--all"], &["--status"], &["--end"]] {
        // Nothing listens there, and there is no secret: whatever was sent would fail otherwise.
        let output = bench
            .prepare(arguments)
            .args(["--environment", "production"])
            .env("FUUFFY_BASE_URL", "http://127.0.0.1:1/v1")
            .env_remove("FUUFFY_CLIENT_SECRET")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("no drills in production; nothing was sent"));
    }
    let client = bench.place.client("production");
    let output = bench
        .prepare(&["expired"])
        .env("FUUFFY_BASE_URL", Bench::base_url(bench.server.production))
        .env("FUUFFY_CLIENT_ID", client.id)
        .env("FUUFFY_CLIENT_SECRET", client.secret)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("has no drills; is it the testing environment's?"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn wrong_usage_is_2() {
    let bench = Bench::set_up();
    for arguments in [
        &[][..],
        &["all"],
        &["Expired"],
        &["expired", "--requests", "0"],
        &["expired", "--requests", "1001"],
        &["expired", "--delay", "1s"],
        &["slow", "--delay", "31s"],
        &["slow", "--delay", "-1s"],
        &["slow", "--delay", "soon"],
        &["expired", "--status"],
        &["expired", "--path", "/orders"],
        &["expired", "--", "true"],
        &["--end", "--requests", "1"],
        &["--all", "--path", "/orders", "--", "true"],
    ] {
        let output = bench.drill(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(bench.pending(), Value::Null);
}

#[test]
fn calls_of_its_own_take_all_drills() {
    let bench = Bench::set_up();
    let (report, status) = bench.report(&[], "");
    assert_eq!(
        column(&report, "drill"),
        ["expired", "revoked", "rate-limited", "auth-down", "slow", "flaky"],
        "all of them, in turn"
    );
    assert_eq!(column(&report, "verdict"), ["took it"; 6], "{report:#}");
    assert_eq!((column(&report, "met"), status), (vec![&json!(1); 6], Some(0)));
    let steps: Vec<String> =
        column(&report, "steps").iter().map(|steps| steps[0].as_str().unwrap().to_owned()).collect();
    let first = [
        "401, a new token",
        "401, a new token",
        "429",
        "token request: service_unavailable",
        "200",
        "502, called again",
    ];
    assert_eq!(steps, first, "{report:#}");
    assert_eq!(bench.pending(), Value::Null);
    let (report, status) = bench.report(&["--path", "/nowhere"], "");
    let met = [0, 0, 0, 1, 0, 0].map(|met| json!(met));
    assert_eq!((column(&report, "met"), status), (met.iter().collect(), Some(1)));
    assert_eq!((&report["drills"][3]["verdict"], &report["all_taken"]), (&json!("failed"), &json!(false)));
}

#[test]
fn an_integrators_program_is_judged_by_how_it_ends() {
    let bench = Bench::set_up();
    let program = ["--", "bash", "-c", PROGRAM];
    let (report, status) = bench.report(&program, "3");
    assert_eq!(column(&report, "verdict"), ["took it"; 6], "{report:#}");
    assert_eq!((column(&report, "met"), status), (vec![&json!(1); 6], Some(0)));
    let (report, status) = bench.report(&program, "1");
    let verdicts = ["failed", "failed", "failed", "failed", "took it", "failed"];
    assert_eq!(
        (column(&report, "verdict"), status),
        (verdicts.map(Value::from).iter().collect(), Some(1)),
        "{report:#}"
    );
    assert_eq!(column(&report, "exit_status"), [1, 1, 1, 1, 0, 1]);
    let (report, status) = bench.report(&["--", "true"], "");
    assert_eq!(column(&report, "verdict"), ["did not meet it"; 6], "{report:#}");
    assert_eq!((column(&report, "exit_status"), status), (vec![&json!(0); 6], Some(1)));
    assert!(report["drills"][3]["steps"].to_string().contains("no token was asked for"));
    assert_eq!(bench.pending(), Value::Null);
}

#[test]
fn a_programs_output_is_kept_from_the_report() {
    let bench = Bench::set_up();
    let output =
        bench.prepare(&["--all", "--delay", "20ms", "--", "bash", "-c", PROGRAM]).env("TRIES", "3").output().unwrap();
    let (report, words) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(report.lines().count(), 7, "a heading and a line each: {report}");
    assert!(report.lines().skip(1).all(|line| line.contains("took it") && line.contains("1 of 1")), "{report}");
    assert_eq!(words.matches("the orders are here").count(), 6, "{words}");
    assert!(!words.contains(&bench.client.secret) && !report.contains(&bench.client.secret));
}

#[test]
fn a_drill_is_ended_where_its_turn_is_cut_short() {
    let bench = Bench::set_up();
    let missing = bench.drill(&["--all", "--", "/nowhere/program"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("/nowhere/program could not be run"), "{}", text(&missing.stderr));
    assert_eq!(bench.pending(), Value::Null);
    // The program stops the command and goes on until it is ended.
    for signal in ["INT", "TERM"] {
        let cut = bench.drill(&["--all", "--", "sh", "-c", &format!("kill -{signal} $PPID; exec sleep 30")]);
        assert_eq!(cut.status.code(), Some(1));
        assert!(text(&cut.stderr).contains("interrupted; the drill was ended"), "{}", text(&cut.stderr));
        assert_eq!(bench.pending(), Value::Null);
    }
}

#[tokio::test]
async fn the_client_survives_expired_unseen() {
    let bench = Bench::set_up();
    let (told, heard) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let client = Client::builder()
        .base_url(Bench::base_url(bench.server.testing))
        .credentials(&bench.client.id, &bench.client.secret)
        .observer(move |event: &Event| drop(told.lock().unwrap().send(event.clone())))
        .build()
        .unwrap();
    client.put("/auth/drills").json(&json!({"drill": "expired"})).send().await.unwrap();
    let orders: Vec<Value> = client.get("/orders").data().await.unwrap();
    assert_eq!(orders, Vec::<Value>::new());
    assert!(heard.try_iter().any(|event| event == Event::Retried { because: Reason::TokenRefused }));
    assert_eq!(bench.pending(), Value::Null);
}
