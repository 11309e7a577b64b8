//! `fuuffy usage`: who used how much. For operators every client, for integrators their own.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write};

use clap::{Args, ValueEnum};
use fuuffy_domain::EnvironmentName;
use serde_json::Value;

use super::transport::{On, Transport};
use super::{Call, Common, Shape, ask, reach, segment};
use crate::integrator;

/// Rows that get a line of their last day, on a terminal.
const DRAWN: usize = 20;
/// From nothing to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `fuuffy usage`
#[derive(Debug, Args)]
pub struct UsageArgs {
    #[command(flatten)]
    common: Common,
    /// testing or production; operators must say which.
    #[arg(long, value_name = "E", value_parser = super::environment_name)]
    environment: Option<EnvironmentName>,
    /// Of this client alone.
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// What makes a row.
    #[arg(long, value_enum, default_value = "client", conflicts_with = "tokens")]
    by: By,
    /// Tell who asks for more tokens than it needs, the worst first; for operators.
    #[arg(long)]
    tokens: bool,
    /// From when on: how long ago, as in 90m, 24h or 7d, or a time.
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    since: String,
    /// Until when; now unless given.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Print the result as comma-separated values.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Client,
    Route,
    Minute,
    Hour,
    Day,
}

const NUMBERS: [&str; 16] = [
    "requests",
    "1xx",
    "2xx",
    "3xx",
    "4xx",
    "5xx",
    "forbidden",
    "not_found",
    "limited",
    "failed",
    "bytes_in",
    "bytes_out",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "observed",
];
/// Those of them that people look for first.
const SHOWN: [&str; 7] = ["requests", "2xx", "4xx", "5xx", "limited", "bytes_out", "p95_ms"];

/// What is told of tokens.
const TOKENS: [&str; 3] = ["asked", "needed", "refused"];

impl By {
    /// The members that tell rows apart.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Client => &["client_id", "name"],
            Self::Route => &["route"],
            Self::Minute | Self::Hour | Self::Day => &["at"],
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Route => "route",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// Tells who used how much.
///
/// # Errors
/// Nobody could be asked, or writing failed.
pub async fn usage(args: UsageArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let (tokens, is_operator) = (args.tokens, args.common.admin_url.is_some() || args.common.config.exists());
    if tokens && !is_operator {
        writeln!(err, "fuuffy: --tokens is for operators; there is no {}", args.common.config.display())?;
        return Ok(2);
    }
    if !is_operator {
        let rows = integrator::usage(args.environment, &args.query(None)).await?;
        return args.show(&rows, &[], out);
    }
    let Some(environment) = args.environment else {
        writeln!(err, "fuuffy: say which environment: --environment testing or production")?;
        return Ok(2);
    };
    let Some(transport) = reach(&args.common, environment, err).await? else {
        return Ok(2);
    };
    let asked = args.ask(&transport, environment).await;
    transport.close().await;
    match asked? {
        Ok((rows, days)) => args.show(&rows, &days, out),
        Err(words) => {
            writeln!(err, "fuuffy: {words}")?;
            Ok(1)
        }
    }
}

/// The rows, and each of the first clients' last day by the hour; or why there are none.
type Asked = Result<(Vec<Value>, Vec<String>), String>;

impl UsageArgs {
    fn query(&self, client: Option<&str>) -> String {
        let mut query = format!("since={}", segment(&self.since));
        if !self.tokens {
            query.push_str(&format!("&by={}", self.by.word()));
        }
        if let Some(until) = &self.until {
            query.push_str(&format!("&until={}", segment(until)));
        }
        if let Some(client) = client {
            query.push_str(&format!("&client_id={}", segment(client)));
        }
        query
    }

    async fn ask(&self, transport: &Transport, environment: EnvironmentName) -> anyhow::Result<Asked> {
        let of = if self.tokens { "usage/tokens" } else { "usage" };
        let path = format!("{of}?{}", self.query(self.client.as_deref()));
        let answer = ask(transport, environment, Call::get(path, Shape::Pages(&[]))).await?;
        if let Some(error) = answer.body.get("error") {
            let word = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
            return Ok(Err(format!("{}: {}", word("message"), word("details"))));
        }
        let rows = answer.body["data"].as_array().cloned().unwrap_or_default();
        let mut days = Vec::new();
        if self.by == By::Client && !self.tokens && !self.common.json && !self.csv && std::io::stdout().is_terminal() {
            for row in rows.iter().take(DRAWN) {
                days.push(last_day(transport, environment, row["client_id"].as_str().unwrap_or_default()).await?);
            }
        }
        Ok(Ok((rows, days)))
    }

    fn show(&self, rows: &[Value], days: &[String], out: &mut dyn Write) -> anyhow::Result<u8> {
        if self.common.json {
            writeln!(out, "{}", Value::from(rows.to_vec()))?;
        } else if self.csv {
            let numbers: &[&str] = if self.tokens { &TOKENS } else { &NUMBERS };
            let columns: Vec<&str> = self.by.names().iter().copied().chain(numbers.iter().copied()).collect();
            writeln!(out, "{}", columns.join(","))?;
            for row in rows {
                let cells: Vec<String> = columns.iter().map(|column| quoted(&row[column])).collect();
                writeln!(out, "{}", cells.join(","))?;
            }
        } else if self.tokens {
            tokens_table(rows, out)?;
        } else {
            self.table(rows, days, out)?;
        }
        Ok(0)
    }

    /// With a bar for each step of time, or the last day of each client.
    fn table(&self, rows: &[Value], days: &[String], out: &mut dyn Write) -> std::io::Result<()> {
        let mut columns: Vec<&'static str> = self.by.names().iter().copied().chain(SHOWN).collect();
        if rows.iter().any(|row| row["observed"].as_u64() > Some(0)) {
            columns.push("observed");
        }
        let requests: Vec<u64> = rows.iter().map(|row| row["requests"].as_u64().unwrap_or(0)).collect();
        let most = requests.iter().copied().max().unwrap_or(0);
        let mut rows = rows.to_vec();
        let is_by_time = self.by.names() == ["at"];
        for (place, row) in rows.iter_mut().enumerate() {
            row["p95_ms"] = row["p95_ms"].as_f64().map_or(Value::Null, |millis| format!("{millis:.1}").into());
            let drawn = if is_by_time { Some(bars(&[requests[place]], most)) } else { days.get(place).cloned() };
            row["drawn"] = drawn.unwrap_or_default().into();
        }
        if is_by_time || !days.is_empty() {
            columns.push("drawn");
        }
        super::table(&rows, &columns, out)
    }
}

/// A sentence for each client.
fn tokens_table(rows: &[Value], out: &mut dyn Write) -> std::io::Result<()> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        let number = |name: &str| grouped(row[name].as_u64().unwrap_or(0));
        let word = if row["asked"] == 1 { "token" } else { "tokens" };
        let mut told = format!("asked {} {word}, needed {}", number("asked"), number("needed"));
        if row["refused"] != 0 {
            told.push_str(&format!(", was refused {}", number("refused")));
        }
        row["tokens"] = told.into();
    }
    super::table(&rows, &["client_id", "name", "tokens"], out)
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let comma = |place: usize| if place > 0 && (digits.len() - place).is_multiple_of(3) { "," } else { "" };
    digits.chars().enumerate().map(|(place, digit)| format!("{}{digit}", comma(place))).collect()
}

/// A client's requests in each hour of its last day, drawn.
async fn last_day(transport: &Transport, environment: EnvironmentName, client: &str) -> anyhow::Result<String> {
    let path = format!("/admin/v1/{environment}/usage?by=hour&since=23h&per_page=100&client_id={}", segment(client));
    let answer = transport.call(http::Method::GET, &path, None, On::default()).await?;
    let hour = |row: &Value| row["at"].as_str()?.parse::<jiff::Timestamp>().ok().map(|at| at.as_second() / 3600);
    let rows = answer.body["data"].as_array().map_or(&[][..], Vec::as_slice);
    let counts: BTreeMap<i64, u64> =
        rows.iter().filter_map(|row| Some((hour(row)?, row["requests"].as_u64()?))).collect();
    let Some(last) = counts.keys().next_back() else {
        return Ok(String::new());
    };
    // Hours without requests have no row.
    let requests: Vec<u64> = (last - 23..=*last).map(|hour| counts.get(&hour).copied().unwrap_or(0)).collect();
    Ok(bars(&requests, requests.iter().copied().max().unwrap_or(0)))
}

fn bars(counts: &[u64], most: u64) -> String {
    let bar = |count: &u64| match count {
        0 => ' ',
        count => BARS[usize::try_from((count * 8).div_ceil(most.max(1))).unwrap_or(8).clamp(1, 8) - 1],
    };
    counts.iter().map(bar).collect()
}

/// A cell of comma-separated values (RFC 4180).
fn quoted(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // What a spreadsheet would run is text.
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
