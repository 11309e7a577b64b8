//! What operators type, and what they get to read: a command is one call of the operators' API, or a few.

mod alerts;
mod apply;
mod audit;
mod backup;
mod certs;
mod client_certificates;
mod client_keys;
mod clients;
mod desk;
mod explain;
mod identities;
mod keys;
mod migrate;
mod operators;
mod secrets;
mod tokens;
mod transport;
mod usage;

pub use alerts::{AlertsArgs, alerts};
pub use apply::{ApplyArgs, ExportArgs, apply, export};
pub use audit::{AuditArgs, audit};
pub use backup::{BackupArgs, RestoreArgs, backup, restore};
pub use certs::{CertsArgs, certs};
pub use clients::{ClientsArgs, clients};
pub use explain::{ExplainArgs, explain};
pub use keys::{KeysArgs, keys};
pub use migrate::{MigrateArgs, migrate};
pub use operators::{OperatorsArgs, operators};
pub use secrets::{SecretsArgs, secrets};
pub use tokens::{TokensArgs, tokens};
pub use usage::{UsageArgs, usage};

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use fuuffy_client::BaseUrl;
use fuuffy_domain::EnvironmentName;
use http::Method;
use serde_json::{Value, json};

use crate::config::{Config, EnvironmentConfig};
use crate::serve::read_config;
use transport::{Answer, On, Transport};

/// Items on one page of the API.
const PER_PAGE: usize = 100;

/// What all commands of operators take.
#[derive(Debug, Args)]
struct Common {
    /// The configuration file of the server.
    #[arg(long, global = true, value_name = "FILE", env = "FUUFFY_CONFIG", default_value = "fuuffy.toml")]
    config: PathBuf,
    /// Reach the server at this URL instead, with a token got by FUUFFY_CLIENT_ID, FUUFFY_CLIENT_SECRET and
    /// FUUFFY_BASE_URL.
    #[arg(long, global = true, value_name = "URL", value_parser = admin_url)]
    admin_url: Option<BaseUrl>,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Args)]
struct InEnvironment {
    /// testing or production
    #[arg(long, value_name = "E", value_parser = environment_name)]
    environment: EnvironmentName,
}

#[derive(Debug, Args)]
struct OfClient {
    #[command(flatten)]
    place: InEnvironment,
    /// The client's id.
    #[arg(long, value_name = "CLIENT_ID")]
    client: String,
}

#[derive(Debug, Args)]
struct Why {
    /// Why, for the audit log.
    #[arg(long, value_name = "WORDS")]
    why: Option<String>,
}

/// How a result is shown to people.
#[derive(Clone, Copy)]
enum Shape {
    Pairs,
    /// A table of these members; one within another is named by its path.
    Table(&'static [&'static str]),
    /// A table that comes in pages.
    Pages(&'static [&'static str]),
}

/// One call of the operators' API.
struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
    why: Option<String>,
    shape: Shape,
    care: Care,
}

/// What a call is careful about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// It says what is to be, whatever is.
    Nothing,
    /// It makes something, which is to be made once however often it is asked for.
    MakesOnce,
    /// It changes what was seen, and nothing that somebody else has changed since.
    ChangesWhatWasSeen,
}

impl Call {
    fn get(path: String, shape: Shape) -> Self {
        Self { method: Method::GET, path, body: None, why: None, shape, care: Care::Nothing }
    }

    fn post(path: String, body: Option<Value>, why: Why) -> Self {
        Self { method: Method::POST, path, body, why: why.why, shape: Shape::Pairs, care: Care::Nothing }
    }

    /// Makes something.
    fn create(path: String, body: Value, why: Why) -> Self {
        Self { care: Care::MakesOnce, ..Self::post(path, Some(body), why) }
    }
}

async fn run(
    common: &Common,
    environment: EnvironmentName,
    call: Call,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let shape = call.shape;
    let Some(transport) = reach(common, environment, err).await? else {
        return Ok(2);
    };
    let answer = ask(&transport, environment, call).await;
    transport.close().await;
    let answer = answer?;
    if let Some(error) = answer.body.get("error") {
        let word = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
        writeln!(err, "{}: {}", word("message"), word("details"))?;
        return Ok(1);
    }
    anyhow::ensure!(answer.status.is_success(), "the server answered {} without a reason", answer.status);
    show(&answer.body["data"], common.json, shape, out, err)?;
    Ok(0)
}

/// The way to the server; `None` where the configuration leads nowhere, which is told then.
async fn reach(
    common: &Common,
    environment: EnvironmentName,
    err: &mut dyn Write,
) -> anyhow::Result<Option<Transport>> {
    if let Some(url) = &common.admin_url {
        return Transport::network(url.clone(), environment).await.map(Some);
    }
    let config = match read_config(&common.config) {
        Ok(config) => config,
        Err(mistakes) => {
            writeln!(err, "{mistakes}")?;
            return Ok(None);
        }
    };
    if environment_config(&config, environment).is_none() {
        writeln!(err, "{}: there is no [environments.{environment}]", common.config.display())?;
        return Ok(None);
    }
    Transport::open(&config).await.map(Some)
}

/// A list comes in pages; all of them are asked for.
async fn ask(transport: &Transport, environment: EnvironmentName, call: Call) -> anyhow::Result<Answer> {
    let Call { method, path, body, why, shape, care } = call;
    let path = format!("/admin/v1/{environment}/{path}");
    if !matches!(shape, Shape::Pages(_)) {
        let key = if care == Care::MakesOnce { Some(transport::fresh_key()?) } else { None };
        let mut seen = None;
        if care == Care::ChangesWhatWasSeen {
            let before = transport.call(Method::GET, &path, None, On::default()).await?;
            if !before.status.is_success() {
                return Ok(before);
            }
            seen = before.etag;
        }
        let on = On { why: why.as_deref(), seen: seen.as_deref(), once: key.as_deref() };
        return transport.call(method, &path, body.as_ref(), on).await;
    }
    let (mut all, joint) = (Vec::new(), if path.contains('?') { '&' } else { '?' });
    for page in 1.. {
        let path = format!("{path}{joint}page={page}&per_page={PER_PAGE}");
        let mut answer = transport.call(Method::GET, &path, None, On::default()).await?;
        let pages = answer.body["pagination"]["total_pages"].as_u64().unwrap_or(0);
        let Some(data) = answer.body["data"].as_array_mut() else {
            return Ok(answer);
        };
        all.append(data);
        if page >= pages {
            answer.body = json!({ "data": all });
            return Ok(answer);
        }
    }
    anyhow::bail!("the list did not end")
}

fn show(data: &Value, as_json: bool, shape: Shape, out: &mut dyn Write, err: &mut dyn Write) -> std::io::Result<()> {
    if as_json {
        writeln!(out, "{data}")?;
    } else {
        match shape {
            Shape::Pairs => {
                for (name, value) in data.as_object().into_iter().flatten() {
                    writeln!(out, "{name:<15} {}", plain(value))?;
                }
            }
            Shape::Table(columns) | Shape::Pages(columns) => {
                table(data.as_array().map_or(&[][..], Vec::as_slice), columns, out)?
            }
        }
    }
    if data.get("client_secret").is_some() {
        writeln!(err, "The secret is shown this once. Keep it in a vault or an environment variable, never in code.")?;
    }
    Ok(())
}

fn table(rows: &[Value], columns: &[&str], out: &mut dyn Write) -> std::io::Result<()> {
    let name = |column: &str| column.rsplit('/').next().unwrap_or_default().to_owned();
    let cell = |row: &Value, column: &str| plain(row.pointer(&format!("/{column}")).unwrap_or(&Value::Null));
    let cells: Vec<Vec<String>> = std::iter::once(columns.iter().map(|column| name(column)).collect())
        .chain(rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()))
        .collect();
    let width = |column: usize| cells.iter().map(|row: &Vec<String>| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for row in &cells {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Array(sentences) => sentences.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn environment_config(config: &Config, name: EnvironmentName) -> Option<&EnvironmentConfig> {
    match name {
        EnvironmentName::Testing => config.environments.testing.as_ref(),
        EnvironmentName::Production => config.environments.production.as_ref(),
    }
}

/// An id as a path segment, whatever was typed.
fn segment(id: &str) -> String {
    percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn admin_url(text: &str) -> Result<BaseUrl, String> {
    BaseUrl::parse(text).map_err(|error| error.to_string().replace("the base URL", "the URL"))
}

fn environment_name(text: &str) -> Result<EnvironmentName, String> {
    match text {
        "testing" => Ok(EnvironmentName::Testing),
        "production" => Ok(EnvironmentName::Production),
        _ => Err("expected testing or production".to_owned()),
    }
}
