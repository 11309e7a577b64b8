//! `fuuffy demo`, as a newcomer runs it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::app::BINARY;

#[test]
fn the_demo_walks_the_guide_and_ends_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(BINARY)
        .args(["demo", "--json", "--token-lifetime", "1s", "--data-dir"])
        .arg(folder.path())
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut steps = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = loop {
        let line: Value = serde_json::from_str(&lines.next().expect("the demo goes on").unwrap()).unwrap();
        if line.get("ready").is_some() {
            break line;
        }
        steps.push(line);
    };
    let statuses: Vec<u64> = steps.iter().map(|step| step["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 200, 201, 401, 200, 200, 200, 401]);
    assert_eq!(steps[0]["answer"]["data"]["expires_in"], 3600);
    assert_eq!(
        steps[1]["answer"]["pagination"],
        serde_json::json!({"total": 140, "page": 1, "per_page": 2, "total_pages": 70})
    );
    assert_eq!(
        steps[8]["answer"].to_string(),
        r#"{"error":{"code":"invalid_token","message":"The access token expired","details":"Please request a new access token"}}"#
    );

    // The commands are true: one of them, run as printed, gives what was printed.
    let command = steps[1]["command"].as_str().unwrap();
    let answer = Command::new("sh").arg("-c").arg(format!("{command} -s")).output().unwrap();
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(answer["data"], steps[1]["answer"]["data"]);

    // Operators' commands work on it.
    let listed = Command::new(BINARY)
        .args(["clients", "list", "--environment", "testing", "--json", "--config"])
        .arg(ready["config"].as_str().unwrap())
        .output()
        .unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&listed.stdout).unwrap().as_array().unwrap().len(), 2);

    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
