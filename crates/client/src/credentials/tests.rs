//! Which variables name which source, and what is said where they do not.

use super::*;
use crate::{BaseUrl, Environment};

fn said<'a>(variables: &'a [(&str, &str)]) -> Variables<'a> {
    let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Variables::found_by(value)
}

fn error(variables: &[(&str, &str)]) -> String {
    match said(variables).credentials() {
        Ok(_) => panic!("{variables:?} should be refused"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn one_variable_names_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fuuffy_client_secret");
    std::fs::write(&path, "from-a-file\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (path, folder) = (path.to_str().unwrap(), folder.path().to_str().unwrap());
    let command = r#"printf '{"client_id":"told","client_secret":"%s"}' 'from a command'"#;
    for (name, value, secret) in [
        ("FUUFFY_CLIENT_SECRET", "said", "said"),
        ("FUUFFY_CLIENT_SECRET_FILE", path, "from-a-file"),
        ("CREDENTIALS_DIRECTORY", folder, "from-a-file"),
        ("FUUFFY_CREDENTIALS_COMMAND", command, "from a command"),
    ] {
        let variables = [("FUUFFY_CLIENT_ID", "my-id"), (name, value)];
        let credentials = said(&variables).credentials().unwrap().read().await.unwrap();
        assert_eq!(credentials.secret().unwrap().reveal(), secret, "{name}");
    }
}

/// An access list's mask shows as the group's mode. Everybody's mode is everybody's, there too.
#[tokio::test]
async fn systemds_credential_may_show_a_groups_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fuuffy_client_secret");
    std::fs::write(&path, "from-systemd").unwrap();
    for (mode, is_read) in [(0o440, true), (0o444, false)] {
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let folder = ("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap());
        let source = said(&[("FUUFFY_CLIENT_ID", "my-id"), folder]).credentials().unwrap();
        assert_eq!(source.read().await.is_ok(), is_read, "{mode:o}");
    }
}

#[test]
fn what_is_missing_or_doubled_is_named() {
    assert!(error(&[]).contains("FUUFFY_CLIENT_ID is not set"));
    assert!(error(&[("FUUFFY_CLIENT_SECRET", "s3cret")]).contains("FUUFFY_CLIENT_ID is not set"));
    assert!(error(&[("FUUFFY_CLIENT_ID", "a")]).contains("FUUFFY_CLIENT_SECRET_FILE"));
    assert!(error(&[("FUUFFY_CLIENT_ID", "a"), ("FUUFFY_CLIENT_SECRET", "")]).contains("there is no secret"));
    let both =
        error(&[("FUUFFY_CLIENT_ID", "a"), ("FUUFFY_CLIENT_SECRET", "s3cret"), ("FUUFFY_CLIENT_SECRET_FILE", "f")]);
    assert!(both.contains("only one of") && !both.contains("s3cret"), "{both}");
    assert!(error(&[("FUUFFY_CREDENTIALS_COMMAND", "pass 'x")]).contains("quote"));
}

#[test]
fn environment_and_base_url_are_read() {
    let of = |variables: &[(&str, &str)]| {
        let variables = said(variables);
        let environment = variables.environment()?;
        Ok::<(Environment, BaseUrl), Error>((environment, variables.base_url(environment)?))
    };
    assert_eq!(of(&[]).unwrap().1.to_string(), "https://testing-api-gateway.fuuffy.com/v1");
    assert_eq!(of(&[("FUUFFY_ENVIRONMENT", "production")]).unwrap().1.to_string(), "https://api-gateway.fuuffy.com/v1");
    assert!(of(&[("FUUFFY_ENVIRONMENT", "staging")]).unwrap_err().to_string().contains("testing or production"));
    let plain = of(&[("FUUFFY_BASE_URL", "http://example.com")]).unwrap_err().to_string();
    assert!(plain.starts_with("FUUFFY_BASE_URL: the base URL is http://"), "{plain}");
}

const VAULT: [(&str, &str); 3] = [
    ("FUUFFY_VAULT_PATH", "secret/fuuffy"),
    ("VAULT_ADDR", "https://vault.example.com:8200"),
    ("VAULT_TOKEN", "s3cret"),
];

/// Those of Vault, with others that stand before them.
fn with_vault<'a>(others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [others, &VAULT].concat()
}

#[test]
fn only_one_source_may_be_named() {
    let client_id = ("FUUFFY_CLIENT_ID", "my-id");
    let all = ["CLIENT_SECRET", "CLIENT_SECRET_FILE", "CREDENTIALS_COMMAND", "KEYRING", "VAULT_PATH"];
    let names = all.map(|name| format!("FUUFFY_{name}"));
    for (at, first) in names.iter().enumerate() {
        for second in &names[at + 1..] {
            let both = error(&[client_id, (first, "s3cret/a"), (second, "s3cret/b")]);
            assert!(both.starts_with("set only one of FUUFFY_CLIENT_SECRET, ") && both.contains(second), "{both}");
            assert!(!both.contains("s3cret"), "{both}");
        }
    }
}

#[cfg(feature = "vault")]
#[test]
fn vaults_own_variables_say_where_it_is_and_who_asks() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    assert!(said(&VAULT).credentials().is_ok());
    let without = |name: &str, more: &[(&'static str, &'static str)]| {
        let left = VAULT.into_iter().filter(|(known, _)| *known != name);
        let variables: Vec<(&str, &str)> = left.chain(more.iter().copied()).chain([("HOME", home)]).collect();
        said(&variables).credentials().err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(without("VAULT_ADDR", &[]).starts_with("VAULT_ADDR is not set"));
    let nobody = without("VAULT_TOKEN", &[]);
    assert!(nobody.contains("vault login") && nobody.contains("VAULT_TOKEN_FILE"), "{nobody}");
    assert_eq!(without("VAULT_TOKEN", &[("VAULT_TOKEN_FILE", "f")]), "");
    let role = ("FUUFFY_VAULT_ROLE_ID", "r");
    assert!(without("VAULT_TOKEN", &[role]).contains("FUUFFY_VAULT_SECRET_ID_FILE"));
    assert_eq!(without("VAULT_TOKEN", &[role, ("FUUFFY_VAULT_SECRET_ID_FILE", "f")]), "");
    std::fs::write(folder.path().join(".vault-token"), "t").unwrap();
    assert_eq!(without("VAULT_TOKEN", &[]), "", "the token that vault login left");

    for (variables, words) in [
        (&[("VAULT_TOKEN_FILE", "f")][..], "set only one of VAULT_TOKEN and VAULT_TOKEN_FILE"),
        (&[("VAULT_ADDR", "http://vault.example.com")], "VAULT_ADDR"),
        (&[("VAULT_ADDR", "http://vault.example.com")], "is http:// and vault.example.com is not this machine"),
        (&[("FUUFFY_VAULT_PATH", "fuuffy")], "is not a mount and a path below it, as in secret/fuuffy"),
        (&[("FUUFFY_VAULT_PATH", "secret/../sys")], "made of dots"),
        (&[("FUUFFY_VAULT_PATH", "secret//x")], "empty"),
        (&[("VAULT_NAMESPACE", "a\nb")], "VAULT_NAMESPACE"),
    ] {
        let said = error(&with_vault(variables));
        assert!(said.contains(words) && !said.contains("s3cret"), "{said}");
    }
}

#[cfg(feature = "keyring")]
#[test]
fn a_keyring_is_asked_for_a_client() {
    assert!(error(&[("FUUFFY_KEYRING", "1")]).contains("FUUFFY_CLIENT_ID is not set"));
    assert!(said(&[("FUUFFY_KEYRING", "1"), ("FUUFFY_CLIENT_ID", "my-id")]).credentials().is_ok());
}

#[test]
fn what_was_not_built_says_how_to_build_it() {
    let said = variables::not_built("FUUFFY_KEYRING", "keyring").to_string();
    assert!(said.starts_with("FUUFFY_KEYRING is set") && said.contains("--features keyring"), "{said}");
    #[cfg(not(feature = "keyring"))]
    assert_eq!(error(&[("FUUFFY_KEYRING", "1"), ("FUUFFY_CLIENT_ID", "a")]), said);
}
