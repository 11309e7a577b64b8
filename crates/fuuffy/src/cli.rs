//! The command line: which command runs, and what its end means to the shell.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fuuffy_client::ErrorKind;

use crate::agent::{self, AgentArgs};
use crate::causes;
use crate::demo::{self, DemoArgs};
use crate::integrator::{self, ClientKeyArgs, DoctorArgs, DrillArgs, RequestArgs, RotateArgs, TokenArgs};
use crate::operator::{
    self, AlertsArgs, ApplyArgs, AuditArgs, BackupArgs, CertsArgs, ClientsArgs, ExplainArgs, ExportArgs, KeysArgs,
    MigrateArgs, OperatorsArgs, RestoreArgs, SecretsArgs, TokensArgs, UsageArgs,
};
use crate::scan::{self, ScanArgs};
use crate::serve::{self, CheckArgs, ServeArgs};
use crate::telemetry;

/// An OAuth 2.0 token service and API gateway.
#[derive(Debug, Parser)]
#[command(name = "fuuffy", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Log lines of integrators' commands. What the client warns of is told as the command's own error.
const OF_INTEGRATORS: &str = "warn,fuuffy_client=error";

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything on this machine and walk through the guide.
    Demo(DemoArgs),
    /// Serve the environments that a configuration file describes.
    Serve(ServeArgs),
    /// Validate a configuration file and print it resolved.
    Check(CheckArgs),
    /// Make a certificate for development, and the authority that it is by.
    Certs(CertsArgs),
    /// Register, list, show, change, suspend, resume and delete clients.
    Clients(Box<ClientsArgs>),
    /// Add, list and retire the secrets of a client.
    Secrets(SecretsArgs),
    /// List and revoke tokens.
    Tokens(TokensArgs),
    /// Register and list operators: clients whose programs do what these commands do.
    Operators(OperatorsArgs),
    /// List alerts that nobody has taken yet, send them once more, and try their way out.
    Alerts(AlertsArgs),
    /// Read, prove, export and sign the audit log.
    Audit(AuditArgs),
    /// List, rotate and retire the keys that secrets and tokens are kept under.
    Keys(KeysArgs),
    /// Write the registered clients of an environment down as one file.
    Export(ExportArgs),
    /// Make the clients of an environment as a file says.
    Apply(ApplyArgs),
    /// Copy everything that lasts, while serving or not.
    Backup(BackupArgs),
    /// Put a backup in the place of the data directory, while nobody serves.
    Restore(RestoreArgs),
    /// Bring the stores to this version's form, with a copy of each as it was.
    Migrate(MigrateArgs),
    /// Tell why a request was refused.
    Explain(ExplainArgs),
    /// Tell who used how much.
    Usage(UsageArgs),
    /// Make a private key of the client's own, so that there is no secret.
    ClientKey(ClientKeyArgs),
    /// Print an access token, fetched or cached.
    Token(TokenArgs),
    /// Send a request to the API, with a token.
    Request(RequestArgs),
    /// Replace the client's own secret where it is kept.
    Rotate(RotateArgs),
    /// Find out why calls to the API do not work.
    Doctor(DoctorArgs),
    /// Meet today, in the testing environment, what production will do some day.
    Drill(DrillArgs),
    /// Serve the API on this machine to programs that have no credentials.
    Agent(AgentArgs),
    /// Find our secrets where they should not be: in files and in git's history.
    Scan(ScanArgs),
    /// Print a generated reference.
    #[command(hide = true)]
    Reference {
        /// Which one.
        #[arg(value_parser = ["configuration", "openapi"])]
        of: String,
    },
}

/// Runs the command that the arguments name. 0 done, 1 refused or failed, 2 wrong usage or configuration.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    // Not locked for the whole run: log lines of other threads go to standard error too.
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let outcome = runtime.block_on(run(arguments.command, &mut out, &mut err));
    // Nothing is waited for that still reads standard input.
    runtime.shutdown_background();
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => failed(&error),
    }
}

async fn run(command: Command, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    match command {
        Command::Demo(args) => {
            // The demo's own words are the show; only what goes wrong is logged.
            telemetry::start_at("warn");
            demo::run(args, out, err).await
        }
        Command::Serve(args) => {
            telemetry::start_at("info");
            serve::serve(&args, out, err).await
        }
        Command::Check(args) => serve::check(&args, out, err),
        Command::Certs(args) => operator::certs(args, out, err).await,
        Command::ClientKey(args) => integrator::client_key(args, out, err),
        Command::Clients(args) => {
            telemetry::start_at("warn");
            operator::clients(*args, out, err).await
        }
        Command::Secrets(args) => {
            telemetry::start_at("warn");
            operator::secrets(args, out, err).await
        }
        Command::Tokens(args) => {
            telemetry::start_at("warn");
            operator::tokens(args, out, err).await
        }
        Command::Operators(args) => {
            telemetry::start_at("warn");
            operator::operators(args, out, err).await
        }
        Command::Alerts(args) => {
            telemetry::start_at("warn");
            operator::alerts(args, out, err).await
        }
        Command::Audit(args) => {
            telemetry::start_at("warn");
            operator::audit(args, out, err).await
        }
        Command::Keys(args) => {
            telemetry::start_at("warn");
            operator::keys(args, out, err).await
        }
        Command::Export(args) => {
            telemetry::start_at("warn");
            operator::export(args, out, err).await
        }
        Command::Apply(args) => {
            telemetry::start_at("warn");
            operator::apply(args, out, err).await
        }
        Command::Backup(args) => {
            telemetry::start_at("warn");
            operator::backup(args, out, err).await
        }
        Command::Restore(args) => {
            telemetry::start_at("error");
            operator::restore(args, out, err).await
        }
        Command::Migrate(args) => {
            telemetry::start_at("warn");
            operator::migrate(args, out, err).await
        }
        Command::Explain(args) => {
            telemetry::start_at(OF_INTEGRATORS);
            operator::explain(args, out, err).await
        }
        Command::Usage(args) => {
            telemetry::start_at(OF_INTEGRATORS);
            operator::usage(args, out, err).await
        }
        Command::Token(args) => {
            telemetry::start_at(OF_INTEGRATORS);
            integrator::token(args, out, err).await
        }
        Command::Request(args) => {
            telemetry::start_at(OF_INTEGRATORS);
            integrator::request(args, out, err).await
        }
        Command::Rotate(args) => {
            telemetry::start_at(OF_INTEGRATORS);
            integrator::rotate(args, out, err).await
        }
        Command::Doctor(args) => {
            telemetry::start_at("error");
            integrator::doctor(args, out).await
        }
        Command::Drill(args) => {
            telemetry::start_at("error");
            integrator::drill(args, out, err).await
        }
        Command::Agent(args) => {
            telemetry::start_at("info");
            agent::run(args, out, err).await
        }
        Command::Scan(args) => scan::scan(&args, out, err),
        Command::Reference { of } => {
            let text = if of == "openapi" { fuuffy_admin::openapi() } else { crate::config::reference() };
            write!(out, "{text}")?;
            Ok(0)
        }
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    // Whoever read the output, as `head` does, has had enough of it.
    let is_unread = error.chain().len() == 1
        && error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    if is_unread {
        return ExitCode::FAILURE;
    }
    let of_client = error.downcast_ref::<fuuffy_client::Error>();
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(io::stderr(), "fuuffy: {}", causes::said(error.as_ref()));
    if let Some(advice) = of_client.and_then(integrator::advice) {
        let _ = writeln!(io::stderr(), "fuuffy: {advice}");
    }
    let kind = of_client.map(fuuffy_client::Error::kind);
    if kind == Some(ErrorKind::Configuration) { ExitCode::from(2) } else { ExitCode::FAILURE }
}
