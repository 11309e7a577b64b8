//! `fuuffy demo`: both environments and a sample API on this machine, and the guide walked through
//! with true answers. Then it serves until Ctrl-C.

mod call;
mod orders;
mod walk;

use std::io::{IsTerminal as _, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fuuffy_domain::{Actor, Lifetime};
use tokio::signal::unix::{SignalKind, signal};

use crate::serve::read_config;
use crate::server::{Server, Sources};
use walk::Stage;

/// Ports that are taken if they are free, so that what the README says can be typed as it stands.
const PORTS: [u16; 4] = [8080, 8081, 9080, 8090];

/// `fuuffy demo`
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Keep everything in this directory instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The life of the token that is shown expiring, from 1s to 1h.
    #[arg(long, value_name = "LIFE", default_value = "5s", value_parser = short_life)]
    token_lifetime: Lifetime,
    /// Print each step as a line of JSON.
    #[arg(long)]
    json: bool,
}

/// Starts everything, walks the guide, and serves until `SIGINT` or `SIGTERM`.
///
/// # Errors
/// Something could not be started, or an answer was not the guide's.
pub async fn run(args: DemoArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let temporary = match args.data_dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("fuuffy-demo-").tempdir().context("no temporary directory")?),
    };
    let folder = match (&args.data_dir, &temporary) {
        (Some(folder), _) => folder.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => PathBuf::from("."),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;

    let orders = orders::listen(free_address(PORTS[3])?).await?;
    let file = folder.join("demo.toml");
    write_config(&file, orders.address)?;
    let config = match read_config(&file) {
        Ok(config) => config,
        Err(mistakes) => {
            writeln!(err, "{mistakes}")?;
            return Ok(2);
        }
    };
    let server = Server::start(config, Sources::system()).await?;
    let stage = Stage {
        addresses: server.addresses().clone(),
        api: server.admin_router_for(Actor::Server),
        config: file,
        short_life: args.token_lifetime,
        is_terminal: std::io::stderr().is_terminal(),
        json: args.json,
    };
    let walked = tokio::select! {
        walked = stage.walk(out, err) => Some(walked),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    if let Some(Ok(())) = walked {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    writeln!(err, "Stopping.")?;
    server.shutdown().await;
    orders.stop().await;
    if let Some(temporary) = temporary {
        temporary.close().context("the temporary directory could not be removed")?;
    }
    walked.unwrap_or(Ok(())).map(|()| 0)
}

/// The address of a port if it is free, else of some free one.
fn free_address(port: u16) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", port)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    Ok(listener.context("no free port on loopback")?.local_addr()?)
}

/// A configuration like any operator's, so that every command works on the demo too.
fn write_config(file: &Path, orders: SocketAddr) -> anyhow::Result<()> {
    let mut text = format!("data_dir = \".\"\n\n[admin]\nlisten = \"{}\"\n", free_address(PORTS[2])?);
    for (name, port) in [("testing", PORTS[0]), ("production", PORTS[1])] {
        let listen = free_address(port)?;
        text.push_str(&format!(
            "\n[environments.{name}]\nlisten = \"{listen}\"\nbase_url = \"http://{listen}/v1\"\n\
             \n[[environments.{name}.routes]]\nprefix = \"/v1/orders\"\nupstreams = [\"http://{orders}\"]\n\
             scopes = {{ read = \"orders:read\", write = \"orders:write\" }}\n"
        ));
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn short_life(text: &str) -> Result<Lifetime, String> {
    let life = Lifetime::parse(text).map_err(|fault| fault.to_string())?;
    if life > Lifetime::HOUR { Err("the demo's environments have tokens of at most 1h".to_owned()) } else { Ok(life) }
}
