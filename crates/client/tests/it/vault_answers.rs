//! Answers that no Vault gives: each gets an error that says what and where, and nothing hangs.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use fuuffy_client::test_util::{Answer, ManualClock, ScriptedServer};
use fuuffy_client::{CredentialSource as _, Error, ErrorKind, VaultCredentials, VaultLogin};

const PATH: &str = "/v1/secret/data/fuuffy";
const LOGIN: &str = "/v1/auth/approle/login";
const KEPT: &str = r#"{"data":{"data":{"client_id":"app_1","client_secret":"kept"},"metadata":{"version":1}}}"#;

fn address(server: &ScriptedServer) -> String {
    format!("http://{}", server.address())
}

fn source(server: &ScriptedServer) -> VaultCredentials {
    VaultCredentials::new(&address(server), "secret/fuuffy", VaultLogin::token("own-s3cret")).unwrap()
}

async fn error(source: &VaultCredentials) -> Error {
    let error = source.read().await.unwrap_err();
    assert!(!error.to_string().contains("s3cret") && !format!("{error:?}").contains("s3cret"), "{error:?}");
    error
}

#[tokio::test]
async fn each_bad_answer_says_what_and_where() {
    let shape = "JSON of another shape, not like the KV secrets engine, version 2; is it Vault's address?";
    let cases = [
        (Answer::new(200, "text/html", "<html>s3cret"), "something that is not JSON"),
        (Answer::json(200, r#"{"data":{"data":{"client_secret":"s3cr"#), "JSON that is cut short"),
        (Answer::json(200, ""), "JSON that is cut short"),
        (Answer::json(200, r#"["s3cret"]"#), shape),
        (Answer::json(200, r#"{"data":{"client_id":"app_1","client_secret":"s3cret"}}"#), shape),
        (Answer::json(200, r#"{"data":{"data":{"client_secret":7}}}"#), "without a client_secret that is text"),
        (
            Answer::json(200, r#"{"data":{"data":{"client_secret":["s3cret"]}}}"#),
            "without a client_secret that is text",
        ),
        (Answer::json(200, r#"{"data":{"data":null}}"#), "without a client_secret that is text"),
        (Answer::json(200, "x".repeat(10 * 1024 * 1024)), "longer than 64 KiB; is it Vault's address?"),
        (Answer::json(204, ""), "answered 204: that is no answer of Vault's"),
        (Answer::json(418, r#"{"errors":["s3cret"]}"#), "answered 418: that is no answer of Vault's"),
        (Answer::json(429, r#"{"errors":["quota"]}"#), "answered 429: Vault is not available"),
        (Answer::new(503, "text/html", "down"), "answered 503: Vault is not available"),
        (Answer::json(503, r#"{"errors":["Vault is sealed"]}"#), "answered 503: Vault is sealed"),
    ];
    for (answer, words) in cases {
        let server = ScriptedServer::start().await;
        server.then(PATH, [answer]);
        let error = error(&source(&server)).await.to_string();
        assert!(error.starts_with(&format!("{}{PATH} answered ", address(&server))), "{error}");
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_kept_secret_is_one_line_of_text() {
    for (kept, words) in [("", "is empty"), (r"a\ns3cret", "more than one line"), (r"a\u0000b", "more than one line")] {
        let server = ScriptedServer::start().await;
        server.answer(PATH, &format!(r#"{{"data":{{"data":{{"client_id":"a","client_secret":"{kept}"}}}}}}"#));
        let error = error(&source(&server)).await.to_string();
        assert!(error.starts_with("the client_secret at secret/fuuffy in Vault") && error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed_with_a_token() {
    let (server, other) = (ScriptedServer::start().await, ScriptedServer::start().await);
    other.answer(PATH, KEPT);
    for status in [301, 302, 303, 307, 308] {
        let target = format!("{}{PATH}", address(&other));
        server.then(PATH, [Answer::json(status, "{}").field("location", &target)]);
        let error = error(&source(&server)).await.to_string();
        assert!(error.contains("redirects are not followed"), "{error}");
    }
    assert!(other.received(PATH).is_empty());
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_drips_ends() {
    let (server, clock) = (ScriptedServer::start().await, ManualClock::default());
    server.then(PATH, [Answer::json(200, KEPT).cut()]);
    assert_eq!(error(&source(&server)).await.kind(), ErrorKind::Transport);

    for answer in [Answer::json(200, &KEPT[..20]).stalled(), Answer::json(200, KEPT).held()] {
        server.then(PATH, [answer]);
        let source = source(&server).clock(clock.clone());
        let waiting = tokio::spawn(async move { error(&source).await });
        clock.until_sleeping(1, Duration::from_secs(9)).await;
        clock.pass(Duration::from_secs(10));
        let late = waiting.await.unwrap();
        assert_eq!(late.kind(), ErrorKind::Timeout);
        let address = address(&server);
        assert_eq!(
            late.to_string(),
            format!("the request for the secret to Vault at {address}: no whole answer within 10 s")
        );
    }
}

#[tokio::test]
async fn the_requests_are_vaults() {
    let server = ScriptedServer::start().await;
    let path = "/v1/kv%20store/data/team%3F/shop%23";
    server.answer(path, KEPT);
    let login = VaultLogin::token("own-s3cret");
    let source = VaultCredentials::new(&address(&server), "/kv store/team?/shop#/", login).unwrap();
    source.namespace("team").unwrap().read().await.unwrap();
    let received = server.received(path).remove(0);
    assert_eq!((received.method.as_str(), received.target.as_str()), ("GET", path));
    let field = |name: &str| received.headers[name].to_str().unwrap();
    assert_eq!((field("x-vault-token"), field("x-vault-namespace")), ("own-s3cret", "team"));
    assert_eq!(field("x-vault-request"), "true");
}

#[tokio::test]
async fn a_login_is_as_careful_as_a_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret-id");
    std::fs::write(&path, "id-s3cret\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = ScriptedServer::start().await;
    server.answer(PATH, KEPT);
    let login = VaultLogin::app_role("ro\"le", &path);
    let source = VaultCredentials::new(&address(&server), "secret/fuuffy", login).unwrap();
    for (answer, words) in [
        (Answer::new(200, "text/html", "<html>s3cret"), "something that is not JSON, not like a login"),
        (Answer::json(200, r#"{"auth":null}"#), "JSON of another shape, not like a login"),
        (Answer::json(200, r#"{"auth":{"client_token":7}}"#), "JSON of another shape"),
        (Answer::json(200, r#"{"auth":{"client_token":"s3cret","lease_duration":-1}}"#), "JSON of another shape"),
        (
            Answer::json(200, r#"{"auth":{"client_token":"s3c\nret","lease_duration":60}}"#),
            "characters that no token has",
        ),
        (Answer::json(307, "{}").field("location", "http://127.0.0.1:9/"), "redirects are not followed"),
        (Answer::json(200, "x".repeat(10 * 1024 * 1024)), "longer than 64 KiB"),
    ] {
        server.then(LOGIN, [answer]);
        let error = error(&source).await.to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(server.received(PATH).is_empty(), "nothing is read without a login");
    let received = server.received(LOGIN).remove(0);
    assert_eq!(received.method, "POST");
    assert_eq!(received.body, r#"{"role_id":"ro\"le","secret_id":"id-s3cret"}"#);
    assert!(received.headers.get("x-vault-token").is_none());

    // A lease of zero, or none, is for one read; the longest is no overflow.
    for (lease, logins) in [(r#","lease_duration":0"#, 2), ("", 2), (r#","lease_duration":18446744073709551615"#, 1)] {
        let server = ScriptedServer::start().await;
        server.answer(PATH, KEPT);
        server.answer(LOGIN, &format!(r#"{{"auth":{{"client_token":"t"{lease}}}}}"#));
        let login = VaultLogin::app_role("role", &path);
        let source = VaultCredentials::new(&address(&server), "secret/fuuffy", login).unwrap();
        for _ in 0..2 {
            source.read().await.unwrap();
        }
        assert_eq!(server.received(LOGIN).len(), logins, "{lease}");
    }

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = error(&source).await.to_string();
    assert!(open.contains("secret-id can be read by others"), "{open}");
    std::fs::remove_file(&path).unwrap();
    let gone = error(&source).await.to_string();
    assert!(gone.starts_with(&format!("cannot read {}", path.display())), "{gone}");
}
