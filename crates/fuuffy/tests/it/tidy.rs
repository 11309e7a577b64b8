//! The house rules, as a test: who may depend on whom, what each crate must never touch, and how files look.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

const LONGEST_FILE: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A Rust file of the workspace, by its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The text without comments, and without what only tests see.
    fn code(&self) -> String {
        let lines = self.text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("tests.rs") || self.path.starts_with("fuzz/")
    }
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("fuzz"), root.join("benches")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(&root).unwrap().display().to_string(), text });
            }
        }
    }
    assert!(found.len() > 60, "the sources were not found");
    found
}

/// What each crate of the workspace needs to be built, by name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    let names = |package: &cargo_metadata::Package| {
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
        normal.map(|dependency| dependency.name.clone()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), names(package))).collect()
}

fn ours<'a>(of: &'a BTreeMap<String, BTreeSet<String>>, name: &str) -> BTreeSet<&'a str> {
    of[name].iter().map(String::as_str).filter(|it| it.starts_with("fuuffy")).collect()
}

/// No file of `crates` may have one of `words` in its code, tests aside.
fn never_in(crates: &[&str], words: &[&str], except: &[&str]) {
    for source in sources() {
        let is_meant = crates.iter().any(|it| source.path.starts_with(&format!("crates/{it}/src/")));
        if !is_meant || source.is_test() || except.contains(&source.path.as_str()) {
            continue;
        }
        let code = source.code();
        for word in words {
            assert!(!code.contains(word), "{} has `{word}`", source.path);
        }
    }
}

#[test]
fn invariant_1_protocol_and_domain_are_pure() {
    let all = dependencies();
    let impure =
        ["tokio", "hyper", "hyper-util", "axum", "rusqlite", "getrandom", "rand", "tracing", "tower", "rustix"];
    for name in ["fuuffy-protocol", "fuuffy-domain"] {
        for dependency in impure {
            assert!(!all[name].contains(dependency), "{name} depends on {dependency}");
        }
    }
    never_in(
        &["protocol", "domain"],
        &["async ", "SystemTime::now", "Instant::now", "std::fs", "std::net::Tcp", "std::env", "thread::spawn"],
        &[],
    );
}

#[test]
fn invariant_2_only_store_knows_a_database_and_only_fuuffy_the_machine() {
    let all = dependencies();
    for (name, needs) in &all {
        assert!(!needs.contains("rusqlite") || name == "fuuffy-store", "{name} knows a database");
        let asks = ["getrandom", "rustix", "socket2", "clap", "toml"].iter().any(|it| needs.contains(*it));
        assert!(!asks || name == "fuuffy", "{name} asks the machine");
    }
    let machine = ["std::env", "std::fs", "std::process", "TcpListener", "UnixListener", "SystemTime::now"];
    never_in(&["protocol", "domain", "issuer", "gateway", "admin"], &machine, &[]);
    // The integrator's side stands alone: it reads and replaces secrets where they are kept, and nothing else.
    let of_client = [
        "crates/client/src/clock.rs",
        "crates/client/src/credentials/exec.rs",
        "crates/client/src/credentials/file.rs",
        "crates/client/src/credentials/file/replacement.rs",
        "crates/client/src/credentials/variables.rs",
        "crates/client/src/test_util/server.rs",
    ];
    never_in(&["client"], &machine, &of_client);
    never_in(&["store"], &["std::env", "std::process", "std::net::Tcp", "std::net::Udp", "tokio::net"], &[]);
    never_in(&["fuuffy"], &["std::env::var"], &["crates/fuuffy/src/settings.rs"]);
    never_in(&["fuuffy"], &["SystemTime::now", "getrandom::"], &["crates/fuuffy/src/server/system.rs"]);
}

#[test]
fn invariant_3_dependencies_go_one_way() {
    let all = dependencies();
    let expected: [(&str, &[&str]); 8] = [
        ("fuuffy-protocol", &[]),
        ("fuuffy-client", &["fuuffy-protocol"]),
        ("fuuffy-domain", &["fuuffy-protocol"]),
        ("fuuffy-store", &["fuuffy-domain", "fuuffy-protocol"]),
        ("fuuffy-issuer", &["fuuffy-domain", "fuuffy-protocol", "fuuffy-store"]),
        ("fuuffy-gateway", &["fuuffy-domain", "fuuffy-protocol", "fuuffy-store"]),
        ("fuuffy-admin", &["fuuffy-domain", "fuuffy-protocol", "fuuffy-store"]),
        (
            "fuuffy",
            &[
                "fuuffy-admin",
                "fuuffy-client",
                "fuuffy-domain",
                "fuuffy-gateway",
                "fuuffy-issuer",
                "fuuffy-protocol",
                "fuuffy-store",
            ],
        ),
    ];
    for (name, needs) in expected {
        assert_eq!(ours(&all, name), needs.iter().copied().collect(), "{name}");
    }
    let folders: BTreeSet<String> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    let named: BTreeSet<String> =
        expected.iter().map(|(name, _)| name.strip_prefix("fuuffy-").unwrap_or(name).to_owned()).collect();
    assert_eq!(folders, named, "every folder is one crate, named after it");
}

#[test]
fn invariant_4_the_proxied_path_touches_no_disk_and_no_database() {
    // The gateway reads a store only through these; none of them is a deed.
    never_in(
        &["gateway"],
        &[
            "embedded",
            "std::fs",
            "tokio::fs",
            "spawn_blocking",
            "create_client",
            "issue_token",
            "change_secret",
            "suspend_client",
        ],
        &[],
    );
    let index = ["crates/store/src/index.rs", "crates/store/src/directory.rs"];
    for source in sources().into_iter().filter(|source| index.contains(&source.path.as_str())) {
        for word in ["rusqlite", "std::fs", "std::io", "Connection"] {
            assert!(!source.code().contains(word), "{} has `{word}`", source.path);
        }
    }
}

#[test]
fn invariant_5_an_environment_is_one_value() {
    let words =
        ["static mut", "thread_local!", "OnceLock", "LazyLock", "once_cell", "lazy_static", "Map<EnvironmentName"];
    never_in(&["protocol", "domain", "store", "issuer", "gateway", "admin", "client", "fuuffy"], &words, &[]);
    let built: Vec<String> = sources()
        .into_iter()
        .filter(|source| !source.is_test() && source.code().contains("EmbeddedStore::open("))
        .map(|source| source.path)
        .collect();
    assert_eq!(built, ["crates/fuuffy/src/server/environment.rs"], "an environment is built in one place");
}

#[test]
fn files_say_what_they_are_for_and_stay_short() {
    for source in sources() {
        assert!(source.text.starts_with("//!"), "{} does not open with //!", source.path);
        let lines = source.text.lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", source.path);
        if source.path.ends_with("it/tidy.rs") {
            continue;
        }
        for word in ["todo!", "dbg!", "unimplemented!", "#[ignore", "#[allow(", "#![allow(", "thread::sleep", "FIXME"] {
            assert!(!source.text.contains(word), "{} has `{word}`", source.path);
        }
    }
}

#[test]
fn every_crate_forbids_unsafe_code_by_the_workspaces_lints() {
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let manifest = std::fs::read_to_string(entry.unwrap().path().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{manifest}");
    }
    assert!(std::fs::read_to_string(root().join("Cargo.toml")).unwrap().contains("unsafe_code = \"forbid\""));
}

#[test]
fn the_generated_reference_is_up_to_date() {
    let kept = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let command = "cargo run -p fuuffy -- reference configuration > docs/configuration.md";
    assert!(kept == fuuffy::config::reference(), "run: {command}");
    let kept = std::fs::read_to_string(root().join("docs/openapi.json")).unwrap();
    let command = "cargo run -p fuuffy -- reference openapi > docs/openapi.json";
    assert!(kept == fuuffy_admin::openapi(), "run: {command}");
}

/// Paths in the documents lead somewhere.
#[test]
fn documents_name_what_there_is() {
    for name in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, _)| text[at + 2..].split_at(0)) {
            let target = rest.split(')').next().unwrap().split('#').next().unwrap();
            if !target.is_empty() && !target.starts_with("http") {
                assert!(root().join(target).exists(), "{name} leads to {target}");
            }
        }
        for word in text.split(|letter: char| letter.is_whitespace() || "`(),;".contains(letter)) {
            let is_path = ["crates/", "benches/", "docs/", "fuzz/"].iter().any(|start| word.starts_with(start));
            if is_path && !word.contains(['*', '{', '<', '…']) {
                assert!(root().join(word.trim_end_matches(['.', ':'])).exists(), "{name} names {word}");
            }
        }
    }
}

/// Whoever sets a variable finds it in a document.
#[test]
fn every_variable_is_documented() {
    let documents = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/integrators.md", "docs/configuration.md"];
    let text: String = documents.map(|name| std::fs::read_to_string(root().join(name)).unwrap()).concat();
    let mut found = BTreeSet::new();
    for source in sources().into_iter().filter(|source| source.path.starts_with("crates/") && !source.is_test()) {
        for (at, _) in source.text.match_indices("FUUFFY_") {
            let name: String =
                source.text[at..].chars().take_while(|it| it.is_ascii_uppercase() || *it == '_').collect();
            found.insert(name);
        }
    }
    assert!(found.contains("FUUFFY_CLIENT_ID"), "{found:?}");
    for name in found {
        assert!(text.contains(&name), "{name} is in no document");
    }
}
