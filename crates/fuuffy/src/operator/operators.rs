//! `fuuffy operators`

use std::io::Write;

use clap::{Args, Subcommand};
use fuuffy_domain::Lifetime;
use fuuffy_protocol::ScopeSet;
use serde_json::json;

use super::clients::{CLIENT_COLUMNS, lifetime, scope};
use super::{Call, Common, InEnvironment, Shape, Why, run};

/// `fuuffy operators`
#[derive(Debug, Args)]
pub struct OperatorsArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: OperatorsCommand,
}

#[derive(Debug, Subcommand)]
enum OperatorsCommand {
    /// Register an operator and show its first secret, once.
    Create {
        #[command(flatten)]
        place: InEnvironment,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// All that it may do, as in "admin:clients:read admin:clients:write".
        #[arg(long, value_parser = scope)]
        scope: ScopeSet,
        /// A life for its tokens shorter than the environment's, as in 15m.
        #[arg(long, value_name = "LIFE", value_parser = lifetime)]
        token_lifetime: Option<Lifetime>,
        #[command(flatten)]
        why: Why,
    },
    /// List all operators. `fuuffy clients` shows, suspends, resumes and deletes one.
    List {
        #[command(flatten)]
        place: InEnvironment,
    },
}

/// Runs an `operators` command.
///
/// # Errors
/// The server or the data directory could not be reached, or writing failed.
pub async fn operators(args: OperatorsArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let (place, call) = match args.command {
        OperatorsCommand::Create { place, name, scope, token_lifetime, why } => {
            let life = token_lifetime.map(|life| life.to_string());
            let body = json!({"name": name, "scope": scope.to_string(), "token_lifetime": life});
            (place, Call::create("operators".to_owned(), body, why))
        }
        OperatorsCommand::List { place } => (place, Call::get("operators".to_owned(), Shape::Pages(CLIENT_COLUMNS))),
    };
    run(&args.common, place.environment, call, out, err).await
}
