//! `fuuffy serve`: from the configuration file to a server, and what signals do to it.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Config, Mistakes};
use crate::server::{Server, Sources};

/// `fuuffy serve`
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "FUUFFY_CONFIG", default_value = "fuuffy.toml")]
    config: PathBuf,
}

/// `fuuffy check`
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE", env = "FUUFFY_CONFIG", default_value = "fuuffy.toml")]
    config: PathBuf,
    /// Print the resolved configuration as JSON.
    #[arg(long)]
    json: bool,
}

/// Reads a configuration from the file system.
///
/// # Errors
/// All mistakes at once.
pub fn read_config(path: &Path) -> Result<Config, Mistakes> {
    config::load(path, |path| std::fs::read_to_string(path))
}

/// Validates a configuration and prints it resolved.
///
/// # Errors
/// Writing failed.
pub fn check(args: &CheckArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    match read_config(&args.config) {
        Ok(config) if args.json => writeln!(out, "{}", config.to_json())?,
        Ok(config) => write!(out, "{}", config.to_toml())?,
        Err(mistakes) => {
            writeln!(err, "{mistakes}")?;
            return Ok(2);
        }
    }
    Ok(0)
}

/// Serves until `SIGTERM` or `SIGINT`.
///
/// # Errors
/// What could not be opened or bound.
pub async fn serve(args: &ServeArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match read_config(&args.config) {
        Ok(config) => config,
        Err(mistakes) => {
            writeln!(err, "{mistakes}")?;
            return Ok(2);
        }
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let server = Server::start(config, Sources::system()).await?;
    writeln!(out, "{}", json!({"ready": server.addresses()}))?;
    out.flush().context("the ready line could not be written")?;
    notify(&[sd_notify::NotifyState::Ready]);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                server.reopen_logs();
                reload(&server, &args.config, err);
            }
        }
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("Stopping: nothing new is taken, and what is in flight finishes");
    server.shutdown().await;
    tracing::info!("Stopped");
    Ok(0)
}

/// A bad new file is refused loudly, and the old one stays in force.
fn reload(server: &Server, path: &Path, err: &mut dyn Write) {
    let outcome = match read_config(path) {
        Ok(config) => server.reload(&config).map_err(|error| format!("{error:#}")),
        Err(mistakes) => Err(mistakes.to_string()),
    };
    match outcome {
        Ok(()) => tracing::info!(file = %path.display(), "Routes, plans and upstreams were reloaded"),
        Err(reason) => {
            tracing::error!(file = %path.display(), "The new configuration was refused; the old one stays in force");
            // Nobody may be reading, and that is no reason to end.
            let _ = writeln!(err, "{reason}");
        }
    }
}

/// Tells systemd, if it started us.
pub(crate) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
