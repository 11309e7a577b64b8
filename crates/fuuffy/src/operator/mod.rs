//! `fuuffy clients` and `fuuffy secrets`: what operators type, and what they get to read.

mod transport;

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fuuffy_domain::{EnvironmentName, Lifetime};
use fuuffy_protocol::ScopeSet;
use http::Method;
use serde_json::{Value, json};

use crate::config::{Config, EnvironmentConfig};
use crate::serve::read_config;
use transport::{Answer, Transport};

/// Clients on one page of the API.
const PER_PAGE: usize = 100;

/// What all commands of operators take.
#[derive(Debug, Args)]
struct Common {
    /// The configuration file of the server.
    #[arg(long, global = true, value_name = "FILE", env = "FUUFFY_CONFIG", default_value = "fuuffy.toml")]
    config: PathBuf,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    json: bool,
}

/// `fuuffy clients`
#[derive(Debug, Args)]
pub struct ClientsArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: ClientsCommand,
}

#[derive(Debug, Args)]
struct InEnvironment {
    /// testing or production
    #[arg(long, value_name = "E", value_parser = environment_name)]
    environment: EnvironmentName,
}

#[derive(Debug, Args)]
struct OneClient {
    #[command(flatten)]
    place: InEnvironment,
    /// The client's id.
    client_id: String,
}

#[derive(Debug, Subcommand)]
enum ClientsCommand {
    /// Register a client and show its first secret, once.
    Create {
        #[command(flatten)]
        place: InEnvironment,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// All that it may be granted, as in "orders:read orders:write".
        #[arg(long, value_parser = scope)]
        scope: Option<ScopeSet>,
        /// A plan of the configuration.
        #[arg(long)]
        plan: Option<String>,
        /// A life for its tokens shorter than the environment's, as in 15m.
        #[arg(long, value_name = "LIFE", value_parser = lifetime)]
        token_lifetime: Option<Lifetime>,
    },
    /// List all clients.
    List {
        #[command(flatten)]
        place: InEnvironment,
    },
    /// Show one client.
    Show(OneClient),
    /// Refuse a client tokens, and all tokens that it has.
    Suspend(OneClient),
    /// Let a suspended client get tokens again.
    Resume(OneClient),
    /// Remove a client with its secrets and tokens, for good.
    Delete(OneClient),
}

/// `fuuffy secrets`
#[derive(Debug, Args)]
pub struct SecretsArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Debug, Args)]
struct OfClient {
    #[command(flatten)]
    place: InEnvironment,
    /// The client's id.
    #[arg(long, value_name = "CLIENT_ID")]
    client: String,
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
    },
    /// List a client's secrets: when they were made and used, never the secrets themselves.
    List(OfClient),
    /// Retire a secret: it works no more.
    Retire {
        #[command(flatten)]
        client: OfClient,
        /// The secret's id.
        #[arg(long, value_name = "SECRET_ID")]
        secret: String,
    },
}

/// How a result is shown to people.
#[derive(Clone, Copy)]
enum Shape {
    Pairs,
    Table(&'static [&'static str]),
}

const CLIENT_COLUMNS: &[&str] = &["client_id", "name", "status", "scope", "plan", "created_at"];
const SECRET_COLUMNS: &[&str] = &["secret_id", "created_at", "expires_at", "last_used_at", "use_count", "retired_at"];

/// Runs a `clients` command.
///
/// # Errors
/// The server or the data directory could not be reached, or writing failed.
pub async fn clients(args: ClientsArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    use ClientsCommand as C;
    let (place, method, path, body) = match args.command {
        C::Create { place, name, scope, plan, token_lifetime } => {
            let body = json!({
                "name": name,
                "scope": scope.map(|scope| scope.to_string()),
                "plan": plan,
                "token_lifetime": token_lifetime.map(|life| life.to_string()),
            });
            (place, Method::POST, "clients".to_owned(), Some(body))
        }
        C::List { place } => (place, Method::GET, "clients".to_owned(), None),
        C::Show(one) => (one.place, Method::GET, format!("clients/{}", segment(&one.client_id)), None),
        C::Suspend(one) => (one.place, Method::POST, format!("clients/{}/suspend", segment(&one.client_id)), None),
        C::Resume(one) => (one.place, Method::POST, format!("clients/{}/resume", segment(&one.client_id)), None),
        C::Delete(one) => (one.place, Method::DELETE, format!("clients/{}", segment(&one.client_id)), None),
    };
    let shape = if path == "clients" && body.is_none() { Shape::Table(CLIENT_COLUMNS) } else { Shape::Pairs };
    run(&args.common, place.environment, Call { method, path, body }, shape, out, err).await
}

/// Runs a `secrets` command.
///
/// # Errors
/// The server or the data directory could not be reached, or writing failed.
pub async fn secrets(args: SecretsArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let of = |client: &OfClient| format!("clients/{}/secrets", segment(&client.client));
    let (client, method, path, body, shape) = match args.command {
        SecretsCommand::Add { client, expires_at } => {
            let path = of(&client);
            (client, Method::POST, path, Some(json!({"expires_at": expires_at})), Shape::Pairs)
        }
        SecretsCommand::List(client) => {
            let path = of(&client);
            (client, Method::GET, path, None, Shape::Table(SECRET_COLUMNS))
        }
        SecretsCommand::Retire { client, secret } => {
            let path = format!("{}/{}/retire", of(&client), segment(&secret));
            (client, Method::POST, path, None, Shape::Pairs)
        }
    };
    run(&args.common, client.place.environment, Call { method, path, body }, shape, out, err).await
}

/// One call of the operators' API.
struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
}

async fn run(
    common: &Common,
    environment: EnvironmentName,
    call: Call,
    shape: Shape,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let config = match read_config(&common.config) {
        Ok(config) => config,
        Err(mistakes) => {
            writeln!(err, "{mistakes}")?;
            return Ok(2);
        }
    };
    if environment_config(&config, environment).is_none() {
        writeln!(err, "{}: there is no [environments.{environment}]", common.config.display())?;
        return Ok(2);
    }
    let transport = Transport::open(&config).await?;
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

/// A list of clients comes in pages; all of them are asked for.
async fn ask(transport: &Transport, environment: EnvironmentName, call: Call) -> anyhow::Result<Answer> {
    let base = format!("/admin/v1/{environment}");
    let Call { method, path, body } = call;
    if method != Method::GET || path != "clients" {
        return transport.call(method, &format!("{base}/{path}"), body.as_ref()).await;
    }
    let mut all = Vec::new();
    for page in 1.. {
        let mut answer =
            transport.call(Method::GET, &format!("{base}/clients?page={page}&per_page={PER_PAGE}"), None).await?;
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
    anyhow::bail!("the list of clients did not end")
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
            Shape::Table(columns) => table(data.as_array().map_or(&[][..], Vec::as_slice), columns, out)?,
        }
    }
    if data.get("client_secret").is_some() {
        writeln!(err, "The secret is shown this once. Keep it in a vault or an environment variable, never in code.")?;
    }
    Ok(())
}

fn table(rows: &[Value], columns: &[&str], out: &mut dyn Write) -> std::io::Result<()> {
    let cells: Vec<Vec<String>> = std::iter::once(columns.iter().map(|&column| column.to_owned()).collect())
        .chain(rows.iter().map(|row| columns.iter().map(|&column| plain(&row[column])).collect()))
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

fn environment_name(text: &str) -> Result<EnvironmentName, String> {
    match text {
        "testing" => Ok(EnvironmentName::Testing),
        "production" => Ok(EnvironmentName::Production),
        _ => Err("expected testing or production".to_owned()),
    }
}

fn scope(text: &str) -> Result<ScopeSet, String> {
    ScopeSet::parse(text).map_err(|fault| fault.to_string())
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    Lifetime::parse(text).map_err(|fault| fault.to_string())
}
