//! Where another secret can be kept, and what is said where it cannot.

use fuuffy_client::{
    ClientSecret, CredentialSource, Error, ErrorKind, ExecCredentials, FileCredentials, KeyringCredentials, Variables,
    VaultCredentials, VaultLogin,
};
use http::Method;
use serde_json::json;

use super::{kept, write};
use crate::gnome_keyring::GnomeKeyring;
use crate::openbao::{OpenBao, ROOT};

/// Keeps a secret, and answers what is read then.
async fn keep(source: &impl CredentialSource, secret: &str) -> Result<String, Error> {
    let mut place = source.begin_replacement().await?;
    let before = source.read().await?;
    assert_eq!(place.current().secret()?.reveal(), before.secret()?.reveal());
    place.keep(&ClientSecret::presented(secret)).await?;
    Ok(source.read().await?.secret()?.reveal().to_owned())
}

/// Why a person must do it.
async fn by_hand(source: &dyn CredentialSource) -> String {
    let error = source.begin_replacement().await.map(drop).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unwritable, false), "{error}");
    assert!(error.to_string().contains("fuuffy secrets add"), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_file_is_replaced_whole_and_again() {
    let (folder, path) = kept("old", 0o600);
    // Left behind by a crash.
    write(&folder.path().join(".secret.new"), "lost", 0o600);
    let source = FileCredentials::new("my-id", &path);
    assert_eq!(keep(&source, "new").await.unwrap(), "new");
    let mut place = source.begin_replacement().await.unwrap();
    for secret in ["one", "another"] {
        place.keep(&ClientSecret::presented(secret)).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), secret);
    }
    drop(place);
    drop(source.begin_replacement().await.unwrap());
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".secret.lock", "secret"]);
}

#[tokio::test]
async fn a_link_is_not_written_through() {
    let (folder, path) = kept("mounted", 0o600);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let source = FileCredentials::new("my-id", &link);
    assert_eq!(source.read().await.unwrap().secret().unwrap().reveal(), "mounted");
    let said = by_hand(&source).await;
    assert!(said.contains("is a link, as to a secret that is mounted from elsewhere"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mounted");
}

#[tokio::test]
async fn what_no_program_can_replace_says_who_can() {
    let (folder, path) = kept("of-systemd", 0o400);
    std::fs::rename(&path, folder.path().join("fuuffy_client_secret")).unwrap();
    let folder = folder.path().to_str().unwrap().to_owned();
    for (name, value, words) in [
        ("FUUFFY_CLIENT_SECRET", "s3cret", "is in FUUFFY_CLIENT_SECRET, which this program cannot set"),
        ("FUUFFY_CREDENTIALS_COMMAND", "echo", "name one by FUUFFY_CREDENTIALS_STORE_COMMAND"),
        ("CREDENTIALS_DIRECTORY", folder.as_str(), "is a credential that systemd passes on"),
    ] {
        let find = |asked: &str| match asked {
            "FUUFFY_CLIENT_ID" => Some("my-id".to_owned()),
            asked => (asked == name).then(|| value.to_owned()),
        };
        let said = by_hand(&*Variables::found_by(find).credentials().unwrap()).await;
        assert!(said.contains(words) && !said.contains("s3cret"), "{said}");
    }
}

#[tokio::test]
async fn a_second_command_takes_what_the_first_one_prints() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    write(&vault, "{\"client_id\":\"my-id\",\"client_secret\":\"old\"}", 0o600);
    let words = |script: String| ["sh", "-c", &script].map(str::to_owned);
    let reads = || ExecCredentials::new(words(format!("cat {}", vault.display())), None).unwrap();
    let source = reads().kept_by(words(format!("cat > {}", vault.display()))).unwrap();
    assert_eq!(keep(&source, "n\"ew").await.unwrap(), "n\"ew");
    assert_eq!(std::fs::read_to_string(&vault).unwrap(), "{\"client_id\":\"my-id\",\"client_secret\":\"n\\\"ew\"}\n");
    for (script, words_of_error) in
        [("exit 3", "failed (exit status: 3)"), ("exec /no/such/program", "failed (exit status")]
    {
        let source = reads().kept_by(words(script.to_owned())).unwrap();
        let error = keep(&source, "s3cret").await.unwrap_err();
        assert!(error.to_string().contains(words_of_error) && !error.to_string().contains("s3cret"), "{error}");
    }
    assert!(reads().kept_by(Vec::new()).is_err());
}

#[tokio::test]
async fn a_profile_of_commands_is_read_from_variables() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    write(&vault, "{\"client_secret\":\"old\"}", 0o600);
    let place = vault.display();
    let find = |name: &str| match name {
        "FUUFFY_CLIENT_ID" => Some("my-id".to_owned()),
        "FUUFFY_CREDENTIALS_COMMAND" => Some(format!("cat {place}")),
        "FUUFFY_CREDENTIALS_STORE_COMMAND" => Some(format!("sh -c 'cat > {place}'")),
        _ => None,
    };
    let source = Variables::found_by(find).credentials().unwrap();
    assert_eq!(keep(&source, "new").await.unwrap(), "new");
    let alone = |name: &str| find(name).filter(|_| name != "FUUFFY_CREDENTIALS_COMMAND");
    let error = Variables::found_by(alone).credentials().map(drop).unwrap_err();
    assert!(error.to_string().contains("set both, or unset it"), "{error}");
}

#[tokio::test]
async fn a_keyring_keeps_another_secret() {
    let keyring = GnomeKeyring::start().await;
    let source = KeyringCredentials::new("my-id", "fuuffy").bus(keyring.bus.address.clone());
    keyring.store("secret-tool store --label=Fuuffy service fuuffy username my-id", "old").await;
    assert_eq!(keep(&source, "new").await.unwrap(), "new");
    assert_eq!(keep(&source, "newer").await.unwrap(), "newer");
}

fn vault(bao: &OpenBao, token: &str) -> VaultCredentials {
    VaultCredentials::new(&bao.address, "secret/fuuffy", VaultLogin::token(token)).unwrap()
}

async fn version(bao: &OpenBao) -> (u64, serde_json::Value) {
    let read = bao.done(Method::GET, "secret/data/fuuffy", json!({})).await;
    (read["data"]["metadata"]["version"].as_u64().unwrap(), read["data"]["data"].clone())
}

#[tokio::test]
async fn a_vault_keeps_another_secret_and_what_is_beside_it() {
    let bao = OpenBao::start().await;
    bao.keep(json!({"client_id": "app_1", "client_secret": "old", "note": 7})).await;
    let source = vault(&bao, ROOT);
    assert_eq!(keep(&source, "new").await.unwrap(), "new");
    assert_eq!(version(&bao).await, (2, json!({"client_id": "app_1", "client_secret": "new", "note": 7})));

    // Somebody else is first: nothing of theirs is lost.
    let mut late = source.begin_replacement().await.unwrap();
    bao.keep(json!({"client_id": "app_1", "client_secret": "theirs"})).await;
    late.keep(&ClientSecret::presented("mine")).await.unwrap();
    assert_eq!(version(&bao).await, (3, json!({"client_id": "app_1", "client_secret": "theirs"})));

    let mut twice = source.begin_replacement().await.unwrap();
    for secret in ["one", "another"] {
        twice.keep(&ClientSecret::presented(secret)).await.unwrap();
    }
    assert_eq!(version(&bao).await.0, 5);
}

#[tokio::test]
async fn a_token_that_may_only_read_is_told_what_it_lacks() {
    let bao = OpenBao::start().await;
    bao.keep(json!({"client_id": "app_1", "client_secret": "old"})).await;
    let token = |capabilities: &str| {
        let (bao, policy) = (&bao, format!("path \"secret/data/fuuffy\" {{ capabilities = [{capabilities}] }}"));
        async move {
            bao.done(Method::POST, "sys/policies/acl/some", json!({"policy": policy})).await;
            let made = bao.done(Method::POST, "auth/token/create", json!({"policies": ["some"]})).await;
            made["auth"]["client_token"].as_str().unwrap().to_owned()
        }
    };
    let said = by_hand(&vault(&bao, &token("\"read\"").await)).await;
    assert!(said.contains("path \"secret/data/fuuffy\" { capabilities = [\"read\", \"patch\"] }"), "{said}");
    assert_eq!(keep(&vault(&bao, &token("\"read\", \"patch\"").await), "new").await.unwrap(), "new");
}
