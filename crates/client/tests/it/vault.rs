//! Secrets in a real OpenBao, and what is said where it gives none.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fuuffy_client::{CredentialSource as _, Credentials, Error, ErrorKind, Variables, VaultCredentials, VaultLogin};
use http::Method;
use serde_json::json;

use crate::openbao::{OpenBao, ROOT};
use crate::place::Place;

fn reader(bao: &OpenBao, login: VaultLogin) -> VaultCredentials {
    VaultCredentials::new(&bao.address, "secret/fuuffy", login).unwrap()
}

fn by_root(bao: &OpenBao) -> VaultCredentials {
    reader(bao, VaultLogin::token(ROOT))
}

fn of(credentials: &Credentials) -> (&str, &str) {
    (&credentials.client_id, credentials.secret().unwrap().reveal())
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

async fn error(source: &VaultCredentials) -> Error {
    let error = source.read().await.unwrap_err();
    for shown in [error.to_string(), format!("{error:?}"), format!("{source:?}")] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    error
}

#[tokio::test]
async fn a_secret_is_read_and_a_rotated_one_is_taken_up() {
    let (bao, place) = (OpenBao::start().await, Place::new().await);
    bao.keep(json!({"client_id": "app_1", "client_secret": "first&s3cret", "note": 7})).await;
    let client = place.builder().credential_source(by_root(&bao)).build().unwrap();
    client.tokens().token().await.unwrap();
    bao.keep(json!({"client_id": "app_1", "client_secret": "second\n"})).await;
    place.clock.pass(std::time::Duration::from_secs(3600));
    client.tokens().token().await.unwrap();
    let sent = place.server.received("/v1/auth/token");
    let secrets: Vec<_> = sent.iter().map(|it| String::from_utf8_lossy(&it.body).into_owned()).collect();
    assert!(secrets[0].contains("client_id=app_1&client_secret=first%26s3cret"), "{secrets:?}");
    assert!(secrets[1].ends_with("client_id=app_1&client_secret=second"), "{secrets:?}");
}

#[tokio::test]
async fn an_id_that_is_not_kept_is_given() {
    let bao = OpenBao::start().await;
    bao.keep(json!({"client_secret": "s3cret"})).await;
    let nameless = error(&by_root(&bao)).await;
    assert!(nameless.to_string().contains("secret/fuuffy in Vault has no client_id"), "{nameless}");
    assert_eq!(of(&by_root(&bao).client_id("given").read().await.unwrap()), ("given", "s3cret"));
    bao.keep(json!({"client_id": "kept", "client_secret": "s3cret"})).await;
    assert_eq!(of(&by_root(&bao).client_id("given").read().await.unwrap()), ("kept", "s3cret"));
}

#[tokio::test]
async fn a_token_in_a_file_is_read_each_time() {
    let bao = OpenBao::start().await;
    bao.keep(json!({"client_id": "app_1", "client_secret": "s3cret"})).await;
    let path = bao.folder().join(".vault-token");
    private(&path, "none-s3cret");
    let source = reader(&bao, VaultLogin::token_file(&path));
    assert_eq!(error(&source).await.kind(), ErrorKind::Credentials);
    private(&path, ROOT);
    assert_eq!(of(&source.read().await.unwrap()), ("app_1", "s3cret"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(error(&source).await.to_string().contains("can be read by others"));
    private(&path, "two\nlines");
    assert!(error(&source).await.to_string().contains("it should hold Vault's token alone"));
    private(&path, "s3cret\u{7}");
    assert!(error(&source).await.to_string().contains("characters that no token has"));
}

/// A role that may read the secret, and its login.
async fn role(bao: &OpenBao, lease: &str) -> (VaultLogin, PathBuf) {
    bao.allow_reading().await;
    bao.done(Method::POST, "sys/auth/approle", json!({"type": "approle"})).await;
    let settings = json!({"token_policies": "reader", "token_ttl": lease, "token_max_ttl": lease});
    bao.done(Method::POST, "auth/approle/role/shop", settings).await;
    let role = bao.done(Method::GET, "auth/approle/role/shop/role-id", json!({})).await;
    let path = bao.folder().join("secret-id");
    new_secret_id(bao, &path).await;
    (VaultLogin::app_role(role["data"]["role_id"].as_str().unwrap(), &path), path)
}

async fn new_secret_id(bao: &OpenBao, path: &Path) {
    let made = bao.done(Method::POST, "auth/approle/role/shop/secret-id", json!({})).await;
    private(path, made["data"]["secret_id"].as_str().unwrap());
}

/// The tokens that live, root's aside.
async fn logins(bao: &OpenBao) -> usize {
    let listed = bao.done(Method::GET, "auth/token/accessors?list=true", json!({})).await;
    listed["data"]["keys"].as_array().unwrap().len() - 1
}

#[tokio::test]
async fn a_role_logs_in_again_when_its_lease_ends_or_its_token_is_revoked() {
    let (bao, place) = (OpenBao::start().await, Place::new().await);
    bao.keep(json!({"client_id": "app_1", "client_secret": "s3cret"})).await;
    let (login, path) = role(&bao, "1h").await;
    let source = reader(&bao, login).clock(place.clock.clone());
    for _ in 0..3 {
        assert_eq!(of(&source.read().await.unwrap()), ("app_1", "s3cret"));
        assert_eq!(logins(&bao).await, 1, "one login for one lease");
    }
    place.clock.pass(std::time::Duration::from_secs(3600));
    source.read().await.unwrap();
    assert_eq!(logins(&bao).await, 2);

    // Whoever revokes all tokens of a method revokes the one that is held.
    bao.done(Method::POST, "sys/leases/revoke-prefix/auth/approle", json!({"sync": true})).await;
    assert_eq!(logins(&bao).await, 0);
    assert_eq!(of(&source.read().await.unwrap()), ("app_1", "s3cret"));
    assert_eq!(logins(&bao).await, 1);

    let (id, place) = (std::fs::read_to_string(&path).unwrap(), path.display().to_string());
    bao.done(Method::POST, "auth/approle/role/shop/secret-id/destroy", json!({"secret_id": id})).await;
    bao.done(Method::POST, "sys/leases/revoke-prefix/auth/approle", json!({"sync": true})).await;
    let refused = error(&source).await.to_string();
    assert!(refused.contains("/v1/auth/approle/login answered 4") && refused.contains(&place), "{refused}");
    assert!(refused.contains("vault write -f -field=secret_id") && !refused.contains(&id), "{refused}");
    new_secret_id(&bao, &path).await;
    assert_eq!(of(&source.read().await.unwrap()), ("app_1", "s3cret"));
}

#[tokio::test]
async fn a_refusal_says_what_and_where_and_what_to_do() {
    let bao = OpenBao::start().await;
    let url = format!("{}/v1/secret/data/fuuffy", bao.address);
    let missing = error(&by_root(&bao)).await.to_string();
    assert!(missing.starts_with(&format!("{url} answered 404: there is nothing at secret/fuuffy")), "{missing}");
    assert!(missing.contains("vault kv put -mount=secret fuuffy client_id=ID client_secret=-"), "{missing}");

    bao.keep(json!({"password": "s3cret"})).await;
    let other = error(&by_root(&bao)).await.to_string();
    assert!(other.contains("without a client_secret") && other.contains("vault kv patch"), "{other}");

    bao.done(Method::DELETE, "secret/data/fuuffy", json!({})).await;
    let deleted = error(&by_root(&bao)).await.to_string();
    assert!(deleted.contains("the latest version of secret/fuuffy is deleted"), "{deleted}");

    let mount = VaultCredentials::new(&bao.address, "none/fuuffy", VaultLogin::token(ROOT)).unwrap();
    assert!(error(&mount).await.to_string().contains("there is nothing at none/fuuffy in a KV secrets engine"));

    let stranger = error(&reader(&bao, VaultLogin::token("hvs.s3cret"))).await;
    assert_eq!((stranger.kind(), stranger.is_retryable()), (ErrorKind::Credentials, false));
    assert!(
        stranger.to_string().starts_with(&format!("{url} answered 403: Vault's token is out of date")),
        "{stranger}"
    );
    assert!(stranger.to_string().contains(r#"path "secret/data/fuuffy" { capabilities = ["read"] }"#), "{stranger}");

    let path = bao.folder().join("secret-id");
    private(&path, "s3cret");
    let no_method = error(&reader(&bao, VaultLogin::app_role("role", &path))).await;
    assert_eq!(no_method.kind(), ErrorKind::Credentials, "{no_method}");
    assert!(no_method.to_string().contains("/v1/auth/approle/login answered 4"), "{no_method}");
}

#[tokio::test]
async fn a_vault_that_is_sealed_or_gone_is_tried_again() {
    let (bao, place) = (OpenBao::start().await, Place::new().await);
    bao.keep(json!({"client_id": "app_1", "client_secret": "s3cret"})).await;
    let source = by_root(&bao);
    source.read().await.unwrap();
    bao.done(Method::PUT, "sys/seal", json!({})).await;
    let sealed = error(&source).await;
    assert!(sealed.to_string().contains("answered 503: Vault is sealed"), "{sealed}");
    assert!(sealed.is_retryable() && sealed.status().is_some_and(|status| status == 503), "{sealed}");

    let address = bao.address.clone();
    bao.stop().await;
    let gone = error(&source).await;
    assert!(
        gone.to_string().starts_with(&format!("the request for the secret to {address}/v1/secret/data/fuuffy")),
        "{gone}"
    );
    assert!(gone.is_retryable(), "{gone}");
    let client = place.builder().credential_source(source).patience(std::time::Duration::ZERO).build().unwrap();
    assert!(client.get("/orders").send().await.is_err());
    assert_eq!(place.server.token_requests(), 0);
}

#[tokio::test]
async fn a_namespace_is_its_own_world() {
    let bao = OpenBao::start().await;
    bao.keep(json!({"client_id": "app_1", "client_secret": "s3cret"})).await;
    bao.done(Method::POST, "sys/namespaces/team", json!({})).await;
    let mount = json!({"type": "kv", "options": {"version": "2"}});
    bao.done(Method::POST, "team/sys/mounts/secret", mount).await;
    let source = by_root(&bao).namespace("team").unwrap();
    assert!(error(&source).await.to_string().contains("there is nothing at secret/fuuffy"));
    let kept = json!({"data": {"client_id": "of-team", "client_secret": "s3cret"}});
    bao.done(Method::POST, "team/secret/data/fuuffy", kept).await;
    assert_eq!(of(&source.read().await.unwrap()), ("of-team", "s3cret"));
}

#[tokio::test]
async fn variables_lead_to_a_secret() {
    let (bao, place) = (OpenBao::start().await, Place::new().await);
    bao.keep(json!({"client_secret": "s3cret"})).await;
    let (_, secret_id) = role(&bao, "1h").await;
    let id = bao.done(Method::GET, "auth/approle/role/shop/role-id", json!({})).await;
    let token = bao.folder().join(".vault-token");
    private(&token, ROOT);
    let (home, token, secret_id) = (bao.folder(), token.as_path(), secret_id.as_path());
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let role = ("FUUFFY_VAULT_ROLE_ID", id["data"]["role_id"].as_str().unwrap().to_owned());
    let logins = [
        vec![("VAULT_TOKEN", ROOT.to_owned())],
        vec![("VAULT_TOKEN_FILE", text(token))],
        vec![("HOME", text(home))],
        // A role of this program's own wins over a token that stands around.
        vec![role, ("FUUFFY_VAULT_SECRET_ID_FILE", text(secret_id)), ("VAULT_TOKEN", "nobody's".to_owned())],
    ];
    for (number, mut variables) in logins.into_iter().enumerate() {
        variables.extend([
            ("FUUFFY_BASE_URL", place.server.base_url()),
            ("FUUFFY_CLIENT_ID", format!("app_{number}")),
            ("FUUFFY_VAULT_PATH", "secret/fuuffy".to_owned()),
            ("VAULT_ADDR", bao.address.clone()),
        ]);
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let client = fuuffy_client::Client::builder_from(&Variables::found_by(find)).unwrap().build().unwrap();
        client.tokens().token().await.unwrap();
        let sent = place.server.received("/v1/auth/token").pop().unwrap();
        let form = format!("grant_type=client_credentials&client_id=app_{number}&client_secret=s3cret");
        assert_eq!(sent.body, form);
    }
}
