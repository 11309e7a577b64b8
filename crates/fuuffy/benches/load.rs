//! Callers that do not wait for one another, an API that can do only so much, and attackers. `benches/overload` and
//! `benches/storm` run it; they name the server.
//!
//!     load api PLACES MILLISECONDS                               (says its port, and serves until it is ended)
//!     load offer ADDRESS RATE SECONDS PATIENCE_MILLISECONDS      (a token on standard input)
//!     load storm ADDRESS CLIENT_ID COUNT AT_ONCE SOURCES         (the right secret on standard input)
//!     load guess ADDRESS COUNT AT_ONCE                           (random tokens)

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use fuuffy_domain::{Entropy as _, SeededEntropy};
use fuuffy_protocol::{ClientSecret, SecretKind};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often a caller with the right secret asks, before a storm and during it.
const VICTIM_EVERY: Duration = Duration::from_millis(5);
/// Requests that it makes before the storm, to compare with.
const BEFORE: usize = 5000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Sender = SendRequest<Full<Bytes>>;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let said = || -> anyhow::Result<String> {
        let mut said = String::new();
        std::io::stdin().read_to_string(&mut said)?;
        Ok(said.trim().to_owned())
    };
    let told = match words[..] {
        ["api", places, millis] => runtime.block_on(api(places.parse()?, Duration::from_millis(millis.parse()?)))?,
        ["offer", address, rate, seconds, patience] => {
            let callers = Callers {
                address: address.parse()?,
                token: said()?,
                rate: rate.parse()?,
                patience: Duration::from_millis(patience.parse()?),
            };
            runtime.block_on(callers.offer(Duration::from_secs(seconds.parse()?)))?
        }
        ["storm", address, victim, count, at_once, sources] => {
            let storm = Attack { address: address.parse()?, count: count.parse()?, at_once: at_once.parse()? };
            runtime.block_on(storm.on(victim, &said()?, sources.parse()?))?
        }
        ["guess", address, count, at_once] => {
            let guesses = Attack { address: address.parse()?, count: count.parse()?, at_once: at_once.parse()? };
            runtime.block_on(guesses.guess())?
        }
        // As `cargo test --benches` runs it.
        _ => return Ok(()),
    };
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

/// An API that takes so long for each request, and does so many at a time; the others wait.
async fn api(places: usize, takes: Duration) -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(std::io::stdout(), "{}", serde_json::json!({"ready": listener.local_addr()?.port()}))?;
    std::io::stdout().flush()?;
    let places = Arc::new(Semaphore::new(places));
    loop {
        let (stream, _) = listener.accept().await?;
        let places = Arc::clone(&places);
        let service = service_fn(move |_| {
            let places = Arc::clone(&places);
            async move {
                let _place = places.acquire().await;
                sleep(takes).await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{\"data\":[]}"))))
            }
        });
        tokio::spawn(async move {
            // A connection that ends says nothing about the next one.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Callers of an API, so many a second, each of which gives up after a while.
struct Callers {
    address: SocketAddr,
    token: String,
    rate: u64,
    patience: Duration,
}

#[derive(Default)]
struct Seen {
    /// In microseconds: answered, and shed.
    answered: Vec<u32>,
    shed: Vec<u32>,
    gave_up: usize,
    failed: usize,
}

impl Callers {
    async fn offer(self, lasts: Duration) -> anyhow::Result<String> {
        let (callers, idle, seen) = (Arc::new(self), Arc::new(Mutex::new(Vec::<Sender>::new())), Arc::default());
        let (begun, mut asking, mut asked) = (Instant::now(), JoinSet::new(), 0_u64);
        while begun.elapsed() < lasts {
            let due = u64::try_from(begun.elapsed().as_micros())? * callers.rate / 1_000_000;
            for _ in asked..due {
                let (callers, idle, seen) = (Arc::clone(&callers), Arc::clone(&idle), Arc::clone(&seen));
                asking.spawn(async move { callers.ask(&idle, &seen).await });
            }
            asked = asked.max(due);
            while asking.try_join_next().is_some() {}
            sleep(Duration::from_millis(1)).await;
        }
        while asking.join_next().await.is_some() {}
        let mut seen: Seen = std::mem::take(&mut *seen.lock());
        let told = serde_json::json!({
            "asked": asked,
            "answered": seen.answered.len(),
            "answered_p50_us": part(&mut seen.answered, 500),
            "answered_p99_us": part(&mut seen.answered, 990),
            "shed": seen.shed.len(),
            "shed_p50_us": part(&mut seen.shed, 500),
            "shed_p99_us": part(&mut seen.shed, 990),
            "gave_up": seen.gave_up,
            "failed": seen.failed,
            "seconds": lasts.as_secs(),
        });
        Ok(told.to_string())
    }

    async fn ask(&self, idle: &Mutex<Vec<Sender>>, seen: &Mutex<Seen>) {
        let begun = Instant::now();
        let known = idle.lock().pop();
        let exchanged = timeout(self.patience, async {
            let mut sender = match known {
                Some(sender) => sender,
                None => connect(self.address, Ipv4Addr::LOCALHOST).await?,
            };
            let sent = Instant::now();
            let asked = Request::builder().uri("/v1/orders").header("host", "localhost");
            let asked = asked.header("authorization", format!("Bearer {}", self.token)).body(Full::default())?;
            let (status, _) = exchange(&mut sender, asked).await?;
            anyhow::Ok((sender, status, sent))
        })
        .await;
        let mut seen = seen.lock();
        match exchanged {
            // A timer that fires late lets nobody wait longer.
            Ok(Ok((sender, StatusCode::OK, _))) if begun.elapsed() <= self.patience => {
                idle.lock().push(sender);
                seen.answered.push(micros(begun.elapsed()));
            }
            Ok(Ok((sender, StatusCode::SERVICE_UNAVAILABLE, sent))) => {
                idle.lock().push(sender);
                seen.shed.push(micros(sent.elapsed()));
            }
            Ok(Ok((_, StatusCode::OK, _))) | Err(_) => seen.gave_up += 1,
            Ok(_) => seen.failed += 1,
        }
    }
}

/// Requests that are to be refused, so many, and so many at once.
#[derive(Clone, Copy)]
struct Attack {
    address: SocketAddr,
    count: usize,
    at_once: usize,
}

impl Attack {
    /// Wrong secrets for a client from so many addresses, while the client itself asks for tokens by the right one.
    async fn on(self, client: &str, secret: &str, sources: usize) -> anyhow::Result<String> {
        let right = form(client, secret);
        let mut victim = connect(self.address, Ipv4Addr::LOCALHOST).await?;
        let (mut before, mut next) = (Vec::new(), Instant::now());
        for _ in 0..BEFORE {
            before.push(ask_for_token(&mut victim, &right).await?);
            next += VICTIM_EVERY;
            sleep_until(next).await;
        }
        let left = Arc::new(AtomicUsize::new(self.count));
        let (begun, mut attacking) = (Instant::now(), JoinSet::new());
        for number in 0..self.at_once {
            let source = u32::from(Ipv4Addr::new(127, 1, 0, 0)) + u32::try_from(number % sources)? + 1;
            let (left, client) = (Arc::clone(&left), client.to_owned());
            attacking.spawn(async move {
                let mut sender = connect(self.address, source.into()).await?;
                let entropy = SeededEntropy::new(u64::try_from(number)?);
                let mut limited = 0_usize;
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let form = form(&client, wrong(&entropy)?.reveal());
                    let (status, _) = exchange(&mut sender, token_request(form)?).await?;
                    match status {
                        StatusCode::UNAUTHORIZED => {}
                        StatusCode::TOO_MANY_REQUESTS => limited += 1,
                        other => anyhow::bail!("a wrong secret was answered with {other}"),
                    }
                }
                anyhow::Ok(limited)
            });
        }
        let (mut during, mut next) = (Vec::new(), Instant::now());
        while left.load(Ordering::Relaxed) > 0 {
            // Whoever gets the right secret refused ends the measurement.
            during.push(ask_for_token(&mut victim, &right).await?);
            next += VICTIM_EVERY;
            sleep_until(next).await;
        }
        let took = begun.elapsed();
        let mut limited = 0;
        while let Some(done) = attacking.join_next().await {
            limited += done??;
        }
        let told = serde_json::json!({
            "wrong_secrets": self.count,
            "wrong_secrets_a_second": (self.count as f64 / took.as_secs_f64()).round(),
            "sources": sources,
            "of_these_limited": limited,
            "right_secrets": during.len(),
            "right_secrets_refused": 0,
            "p99_before_us": part(&mut before, 990),
            "p99_during_us": part(&mut during, 990),
            "p50_before_us": part(&mut before, 500),
            "p50_during_us": part(&mut during, 500),
        });
        Ok(told.to_string())
    }

    /// Tokens that nobody was ever given.
    async fn guess(self) -> anyhow::Result<String> {
        let left = Arc::new(AtomicUsize::new(self.count));
        let (begun, mut guessing) = (Instant::now(), JoinSet::new());
        for number in 0..self.at_once {
            let left = Arc::clone(&left);
            guessing.spawn(async move {
                let mut sender = connect(self.address, Ipv4Addr::LOCALHOST).await?;
                let entropy = SeededEntropy::new(u64::try_from(number)?);
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let mut random = [0; 16];
                    ensure!(entropy.fill(&mut random).is_ok(), "a seed never fails");
                    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
                    let asked = Request::builder().uri("/v1/orders").header("host", "localhost");
                    let asked = asked.header("authorization", format!("Bearer sk-{token}")).body(Full::default())?;
                    let (status, _) = exchange(&mut sender, asked).await?;
                    ensure!(status == StatusCode::UNAUTHORIZED, "a guess was answered with {status}");
                }
                Ok(())
            });
        }
        while let Some(done) = guessing.join_next().await {
            done??;
        }
        let told = serde_json::json!({
            "guesses": self.count,
            "guesses_a_second": (self.count as f64 / begun.elapsed().as_secs_f64()).round(),
        });
        Ok(told.to_string())
    }
}

/// A well-formed secret that nobody has.
fn wrong(entropy: &SeededEntropy) -> anyhow::Result<ClientSecret> {
    let mut random = [0; 32];
    ensure!(entropy.fill(&mut random).is_ok(), "a seed never fails");
    Ok(ClientSecret::from_random(SecretKind::Testing, &mut random))
}

fn form(client: &str, secret: &str) -> Bytes {
    Bytes::from(format!("grant_type=client_credentials&client_id={client}&client_secret={secret}"))
}

fn token_request(form: Bytes) -> anyhow::Result<Request<Full<Bytes>>> {
    let asked = Request::post("/v1/auth/token").header("host", "localhost");
    Ok(asked.header("content-type", "application/x-www-form-urlencoded").body(Full::new(form))?)
}

/// Microseconds that a token took, which must be granted.
async fn ask_for_token(sender: &mut Sender, form: &Bytes) -> anyhow::Result<u32> {
    let begun = Instant::now();
    let (status, _) = exchange(sender, token_request(form.clone())?).await?;
    ensure!(status == StatusCode::OK, "the right secret was answered with {status}");
    Ok(micros(begun.elapsed()))
}

async fn connect(address: SocketAddr, from: Ipv4Addr) -> anyhow::Result<Sender> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(address).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(sender: &mut Sender, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// So many thousandths took no longer.
fn part(times: &mut [u32], thousandths: usize) -> Option<u32> {
    times.sort_unstable();
    times.get((times.len() * thousandths / 1000).min(times.len().saturating_sub(1))).copied()
}
