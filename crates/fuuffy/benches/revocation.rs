//! Revocations while the gateway is busy: each token is issued, used, revoked through the operators' socket, and
//! used once more as soon as the revocation is acknowledged. `benches/revocation` runs it; it names the server.
//!
//!     revocation ADDRESS SOCKET CLIENT_ID COUNT AT_ONCE   (the secret on standard input)

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [address, socket, client, count, at_once] = words[..] else {
        // As `cargo test --benches` runs it.
        return Ok(());
    };
    let mut secret = String::new();
    std::io::stdin().read_to_string(&mut secret)?;
    let form = format!("grant_type=client_credentials&client_id={client}&client_secret={}", secret.trim());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told =
        runtime.block_on(run(address, Path::new(socket), Bytes::from(form), count.parse()?, at_once.parse()?))?;
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

/// One worker: a connection to each side.
struct Worker {
    api: SendRequest<Full<Bytes>>,
    operators: SendRequest<Full<Bytes>>,
    form: Bytes,
}

/// What came of one revocation.
struct Outcome {
    acknowledged_in: Duration,
    was_accepted: bool,
}

async fn run(address: &str, socket: &Path, form: Bytes, count: usize, at_once: usize) -> anyhow::Result<String> {
    let (left, mut workers) = (Arc::new(AtomicUsize::new(count)), JoinSet::new());
    let begun = now();
    for _ in 0..at_once {
        let api = connect(TcpStream::connect(address).await?).await?;
        let operators = connect(UnixStream::connect(socket).await?).await?;
        let (mut worker, left) = (Worker { api, operators, form: form.clone() }, Arc::clone(&left));
        workers.spawn(async move {
            let mut outcomes = Vec::new();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                outcomes.push(worker.revoke_one().await?);
            }
            anyhow::Ok(outcomes)
        });
    }
    let mut outcomes = Vec::with_capacity(count);
    while let Some(done) = workers.join_next().await {
        outcomes.append(&mut done??);
    }
    let took = begun.elapsed();
    ensure!(outcomes.len() == count, "{} of {count} were done", outcomes.len());
    outcomes.sort_by_key(|outcome| outcome.acknowledged_in);
    let micros = |part: usize| outcomes[(count * part / 1000).min(count - 1)].acknowledged_in.as_micros();
    let accepted = outcomes.iter().filter(|outcome| outcome.was_accepted).count();
    let told = serde_json::json!({
        "revocations": count,
        "accepted_after_acknowledgement": accepted,
        "p50_us": micros(500),
        "p99_us": micros(990),
        "p999_us": micros(999),
        "seconds": took.as_secs_f64(),
    });
    Ok(told.to_string())
}

impl Worker {
    async fn revoke_one(&mut self) -> anyhow::Result<Outcome> {
        let asked = Request::builder().method(Method::POST).uri("/v1/auth/token").header("host", "localhost");
        let asked = asked.header("content-type", "application/x-www-form-urlencoded");
        let (status, body) = exchange(&mut self.api, asked.body(Full::new(self.form.clone()))?).await?;
        ensure!(status == StatusCode::OK, "no token: {status}");
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        let token = body["data"]["access_token"].as_str().context("no token")?;
        if !self.is_accepted(token).await? {
            bail!("a token was refused before it was revoked");
        }
        let body = serde_json::json!({ "token": token }).to_string();
        let asked = Request::builder().method(Method::POST).uri("/admin/v1/testing/tokens/revoke");
        let asked = asked.header("host", "fuuffy").body(Full::from(body))?;
        let begun = now();
        let (status, _) = exchange(&mut self.operators, asked).await?;
        let acknowledged_in = begun.elapsed();
        ensure!(status == StatusCode::OK, "not revoked: {status}");
        Ok(Outcome { acknowledged_in, was_accepted: self.is_accepted(token).await? })
    }

    async fn is_accepted(&mut self, token: &str) -> anyhow::Result<bool> {
        let asked = Request::builder().uri("/v1/orders").header("host", "localhost");
        let asked = asked.header("authorization", format!("Bearer {token}")).body(Full::default())?;
        let (status, _) = exchange(&mut self.api, asked).await?;
        match status {
            StatusCode::OK => Ok(true),
            StatusCode::UNAUTHORIZED => Ok(false),
            other => bail!("answered with {other}"),
        }
    }
}

async fn connect(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}
