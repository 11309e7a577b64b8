//! A base URL of HTTPS: nothing is ever sent in clear, and a server that says nothing holds nobody up for long.

use std::time::Duration;

use fuuffy_client::test_util::{ManualClock, ScriptedServer};
use fuuffy_client::{BaseUrl, Body, Client, ErrorKind, HttpClient as _, ReqwestClient};
use http::Request;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// What a TLS handshake begins with (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

#[tokio::test]
async fn nothing_goes_in_clear_where_the_base_url_is_https() {
    let server = ScriptedServer::start().await;
    server.grant_tokens(3600);
    let plain = format!("{}/auth/token", server.base_url());
    let send = async |base: &str| {
        let client = ReqwestClient::new(&BaseUrl::parse(base).unwrap()).unwrap();
        client.send(Request::post(&plain).body(Body::from("client_secret=s")).unwrap()).await
    };
    assert!(send("https://localhost/v1").await.is_err());
    assert_eq!(server.token_requests(), 0);
    assert_eq!(send(&server.base_url()).await.unwrap().status(), 200, "the same request, in clear by its base URL");
}

#[tokio::test]
async fn a_handshake_that_comes_to_a_halt_ends_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clock = ManualClock::default();
    let client = Client::builder()
        .base_url(format!("https://localhost:{}/v1", listener.local_addr().unwrap().port()))
        .credentials("my-id", "my-secret")
        .clock(clock.clone())
        .patience(Duration::ZERO)
        .build()
        .unwrap();
    let waiting = tokio::spawn(async move { client.tokens().token().await.unwrap_err() });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    clock.pass(Duration::from_secs(10));
    let error = waiting.await.unwrap();
    assert_eq!((error.kind(), error.is_about_token()), (ErrorKind::Timeout, true), "{error}");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(first, [HANDSHAKE]);
    assert!(!rest.windows(9).any(|piece| piece == b"my-secret"), "nothing but a handshake was sent");
}
