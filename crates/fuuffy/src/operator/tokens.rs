//! `fuuffy tokens`

use std::io::{Read as _, Write};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use fuuffy_protocol::AccessToken;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Call, Common, InEnvironment, OfClient, Shape, Why, run, segment};

/// Bytes that are read at most: of the longest token, and of the end of a line. What is longer is none.
const LONGEST: u64 = AccessToken::LONGEST_JWT as u64 + 16;

/// `fuuffy tokens`
#[derive(Debug, Args)]
pub struct TokensArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Debug, Subcommand)]
enum TokensCommand {
    /// List the live tokens of a client: when they were issued and expire, never the tokens themselves.
    List(OfClient),
    /// Revoke one token, or all of a client: from the answer on they are refused.
    Revoke {
        #[command(flatten)]
        place: InEnvironment,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// All tokens of this client.
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// One token, read from standard input, so that it stands in no history.
    #[arg(long, value_name = "-", value_parser = ["-"])]
    token: Option<String>,
    /// One token, by the id that `tokens list` shows.
    #[arg(long, value_name = "TOKEN_ID")]
    token_id: Option<String>,
}

const TOKEN_COLUMNS: &[&str] = &["token_id", "issued_at", "expires_at", "scope"];

/// Runs a `tokens` command.
///
/// # Errors
/// The server or the data directory could not be reached, standard input could not be read, or writing failed.
pub async fn tokens(args: TokensArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let (place, call) = match args.command {
        TokensCommand::List(OfClient { place, client }) => {
            (place, Call::get(format!("clients/{}/tokens", segment(&client)), Shape::Pages(TOKEN_COLUMNS)))
        }
        TokensCommand::Revoke { place, which: Which { client: Some(client), .. }, why } => {
            (place, Call::post(format!("clients/{}/tokens/revoke", segment(&client)), None, why))
        }
        TokensCommand::Revoke { place, which: Which { token_id: Some(id), .. }, why } => {
            (place, Call::post("tokens/revoke".to_owned(), Some(json!({"token_id": id})), why))
        }
        TokensCommand::Revoke { place, why, .. } => {
            let mut token = Zeroizing::new(String::new());
            let read = std::io::stdin().take(LONGEST).read_to_string(&mut token);
            let read = read.context("standard input could not be read")?;
            ensure!(
                (read as u64) < LONGEST,
                "what came by standard input is longer than any token; give it the token alone"
            );
            (place, Call::post("tokens/revoke".to_owned(), Some(json!({"token": token.trim()})), why))
        }
    };
    run(&args.common, place.environment, call, out, err).await
}
