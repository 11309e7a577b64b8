//! `fuuffy audit`

use std::io::Write;

use clap::{Args, Subcommand};

use super::{Call, Common, InEnvironment, Shape, run, segment};

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
    let AuditCommand::List { place, client } = args.command;
    let query = client.map(|client| format!("?client_id={}", segment(&client))).unwrap_or_default();
    run(&args.common, place.environment, Call::get(format!("audit{query}"), Shape::Pages(AUDIT_COLUMNS)), out, err)
        .await
}
