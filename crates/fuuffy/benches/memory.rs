//! What limits, metering and the watch for the unusual take in memory for each client that calls, beyond its record; and
//! in CPU for a minute of all of them, with everything that is done about it once a minute: it is read from the store, too.
//!
//!     memory prepare CONFIG COUNT TOKENS_FILE   registers clients with three weeks behind them, and a token each
//!     memory measure CONFIG TOKENS_FILE         serves one request of each, and says what they added
//!     memory hour CONFIG TOKENS_FILE            serves one of each in every minute of an hour, and says what the minutes cost
//!
//! The configuration has a testing environment with a route to `UPSTREAM` below, a plan that lets all of it through, and
//! tokens that live for a day.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use fuuffy::serve::read_config;
use fuuffy::server::{Environment, Environments, Server, Sources, SystemEntropy, SystemTime};
use fuuffy_domain::{
    Actor, Cause, ClientId, ClientSlot, Clock as _, EnvironmentName, History, Kept, Keyring, PlanName, RequestContext,
    RequestId, Sample, ScopeSet, SecretId, TimeSource, Timestamp,
};
use fuuffy_issuer::OAuthEndpoint;
use fuuffy_protocol::BodyShape;
use fuuffy_store::{NewClient, NewCredential, NewSecret, Store as _, UsageBook, pepper};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where the API is: below the ports that connections are given.
const UPSTREAM: &str = "127.0.0.1:29117";
/// Deeds under way at once.
const AT_ONCE: usize = 1024;
/// Histories that differ; the clients have them in turn.
const HISTORIES: u32 = 64;
/// Minutes after which memory is looked at again.
const LATER: u32 = 5;
/// Seconds of a minute in which nobody called yet.
const EARLY: u64 = 5;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words[..] {
        ["prepare", config, count, tokens] => runtime.block_on(prepare(config, count.parse()?, tokens)),
        ["measure", config, tokens] => runtime.block_on(measure(config, tokens)),
        ["hour", config, tokens] => runtime.block_on(hour(config, tokens)),
        // `cargo bench` without a benchmark of this name runs it bare.
        _ => Ok(()),
    }
}

async fn prepare(config: &str, count: u32, tokens: &str) -> anyhow::Result<()> {
    let config = read_config(Path::new(config))?;
    let (environments, _lock) = Environments::open(&config, &Sources::system())?;
    let environment = environments.testing.clone().context("no testing environment")?;
    let keys = pepper::load_or_create(&config.data_dir.join("pepper.key"), true, &SystemEntropy)?;
    let keyring = Keyring::derive(EnvironmentName::Testing, &keys)?;
    let made = keyring.new_secret(EnvironmentName::Testing, &SystemEntropy);
    let (secret, _, digest) = made.ok().context("no randomness")?;
    let mut registering = JoinSet::new();
    let id = |number: u32| {
        let mut random = [0; 12];
        random[..4].copy_from_slice(&number.to_be_bytes());
        random
    };
    for number in 0..count {
        if registering.len() >= AT_ONCE {
            registering.join_next().await.context("nothing was under way")???;
        }
        let at = environment.clock.now();
        let request = RequestId::generate(at, [0; 10]);
        let cause = Cause { actor: Actor::Server, from: None, request, at, why: None };
        let secret_id = SecretId::from_random(id(number));
        let secret = NewSecret { id: secret_id, digest, created_at: at, expires_at: None, made_by: None };
        let new = NewClient {
            id: ClientId::from_random(id(number)),
            name: format!("Client {number}"),
            scopes: ScopeSet::parse("orders:read")?,
            plan: PlanName::parse("standard")?,
            limits: None,
            token_lifetime: None,
            may_rotate: false,
            must_bind: None,
            credential: NewCredential::Secret(secret),
        };
        registering.spawn(environment.store.create_client(cause, new, None));
    }
    while let Some(done) = registering.join_next().await {
        done??;
    }
    let (mut issuing, mut kept) = (JoinSet::new(), String::new());
    for number in 0..count {
        if issuing.len() >= AT_ONCE {
            let issued = issuing.join_next().await.context("nothing was under way")??;
            let line: String = issued?;
            kept.push_str(&line);
        }
        let client = ClientId::from_random(id(number));
        let form = format!("grant_type=client_credentials&client_id={client}&client_secret={}", secret.reveal());
        issuing.spawn(token(Arc::clone(&environment), form));
    }
    while let Some(issued) = issuing.join_next().await {
        let line: String = issued??;
        kept.push_str(&line);
    }
    std::fs::write(tokens, kept)?;
    let now = environment.clock.now();
    environments.close().await;
    let learned: Vec<Vec<u8>> = (0..HISTORIES).map(|number| lived(number, now)).collect();
    let path = config.data_dir.join("testing.usage.sqlite3");
    let book = UsageBook::open(path, EnvironmentName::Testing, Vec::new());
    let of = |number: u32| (ClientSlot(number), learned[(number % HISTORIES) as usize].clone());
    book.know((0..count).map(of).collect()).await;
    book.close(now).await;
    Ok(())
}

async fn token(environment: Arc<Environment>, form: String) -> anyhow::Result<String> {
    let now = environment.clock.now();
    let context = RequestContext { id: RequestId::generate(now, [0; 10]), peer: IpAddr::V4(Ipv4Addr::LOCALHOST), now };
    let request = http::Request::post("/v1/auth/token").header("content-type", "application/x-www-form-urlencoded");
    let (parts, ()) = request.body(())?.into_parts();
    let response =
        environment.issuer.respond(&context, &parts, Ok(form.into()), OAuthEndpoint::Token(BodyShape::Guide)).await;
    ensure!(response.status().is_success(), "a token was refused: {:?}", response.body());
    let body: serde_json::Value = serde_json::from_slice(response.body())?;
    Ok(format!("{}\n", body["data"]["access_token"].as_str().context("no token")?))
}

/// Three weeks of a client that is busier by day, with some errors and noise, as bytes.
fn lived(number: u32, now: Timestamp) -> Vec<u8> {
    let mut history = History::new();
    let minutes: u32 = 3 * 7 * 24 * 60;
    for minute in (1..=minutes).rev() {
        let at = Timestamp::from_unix_millis(now.unix_millis() - i64::from(minute) * 60_000);
        let noise = minute.wrapping_mul(2_654_435_761).wrapping_add(number.wrapping_mul(0x85eb_ca6b)) >> 20;
        let is_day = (8 * 60..18 * 60).contains(&((minutes - minute) % 1440));
        let requests = if is_day { 60 + noise % 30 } else { noise % 12 };
        let sample = Sample {
            requests,
            forbidden: u32::from(noise % 50 == 0).min(requests),
            not_found: requests / 20,
            limited: u32::from(noise % 90 == 0).min(requests),
            server_errors: u32::from(noise % 70 == 0).min(requests),
            bytes_in: u64::from(requests * (200 + noise % 50)),
            bytes_out: u64::from(requests * (3000 + noise % 900)),
            latency: (requests > 0).then_some(20_000 + noise % 8000),
        };
        history.observe(at, &sample, &[]);
    }
    Kept { history, ..Kept::default() }.to_bytes()
}

/// A server, an API behind it, and its callers.
struct Served {
    server: Server,
    environment: Arc<Environment>,
    time: Arc<Ahead>,
    stream: TcpStream,
    tokens: String,
    upstream: JoinHandle<()>,
}

impl Served {
    /// Starts it, its clock so many seconds ahead.
    async fn start(config: &str, tokens: &str, ahead: u64) -> anyhow::Result<Self> {
        let tokens = std::fs::read_to_string(tokens)?;
        let listener = TcpListener::bind(UPSTREAM).await?;
        let upstream = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
        let time = Arc::new(Ahead(AtomicU64::new(ahead)));
        let sources = Sources { time: Arc::clone(&time) as Arc<dyn TimeSource>, ..Sources::system() };
        let server = Server::start(read_config(Path::new(config))?, sources).await?;
        let environment = server.environments().testing.clone().context("no testing environment")?;
        let mut stream = TcpStream::connect(server.addresses().testing.context("no address")?).await?;
        // What the first of all brings with it is not what each costs.
        let (first, rest) = tokens.split_once('\n').context("no token")?;
        call(&mut stream, first).await?;
        let tokens = rest.to_owned();
        Ok(Self { server, environment, time, stream, tokens, upstream })
    }

    /// Has each client call, and says how many there are.
    async fn call(&mut self) -> anyhow::Result<u64> {
        let mut count = 0;
        for token in self.tokens.lines() {
            call(&mut self.stream, token).await?;
            count += 1;
        }
        Ok(count)
    }

    /// Early in the next minute, does what is done once a minute, and says how long that kept all threads busy.
    async fn next_minute(&self) -> anyhow::Result<Duration> {
        let into_the_minute = u64::try_from(self.time.wall().unix_seconds())? % 60;
        self.time.0.fetch_add(60 + EARLY - into_the_minute, Ordering::Relaxed);
        // What was counted is kept within a second, as it is always.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let begun = busy()?;
        self.environment.each_minute().await;
        Ok(busy()?.saturating_sub(begun))
    }

    async fn stop(self) {
        self.server.shutdown().await;
        self.upstream.abort();
    }
}

async fn measure(config: &str, tokens: &str) -> anyhow::Result<()> {
    let mut served = Served::start(config, tokens, 0).await?;
    let before = resident()?;
    let count = served.call().await?;
    let called = resident()?;
    served.environment.each_minute().await;
    let watched = resident()?;
    // The first minutes of a block, of which more is known with each.
    for _ in 0..LATER {
        served.call().await?;
        served.next_minute().await?;
    }
    let again = resident()?;
    let each = |bytes: u64| bytes.saturating_sub(before) / count;
    let told = serde_json::json!({"clients": count, "bytes_each_called": each(called), "bytes_each_watched": each(watched),
        "bytes_each_minutes_later": each(again)});
    writeln!(std::io::stdout(), "{told}")?;
    served.stop().await;
    Ok(())
}

/// From the first minute of an hour to the first of the next, in which every history learns from the hour that is over. In
/// the minute before that, what was learned is kept. The server has minutes of its own meanwhile, by the machine's clock:
/// one that falls among these makes them cheaper or dearer, which the median does not show and the most does.
async fn hour(config: &str, tokens: &str) -> anyhow::Result<()> {
    let into_the_hour = u64::try_from(SystemTime.wall().unix_seconds())? % 3600;
    let mut served = Served::start(config, tokens, 3600 + EARLY - into_the_hour).await?;
    served.environment.each_minute().await;
    let mut minutes = Vec::new();
    for _ in 0..=60 {
        served.call().await?;
        let looked = served.next_minute().await?;
        write!(std::io::stderr(), "\r{} minutes ", minutes.len() + 1)?;
        minutes.push(u64::try_from(looked.as_micros())? as f64 / 1000.0);
    }
    let (learned, kept) = (minutes.pop(), minutes.pop());
    minutes.sort_unstable_by(f64::total_cmp);
    let told = serde_json::json!({"cpu_milliseconds": {"ordinary": minutes[minutes.len() / 2], "most": minutes.last(),
        "kept": kept, "hour_learned": learned}});
    writeln!(std::io::stdout(), "{told}")?;
    served.stop().await;
    Ok(())
}

/// The machine's clock, so many seconds ahead.
struct Ahead(AtomicU64);

impl TimeSource for Ahead {
    fn wall(&self) -> Timestamp {
        SystemTime.wall().after(Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }

    fn elapsed(&self) -> Duration {
        SystemTime.elapsed() + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// An API that answers everything by the same.
async fn answer(mut stream: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(1..) = stream.read(&mut bytes).await {
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.is_err() {
            return;
        }
    }
}

async fn call(stream: &mut TcpStream, token: &str) -> anyhow::Result<()> {
    let ask = format!("GET /v1/orders HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await?;
    let (mut bytes, mut length) = ([0; 4096], 0);
    while !bytes[..length].ends_with(b"\r\n\r\n{}") {
        let read = stream.read(&mut bytes[length..]).await?;
        ensure!(read > 0, "the server closed: {}", String::from_utf8_lossy(&bytes[..length]));
        length += read;
    }
    ensure!(bytes.starts_with(b"HTTP/1.1 200"), "refused: {}", String::from_utf8_lossy(&bytes[..length]));
    Ok(())
}

/// CPU time of all threads of this process.
fn busy() -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread may end meanwhile.
        let told = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanos += told.split_whitespace().next().map_or(Ok(0), str::parse::<u64>)?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// What this process holds of the machine's memory, its program not counted.
fn resident() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no size in memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
