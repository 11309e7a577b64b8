//! `fuuffy audit export`: the log as lines, for whoever keeps it elsewhere.

use std::io::{BufWriter, Write};

use clap::Args;
use fuuffy_domain::{Timestamp, to_hex};
use fuuffy_store::embedded::{AuditLog, LogEntry, LogStart};

use super::super::desk::configuration;
use super::super::{Common, InEnvironment, environment_config};
use crate::server::store_path;

/// `fuuffy audit export`
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    place: InEnvironment,
    /// Only what is as new as this, as in 2030-01-01T00:00:00Z; some records before it come too, so that the
    /// export begins at a checkpoint.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "from")]
    since: Option<Timestamp>,
    /// Only from this record on; some before it come too, so that the export begins at a checkpoint.
    #[arg(long, value_name = "SEQ")]
    from: Option<i64>,
}

/// Why an export ends early.
enum Ended {
    Unreadable(fuuffy_store::StoreError),
    Unwritten(std::io::Error),
}

impl From<fuuffy_store::StoreError> for Ended {
    fn from(error: fuuffy_store::StoreError) -> Self {
        Self::Unreadable(error)
    }
}

pub(super) fn export(
    common: &Common,
    args: &ExportArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let environment = args.place.environment;
    let config = match configuration(common, err)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    if environment_config(&config, environment).is_none() {
        writeln!(err, "{}: there is no [environments.{environment}]", common.config.display())?;
        return Ok(2);
    }
    let start = match (args.since, args.from) {
        (Some(since), _) => LogStart::Time(since),
        (None, Some(from)) => LogStart::Row(from),
        (None, None) => LogStart::Beginning,
    };
    let log = AuditLog::open(&store_path(&config, environment), environment)?;
    let mut out = BufWriter::new(out);
    let written = log.read(start, |entry| {
        let line = match entry {
            LogEntry::Record { record, hash, .. } => {
                writeln!(out, r#"{{"record":{record},"hash":"{}"}}"#, to_hex(&hash))
            }
            LogEntry::Checkpoint(checkpoint) => writeln!(out, "{}", checkpoint.to_line()),
        };
        line.map_err(Ended::Unwritten)
    });
    match written {
        Ok(()) => out.flush()?,
        Err(Ended::Unreadable(error)) => return Err(error.into()),
        Err(Ended::Unwritten(error)) => return Err(error.into()),
    }
    Ok(0)
}

fn time(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp = text.parse().map_err(|_| "expected a time as in 2030-01-01T00:00:00Z".to_owned())?;
    Ok(Timestamp::from_unix_millis(time.as_millisecond()))
}
