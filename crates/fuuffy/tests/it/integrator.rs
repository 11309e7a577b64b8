//! `fuuffy token`, `fuuffy request` and `fuuffy doctor`, as an integrator types them, against a real gateway.

mod words;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::app::{BINARY, Place, Registered, Server, config};
use crate::upstream::{Act, Seen, Upstream, ok};

/// A gateway, its API, and a client with a home of its own.
pub(crate) struct Desk {
    pub(crate) place: Place,
    pub(crate) server: Server,
    pub(crate) upstream: Upstream,
    pub(crate) client: Registered,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(Upstream::friendly())
    }

    pub(crate) fn with(upstream: Upstream) -> Self {
        let place = Place::new(&config(upstream.address));
        let server = place.serve();
        let client = place.client("testing");
        Self { place, server, upstream, client }
    }

    /// A command with the client's variables.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments);
        self.with_variables(command)
    }

    /// The same on a terminal, which `script` is.
    fn on_a_terminal(&self, arguments: &str) -> Command {
        let mut command = Command::new("script");
        command.args(["-qec", &format!("{BINARY} {arguments}"), "/dev/null"]);
        self.with_variables(command)
    }

    fn with_variables(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("FUUFFY_CLIENT_ID", &self.client.id)
            .env("FUUFFY_CLIENT_SECRET", &self.client.secret)
            .env("FUUFFY_BASE_URL", format!("http://{}/v1", self.server.testing))
            .env("XDG_CACHE_HOME", self.place.path("cache"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Token requests that the client's first secret was good for.
    pub(crate) fn token_requests(&self) -> u64 {
        let secrets = self.place.done(&["secrets", "list", "--environment", "testing", "--client", &self.client.id]);
        secrets[0]["use_count"].as_u64().unwrap()
    }
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

#[test]
fn a_newcomer_calls_the_api() {
    let desk = Desk::new();
    let ran = desk.run(&["request", "GET", "/orders", "--query", "q= a b&c"]);
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, r#"{"data":[]}"#, ""));
    let seen = desk.upstream.last();
    assert_eq!(
        (seen.target.as_str(), seen.field("x-client-id")),
        ("/v1/orders?q=%20a%20b%26c", Some(desk.client.id.as_str()))
    );
    assert_eq!(seen.field("authorization"), None);
}

#[test]
fn two_hundred_processes_at_once_cause_one_token_request() {
    let desk = Desk::new();
    let running: Vec<Child> = (0..200).map(|_| desk.spawn(&["token"])).collect();
    let tokens: Vec<Ran> = running.into_iter().map(|child| Ran::of(child.wait_with_output().unwrap())).collect();
    assert!(tokens.iter().all(|ran| ran.status == 0 && ran.out == tokens[0].out), "{:?}", tokens[0]);
    assert!(tokens[0].out.starts_with("sk-") && tokens[0].out.len() == 36, "{:?}", tokens[0]);
    assert_eq!(desk.token_requests(), 1);
}

#[test]
fn a_token_is_shared_by_those_who_ask_for_the_same() {
    let desk = Desk::new();
    let shown = desk.run(&["token", "--json"]).json();
    let first = shown["access_token"].as_str().unwrap().to_owned();
    assert_eq!((&shown["token_type"], shown["expires_in"].as_u64().unwrap() > 3590), (&json!("Bearer"), true));
    assert_eq!(desk.run(&["token"]).out.trim_end(), first);
    assert_ne!(desk.run(&["token", "--scope", "orders:read"]).out.trim_end(), first);
    assert_ne!(desk.run(&["token", "--no-cache"]).out.trim_end(), first);
    let refreshed = desk.run(&["token", "--refresh"]).out;
    assert_ne!(refreshed.trim_end(), first);
    assert_eq!(desk.run(&["token"]).out, refreshed);
    assert_eq!(desk.token_requests(), 4);
}

#[test]
fn a_cached_token_that_was_revoked_is_replaced_unseen() {
    let desk = Desk::new();
    desk.run(&["token"]);
    for deed in ["suspend", "resume"] {
        desk.place.command(&["clients", deed, "--environment", "testing", &desk.client.id]);
    }
    let ran = desk.run(&["request", "GET", "/orders"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, r#"{"data":[]}"#));
    assert!(ran.err.contains("the token was refused; trying once more"), "{ran:?}");
    assert_eq!(desk.run(&["request", "GET", "/orders"]).err, "", "the next command has the new one");
}

#[test]
fn a_cache_that_is_damaged_or_open_to_others_is_told_of() {
    let desk = Desk::new();
    desk.run(&["token"]);
    let folder = desk.place.path("cache").join("fuuffy/tokens");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let file = files.into_iter().find(|path| path.extension().is_some_and(|it| it == "json")).unwrap();
    std::fs::write(&file, "{\"key\":\"cut").unwrap();
    let ran = desk.run(&["token"]);
    assert_eq!(ran.status, 0);
    assert!(ran.err.contains("damaged") && ran.err.contains(file.to_str().unwrap()), "{ran:?}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = desk.run(&["token"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("can be opened by others (mode 644)") && ran.err.contains("--no-cache"), "{ran:?}");
}

#[test]
fn a_body_is_what_is_said_or_a_file_or_standard_input() {
    let desk = Desk::new();
    let large: String = "0123456789abcdef".repeat(200_000);
    std::fs::write(desk.place.path("small"), "from a file").unwrap();
    std::fs::write(desk.place.path("large"), &large).unwrap();
    let at = |name: &str| format!("@{}", desk.place.path(name).display());
    for (data, body) in
        [("said", "said"), (at("small").as_str(), "from a file"), (at("large").as_str(), large.as_str())]
    {
        let ran = desk.run(&["request", "POST", "/orders", "--data", data]);
        assert_eq!(ran.status, 0, "{ran:?}");
        let seen = desk.upstream.last();
        assert_eq!((seen.body.len(), seen.body == body.as_bytes()), (body.len(), true));
        assert_eq!(seen.field("content-length"), Some(body.len().to_string().as_str()));
        assert_eq!(seen.field("content-type"), Some("application/json"));
    }
    let mut child = desk.spawn(&["request", "PUT", "/orders/7", "-d", "@-", "-H", "Content-Type: text/plain"]);
    child.stdin.take().unwrap().write_all(b"typed").unwrap();
    assert!(child.wait().unwrap().success());
    let seen = desk.upstream.last();
    assert_eq!((seen.body.as_slice(), seen.field("content-type")), (&b"typed"[..], Some("text/plain")));
    let ran = desk.run(&["request", "POST", "/orders", "-d", "@/no/such/file"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("cannot read /no/such/file"), "{ran:?}");
}

#[test]
fn a_refusal_is_told_and_its_body_printed() {
    let refuse = |_: &Seen, _| {
        let body = r#"{"error":{"code":"sold_out","message":"No teapots are left","details":"Order a cup"}}"#;
        let head = "HTTP/1.1 409 Conflict\r\ncontent-type: application/json\r\n";
        Act::Answer(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
    };
    let desk = Desk::with(Upstream::start(refuse));
    let ran = desk.run(&["request", "POST", "/orders", "-d", "{}"]);
    assert_eq!((ran.status, ran.json()["error"]["code"].as_str()), (1, Some("sold_out")));
    assert!(
        ran.err.starts_with(
            "fuuffy: POST /orders was answered with 409 Conflict: No teapots are left. Order a cup (request 0"
        ),
        "{ran:?}"
    );
    let shown = desk.run(&["request", "GET", "/orders", "--json"]);
    assert_eq!(
        (shown.status, &shown.json()["status"], &shown.json()["body"]["error"]["code"]),
        (1, &json!(409), &json!("sold_out"))
    );
    let doubled = desk.run(&["request", "GET", "/v1/orders"]);
    assert!(doubled.err.contains("404") && doubled.err.contains("try /orders"), "{doubled:?}");
    let included = desk.run(&["request", "GET", "/orders", "--include"]);
    assert!(
        included.err.contains("409 Conflict\n") && included.err.contains("x-ratelimit-remaining: "),
        "{included:?}"
    );
}

#[test]
fn all_pages_are_printed_as_one_list_and_no_number_changes() {
    let page = |seen: &Seen, _: usize| {
        let number: u32 = seen.target.split("page=").nth(1).map_or(1, |number| number.parse().unwrap());
        let items = ["1.10,12345678901234567890", "{\"id\": 3}", ""][number as usize - 1];
        let pagination = format!(r#"{{"total":3,"page":{number},"per_page":2,"total_pages":3}}"#);
        Act::Answer(ok(&format!(r#"{{"data":[{items}],"pagination":{pagination}}}"#)))
    };
    let desk = Desk::with(Upstream::start(page));
    let ran = desk.run(&["request", "GET", "/orders", "--page-all"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "{\"data\":[1.10,12345678901234567890,{\"id\": 3}]}\n"));
    assert_eq!(desk.upstream.seen().len(), 3);
}

#[test]
fn production_asks_before_anything_is_written() {
    let desk = Desk::new();
    let client = desk.place.client("production");
    let of_production = |command: &mut Command| {
        command
            .env("FUUFFY_ENVIRONMENT", "production")
            .env("FUUFFY_CLIENT_ID", &client.id)
            .env("FUUFFY_CLIENT_SECRET", &client.secret)
            .env("FUUFFY_BASE_URL", format!("http://{}/v1", desk.server.production))
            .output()
            .map(Ran::of)
            .unwrap()
    };
    let write = ["request", "POST", "/orders", "-d", "{}"];
    let ran = of_production(&mut desk.command(&write));
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("would write in production") && ran.err.contains("--yes"), "{ran:?}");
    assert_eq!(of_production(&mut desk.command(&["request", "GET", "/orders"])).status, 0, "reading does not ask");
    assert_eq!(desk.upstream.seen().len(), 1);
    assert_eq!(of_production(&mut desk.command(&[&write[..], &["--yes"]].concat())).status, 0);
    assert_eq!(desk.upstream.seen().len(), 2);
    // On a terminal.
    for (answer, sent) in [("n\n", 2), ("y\n", 3)] {
        let mut command = desk.on_a_terminal("request POST /orders -d 1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("FUUFFY_ENVIRONMENT", "production").env("FUUFFY_CLIENT_ID", &client.id);
        command.env("FUUFFY_CLIENT_SECRET", &client.secret);
        command.env("FUUFFY_BASE_URL", format!("http://{}/v1", desk.server.production));
        let mut child = command.spawn().unwrap();
        // Answered once it is asked, or the terminal shows the answer amid the question.
        let mut asked = Vec::new();
        let mut shown = child.stdout.take().unwrap();
        while !asked.ends_with(b"[y/N]") {
            let mut next = [0];
            shown.read_exact(&mut next).expect("a question");
            asked.push(next[0]);
        }
        child.stdin.as_mut().unwrap().write_all(answer.as_bytes()).unwrap();
        shown.read_to_end(&mut asked).unwrap();
        child.wait().unwrap();
        let shown = String::from_utf8_lossy(&asked).into_owned();
        assert!(shown.contains("POST /orders writes in production"), "{shown}");
        assert_eq!(desk.upstream.seen().len(), sent, "{shown}");
    }
}

#[test]
fn doctor_finds_nothing_where_there_is_nothing() {
    let desk = Desk::new();
    let ran = desk.run(&["doctor"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let names: Vec<&str> = ran.out.lines().map(|line| line[8..24].trim_end()).collect();
    let all =
        ["variables", "base URL", "name resolution", "connection", "TLS", "clock", "token", "API call", "limits left"];
    assert_eq!(names, all);
    assert!(ran.out.lines().all(|line| line.starts_with("ok ")), "{ran:?}");
    let findings = desk.run(&["doctor", "--json"]).json();
    assert_eq!((findings.as_array().unwrap().len(), &findings[8]["status"]), (9, &json!("ok")));
}

#[test]
fn doctor_says_what_is_wrong_first_and_what_to_do() {
    let desk = Desk::new();
    let secret = desk.client.secret.clone();
    let plain = desk.server.testing;
    let other = if &secret[20..21] == "A" { "B" } else { "A" };
    let typed = format!("{}{other}{}", &secret[..20], &secret[21..]);
    let cut = secret[..secret.len() - 1].to_owned();
    let wrong = fuuffy_protocol::ClientSecret::from_random(fuuffy_protocol::SecretKind::Testing, &mut [7; 32]);
    let base = format!("https://{plain}/v1");
    let cases = [
        (("FUUFFY_CLIENT_ID", ""), 2, "variables", "FUUFFY_CLIENT_ID is not set"),
        (("FUUFFY_ENVIRONMENT", "production"), 2, "variables", "it is for testing"),
        (("FUUFFY_CLIENT_SECRET", typed.as_str()), 2, "variables", "checksum is wrong"),
        (("FUUFFY_CLIENT_SECRET", cut.as_str()), 2, "variables", "checksum is wrong"),
        (("FUUFFY_BASE_URL", "http://192.0.2.1/v1"), 2, "base URL", "is http://"),
        (("FUUFFY_BASE_URL", "https://nowhere.invalid/v1"), 1, "name resolution", "nowhere.invalid has no address"),
        (("FUUFFY_BASE_URL", "http://127.0.0.1:1/v1"), 1, "connection", "127.0.0.1:1: Connection refused"),
        (("FUUFFY_BASE_URL", base.as_str()), 1, "TLS", "no connection"),
        (("FUUFFY_CLIENT_SECRET", wrong.reveal()), 1, "token", "invalid_client"),
    ];
    for ((name, value), status, check, words) in cases {
        let ran = Ran::of(desk.command(&["doctor", "--json"]).env(name, value).output().unwrap());
        let findings = ran.json();
        let last = findings.as_array().unwrap().last().unwrap();
        assert_eq!(
            (ran.status, last["check"].as_str(), last["status"].as_str()),
            (status, Some(check), Some("failed")),
            "{ran:?}"
        );
        assert!(last["found"].as_str().unwrap().contains(words) && last["advice"].is_string(), "{ran:?}");
        assert!(!ran.out.contains(&secret[12..]) && !ran.out.contains(&typed[12..]), "{ran:?}");
    }
    desk.place.command(&["clients", "suspend", "--environment", "testing", &desk.client.id]);
    assert!(desk.run(&["doctor"]).out.contains("the client is suspended"));
}

#[test]
fn a_profile_stands_in_for_variables() {
    let desk = Desk::new();
    let (file, secret) = (desk.place.path("profiles.toml"), desk.place.path("secret"));
    std::fs::write(&secret, &desk.client.secret).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let profile = format!(
        "[testing]\nbase_url = \"http://{}/v1\"\nclient_id = \"{}\"\nclient_secret_file = \"{}\"\n",
        desk.server.testing,
        desk.client.id,
        secret.display()
    );
    let ask = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(BINARY);
        command.args(["request", "GET", "/orders", "--profiles"]).arg(&file).env_clear().stdin(Stdio::null());
        Ran::of(command.output().unwrap())
    };
    assert_eq!(ask(&profile).out, r#"{"data":[]}"#);
    let held = ask(&format!("[testing]\nclient_secret = \"{}\"\n", desk.client.secret));
    assert_eq!(held.status, 2);
    assert!(held.err.contains("profiles.toml, line 2") && held.err.contains("never the secret itself"), "{held:?}");
    assert!(!held.err.contains(&desk.client.secret[9..21]), "{held:?}");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(ask(&profile).err.contains("can be read by others (mode 644)"));
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_sent() {
    let desk = Desk::new();
    for (arguments, variables, status, words) in [
        (&["request", "GET", "https://example.com/"][..], &[][..], 2, "give a path below the base URL"),
        (&["request", "GET", "/a b"], &[], 2, "characters that no URL has"),
        (&["request", "GET", "/../oauth/token"], &[], 2, "a segment . or .."),
        (&["request", "GET", "/orders/%2e%2e/%2E./x"], &[], 2, "a segment . or .."),
        (&["request", "CONNECT", "/orders"], &[], 2, "opens a tunnel"),
        (&["request", "POST", "/orders", "--page-all"], &[], 2, "by GET"),
        (&["request", "GET", "/orders", "--page-all", "-i"], &[], 2, "cannot be used with"),
        (&["request", "GET", "/orders", "-q", "x"], &[], 2, "NAME=VALUE"),
        (
            &["request", "GET", "/orders", "-H", "authorization: Bearer s3cr3t"],
            &[],
            2,
            "leave the field Authorization out",
        ),
        (&["request", "GET", "/orders", "-H", "s3cr3t"], &[], 2, "takes a field as in"),
        (&["request", "POST", "/orders", "-d", "1", "-H", "Content-Length: 9"], &[], 2, "field Content-Length out"),
        (&["request", "GET", "/orders", "-H", "bad name: x"], &[], 2, "makes no header field"),
        (
            &["token"],
            &[("FUUFFY_BASE_URL", "http://example.com/v1")],
            2,
            "secrets and tokens would cross the network in clear",
        ),
        (&["token"], &[("FUUFFY_ENVIRONMENT", "staging")], 2, "testing or production"),
    ] {
        let ran = Ran::of(desk.command(arguments).envs(variables.iter().copied()).output().unwrap());
        assert_eq!(ran.status, status, "{ran:?}");
        assert!(ran.err.contains(words) && !ran.err.contains("s3cr3t"), "{ran:?}");
    }
    assert!(desk.upstream.seen().is_empty());
}
