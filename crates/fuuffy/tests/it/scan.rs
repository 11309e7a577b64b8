//! `fuuffy scan`: what is planted is found and told by its place, and nothing that is told holds it.

mod history;
mod rules;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use fuuffy_protocol::{ClientSecret, SecretKind};
use serde_json::Value;

use crate::app::BINARY;
use crate::leaks::find_leak;

/// A secret that a server could have made.
fn secret(kind: SecretKind, seed: u8) -> String {
    ClientSecret::from_random(kind, &mut [seed; 32]).reveal().to_owned()
}

/// What a scan answered. Nothing of it may hold a secret.
struct Scan {
    status: i32,
    out: String,
    err: String,
}

impl Scan {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

fn scan_in(folder: &Path, arguments: &[&str], input: &[u8]) -> Scan {
    let mut child = Command::new(BINARY)
        .arg("scan")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let planted: Vec<String> = (0..=u8::MAX)
        .flat_map(|seed| [SecretKind::Testing, SecretKind::Production].map(|kind| secret(kind, seed)))
        .map(|secret| secret[9..].to_owned())
        .collect();
    for words in [&stdout, &stderr] {
        assert_eq!(find_leak(words, &planted), None, "{}", String::from_utf8_lossy(words));
    }
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Scan { status: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn secrets_are_found_in_all_files_of_a_folder() {
    let place = tempfile::tempdir().unwrap();
    let (testing, live) = (secret(SecretKind::Testing, 1), secret(SecretKind::Production, 2));
    write(place.path(), "a/settings.py", format!("# settings\nSECRET = \"{testing}\"\n"));
    write(place.path(), ".env", format!("FUUFFY_CLIENT_SECRET={live}\n"));
    write(place.path(), ".gitignore", ".env\n");
    write(place.path(), "core", [&[0_u8, 159, 255][..], testing.as_bytes(), &[0, 10]].concat());
    let wide: Vec<u8> = format!("x\n{live}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    write(place.path(), "windows.txt", [&[0xff_u8, 0xfe][..], &wide].concat());
    write(place.path(), "clean.txt", testing.replace("fsk_test_", "fsk_live_"));
    let scan = scan_in(place.path(), &["."], b"");
    insta::assert_snapshot!(scan.out, @r"
    ./.env:1:22: production secret fsk_live_0TWD…
    ./a/settings.py:2:11: testing secret fsk_test_0El6…
    ./core:1:4: testing secret fsk_test_0El6…
    ./windows.txt:2:2: production secret fsk_live_0TWD…
    ");
    assert_eq!(scan.status, 1);
    let err = scan.err.as_str();
    insta::assert_snapshot!(err, @r"
    Searched 6 files and objects of 409 bytes: found 4, could not read 0.
    Whoever could read them has them: replace each secret (fuuffy rotate), then retire it.
    ");
    let found = serde_json::json!({
        "found": [{
            "found": "secret",
            "environment": "testing",
            "masked": "fsk_test_0El6…",
            "in": "file",
            "path": "a/settings.py",
            "line": 2,
            "column": 11,
        }],
        "searched": 1,
        "bytes": 81,
        "unread": 0,
    });
    assert_eq!(scan_in(place.path(), &["a", "--json"], b"").json(), found);
}

#[test]
fn nothing_found_is_0_and_nothing_read_is_2() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "clean.txt", "fsk_test_ is the prefix, and fsk_live_");
    assert_eq!(scan_in(place.path(), &["."], b"").status, 0);
    let missing = scan_in(place.path(), &["clean.txt", "missing.txt"], b"");
    assert_eq!(missing.status, 2);
    assert!(missing.err.contains("missing.txt: ") && missing.err.contains("could not read 1"), "{}", missing.err);
    write(place.path(), "dirty.txt", secret(SecretKind::Testing, 3));
    assert_eq!(scan_in(place.path(), &["missing.txt", "dirty.txt"], b"").status, 1, "what was found counts");
    for wrong in [&[][..], &["--rules", "semgrep"], &["--rules", "github", "."], &["--color", "."]] {
        assert_eq!(scan_in(place.path(), wrong, b"").status, 2, "{wrong:?}");
    }
}

#[test]
fn standard_input_is_searched_too() {
    let place = tempfile::tempdir().unwrap();
    let input = format!("+++ b/settings\n+secret: {}", secret(SecretKind::Production, 4));
    let scan = scan_in(place.path(), &["-"], input.as_bytes());
    assert_eq!(scan.status, 1);
    assert!(scan.out.starts_with("-:2:10: production secret fsk_live_"), "{}", scan.out);
}

/// A name is shown wherever something is found or not read, so it is masked there.
#[test]
fn a_secret_in_a_name_is_found_and_not_shown() {
    let place = tempfile::tempdir().unwrap();
    let testing = secret(SecretKind::Testing, 5);
    write(place.path(), &format!("{testing}/backup\n.txt"), &testing);
    std::fs::create_dir(place.path().join(format!("{testing}/{testing}"))).unwrap();
    let scan = scan_in(place.path(), &["."], b"");
    insta::assert_snapshot!(scan.out, @r"
    ./fsk_test_1BnW…: testing secret fsk_test_1BnW… in its name
    ./fsk_test_1BnW…/backup�.txt:1:1: testing secret fsk_test_1BnW…
    ./fsk_test_1BnW…/fsk_test_1BnW…: testing secret fsk_test_1BnW… in its name
    ");
    let scan = scan_in(place.path(), &[&format!("missing-{testing}"), "."], b"");
    assert!(scan.err.contains("missing-fsk_test_"), "{}", scan.err);
    scan_in(place.path(), &[".", "--json"], b"");
}

#[test]
fn links_that_are_met_are_not_followed_and_one_that_is_named_is() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "elsewhere/secret.txt", secret(SecretKind::Testing, 6));
    std::fs::create_dir(place.path().join("here")).unwrap();
    for (link, to) in [("here/loop", "../here"), ("here/file", "../elsewhere/secret.txt"), ("here/nowhere", "x")] {
        std::os::unix::fs::symlink(to, place.path().join(link)).unwrap();
    }
    assert_eq!(scan_in(place.path(), &["here"], b"").status, 0);
    assert_eq!(scan_in(place.path(), &["here/file"], b"").status, 1);
    assert_eq!(scan_in(place.path(), &["here/loop/file"], b"").status, 1);
}

#[test]
fn tokens_are_found_where_they_are_asked_for() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "log", "GET /v1/orders\nauthorization: Bearer sk-418e41a74ca2e7d941fa4456d73dbed7\n");
    assert_eq!(scan_in(place.path(), &["log"], b"").status, 0);
    let scan = scan_in(place.path(), &["log", "--tokens"], b"");
    assert_eq!((scan.status, scan.out.as_str()), (1, "log:2:23: token sk-418e…\n"));
}

/// What was named itself is searched, even where it is no file: a pipe that a shell names is one.
#[test]
fn a_pipe_that_is_named_is_searched() {
    let place = tempfile::tempdir().unwrap();
    let scan = scan_in(place.path(), &["/dev/stdin"], secret(SecretKind::Testing, 1).as_bytes());
    assert_eq!((scan.status, scan.out.lines().count()), (1, 1), "{}{}", scan.out, scan.err);
}
