//! `fuuffy audit`: the log read, proven, exported and signed. What proves or exports it opens the store's file
//! by itself and writes nothing, so that it needs no server and disturbs none.

mod export;
mod verify;

use std::io::{Read as _, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fuuffy_domain::{AuditKeys, AuditPublicKey, EnvironmentName};
use fuuffy_store::audit_key;
use serde_json::json;

use super::desk::configuration;
use super::{Call, Common, InEnvironment, Shape, Why, environment_config, run, segment};
use crate::config::Config;
use crate::server::AUDIT_KEY;
use export::ExportArgs;
use verify::VerifyArgs;

/// `fuuffy audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List what was done and refused, the newest first: who, what, when and from where.
    List {
        #[command(flatten)]
        place: InEnvironment,
        /// About this client alone.
        #[arg(long, value_name = "CLIENT_ID")]
        client: Option<String>,
    },
    /// Prove that the log is as it was written, or show the first row that is not.
    Verify(VerifyArgs),
    /// Write the log as JSON lines: records, their hashes, and the checkpoints between them.
    Export(ExportArgs),
    /// Sign the log as it stands and print the checkpoint, to be kept elsewhere.
    Checkpoint {
        #[command(flatten)]
        place: InEnvironment,
    },
    /// Print the public keys that checkpoints are signed by, the current one first.
    Key {
        /// testing or production; both, unless given.
        #[arg(long, value_name = "E", value_parser = super::environment_name)]
        environment: Option<EnvironmentName>,
    },
}

const AUDIT_COLUMNS: &[&str] = &[
    "record/seq",
    "record/at",
    "record/deed",
    "record/client_id",
    "record/actor/kind",
    "record/from",
    "record/request_id",
    "record/why",
];

/// Runs an `audit` command.
///
/// # Errors
/// The server or the data directory could not be reached, or writing failed.
pub async fn audit(args: AuditArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let AuditArgs { mut common, command } = args;
    match command {
        AuditCommand::List { place, client } => {
            let query = client.map(|client| format!("?client_id={}", segment(&client))).unwrap_or_default();
            let call = Call::get(format!("audit{query}"), Shape::Pages(AUDIT_COLUMNS));
            run(&common, place.environment, call, out, err).await
        }
        AuditCommand::Verify(args) => verify::verify(&common, &args, out, err),
        AuditCommand::Export(args) => export::export(&common, &args, out, err),
        AuditCommand::Checkpoint { place } => {
            // It is one line in any case, for it is to be kept.
            common.json = true;
            let call = Call::post("audit/checkpoint".to_owned(), None, Why { why: None });
            run(&common, place.environment, call, out, err).await
        }
        AuditCommand::Key { environment } => show_keys(&common, environment, out, err),
    }
}

fn show_keys(
    common: &Common,
    of: Option<EnvironmentName>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let config = match configuration(common, err)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let mut rows = Vec::new();
    for environment in [EnvironmentName::Testing, EnvironmentName::Production] {
        if environment_config(&config, environment).is_none() || of.is_some_and(|of| of != environment) {
            continue;
        }
        for key in public_keys(&config, environment)? {
            let id = key.id.map(|id| id.0);
            rows.push(json!({"environment": environment, "key": id, "public_key": key.to_hex()}));
        }
    }
    super::show(&rows.into(), common.json, Shape::Table(&["environment", "key", "public_key"]), out, err)?;
    Ok(0)
}

/// What an environment's checkpoints are checked by, from the audit key file.
fn public_keys(config: &Config, environment: EnvironmentName) -> anyhow::Result<Vec<AuditPublicKey>> {
    let file = crate::settings::audit_key_file().unwrap_or_else(|| config.data_dir.join(AUDIT_KEY));
    Ok(AuditKeys::derive(environment, &audit_key::read(&file)?)?.public())
}

/// Opens a file, or standard input where it is named `-`.
fn open(file: &PathBuf) -> anyhow::Result<Box<dyn std::io::Read>> {
    use anyhow::Context as _;
    if file.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdin().take(u64::MAX)));
    }
    let opened = std::fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(Box::new(opened))
}
