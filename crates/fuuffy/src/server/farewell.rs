//! Answers to what never became a request, as bytes: the last that a connection carries.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use fuuffy_domain::RequestId;
use fuuffy_protocol::{BodyShape, Refusal, RequestFault};
use http::header::STRICT_TRANSPORT_SECURITY;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::service::HSTS;

/// How long whoever speaks no TLS has to read that it should.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer to a malformed message of a connection of this scheme, in its shape.
pub(super) fn answer(id: RequestId, refusal: &Refusal, (shape, scheme): (BodyShape, &str)) -> Bytes {
    let mut response = refusal.to_response(shape);
    tracing::debug!(request_id = %id, code = refusal.code(), "A malformed message was refused");
    // Never in clear (RFC 6797 §7.2).
    if scheme == "https" {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HSTS);
    }
    let mut bytes = BytesMut::with_capacity(512);
    bytes.put_slice(format!("HTTP/1.1 {}\r\n", response.status()).as_bytes());
    for (name, value) in response.headers() {
        bytes.put_slice(name.as_str().as_bytes());
        bytes.put_slice(b": ");
        bytes.put_slice(value.as_bytes());
        bytes.put_slice(b"\r\n");
    }
    let length = response.body().len();
    bytes.put_slice(format!("x-request-id: {id}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
    bytes.put_slice(response.body());
    bytes.freeze()
}

/// Says to whoever speaks plain HTTP to a port that speaks TLS what is wrong, and no more.
pub(super) async fn say_that_it_is_clear(mut stream: TcpStream, id: RequestId) {
    let refusal = Refusal::InvalidRequest(RequestFault::PlainHttp);
    let said = async {
        stream.write_all(&answer(id, &refusal, (BodyShape::Guide, "http"))).await?;
        stream.shutdown().await?;
        // What was sent is read, so that the caller reads the answer before it learns of the end.
        let mut unread = [0; 4096];
        for _ in 0..16 {
            if stream.read(&mut unread).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    // Whoever went away was told.
    let _ = timeout(PATIENCE, said).await;
}
