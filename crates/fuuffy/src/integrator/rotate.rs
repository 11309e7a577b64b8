//! `fuuffy rotate`: another secret in the place of the client's own, while everything goes on.

use std::io::Write;
use std::time::Duration;

use fuuffy_client::{Confirmed, Rotation};
use serde_json::{Value, json};

use super::{Common, tell};
use crate::config;

/// `fuuffy rotate`
#[derive(Debug, clap::Args)]
pub struct RotateArgs {
    #[command(flatten)]
    common: Common,
    /// Only if the secret is older than that, as in 30d, or near its end.
    #[arg(long, value_name = "AGE", value_parser = age)]
    if_older_than: Option<Duration>,
}

/// Replaces the secret where it is kept, and prints which one is kept now.
///
/// # Errors
/// How far it came, and why no further; or writing failed.
pub async fn rotate(args: RotateArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let client = args.common.settings()?.builder(None)?.observer(tell::on_standard_error).build()?;
    let rotation = client.rotate(args.if_older_than).await?;
    let (outcome, words) = match &rotation {
        Rotation::Replaced(_) => ("replaced", "the secret was replaced".to_owned()),
        Rotation::Finished(_) => {
            ("finished", "what an earlier run began is finished: the secret was replaced".to_owned())
        }
        Rotation::ByAnother { .. } => ("by_another", "another process has just replaced the secret".to_owned()),
        Rotation::NotDue { due_in, .. } => {
            ("not_due", format!("the secret stays: it is to be replaced in {}", config::show_age(in_days(*due_in))))
        }
        _ => anyhow::bail!("the client answered something that is not known here"),
    };
    let mut shown = json!({"outcome": outcome, "secret_id": rotation.secret_id()});
    if let Some(confirmed) = rotation.confirmed() {
        add_retiring(&mut shown, confirmed);
    }
    if let Rotation::NotDue { due_in, .. } = &rotation {
        shown["due_in"] = seconds(*due_in);
    }
    if args.common.json {
        writeln!(out, "{shown}")?;
        return Ok(0);
    }
    writeln!(out, "{}", rotation.secret_id())?;
    writeln!(err, "fuuffy: {words}")?;
    if let Some(confirmed) = rotation.confirmed().filter(|confirmed| !confirmed.retiring.is_empty()) {
        let (old, quiet) = (confirmed.retiring.join(", "), config::show_age(confirmed.unused_for));
        writeln!(
            err,
            "fuuffy: {old} works until nobody has used it for {quiet}; if it leaked, have whoever runs the gateway retire it: \
             fuuffy secrets retire"
        )?;
    }
    Ok(0)
}

/// Days are exact enough for what is days away.
fn in_days(due_in: Duration) -> Duration {
    const DAY: u64 = 24 * 3600;
    let seconds = due_in.as_secs();
    if seconds < 2 * DAY { due_in } else { Duration::from_secs(seconds.div_ceil(DAY) * DAY) }
}

fn add_retiring(shown: &mut Value, confirmed: &Confirmed) {
    shown["retiring"] = confirmed.retiring.clone().into();
    shown["unused_for"] = seconds(confirmed.unused_for);
}

/// A duration as the API writes it.
fn seconds(duration: Duration) -> Value {
    format!("{}s", duration.as_secs()).into()
}

/// An age as people write it.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    config::age(text).ok_or_else(|| "give whole hours or days, as in 36h or 30d".to_owned())
}
