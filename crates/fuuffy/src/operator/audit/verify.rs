//! `fuuffy audit verify`: the chain followed to its end, and said plainly what that proves and what it does not.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use fuuffy_domain::{
    AuditChain, AuditHash, AuditPublicKey, Beginning, Checkpoint, EnvironmentName, Proof, Tampering, from_hex,
};
use fuuffy_store::StoreError;
use fuuffy_store::embedded::{AuditLog, LogEntry, LogStart, checkpoints_path, read_checkpoints};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::super::desk::configuration;
use super::super::{Common, InEnvironment, environment_config};
use crate::config::Config;
use crate::serve::read_config;
use crate::server::store_path;

/// The longest line of an export that is read, in bytes.
const LONGEST: u64 = 256 * 1024;
/// Rows between two looks at the bar.
const STEP: i64 = 10_000;

/// `fuuffy audit verify`
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    place: InEnvironment,
    /// An export instead of the store; - reads standard input.
    #[arg(long, value_name = "EXPORT")]
    file: Option<PathBuf>,
    /// Checkpoints that were kept elsewhere, which show whether the end was cut; - reads standard input.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// A key that checkpoints may be signed by, instead of those of the audit key file; may be repeated.
    #[arg(long, value_name = "HEX", value_parser = public_key)]
    public_key: Vec<AuditPublicKey>,
}

/// What came of following the chain.
enum Ended {
    Tampered(Tampering),
    Failed(anyhow::Error),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Tampering> for Ended {
    fn from(tampering: Tampering) -> Self {
        Self::Tampered(tampering)
    }
}

pub(super) fn verify(
    common: &Common,
    args: &VerifyArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let environment = args.place.environment;
    if common.admin_url.is_some()
        && let Err(status) = configuration(common, err)?
    {
        return Ok(status);
    }
    // An export and a public key are all that its reader may have.
    let config = match read_config(&common.config) {
        Ok(config) => Some(config),
        Err(_) if args.file.is_some() && !args.public_key.is_empty() => None,
        Err(mistakes) => {
            writeln!(err, "{mistakes}")?;
            return Ok(2);
        }
    };
    if args.file.is_none() && config.as_ref().is_some_and(|config| environment_config(config, environment).is_none()) {
        writeln!(err, "{}: there is no [environments.{environment}]", common.config.display())?;
        return Ok(2);
    }
    let proof = prove(args, config.as_ref(), err);
    let verdict = match proof {
        Ok(proof) => Ok(proof),
        Err(Ended::Tampered(tampering)) => Err(tampering),
        Err(Ended::Failed(error)) => return Err(error),
    };
    let unproven = verdict.as_ref().map_or(Vec::new(), |proof| unproven(proof, args));
    if common.json {
        writeln!(out, "{}", as_json(environment, &verdict, &unproven))?;
    } else {
        in_words(environment, &verdict, &unproven, out)?;
    }
    Ok(u8::from(verdict.is_err()))
}

fn prove(args: &VerifyArgs, config: Option<&Config>, err: &mut dyn Write) -> Result<Proof, Ended> {
    let environment = args.place.environment;
    let keys = match config {
        Some(config) if args.public_key.is_empty() => super::public_keys(config, environment).map_err(Ended::Failed)?,
        _ => args.public_key.clone(),
    };
    // Read before the log is, for a server that runs adds to both.
    let kept = kept(args, config, err).map_err(Ended::Failed)?;
    let chain = AuditChain::start(environment, keys, &kept, args.file.is_some())?;
    match (&args.file, config) {
        (Some(file), _) => follow_export(chain, super::open(file).map_err(Ended::Failed)?),
        (None, Some(config)) => follow_store(chain, config, environment),
        (None, None) => Err(Ended::Failed(anyhow!("there is neither a configuration nor an export"))),
    }
}

/// The checkpoints that were kept elsewhere, and those of the file beside the store.
fn kept(args: &VerifyArgs, config: Option<&Config>, err: &mut dyn Write) -> anyhow::Result<Vec<Checkpoint>> {
    let mut kept = Vec::new();
    if let Some(file) = &args.checkpoint {
        let (found, others) = read_checkpoints(super::open(file)?)?;
        if found.is_empty() || others > 0 {
            bail!("{}: expected lines as `fuuffy audit checkpoint` prints them", file.display());
        }
        kept.extend(found);
    }
    if let (None, Some(config)) = (&args.file, config) {
        let path = checkpoints_path(&store_path(config, args.place.environment));
        match std::fs::File::open(&path) {
            Ok(file) => {
                let (found, others) =
                    read_checkpoints(file).with_context(|| format!("{} cannot be read", path.display()))?;
                if others > 0 {
                    writeln!(err, "{}: {others} lines are no checkpoints, and were left out", path.display())?;
                }
                kept.extend(found);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }
    Ok(kept)
}

fn follow_store(mut chain: AuditChain, config: &Config, environment: EnvironmentName) -> Result<Proof, Ended> {
    let log = AuditLog::open(&store_path(config, environment), environment)?;
    let bar = ProgressBar::with_draw_target(Some(log.rows()?), ProgressDrawTarget::stderr());
    log.read(LogStart::Beginning, |entry| match entry {
        LogEntry::Record { sequence, record, hash } => {
            show_progress(&bar, sequence);
            chain.record(sequence, record, &hash).map_err(Ended::from)
        }
        LogEntry::Checkpoint(checkpoint) => chain.checkpoint(&checkpoint).map_err(Ended::from),
    })?;
    bar.finish_and_clear();
    Ok(chain.end()?)
}

/// A line of an export that is a record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    record: &'a RawValue,
    hash: &'a str,
}

/// As much of a record as must be known.
#[derive(Deserialize)]
struct Numbered {
    seq: i64,
}

fn follow_export(mut chain: AuditChain, export: Box<dyn std::io::Read>) -> Result<Proof, Ended> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let (mut export, mut text) = (BufReader::new(export), Vec::new());
    for number in 1_i64.. {
        text.clear();
        let unreadable = |error: std::io::Error| Ended::Failed(anyhow!(error).context("the export cannot be read"));
        if export.by_ref().take(LONGEST).read_until(b'\n', &mut text).map_err(unreadable)? == 0 {
            break;
        }
        show_progress(&bar, number);
        let strange = || {
            Ended::Failed(anyhow!(
                "line {number} is neither a record nor a checkpoint: it was changed, or this is no export of an audit log"
            ))
        };
        let line = std::str::from_utf8(&text).map_err(|_| strange())?.trim_end();
        if let Some(checkpoint) = Checkpoint::parse(line) {
            chain.checkpoint(&checkpoint)?;
            continue;
        }
        let (sequence, record, hash) = record_of(line).ok_or_else(strange)?;
        chain.record(sequence, record, &hash)?;
    }
    bar.finish_and_clear();
    Ok(chain.end()?)
}

fn record_of(line: &str) -> Option<(i64, &str, AuditHash)> {
    let Line { record, hash } = serde_json::from_str(line).ok()?;
    let Numbered { seq } = serde_json::from_str(record.get()).ok()?;
    Some((seq, record.get(), from_hex(hash)?))
}

fn show_progress(bar: &ProgressBar, row: i64) {
    if row % STEP == 0 {
        bar.inc(STEP.unsigned_abs());
    }
}

/// What following the chain could not show, in words.
fn unproven(proof: &Proof, args: &VerifyArgs) -> Vec<String> {
    let mut unproven = Vec::new();
    if let Beginning::Part { after } = proof.beginning {
        unproven.push(format!("what the log has up to row {after}: the export begins after it"));
    }
    if proof.last > proof.signed_up_to {
        unproven.push(format!(
            "that the rows from {} on are those that were written: they follow, but no checkpoint covers them yet (fuuffy audit checkpoint makes one)",
            proof.signed_up_to + 1
        ));
    }
    if args.checkpoint.is_none() {
        unproven.push(format!(
            "that nothing was cut after row {}, checkpoints and all: only a checkpoint that was kept elsewhere shows that; give it by --checkpoint",
            proof.last
        ));
    }
    unproven
}

fn as_json(environment: EnvironmentName, verdict: &Result<Proof, Tampering>, unproven: &[String]) -> serde_json::Value {
    match verdict {
        Ok(Proof { beginning, last, signed_up_to, signed_at }) => {
            let (removed_up_to, removed_by) = match beginning {
                Beginning::Removed { up_to, by } => (Some(up_to), Some(by)),
                Beginning::Whole | Beginning::Part { .. } => (None, None),
            };
            json!({
                "environment": environment,
                "verdict": "proven",
                "first": first(beginning),
                "last": last,
                "signed_up_to": signed_up_to,
                "signed_at": signed_at,
                "removed_up_to": removed_up_to,
                "removed_by": removed_by,
                "unproven": unproven,
            })
        }
        Err(tampering) => json!({
            "environment": environment,
            "verdict": "tampered",
            "row": tampering.row(),
            "kind": tampering.kind(),
            "reason": tampering.to_string(),
        }),
    }
}

fn first(beginning: &Beginning) -> i64 {
    match beginning {
        Beginning::Whole => 1,
        Beginning::Removed { up_to: before, .. } | Beginning::Part { after: before } => before + 1,
    }
}

fn in_words(
    environment: EnvironmentName,
    verdict: &Result<Proof, Tampering>,
    unproven: &[String],
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let Proof { beginning, last, signed_up_to, signed_at } = match verdict {
        Ok(proof) => proof,
        Err(tampering) => return writeln!(out, "Tampered: the audit log of {environment}: {tampering}"),
    };
    if *last == 0 {
        writeln!(out, "The audit log of {environment} is empty")?;
    } else {
        writeln!(out, "Proven: the audit log of {environment} is whole from row {} to row {last}", first(beginning))?;
    }
    if let Beginning::Removed { up_to, by } = beginning {
        writeln!(out, "The rows up to {up_to} were removed by {by}; a signed checkpoint and a record say so")?;
    }
    if let Some(at) = signed_at {
        writeln!(out, "Signed up to row {signed_up_to}, at {at}")?;
    }
    for words in unproven {
        writeln!(out, "Not proven: {words}")?;
    }
    Ok(())
}

fn public_key(digits: &str) -> Result<AuditPublicKey, String> {
    AuditPublicKey::parse(digits).ok_or_else(|| "expected a public key of 64 hexadecimal digits".to_owned())
}
