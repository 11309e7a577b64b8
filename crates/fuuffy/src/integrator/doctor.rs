//! `fuuffy doctor`: looks at everything between a program and the API, in the order in which it can fail,
//! and says what to do about the first thing that is wrong.

mod certificate;
mod checks;

use std::io::{IsTerminal as _, Write};
use std::sync::Arc;
use std::time::Duration;

use fuuffy_client::Event;
use parking_lot::Mutex;
use serde::Serialize;

use super::Common;
use super::terminal::Terminal;
use crate::settings;

/// The longest that a token or a call is waited for when the server asks for patience.
const PATIENCE: Duration = Duration::from_secs(5);

/// `fuuffy doctor`
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    common: Common,
    /// The path that is called for a try, below the base URL. It is only read.
    #[arg(long, default_value = "/orders")]
    path: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warning,
    Failed,
}

/// What a check found, and what to do about it.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    status: Status,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    /// Whether it is a matter of variables and flags, which the exit status tells.
    #[serde(skip)]
    is_configuration: bool,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, found: found.into(), advice: None, is_configuration: false }
    }

    fn warning(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Warning, advice: Some(advice.into()), ..Self::ok(check, found) }
    }

    fn failed(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Status::Failed, advice: Some(advice.into()), ..Self::ok(check, found) }
    }

    fn of_configuration(self) -> Self {
        Self { is_configuration: true, ..self }
    }

    /// One line, and one more for the advice. Some of the words are the server's.
    fn tell(&self, out: &mut dyn Write, is_coloured: bool) -> std::io::Result<()> {
        let (word, colour) = match self.status {
            Status::Ok => ("ok", 32),
            Status::Warning => ("warning", 33),
            Status::Failed => ("failed", 31),
        };
        let (on, off) = if is_coloured { (format!("\x1b[{colour}m"), "\x1b[0m") } else { (String::new(), "") };
        write!(out, "{on}{word:8}{off}")?;
        let mut out = Terminal::on(out, true);
        writeln!(out, "{:16}{}", self.check, self.found)?;
        if let Some(advice) = &self.advice {
            writeln!(out, "{:24}{advice}", "")?;
        }
        out.flush()
    }
}

/// The findings so far. Each is told as it comes, or all at the end as JSON.
struct Report<'a> {
    out: &'a mut dyn Write,
    is_json: bool,
    is_coloured: bool,
    findings: Vec<Finding>,
    /// What became of the telling.
    told: std::io::Result<()>,
}

impl Report<'_> {
    fn note(&mut self, finding: Finding) {
        if !self.is_json && self.told.is_ok() {
            self.told = finding.tell(self.out, self.is_coloured).and_then(|()| self.out.flush());
        }
        self.findings.push(finding);
    }

    /// 0 where nothing failed, 1 where something did, 2 where that is the configuration.
    fn end(self) -> anyhow::Result<u8> {
        if self.is_json {
            writeln!(self.out, "{}", serde_json::to_string(&self.findings)?)?;
        }
        self.told?;
        Ok(match self.findings.iter().find(|finding| finding.status == Status::Failed) {
            Some(finding) if finding.is_configuration => 2,
            Some(_) => 1,
            None => 0,
        })
    }
}

/// Examines, and tells each finding as it comes.
///
/// # Errors
/// Writing failed.
pub async fn doctor(args: DoctorArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    // https://no-color.org
    let is_coloured = std::io::stdout().is_terminal() && settings::variable("NO_COLOR").is_none();
    let mut report = Report { out, is_json: args.common.json, is_coloured, findings: Vec::new(), told: Ok(()) };
    if let Err(failed) = examine(&args, &mut report).await {
        report.note(failed);
    }
    report.end()
}

/// One check after the other; the first that fails is the last, for those after it would fail for its sake.
async fn examine(args: &DoctorArgs, report: &mut Report<'_>) -> Result<(), Finding> {
    let settings = args.common.settings().map_err(checks::wrong_setup)?;
    report.note(checks::variables(&settings).await?);
    let base_url = checks::base_url(&settings)?;
    report.note(Finding::ok("base URL", base_url.to_string()));
    let certificate = certificate::read(&settings, &base_url).await?;
    if let Some(certificate) = &certificate {
        report.note(certificate::finding(certificate, checks::now()));
    }
    checks::path(&base_url, &args.path)?;
    let hop = checks::Hop::towards(&base_url);
    let addresses = checks::name_resolution(&hop).await?;
    report.note(Finding::ok("name resolution", checks::list(&addresses)));
    report.note(checks::connection(&hop, &addresses).await?);
    let (tls, date) = checks::tls(&base_url, certificate.as_ref()).await?;
    report.note(tls);
    report.note(checks::clock(date));
    let end = Arc::new(Mutex::new(None));
    let hears = Arc::clone(&end);
    let on_event = move |event: &Event| {
        if let Event::SecretExpires { at } = event {
            *hears.lock() = Some(*at);
        }
    };
    let builder = settings.builder(None).map_err(checks::wrong_setup)?;
    let client = builder.patience(PATIENCE).observer(on_event).build().map_err(checks::wrong_setup)?;
    report.note(checks::token(&client).await?);
    if let Some(end) = end.lock().take() {
        report.note(checks::secret_that_ends(end));
    }
    let (call, limits) = checks::call(&client, &args.path).await?;
    report.note(call);
    report.note(limits);
    Ok(())
}
