//! HTTP/2 by prior knowledge, on both sides.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

use crate::app::{Place, config, config_with, token};
use crate::upstream::{Upstream, ok};

/// Sends one request by HTTP/2: status, fields, body, trailers.
async fn ask(address: SocketAddr, request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, Bytes, Option<HeaderMap>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned();
    drop(sender);
    driver.await.unwrap().unwrap();
    (parts.status, parts.headers, body.to_bytes(), trailers)
}

fn request(address: SocketAddr, token: &str) -> Request<Full<Bytes>> {
    Request::post(format!("http://{address}/v1/orders?x=1"))
        .header("authorization", format!("Bearer {token}"))
        .header("te", "trailers")
        .header("x-client-id", "forged")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Full::from("hello"))
        .unwrap()
}

#[tokio::test]
async fn a_caller_may_speak_http2_to_an_http1_upstream() {
    let upstream = Upstream::start(|seen, _| {
        assert_eq!(seen.body, b"hello");
        assert_eq!(seen.target, "/v1/orders?x=1");
        crate::upstream::Act::Answer(ok("{}"))
    });
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let token = token(server.testing, &place.client("testing"));
    let (status, fields, body, _) = ask(server.testing, request(server.testing, &token)).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"{}"[..]));
    assert!(fields.contains_key("x-request-id") && fields.contains_key("x-ratelimit-limit"));
    assert_eq!(upstream.last().field("cookie"), Some("a=1; b=2"));
    assert_eq!(upstream.last().field("x-forwarded-host"), Some(server.testing.to_string().as_str()));
    let (status, _, body, _) = ask(server.testing, request(server.testing, "sk-none")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(std::str::from_utf8(&body).unwrap().contains("invalid_token"));
}

/// As gRPC is: HTTP/2 on both sides, the status in trailers.
#[tokio::test]
async fn trailers_pass_from_http2_to_http2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
            assert_eq!(request.version(), Version::HTTP_2);
            assert_eq!(request.headers()["te"], "trailers");
            assert!(request.headers()["x-client-id"].to_str().unwrap().starts_with("app_"));
            assert!(!request.headers().contains_key("authorization"));
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let frames = [Frame::data(Bytes::from("hi")), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
            Ok::<_, Infallible>(http::Response::new(StreamBody::new(futures_util::stream::iter(frames))))
        });
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    });
    let place = Place::new(&config_with(upstream, "", "protocol = \"http2\""));
    let server = place.serve();
    let token = token(server.testing, &place.client("testing"));
    let (status, _, body, trailers) = ask(server.testing, request(server.testing, &token)).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"hi"[..]));
    assert_eq!(trailers.unwrap()["grpc-status"], "0");
    serving.abort();
}
