//! What `deploy` has for Prometheus and Grafana fits what a server tells: names, labels, and the programs' own checks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::app::{Place, config_with, get, token};
use crate::http1::request;
use crate::libraries::installed;
use crate::tls::Authority;
use crate::upstream::Upstream;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

/// Runs promtool, of which the tests need one, and fails with what it says where it is not content.
#[track_caller]
fn promtool(arguments: &[&str], folder: &Path, input: &str) {
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../promtool/usr/bin/promtool");
    let program = if unpacked.exists() { unpacked } else { PathBuf::from("promtool") };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool: ./check-needs gets it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// The metrics of a server that has served somebody, as plain text.
fn metrics() -> String {
    let production = "[environments.production]\n";
    let certified = format!("{production}tls = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n");
    let place = Place::new(&config_with(Upstream::friendly().address, "", "").replacen(production, &certified, 1));
    Authority::new().write_pair("localhost", (1975, 4096), (&place.path("cert.pem"), &place.path("key.pem")));
    let server = place.serve();
    let bearer = token(server.testing, &place.client("testing"));
    get(server.testing, "/v1/orders", &bearer);
    request(server.admin, "GET", "/metrics", &[("accept", "text/plain")], "").text()
}

/// The names of metrics, each with the labels of its samples.
fn told(metrics: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once(['{', ' ']).unwrap();
        let names = labels.split("=\"").map(|text| text.rsplit([',', '"']).next().unwrap().to_owned());
        told.entry(name.to_owned()).or_default().extend(names);
    }
    told
}

fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(deploy().join("grafana/fuuffy.json")).unwrap()).unwrap()
}

fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().unwrap().iter().collect()
}

/// All queries of the dashboard, as Prometheus gets them.
fn queries(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard).into_iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let query = |target: &Value| target["expr"].as_str().unwrap().replace("$__rate_interval", "1m").replace('$', "");
    targets.map(query).collect()
}

/// The words of queries that are names of metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("fuuffy_") || word.starts_with("process_")).collect()
}

#[test]
fn every_metric_of_the_dashboard_and_the_rules_is_told_by_a_server() {
    let metrics = metrics();
    let told = told(&metrics);
    let dashboard = dashboard();
    let rules = std::fs::read_to_string(deploy().join("prometheus/rules.yml")).unwrap();
    let test = std::fs::read_to_string(deploy().join("prometheus/rules.test.yml")).unwrap();
    let queries = queries(&dashboard).join("\n");
    let asked: BTreeSet<&str> = [&queries, &rules, &test].into_iter().flat_map(|text| names(text)).collect();
    assert!(asked.len() > 25, "{asked:?}");
    for name in asked {
        assert!(told.contains_key(name), "{name} is told by no server");
    }
    // The labels that are asked for by a metric of each kind.
    for (name, labels) in [
        ("fuuffy_requests_total", vec!["environment", "outcome"]),
        ("fuuffy_refusals_total", vec!["asked", "code", "environment"]),
        ("fuuffy_request_duration_seconds_count", vec!["environment", "route", "status"]),
        ("fuuffy_upstream_duration_seconds_bucket", vec!["environment", "le", "route"]),
        ("fuuffy_route_shed_total", vec!["environment", "route"]),
    ] {
        for label in labels {
            assert!(told[name].contains(label), "{name} has no {label}: {:?}", told[name]);
        }
    }
}

#[test]
fn prometheus_takes_the_metrics_and_the_rules_and_the_rules_do_what_they_say() {
    promtool(&["check", "metrics"], Path::new("."), &metrics());
    let folder = deploy().join("prometheus");
    promtool(&["check", "rules", "rules.yml"], &folder, "");
    promtool(&["test", "rules", "rules.test.yml"], &folder, "");
}

#[test]
fn every_query_of_the_dashboard_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = "groups: [{name: panels, rules: [\n".to_owned();
    for (number, query) in queries(&dashboard()).iter().enumerate() {
        let quoted = serde_json::to_string(query).unwrap();
        rules.push_str(&format!("  {{record: \"panel:query:{number}\", expr: {quoted}}},\n"));
    }
    rules.push_str("]}]\n");
    std::fs::write(folder.path().join("panels.yml"), rules).unwrap();
    promtool(&["check", "rules", "panels.yml"], folder.path(), "");
}

/// Grafana itself is no program that a test could have; what it makes of a dashboard's JSON, its own models say. They know
/// each member but one, which Grafana writes for its editor beside the query that counts.
#[test]
fn grafanas_own_models_know_all_of_the_dashboard() {
    let python = |dashboard: &Value| -> Vec<String> {
        let mut child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/dashboards.py"))
            .env("PYTHONPATH", installed("python", "requirements.txt"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(dashboard.to_string().as_bytes()).unwrap();
        serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
    };
    let mut dashboard = dashboard();
    let of_editor = (1..4).map(|variable| format!("/templating/list/{variable}/definition"));
    assert_eq!(python(&dashboard), of_editor.collect::<Vec<_>>());
    // They look, and at the options of each kind of panel, too.
    let at = panels(&dashboard).iter().position(|panel| panel["type"] == "timeseries").unwrap();
    dashboard["panels"][at]["options"]["legend"]["showLegends"] = true.into();
    let told = python(&dashboard);
    assert_eq!((told.len(), &told[3]), (4, &format!("/panels/{at}/options/legend/showLegends")));
}

/// As Grafana wants it to be.
#[test]
fn the_dashboard_is_laid_out_as_grafana_reads_it() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "fuuffy-gateway");
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36 && dashboard.get("id").is_none());
    let variables: BTreeSet<&str> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title} has another's id");
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title} is too wide");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} lies on another");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title} shows nothing");
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            for (_, rest) in query.match_indices('$').map(|(at, _)| query.split_at(at + 1)) {
                let name = rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap();
                assert!(variables.contains(name) || name == "__rate_interval", "{title}: there is no ${name}");
            }
        }
    }
}
