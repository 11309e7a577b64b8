//! Where `fuuffy token` has its secret from: what a profile says, and what a variable says instead.

use std::path::Path;
use std::process::Command;

use crate::app::BINARY;

/// What `fuuffy token` says where it fails, at home in a folder that has a profile.
fn said(home: &Path, profile: &str, variables: &[(&str, &str)]) -> String {
    let profiles = home.join("profiles.toml");
    std::fs::write(&profiles, format!("[testing]\nclient_id = \"app_1\"\n{profile}\n")).unwrap();
    let ended = Command::new(BINARY)
        .args(["token", "--profiles"])
        .arg(&profiles)
        .env_clear()
        .env("HOME", home)
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/no/such/bus")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(!ended.status.success() && ended.stdout.is_empty());
    String::from_utf8(ended.stderr).unwrap()
}

/// What is said of a keyring, which not all builds have.
fn of_keyring() -> &'static str {
    if cfg!(feature = "keyring") {
        "there is no keyring to be reached on this machine"
    } else {
        "FUUFFY_KEYRING is set, but this program was built without it; build it with --features keyring"
    }
}

#[test]
fn a_profile_names_a_vault_or_a_keyring_and_a_variable_wins() {
    let home = tempfile::tempdir().unwrap();
    let (vault, keyring) = ("vault_path = \"secret/fuuffy\"", "keyring = \"fuuffy\"");
    let nowhere = said(home.path(), vault, &[]);
    assert!(nowhere.contains("VAULT_ADDR is not set"), "{nowhere}");
    let nobody = said(home.path(), vault, &[("VAULT_ADDR", "https://vault.example.com:8200")]);
    assert!(nobody.contains("there is no login to Vault; run vault login"), "{nobody}");
    for (profile, variables) in [(keyring, &[][..]), (vault, &[("FUUFFY_KEYRING", "1")])] {
        let said = said(home.path(), profile, variables);
        assert!(said.contains(of_keyring()), "{said}");
    }
    let both = said(home.path(), &format!("{vault}\n{keyring}"), &[]);
    assert!(both.contains("set only one of FUUFFY_CLIENT_SECRET, ") && both.contains("FUUFFY_VAULT_PATH"), "{both}");
    let unknown = said(home.path(), "client_secret = \"s3cret\"", &[]);
    assert!(unknown.contains("keyring and vault_path") && !unknown.contains("s3cret"), "{unknown}");
}
