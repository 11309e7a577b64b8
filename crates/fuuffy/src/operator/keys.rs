//! `fuuffy keys`

use std::io::Write;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use super::desk::{Desk, configuration};
use super::transport::On;
use super::{Common, Shape, Why, show};

/// `fuuffy keys`
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// List the keys of the key file, the current one first, and what still needs each.
    List,
    /// Make a new key, which everything new is kept under. What is kept under older ones works on.
    Rotate {
        /// The key that the audit log is signed with, instead of the one that secrets and tokens are kept under.
        #[arg(long)]
        audit: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Take a key that nothing needs any more out of the key file.
    Retire {
        /// Its number.
        key_id: u32,
        /// Even if secrets and tokens stop working by it.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        why: Why,
    },
}

const KEY_COLUMNS: &[&str] = &["key_id", "current", "secrets", "tokens", "expired_tokens"];

/// Runs a `keys` command.
///
/// # Errors
/// The server or the data directory could not be reached, it said no, or writing failed.
pub async fn keys(args: KeysArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match configuration(&args.common, err)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let (method, path, body, shape, words) = match args.command {
        KeysCommand::List => (Method::GET, "/admin/v1/keys".to_owned(), None, Shape::Table(KEY_COLUMNS), ""),
        KeysCommand::Rotate { audit: true, why } => (
            Method::POST,
            "/admin/v1/keys/audit/rotate".to_owned(),
            Some(json!({"why": why.why})),
            Shape::Pairs,
            "Back the audit key file up now, and hand the new public key on: fuuffy audit key. Older keys stay in the \
             file, for what they signed is checked by them.",
        ),
        KeysCommand::Rotate { audit: false, why } => (
            Method::POST,
            "/admin/v1/keys/rotate".to_owned(),
            Some(json!({"why": why.why})),
            Shape::Pairs,
            "Back the key file up now: what is kept from here on opens only with the new key.",
        ),
        KeysCommand::Retire { key_id, force, why } => (
            Method::POST,
            format!("/admin/v1/keys/{key_id}/retire"),
            Some(json!({"force": force, "why": why.why})),
            Shape::Pairs,
            "Keep the key as long as you keep backups from before: they open only with it.",
        ),
    };
    let desk = Desk::open(&config).await?;
    let answer = desk.call(method, &path, body.as_ref(), On::default()).await;
    desk.close().await;
    show(&answer?.body["data"], args.common.json, shape, out, err)?;
    if !words.is_empty() {
        writeln!(err, "{words}")?;
    }
    Ok(0)
}
