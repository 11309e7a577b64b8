//! Copies of everything that lasts: made beside a busy server, put back whole or not at all, and believed only
//! when they are what they say.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::app::{Place, Registered, ask_for_token, get, token};
use crate::keys::unlimited;
use crate::kills::Killer;

const CALLERS: usize = 4;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn back_up(place: &Place, to: &Path, more: &[&str]) -> Value {
    place.done(&[&["backup", "--to", text(to)], more].concat())
}

fn restore(place: &Place, from: &Path, more: &[&str]) -> Value {
    place.done(&[&["restore", "--from", text(from)], more].concat())
}

fn refused(place: &Place, arguments: &[&str]) -> String {
    let output = place.command(arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Another machine, with the key files of the first.
fn elsewhere(place: &Place) -> Place {
    let other = unlimited();
    std::fs::create_dir(other.path("data")).unwrap();
    for keys in ["pepper.key", "audit.key"] {
        copy(&place.path("data").join(keys), &other.path("data").join(keys));
    }
    other
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_backup_of_a_busy_server_has_all_that_was_acknowledged_before_it() {
    let place = unlimited();
    let clients: Vec<Registered> = (0..CALLERS).map(|_| place.client("testing")).collect();
    let server = place.serve();
    let (tokens, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let (folder, archive) = (place.path("kept"), place.path("kept.tar"));
    let (before, after) = std::thread::scope(|scope| {
        for client in &clients {
            let (tokens, over, testing) = (&tokens, &over, server.testing);
            scope.spawn(move || {
                while !over.load(Ordering::Acquire) {
                    let fresh = token(testing, client);
                    tokens.lock().unwrap().push(fresh);
                }
            });
        }
        let work = || {
            while tokens.lock().unwrap().len() < 200 {
                std::thread::yield_now();
            }
            let before = tokens.lock().unwrap().clone();
            back_up(&place, &folder, &[]);
            back_up(&place, &archive, &[]);
            let after = token(server.testing, &clients[0]);
            (before, after)
        };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Release);
        done.unwrap()
    });
    for from in [&folder, &archive] {
        let other = elsewhere(&place);
        restore(&other, from, &["--keep-tokens"]);
        let server = other.serve();
        for token in &before {
            assert_eq!(get(server.testing, "/v1/orders", token).status, 200, "an acknowledged token is not in it");
        }
        assert_eq!(get(server.testing, "/v1/orders", &after).status, 401, "a token from after it is unknown");
        assert_eq!(ask_for_token(server.testing, &clients[1]).status, 200);
        assert!(server.stop().success());
    }
    assert!(server.stop().success());
}

#[test]
fn a_restore_revokes_all_tokens_unless_it_is_told_not_to() {
    let place = unlimited();
    let client = place.client("testing");
    let server = place.serve();
    let [kept, revoked] = [0, 1].map(|_| token(server.testing, &client));
    let folder = place.path("kept");
    let made = back_up(&place, &folder, &[]);
    let revoke = ["tokens", "revoke", "--environment", "testing", "--client", &client.id];
    place.done(&revoke);
    let words = refused(&place, &["restore", "--replace", "--from", text(&folder)]);
    assert!(words.contains("is in use by another fuuffy"), "{words}");
    let late = token(server.testing, &client);
    assert!(server.stop().success());

    let words = refused(&place, &["restore", "--from", text(&folder)]);
    assert!(words.contains("say --replace to put it aside"), "{words}");
    let restored = restore(&place, &folder, &["--replace"]);
    let aside = PathBuf::from(restored["put_aside"].as_str().unwrap());
    assert!(aside.join("testing.sqlite3").exists() && !place.path("data.restoring").exists());
    let noted = &made["manifest"]["files"][0]["store"]["noted_at"];
    let state = std::fs::read_to_string(place.path("data/testing.sqlite3.state")).unwrap();
    assert!(state.split(' ').next().unwrap().parse::<i64>().unwrap() >= noted.as_i64().unwrap(), "{state} {noted}");
    let server = place.serve();
    for token in [&kept, &revoked, &late] {
        assert_eq!(get(server.testing, "/v1/orders", token).status, 401);
    }
    let fresh = token(server.testing, &client);
    assert_eq!(get(server.testing, "/v1/orders", &fresh).status, 200);
    let log = place.done(&["audit", "list", "--environment", "testing"]);
    let deeds: Vec<&Value> = log.as_array().unwrap().iter().map(|row| &row["record"]["deed"]).collect();
    assert_eq!(deeds, ["client.tokens_revoked", "store.restored", "client.created"], "newest first");
    assert_eq!(log[1]["record"]["tokens_revoked"], true);
    assert!(server.stop().success());

    restore(&place, &folder, &["--replace", "--keep-tokens"]);
    let server = place.serve();
    assert_eq!(get(server.testing, "/v1/orders", &revoked).status, 200, "that is what --keep-tokens says");
    assert!(server.stop().success());
}

#[test]
fn a_backup_is_private_overwrites_nothing_and_has_keys_only_when_it_is_told() {
    let place = unlimited();
    let client = place.client("production");
    let (folder, with_keys, archive) = (place.path("kept"), place.path("keyed"), place.path("kept.tar"));
    back_up(&place, &folder, &[]);
    back_up(&place, &archive, &[]);
    assert_eq!((mode(&folder), mode(&archive)), (0o700, 0o600));
    for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        assert!(!["pepper.key", "audit.key"].contains(&entry.file_name().to_str().unwrap()));
    }
    for taken in [&folder, &archive] {
        let words = refused(&place, &["backup", "--to", text(taken)]);
        assert!(words.contains("a backup overwrites nothing"), "{words}");
    }
    let output = place.command(&["backup", "--with-keys", "--to", text(&with_keys)]);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && words.contains("Guard it as you guard the server"), "{words}");
    for keys in ["pepper.key", "audit.key"] {
        assert_eq!(mode(&with_keys.join(keys)), 0o600);
    }

    let other = unlimited();
    let words = refused(&other, &["restore", "--from", text(&folder)]);
    assert!(words.contains("the key file is missing"), "{words}");
    restore(&other, &with_keys, &[]);
    assert_eq!(mode(&other.path("data")), 0o700);
    let server = other.serve();
    assert_eq!(ask_for_token(server.production, &client).status, 200);
    assert!(server.stop().success());
    let nothing = Place::new("data_dir = \"none\"\n[environments.testing]\nlisten = \"127.0.0.1:0\"");
    assert_eq!(nothing.command(&["backup", "--to", text(&nothing.path("kept"))]).status.code(), Some(1));
    assert!(!nothing.path("kept").exists());
}

/// An audit key is only ever added, so whoever has those of the backup and more has all that it needs.
#[test]
fn a_backup_with_keys_from_before_an_audit_rotation_is_restored_and_the_newer_file_stays() {
    let place = unlimited();
    place.client("testing");
    let first = place.done(&["audit", "key", "--environment", "testing"])[0]["public_key"].clone();
    let folder = place.path("keyed");
    back_up(&place, &folder, &["--with-keys"]);
    place.done(&["keys", "rotate", "--audit"]);
    let file = place.path("data/audit.key");
    let both = std::fs::read_to_string(&file).unwrap();
    restore(&place, &folder, &["--replace"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), both);
    assert_eq!(mode(&file), 0o600);
    let verify = ["audit", "verify", "--environment", "testing", "--public-key", first.as_str().unwrap()];
    assert_eq!(place.done(&verify)["verdict"], "proven");

    let newest = both.lines().next().unwrap();
    std::fs::write(&file, format!("{newest}\n")).unwrap();
    let words = refused(&place, &["restore", "--replace", "--from", text(&folder)]);
    assert!(words.contains("signed with key 1, which is not in it"), "{words}");
    std::fs::write(&file, format!("{newest}\n1 {}\n", "ab".repeat(32))).unwrap();
    let words = refused(&place, &["restore", "--replace", "--from", text(&folder)]);
    assert!(words.contains("its key 1 is not the one that the backup's audit log is signed with"), "{words}");
    std::fs::write(&file, both).unwrap();
    restore(&place, &folder, &["--replace"]);
}

/// Each is refused in its own words, and leaves nothing.
#[test]
fn what_is_no_whole_backup_of_this_product_is_refused() {
    let place = unlimited();
    place.client("testing");
    let whole = place.path("kept");
    back_up(&place, &whole, &[]);
    let spoil = |how: &dyn Fn(&Path)| {
        let other = elsewhere(&place);
        let folder = other.path("spoilt");
        copy(&whole, &folder);
        how(&folder);
        let words = refused(&other, &["restore", "--from", text(&folder)]);
        assert!(!other.path("data/testing.sqlite3").exists(), "{words}");
        // What was left behind is not in the way.
        restore(&other, &whole, &[]);
        words
    };
    let change = |file: PathBuf, from: &str, to: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
    };
    let manifest = |folder: &Path| folder.join("manifest.json");
    let words = spoil(&|folder| {
        let file = folder.join("testing.sqlite3");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[5000] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    });
    assert!(words.contains("testing.sqlite3 is damaged"), "{words}");
    let words = spoil(&|folder| std::fs::remove_file(folder.join("production.sqlite3")).unwrap());
    assert!(words.contains("production.sqlite3 is missing"), "{words}");
    let words = spoil(&|folder| std::fs::remove_file(manifest(folder)).unwrap());
    assert!(words.contains("no manifest"), "{words}");
    let words = spoil(&|folder| std::fs::write(manifest(folder), "{}").unwrap());
    assert!(words.contains("none of fuuffy's"), "{words}");
    let words = spoil(&|folder| change(manifest(folder), "\"format\": 1", "\"format\": 2"));
    assert!(words.contains("made by a newer fuuffy (format 2"), "{words}");
    let words = spoil(&|folder| change(manifest(folder), "\"testing.sqlite3\"", "\"../x.sqlite3\""));
    assert!(words.contains("which no backup has"), "{words}");
    let words = spoil(&|folder| {
        let store = folder.join("testing.sqlite3");
        rusqlite::Connection::open(&store).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let sum = String::from_utf8(Command::new("sha256sum").arg(&store).output().unwrap().stdout).unwrap();
        let text = std::fs::read_to_string(manifest(folder)).unwrap();
        let mut said: Value = serde_json::from_str(&text).unwrap();
        let file = said["files"].as_array_mut().unwrap().iter_mut().find(|file| file["name"] == "testing.sqlite3");
        file.unwrap()["sha256"] = json!(sum.split(' ').next().unwrap());
        std::fs::write(manifest(folder), said.to_string()).unwrap();
    });
    assert!(words.contains("written by a newer fuuffy (version 99"), "{words}");

    let archive = place.path("kept.tar");
    back_up(&place, &archive, &[]);
    let bytes = std::fs::read(&archive).unwrap();
    for length in [0, 100, 3000, bytes.len() / 2, bytes.len() - 30_000] {
        let other = elsewhere(&place);
        std::fs::write(other.path("cut.tar"), &bytes[..length]).unwrap();
        refused(&other, &["restore", "--from", text(&other.path("cut.tar"))]);
        assert!(!other.path("data/testing.sqlite3").exists(), "cut at {length}");
    }

    let other = elsewhere(&place);
    std::fs::write(other.path("data/pepper.key"), format!("1 {}\n", "ab".repeat(32))).unwrap();
    let words = refused(&other, &["restore", "--from", text(&whole)]);
    assert!(words.contains("its key 1 is not the one that the backup was made under"), "{words}");
    std::fs::write(other.path("data/pepper.key"), format!("2 {}\n", "ab".repeat(32))).unwrap();
    let words = refused(&other, &["restore", "--from", text(&whole)]);
    assert!(words.contains("made under key 1, which is not in it"), "{words}");
    let lonely = Place::new("[environments.testing]\nlisten = \"127.0.0.1:0\"");
    let words = refused(&lonely, &["restore", "--from", text(&whole)]);
    assert!(words.contains("has no [environments.production]"), "{words}");
}

/// The client of the old world, that of the backup alone, and one that is in both.
struct Worlds {
    template: Place,
    both: Registered,
    old: Registered,
}

impl Worlds {
    fn new() -> Self {
        let template = unlimited();
        let both = template.client("testing");
        back_up(&template, &template.path("kept"), &[]);
        let old = template.client("testing");
        Self { template, both, old }
    }

    fn place(&self) -> Place {
        let place = unlimited();
        for name in ["data", "kept"] {
            copy(&self.template.path(name), &place.path(name));
        }
        place
    }
}

/// `/proc` is one everywhere, and nothing can be made in it: it is refused before anything is tried.
#[test]
fn a_mount_point_is_refused_with_a_way_out() {
    let place = unlimited();
    place.client("testing");
    back_up(&place, &place.path("kept"), &[]);
    let text_of = std::fs::read_to_string(place.config_file()).unwrap();
    let data_dir = |path: &Path| place.write_config(&text_of.replace("\"data\"", &format!("{:?}", text(path))));
    let link = place.path("link");
    std::os::unix::fs::symlink("/proc", &link).unwrap();
    for path in [Path::new("/proc"), &link] {
        data_dir(path);
        let said = refused(&place, &["restore", "--replace", "--from", text(&place.path("kept"))]);
        assert!(said.contains("/proc is a mount point") && said.contains("as /proc/data"), "{said}");
    }
    // Below one it goes.
    data_dir(&place.path("data"));
    restore(&place, &place.path("kept"), &["--replace"]);
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_directory_or_the_new_one_whole() {
    let worlds = Worlds::new();
    let arguments =
        |place: &Place| ["restore", "--replace", "--from", text(&place.path("kept"))].map(str::to_owned).to_vec();
    let (old, new) = (AtomicBool::new(false), AtomicBool::new(false));
    let steps = Killer::build().at_every_step(
        || (worlds.place(), ()),
        arguments,
        |step, place, ()| {
            let server = place.serve();
            assert_eq!(ask_for_token(server.testing, &worlds.both).status, 200, "step {step}: {}", place.log());
            let is_old = ask_for_token(server.testing, &worlds.old).status == 200;
            if is_old { &old } else { &new }.store(true, Ordering::Relaxed);
            assert!(server.stop().success());
            restore(place, &place.path("kept"), &["--replace"]);
            let is_aside = |name: &str| name.starts_with("data.before-") || name.starts_with("data.left");
            let kept = std::fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name());
            let kept = kept.filter(|name| is_aside(name.to_str().unwrap())).count();
            assert!(kept >= if is_old { 1 } else { 2 }, "step {step}: nothing that was in force is thrown away");
        },
    );
    assert!(steps > 20, "only {steps} steps were met");
    assert!(old.into_inner() && new.into_inner(), "both ends were met");
}

#[test]
fn a_backup_that_is_killed_has_no_name_or_is_whole() {
    let worlds = Worlds::new();
    let arguments = |place: &Place| ["backup", "--to", text(&place.path("fresh"))].map(str::to_owned).to_vec();
    let steps = Killer::build().at_every_step(
        || (worlds.place(), ()),
        arguments,
        |step, place, ()| {
            if place.path("fresh").exists() {
                restore(place, &place.path("fresh"), &["--replace"]);
                let server = place.serve();
                assert_eq!(ask_for_token(server.testing, &worlds.old).status, 200, "step {step}");
            }
        },
    );
    assert!(steps > 10, "only {steps} steps were met");
}
