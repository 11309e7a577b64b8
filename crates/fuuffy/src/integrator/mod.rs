//! What integrators type: which environment, whose credentials, and the client that follows from them.

mod cache;
mod client_key;
mod doctor;
mod drill;
mod profile;
pub(crate) mod progress;
mod request;
mod rotate;
mod tell;
mod terminal;
mod token;
mod upload;

use std::path::PathBuf;
use std::pin::pin;

use clap::Args;
use futures_util::TryStreamExt as _;
use fuuffy_client::{Client, ClientBuilder, Environment, Error, Token, Variables};
use fuuffy_domain::EnvironmentName;
use serde_json::Value;

use crate::settings;
use cache::DiskCache;
pub use client_key::{ClientKeyArgs, client_key};
pub use doctor::{DoctorArgs, doctor};
pub use drill::{DrillArgs, drill};
use profile::Profile;
pub use request::{RequestArgs, request};
pub(crate) use rotate::age;
pub use rotate::{RotateArgs, rotate};
pub(crate) use tell::advice;
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
    /// Neither read nor write the cache of tokens that commands share.
    #[arg(long, global = true)]
    no_cache: bool,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// A new token of an environment, got as `fuuffy token` gets it.
///
/// # Errors
/// There is none, and why.
pub(crate) async fn token_in(environment: Environment) -> Result<Token, Error> {
    // One from before may have been revoked, and what operators may do is kept on no disk.
    let client = Common::uncached(Some(environment)).settings()?.builder(None)?.build()?;
    client.tokens().token().await
}

/// Why a request of the integrator's own client was refused, if that is kept.
///
/// # Errors
/// The client's secret does not do, or there is no answer.
pub(crate) async fn explanation(environment: Option<EnvironmentName>, request: &str) -> Result<Option<Value>, Error> {
    Common::uncached(environment.map(of_domain)).settings()?.builder(None)?.build()?.explanation(request).await
}

/// What the integrator's own client used, by a query.
///
/// # Errors
/// There is no token, or no answer.
pub(crate) async fn usage(environment: Option<EnvironmentName>, query: &str) -> Result<Vec<Value>, Error> {
    let client = Common::uncached(environment.map(of_domain)).settings()?.builder(None)?.build()?;
    let mut rows = Vec::new();
    let mut pages = pin!(client.get(&format!("/auth/usage?{query}&per_page=100")).pages::<Value>());
    while let Some(page) = pages.try_next().await? {
        rows.extend(page.items);
    }
    Ok(rows)
}

const fn of_domain(environment: EnvironmentName) -> Environment {
    match environment {
        EnvironmentName::Testing => Environment::Testing,
        EnvironmentName::Production => Environment::Production,
    }
}

/// Flags, variables and profile, put together.
pub(crate) struct Settings<'a> {
    common: &'a Common,
    profile: Profile,
    pub(crate) environment: Environment,
}

impl Common {
    fn uncached(environment: Option<Environment>) -> Self {
        Self {
            environment,
            base_url: None,
            profiles: settings::variable("FUUFFY_PROFILES").map(PathBuf::from),
            scope: None,
            no_cache: true,
            json: false,
        }
    }

    /// Puts flags, variables and profile together.
    ///
    /// # Errors
    /// There is no such environment, or the profile cannot be read.
    pub(crate) fn settings(&self) -> Result<Settings<'_>, Error> {
        let environment = match self.environment {
            Some(environment) => environment,
            None => Variables::of_process().environment()?,
        };
        let profile = Profile::load(self.profiles.as_deref(), environment)?;
        Ok(Settings { common: self, profile, environment })
    }
}

impl Settings<'_> {
    /// A client by flags, variables and profile, to set more up.
    ///
    /// # Errors
    /// What is missing or wrong, and what to set.
    pub(crate) fn builder(&self, cache: Option<DiskCache>) -> Result<ClientBuilder, Error> {
        let builder = Client::builder_from(&self.variables())?.scope(self.common.scope.clone().unwrap_or_default());
        Ok(match cache {
            Some(cache) => builder.token_cache(cache),
            None => builder,
        })
    }

    /// The integrator's variables, as flags and profile have them.
    pub(crate) fn variables(&self) -> Variables<'_> {
        Variables::found_by(|name| self.find(name))
    }

    /// The cache of tokens on disk that commands share, unless there is to be none.
    pub(crate) fn cache(&self) -> Result<Option<DiskCache>, Error> {
        let Some(folder) = settings::cache_home().filter(|_| !self.common.no_cache) else {
            return Ok(None);
        };
        let base_url = self.variables().base_url(self.environment)?.to_string();
        let scope = self.common.scope.clone().unwrap_or_default();
        // What prints credentials names the client where nothing else does.
        let names = ["FUUFFY_CLIENT_ID", "FUUFFY_CREDENTIALS_COMMAND", "FUUFFY_VAULT_PATH"];
        let client = names.map(|name| self.find(name).unwrap_or_default()).join("\n");
        // A token that is bound to a key or a certificate is of no use to whoever has another, or none.
        let bound_to = ["FUUFFY_DPOP_KEY_FILE", "FUUFFY_CLIENT_CERT_FILE"].map(|name| (name, self.find(name)));
        let mut identity = vec![base_url.as_str(), self.environment.as_str(), &client, &scope];
        for (name, path) in &bound_to {
            identity.extend(path.as_ref().map(|path| [*name, path]).into_iter().flatten());
        }
        Ok(Some(DiskCache::new(folder.join("fuuffy").join("tokens"), &identity)))
    }

    fn find(&self, name: &str) -> Option<String> {
        match name {
            "FUUFFY_ENVIRONMENT" => Some(self.environment.to_string()),
            "FUUFFY_BASE_URL" if self.common.base_url.is_some() => self.common.base_url.clone(),
            _ => settings::variable(name).or_else(|| self.profile.stand_in(name)),
        }
    }
}

fn environment(text: &str) -> Result<Environment, String> {
    text.parse().map_err(|error: fuuffy_client::UnknownEnvironment| error.to_string())
}
