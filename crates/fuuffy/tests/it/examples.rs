//! The examples for other languages, run as they stand: through an agent, to a real gateway and its API.
//! `./check` installs the languages.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::agent::Front;
use crate::upstream::{Act, Seen, Upstream, ok};

/// An API with 140 orders, which can be made.
fn orders() -> Upstream {
    Upstream::start(|seen: &Seen, _| {
        if seen.method == "POST" {
            let order: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
            assert_eq!(order, serde_json::json!({"item": "Teapot", "quantity": 2}));
            return Act::Answer(ok(r#"{"data":{"id":"ord_141"}}"#));
        }
        assert_eq!(seen.target, "/v1/orders?per_page=2");
        Act::Answer(ok(
            r#"{"data":[{"id":"ord_1"},{"id":"ord_2"}],"pagination":{"total":140,"page":1,"per_page":2,"total_pages":70}}"#,
        ))
    })
}

/// Runs an example, and answers its exit status, what it printed and what it complained of.
fn run(program: &str, file: &str, agent: &str) -> (Option<i32>, String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/agent").join(file);
    let mut command = Command::new(program);
    command.arg(path).env("FUUFFY_AGENT", agent).stdin(Stdio::null());
    let ran = command.output().unwrap_or_else(|error| panic!("{program} is not installed, run ./check: {error}"));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

fn url(front: &Front) -> String {
    format!("http://{}", front.agent.address())
}

const EXAMPLES: [(&str, &str); 4] =
    [("php", "orders.php"), ("python3", "orders.py"), ("node", "orders.mjs"), ("sh", "orders.sh")];

#[test]
fn every_example_lists_orders_and_makes_one() {
    let front = Front::start(orders());
    for (program, file) in EXAMPLES {
        let (status, out, err) = run(program, file, &url(&front));
        assert_eq!((status, err.as_str()), (Some(0), ""), "{file}: {out}");
        let is_raw = file == "orders.sh";
        let said = if is_raw { out.contains(r#""total":140"#) } else { out.starts_with("2 of 140 orders\n") };
        assert!(said && out.contains("ord_141"), "{file}: {out}");
    }
    assert!(front.upstream.seen().iter().all(|seen| seen.field("x-client-id").is_some()));
}

#[test]
fn every_example_tells_a_refusal() {
    let front = Front::start(Upstream::friendly());
    front.place.command(&["clients", "suspend", "--environment", "testing", &front.client.id]);
    for (program, file) in EXAMPLES {
        let (status, out, err) = run(program, file, &url(&front));
        assert_ne!(status, Some(0), "{file}: {out}");
        assert!(
            format!("{out}{err}").contains("unauthorized_client") || format!("{out}{err}").contains("suspended"),
            "{file}: {out} {err}"
        );
    }
}
