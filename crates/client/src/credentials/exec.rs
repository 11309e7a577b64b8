//! Credentials that a command prints as JSON, which covers every vault that has a command line; and a second command
//! that takes others the same way.

use std::process::Stdio;
use std::time::Duration;

use fuuffy_protocol::ClientSecret;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::{CredentialSource, Credentials, Replacement};
use crate::{BoxFuture, Error};

/// The most that a command may print, in bytes.
const LONGEST: u64 = 64 * 1024;
/// The longest that it may take; somebody may have to touch a key.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that prints `{"client_id":"…","client_secret":"…"}` and ends. It is run for every token
/// request, without a shell; what it says on standard error goes where this program's own does.
///
/// With a second command it can replace them: that one gets the same JSON on standard input, and has kept it when it
/// ends with 0.
#[derive(Debug, Clone)]
pub struct ExecCredentials {
    reads: CommandLine,
    keeps: Option<CommandLine>,
    client_id: Option<String>,
}

/// A program and its arguments.
#[derive(Debug, Clone)]
struct CommandLine {
    program: String,
    arguments: Vec<String>,
}

#[derive(Deserialize)]
struct Printed {
    client_id: Option<String>,
    client_secret: Zeroizing<String>,
}

/// What the second command gets.
#[derive(Serialize)]
struct Kept<'a> {
    client_id: &'a str,
    client_secret: &'a str,
}

/// The right to run the second command, which whoever keeps the secrets may give to many at once.
struct ExecReplacement {
    credentials: Credentials,
    keeps: CommandLine,
}

impl CommandLine {
    fn new(words: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program = program.ok_or_else(|| Error::configuration("the command for credentials is empty"))?;
        Ok(Self { program, arguments: words.collect() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).kill_on_drop(true);
        command
    }

    fn failed(&self, why: impl std::fmt::Display) -> Error {
        Error::credentials(format!("the command for credentials, {}, {why}", self.program))
    }

    /// Waits for what it does. A program that does not end is killed.
    async fn within<T>(&self, done: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let ended = tokio::time::timeout(PATIENCE, done).await;
        ended.unwrap_or_else(|_| Err(self.failed(format_args!("did not end within {} s", PATIENCE.as_secs()))))
    }
}

impl ExecCredentials {
    /// A program and its arguments. `client_id` stands in where the command prints none.
    ///
    /// # Errors
    /// There is no program.
    pub fn new(command: impl IntoIterator<Item = String>, client_id: Option<String>) -> Result<Self, Error> {
        Ok(Self { reads: CommandLine::new(command)?, keeps: None, client_id })
    }

    /// With a second program that keeps another secret.
    ///
    /// # Errors
    /// There is no program.
    pub fn kept_by(self, command: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        Ok(Self { keeps: Some(CommandLine::new(command)?), ..self })
    }

    async fn run(&self) -> Result<Credentials, Error> {
        let failed = |why: &str| self.reads.failed(why);
        let mut command = self.reads.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(&format!("cannot be run: {error}")))?;
        let mut printed = Zeroizing::new(Vec::with_capacity(4096));
        let Some(stdout) = child.stdout.take() else {
            return Err(failed("has no output"));
        };
        let read = stdout.take(LONGEST + 1).read_to_end(&mut printed).await;
        read.map_err(|error| failed(&format!("cannot be read: {error}")))?;
        if printed.len() as u64 > LONGEST {
            return Err(failed("prints too much"));
        }
        let status = child.wait().await.map_err(|error| failed(&format!("did not end: {error}")))?;
        if !status.success() {
            return Err(failed(&format!("failed ({status})")));
        }
        // What serde says of a mistake may quote what it read.
        let Ok(Printed { client_id, client_secret }) = serde_json::from_slice(&printed) else {
            return Err(failed(r#"does not print {"client_id":"…","client_secret":"…"}"#));
        };
        let Some(client_id) = client_id.or_else(|| self.client_id.clone()) else {
            return Err(failed("prints no client_id, and FUUFFY_CLIENT_ID is not set"));
        };
        Ok(Credentials::with_secret(client_id, ClientSecret::presented(&client_secret)))
    }
}

impl CredentialSource for ExecCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        Box::pin(self.reads.within(self.run()))
    }

    fn begin_replacement(&self) -> BoxFuture<'_, Result<Box<dyn Replacement>, Error>> {
        Box::pin(async move {
            let Some(keeps) = self.keeps.clone() else {
                return Err(Error::unwritable(
                    "a command prints the secret, and none replaces it: name one by FUUFFY_CREDENTIALS_STORE_COMMAND, \
                     or have a person do it (fuuffy secrets add gives another)",
                ));
            };
            let replacement = ExecReplacement { credentials: self.read().await?, keeps };
            Ok(Box::new(replacement) as Box<dyn Replacement>)
        })
    }
}

impl Replacement for ExecReplacement {
    fn current(&self) -> &Credentials {
        &self.credentials
    }

    fn keep<'a>(&'a mut self, secret: &'a ClientSecret) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.keeps.within(hand_over(&self.keeps, &self.credentials.client_id, secret)))
    }
}

/// Gives a program what it is to keep.
async fn hand_over(keeps: &CommandLine, client_id: &str, client_secret: &ClientSecret) -> Result<(), Error> {
    let client_secret = client_secret.reveal();
    // Room for all of it, escaped: growing would leave copies behind unwiped.
    let mut text = Zeroizing::new(Vec::with_capacity(64 + 6 * (client_id.len() + client_secret.len())));
    serde_json::to_writer(&mut *text, &Kept { client_id, client_secret })
        .map_err(|_| keeps.failed("cannot be given the client's id"))?;
    text.push(b'\n');
    let mut command = keeps.command();
    // What it prints is for people, and standard output is this program's own.
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|error| keeps.failed(format_args!("cannot be run: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing and ends is judged by its end.
        let _ = stdin.write_all(&text).await;
    }
    let status = child.wait().await.map_err(|error| keeps.failed(format_args!("did not end: {error}")))?;
    if status.success() { Ok(()) } else { Err(keeps.failed(format_args!("failed ({status})"))) }
}
