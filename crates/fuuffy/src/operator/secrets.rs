//! `fuuffy secrets`

use std::io::Write;

use clap::{Args, Subcommand};
use fuuffy_domain::Lifetime;
use serde_json::json;

use super::clients::lifetime;
use super::{Call, Common, OfClient, Shape, Why, run, segment};

/// `fuuffy secrets`
#[derive(Debug, Args)]
pub struct SecretsArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// Give a client another secret, shown once. It may have three live ones.
    Add {
        #[command(flatten)]
        client: OfClient,
        /// When it stops working, as in 2030-01-01T00:00:00Z; never, unless given.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// List a client's secrets: when they were made and used, never the secrets themselves.
    List {
        #[command(flatten)]
        client: OfClient,
        /// With --json: all that is known of each, as `secrets show` tells it.
        #[arg(long)]
        detail: bool,
    },
    /// Show a secret: who used it last, and whether it is safe to retire.
    Show {
        #[command(flatten)]
        client: OfClient,
        /// The secret's id.
        #[arg(long, value_name = "SECRET_ID")]
        secret: String,
    },
    /// Retire a secret: it works no more.
    Retire {
        #[command(flatten)]
        client: OfClient,
        /// The secret's id.
        #[arg(long, value_name = "SECRET_ID")]
        secret: String,
        /// Not now, but when nobody has used it for so long.
        #[arg(long, value_name = "LIFE", num_args = 0..=1, default_missing_value = "24h", value_parser = lifetime)]
        when_unused_for: Option<Lifetime>,
        #[command(flatten)]
        why: Why,
    },
}

const SECRET_COLUMNS: &[&str] = &[
    "secret_id",
    "created_at",
    "expires_at",
    "last_used_at",
    "last_used_from",
    "use_count",
    "status",
    "quarantined_at",
    "safe_to_retire",
];

/// Runs a `secrets` command.
///
/// # Errors
/// The server or the data directory could not be reached, or writing failed.
pub async fn secrets(args: SecretsArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let of = |client: &OfClient| format!("clients/{}/secrets", segment(&client.client));
    let (client, call) = match args.command {
        SecretsCommand::Add { client, expires_at, why } => {
            let path = of(&client);
            (client, Call::create(path, json!({"expires_at": expires_at}), why))
        }
        SecretsCommand::List { client, detail } => {
            let query = if detail || !args.common.json { "?detail=true" } else { "" };
            let path = format!("{}{query}", of(&client));
            (client, Call::get(path, Shape::Table(SECRET_COLUMNS)))
        }
        SecretsCommand::Show { client, secret } => {
            let path = format!("{}/{}", of(&client), segment(&secret));
            (client, Call::get(path, Shape::Pairs))
        }
        SecretsCommand::Retire { client, secret, when_unused_for, why } => {
            let path = format!("{}/{}/retire", of(&client), segment(&secret));
            let body = json!({"when_unused_for": when_unused_for.map(|life| life.to_string())});
            (client, Call::post(path, Some(body), why))
        }
    };
    run(&args.common, client.place.environment, call, out, err).await
}
