//! `fuuffy export` and `fuuffy apply`: the registered clients of an environment as one file, and a file made true
//! by the same deeds as every other change.

mod difference;
mod handing_out;
mod proofs;
mod round;
mod secrets;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use fuuffy_domain::{ClientId, EnvironmentName, Lifetime, Limits, PlanName, ScopeSet};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::{Desk, configuration};
use super::transport::On;
use super::{Common, InEnvironment, PER_PAGE, Why, environment_config, segment};
use crate::config::{Config, EnvironmentConfig, Proofs, Registered, Standing, read_register, write_register};
use difference::{Difference, Step, members};
use handing_out::HandingOut;
use round::Round;
use secrets::Secrets;

/// `fuuffy export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    place: InEnvironment,
}

/// `fuuffy apply`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// What fuuffy export wrote, or somebody in its manner.
    file: PathBuf,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    place: InEnvironment,
    /// Tell what differs, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run, end with status 3 where something differs.
    #[arg(long, requires = "dry_run")]
    exit_code: bool,
    /// Delete the clients that are not in the file.
    #[arg(long)]
    prune: bool,
    /// Where the first secrets of new clients go: a file to make, which its owner alone can read.
    #[arg(long, value_name = "FILE")]
    secrets_to: Option<PathBuf>,
    #[command(flatten)]
    why: Why,
}

/// The status of a dry run that found something.
const DIFFERS: u8 = 3;

/// A client as the operators' API shows it.
#[derive(Deserialize)]
struct Shown {
    client_id: ClientId,
    name: String,
    status: String,
    scope: String,
    plan: PlanName,
    limits: Option<Limits>,
    token_lifetime: Option<Lifetime>,
    may_rotate: bool,
    dpop_bound_access_tokens: bool,
    /// How many are registered.
    keys: usize,
    jwks_uri: Option<String>,
    identities: usize,
    certificates: usize,
    tls_client_certificate_bound_access_tokens: bool,
}

/// Writes the clients of an environment down.
///
/// # Errors
/// The server or the data directory could not be reached, or writing failed.
pub async fn export(args: ExportArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let environment = args.place.environment;
    let (config, _) = match settings(&args.common, environment, err)? {
        Ok(settings) => settings,
        Err(status) => return Ok(status),
    };
    let desk = Desk::open(&config).await?;
    let clients = known(&desk, environment).await;
    desk.close().await;
    let clients = clients?;
    if args.common.json {
        let shown = clients.iter().map(|client| {
            let mut shown = serde_json::Map::new();
            shown.insert("client_id".to_owned(), json!(client.client_id));
            shown.append(&mut members(client));
            shown
        });
        writeln!(out, "{}", json!({"environment": environment, "clients": shown.collect::<Vec<_>>()}))?;
    } else {
        write!(out, "{}", write_register(environment, &clients))?;
    }
    Ok(0)
}

/// Makes the clients of an environment as a file says.
///
/// # Errors
/// The server or the data directory could not be reached, a step was refused, or writing failed.
pub async fn apply(args: ApplyArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let environment = args.place.environment;
    let (config, of_environment) = match settings(&args.common, environment, err)? {
        Ok(settings) => settings,
        Err(status) => return Ok(status),
    };
    let wanted = match read_register(&args.file, |path| std::fs::read_to_string(path), &config, &of_environment) {
        Ok(wanted) => wanted,
        Err(mistakes) => {
            writeln!(err, "{mistakes}")?;
            return Ok(2);
        }
    };
    let desk = Desk::open(&config).await?;
    let outcome = make_true((&config, &desk), &args, wanted, out, err).await;
    desk.close().await;
    outcome
}

async fn make_true(
    (config, desk): (&Config, &Desk),
    args: &ApplyArgs,
    wanted: Vec<Registered>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let environment = args.place.environment;
    let open = if args.dry_run { HandingOut::look } else { HandingOut::hold };
    let handing_out = open(&config.data_dir, environment)?;
    let difference = Difference::between(known(desk, environment).await?, wanted, args.prune);
    difference.check()?;
    if !args.common.json {
        for step in &difference.steps {
            writeln!(out, "{step}")?;
        }
    }
    for kept in &difference.kept {
        writeln!(err, "{kept} is not in the file and is left alone; --prune deletes it")?;
    }
    let is_same = difference.steps.is_empty();
    if args.dry_run {
        for begun in handing_out.begun() {
            writeln!(err, "a run broke off before it handed out the secret of {}; the next one does", begun.client_id)?;
        }
    }
    if args.dry_run || is_same && handing_out.begun().is_empty() {
        return report(args, &difference, &[], out, err).map(|()| if args.exit_code && !is_same { DIFFERS } else { 0 });
    }
    let why = args.why.why.as_deref();
    let mut round = Round { desk, environment, why, secrets: Secrets::open(args)?, handing_out };
    round.hand_out_what_was_begun(out, err).await?;
    for (done, step) in difference.steps.iter().enumerate() {
        let all = difference.steps.len();
        let stopped =
            || format!("stopped at {} after {done} of {all} changes, which stay done", step.client().client_id);
        round.take(step, out).await.with_context(stopped)?;
    }
    report(args, &difference, round.secrets.of_report(), out, err)?;
    out.flush()?;
    round.handing_out.end_all()?;
    Ok(0)
}

fn report(
    args: &ApplyArgs,
    difference: &Difference,
    secrets: &[Value],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    if args.common.json {
        let steps: Vec<Value> = difference.steps.iter().map(Step::to_json).collect();
        let applied = !args.dry_run;
        let (unchanged, left_alone) = (difference.unchanged, &difference.kept);
        let report = json!({
            "applied": applied,
            "steps": steps,
            "unchanged": unchanged,
            "left_alone": left_alone,
            "secrets": secrets,
        });
        writeln!(out, "{report}")?;
    }
    let words = match (difference.steps.is_empty(), args.dry_run) {
        (true, _) => "Nothing to change: ",
        (false, true) => "Nothing was changed yet: ",
        (false, false) => "Done: ",
    };
    writeln!(err, "{words}{}", difference.summary())?;
    Ok(())
}

/// Everybody who is registered.
async fn known(desk: &Desk, environment: EnvironmentName) -> anyhow::Result<Vec<Registered>> {
    let mut known = Vec::new();
    for page in 1.. {
        let path = format!("/admin/v1/{environment}/clients?page={page}&per_page={PER_PAGE}");
        let mut answer = desk.call(Method::GET, &path, None, On::default()).await?;
        for shown in answer.body["data"].as_array_mut().context("the list of clients is none")? {
            known.push(registered(desk, environment, shown.take()).await?);
        }
        if page >= answer.body["pagination"]["total_pages"].as_u64().unwrap_or(0) {
            break;
        }
    }
    Ok(known)
}

async fn registered(desk: &Desk, environment: EnvironmentName, shown: Value) -> anyhow::Result<Registered> {
    let shown: Shown = serde_json::from_value(shown).context("a client is not shown as expected")?;
    let path = of_client(environment, &shown.client_id);
    // Few have any, and each list is a call of its own.
    let keys = if shown.keys == 0 { Vec::new() } else { proofs::keys(desk, &path).await? };
    let certificates = if shown.certificates == 0 { Vec::new() } else { proofs::certificates(desk, &path).await? };
    let identities = if shown.identities == 0 { Vec::new() } else { proofs::identities(desk, &path).await? };
    Ok(Registered {
        client_id: shown.client_id,
        name: shown.name,
        scope: ScopeSet::parse(&shown.scope)?,
        plan: shown.plan,
        limits: shown.limits,
        token_lifetime: shown.token_lifetime,
        may_rotate: shown.may_rotate,
        dpop_bound: shown.dpop_bound_access_tokens,
        certificate_bound: shown.tls_client_certificate_bound_access_tokens,
        proofs: Proofs {
            keys: keys.into_iter().map(|known| known.proof).collect(),
            jwks_uri: shown.jwks_uri,
            identities: identities.into_iter().map(|known| known.proof).collect(),
            certificates: certificates.into_iter().map(|known| known.proof).collect(),
        },
        status: if shown.status == "suspended" { Standing::Suspended } else { Standing::Active },
    })
}

fn of_client(environment: EnvironmentName, client: &ClientId) -> String {
    format!("/admin/v1/{environment}/clients/{}", segment(client.as_str()))
}

/// The configuration and its part for the environment, or the status to end with.
fn settings(
    common: &Common,
    environment: EnvironmentName,
    err: &mut dyn Write,
) -> anyhow::Result<Result<(Config, EnvironmentConfig), u8>> {
    let config = match configuration(common, err)? {
        Ok(config) => config,
        Err(status) => return Ok(Err(status)),
    };
    let Some(of_environment) = environment_config(&config, environment).cloned() else {
        writeln!(err, "{}: there is no [environments.{environment}]", common.config.display())?;
        return Ok(Err(2));
    };
    Ok(Ok((config, of_environment)))
}
