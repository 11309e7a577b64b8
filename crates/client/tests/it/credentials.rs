//! Where secrets come from, and what is refused there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fuuffy_client::test_util::Answer;
use fuuffy_client::{
    BoxFuture, Client, ClientSecret, CredentialSource, Credentials, Error, ErrorKind, ExecCredentials, FileCredentials,
};

use crate::place::Place;

/// Secrets that change with each read.
struct Rotating(Arc<AtomicUsize>, &'static [&'static str]);

impl CredentialSource for Rotating {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        let read = self.0.fetch_add(1, Ordering::Relaxed).min(self.1.len() - 1);
        let credentials = Credentials::with_secret("my-id".to_owned(), ClientSecret::presented(self.1[read]));
        Box::pin(async { Ok(credentials) })
    }
}

#[tokio::test]
async fn a_refused_secret_is_read_again_once() {
    for (secrets, requests) in [(&["old", "new"][..], 2), (&["same", "same"], 1), (&["a", "b", "c"], 2)] {
        let place = Place::new().await;
        let refusals = if secrets.len() == 3 { 2 } else { 1 };
        place.server.then_tokens(std::iter::repeat_n(Answer::refusal(401, "invalid_client"), refusals));
        let reads = Arc::new(AtomicUsize::new(0));
        let client = place.builder().credential_source(Rotating(Arc::clone(&reads), secrets)).build().unwrap();
        let granted = client.tokens().token().await;
        assert_eq!(granted.is_ok(), secrets == ["old", "new"], "{secrets:?}");
        assert_eq!((reads.load(Ordering::Relaxed), place.server.token_requests()), (2, requests), "{secrets:?}");
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

async fn read(source: impl CredentialSource) -> Result<Credentials, Error> {
    source.read().await
}

#[tokio::test]
async fn a_secret_in_a_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    write(&path, "s3cret\n", 0o600);
    let source = FileCredentials::new("my-id", &path);
    let credentials = read(source.clone()).await.unwrap();
    assert_eq!((credentials.client_id.as_str(), credentials.secret().unwrap().reveal()), ("my-id", "s3cret"));
    write(&path, "rotated\r\n", 0o400);
    assert_eq!(read(source.clone()).await.unwrap().secret().unwrap().reveal(), "rotated");
    for mode in [0o644, 0o640, 0o604, 0o660] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = read(source.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(
            error.to_string().contains("can be read by others") && error.to_string().contains("chmod 600"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_file_that_holds_no_secret_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let cases =
        [("", "is empty"), ("\n", "is empty"), ("a\nb\n", "more than one line"), (&"x".repeat(70_000), "too large")];
    for (text, words) in cases {
        write(&path, text, 0o600);
        let error = read(FileCredentials::new("my-id", &path)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("secret"), "{error}");
    }
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(read(FileCredentials::new("my-id", &path)).await.unwrap_err().to_string().contains("is not text"));
    let missing = read(FileCredentials::new("my-id", folder.path().join("none"))).await.unwrap_err();
    assert!(missing.to_string().contains("cannot read"), "{missing}");
    assert!(
        read(FileCredentials::new("my-id", folder.path())).await.unwrap_err().to_string().contains("is not a file")
    );
}

fn shell(script: &str) -> ExecCredentials {
    ExecCredentials::new(["sh", "-c", script].map(str::to_owned), Some("default-id".to_owned())).unwrap()
}

#[tokio::test]
async fn a_command_prints_credentials() {
    let credentials =
        read(shell(r#"echo '{"client_id":"vault-id","client_secret":"s3cret","lease":7}'"#)).await.unwrap();
    assert_eq!((credentials.client_id.as_str(), credentials.secret().unwrap().reveal()), ("vault-id", "s3cret"));
    assert_eq!(read(shell(r#"echo '{"client_secret":"s3cret"}'"#)).await.unwrap().client_id, "default-id");
    for (script, words) in [
        ("echo s3cret", "does not print"),
        (r#"echo '{"client_secret":7, "s3cret"}'"#, "does not print"),
        ("exit 3", "failed (exit status: 3)"),
        ("yes | head -c 100000", "prints too much"),
    ] {
        let error = read(shell(script)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    let missing = ExecCredentials::new(["/no/such/program".to_owned()], None).unwrap();
    assert!(read(missing).await.unwrap_err().to_string().contains("cannot be run"));
    assert!(ExecCredentials::new(Vec::new(), None).is_err());
}

#[tokio::test]
async fn a_source_that_fails_is_told_as_it_is_and_nothing_is_sent() {
    let place = Place::new().await;
    let client = place.builder().credential_source(shell("exit 3")).build().unwrap();
    let error = client.get("/orders").send().await.unwrap_err();
    assert_eq!((error.kind(), place.server.token_requests()), (ErrorKind::Credentials, 0));
}

#[test]
fn plain_http_is_for_loopback_alone() {
    let build = |url: &str| Client::builder().base_url(url).credentials("a", "b").build();
    for url in [
        "http://127.0.0.1:1/v1",
        "http://localhost/v1",
        "http://[::1]:80",
        "https://example.com/v1",
        "http://127.9.9.9",
    ] {
        assert!(build(url).is_ok(), "{url}");
    }
    for url in [
        "http://example.com/v1",
        "http://10.0.0.1/v1",
        "http://127.0.0.1.example.com/v1",
        "http://localhost.example.com",
        "http://localhost@example.com/",
        "ftp://127.0.0.1/",
        "https://user:password@example.com/v1",
        "https://example.com/v1?key=1",
        "example.com",
        "",
    ] {
        let error = build(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
        assert!(error.to_string().starts_with("the base URL "), "{error}");
        assert!(!error.to_string().contains("password@"), "{error}");
    }
}
