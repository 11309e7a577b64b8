//! Where the first secrets of new clients go.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::ApplyArgs;
use crate::operator::backup::{private, sync};

/// Where they go, and those that are on their way there.
pub(super) struct Secrets {
    file: Option<File>,
    as_json: bool,
    /// Those that the report will have.
    of_report: Vec<Value>,
}

/// How far a secret has come.
pub(super) enum Handed {
    /// It is where it was to go.
    Out,
    /// It goes with the report, at the end.
    ToReport,
}

impl Secrets {
    /// The file is there before there is anything to lose.
    pub(super) fn open(args: &ApplyArgs) -> anyhow::Result<Self> {
        let file = args.secrets_to.as_deref().map(lasting).transpose()?;
        Ok(Self { file, as_json: args.common.json, of_report: Vec::new() })
    }

    pub(super) fn hand_out(&mut self, created: &Value, out: &mut dyn Write) -> anyhow::Result<Handed> {
        if let Some(file) = &mut self.file {
            writeln!(file, "{created}")
                .and_then(|()| file.sync_all())
                .context("the secret of a new client could not be kept; run the command once more for it")?;
        } else if self.as_json {
            self.of_report.push(created.clone());
            return Ok(Handed::ToReport);
        } else {
            let word = |member: &str| created[member].as_str().unwrap_or_default();
            writeln!(out, "{} client_secret {}", word("client_id"), word("client_secret"))?;
            out.flush()?;
        }
        Ok(Handed::Out)
    }

    pub(super) fn of_report(&self) -> &[Value] {
        &self.of_report
    }
}

/// A new file that its owner alone can read, whose name is on disk, too.
fn lasting(path: &Path) -> anyhow::Result<File> {
    let file = private(path)?;
    sync(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    Ok(file)
}
