//! A client that replaces its own secret against a real gateway: killed at every step, on a full disk, twice at once,
//! and while its calls go on.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fuuffy::server::SystemTime;
use fuuffy_domain::TimeSource as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agent::{Agent, agent_command};
use crate::app::{BINARY, Place, Registered, Server, StopsAll, ask_for_token, config, token};
use crate::kills::Killer;
use crate::leaks::find_leak;
use crate::own_secrets::{add, ask};
use crate::upstream::Upstream;

/// No replacement has more steps.
const LIMIT: usize = 500;

/// Where a client's secret is: a file in a folder of its own.
struct Home {
    folder: TempDir,
    base: SocketAddr,
    id: String,
}

fn served() -> (Place, Server) {
    let place = Place::new(&(config(Upstream::friendly().address) + "\n[plans.standard]\nlimits = [\"1000000/s\"]\n"));
    let server = place.serve();
    (place, server)
}

impl Home {
    /// Of a new client that may replace its secret.
    fn new(place: &Place, server: &Server) -> Self {
        Self::of(&place.client_with("testing", &["--scope", "orders:read", "--allow-rotation"]), server)
    }

    fn of(client: &Registered, server: &Server) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap(), base: server.testing, id: client.id.clone() };
        home.keep(&client.secret);
        home
    }

    fn keep(&self, secret: &str) {
        std::fs::write(self.file(), format!("{secret}\n")).unwrap();
        std::fs::set_permissions(self.file(), PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// The client with the secret that is kept.
    fn client(&self) -> Registered {
        Registered { id: self.id.clone(), secret: std::fs::read_to_string(self.file()).unwrap().trim().to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .env_clear()
            .env("FUUFFY_CLIENT_ID", &self.id)
            .env("FUUFFY_CLIENT_SECRET_FILE", self.file())
            .env("FUUFFY_BASE_URL", format!("http://{}/v1", self.base))
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .stdin(Stdio::null());
        command
    }

    fn rotate(&self) -> Value {
        done(&self.command(&["rotate", "--json"]).output().unwrap())
    }

    /// How the secret stands that is kept.
    fn status(&self) -> String {
        let shown = ask(self.base, "GET", "/v1/auth/secrets", &self.client()).json();
        let presented = shown["data"].as_array().unwrap().iter().find(|it| it["presented"] == true).unwrap().clone();
        presented["status"].as_str().unwrap().to_owned()
    }

    /// What is beside the secret, the cache aside.
    fn beside(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap().map(|it| it.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(|name| name != "secret").collect()
    }
}

fn done(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A secret that leaked is replaced by its own client, where that may.
#[test]
fn a_quarantined_secret_is_replaced_by_the_command() {
    let leaks = "leaks = { url = \"quarantine\" }";
    let place = Place::new(&crate::app::config_with(Upstream::friendly().address, leaks, ""));
    let server = place.serve();
    let home = Home::new(&place, &server);
    let leaked = home.client();
    crate::app::get(server.testing, &format!("/v1/orders?{}", leaked.secret), "");
    assert_eq!(ask_for_token(server.testing, &leaked).code(), "unauthorized_client");
    home.rotate();
    token(server.testing, &home.client());
    assert_eq!(ask(server.testing, "GET", "/v1/auth/secrets", &leaked).code(), "invalid_client", "it is retired");
}

#[test]
fn a_secret_is_replaced_and_the_old_one_goes_when_nobody_uses_it() {
    let (place, server) = served();
    let home = Home::new(&place, &server);
    let old = home.client();
    let young = done(&home.command(&["rotate", "--if-older-than", "30d", "--json"]).output().unwrap());
    assert_eq!((young["outcome"].as_str(), home.client().secret), (Some("not_due"), old.secret.clone()));
    let rotated = home.rotate();
    assert_eq!((&rotated["outcome"], &rotated["unused_for"]), (&json!("replaced"), &json!("86400s")));
    let new = home.client();
    assert!(new.secret != old.secret && new.secret.starts_with("fsk_test_"));
    token(server.testing, &new);
    token(server.testing, &old);
    let listed = place.done(&["secrets", "list", "--environment", "testing", "--client", &home.id]);
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|it| it["secret_id"].clone()).collect();
    assert_eq!((&rotated["retiring"], &rotated["secret_id"]), (&json!([ids[0]]), &ids[1]));
    let told = home.command(&["rotate"]).output().unwrap();
    assert!(words(&told).contains("the secret was replaced") && words(&told).contains("for 1d"), "{}", words(&told));
    assert!(!words(&told).contains("fsk_") && !String::from_utf8_lossy(&told.stdout).contains("fsk_"));
    assert_eq!(home.beside(), [".secret.lock"]);
    let wrong = home.command(&["rotate", "--if-older-than", "soon"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn who_may_not_is_told_who_can_and_so_is_who_cannot_write() {
    let (place, server) = served();
    let may_not = Home::of(&place.client("testing"), &server);
    let refused = may_not.command(&["rotate"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(words(&refused).contains("fuuffy clients update --allow-rotation"), "{}", words(&refused));
    let early = may_not.command(&["rotate", "--if-older-than", "30d"]).output().unwrap();
    assert!(words(&early).contains("may not replace its own secret"), "before it is due: {}", words(&early));

    let home = Home::new(&place, &server);
    let mut by_variable = home.command(&["rotate"]);
    let secret = home.client().secret;
    let refused = by_variable.env_remove("FUUFFY_CLIENT_SECRET_FILE").env("FUUFFY_CLIENT_SECRET", &secret).output();
    let refused = refused.unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = words(&refused);
    assert!(said.contains("a person must") && said.contains("fuuffy secrets add") && !said.contains(&secret), "{said}");

    // No file can be made in the folder, or the disk is full: nothing is asked for.
    let killer = Killer::build();
    for (errno, says) in
        [(13, "have a person do it"), (30, "have a person do it"), (16, "a person must"), (28, "make room")]
    {
        let mut command = home.command(&["rotate"]);
        let refused =
            killer.aim(&mut command, home.folder.path(), 1).env("FUUFFY_FAIL_WITH", errno.to_string()).output();
        let said = words(&refused.unwrap());
        assert!(said.contains(says), "{errno}: {said}");
    }
    let listed = place.done(&["secrets", "list", "--environment", "testing", "--client", &home.id]);
    assert_eq!((listed.as_array().unwrap().len(), home.client().secret), (1, secret));
}

/// What is kept works after every step, and the next run brings it to its end.
#[test]
fn a_kill_at_any_step_leaves_a_secret_that_works_and_is_kept() {
    let (place, server) = served();
    let killer = Killer::build();
    let mut met = [false; 3];
    for step in 1..LIMIT {
        let home = Home::new(&place, &server);
        let old = home.client().secret;
        let mut command = home.command(&["rotate", "--json"]);
        let output =
            killer.aim(&mut command, home.folder.path(), step).env("FUUFFY_KILL_NETWORK", "1").output().unwrap();
        let was_killed = output.status.code().is_none();
        assert!(was_killed || output.status.success(), "step {step}: {}", words(&output));
        token(server.testing, &home.client());
        let (kept, status) = (home.client().secret, home.status());
        let next = home.rotate();
        match (kept == old, status.as_str()) {
            (true, "live") => assert_eq!(next["outcome"], "replaced", "step {step}"),
            (false, "pending") => assert_eq!((&next["outcome"], &home.client().secret), (&json!("finished"), &kept)),
            (false, "live") => assert_eq!(next["outcome"], "replaced", "step {step}"),
            odd => panic!("step {step}: {odd:?}"),
        }
        met[usize::from(kept != old) + usize::from(kept != old && status == "live")] = true;
        token(server.testing, &home.client());
        assert_eq!((home.status().as_str(), home.beside()), ("live", vec![".secret.lock".to_owned()]), "step {step}");
        if !was_killed {
            assert_eq!(met, [true; 3], "it was killed before, between and after");
            assert!(step > 15, "there were {step} steps");
            return;
        }
    }
    panic!("a replacement has more than {LIMIT} steps");
}

/// The disk is full from some write on: the old secret is there, or the new one, and whole.
#[test]
fn a_disk_that_fills_up_at_any_step_costs_nothing() {
    let (place, server) = served();
    let killer = Killer::build();
    for step in 1..LIMIT {
        let home = Home::new(&place, &server);
        let mut command = home.command(&["rotate", "--json"]);
        let output = killer.aim(&mut command, home.folder.path(), step).env("FUUFFY_FAIL_WITH", "28").output().unwrap();
        token(server.testing, &home.client());
        assert!(!words(&output).contains("fsk_"), "{}", words(&output));
        assert!(home.beside().iter().all(|name| name == ".secret.lock"), "step {step}: {:?}", home.beside());
        home.rotate();
        assert_eq!(home.status(), "live", "step {step}");
        if output.status.success() {
            assert!(step > 5, "there were {step} steps");
            return;
        }
    }
    panic!("a replacement has more than {LIMIT} steps");
}

#[test]
fn many_at_once_replace_a_secret_once() {
    let (place, server) = served();
    let home = Home::new(&place, &server);
    // They begin with the same secret: nobody is let on before all have looked.
    let lock = std::fs::File::create(home.folder.path().join(".secret.lock")).unwrap();
    lock.lock().unwrap();
    let start = |_| home.command(&["rotate", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut running: Vec<_> = (0..5).map(start).collect();
    let uses = || ask(server.testing, "GET", "/v1/auth/secrets", &home.client()).status;
    assert_eq!(uses(), 200);
    let waits_for_lock = |child: &std::process::Child| {
        let at = format!("/proc/{}/fd", child.id());
        let mut open = std::fs::read_dir(at).unwrap().filter_map(|it| std::fs::read_link(it.unwrap().path()).ok());
        open.any(|path| path.ends_with(".secret.lock"))
    };
    while !running.iter().all(waits_for_lock) {
        assert!(running.iter_mut().all(|child| child.try_wait().unwrap().is_none()), "one ended without its turn");
        std::thread::yield_now();
    }
    drop(lock);
    let outcomes = running.into_iter().map(|child| done(&child.wait_with_output().unwrap())["outcome"].clone());
    let mut outcomes: Vec<String> = outcomes.map(|outcome| outcome.as_str().unwrap().to_owned()).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["by_another", "by_another", "by_another", "by_another", "replaced"]);
    assert_eq!(home.status(), "live");
}

/// An agent goes on while its secret is replaced beneath it, again and again.
#[test]
fn calls_go_on_while_a_secret_is_replaced() {
    let (place, server) = served();
    let home = Home::new(&place, &server);
    let mut command = home.command(&["agent"]);
    let agent = Agent::on_a_port(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    agent.until_it_has_a_token();
    let (stopped, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            while !stopped.load(Ordering::Relaxed) {
                assert_eq!(agent.get("/v1/orders").status, 200);
                // Others fetch tokens of their own all the while.
                token(server.testing, &home.client());
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        let stops = StopsAll(&stopped);
        for _ in 0..2 {
            let before = calls.load(Ordering::Relaxed);
            while calls.load(Ordering::Relaxed) < before + 5 && !caller.is_finished() {
                std::thread::yield_now();
            }
            assert_eq!(home.rotate()["outcome"], "replaced");
        }
        drop(stops);
    });
}

#[test]
fn an_agent_finishes_what_an_earlier_run_began_and_tells_how_it_stands() {
    let (place, server) = served();
    let home = Home::new(&place, &server);
    let old = home.client();
    let new = add(server.testing, &old);
    home.keep(&new.secret);
    let log = std::fs::File::create(home.folder.path().join("log")).unwrap();
    let mut command = home.command(&["agent", "--rotate-every", "30d"]);
    let agent = Agent::on_a_port(command.stdout(Stdio::piped()).stderr(log));
    let rotation = || agent.get("/-/health").json()["data"]["rotation"].clone();
    while !rotation()["replaced_seconds_ago"].is_u64() {
        assert!(rotation()["last_error"].is_null(), "{}", rotation());
    }
    assert_eq!(home.status(), "live");
    let metrics = agent.get("/-/metrics").text();
    assert!(metrics.contains("fuuffy_agent_secret_rotations_total{outcome=\"replaced\"} 1"), "{metrics}");
    let said = std::fs::read(home.folder.path().join("log")).unwrap();
    assert_eq!(find_leak(&said, &[old.secret, new.secret]), None);
}

#[test]
fn an_agent_whose_secret_a_person_must_replace_says_so_and_goes_on() {
    let (place, server) = served();
    let client = place.client_with("testing", &["--scope", "orders:read", "--allow-rotation"]);
    let mut command = agent_command(&place.path(""), server.testing, &client);
    let secret = place.path("client-secret");
    std::fs::rename(&secret, place.path("mounted")).unwrap();
    std::os::unix::fs::symlink(place.path("mounted"), &secret).unwrap();
    let agent = Agent::on_a_port(command.args(["--rotate-every", "30d"]));
    agent.until_it_has_a_token();
    let rotation = || agent.get("/-/health").json()["data"]["rotation"].clone();
    while !rotation()["due_in"].is_u64() {
        std::thread::yield_now();
    }
    let told = rotation();
    assert!(told["last_error"]["message"].as_str().unwrap().contains("is a link"), "it stays: {told}");
    assert_eq!(told["by_hand"], true);
    assert_eq!(agent.get("/v1/orders").status, 200);
    let metrics = agent.get("/-/metrics").text();
    assert!(metrics.contains("fuuffy_agent_secret_rotations_total{outcome=\"by_hand\"} 1"), "{metrics}");
    let often = home_with_wrong_age(&place, &server);
    assert!(often.contains("whole hours or days"), "{often}");
}

fn home_with_wrong_age(place: &Place, server: &Server) -> String {
    let home = Home::new(place, server);
    let refused = home.command(&["agent", "--rotate-every", "5m"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    words(&refused)
}

#[test]
fn a_secret_that_is_retired_is_told_as_what_it_is() {
    let (place, server) = served();
    let home = Home::new(&place, &server);
    let list = ["secrets", "list", "--environment", "testing", "--client", &home.id];
    let id = place.done(&list)[0]["secret_id"].as_str().unwrap().to_owned();
    place.done(&["secrets", "add", "--environment", "testing", "--client", &home.id]);
    place.done(&["secrets", "retire", "--environment", "testing", "--client", &home.id, "--secret", &id]);
    assert_eq!(ask_for_token(server.testing, &home.client()).code(), "invalid_client");
    let refused = home.command(&["rotate"]).output().unwrap();
    assert!(!refused.status.success() && words(&refused).contains("invalid_client"), "{}", words(&refused));
}

#[test]
fn doctor_warns_of_a_secret_that_ends_soon() {
    let (place, server) = served();
    let client = place.client("testing");
    let soon = SystemTime.wall().after(Duration::from_secs(5 * 86_400)).to_string();
    let add = ["secrets", "add", "--environment", "testing", "--client", &client.id, "--expires-at", &soon];
    let secret = place.done(&add)["client_secret"].as_str().unwrap().to_owned();
    let home = Home::of(&Registered { secret, ..client }, &server);
    let findings = done(&home.command(&["doctor", "--json"]).output().unwrap());
    let finding = findings.as_array().unwrap().iter().find(|it| it["check"] == "secret").unwrap();
    assert_eq!(finding["status"], "warning");
    assert!(finding["found"].as_str().unwrap().starts_with("the secret ends on "), "{finding}");
    assert!(finding["advice"].as_str().unwrap().contains("fuuffy rotate"), "{finding}");
}
