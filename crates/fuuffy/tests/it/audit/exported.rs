//! An export is proven by whoever has it and the public key: no server, no configuration, no store.

use std::process::{Command, Output};

use super::Log;
use crate::app::BINARY;

/// Verifies an export where nothing else is.
fn verify(export: &str, public_key: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export");
    std::fs::write(&file, export).unwrap();
    Command::new(BINARY)
        .args(["audit", "verify", "--environment", "testing", "--public-key", public_key, "--file"])
        .arg(file)
        .args(more)
        .current_dir(&folder)
        .env_clear()
        .output()
        .unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn an_export_is_proven_by_its_public_key_alone() {
    let log = Log::with(2500);
    let (export, key) = (log.export(&[]), log.public_key());
    let proven = verify(&export, &key, &[]);
    assert_eq!(proven.status.code(), Some(0), "{proven:?}");
    assert!(words(&proven).contains("whole from row 1 to row 2500"), "{}", words(&proven));
    assert_eq!(export.lines().filter(|line| line.starts_with(r#"{"checkpoint""#)).count(), 4, "1, 1001, 2001, 2500");

    let part = log.export(&["--from", "1500"]);
    let proven = verify(&part, &key, &[]);
    assert_eq!(proven.status.code(), Some(0), "{proven:?}");
    assert!(words(&proven).contains("whole from row 1002 to row 2500"), "{}", words(&proven));
    assert!(words(&proven).contains("Not proven: what the log has up to row 1001"), "{}", words(&proven));

    let other = Log::with(1).public_key();
    let refused = verify(&export, &other, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(words(&refused).contains("not signed by the audit key"), "{}", words(&refused));
}

#[test]
fn tampering_with_an_export_is_seen() {
    let log = Log::with(20);
    let (export, key) = (log.export(&[]), log.public_key());
    let lines: Vec<&str> = export.lines().collect();
    let said = |lines: &[&str]| {
        let output = verify(&(lines.join("\n") + "\n"), &key, &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        words(&output)
    };
    // A checkpoint is the second line: line n holds row n.
    let changed: Vec<String> = lines.iter().map(|line| line.replace("GET /6\"", "GET /x\"")).collect();
    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
    assert!(said(&changed).contains("row 7 was changed"), "{}", said(&changed));
    let mut removed = lines.clone();
    removed.remove(7);
    assert!(said(&removed).contains("row 7 was removed"), "{}", said(&removed));
    let mut moved = lines.clone();
    moved.swap(7, 8);
    assert!(said(&moved).contains("row 7 was moved"), "{}", said(&moved));
    let mut doubled = lines.clone();
    doubled.insert(9, lines[4]);
    assert!(said(&doubled).contains("row 9 was inserted"), "{}", said(&doubled));
    let output = verify(&lines[..lines.len() - 1].join("\n"), &key, &[]);
    assert!(words(&output).contains("no checkpoint covers them"), "an end that is not signed: {}", words(&output));
}

#[test]
fn what_is_no_export_is_refused_by_its_line() {
    let log = Log::with(3);
    let (export, key) = (log.export(&[]), log.public_key());
    for bad in ["nonsense\n", "{\"record\":1}\n", "\u{0}", "{\"record\":{\"seq\":1},\"hash\":\"00\",\"more\":1}\n"] {
        let output = verify(&(export.clone() + bad), &key, &[]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains("line 6 is neither a record nor a checkpoint"), "{words}");
    }
    let endless = verify(&"x".repeat(10_000_000), &key, &[]);
    assert_eq!(endless.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&endless.stderr).contains("line 1 is neither"));
    assert_eq!(verify(&export, "00", &[]).status.code(), Some(2));
}
