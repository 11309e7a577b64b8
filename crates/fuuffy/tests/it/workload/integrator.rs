//! The integrator's side, from outside: a pod with the kubelet's file and a job of GitHub Actions call through the real
//! binary, with no secret anywhere.

use std::path::PathBuf;
use std::process::{Command, Output};

use fuuffy::server::SystemTime;
use fuuffy_domain::TimeSource as _;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::app::{BINARY, Place, Server, config};
use crate::platform::{Platform, PlatformKey};
use crate::signing_client::ISSUER;
use crate::upstream::{Act, Upstream, ok};

/// A gateway that trusts a platform, and a client of it.
struct Scene {
    platform: Platform,
    key: PlatformKey,
    place: Place,
    server: Server,
    client: String,
}

impl Scene {
    fn bound_to(claims: &[&str]) -> Self {
        let (platform, key) = (Platform::start(), PlatformKey::rsa("a"));
        platform.publish(&[&key]);
        let trusted = platform.trusted("binding_claims = [\"sub\", \"repository\"]");
        let place = Place::new(&(config(Upstream::friendly().address) + &trusted));
        let server = place.serve();
        let issuer = platform.issuer();
        let create =
            ["clients", "create", "--environment", "testing", "--name", "Acme", "--scope", "orders:read", "--issuer"];
        let claims: Vec<&str> = claims.iter().flat_map(|claim| ["--claim", claim]).collect();
        let made = place.done(&[&create[..], &[issuer.as_str()], &claims].concat());
        assert!(made.get("client_secret").is_none());
        let client = made["client_id"].as_str().unwrap().to_owned();
        Self { platform, key, place, server, client }
    }

    /// The variables that every integrator has.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let base_url = format!("http://{}/v1", self.server.testing);
        // The test reaches the server by another URL than its own.
        vec![
            ("FUUFFY_BASE_URL", base_url),
            ("FUUFFY_CLIENT_ID", self.client.clone()),
            ("FUUFFY_ISSUER", ISSUER.to_owned()),
        ]
    }

    fn command(&self, arguments: &[&str], more: &[(&'static str, String)]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.place.path("")).env_clear();
        command.envs(self.variables()).envs(more.iter().cloned());
        command
    }

    fn run(&self, arguments: &[&str], more: &[(&'static str, String)]) -> Output {
        self.command(arguments, more).output().unwrap()
    }

    fn pod_token(&self, key: &PlatformKey) -> String {
        key.sign(&self.platform.kubernetes_claims("shop:orders", SystemTime.wall()))
    }

    /// Writes a token as the kubelet does: into a new folder, which a link is then moved to.
    fn project(&self, number: usize, token: &str) -> PathBuf {
        let folder = self.place.path(format!("..{number}"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("token"), token).unwrap();
        let (link, new) = (self.place.path("..data"), self.place.path("..data_tmp"));
        std::os::unix::fs::symlink(&folder, &new).unwrap();
        std::fs::rename(new, link).unwrap();
        let file = self.place.path("token");
        if !file.exists() {
            std::os::unix::fs::symlink("..data/token", &file).unwrap();
        }
        file
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_pod_calls_by_the_file_that_the_kubelet_writes() {
    let scene = Scene::bound_to(&["sub=system:serviceaccount:shop:orders"]);
    let second = PlatformKey::p256("b");
    scene.platform.publish(&[&scene.key, &second]);
    let file = scene.project(0, &scene.pod_token(&scene.key));
    let pod = [("FUUFFY_IDENTITY_TOKEN_FILE", file.display().to_string())];
    for _ in 0..2 {
        let token = scene.run(&["token", "--no-cache"], &pod);
        assert!(token.stdout.starts_with(b"sk-"), "{}", words(&token));
    }
    let orders = scene.run(&["request", "GET", "/orders", "--no-cache"], &pod);
    assert!(orders.status.success(), "{}", words(&orders));
    let doctor = scene.run(&["doctor"], &pod);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("and a platform's token"), "{doctor:?}");
    let agent = Agent::on_a_port(&mut agent_command(&scene, &pod));
    agent.until_it_has_a_token();
    assert_eq!(agent.get("/v1/orders").status, 200);
    let mut expired = scene.platform.kubernetes_claims("shop:orders", SystemTime.wall());
    expired["exp"] = json!(SystemTime.wall().unix_millis() / 1000 - 1);
    let expired = scene.key.sign(&expired);
    scene.project(1, &expired);
    let late = scene.run(&["token", "--no-cache"], &pod);
    let said = words(&late);
    assert!(late.status.code() == Some(1) && !said.contains(&expired), "{said}");
    // The next token is read from the same place, by the running agent, too.
    scene.project(2, &format!("{}\n", scene.pod_token(&second)));
    assert!(scene.run(&["token", "--no-cache"], &pod).status.success());
    for (number, junk) in ["", "not a token", "a.b", "s3cret.s3cret.s3cret\nmore"].iter().enumerate() {
        scene.project(3 + number, junk);
        let junk = scene.run(&["token", "--no-cache"], &pod);
        let said = words(&junk);
        assert!(!junk.status.success() && said.contains("token") && !said.contains("s3cret"), "{said}");
    }
    scene.project(9, &scene.pod_token(&second));
    let rotated = scene.run(&["rotate"], &pod);
    assert!(!rotated.status.success() && words(&rotated).contains("a platform's token instead"), "{}", words(&rotated));
}

#[test]
fn a_job_of_github_actions_calls_by_what_it_may_ask_for() {
    let scene = Scene::bound_to(&["repository=acme/shop", "ref=refs/heads/main"]);
    let claims = scene.platform.github_claims("acme/shop", "refs/heads/main", SystemTime.wall());
    let token = scene.key.sign(&claims);
    let github = Upstream::start(move |seen, _| match seen.field("authorization") {
        Some("Bearer runner-token") => Act::Answer(ok(&json!({"count": 1, "value": token}).to_string())),
        Some("Bearer of-a-fork") => Act::Answer(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec()),
        _ => Act::Answer(ok(r#"{"value":"s3cret"}"#)),
    });
    let url = format!("http://{}/run/idtoken?api-version=2.0", github.address);
    let job = |token: &str| {
        [("ACTIONS_ID_TOKEN_REQUEST_URL", url.clone()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token.to_owned())]
    };
    let orders = scene.run(&["request", "GET", "/orders", "--no-cache"], &job("runner-token"));
    assert!(orders.status.success(), "{}", words(&orders));
    let asked = "/run/idtoken?api-version=2.0&audience=https%3A%2F%2Ftesting-api-gateway.fuuffy.com";
    assert_eq!((github.last().method.as_str(), github.last().target.as_str()), ("GET", asked));
    let other = [&job("runner-token")[..], &[("FUUFFY_IDENTITY_AUDIENCE", "fuuffy".to_owned())]].concat();
    assert!(scene.run(&["token", "--no-cache"], &other).status.success());
    assert!(github.last().target.ends_with("&audience=fuuffy"), "{}", github.last().target);
    let fork = scene.run(&["token", "--no-cache"], &job("of-a-fork"));
    assert!(words(&fork).contains("id-token: write"), "{}", words(&fork));
    let junk = scene.run(&["token", "--no-cache"], &job("other"));
    assert!(!junk.status.success() && !words(&junk).contains("s3cret"), "{}", words(&junk));
    let lacking = scene.run(&["token", "--no-cache"], &job("runner-token")[..1]);
    assert!(lacking.status.code() == Some(2) && words(&lacking).contains("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    let mut clear = job("runner-token");
    clear[0].1 = "http://actions.example/idtoken".to_owned();
    let clear = scene.run(&["token", "--no-cache"], &clear);
    assert!(clear.status.code() == Some(2) && words(&clear).contains("https://"), "{}", words(&clear));
}

fn agent_command(scene: &Scene, more: &[(&'static str, String)]) -> Command {
    let mut command = scene.command(&["agent"], more);
    let log = std::fs::OpenOptions::new().create(true).append(true).open(scene.place.path("agent-log")).unwrap();
    command.stdout(std::process::Stdio::piped()).stderr(log).stdin(std::process::Stdio::null());
    command
}

#[test]
fn the_agent_calls_by_a_key_of_its_own() {
    let scene = Scene::bound_to(&["sub=a"]);
    let made = scene.run(&["client-key", "new", "acme.key"], &[]);
    let jwk: Value = serde_json::from_slice(&made.stdout).unwrap();
    std::fs::write(scene.place.path("acme.json"), jwk.to_string()).unwrap();
    let file = scene.place.path("acme.json").display().to_string();
    let of = ["--environment", "testing", "--client", &scene.client];
    scene.place.done(&[&["clients", "keys", "add", "--jwk", &file], &of[..]].concat());
    let key = [("FUUFFY_CLIENT_KEY_FILE", "acme.key".to_owned())];
    let agent = Agent::on_a_port(&mut agent_command(&scene, &key));
    agent.until_it_has_a_token();
    assert_eq!(agent.get("/v1/orders").status, 200);
}
