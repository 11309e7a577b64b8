//! `fuuffy agent`: a proxy on this machine alone that adds the token, refreshes, retries and keeps to the
//! limits, so that a program in any language calls the API without credentials.
//!
//! A request goes in one direction: `listen` takes it, `door` decides whether its sender may use the agent,
//! `forward` sends it by the client, `refusal` says no where there is no answer to pass on.

mod door;
mod forward;
mod keep;
mod listen;
mod local;
mod refusal;
mod status;
mod upstream;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use fuuffy_client::Client;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::integrator::{Common, age};
use door::LocalKey;
use listen::Listeners;
use status::Status;
use upstream::Upstream;

/// `fuuffy agent`
#[derive(Debug, Args)]
pub struct AgentArgs {
    #[command(flatten)]
    common: Common,
    /// Where to listen: a loopback address, 127.0.0.1:7443 unless given; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    listen: Option<SocketAddr>,
    /// Listen on a Unix socket that only you can open; alone, unless --listen is given too.
    #[arg(long, value_name = "PATH")]
    unix: Option<PathBuf>,
    /// Ask callers for X-Fuuffy-Agent-Key with what is in this file, which only you may be able to read.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Slow calls down as a limit comes near, before they are refused.
    #[arg(long)]
    paced: bool,
    /// The longest that one call is held up by limits and back-off together.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// The longest that one call waits for its answer to begin.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86400))]
    timeout: u64,
    /// Replace the client's own secret where it is kept, before it gets older than that, as in 30d.
    #[arg(long, value_name = "AGE", value_parser = age)]
    rotate_every: Option<Duration>,
}

/// What all connections share.
struct Agent {
    client: Client,
    key: Option<LocalKey>,
    status: Arc<Status>,
}

/// Serves until `SIGTERM` or `SIGINT`. 2: what was set up cannot work.
///
/// # Errors
/// What could not be bound, or written.
pub async fn run(args: AgentArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let agent = match set_up(&args).await {
        Ok(agent) => Arc::new(agent),
        Err(error) => {
            writeln!(err, "fuuffy: {error:#}")?;
            return Ok(2);
        }
    };
    let listeners = Listeners::bind(args.tcp(), args.unix.as_deref()).await?;
    writeln!(out, "{}", json!({"ready": listeners.places()}))?;
    out.flush().context("the ready line could not be written")?;
    crate::serve::notify(&[sd_notify::NotifyState::Ready]);
    let (base_url, environment) = (agent.client.base_url(), agent.client.environment());
    tracing::info!(%base_url, %environment, places = %listeners.places(), "Callers need no token: the agent adds it");
    let keeper = tokio::spawn(keep::keep(agent.client.clone(), Arc::clone(&agent.status)));
    let told_to_stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        crate::serve::notify(&[sd_notify::NotifyState::Stopping]);
        tracing::info!("Stopping: nothing new is taken, and what is in flight finishes");
    };
    listeners.serve(agent, told_to_stop).await;
    keeper.abort();
    tracing::info!("Stopped");
    Ok(0)
}

async fn set_up(args: &AgentArgs) -> anyhow::Result<Agent> {
    let status = Arc::new(Status::default());
    let key = match &args.key_file {
        Some(path) => Some(LocalKey::read(path).await?),
        None => None,
    };
    let hears = Arc::clone(&status);
    let settings = args.common.settings()?;
    let builder = settings.builder(settings.cache()?)?;
    let builder = builder.observer(move |event: &fuuffy_client::Event| hears.heard(event));
    let builder = builder.paced(args.paced).patience(Duration::from_secs(args.patience));
    let builder = match args.rotate_every {
        Some(every) => {
            status.expect_rotation();
            builder.rotate_every(every)
        }
        None => builder,
    };
    let timeout = Duration::from_secs(args.timeout);
    // Over TLS the client's own HTTP client keeps connections; in clear, on this machine, ours does, and time too.
    let builder = match Upstream::at(&builder.target()?, timeout) {
        Some(upstream) => builder.http_client(upstream).timeout(Duration::MAX),
        None => builder.timeout(timeout),
    };
    let client = builder.build()?;
    Ok(Agent { client, key, status })
}

impl AgentArgs {
    /// The address to listen on, unless a socket alone was asked for.
    fn tcp(&self) -> Option<SocketAddr> {
        let usual = SocketAddr::from(([127, 0, 0, 1], 7443));
        self.listen.or_else(|| self.unix.is_none().then_some(usual))
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "give an address and a port, as in 127.0.0.1:7443")?;
    if !address.ip().is_loopback() {
        return Err("whoever reaches the agent calls the API in your name, so it listens on this machine alone; \
                    give 127.0.0.1:7443 or another loopback address"
            .to_owned());
    }
    Ok(address)
}
