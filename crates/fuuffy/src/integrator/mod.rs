//! What integrators type: which environment, whose credentials, and the client that follows from them.

mod profile;
mod token;

use std::path::PathBuf;

use clap::Args;
use fuuffy_client::{Client, ClientBuilder, Environment};

use crate::settings;
use profile::Profile;
pub use token::{TokenArgs, token};

/// What all commands of integrators take. A flag wins over a variable, a variable over the profile.
#[derive(Debug, Args)]
pub struct Common {
    /// testing or production; testing unless FUUFFY_ENVIRONMENT says otherwise.
    #[arg(long, global = true, value_name = "E", value_parser = environment)]
    environment: Option<Environment>,
    /// Where the API is; the environment's own unless FUUFFY_BASE_URL or the profile says otherwise.
    #[arg(long, global = true, value_name = "URL")]
    base_url: Option<String>,
    /// The file with a profile for each environment.
    #[arg(long, global = true, value_name = "FILE", env = "FUUFFY_PROFILES")]
    profiles: Option<PathBuf>,
    /// The scope to ask for, as in "orders:read orders:write"; all that the client may have unless given.
    #[arg(long, global = true)]
    scope: Option<String>,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Common {
    /// A client by flags, variables and profile, to set more up.
    ///
    /// # Errors
    /// What is missing or wrong, and what to set.
    pub(crate) fn builder(&self) -> anyhow::Result<ClientBuilder> {
        let environment = self.environment()?;
        let profile = Profile::load(self.profiles.as_deref(), environment)?;
        let find = |name: &str| match name {
            "FUUFFY_ENVIRONMENT" => Some(environment.to_string()),
            "FUUFFY_BASE_URL" if self.base_url.is_some() => self.base_url.clone(),
            _ => settings::variable(name).or_else(|| profile.stand_in(name)),
        };
        let builder = Client::builder_from_lookup(find)?;
        Ok(builder.scope(self.scope.clone().unwrap_or_default()))
    }

    /// Which environment.
    ///
    /// # Errors
    /// `FUUFFY_ENVIRONMENT` names none.
    pub(crate) fn environment(&self) -> anyhow::Result<Environment> {
        match (self.environment, settings::variable("FUUFFY_ENVIRONMENT")) {
            (Some(environment), _) => Ok(environment),
            (None, Some(name)) => {
                environment(&name).map_err(|_| anyhow::anyhow!("FUUFFY_ENVIRONMENT must be testing or production"))
            }
            (None, None) => Ok(Environment::Testing),
        }
    }
}

fn environment(text: &str) -> Result<Environment, String> {
    text.parse().map_err(|error: fuuffy_client::UnknownEnvironment| error.to_string())
}
