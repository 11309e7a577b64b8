//! `fuuffy explain`: why a request was refused. For operators any request, for integrators their own.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use fuuffy_domain::{EnvironmentName, RequestId};
use http::{Method, StatusCode};
use serde_json::Value;

use super::transport::{On, Transport};
use crate::integrator;
use crate::serve::read_config;

/// `fuuffy explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The id, as X-Request-Id and messages name it.
    #[arg(value_parser = request_id)]
    request_id: String,
    /// testing or production; an operator's command asks both unless given.
    #[arg(long, value_name = "E", value_parser = super::environment_name)]
    environment: Option<EnvironmentName>,
    /// The configuration file of the server; without one, the client of the integrator's variables asks.
    #[arg(long, value_name = "FILE", env = "FUUFFY_CONFIG", default_value = "fuuffy.toml")]
    config: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Explains a refusal.
///
/// # Errors
/// Nobody could be asked, or writing failed.
pub async fn explain(args: ExplainArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let found = if args.config.exists() {
        let config = match read_config(&args.config) {
            Ok(config) => config,
            Err(mistakes) => {
                writeln!(err, "{mistakes}")?;
                return Ok(2);
            }
        };
        let transport = Transport::open(&config).await?;
        let found = as_operator(&transport, &args).await;
        transport.close().await;
        found?
    } else {
        integrator::explanation(args.environment, &args.request_id).await?
    };
    let Some(explanation) = found else {
        writeln!(
            err,
            "There is no explanation of that request. They are kept for 7 days, of refusals alone; mind the environment, and that a client is told of its own requests only."
        )?;
        return Ok(1);
    };
    if args.json {
        writeln!(out, "{explanation}")?;
    } else {
        tell(&explanation, out)?;
    }
    Ok(0)
}

fn tell(explanation: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let word = |name: &str| match &explanation[name] {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => "-".to_owned(),
    };
    writeln!(out, "{}.\n{}.\n", word("happened"), word("advice"))?;
    writeln!(out, "{} {} was answered with {} {}", word("method"), word("path"), word("status"), word("code"))?;
    writeln!(out, "at {} in {}, to {} from {}", word("at"), word("environment"), word("client_id"), word("peer"))
}

async fn as_operator(transport: &Transport, args: &ExplainArgs) -> anyhow::Result<Option<Value>> {
    let all = [EnvironmentName::Testing, EnvironmentName::Production];
    for environment in all.into_iter().filter(|name| args.environment.is_none_or(|wanted| wanted == *name)) {
        let path = format!("/admin/v1/{environment}/explanations/{}", args.request_id);
        let mut answer = transport.call(Method::GET, &path, None, On::default()).await?;
        match answer.status {
            StatusCode::OK => return Ok(Some(answer.body["data"].take())),
            StatusCode::NOT_FOUND => {}
            status => anyhow::bail!("the server answered with {status}: {}", answer.body["error"]["details"]),
        }
    }
    Ok(None)
}

fn request_id(text: &str) -> Result<String, &'static str> {
    let id =
        RequestId::parse(text).ok_or("expected the id of a request, as in 0196f2d4-8c1e-7b3a-9d2f-3f6a8f1f2c4e")?;
    Ok(id.to_string())
}
