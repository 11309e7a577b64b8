//! Who a drill is met by: calls of the command's own, made as a good program makes them, or the integrator's
//! own program.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use fuuffy_client::{Event, Reason};
use parking_lot::Mutex;
use tokio::process::Command;

use crate::integrator::Settings;

/// Times that a call is made which may succeed when it is made again.
const TRIES: u32 = 3;
/// What says who a program is, where it calls, and where its secret is kept, as flags and profile have it.
const WHO: [&str; 10] = [
    "FUUFFY_ENVIRONMENT",
    "FUUFFY_BASE_URL",
    "FUUFFY_CLIENT_ID",
    "FUUFFY_CLIENT_SECRET_FILE",
    "FUUFFY_CLIENT_KEY_FILE",
    "FUUFFY_ISSUER",
    "FUUFFY_DPOP_KEY_FILE",
    "FUUFFY_CREDENTIALS_COMMAND",
    "FUUFFY_KEYRING",
    "FUUFFY_VAULT_PATH",
];

/// How a drill was taken.
pub(super) struct Turn {
    /// What happened, in order.
    pub(super) steps: Vec<String>,
    /// How the program ended, if there was one and it ended by itself.
    pub(super) exit_status: Option<i32>,
    /// Whether the end was a good one.
    pub(super) is_well: bool,
}

/// Gets `path` by a client that has no token yet, again where its error says that this may help.
pub(super) async fn of_own_calls(settings: &Settings<'_>, path: &str) -> anyhow::Result<Turn> {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&steps);
    let observer = move |event: &Event| heard.lock().extend(step(event));
    let client = settings.builder(None)?.observer(observer).build()?;
    let mut is_well = false;
    for attempt in 1..=TRIES {
        let outcome = match client.get(path).send().await {
            Ok(answer) => {
                let status = answer.status();
                answer.bytes().await.map(|_| status)
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(status) => {
                steps.lock().push(status.as_u16().to_string());
                is_well = true;
                break;
            }
            Err(error) if error.is_retryable() && attempt < TRIES => {
                let what = error.status().map_or_else(|| error.to_string(), |status| status.as_u16().to_string());
                steps.lock().push(format!("{what}, called again"));
            }
            Err(error) => {
                steps.lock().push(error.to_string());
                break;
            }
        }
    }
    let steps = std::mem::take(&mut *steps.lock());
    Ok(Turn { steps, exit_status: None, is_well })
}

/// What the client did on its own, as far as a drill is about it.
fn step(event: &Event) -> Option<String> {
    Some(match event {
        Event::TokenFailed { code } => format!("token request: {}", code.as_deref().unwrap_or("no answer")),
        Event::Retried { because: Reason::TokenRefused } => "401, a new token".to_owned(),
        Event::Retried { because: Reason::RateLimited } => "429".to_owned(),
        Event::Retried { because: Reason::Unavailable } => "503".to_owned(),
        Event::Retried { because: Reason::NoConnection } => "no connection".to_owned(),
        Event::Held { wait } => format!("waited {:.1} s", wait.as_secs_f64()),
        _ => return None,
    })
}

/// Runs the integrator's program to its end, as the same client of the same server.
pub(super) async fn of_command(
    settings: &Settings<'_>,
    program: &OsString,
    arguments: &[OsString],
) -> anyhow::Result<Turn> {
    let ended = Command::new(program)
        .args(arguments)
        .envs(WHO.into_iter().filter_map(|name| Some((name, settings.find(name)?))))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("{} could not be run", program.display()))?;
    Ok(Turn { steps: vec![words(ended)], exit_status: ended.code(), is_well: ended.success() })
}

fn words(ended: ExitStatus) -> String {
    match ended.code() {
        Some(code) => format!("exit status {code}"),
        None => format!("{ended}"),
    }
}
