//! What a git repository keeps is searched, whether anything leads to it or not.

use std::cell::Cell;
use std::path::Path;
use std::process::{Command, Stdio};

use fuuffy_protocol::SecretKind;

use super::{scan_in, secret, write};

/// A repository; each commit is made a minute after the one before by the same author, so that its id is always the same.
struct Repository {
    folder: tempfile::TempDir,
    commits: Cell<u32>,
}

impl Repository {
    fn new() -> Self {
        let it = Self { folder: tempfile::tempdir().unwrap(), commits: Cell::new(0) };
        it.git(&["init", "--quiet", "--initial-branch", "main"]);
        it
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(self.path()).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        for (who, name) in [("GIT_AUTHOR_NAME", "A"), ("GIT_COMMITTER_NAME", "A")] {
            git.env(who, name);
        }
        for name in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            git.env(name, "a@example.com");
        }
        self.commits.set(self.commits.get() + u32::from(arguments[0] == "commit"));
        for name in ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"] {
            git.env(name, format!("2026-11-01T00:{:02}:00Z", self.commits.get()));
        }
        let done = git.output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Commits a file, and answers the commit's id.
    fn commit(&self, name: &str, text: &str) -> String {
        write(self.path(), name, text);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", &format!("Change {name}")]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn found(&self) -> Vec<String> {
        let scan = scan_in(self.path(), &[".", "--history"], b"");
        assert_eq!(scan.status, i32::from(!scan.out.is_empty()), "{}", scan.err);
        let mut lines: Vec<String> = scan.out.lines().map(|line| line.split_once(": ").unwrap().0.to_owned()).collect();
        lines.sort();
        lines
    }
}

#[test]
fn what_was_deleted_is_found_with_the_commit_that_had_it_first() {
    let repository = Repository::new();
    repository.commit("README", "Hello\n");
    let first =
        repository.commit("deep/a settings.toml", &format!("\nsecret = \"{}\"\n", secret(SecretKind::Testing, 10)));
    repository.commit("copy", &format!("\nsecret = \"{}\"\n", secret(SecretKind::Testing, 10)));
    repository.git(&["rm", "--quiet", "-r", "deep", "copy"]);
    repository.git(&["commit", "--quiet", "--message", "Remove"]);
    assert_eq!(scan_in(repository.path(), &["."], b"").status, 0, "it is not in the files any more");
    assert_eq!(repository.found(), [format!("{first}:deep/a settings.toml:2:11")], "each object once");
    repository.git(&["gc", "--quiet"]);
    assert_eq!(repository.found(), [format!("{first}:deep/a settings.toml:2:11")], "packed");
    // From within, and with the variables that a hook has.
    let scan = scan_in(&repository.path().join(".git"), &["../README", "--history", "--json"], b"");
    let found = &scan.json()["found"][0];
    assert_eq!((&found["commit"], &found["path"]), (&first.into(), &"deep/a settings.toml".into()));
    assert_eq!(
        (&found["in"], &found["kind"], &found["environment"]),
        (&"history".into(), &"blob".into(), &"testing".into())
    );
}

/// Who made a repository chose its paths. One that is longer than anybody can show ends nothing, and commands no terminal.
#[test]
fn a_path_without_end_is_cut() {
    let repository = Repository::new();
    repository.commit("README", "Hello\n");
    let make = |arguments: &[&str], input: &str| {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(repository.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut git = git.spawn().unwrap();
        std::io::Write::write_all(&mut git.stdin.take().unwrap(), input.as_bytes()).unwrap();
        String::from_utf8(git.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
    };
    let blob = make(&["hash-object", "-w", "--stdin"], &secret(SecretKind::Testing, 30));
    let name = "\u{1b}[2J".repeat(60);
    let mut tree = make(&["mktree", "-z"], &format!("100644 blob {blob}\t{name}\0"));
    // More than a pipe and our own buffer hold.
    for _ in 0..700 {
        tree = make(&["mktree", "-z"], &format!("040000 tree {tree}\t{name}\0"));
    }
    let commit = repository.git(&["commit-tree", &tree, "-m", "Deep"]);
    repository.git(&["update-ref", "refs/heads/deep", &commit]);
    let scan = scan_in(repository.path(), &[".", "--history"], b"");
    assert_eq!(scan.status, 1, "{}", scan.err);
    assert!(scan.out.starts_with(&format!("{commit}:")) && scan.out.lines().count() == 1, "{} bytes", scan.out.len());
    assert!(!scan.out.contains('\u{1b}') && scan.out.len() < 120_000);
}

#[test]
fn branches_merges_stashes_and_what_nothing_leads_to_are_searched() {
    let repository = Repository::new();
    let line = |seed| format!("{}\n", secret(SecretKind::Production, seed));
    repository.commit("README", "Hello\n");
    repository.git(&["checkout", "--quiet", "-b", "side"]);
    let side = repository.commit("side", &line(20));
    repository.git(&["rm", "--quiet", "side"]);
    repository.git(&["commit", "--quiet", "--message", "Remove"]);
    repository.git(&["checkout", "--quiet", "main"]);
    // A commit that was taken back: only the reflog knows it.
    let lost = repository.commit("lost", &line(21));
    repository.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    // What was added and never committed.
    write(repository.path(), "staged", line(22));
    repository.git(&["add", "staged"]);
    let staged = repository.git(&["rev-parse", ":staged"]);
    repository.git(&["rm", "--quiet", "--cached", "staged"]);
    std::fs::remove_file(repository.path().join("staged")).unwrap();
    // A message.
    write(repository.path(), "README", "Hello again\n");
    repository.git(&["commit", "--quiet", "--all", "--message", &format!("Use {}", line(23))]);
    let message = repository.git(&["rev-parse", "HEAD"]);
    let mut expected = vec![format!("{side}:side:1:1"), format!("{lost}:lost:1:1"), format!("blob {staged}:1:1")];
    let found = repository.found();
    let of_message: Vec<&String> = found.iter().filter(|it| it.starts_with(&format!("commit {message}:"))).collect();
    assert_eq!(of_message.len(), 1, "{found:?}");
    expected.push(of_message[0].clone());
    // git keeps the last message in a file, too.
    expected.extend(found.iter().filter(|it| it.starts_with("./.git/")).cloned());
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn repositories_within_a_folder_are_met() {
    let outer = tempfile::tempdir().unwrap();
    let repository = Repository::new();
    repository.commit("a", &secret(SecretKind::Testing, 30));
    repository.git(&["rm", "--quiet", "a"]);
    repository.git(&["commit", "--quiet", "--message", "Remove"]);
    let inner = outer.path().join("work/inner");
    let cloned = Command::new("git").args(["clone", "--quiet"]).args([repository.path(), &inner]).status().unwrap();
    assert!(cloned.success());
    assert_eq!(scan_in(outer.path(), &["."], b"").status, 0);
    assert_eq!(scan_in(outer.path(), &[".", "--history"], b"").status, 1);
    assert_eq!(scan_in(outer.path(), &["work/inner/.git", "--history"], b"").status, 1);
}

/// What git keeps is searched by asking git, for most of it is compressed; its files are not searched besides.
#[test]
fn the_files_of_objects_are_not_searched_themselves() {
    let repository = Repository::new();
    repository.commit("README", "Hello\n");
    write(repository.path(), ".git/objects/pack/x.tmp", secret(SecretKind::Testing, 35));
    write(repository.path(), "objects/x", secret(SecretKind::Testing, 36));
    assert_eq!(repository.found(), ["./objects/x:1:1"], "another folder of that name is one as any");
}

#[test]
fn what_has_no_history_and_a_machine_without_git_are_told() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "a", "nothing");
    let scan = scan_in(place.path(), &[".", "--history"], b"");
    assert_eq!(scan.status, 2);
    assert!(scan.err.contains(".: has no history that can be read: fatal: not a git repository"), "{}", scan.err);
    let ended = Command::new(crate::app::BINARY)
        .args(["scan", "--history", "."])
        .current_dir(place.path())
        .env_clear()
        .env("PATH", place.path())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let err = String::from_utf8(ended.stderr).unwrap();
    assert!(err.contains("git is not installed, and histories are read by it"), "{err}");
}

/// A repository's own settings run nothing.
#[test]
fn a_foreign_repository_runs_nothing() {
    let repository = Repository::new();
    repository.commit("a", &secret(SecretKind::Testing, 31));
    write(repository.path(), ".gitattributes", "* diff=evil filter=evil\n");
    let trap = repository.path().join("sprung");
    let command = format!("touch {}", trap.display());
    for name in [
        // This one diff-tree would run.
        "core.fsmonitor",
        "core.pager",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.smudge",
        "filter.evil.process",
        "gpg.program",
        "core.sshCommand",
        "core.alternateRefsCommand",
    ] {
        repository.git(&["config", name, &command]);
    }
    repository.git(&["config", "log.showSignature", "true"]);
    assert_eq!(scan_in(repository.path(), &[".", "--history"], b"").status, 1);
    assert!(!trap.exists());
}

/// Nor does it have anything fetched by a program of its own, where objects are missing.
#[test]
fn a_foreign_repository_has_nothing_fetched() {
    let repository = Repository::new();
    write(repository.path(), "folder/b", "hello");
    repository.commit("a", &secret(SecretKind::Testing, 32));
    let lost = repository.git(&["rev-parse", "HEAD:folder"]);
    std::fs::remove_file(repository.path().join(format!(".git/objects/{}/{}", &lost[..2], &lost[2..]))).unwrap();
    let trap = repository.path().join("sprung");
    let fetch = format!("touch {}", trap.display());
    for (name, value) in [
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", "/nowhere"),
        ("remote.origin.uploadPack", fetch.as_str()),
    ] {
        repository.git(&["config", name, value]);
    }
    let scan = scan_in(repository.path(), &[".", "--history"], b"");
    assert!(scan.status == 1 && scan.err.contains("not all of its commits were read"), "{}", scan.err);
    assert!(!trap.exists());
}

/// An object that git is told to show in the place of another hides nothing.
#[test]
fn what_is_replaced_is_searched_as_it_is() {
    let repository = Repository::new();
    let clean = repository.commit("clean", "hello");
    let first = repository.commit("a", &secret(SecretKind::Testing, 33));
    let [hidden, shown] = ["HEAD:a", "HEAD:clean"].map(|name| repository.git(&["rev-parse", name]));
    repository.git(&["rm", "--quiet", "a"]);
    repository.git(&["commit", "--quiet", "--message", "Remove"]);
    for (hidden, shown) in [(&hidden, &shown), (&first, &clean)] {
        repository.git(&["replace", hidden, shown]);
    }
    assert_eq!(repository.found(), [format!("{first}:a:1:1")]);
}

/// A hook has variables that mean the repository in which it runs.
#[test]
fn variables_of_a_hook_lead_nowhere_else() {
    let (repository, other) = (Repository::new(), Repository::new());
    repository.commit("a", &secret(SecretKind::Testing, 34));
    repository.git(&["rm", "--quiet", "a"]);
    repository.git(&["commit", "--quiet", "--message", "Remove"]);
    other.commit("README", "Hello\n");
    let ended = Command::new(crate::app::BINARY)
        .args(["scan", "--history", "."])
        .current_dir(repository.path())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("GIT_DIR", other.path().join(".git"))
        .env("GIT_WORK_TREE", other.path())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
}
