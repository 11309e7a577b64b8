//! Where a command that is more than one call makes its calls: a way to the operators' API, and what it said no
//! to, in words.

use std::io::Write;

use http::{Method, StatusCode};
use serde_json::Value;
use thiserror::Error;

use super::Common;
use super::transport::{Answer, On, Transport};
use crate::config::Config;
use crate::serve::read_config;

/// An open way to the operators' API.
pub(super) struct Desk {
    transport: Transport,
}

/// The API said no.
#[derive(Debug, Error)]
#[error("{message}: {details}")]
pub(super) struct Refused {
    status: StatusCode,
    message: String,
    details: String,
}

/// The status with which the API said no, if that is what an error is.
pub(super) fn refusal(error: &anyhow::Error) -> Option<StatusCode> {
    error.downcast_ref::<Refused>().map(|refused| refused.status)
}

/// The configuration of a command that works on this machine's files or through its socket, or what is wrong told and the
/// status that the command ends with.
pub(super) fn configuration(common: &Common, err: &mut dyn Write) -> anyhow::Result<Result<Config, u8>> {
    if common.admin_url.is_some() {
        writeln!(
            err,
            "This command works on the server's own machine, by its configuration file, and not at --admin-url; run it there"
        )?;
        return Ok(Err(2));
    }
    match read_config(&common.config) {
        Ok(config) => Ok(Ok(config)),
        Err(mistakes) => {
            writeln!(err, "{mistakes}")?;
            Ok(Err(2))
        }
    }
}

impl Desk {
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(Self { transport: Transport::open(config).await? })
    }

    /// Whether a server runs on the data directory.
    pub(super) const fn is_served(&self) -> bool {
        matches!(self.transport, Transport::Socket(_))
    }

    /// One call.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        on: On<'_>,
    ) -> anyhow::Result<Answer> {
        let answer = self.transport.call(method, path, body, on).await?;
        if let Some(error) = answer.body.get("error") {
            let word = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
            return Err(Refused { status: answer.status, message: word("message"), details: word("details") }.into());
        }
        anyhow::ensure!(answer.status.is_success(), "the server answered {} without a reason", answer.status);
        Ok(answer)
    }

    pub(super) async fn close(self) {
        self.transport.close().await;
    }
}
