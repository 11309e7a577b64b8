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
        assert_eq!(credentials.client_secret.reveal(), secret, "{name}");
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
