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

/// The same GET by the client and by reqwest alone, in turn: medians of time and CPU for one call.
async fn overhead(base_url: &str) -> Result<String, Error> {
    let (ours, url) = (client(base_url)?, format!("{}/orders", BaseUrl::parse(base_url)?));
    let bare = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent("bench")
        .build()
        .map_err(failed)?;
    let token = ours.tokens().token().await?;
    let bearer = format!("Bearer {}", token.reveal());
    let (mut by_ours, mut by_bare) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (began, cpu) = (Instant::now(), spent());
        for _ in 0..CALLS {
            ours.get("/orders").send().await?.bytes().await?;
        }
        let of_ours = (began.elapsed() / CALLS, (spent() - cpu) / CALLS);
        let (began, cpu) = (Instant::now(), spent());
        for _ in 0..CALLS {
            let request = bare.get(&url).header("authorization", &bearer).header("accept", "application/json");
            let response = request.send().await.map_err(failed)?.error_for_status().map_err(failed)?;
            response.bytes().await.map_err(failed)?;
        }
        let of_bare = (began.elapsed() / CALLS, (spent() - cpu) / CALLS);
        // The first round warms both up.
        if round > 0 {
            by_ours.push(of_ours);
            by_bare.push(of_bare);
        }
    }
    let median = |mut times: Vec<(Duration, Duration)>| {
        let middle = |times: &mut Vec<Duration>| {
            times.sort();
            times[times.len() / 2].as_secs_f64() * 1e6
        };
        let (mut elapsed, mut cpu): (Vec<_>, Vec<_>) = times.drain(..).unzip();
        (middle(&mut elapsed), middle(&mut cpu))
    };
    let ((ours_us, ours_cpu), (bare_us, bare_cpu)) = (median(by_ours), median(by_bare));
    let shown = serde_json::json!({
        "us": {"fuuffy-client": ours_us, "reqwest": bare_us},
        "cpu_us": {"fuuffy-client": ours_cpu, "reqwest": bare_cpu},
    });
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
