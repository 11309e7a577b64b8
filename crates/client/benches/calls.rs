//! What the client costs beside the HTTP client that it is built on, and how many token requests a crowd
//! causes. `benches/client` and `benches/crowd` run it; they name the server.

#![expect(clippy::print_stdout, reason = "a benchmark prints its numbers")]

use std::time::Duration;

use fuuffy_client::{BaseUrl, Client, Error};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

const ROUNDS: usize = 15;
const CALLS: u32 = 4000;
const CROWD: usize = 1000;

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let (Some(what), Some(base_url)) = (words.next(), words.next()) else {
        // As `cargo test --benches` runs it.
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let ran = runtime.block_on(async {
            match what.as_str() {
                "overhead" => overhead(&base_url).await,
                _ => crowd(&base_url).await,
            }
        });
        ran.map_err(|error| error.to_string())
    });
    match outcome {
        Ok(line) => println!("{line}"),
        Err(error) => {
            println!("{error}");
            std::process::exit(1);
        }
    }
}

fn client(base_url: &str) -> Result<Client, Error> {
    Client::builder().base_url(base_url).credentials("bench", "bench").build()
}

/// CPU time of this process.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn failed(error: impl std::error::Error) -> Error {
    Error::configuration(error.to_string())
}

/// Who calls, in turn.
#[derive(Clone)]
enum Caller {
    Ours(Client),
    Bare { http: reqwest::Client, url: String, bearer: String },
}

impl Caller {
    /// The same GET: the same fields, and the whole answer read.
    async fn call(&self) -> Result<(), Error> {
        match self {
            Self::Ours(client) => drop(client.get("/orders").send().await?.bytes().await?),
            Self::Bare { http, url, bearer } => {
                let request = http.get(url).header("authorization", bearer).header("accept", "application/json");
                let response = request.send().await.map_err(failed)?.error_for_status().map_err(failed)?;
                drop(response.bytes().await.map_err(failed)?);
            }
        }
        Ok(())
    }

    /// Time and CPU of one call, in microseconds, with so many at once.
    async fn measure(&self, at_once: u32) -> Result<(f64, f64), Error> {
        let (began, cpu) = (Instant::now(), spent());
        let tasks: Vec<_> = (0..at_once)
            .map(|_| {
                let caller = self.clone();
                tokio::spawn(async move {
                    for _ in 0..CALLS / at_once {
                        caller.call().await?;
                    }
                    Ok::<(), Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.map_err(failed)??;
        }
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(CALLS);
        Ok((micros(began.elapsed()), micros(spent() - cpu)))
    }
}

/// The client and reqwest alone, in turn, one call after the other and sixteen at once: medians.
async fn overhead(base_url: &str) -> Result<String, Error> {
    let (ours, url) = (client(base_url)?, format!("{}/orders", BaseUrl::parse(base_url)?));
    let bearer = format!("Bearer {}", ours.tokens().token().await?.reveal());
    let bare = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().user_agent("bench");
    let bare = Caller::Bare { http: bare.build().map_err(failed)?, url, bearer };
    let callers = [("fuuffy-client", Caller::Ours(ours)), ("reqwest", bare)];
    let mut shown = serde_json::json!({});
    for (how, at_once) in [("one", 1), ("sixteen", 16)] {
        let mut times: [Vec<f64>; 4] = Default::default();
        for round in 0..=ROUNDS {
            for (number, (_, caller)) in callers.iter().enumerate() {
                let (elapsed, cpu) = caller.measure(at_once).await?;
                // The first round warms both up.
                if round > 0 {
                    times[number].push(elapsed);
                    times[number + 2].push(cpu);
                }
            }
        }
        let [ours, bare, ours_cpu, bare_cpu] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        });
        let names = (callers[0].0, callers[1].0);
        shown[how] = serde_json::json!({
            "us": {names.0: ours, names.1: bare},
            "cpu_us": {names.0: ours_cpu, names.1: bare_cpu},
        });
    }
    Ok(shown.to_string())
}

/// So many callers at the moment in which the token expires.
async fn crowd(base_url: &str) -> Result<String, Error> {
    let ours = client(base_url)?;
    let first = ours.tokens().token().await?;
    tokio::time::sleep(first.expires_in() + Duration::from_millis(50)).await;
    let callers: Vec<_> = (0..CROWD)
        .map(|_| {
            let ours = ours.clone();
            tokio::spawn(async move { ours.tokens().token().await.map(drop) })
        })
        .collect();
    for caller in callers {
        caller.await.map_err(failed)??;
    }
    Ok(serde_json::json!({"callers": CROWD}).to_string())
}
