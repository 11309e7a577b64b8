//! Credentials that a command prints as JSON, which covers every vault that has a command line.

use std::process::Stdio;
use std::time::Duration;

use fuuffy_protocol::ClientSecret;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::{CredentialSource, Credentials};
use crate::{BoxFuture, Error};

/// The most that a command may print, in bytes.
const LONGEST: u64 = 64 * 1024;
/// The longest that it may take; somebody may have to touch a key.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that prints `{"client_id":"…","client_secret":"…"}` and ends. It is run for every token
/// request, without a shell; what it says on standard error goes where this program's own does.
#[derive(Debug, Clone)]
pub struct ExecCredentials {
    program: String,
    arguments: Vec<String>,
    client_id: Option<String>,
}

#[derive(Deserialize)]
struct Printed {
    client_id: Option<String>,
    client_secret: Zeroizing<String>,
}

impl ExecCredentials {
    /// A program and its arguments. `client_id` stands in where the command prints none.
    ///
    /// # Errors
    /// There is no program.
    pub fn new(command: impl IntoIterator<Item = String>, client_id: Option<String>) -> Result<Self, Error> {
        let mut words = command.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program = program.ok_or_else(|| Error::configuration("the command for credentials is empty"))?;
        Ok(Self { program, arguments: words.collect(), client_id })
    }

    async fn run(&self) -> Result<Credentials, Error> {
        let program = &self.program;
        let failed = |why: String| Error::credentials(format!("the command for credentials, {program}, {why}"));
        let mut command = Command::new(program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed(format!("cannot be run: {error}")))?;
        let mut printed = Zeroizing::new(Vec::with_capacity(4096));
        let Some(stdout) = child.stdout.take() else {
            return Err(failed("has no output".to_owned()));
        };
        let read = stdout.take(LONGEST + 1).read_to_end(&mut printed).await;
        read.map_err(|error| failed(format!("cannot be read: {error}")))?;
        if printed.len() as u64 > LONGEST {
            return Err(failed("prints too much".to_owned()));
        }
        let status = child.wait().await.map_err(|error| failed(format!("did not end: {error}")))?;
        if !status.success() {
            return Err(failed(format!("failed ({status})")));
        }
        // What serde says of a mistake may quote what it read.
        let Ok(Printed { client_id, client_secret }) = serde_json::from_slice(&printed) else {
            return Err(failed(r#"does not print {"client_id":"…","client_secret":"…"}"#.to_owned()));
        };
        let Some(client_id) = client_id.or_else(|| self.client_id.clone()) else {
            return Err(failed("prints no client_id, and FUUFFY_CLIENT_ID is not set".to_owned()));
        };
        Ok(Credentials { client_id, client_secret: ClientSecret::presented(&client_secret) })
    }
}

impl CredentialSource for ExecCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        Box::pin(async move {
            let ended = tokio::time::timeout(PATIENCE, self.run()).await;
            ended.unwrap_or_else(|_| {
                let (program, limit) = (&self.program, PATIENCE.as_secs());
                Err(Error::credentials(format!("the command for credentials, {program}, did not end within {limit} s")))
            })
        })
    }
}
